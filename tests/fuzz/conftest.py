"""The whole program on a free port, over real parts: state in a temp folder, its writer an endpoint on this machine."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from aiohttp import web

from codeweft.config import ModelSettings, ServerSettings, Settings
from codeweft.runtime.compose import Runtime, open_runtime
from codeweft.server.run import serve

CODE = "def add_prices(cart):\n    '''The sum.'''\n    return sum(item.price for item in cart)\n"


@dataclass
class Program:
    """The running program and the ids of things in it."""

    url: str
    key: str
    runtime: Runtime
    loop: asyncio.AbstractEventLoop
    known: dict[str, str] = field(default_factory=dict)

    def run(self, awaitable: Any) -> Any:
        """Run a coroutine in the program's loop."""
        return asyncio.run_coroutine_threadsafe(awaitable, self.loop).result(20)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"} | options.pop("headers", {})
        return requests.request(method, self.url + path, headers=headers, timeout=20, **options)


async def _write(request: web.Request) -> web.StreamResponse:
    """An OpenAI-compatible endpoint that always says the same."""
    await request.read()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    said = {"index": 0, "delta": {"content": "a [1]"}, "text": "a [1]", "finish_reason": "stop"}
    with suppress(ConnectionError):
        await response.write(f"data: {json.dumps({'choices': [said]})}\n\ndata: [DONE]\n\n".encode())
    return response


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    home = tmp_path_factory.mktemp("home")
    before = pytest.MonkeyPatch()
    before.setenv("CODEWEFT_HOME", str(home))
    found: dict[str, Any] = {}
    ready = threading.Event()

    async def main() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", _write)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        writer = ModelSettings(base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1", model="writer")
        settings = Settings(
            server=ServerSettings(port=0, max_body_mb=1), models={"writer": writer}, model="writer"
        )

        def announce(address: str, runtime: Runtime) -> None:
            found.update(url=address, runtime=runtime, loop=asyncio.get_running_loop())
            ready.set()

        found["task"] = asyncio.create_task(serve(open_runtime, settings, announce))
        with suppress(asyncio.CancelledError):
            await found["task"]
        await runner.cleanup()

    def guarded() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            found["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    assert ready.wait(60)
    if "error" in found:
        raise found["error"]
    made = Program(found["url"], "", found["runtime"], found["loop"])
    made.key = made.run(made.runtime.accounts.create_key("fuzz"))
    _fill(made, home)
    yield made
    made.loop.call_soon_threadsafe(found["task"].cancel)
    thread.join(20)
    before.undo()


def _fill(program: Program, home: Path) -> None:
    """An index, a conversation, a team: without them most addresses only say that there is nothing."""
    files = {"files": ("cart.py", CODE)}
    told = program.call("POST", "/v1/dataprep/ingest", files=files, data={"index_name": "shop"})
    assert told.status_code == 200, told.text
    talk = program.call("POST", "/api/conversations", json={}, headers={"X-Codeweft": "1"})
    assert talk.status_code in (200, 201), talk.text
    program.known.update(name="shop", conversation_id=talk.json()["id"])
