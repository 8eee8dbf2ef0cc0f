"""Whatever an endpoint sends, an answer is events that end in exactly one `Done` or `Failed`, and can be told on."""

from __future__ import annotations

import asyncio
import binascii
import json
import math
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from codeweft.errors import CodeweftError, EngineFailed, UpstreamFailed
from codeweft.models import upstream
from codeweft.models.anthropic import AnthropicModel
from codeweft.models.bedrock import BedrockModel
from codeweft.models.embedded import EmbeddedModel
from codeweft.models.engine import Engine
from codeweft.models.openai_compatible import OpenAICompatible, OpenAIEmbedder
from codeweft.models.tokens import PromptTokens
from codeweft.server.emit import Answer, dumps, usage
from codeweft.types import Done, Event, Failed, Infill, Message, Request, TextDelta, ToolCallDelta
from tests.fuzz.effort import effort
from tests.models.tiny_gguf import write_tiny_gguf

CHAT = Request("m", (Message("user", "hello"),))
WHOLE = Request("m", (Message("user", "hello"),), whole=True)
HOLE = Request("m", infill=Infill("def area(w, h):\n    return ", "\n"))


# ── what endpoints send ──────────────────────────────────────────────────────────────────────────────────────

NUMBERS = st.sampled_from([0, 1, -1, 2**31, 2**63, 10**30, -(10**30), 1.5, 1e300])
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(
    ["\x00", "```", "```py\n", "\n```\n", "[DONE]", "data: x", "\u2028", "<|im_end|>", "x" * 500]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def members(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of the known members, each as it should be or anything else."""
    return st.fixed_dictionaries(
        {}, optional={name: value | value | value | ANYTHING for name, value in known.items()}
    )


COUNTS = members(
    **dict.fromkeys(
        ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "cache_read_input_tokens",
         "inputTokens", "outputTokens"), NUMBERS
    ),
    prompt_tokens_details=members(cached_tokens=NUMBERS),
)  # fmt: skip
CALLS = st.lists(members(index=NUMBERS, id=TEXTS, function=members(name=TEXTS, arguments=TEXTS)), max_size=2)
DELTA = members(content=TEXTS, reasoning_content=TEXTS, tool_calls=CALLS)
OPENAI = members(
    choices=st.lists(
        members(
            index=NUMBERS, delta=DELTA, message=DELTA, text=TEXTS, finish_reason=st.sampled_from(["stop", "length", "?"])
        ),
        max_size=2,
    ),
    usage=COUNTS,
    prompt_progress=members(total=NUMBERS, processed=NUMBERS),
    references=st.lists(members(number=NUMBERS, path=TEXTS, start_line=NUMBERS, end_line=NUMBERS), max_size=2),
    citations=members(verified=st.lists(NUMBERS), dropped=st.lists(NUMBERS)),
    step=members(number=NUMBERS, tool=TEXTS, results=NUMBERS, tokens=NUMBERS, seconds=NUMBERS),
    error=ANYTHING,
    note=TEXTS,
)  # fmt: skip
ANTHROPIC = members(
    type=st.sampled_from(
        ["message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop", "ping", "error"]
    ),
    index=NUMBERS,
    message=members(usage=COUNTS),
    content_block=members(type=st.sampled_from(["text", "tool_use"]), id=TEXTS, name=TEXTS, text=TEXTS),
    delta=members(
        type=st.sampled_from(["text_delta", "thinking_delta", "input_json_delta"]),
        text=TEXTS, thinking=TEXTS, partial_json=TEXTS, stop_reason=TEXTS,
    ),
    usage=COUNTS,
)  # fmt: skip
BEDROCK = members(
    contentBlockIndex=NUMBERS,
    start=members(toolUse=members(toolUseId=TEXTS, name=TEXTS)),
    delta=members(text=TEXTS, toolUse=members(input=TEXTS), reasoningContent=members(text=TEXTS)),
    stopReason=TEXTS,
    usage=COUNTS,
)
GARBAGE = st.binary(max_size=40) | st.sampled_from(
    [b"\xff\xfe", b"{", b"[" * 20_000, b'{"choices": [{"delta": {"content": "\xff"}}]}', b'{"choices": "\\ud800"}', b"\0",
     b'{"type": "\xc3\x28"}', b'{"error": ' + b"[" * 5000, b"<html><body>502</body></html>", b"HTTP/1.1 200 OK\r\n\r\n"]
)  # fmt: skip


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def line(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def frame(payload: bytes, kind: str = "event") -> bytes:
    """One message of AWS's event stream."""
    name, value = b":message-type", kind.encode()
    header = bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
    prelude = struct.pack(">II", 16 + len(header) + len(payload), len(header))
    begun = prelude + struct.pack(">I", binascii.crc32(prelude)) + header + payload
    return begun + struct.pack(">I", binascii.crc32(begun))


def lines_of(chunks: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    parts = chunks.map(encoded).map(line)
    odd = st.sampled_from(
        [b"data: [DONE]\n\n", b": ping\n\n", b"\r\n", b"data:\n\n", b"event: x\n", b"error: {}\n"]
    )
    return st.lists(parts | parts | odd | GARBAGE | GARBAGE.map(line), max_size=6).map(b"".join)


def frames_of(chunks: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    parts = chunks.map(encoded).map(frame)
    wrong = GARBAGE.map(frame) | parts.map(lambda frame: frame[:-1] + b"\0") | GARBAGE
    failed = chunks.map(encoded).map(lambda payload: frame(payload, "exception"))
    return st.lists(parts | parts | parts | wrong | failed, max_size=5).map(b"".join)


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """`body` in pieces; it ends early when the last place says so."""
    ends = sorted({place % (len(body) + 1) for place in places} | {len(body)})
    return [body[begin:end] for begin, end in zip([0, *ends], ends, strict=False) if end > begin]


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Endpoint:
    """Sends the pieces that it is told to, then closes or breaks off."""

    runner: asyncio.Runner
    url: str = ""
    pieces: tuple[bytes, ...] = ()
    kind: str = "text/event-stream"
    breaks: bool = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": self.kind, "Server": "fuzz"})
        await response.prepare(request)
        # Whoever asked may leave when it has read enough.
        with suppress(ConnectionError):
            for piece in self.pieces:
                await response.write(piece)
                await asyncio.sleep(0)
        if self.breaks and request.transport is not None:
            request.transport.abort()
        return response

    def events(self, model: Any, request: Request) -> list[Event]:
        async def ask() -> list[Event]:
            async with asyncio.timeout(20):
                return [event async for event in model.stream(request)]

        return self.runner.run(ask())


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with asyncio.Runner() as runner:
        made = Endpoint(runner)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", made.answer)
        serving = web.AppRunner(app, shutdown_timeout=0.1)

        async def start() -> None:
            await serving.setup()
            await web.TCPSite(serving, "127.0.0.1", 0).start()
            made.url = f"http://127.0.0.1:{serving.addresses[0][1]}"

        runner.run(start())
        yield made
        runner.run(serving.cleanup())


def check(events: list[Event]) -> None:
    """One end, at the end; failures a person can read; everything fit for the ledger and for JSON."""
    ends = [event for event in events if isinstance(event, Done | Failed)]
    assert len(ends) == 1 and events[-1] is ends[0], events
    answer = Answer()
    for event in events:
        if isinstance(event, Failed):
            assert isinstance(event.error, CodeweftError) and event.error.message
        else:
            answer.add(event)
        if isinstance(event, ToolCallDelta):
            dumps(event.index)
    if isinstance(ends[0], Done):
        used = ends[0].usage
        assert min(used.prompt_tokens, used.completion_tokens, used.cached_tokens) >= 0
        assert used.total_tokens < 2**62
        assert all(math.isfinite(value) for value in ends[0].timings.values())
        dumps(usage(used))


def fuzzed(bodies: st.SearchStrategy[bytes]) -> Callable[[Any], Any]:
    """Runs a test with bodies cut anywhere."""

    def decorate(test: Any) -> Any:
        given_ = given(
            body=bodies, places=st.lists(st.integers(0, 1 << 20), max_size=6), breaks=st.booleans()
        )
        return effort(40)(given_(test))

    return decorate


@fuzzed(lines_of(OPENAI))
def test_no_stream_of_an_openai_endpoint_is_too_odd(
    endpoint: Endpoint, body: bytes, places: list[int], breaks: bool
) -> None:
    ask(endpoint, OpenAICompatible("m", endpoint.url, model="x", attempts=1), CHAT, body, places, breaks)


@fuzzed(lines_of(OPENAI))
def test_no_stream_of_another_codeweft_server_is_too_odd(
    endpoint: Endpoint, body: bytes, places: list[int], breaks: bool
) -> None:
    model = OpenAICompatible("m", endpoint.url, model="x", attempts=1, codeweft=True)
    ask(endpoint, model, CHAT, body, places, breaks)


@fuzzed(lines_of(OPENAI))
def test_no_answer_to_a_hole_asked_for_in_a_chat_is_too_odd(
    endpoint: Endpoint, body: bytes, places: list[int], breaks: bool
) -> None:
    ask(endpoint, OpenAICompatible("m", endpoint.url, model="x", attempts=1), HOLE, body, places, breaks)


@fuzzed(OPENAI.map(encoded) | GARBAGE)
def test_no_whole_answer_of_an_openai_endpoint_is_too_odd(
    endpoint: Endpoint, body: bytes, places: list[int], breaks: bool
) -> None:
    model = OpenAICompatible("m", endpoint.url, model="x", attempts=1)
    ask(endpoint, model, WHOLE, body, places, breaks, kind="application/json")


@fuzzed(lines_of(ANTHROPIC))
def test_no_stream_of_an_anthropic_endpoint_is_too_odd(
    endpoint: Endpoint, body: bytes, places: list[int], breaks: bool
) -> None:
    ask(endpoint, AnthropicModel("m", endpoint.url, model="x", attempts=1), CHAT, body, places, breaks)


@fuzzed(frames_of(BEDROCK))
def test_no_stream_of_bedrock_is_too_odd(
    endpoint: Endpoint, body: bytes, places: list[int], breaks: bool
) -> None:
    model = BedrockModel("m", region="us-east-1", model="x", base_url=endpoint.url, api_key="k", attempts=1)
    ask(endpoint, model, CHAT, body, places, breaks)


def ask(
    endpoint: Endpoint,
    model: Any,
    request: Request,
    body: bytes,
    places: list[int],
    breaks: bool,
    kind: str = "text/event-stream",
) -> None:
    endpoint.pieces, endpoint.breaks, endpoint.kind = tuple(cut(body, places)), breaks, kind
    try:
        check(endpoint.events(model, request))
    finally:
        endpoint.runner.run(model.close())


# ── cases with a name ────────────────────────────────────────────────────────────────────────────────────────

SAID = line(encoded({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}))
END = line(b"[DONE]")


@pytest.mark.parametrize(
    ("body", "ends"),
    [
        pytest.param(SAID + END + END + SAID, Done, id="it ends twice"),
        pytest.param(SAID + b"\xff\xfe\n" + END, Done, id="a line that is not UTF-8 and no data"),
        pytest.param(line(b'{"choices": [{"delta": {"content": "\xff"}}]}'), Failed, id="text that is not UTF-8"),
        pytest.param(line(b"[" * 100_000), Failed, id="nested without end"),
        pytest.param(b"data: " + b"x" * (33 << 20), Failed, id="a line without end"),
        pytest.param(SAID[:-10], Failed, id="half an event"),
        pytest.param(b"", Failed, id="nothing"),
        pytest.param(
            line(encoded({"choices": [{"delta": {"tool_calls": [{"index": 10**30}]}}]})), Failed, id="a huge call number"
        ),
    ],
)  # fmt: skip
def test_an_openai_stream_ends_once(endpoint: Endpoint, body: bytes, ends: type) -> None:
    endpoint.pieces, endpoint.kind, endpoint.breaks = (body,), "text/event-stream", False
    model = OpenAICompatible("m", endpoint.url, model="x", attempts=1)
    events = endpoint.events(model, CHAT)
    endpoint.runner.run(model.close())
    check(events)
    assert isinstance(events[-1], ends)


@pytest.mark.parametrize("tokens", [-5, 10**30])
def test_counts_that_cannot_be_are_not_billed(endpoint: Endpoint, tokens: int) -> None:
    counts = {"prompt_tokens": tokens, "completion_tokens": tokens}
    endpoint.pieces = (SAID + line(encoded({"choices": [], "usage": counts})) + END,)
    endpoint.kind, endpoint.breaks = "text/event-stream", False
    model = OpenAICompatible("m", endpoint.url, model="x", attempts=1)
    events = endpoint.events(model, CHAT)
    endpoint.runner.run(model.close())
    check(events)
    assert isinstance(events[-1], Done) and events[-1].usage.total_tokens == 0


def test_a_connection_that_breaks_after_the_end_spoils_nothing(endpoint: Endpoint) -> None:
    endpoint.pieces, endpoint.kind, endpoint.breaks = (SAID + END,), "text/event-stream", True
    model = OpenAICompatible("m", endpoint.url, model="x", attempts=1)
    events = endpoint.events(model, CHAT)
    endpoint.runner.run(model.close())
    check(events)
    assert isinstance(events[-1], Done)


def test_an_endless_line_of_anthropic_is_a_failure(endpoint: Endpoint) -> None:
    endpoint.pieces, endpoint.kind, endpoint.breaks = (
        (b"data: " + b"x" * (33 << 20),),
        "text/event-stream",
        False,
    )
    model = AnthropicModel("m", endpoint.url, model="x", attempts=1)
    events = endpoint.events(model, CHAT)
    endpoint.runner.run(model.close())
    check(events)


# ── the engine's own protocol, and endpoints with a dialect ──────────────────────────────────────────────────


NATIVE = members(
    content=TEXTS,
    stop=st.booleans(),
    stop_type=st.sampled_from(["eos", "limit", "word", "?"]),
    tokens_predicted=NUMBERS,
    tokens_evaluated=NUMBERS,
    prompt_progress=members(total=NUMBERS, processed=NUMBERS),
    timings=members(cache_n=NUMBERS, prompt_n=NUMBERS, prompt_ms=NUMBERS, predicted_ms=NUMBERS),
    error=members(message=TEXTS, type=TEXTS) | ANYTHING,
)


class EngineThere(Engine):
    """An engine that is up, at an address of ours."""

    def __init__(self, url: str) -> None:
        super().__init__("m", dict)
        self._url = url
        self._opened: aiohttp.ClientSession | None = None

    async def ready(self) -> None:
        self._session = self._questions = self._opened = self._opened or aiohttp.ClientSession()

    async def loss(self) -> EngineFailed:
        return self._failure()

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
            self._opened = None


@pytest.fixture(scope="module")
def embedded(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> EmbeddedModel:
    path = write_tiny_gguf(tmp_path_factory.mktemp("models") / "tiny.gguf")
    model = EmbeddedModel("m", path)
    model._loaded().engine = EngineThere(endpoint.url)
    return model


@fuzzed(lines_of(NATIVE))
def test_no_stream_of_the_engine_is_too_odd(
    endpoint: Endpoint, embedded: EmbeddedModel, body: bytes, places: list[int], breaks: bool
) -> None:
    # The question for tokens is not what is tried here.
    embedded._tokens = PromptTokens(embedded._loaded().header.tokenizer, embedded._family, some_ids)
    ask(endpoint, embedded, Request("m", prompt="a ="), body, places, breaks)


async def some_ids(text: str, special: bool) -> list[int]:
    return [1, 2, 3]


def told(endpoint: Endpoint, model: Any, *pieces: bytes, kind: str = "text/event-stream") -> list[Event]:
    endpoint.pieces, endpoint.kind, endpoint.breaks = pieces, kind, False
    events = endpoint.events(model, CHAT)
    endpoint.runner.run(model.close())
    check(events)
    return events


@pytest.mark.parametrize(
    ("body", "says"),
    [
        # Text Generation Inference: no blank after the colon, errors in the middle of a stream in its own shape.
        (b'data:{"choices":[{"delta":{"content":"a"}}]}\n\ndata:{"error":"out of memory","error_type":"generation"}\n\n',
         "out of memory"),
        # Ollama: lines of JSON from its own address, which is not the one that speaks OpenAI's protocol.
        (b'{"model":"m","response":"a","done":false}\n{"model":"m","response":"","done":true}\n', "base_url"),
        (b"<html><body>Bad Gateway</body></html>", "base_url"),
    ],
    ids=["TGI", "Ollama's own address", "a page"],
)  # fmt: skip
def test_a_dialect_is_told_in_words_that_help(endpoint: Endpoint, body: bytes, says: str) -> None:
    end = told(endpoint, OpenAICompatible("m", endpoint.url, model="x", attempts=1), body)[-1]
    assert isinstance(end, Failed) and says in str(end.error)


def test_text_generation_inference_is_read_without_blanks_after_the_colon(endpoint: Endpoint) -> None:
    body = b'data:{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata:[DONE]\n\n'
    events = told(endpoint, OpenAICompatible("m", endpoint.url, model="x", attempts=1), body)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a"]
    assert isinstance(events[-1], Done)


# ── endpoints that ask to be left alone, and answers without end ─────────────────────────────────────────────


@pytest.mark.parametrize(("after", "asked"), [("1", 2), ("60", 1), ("Wed, 21 Oct 2026 07:28:00 GMT", 2)])
async def test_an_endpoint_is_asked_again_when_it_said_and_not_at_all_when_that_is_long(
    after: str, asked: int
) -> None:
    times: list[float] = []

    async def busy(_: web.Request) -> web.Response:
        times.append(time.monotonic())
        return web.json_response({"error": {"message": "busy"}}, status=429, headers={"Retry-After": after})

    app = web.Application()
    app.router.add_post("/chat/completions", busy)
    async with TestServer(app) as server:
        model = OpenAICompatible("m", str(server.make_url("")), model="x", attempts=2)
        (end,) = [event async for event in model.stream(CHAT)]
        await model.close()
    assert isinstance(end, Failed) and len(times) == asked
    if after == "1":
        assert times[1] - times[0] >= 1
    if after == "60":
        assert "60 s" in end.error.fix


async def test_an_answer_in_one_piece_is_read_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "LONGEST_ANSWER", 1_000_000)
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"1" * 100_000)
                sent += 100_000
        return response

    app = web.Application()
    app.router.add_post("/embeddings", endless)
    async with TestServer(app) as server:
        model = OpenAIEmbedder("m", str(server.make_url("")), model="x")
        with pytest.raises(UpstreamFailed, match="at once"):
            await model.embed(["a"])
        await model.close()
    assert sent < 20_000_000
