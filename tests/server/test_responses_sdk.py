"""OpenAI's Responses protocol by the official SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

from codeweft.errors import EngineFailed
from codeweft.models.scripted import ScriptedModel
from codeweft.types import Done, Failed, Started, TextDelta, ToolCall, Usage
from tests.server.conftest import Server
from tests.server.test_anthropic_sdk import thinking_caller

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def sdk(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url + "/v1", api_key=server.key, max_retries=0)


def test_a_response_carries_text_usage_and_references(server: Server) -> None:
    response = sdk(server).responses.create(model="codegen", input="total?")
    assert response.output_text == "Use `total` [1]."
    assert response.status == "completed"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (12, 4)
    assert response.model_extra is not None
    assert response.model_extra["references"][0]["path"] == "cart.py"


def test_a_stream_builds_the_same_response(server: Server) -> None:
    with sdk(server).responses.stream(model="codegen", input="total?") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == "Use `total` [1]."
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.output_text.delta") == 2


def test_reasoning_and_function_calls_are_items(starting: Callable[..., Server]) -> None:
    server = starting({"thinker": thinking_caller()})
    asked: Any = {"model": "thinker", "input": "weather?", "tools": [WEATHER], "tool_choice": "required"}
    whole = sdk(server).responses.create(**asked)
    with sdk(server).responses.stream(**asked) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_response()
    for response in (whole, streamed):
        assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
        assert response.output[2].name == "weather"
        assert response.output[2].arguments == '{"city": "Seoul"}'
        assert response.output[2].call_id == "call_1"
    request = server.composition.models["thinker"].requests[0]
    assert request.tools[0]["function"]["name"] == "weather"
    assert request.tool_choice == "required"


def test_the_whole_input_becomes_turns(starting: Callable[..., Server]) -> None:
    server = starting({"plain": ScriptedModel("plain", "fine")})
    sdk(server).responses.create(
        model="plain",
        instructions="Be short.",
        max_output_tokens=40,
        text={"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}},
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "weather?"}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"role": "assistant", "content": "Looking."},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Seoul"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
            {"role": "user", "content": "And tomorrow?"},
        ],
    )
    (request,) = server.composition.models["plain"].requests
    assert [turn.role for turn in request.messages] == ["system", "user", "assistant", "tool", "user"]
    assert request.messages[2].content == "Looking."
    assert request.messages[2].tool_calls == (ToolCall("c1", "weather", '{"city":"Seoul"}'),)
    assert request.messages[3].tool_call_id == "c1"
    assert request.sampling.max_tokens == 40
    assert request.sampling.json_schema == {"type": "object"}


def test_an_answer_cut_short_is_incomplete(starting: Callable[..., Server]) -> None:
    cut = ScriptedModel("cut", [Started("cut"), TextDelta("half"), Done(Usage(3, 1), "length")])
    response = sdk(starting({"cut": cut})).responses.create(model="cut", input="x")
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


def test_a_broken_stream_ends_with_a_failed_response(starting: Callable[..., Server]) -> None:
    broken = ScriptedModel("broken", [Started("b"), TextDelta("half"), Failed(EngineFailed("It crashed."))])
    stream = sdk(starting({"broken": broken})).responses.create(model="broken", input="x", stream=True)
    last = list(stream)[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None and "crashed" in last.response.error.message


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "item_reference"),
        ({"max_output_tokens": 0}, "max_tokens"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(server: Server, change: dict[str, Any], names: str) -> None:
    with pytest.raises(openai.BadRequestError, match=names):
        sdk(server).responses.create(**({"model": "codegen", "input": "x"} | change))
