"""A small HTTP endpoint that behaves as it is told, request by request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Behaviour = Callable[["Endpoint", web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Endpoint:
    """Answers request n with behaviour n, later ones with the last; remembers what it was asked."""

    behaviours: list[Behaviour]
    url: str = ""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        behaviour = self.behaviours[min(len(self.asked), len(self.behaviours) - 1)]
        self.asked.append((request.path, body))
        self.headers.append(dict(request.headers))
        return await behaviour(self, request)


@asynccontextmanager
async def running(*behaviours: Behaviour) -> AsyncIterator[Endpoint]:
    """The endpoint on a free port of this machine."""
    endpoint = Endpoint(list(behaviours))
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", endpoint.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    endpoint.url = f"http://127.0.0.1:{port}"
    try:
        yield endpoint
    finally:
        await runner.cleanup()


def status(code: int, body: str, *, kind: str = "application/json", **headers: str) -> Behaviour:
    """Answers with an error or any other fixed text."""

    async def behave(_: Endpoint, __: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=body, content_type=kind, headers=headers)

    return behave


def refuse(code: int, message: str) -> Behaviour:
    return status(code, json.dumps({"error": {"message": message, "type": "x", "code": None}}))


def stream(*events: object, delay: float = 0.0, end: bool = True) -> Behaviour:
    """Streams events (a string is sent as it is); without `end`, breaks the connection off."""

    async def behave(endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for event in events:
                data = event if isinstance(event, str) else json.dumps(event)
                await response.write(f"data: {data}\n\n".encode())
                await asyncio.sleep(delay)
            if end:
                await response.write(b"data: [DONE]\n\n")
            elif request.transport is not None:
                request.transport.abort()
        except (ConnectionError, asyncio.CancelledError):
            endpoint.left.set()
            raise
        return response

    return behave


def said(text: str, **more: object) -> dict[str, object]:
    """A chunk of a chat answer."""
    return {"choices": [{"index": 0, "delta": {"content": text}, **more}]}


def wrote(text: str, **more: object) -> dict[str, object]:
    """A chunk of a raw completion."""
    return {"choices": [{"index": 0, "text": text, **more}]}


FINISHED = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}
