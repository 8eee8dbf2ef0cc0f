"""The two servers that are compared; each runs in a process of its own."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvicorn

from codeweft.accounts import Accounts
from codeweft.config import ServerSettings, Settings
from codeweft.models.scripted import ScriptedModel
from codeweft.server.run import run

EVENTS = 200
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def bare(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    """Answers with as many bytes, in as many events, as Codeweft does."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    kind = b"text/event-stream" if b'"stream"' in body else b"application/json"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    if kind == b"application/json":
        await send({"type": "http.response.body", "body": b"x" * 420})
        return
    for _ in range(EVENTS):
        await send(
            {"type": "http.response.body", "body": b"data: " + b"x" * 230 + b"\n\n", "more_body": True}
        )
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def serve_bare(pipe: Connection) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    pipe.send((f"http://127.0.0.1:{listening.getsockname()[1]}", ""))
    config = uvicorn.Config(
        bare, loop="uvloop", http="httptools", lifespan="off", log_level="error", access_log=False
    )
    uvicorn.Server(config).run(sockets=[listening])


def serve_codeweft(pipe: Connection) -> None:
    class Composition:
        """The server's part of a runtime, over one scripted model."""

        def __init__(self, settings: Settings, accounts: Accounts) -> None:
            self.settings, self.accounts = settings, accounts
            self.default_model = "plain"
            self.indexes = self

        def names(self) -> list[str]:
            return []

        def model(self, name: str) -> ScriptedModel:
            # A new one each time: a scripted model remembers every request.
            return ScriptedModel(name, "word " * EVENTS if name == "stream" else "x" * 30)

    with tempfile.TemporaryDirectory() as folder:

        @asynccontextmanager
        async def opened(settings: Settings) -> AsyncIterator[Any]:
            async with await Accounts.open(Path(folder) / "accounts.db") as accounts:
                composition = Composition(settings, accounts)
                composition.key = await accounts.create_key("bench")  # type: ignore[attr-defined]
                yield composition

        settings = Settings(server=ServerSettings(port=0))
        run(opened, settings, lambda url, runtime: pipe.send((url, runtime.key)))
