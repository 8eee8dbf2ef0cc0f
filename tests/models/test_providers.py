"""Anthropic's and Bedrock's own protocols as upstreams, over real HTTP."""

from __future__ import annotations

import binascii
import json
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web

from codeweft.config import ModelSettings
from codeweft.errors import InvalidRequest, UpstreamFailed
from codeweft.models.anthropic import AnthropicModel
from codeweft.models.bedrock import BedrockModel
from codeweft.models.blocks import BlockTurn, Result, Text, Use, laid_out
from codeweft.models.last_resort import NOTE
from codeweft.stream import fold
from codeweft.types import Infill, Message, Request, Sampling, ToolCall, replace
from tests.models import endpoint
from tests.models.endpoint import Behaviour, Endpoint

TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it.", "parameters": {"type": "object"}},
}
CONVERSATION = (
    Message("system", "Be short."),
    Message("user", "Weather in Seoul?"),
    Message("assistant", "Looking.", tool_calls=(ToolCall("t1", "weather", '{"city": "Seoul"}'),)),
    Message("tool", "rain", tool_call_id="t1"),
    Message("user", "And Busan?"),
)
ASKED = Request(
    "m", CONVERSATION, tools=(TOOL,), tool_choice="auto", sampling=Sampling(max_tokens=9, temperature=0.0)
)


def events(*told: dict[str, Any]) -> Behaviour:
    """Anthropic's events as a stream."""
    text = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in told)
    return endpoint.status(200, text, kind="text/event-stream")


ANSWER = (
    {"type": "message_start", "message": {"usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "xyz"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "ping"},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Let me "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "see."}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t2", "name": "weather", "input": {}}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"city":'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '"Busan"}'}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 12}},
    {"type": "message_stop"},
)  # fmt: skip


async def test_anthropic_is_asked_and_read_in_its_own_words() -> None:
    async with endpoint.running(events(*ANSWER)) as one:
        model = AnthropicModel("claude", one.url, api_key="secret", model="claude-x")
        answer = await fold(model.stream(ASKED))
        await model.close()
    assert (answer.reasoning, answer.text, answer.reason) == ("Hm.", "Let me see.", "tool_calls")
    assert answer.tool_calls == (ToolCall("t2", "weather", '{"city":"Busan"}'),)
    assert (answer.usage.prompt_tokens, answer.usage.cached_tokens, answer.usage.completion_tokens) == (
        15,
        5,
        12,
    )
    (path, body), headers = one.asked[0], one.headers[0]
    assert path == "/messages"
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("secret", "2023-06-01")
    assert body["system"] == "Be short."
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == [
        {"type": "text", "text": "Looking."},
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Seoul"}},
    ]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "t1", "content": "rain"},
        {"type": "text", "text": "And Busan?"},
    ]
    assert body["tools"] == [
        {"name": "weather", "description": "Tells it.", "input_schema": {"type": "object"}}
    ]
    assert (body["tool_choice"], body["max_tokens"], body["temperature"]) == ({"type": "auto"}, 9, 0.0)


async def test_anthropic_is_told_to_call_one_tool_at_a_time_and_other_fields_are_refused() -> None:
    one_at_a_time = replace(ASKED, parallel_tools=False)
    model = AnthropicModel("m", "http://127.0.0.1:1", api_key="secret", model="claude")
    try:
        body, _ = model._body(one_at_a_time)
        assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
        with pytest.raises(InvalidRequest, match="verbosity"):
            model._body(replace(ASKED, forwarded={"verbosity": "low"}))
    finally:
        await model.close()


async def test_anthropics_errors_are_told_without_the_key() -> None:
    refusal = {"type": "error", "error": {"type": "authentication_error", "message": "bad key: secret"}}
    async with endpoint.running(
        endpoint.status(401, json.dumps(refusal)),
        events(ANSWER[0], {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        events(*ANSWER[:8]),
        endpoint.status(200, "data: <html>\n\n", kind="text/event-stream"),
    ) as one:
        model = AnthropicModel("claude", one.url, api_key="secret", model="claude-x", attempts=1)
        for says in ("bad key: …", "Overloaded", "broke off", "not an event"):
            with pytest.raises(UpstreamFailed, match=says):
                await fold(model.stream(ASKED))
        await model.close()


@pytest.mark.parametrize("field", ["seed", "logprobs", "frequency_penalty", "grammar"])
async def test_what_anthropic_does_not_take_is_refused_by_name(field: str) -> None:
    model = AnthropicModel("claude", "http://127.0.0.1:9", model="claude-x")
    given: Any = {field: "root ::= x" if field == "grammar" else 1}
    with pytest.raises(InvalidRequest, match=field):
        await fold(model.stream(Request("m", CONVERSATION, sampling=Sampling(**given))))


async def test_a_hole_is_asked_for_in_words_and_says_so() -> None:
    answer = (
        ANSWER[0],
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "```python\nw * h\n```"},
        },
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    )
    async with endpoint.running(events(*answer)) as one:
        model = AnthropicModel("claude", one.url, model="claude-x")
        told = await fold(model.stream(Request("m", infill=Infill("def area(w, h):\n    return ", "\n"))))
        await model.close()
    assert (told.text, told.note) == ("w * h", NOTE)
    assert "def area" in one.asked[0][1]["messages"][0]["content"][0]["text"]


