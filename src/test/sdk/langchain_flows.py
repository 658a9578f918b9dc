"""LangChain's ChatOpenAI against Penstock."""

from flows import URL, WHOLE, expect, run
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

model = ChatOpenAI(model="sse", base_url=URL + "/v1", api_key="none", max_retries=0)


@tool
def weather(city: str) -> str:
    """Returns the weather of a city."""
    return city


class City(BaseModel):
    city: str
    people: int


def chat():
    answer = model.invoke("count")
    expect(answer.content, "one two three")
    expect(answer.usage_metadata["output_tokens"], 3)


def stream():
    expect("".join(chunk.content for chunk in model.stream("count")), "one two three")


def tools():
    calls = model.bind_tools([weather]).invoke("tools").tool_calls
    expect([(call["name"], call["args"]) for call in calls], [("weather", {"city": "Oslo"})])


def structured_output():
    expect(model.with_structured_output(City).invoke("json"), City(city="Oslo", people=700000))


def embeddings():
    many = OpenAIEmbeddings(
        model="sse", base_url=URL + "/v1", api_key="none", check_embedding_ctx_length=False
    ).embed_documents(["a", "b"])
    expect(len(many), 2)


def node_dies():
    expect("".join(chunk.content for chunk in model.stream("dies langchain")), WHOLE)


run(chat, stream, tools, structured_output, embeddings, node_dies)
