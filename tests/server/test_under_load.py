"""Many at once, those who dawdle, those who leave, and endpoints that misbehave: nobody else notices."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from codeweft.config import ServerSettings, Settings
from codeweft.models.openai_compatible import OpenAICompatible
from codeweft.models.pool import Member, Pool, PoolPolicy
from codeweft.models.scripted import ScriptedModel
from codeweft.server import connections
from tests.models.endpoint import FINISHED, USAGE, said
from tests.server.conftest import Server
from tests.server.test_streams import until

HI = [{"role": "user", "content": "hi"}]
WORDS = [f"word{number} " for number in range(20)]


class Upstream:
    """An endpoint in raw sockets, so that it can do what no server library would. Counts what it wrote."""

    def __init__(self) -> None:
        self.written = 0
        self.left: list[float] = []
        """When somebody was seen to leave in the middle of an answer."""
        self.url = ""

    async def answer(self, body: dict[str, Any], out: asyncio.StreamWriter) -> None:
        """By the name of the model."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        chunks = [b"data: %s\n\n" % json.dumps(one).encode() for one in (*map(said, WORDS), FINISHED, USAGE)]
        match body["model"]:
            case "good":
                out.write(head)
                for chunk in chunks:
                    out.write(chunk)
                    await out.drain()
                    await asyncio.sleep(0.001)
                out.write(b"data: [DONE]\n\n")
            case "endless":
                out.write(head)
                while True:
                    out.write(chunks[0])
                    self.written += 1
                    await out.drain()
                    await asyncio.sleep(0.005)
            case "garbage":
                out.write(head + b"data: {\x00\xff not json\n\n")
            case "binary":
                out.write(bytes(range(256)) * 40)
            case "half":
                out.write(head + b"".join(chunks[:3]) + chunks[3][:20])
            case "html":
                page = b"<html><body><h1>Bad Gateway</h1></body></html>"
                out.write(
                    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + page
                )
            case "page":
                out.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>Welcome</html>"
                )
            case "429" | "500" as status:
                told = b'{"error": {"message": "no, thanks"}}'
                out.write(
                    b"HTTP/1.1 %s No\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(told), told)
                )
            case "nothing":
                return
            case "silent":
                await asyncio.sleep(30)
            case "stuck":
                out.write(head + chunks[0])
                await asyncio.sleep(30)

    async def connected(self, into: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        head = await into.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        work = asyncio.create_task(self.answer(json.loads(await into.readexactly(length)), out))
        gone = asyncio.create_task(into.read())
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            self.left.append(time.monotonic())
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)
        out.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Upstream]:
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.close()


def asked(model: str, *, stream: bool = True) -> dict[str, Any]:
    return {"model": model, "messages": HI, "stream": stream}


def at(upstream: Upstream, *names: str, timeout: float = 30) -> dict[str, Any]:
    """Pools of two endpoints by the names of what they do, and one that always answers."""
    return {
        name: Pool(
            name,
            [
                Member(OpenAICompatible(f"{name}-{n}", upstream.url, model=name, timeout=timeout, attempts=1))
                for n in (1, 2)
            ],
            policy=PoolPolicy(attempts=2, cooldown=0),
        )
        for name in (*names, "good")
    }


async def streamed(client: aiohttp.ClientSession, model: str) -> tuple[int, str, bool]:
    """Status, what was written, and whether the stream said that it was whole."""
    async with client.post("/v1/chat/completions", json=asked(model)) as response:
        lines = (await response.text()).split("\n\n")
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    text = "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ())
    )
    return response.status, text, "data: [DONE]" in lines


async def test_200_streams_at_once_each_get_their_own_answer_whole(starting: Callable[..., Server]) -> None:
    async with Upstream().running() as upstream:
        server = starting(at(upstream))
        async with server.client(connector=aiohttp.TCPConnector(limit=0)) as client:
            answers = await asyncio.gather(*(streamed(client, "good") for _ in range(200)))
    assert answers == [(200, "".join(WORDS), True)] * 200
    assert len(server.run(server.composition.accounts.ledger.since(0.0))) == 200


async def test_1000_idle_connections_keep_nobody_waiting(starting: Callable[..., Server]) -> None:
    server = starting({"plain": ScriptedModel("plain", "Hello")})
    host, port = server.url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(socket.create_connection((host, int(port))))
        async with server.client() as client:
            for _ in range(5):
                async with client.post("/v1/chat/completions", json=asked("plain", stream=False)) as response:
                    assert response.status == 200