def test_turns_alternate_and_begin_with_the_user() -> None:
    system, turns = laid_out(
        [
            Message("system", "a"),
            Message("assistant", "Hello."),
            Message("system", "b"),
            Message("user", "x"),
            Message("user", "y"),
            Message("assistant", "", tool_calls=(ToolCall("1", "f", "not json"),)),
            Message("tool", "r", tool_call_id="1"),
        ]
    )
    assert system == "a\n\nb"
    assert turns == [
        BlockTurn("user", (Text("…"),)),
        BlockTurn("assistant", (Text("Hello."),)),
        BlockTurn("user", (Text("x"), Text("y"))),
        BlockTurn("assistant", (Use("1", "f", {"arguments": "not json"}),)),
        BlockTurn("user", (Result("1", "r"),)),
    ]


# ── Bedrock ──────────────────────────────────────────────────────────────────────────────────────────────────


def frame(kind: str, payload: dict[str, Any], message: str = "event") -> bytes:
    """A message of AWS's event stream encoding: prelude, headers, payload, checksums."""
    headers = b""
    for name, value in ((":event-type", kind), (":message-type", message)):
        headers += (
            bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        )
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    prelude += struct.pack(">I", binascii.crc32(prelude))
    whole = prelude + headers + body
    return whole + struct.pack(">I", binascii.crc32(whole))


def frames(*told: bytes) -> Behaviour:
    async def behave(_: Endpoint, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/vnd.amazon.eventstream"})
        await response.prepare(request)
        data = b"".join(told)
        for start in range(0, len(data), 37):
            await response.write(data[start : start + 37])
        return response

    return behave


CONVERSED: Sequence[bytes] = (
    frame("messageStart", {"role": "assistant"}),
    frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Let me "}}),
    frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "see."}}),
    frame("contentBlockStop", {"contentBlockIndex": 0}),
    frame(
        "contentBlockStart",
        {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t2", "name": "weather"}}},
    ),
    frame("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"city":"Busan"}'}}}),
    frame("messageStop", {"stopReason": "tool_use"}),
    frame(
        "metadata",
        {"usage": {"inputTokens": 15, "outputTokens": 12, "totalTokens": 27}, "metrics": {"latencyMs": 3}},
    ),
)


async def test_bedrock_is_asked_and_read_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    async with endpoint.running(frames(*CONVERSED)) as one:
        model = BedrockModel("claude", region="eu-west-1", base_url=one.url, model="anthropic.claude:0")
        answer = await fold(model.stream(ASKED))
        await model.close()
    assert (answer.text, answer.reason) == ("Let me see.", "tool_calls")
    assert answer.tool_calls == (ToolCall("t2", "weather", '{"city":"Busan"}'),)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (15, 12)
    (path, body), headers = one.asked[0], one.headers[0]
    assert path == "/model/anthropic.claude:0/converse-stream"
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/bedrock/aws4_request" in headers["Authorization"]
    assert body["system"] == [{"text": "Be short."}]
    assert body["messages"][2]["content"][0] == {
        "toolResult": {"toolUseId": "t1", "content": [{"text": "rain"}]}
    }
    assert body["inferenceConfig"] == {"maxTokens": 9, "temperature": 0.0}
    assert body["toolConfig"]["tools"][0]["toolSpec"]["name"] == "weather"


async def test_a_bedrock_key_goes_as_a_bearer_token_and_its_errors_are_told() -> None:
    throttled = frame("throttlingException", {"message": "Too many tokens"}, "exception")
    async with endpoint.running(
        frames(CONVERSED[0], throttled), frames(*CONVERSED[:3]), endpoint.status(200, "<html>")
    ) as one:
        model = BedrockModel("claude", region="x", base_url=one.url, model="m", api_key="bedrock-key")
        for says in ("Too many tokens", "broke off", "not answer with an event stream|broke off"):
            with pytest.raises(UpstreamFailed, match=says):
                await fold(model.stream(ASKED))
        await model.close()
    assert one.headers[0]["Authorization"] == "Bearer bedrock-key"


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocol": "bedrock"},
        {"region": "eu-west-1", "base_url": "https://x"},
        {"protocol": "anthropic", "base_url": "https://x", "embeddings": True},
        {"protocol": "gopher", "base_url": "https://x"},
    ],
)
def test_settings_of_providers_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ModelSettings(**wrong)


def test_settings_of_providers_are_taken() -> None:
    assert ModelSettings(protocol="bedrock", region="eu-west-1").region == "eu-west-1"
    assert ModelSettings(protocol="anthropic", base_url="https://x/v1").protocol == "anthropic"
