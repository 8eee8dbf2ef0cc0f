"""Chunks are written as soon as nothing more is ready, and together when several are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from codeweft.server.streams import LONGEST_WRITE, write


class Client:
    """Takes what is sent; `slow` makes each `send` wait, as a full socket does."""

    def __init__(self, *, slow: bool = False) -> None:
        self.got: list[bytes] = []
        self.heads = 0
        self.slow = slow
        self.waiting = asyncio.Event()

    async def write(self, chunks: AsyncIterator[bytes]) -> None:
        """As a server does with an answer of these chunks."""
        await self.send(await write(chunks, self.send, {"status": 200, "headers": []}))

    async def send(self, message: Any) -> None:
        self.heads += "status" in message
        if message["body"]:
            self.got.append(message["body"])
        if self.slow:
            self.waiting.set()
            await asyncio.sleep(30)


async def test_what_is_ready_goes_out_together_and_in_order() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for packet in (3, 1, 4):
            for number in range(packet):
                yield b"%d%d " % (packet, number)
            await asyncio.sleep(0)

    client = Client()
    await client.write(chunks())
    assert client.got == [b"30 31 32 ", b"10 ", b"40 41 42 43 "]
    assert client.heads == 1


async def test_the_head_does_not_wait_for_the_first_word() -> None:
    client = Client()

    async def chunks() -> AsyncIterator[bytes]:
        await asyncio.sleep(0)
        assert client.heads == 1
        yield b"late"

    await client.write(chunks())
    assert (client.heads, client.got) == (1, [b"late"])


async def test_nothing_ready_waits_for_what_is_not() -> None:
    more = asyncio.Event()
    client = Client()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        await more.wait()
        yield b"second"

    writing = asyncio.create_task(client.write(chunks()))
    await asyncio.sleep(0.01)
    assert client.got == [b"first"]
    more.set()
    await writing
    assert client.got == [b"first", b"second"]


async def test_a_source_that_never_waits_is_written_in_bounded_pieces() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    client = Client()
    await client.write(chunks())
    assert sum(map(len, client.got)) == 100_000
    assert all(len(piece) <= LONGEST_WRITE + 1000 for piece in client.got)


async def test_what_was_ready_before_an_error_is_written() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    client = Client()
    with pytest.raises(ZeroDivisionError):
        await client.write(chunks())
    assert client.got == [b"half"]


@pytest.mark.parametrize("slow", [True, False])
async def test_cancelling_reaches_the_source_whatever_is_waited_for(slow: bool) -> None:
    ended = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            ended.set()

    client = Client(slow=slow)
    source = chunks()
    writing = asyncio.create_task(client.write(source))
    await asyncio.sleep(0.01)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert ended.is_set()
    await source.aclose()  # type: ignore[attr-defined]