async def told(server: Server, sent: bytes, *, trickle: bytes = b"") -> bytes:
    """What a raw connection is told until it is closed, having sent `sent`, then `trickle` byte by byte."""
    host, port = server.url.removeprefix("http://").split(":")
    into, out = await asyncio.open_connection(host, int(port))
    out.write(sent)

    async def dribble() -> None:
        for byte in trickle:
            out.write(bytes([byte]))
            await out.drain()
            await asyncio.sleep(0.05)

    dribbling = asyncio.create_task(dribble())
    try:
        async with asyncio.timeout(10):
            return await into.read()
    except ConnectionError:
        return b""
    finally:
        dribbling.cancel()
        out.close()


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"


async def test_headers_that_never_end_are_not_waited_for(
    starting: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.6)
    server = starting({"plain": ScriptedModel("plain", "Hello")})
    assert await told(server, HEAD, trickle=b"X-Slow: " + b"a" * 1000) == b""
    assert await told(server, b"") == b""


async def test_a_body_that_stops_or_trickles_is_refused(
    starting: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.3)
    server = starting({"plain": ScriptedModel("plain", "Hello")})
    head = HEAD + b"Authorization: Bearer %s\r\nContent-Length: 5000\r\n\r\n" % server.key.encode()
    for trickle in (b"", b"{" * 1000):
        answer = await told(server, head + b"{", trickle=trickle)
        assert answer.startswith(b"HTTP/1.1 408") and b"did not come in time" in answer


async def test_a_body_without_end_is_refused_when_it_is_too_large(starting: Callable[..., Server]) -> None:
    server = starting(
        {"plain": ScriptedModel("plain", "Hello")}, Settings(server=ServerSettings(port=0, max_body_mb=0.1))
    )

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 10_000

    async with server.client() as client:
        try:
            async with client.post("/v1/chat/completions", data=endless()) as response:
                assert response.status == 413
        except aiohttp.ClientOSError:
            pass  # the connection was closed while we still wrote
        async with client.post("/v1/chat/completions", json=asked("plain", stream=False)) as response:
            assert response.status == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_leaving_stops_the_endpoint_within_a_tenth_of_a_second(
    starting: Callable[..., Server], stream: bool
) -> None:
    async with Upstream().running() as upstream:
        server = starting(at(upstream, "endless"))
        async with server.client() as client:
            request = asyncio.create_task(
                client.post("/v1/chat/completions", json=asked("endless", stream=stream))
            )
            assert await until(lambda: upstream.written >= 20)
            if stream:
                (await request).close()
            else:
                request.cancel()
            left = time.monotonic()
            assert await until(lambda: bool(upstream.left))
        took = upstream.left[0] - left
        written = upstream.written
        await asyncio.sleep(0.1)
    # A busy machine is late with everything; the event loop that sees this is the test's own.
    assert took < 0.5
    assert upstream.written == written


@pytest.mark.parametrize(
    ("model", "status"),
    [
        ("garbage", 502),
        ("binary", 502),
        ("html", 502),
        ("page", 502),
        ("429", 502),
        ("500", 502),
        ("nothing", 502),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_endpoint_that_answers_nonsense_is_told_as_one(
    starting: Callable[..., Server], model: str, status: int, stream: bool
) -> None:
    async with Upstream().running() as upstream:
        server = starting(at(upstream, model))
        async with server.client() as client:
            async with client.post("/v1/chat/completions", json=asked(model, stream=stream)) as response:
                assert response.status == status, await response.text()
                error = (await response.json())["error"]
            assert error["message"] and "inside Codeweft" not in error["message"]
            assert await streamed(client, "good") == (200, "".join(WORDS), True)
        (failed, worked) = server.run(server.composition.accounts.ledger.since(0.0))
        assert (failed.outcome, worked.outcome) == ("failed", "stop")


async def test_half_a_stream_is_told_as_half(starting: Callable[..., Server]) -> None:
    async with Upstream().running() as upstream:
        server = starting(at(upstream, "half"))
        async with server.client() as client:
            status, text, whole = await streamed(client, "half")
            assert (status, text, whole) == (200, "".join(WORDS[:3]), False)
            async with client.post("/v1/chat/completions", json=asked("half", stream=False)) as response:
                assert response.status == 502


@pytest.mark.parametrize(("model", "status"), [("silent", 502), ("stuck", 200)])
async def test_an_endpoint_that_hangs_is_given_up(
    starting: Callable[..., Server], model: str, status: int
) -> None:
    async with Upstream().running() as upstream:
        server = starting(at(upstream, model, timeout=0.5))
        began = time.monotonic()
        async with (
            server.client() as client,
            client.post("/v1/chat/completions", json=asked(model)) as response,
        ):
            assert response.status == status
            assert "sent nothing for" in await response.text()
        assert time.monotonic() - began < 8
