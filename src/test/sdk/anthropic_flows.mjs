// The package @anthropic-ai/sdk against Penstock.
import Anthropic from "@anthropic-ai/sdk";
import { URL, WHOLE, assert, run } from "./flows.mjs";

const client = new Anthropic({ baseURL: URL, apiKey: "none", maxRetries: 0 });
const ask = (content) => [{ role: "user", content }];
const request = (text) => ({ model: "sse", max_tokens: 5000, messages: ask(text) });
const weather = {
  name: "weather",
  input_schema: { type: "object", properties: { city: { type: "string" } } },
};

async function message() {
  const answer = await client.messages.create(request("count"));
  assert.equal(answer.content[0].text, "one two three");
  assert.equal(answer.stop_reason, "end_turn");
}

async function messageStream() {
  const stream = client.messages.stream(request("count"));
  assert.equal(await stream.finalText(), "one two three");
}

async function toolsStream() {
  const stream = client.messages.stream({ ...request("tools"), tools: [weather] });
  const call = (await stream.finalMessage()).content.at(-1);
  assert.deepEqual([call.type, call.id, call.name, call.input], ["tool_use", "call_1", "weather", { city: "Oslo" }]);
}

async function countTokens() {
  const count = await client.messages.countTokens({ model: "sse", messages: ask("count these words") });
  assert.ok(count.input_tokens > 0);
}

async function nodeDies() {
  const stream = client.messages.stream(request("dies anthropic-node"));
  assert.equal(await stream.finalText(), WHOLE);
}

async function errors() {
  await assert.rejects(
    client.messages.create({ ...request("count"), model: "missing" }),
    (e) => e instanceof Anthropic.NotFoundError && e.error.error.type === "not_found_error",
  );
}

await run(message, messageStream, toolsStream, countTokens, nodeDies, errors);
