"""Ollama's official client works unchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ollama
import pytest

from codeweft.models.scripted import ScriptedModel
from codeweft.types import Done, ReasoningDelta, Started, ToolCallDelta, Usage
from tests.server.conftest import Server

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
def client(server: Server) -> ollama.Client:
    return ollama.Client(host=server.url, headers=server.headers)


def test_the_models_are_listed_and_shown(client: ollama.Client) -> None:
    names = [model.model for model in client.list().models]
    assert names == ["codegen", "plain", "explained", "coder", "slow", "letters"]
    shown = client.show("codegen:latest")
    assert set(shown.capabilities or ()) == {"completion", "insert", "tools"}
    assert client.show("letters").capabilities == ["embedding"]
    with pytest.raises(ollama.ResponseError, match="nope") as caught:
        client.show("nope")
    assert caught.value.status_code == 404


def test_a_chat_is_told_whole_and_in_lines(client: ollama.Client) -> None:
    asked: Any = [{"role": "user", "content": "total?"}]
    whole = client.chat("codegen", asked)
    assert whole.message.content == "Use `total` [1]."
    assert (whole.done, whole.done_reason) == (True, "stop")
    assert (whole.prompt_eval_count, whole.eval_count) == (12, 4)
    lines = list(client.chat("codegen:latest", asked, stream=True))
    assert "".join(line.message.content or "" for line in lines) == "Use `total` [1]."
    assert [line.done for line in lines[-2:]] == [False, True]
    assert lines[-1].eval_count == 4


def test_thinking_and_tool_calls_arrive(starting: Callable[..., Server]) -> None:
    events = [
        Started("thinker"),
        ReasoningDelta("Which city?"),
        ToolCallDelta(0, "", "call_1", "weather"),
        ToolCallDelta(0, '{"city": "Seoul"}'),
        Done(Usage(9, 7), "tool_calls"),
    ]
    server = starting({"thinker": ScriptedModel("thinker", events)})
    client = ollama.Client(host=server.url, headers=server.headers)
    turns: Any = [
        {"role": "user", "content": "weather in Busan?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"function": {"name": "weather", "arguments": {"city": "Busan"}}},
                {"function": {"name": "news", "arguments": {}}},
            ],
        },
        {"role": "tool", "tool_name": "news", "content": "none"},
        {"role": "tool", "tool_name": "weather", "content": "rain"},
        {"role": "user", "content": "and Seoul?"},
    ]
    lines = list(client.chat("thinker", turns, tools=[WEATHER], stream=True))
    assert "".join(line.message.thinking or "" for line in lines) == "Which city?"
    (call,) = lines[-1].message.tool_calls or ()
    assert (call.function.name, call.function.arguments) == ("weather", {"city": "Seoul"})
    (request,) = server.composition.models["thinker"].requests
    made = request.messages[1].tool_calls
    assert [turn.tool_call_id for turn in request.messages[2:4]] == [made[1].id, made[0].id]


def test_generate_chats_continues_and_infills(starting: Callable[..., Server]) -> None:
    server = starting({"plain": ScriptedModel("plain", "fine")})
    client = ollama.Client(host=server.url, headers=server.headers)
    assert client.generate("plain", "hello", system="Be short.").response == "fine"
    client.generate(
        "plain", "def f(", raw=True, options={"num_predict": 9, "temperature": 0, "num_ctx": 4096}
    )
    client.generate("plain", "def f(", suffix="return x")
    chat, raw, infill = server.composition.models["plain"].requests
    assert [turn.role for turn in chat.messages] == ["system", "user"]
    assert (raw.prompt, raw.sampling.max_tokens, raw.sampling.temperature) == ("def f(", 9, 0)
    assert (infill.infill.prefix, infill.infill.suffix) == ("def f(", "return x")


def test_a_json_schema_reaches_the_model(starting: Callable[..., Server]) -> None:
    server = starting({"plain": ScriptedModel("plain", "{}")})
    client = ollama.Client(host=server.url, headers=server.headers)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    client.chat("plain", [{"role": "user", "content": "x"}], format=schema)
    assert server.composition.models["plain"].requests[0].sampling.json_schema == schema


def test_texts_are_embedded(client: ollama.Client) -> None:
    made = client.embed("letters", ["abc", "ccc"], dimensions=4)
    assert [len(row) for row in made.embeddings] == [4, 4]
    assert made.prompt_eval_count == 2


def test_what_cannot_be_done_is_refused_by_name(client: ollama.Client) -> None:
    for ask in (
        lambda: client.generate("plain", "x", template="{{ .Prompt }}"),
        lambda: client.chat("plain", [{"role": "user", "content": "x", "images": [b"png"]}]),
        lambda: client.chat("plain", [{"role": "tool", "content": "x", "tool_name": "f"}]),
    ):
        with pytest.raises(ollama.ResponseError) as caught:
            ask()
        assert caught.value.status_code == 400
    with pytest.raises(ollama.ResponseError) as caught:
        ollama.Client(host=client._client.base_url.__str__()).list()
    assert caught.value.status_code == 401
