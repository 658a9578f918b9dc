"""The package anthropic against Penstock."""

from anthropic import Anthropic, APIStatusError, BadRequestError, NotFoundError
from flows import URL, WHOLE, expect, run

client = Anthropic(base_url=URL, api_key="none", max_retries=0, timeout=60)

WEATHER = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def ask(text):
    return [{"role": "user", "content": text}]


def message():
    answer = client.messages.create(model="sse", max_tokens=100, messages=ask("count"))
    expect((answer.type, answer.role, answer.stop_reason), ("message", "assistant", "end_turn"))
    expect([block.text for block in answer.content], ["one two three"])
    expect(answer.usage.output_tokens, 3)


def message_stream():
    with client.messages.stream(model="sse", max_tokens=100, messages=ask("count")) as stream:
        expect("".join(stream.text_stream), "one two three")
        final = stream.get_final_message()
    expect(final.stop_reason, "end_turn")
    expect(final.usage.output_tokens, 3)


def system_and_blocks():
    answer = client.messages.create(
        model="sse",
        max_tokens=100,
        system=[{"type": "text", "text": "Be short."}],
        messages=[{"role": "user", "content": [{"type": "text", "text": "count"}]}],
    )
    expect(answer.content[0].text, "one two three")


def tools():
    answer = client.messages.create(model="sse", max_tokens=100, messages=ask("tools"), tools=[WEATHER])
    expect(answer.stop_reason, "tool_use")
    call = answer.content[-1]
    expect((call.type, call.id, call.name, call.input), ("tool_use", "call_1", "weather", {"city": "Oslo"}))


def tools_stream():
    with client.messages.stream(
        model="sse", max_tokens=100, messages=ask("tools"), tools=[WEATHER]
    ) as stream:
        call = stream.get_final_message().content[-1]
    expect((call.type, call.id, call.name, call.input), ("tool_use", "call_1", "weather", {"city": "Oslo"}))


def tool_result():
    answer = client.messages.create(
        model="sse",
        max_tokens=100,
        tools=[WEATHER],
        messages=[
            {"role": "user", "content": "tools"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"},
                    {"type": "text", "text": "count"},
                ],
            },
        ],
    )
    expect(answer.content[0].text, "one two three")


def count_tokens():
    count = client.messages.count_tokens(model="sse", messages=ask("count these words"))
    expect(0 < count.input_tokens < 100, True)


def abort():
    with client.messages.stream(model="sse", max_tokens=5000, messages=ask("slow")) as stream:
        for _, _ in zip(range(3), stream):
            pass


def node_dies():
    with client.messages.stream(model="sse", max_tokens=5000, messages=ask("dies anthropic")) as stream:
        expect("".join(stream.text_stream), WHOLE)


def errors():
    try:
        client.messages.create(model="missing", max_tokens=100, messages=ask("count"))
        raise AssertionError("no error")
    except NotFoundError as e:
        expect(e.body["error"]["type"], "not_found_error")
    try:
        client.messages.create(model="sse", max_tokens=100, messages=[{"role": "nobody", "content": "count"}])
        raise AssertionError("no error")
    except BadRequestError as e:
        expect(e.body["error"]["type"], "invalid_request_error")
    try:
        client.messages.create(model="sse", max_tokens=100, messages=ask("fails"))
        raise AssertionError("no error")
    except APIStatusError as e:
        expect((e.status_code, e.body["error"]["type"]), (502, "api_error"))


run(
    message,
    message_stream,
    system_and_blocks,
    tools,
    tools_stream,
    tool_result,
    count_tokens,
    abort,
    node_dies,
    errors,
)
