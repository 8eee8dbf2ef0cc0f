"""Anthropic's official SDK works unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import pytest

from codeweft.models.scripted import ScriptedModel
from codeweft.types import Done, ReasoningDelta, Started, TextDelta, ToolCall, ToolCallDelta, Usage
from tests.server.conftest import Server, app_model

WEATHER: Any = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def thinking_caller() -> ScriptedModel:
    """A model that thinks, speaks and calls a tool."""
    events = [
        Started("thinker", ""),
        ReasoningDelta("Which "),
        ReasoningDelta("city?"),
        TextDelta("Let me look."),
        ToolCallDelta(0, "", "call_1", "weather"),
        ToolCallDelta(0, '{"city": '),
        ToolCallDelta(0, '"Seoul"}'),
        Done(Usage(9, 7, 4), "tool_calls"),
    ]
    return ScriptedModel("thinker", events)


@pytest.fixture(scope="module")
def client(server: Server) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key=server.key, max_retries=0)


def ask(client: anthropic.Anthropic, **options: Any) -> Any:
    given = {"model": "codegen", "max_tokens": 50, "messages": [{"role": "user", "content": "total?"}]}
    return client.messages.create(**(given | options))


def test_a_message_carries_text_usage_and_references(client: anthropic.Anthropic) -> None:
    message = ask(client)
    assert message.content[0].text == "Use `total` [1]."
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (10, 2)
    assert message.usage.output_tokens == 4
    assert message.model_extra["references"][0]["path"] == "cart.py"
    assert message.model_extra["note"] == "This is only a test."


def test_a_stream_tells_the_same_as_the_whole(client: anthropic.Anthropic) -> None:
    with client.messages.stream(
        model="codegen", max_tokens=50, messages=[{"role": "user", "content": "total?"}]
    ) as stream:
        assert "".join(stream.text_stream) == "Use `total` [1]."
        final = stream.get_final_message()
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 4


def test_thinking_and_tool_calls_come_as_blocks(starting: Callable[..., Server]) -> None:
    server = starting({"thinker": thinking_caller()})
    client = anthropic.Anthropic(base_url=server.url, api_key=server.key, max_retries=0)
    whole = ask(client, model="thinker", tools=[WEATHER], tool_choice={"type": "any"})
    with client.messages.stream(
        model="thinker", max_tokens=50, tools=[WEATHER], messages=[{"role": "user", "content": "weather?"}]
    ) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
        assert message.content[0].thinking == "Which city?"
        assert message.content[2].name == "weather"
        assert message.content[2].input == {"city": "Seoul"}
        assert message.stop_reason == "tool_use"
    request = server.composition.models["thinker"].requests[0]
    assert request.tools[0]["function"]["name"] == "weather"
    assert request.tool_choice == "required"


def test_turns_with_system_tools_and_results_stay_turns(starting: Callable[..., Server]) -> None:
    server = starting({"plain": ScriptedModel("plain", "fine")})
    client = anthropic.Anthropic(base_url=server.url, api_key=server.key, max_retries=0)
    ask(
        client,
        model="plain",
        system=[{"type": "text", "text": "Be short.", "cache_control": {"type": "ephemeral"}}],
        tools=[WEATHER],
        stop_sequences=["END"],
        messages=[
            {"role": "user", "content": "weather in Seoul?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": ""},
                    {"type": "text", "text": "Looking."},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "서울"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [{"type": "text", "text": "rain"}],
                    },
                    {"type": "text", "text": "And tomorrow?"},
                ],
            },
        ],
    )
    (request,) = server.composition.models["plain"].requests
    assert [turn.role for turn in request.messages] == ["system", "user", "assistant", "tool", "user"]
    assert request.messages[0].content == "Be short."
    assert request.messages[2].content == "Looking."
    assert request.messages[2].tool_calls == (
        ToolCall("t1", "weather", json.dumps({"city": "서울"}, ensure_ascii=False)),
    )
    assert (request.messages[3].content, request.messages[3].tool_call_id) == ("rain", "t1")
    assert request.messages[4].content == "And tomorrow?"
    assert request.sampling.stop == ("END",)
    assert request.sampling.max_tokens == 50


def test_tokens_are_counted_without_answering(starting: Callable[..., Server]) -> None:
    server = starting({"plain": ScriptedModel("plain", "fine")})
    client = anthropic.Anthropic(base_url=server.url, api_key=server.key, max_retries=0)
    counted = client.messages.count_tokens(model="plain", messages=[{"role": "user", "content": "abc" * 30}])
    assert counted.input_tokens == 30
    assert server.composition.models["plain"].requests == []


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"model": "nope"}, anthropic.NotFoundError, "nope"),
        ({"messages": []}, anthropic.BadRequestError, "nothing to answer"),
        ({"temperature": 3.0}, anthropic.BadRequestError, "temperature"),
        ({"extra_body": {"surprise": 1}}, anthropic.BadRequestError, "surprise"),
        (
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            anthropic.BadRequestError,
            "server tool",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}
                ]
            },
            anthropic.BadRequestError,
            "text only",
        ),
    ],
)
def test_bad_requests_are_refused_in_anthropics_words(
    client: anthropic.Anthropic, options: dict[str, Any], error: type[anthropic.APIStatusError], says: str
) -> None:
    options = {"extra_body": {"temperature": options["temperature"]}} if "temperature" in options else options
    with pytest.raises(error) as caught:
        ask(client, **options)
    body = caught.value.body
    assert isinstance(body, dict) and body["type"] == "error"
    assert says in body["error"]["message"]


def test_a_wrong_key_is_an_authentication_error(server: Server) -> None:
    client = anthropic.Anthropic(base_url=server.url, api_key="wrong-key", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        ask(client)


def test_a_stream_that_breaks_ends_with_an_error_event(starting: Callable[..., Server]) -> None:
    from codeweft.errors import EngineFailed
    from codeweft.types import Failed

    broken = ScriptedModel(
        "broken", [Started("broken"), TextDelta("half"), Failed(EngineFailed("It crashed."))]
    )
    server = starting({"broken": broken, "codegen": app_model()})
    client = anthropic.Anthropic(base_url=server.url, api_key=server.key, max_retries=0)
    with pytest.raises(anthropic.APIStatusError, match="crashed"):
        for _ in ask(client, model="broken", stream=True):
            pass
