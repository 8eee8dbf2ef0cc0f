"""The engine dies, hangs or runs out of memory while it serves eight, each in a protocol of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

import aiohttp
import psutil
import pytest

from codeweft.models.embedded import EmbeddedModel
from codeweft.models.engine import Health
from codeweft.models.plan import EngineOptions
from codeweft.types import Event, ModelInfo, Request, TextDelta, replace
from tests.models.conftest import endless
from tests.models.tiny_gguf import write_tiny_gguf
from tests.server.conftest import Server
from tests.server.test_streams import until

from .protocols import WAYS, Way


class Tireless:
    """An embedded model whose answers go on until something ends them; `writing` are those that have begun."""

    def __init__(self, model: EmbeddedModel) -> None:
        self.engine = model
        self.writing = 0

    @property
    def info(self) -> ModelInfo:
        return self.engine.info

    async def stream(self, request: Request) -> AsyncGenerator[Event]:
        begun = False
        endlessly = replace(request, sampling=endless(self.engine))
        async with aclosing(self.engine.stream(endlessly)) as events:
            async for event in events:
                yield event
                if isinstance(event, TextDelta) and not begun:
                    begun = True
                    self.writing += 1


async def read(client: aiohttp.ClientSession, way: Way) -> str:
    async with client.post(way.path, json=way.asking("tireless")) as response:
        assert response.status == 200, await response.text()
        return await response.text()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param(signal.SIGKILL, "memory ran out", id="killed, as when memory runs out"),
        pytest.param(signal.SIGABRT, "assertion", id="crashed"),
        pytest.param(signal.SIGSTOP, "does not answer", id="hangs"),
    ],
)
async def test_eight_streams_are_told_why_and_the_next_request_is_answered(
    starting: Callable[..., Server], tmp_path: Path, sent: signal.Signals, reason: str
) -> None:
    file = write_tiny_gguf(tmp_path / "tiny.gguf")
    options = EngineOptions(threads=1, parallel=8, context=4096)
    model = EmbeddedModel("plain", file, options=options)
    tireless = Tireless(model)
    server = starting({"tireless": tireless, "plain": model})
    server.composition.engines = lambda: [model.state]  # type: ignore[method-assign]
    engine = model._loaded().engine
    try:
        async with server.client(connector=aiohttp.TCPConnector(limit=0)) as client:
            server.run(model.start(), 60)
            pid = engine.pid
            assert pid is not None and model.state.slots == 8
            reading = [asyncio.create_task(read(client, way)) for way in WAYS.values()]
            assert await until(lambda: tireless.writing == 8, 60), (tireless.writing, model.state)
            usual, engine._health = engine._health, Health(every=0.2, timeout=1, misses=2)
            os.kill(pid, sent)
            answers = dict(zip(WAYS, await asyncio.wait_for(asyncio.gather(*reading), 60), strict=True))
            # From here on a machine that is merely busy must not count as hanging.
            engine._health = usual
            for name, text in answers.items():
                assert WAYS[name].failed in text, (name, text[-300:])
                assert reason in text and WAYS[name].whole not in text, (name, text[-300:])
            body = {"model": "plain", "prompt": "b =", "max_tokens": 4}
            async with client.post("/v1/completions", json=body) as response:
                assert response.status == 200, await response.text()
            async with client.get("/api/system") as response:
                (shown,) = (await response.json())["engine"]
            assert shown["status"] == "ready" and reason in shown["reason"]
            assert (shown["busy"], shown["waiting"], shown["slots"]) == (0, 0, 8)
            assert model.state.restarts == 1 and not psutil.pid_exists(pid)
            slots = await asyncio.to_thread(server.run, engine.get("/slots"))
            assert not any(slot["is_processing"] for slot in slots)
            async with client.get("/metrics") as response:
                metrics = (await response.text()).splitlines()
            assert "megaservice_request_pending 0.0" in metrics
            outcomes = [one.outcome for one in server.run(server.composition.accounts.ledger.since(0.0))]
            assert sorted(outcomes) == ["failed"] * 8 + ["length"]
    finally:
        server.run(model.close(), 30)
