"""The lean HTTP client: whatever an endpoint does with its bytes, under both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from codeweft.models.http1 import LONGEST_HEAD, LONGEST_HELD, Connection, Line, Malformed

ASKED = b"GET / HTTP/1.1\r\nHost: there\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nServer: Small\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Ask = Callable[[Line], Awaitable[Any]]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Serve, Ask], Any]:
    """Serves connections with one function and asks with the other."""

    def run(serve: Serve, ask: Ask) -> Any:
        async def work() -> Any:
            async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    await serve(reader, writer)
                except (ConnectionError, asyncio.IncompleteReadError):
                    pass
                finally:
                    writer.close()

            server = await asyncio.start_server(connected, "127.0.0.1", 0)
            line = Line("127.0.0.1", server.sockets[0].getsockname()[1])
            async with asyncio.timeout(20):
                try:
                    return await ask(line)
                finally:
                    await line.close()
                    server.close()

        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(work())

    return run


def sending(*pieces: bytes, stay: bool = True) -> Serve:
    """Answers each request with `pieces`, one packet each; without `stay` the connection is closed after them."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)
            if not stay:
                return

    return serve


async def body_of(answer: Connection) -> bytes:
    pieces = []
    try:
        while piece := await answer.read():
            pieces.append(piece)
    finally:
        answer.close()
    return b"".join(pieces)


async def asked(line: Line) -> bytes:
    return await body_of(await line.ask(ASKED, 5.0))


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX-Late: 1\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        (OK + b"Content-Length: 11\r\n\r\nhello world",),
        (OK + b"Content-Length: 11\r\n\r\n", b"hello ", b"world"),
        (CHUNKED,),
        tuple(CHUNKED[at : at + 7] for at in range(0, len(CHUNKED), 7)),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 11\r\n\r\nhello world",),
    ],
)
def test_a_body_is_whole_however_it_is_sent_and_the_connection_is_kept(
    run: Any, pieces: tuple[bytes]
) -> None:
    async def ask(line: Line) -> None:
        for _ in range(3):
            answer = await line.ask(ASKED, 5.0)
            assert (answer.status, answer.header("server")) == (200, "Small")
            assert answer.content_type == "text/event-stream"
            assert await body_of(answer) == b"hello world"
        assert len(line._open) == 1

    run(sending(*pieces), ask)


def test_a_body_may_end_with_the_connection(run: Any) -> None:
    assert run(sending(OK + b"\r\nhello", b" world", stay=False), asked) == b"hello world"


@pytest.mark.parametrize(
    "sent",
    [OK + b"Content-Length: 11\r\n\r\nhello", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
)
def test_half_a_body_is_given_out_and_then_an_error(run: Any, sent: bytes) -> None:
    async def ask(line: Line) -> bytes:
        answer = await line.ask(ASKED, 5.0)
        first = await answer.read()
        with pytest.raises(ConnectionError):
            await answer.read()
        answer.close()
        assert not answer.at_end
        return first

    assert run(sending(sent, stay=False), ask) == b"hello"


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (LONGEST_HEAD + 1),
        OK + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    ],
    ids=["another protocol", "two lengths", "endless head", "compressed", "upgraded"],
)
def test_what_is_no_answer_is_refused(run: Any, sent: bytes) -> None:
    with pytest.raises(Malformed):
        run(sending(sent), asked)


def test_nothing_at_all_is_an_error(run: Any) -> None:
    with pytest.raises(ConnectionError):
        run(sending(stay=False), asked)


@pytest.mark.parametrize("sent", [b"", OK + b"Content-Length: 9\r\n\r\nhalf", OK + b"\r\nhalf"])
def test_silence_is_given_up_and_closes_the_connection(run: Any, sent: bytes) -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        await reader.read()
        left.set()

    async def ask(line: Line) -> None:
        with pytest.raises(TimeoutError):
            await body_of(await line.ask(ASKED, 0.1))
        async with asyncio.timeout(5):
            await left.wait()

    run(serve, ask)


def test_a_shorter_patience_counts_on_a_connection_that_had_a_longer(run: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 2\r\n\r\n")
        await asyncio.sleep(0.01)
        writer.write(b"ok")
        await reader.read()

    async def ask(line: Line) -> None:
        assert await body_of(await line.ask(ASKED, 600.0)) == b"ok"
        with pytest.raises(TimeoutError):
            await line.ask(ASKED, 0.1)

    run(serve, ask)


def test_leaving_closes_the_connection(run: Any) -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 9\r\n\r\nhalf")
        await reader.read()
        left.set()

    async def ask(line: Line) -> None:
        task = asyncio.create_task(asked(line))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await left.wait()
        assert not line._open

    run(serve, ask)


def test_what_comes_unasked_ends_a_kept_connection(run: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 2\r\n\r\nok")
        await asyncio.sleep(0.02)
        writer.write(OK + b"Content-Length: 6\r\n\r\nforged")
        await reader.read()

    async def ask(line: Line) -> None:
        assert await asked(line) == b"ok"
        await asyncio.sleep(0.5)
        assert not line._open
        assert await asked(line) == b"ok"

    run(serve, ask)


def test_a_slow_reader_makes_the_endpoint_wait(run: Any) -> None:
    length = 64 << 20
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % length)
        for _ in range(length >> 16):
            writer.write(bytes(1 << 16))
            await writer.drain()
            sent += 1 << 16

    async def ask(line: Line) -> None:
        answer = await line.ask(ASKED, 5.0)
        await asyncio.sleep(0.3)
        assert answer._held < LONGEST_HELD + (1 << 20)
        assert sent < length // 2
        assert len(await body_of(answer)) == length

    run(serve, ask)
