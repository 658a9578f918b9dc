// The package openai against Penstock.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { URL, WHOLE, assert, run } from "./flows.mjs";

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: "none", maxRetries: 0 });
const ask = (content) => [{ role: "user", content }];
const weather = {
  type: "function",
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};

async function chat() {
  const answer = await client.chat.completions.create({ model: "sse", messages: ask("count") });
  assert.equal(answer.choices[0].message.content, "one two three");
  assert.equal(answer.usage.completion_tokens, 3);
}

async function chatStream() {
  let text = "";
  let usage = null;
  const stream = await client.chat.completions.create({
    model: "sse",
    messages: ask("count"),
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, "one two three");
  assert.equal(usage.completion_tokens, 3);
}

async function toolsStream() {
  const stream = client.chat.completions.stream({ model: "sse", messages: ask("tools"), tools: [weather] });
  const call = (await stream.finalChatCompletion()).choices[0].message.tool_calls[0];
  assert.deepEqual(
    [call.id, call.function.name, call.function.arguments],
    ["call_1", "weather", '{"city":"Oslo"}'],
  );
}

async function structuredOutput() {
  const city = z.object({ city: z.string(), people: z.number() });
  const answer = await client.chat.completions.parse({
    model: "sse",
    messages: ask("json"),
    response_format: zodResponseFormat(city, "city"),
  });
  assert.deepEqual(answer.choices[0].message.parsed, { city: "Oslo", people: 700000 });
}

async function embeddings() {
  const answer = await client.embeddings.create({ model: "sse", input: ["a", "b"] });
  assert.equal(answer.data.length, 2);
  assert.ok(answer.data[0].embedding.length > 0);
}

async function models() {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("sse"));
}

async function responseInBackground() {
  let answer = await client.responses.create({ model: "sse", input: "count", background: true });
  while (["queued", "in_progress"].includes(answer.status)) answer = await client.responses.retrieve(answer.id);
  assert.equal(answer.output_text, "one two three");
  const numbers = [];
  for await (const event of await client.responses.retrieve(answer.id, { stream: true, starting_after: 2 })) {
    numbers.push(event.sequence_number);
  }
  assert.equal(numbers[0], 3);
}

async function abort() {
  const stream = await client.chat.completions.create({ model: "sse", messages: ask("slow"), stream: true });
  let chunks = 0;
  for await (const _ of stream) {
    if (++chunks === 3) stream.controller.abort();
  }
}

async function nodeDies() {
  let text = "";
  const messages = ask("dies node");
  const stream = await client.chat.completions.create({ model: "sse", messages, stream: true });
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  assert.equal(text, WHOLE);
}

async function errors() {
  const call = (model, text) => client.chat.completions.create({ model, messages: ask(text) });
  await assert.rejects(call("missing", "count"), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
  await assert.rejects(call("sse", 5), (e) => e instanceof OpenAI.BadRequestError);
  await assert.rejects(call("sse", "fails"), (e) => e instanceof OpenAI.InternalServerError && e.status === 502);
}

await run(chat, chatStream, toolsStream, structuredOutput, embeddings, models, responseInBackground, abort, nodeDies, errors);
