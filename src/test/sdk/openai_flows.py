"""The package openai against Penstock."""

from flows import URL, WHOLE, expect, run
from openai import APIStatusError, BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=URL + "/v1", api_key="none", max_retries=0, timeout=60)

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def ask(text):
    return [{"role": "user", "content": text}]


def chat():
    answer = client.chat.completions.create(model="sse", messages=ask("count"))
    expect(answer.object, "chat.completion")
    expect(answer.choices[0].message.content, "one two three")
    expect(answer.choices[0].finish_reason, "stop")
    expect(answer.usage.completion_tokens, 3)
    expect(answer.usage.total_tokens, answer.usage.prompt_tokens + 3)


def headers():
    raw = client.chat.completions.with_raw_response.create(
        model="sse", messages=ask("count"), extra_headers={"x-request-id": "mine-1"}
    )
    expect(raw.headers["x-penstock-attempts"], "1")
    expect(raw.headers["x-request-id"], "mine-1")
    expect(raw.headers["x-penstock-node"] in ("fake", "other"), True)


def chat_stream():
    text, reasons, usages = "", [], []
    for chunk in client.chat.completions.create(
        model="sse",
        messages=ask("count"),
        stream=True,
        stream_options={"include_usage": True},
    ):
        expect(chunk.object, "chat.completion.chunk")
        for choice in chunk.choices:
            text += choice.delta.content or ""
            if choice.finish_reason:
                reasons.append(choice.finish_reason)
        if chunk.usage:
            expect(chunk.choices, [])
            usages.append(chunk.usage.completion_tokens)
    expect(text, "one two three")
    expect(reasons, ["stop"])
    expect(usages, [3])


def stream_without_usage():
    for chunk in client.chat.completions.create(model="sse", messages=ask("count"), stream=True):
        expect(chunk.usage, None)
        expect(len(chunk.choices), 1)


def tools():
    answer = client.chat.completions.create(model="sse", messages=ask("tools"), tools=[WEATHER])
    call = answer.choices[0].message.tool_calls[0]
    expect((call.id, call.function.name, call.function.arguments), ("call_1", "weather", '{"city":"Oslo"}'))
    expect(answer.choices[0].finish_reason, "tool_calls")


def tools_stream():
    with client.chat.completions.stream(model="sse", messages=ask("tools"), tools=[WEATHER]) as stream:
        for _ in stream:
            pass
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    expect((call.id, call.function.name, call.function.arguments), ("call_1", "weather", '{"city":"Oslo"}'))


class City(BaseModel):
    city: str
    people: int


def structured_output():
    answer = client.chat.completions.parse(model="sse", messages=ask("json"), response_format=City)
    expect(answer.choices[0].message.parsed, City(city="Oslo", people=700000))


def completion():
    answer = client.completions.create(model="sse", prompt="count")
    expect(answer.object, "text_completion")
    expect(answer.choices[0].text, "one two three")


def completion_stream():
    text = ""
    for chunk in client.completions.create(model="sse", prompt="count", stream=True):
        text += chunk.choices[0].text
    expect(text, "one two three")


def embeddings():
    answer = client.embeddings.create(model="sse", input=["a", "b"])
    expect([one.index for one in answer.data], [0, 1])
    expect(len(answer.data[0].embedding) > 0, True)
    floats = client.embeddings.create(model="sse", input="a", encoding_format="float")
    expect(floats.data[0].embedding, answer.data[0].embedding)


def models():
    expect("sse" in [model.id for model in client.models.list()], True)
    expect(client.models.retrieve("sse").id, "sse")


def response():
    answer = client.responses.create(model="sse", input="count")
    expect((answer.status, answer.output_text), ("completed", "one two three"))
    expect(answer.usage.output_tokens, 3)


def response_stream():
    with client.responses.stream(model="sse", input="count") as stream:
        numbers = [event.sequence_number for event in stream]
        expect(numbers, list(range(len(numbers))))
        expect(stream.get_final_response().output_text, "one two three")


def response_with_tools():
    tool = {"type": "function", "strict": False, **WEATHER["function"]}
    call = client.responses.create(model="sse", input="tools", tools=[tool]).output[-1]
    expect((call.type, call.call_id, call.name, call.arguments), ("function_call", "call_1", "weather", '{"city":"Oslo"}'))


def ended(response):
    while response.status in ("queued", "in_progress"):
        response = client.responses.retrieve(response.id)
    return response


def response_in_background():
    answer = ended(client.responses.create(model="sse", input="count", background=True))
    expect((answer.status, answer.output_text), ("completed", "one two three"))
    events = list(client.responses.retrieve(answer.id, stream=True))
    half = events[len(events) // 2].sequence_number
    rest = client.responses.retrieve(answer.id, stream=True, starting_after=half)
    expect([event.sequence_number for event in rest], [e.sequence_number for e in events if e.sequence_number > half])
    after = client.responses.create(model="sse", input="count", previous_response_id=answer.id)
    expect(after.output_text, "one two three")
    client.responses.delete(answer.id)
    error(NotFoundError, "not_found", lambda: client.responses.retrieve(answer.id))


def response_cancelled():
    begun = client.responses.create(model="sse", input="slow", background=True)
    client.responses.cancel(begun.id)
    expect(ended(client.responses.retrieve(begun.id)).status, "cancelled")


def abort():
    stream = client.chat.completions.create(model="sse", messages=ask("slow"), stream=True)
    for _, _ in zip(range(3), stream):
        pass
    stream.close()


def node_dies():
    text = ""
    for chunk in client.chat.completions.create(model="sse", messages=ask("dies python"), stream=True):
        text += chunk.choices[0].delta.content or ""
    expect(text, WHOLE)


def error(kind, code, call):
    try:
        call()
    except kind as e:
        expect(e.code, code)
        return e
    raise AssertionError("no error")


def errors():
    error(
        NotFoundError,
        "model_not_found",
        lambda: client.chat.completions.create(model="missing", messages=ask("count")),
    )
    error(NotFoundError, "model_not_found", lambda: client.models.retrieve("missing"))
    bad = error(
        BadRequestError,
        "invalid_request",
        lambda: client.chat.completions.create(model="sse", messages=ask("count"), temperature="hot"),
    )
    expect(bad.param, "temperature")
    error(
        BadRequestError,
        "context_length_exceeded",
        lambda: client.chat.completions.create(model="sse", messages=ask("too long")),
    )
    broken = error(
        APIStatusError,
        "node_error",
        lambda: client.chat.completions.create(model="sse", messages=ask("fails")),
    )
    expect(broken.status_code, 502)


run(
    chat,
    headers,
    chat_stream,
    stream_without_usage,
    tools,
    tools_stream,
    structured_output,
    completion,
    completion_stream,
    embeddings,
    models,
    response,
    response_stream,
    response_with_tools,
    response_in_background,
    response_cancelled,
    abort,
    node_dies,
    errors,
)
