"""Who leaves stops the work: an endpoint that writes a token every 10 ms writes at most ten more, that is 100 ms.

Counting is fair where time is not: a busy machine slows the endpoint down as it does the server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from codeweft.models.openai_compatible import OpenAICompatible
from codeweft.models.pool import Member, Pool
from tests.models.endpoint import said
from tests.server.conftest import Server
from tests.server.test_streams import until
from tests.server.test_under_load import Upstream

from .protocols import WAYS, Way

MOST = 10
"""Tokens of 10 ms each that may still be written: 100 ms."""


class Steady(Upstream):
    """An endpoint that writes a token every 10 ms, for ever."""

    async def answer(self, body: dict[str, Any], out: asyncio.StreamWriter) -> None:
        out.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        token = b"data: %s\n\n" % json.dumps(said("word ")).encode()
        while True:
            out.write(token)
            self.written += 1
            await out.drain()
            await asyncio.sleep(0.01)


async def after_leaving(upstream: Steady, leave: Callable[[], object]) -> int:
    """How many tokens are written after a client left."""
    leave()
    before = upstream.written
    assert await until(lambda: bool(upstream.left), 10), "the endpoint never hears of it"
    after = upstream.written - before
    upstream.left.clear()
    return after


@pytest.mark.parametrize("pooled", [False, True], ids=["one endpoint", "a pool"])
async def test_at_most_ten_more_tokens_are_written_for_whoever_left(
    starting: Callable[..., Server], pooled: bool
) -> None:
    async with Steady().running() as upstream:
        plain = OpenAICompatible("steady", upstream.url, model="steady", attempts=1)
        server = starting({"steady": Pool("steady", [Member(plain)]) if pooled else plain})
        counts = {}
        async with server.client() as client:
            for name, way in WAYS.items():
                counts[name] = await left_while_streaming(client, upstream, way)
                counts[f"{name}, whole"] = await left_while_waiting(client, upstream, way)
    assert all(count <= MOST for count in counts.values()), counts


async def left_while_streaming(client: aiohttp.ClientSession, upstream: Steady, way: Way) -> int:
    response = await client.post(way.path, json=way.asking("steady"))
    assert response.status == 200, await response.text()
    for _ in range(5):
        await response.content.readany()
    return await after_leaving(upstream, response.close)


async def left_while_waiting(client: aiohttp.ClientSession, upstream: Steady, way: Way) -> int:
    before = upstream.written
    asking = asyncio.create_task(client.post(way.path, json={**way.asking("steady"), "stream": False}))
    assert await until(lambda: upstream.written >= before + 5, 10)
    return await after_leaving(upstream, asking.cancel)
