"""Reading an endpoint's answer: the same however the network cuts it, streamed or in one piece."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codeweft.errors import UpstreamFailed
from codeweft.models.openai_compatible import OpenAICompatible
from codeweft.models.reading import Reading, in_one_piece
from codeweft.models.upstream import Upstream
from codeweft.models.wire import StreamChunk, decode_chunk
from codeweft.stream import fold
from codeweft.types import Event, Message, ReasoningDelta, Request, TextDelta, ToolCallDelta
from tests.models import endpoint
from tests.models.endpoint import FINISHED, USAGE, said

ASKED = Request("m", (Message("user", "hello"),))
WHOLE = Request("m", (Message("user", "hello"),), whole=True)
STREAM = b"".join(
    b"data: %s\r\n\r\n" % (one if isinstance(one, bytes) else json.dumps(one, ensure_ascii=False).encode())
    for one in (said("größer "), said("als 1 \N{DESERT}"), FINISHED, USAGE, b"[DONE]")
)


def read(*pieces: bytes, kind: str = "text/event-stream") -> tuple[Reading, list[Event]]:
    reading = Reading(kind, decode_chunk, name="m")
    return reading, [event for piece in pieces for event in reading.feed(piece)]


def test_where_the_network_cuts_makes_no_difference() -> None:
    for cut in range(1, len(STREAM)):
        reading, events = read(STREAM[:cut], STREAM[cut:])
        assert events == [TextDelta("größer "), TextDelta("als 1 \N{DESERT}")]
        assert reading.ended and reading.reason == "stop"
        assert reading.usage is not None and reading.usage.total_tokens == 10


def packed() -> Reading:
    def decode(line: bytes) -> StreamChunk:
        if line == b"garbage":
            raise UpstreamFailed("garbage")
        return decode_chunk(line)

    return Reading("text/event-stream", decode, name="m", packed=True)


def test_deltas_that_arrive_together_go_on_together_and_say_the_same() -> None:
    for cut in range(1, len(STREAM)):
        reading = packed()
        events = [event for piece in (STREAM[:cut], STREAM[cut:]) for event in reading.feed(piece)]
        told = [
            piece
            for event in events
            if isinstance(event, TextDelta)
            for piece in event.pieces or (event.text,)
        ]
        assert told == ["größer ", "als 1 \N{DESERT}"]
        assert (reading.text, reading.chunks) == ("größer als 1 \N{DESERT}", 4)
        assert reading.ended and reading.reason == "stop" and reading.first_token_s is not None
        assert reading.usage is not None and reading.usage.total_tokens == 10
    assert list(packed().feed(STREAM)) == [
        TextDelta("größer als 1 \N{DESERT}", pieces=("größer ", "als 1 \N{DESERT}"))
    ]


def test_deltas_stay_in_order_with_what_is_no_text() -> None:
    thought = {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}
    parts = (said("a"), said("b"), thought, said("c"))
    stream = b"".join(b"data: %s\n\n" % json.dumps(part).encode() for part in parts)
    assert list(packed().feed(stream)) == [
        TextDelta("ab", pieces=("a", "b")),
        ReasoningDelta("hm"),
        TextDelta("c"),
    ]
    broken = (
        b"".join(b"data: %s\n\n" % json.dumps(part).encode() for part in parts[:2]) + b"data: garbage\n\n"
    )
    events = iter(packed().feed(broken))
    assert next(events) == TextDelta("ab", pieces=("a", "b"))
    with pytest.raises(UpstreamFailed):
        next(events)


def test_what_came_before_garbage_is_told() -> None:
    reading = Reading("text/event-stream", decode_chunk, name="m")
    events = reading.feed(b"data: " + json.dumps(said("half")).encode() + b"\n" + b"x" * ((32 << 20) + 1))
    with pytest.raises(UpstreamFailed):
        list(events)
    fine = Reading("text/event-stream", decode_chunk, name="m")
    assert list(fine.feed(b"data: " + json.dumps(said("half")).encode() + b"\n")) == [TextDelta("half")]


def test_an_answer_in_one_piece_says_what_the_same_answer_streamed_says() -> None:
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in (1, 2)
    ]
    message = {"role": "assistant", "content": "text", "reasoning_content": "why", "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    body = json.dumps({"choices": [choice], "usage": USAGE["usage"]}).encode()
    for cut in range(1, len(body), 7):
        reading, events = read(body[:cut], body[cut:], b"", kind="application/json")
        assert events == [
            ReasoningDelta("why"),
            TextDelta("text"),
            ToolCallDelta(0, "{}", "c1", "f"),
            ToolCallDelta(1, "{}", "c2", "f"),
        ]
        assert reading.reason == "tool_calls" and reading.usage is not None


@pytest.mark.parametrize(
    ("request_", "server", "expected"),
    [
        (WHOLE, "uvicorn", True),
        (WHOLE, "", True),
        (WHOLE, None, False),
        (WHOLE, "llama.cpp", False),
        (ASKED, "uvicorn", False),
    ],
)
def test_only_what_nobody_reads_along_is_asked_for_in_one_piece(
    request_: Request, server: str | None, expected: bool
) -> None:
    assert in_one_piece(request_, server) is expected


async def test_an_endpoint_is_asked_for_whole_answers_once_it_is_known() -> None:
    whole = {**USAGE, "choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]}

    async def either(there: endpoint.Endpoint, request: Any) -> Any:
        streams = there.asked[-1][1].get("stream", False)
        behave = (
            endpoint.stream(said("hello"), FINISHED, USAGE)
            if streams
            else endpoint.status(200, json.dumps(whole))
        )
        return await behave(there, request)

    async with endpoint.running(either) as there:
        model = OpenAICompatible("m", there.url, model="m")
        answers = [await fold(model.stream(WHOLE)) for _ in range(2)]
        await fold(model.stream(ASKED))
        await model.close()
    assert [(answer.text, answer.reason, answer.usage.total_tokens) for answer in answers] == [
        ("hello", "stop", 10)
    ] * 2
    assert [asked.get("stream", False) for _, asked in there.asked] == [True, False, True]


async def test_the_connection_is_kept_when_the_end_of_the_body_comes_after_the_last_event() -> None:
    async with endpoint.running(endpoint.stream(said("hello"), FINISHED, USAGE)) as there:
        model = OpenAICompatible("m", there.url, model="m")
        for _ in range(3):
            await fold(model.stream(ASKED))
        session = model._upstream._open()
        assert session.connector is not None
        kept = sum(len(idle) for idle in session.connector._conns.values())
        await model.close()
    assert kept == 1


async def test_a_proxy_of_the_environment_is_used_for_other_hosts_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    here, there = Upstream("a", "http://127.0.0.1:1/v1", None), Upstream("b", "http://example.com/v1", None)
    try:
        here._open(), there._open()
        assert (here._proxy, there._proxy) == (None, "http://127.0.0.1:9/")
    finally:
        await here.close()
        await there.close()
