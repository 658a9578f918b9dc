"""The package ollama against Penstock."""

from flows import URL, WHOLE, expect, run
from ollama import Client, ResponseError

client = Client(host=URL)


def ask(text):
    return [{"role": "user", "content": text}]


def chat():
    answer = client.chat(model="sse", messages=ask("count"))
    expect(answer.message.content, "one two three")
    expect((answer.done, answer.done_reason, answer.eval_count), (True, "stop", 3))


def chat_stream():
    lines = list(client.chat(model="sse", messages=ask("count"), stream=True))
    expect("".join(line.message.content or "" for line in lines), "one two three")
    expect([line.done for line in lines].count(True), 1)
    expect(lines[-1].done, True)


def tools():
    weather = {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "",
            "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": ""}}},
        },
    }
    call = client.chat(model="sse", messages=ask("tools"), tools=[weather]).message.tool_calls[0]
    expect((call.function.name, dict(call.function.arguments)), ("weather", {"city": "Oslo"}))


def generate():
    expect(client.generate(model="sse", prompt="count").response, "one two three")
    text = "".join(line.response for line in client.generate(model="sse", prompt="count", stream=True))
    expect(text, "one two three")


def structured_output():
    answer = client.chat(model="sse", messages=ask("json"), format={"type": "object"})
    expect(answer.message.content, '{"city":"Oslo","people":700000}')


def embed():
    expect(len(client.embed(model="sse", input=["a", "b"]).embeddings), 2)


def models():
    expect("sse:latest" in [model.model for model in client.list().models], True)
    client.ps()
    client.show("sse")


def node_dies():
    lines = client.chat(model="sse", messages=ask("dies ollama"), stream=True)
    expect("".join(line.message.content or "" for line in lines), WHOLE)


def errors():
    try:
        client.chat(model="missing", messages=ask("count"))
        raise AssertionError("no error")
    except ResponseError as e:
        expect(e.status_code, 404)


run(chat, chat_stream, tools, generate, structured_output, embed, models, node_dies, errors)
