"""The floor in Python: a pass-through of raw ASGI and aiohttp that looks at nothing and keeps nothing."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

UPSTREAMS: dict[str, str] = dict(
    pair.split("=", 1) for pair in os.environ.get("UPSTREAMS", "").split(",") if pair
)
"""Base addresses by model name."""

_session: aiohttp.ClientSession | None = None


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Sends the body on and the answer back, each piece as it comes."""
    global _session
    if scope["type"] != "http":
        return
    if scope["method"] == "GET":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if _session is None:
        _session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    url = next(url for name, url in UPSTREAMS.items() if b'"%s"' % name.encode() in body)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer x"}
    async with _session.post(f"{url}/chat/completions", data=body, headers=headers) as response:
        kind = response.headers["Content-Type"].encode()
        if kind == b"application/json":
            data = await response.read()
            length = (b"content-length", b"%d" % len(data))
            await send({"type": "http.response.start", "status": response.status, "headers": [(b"content-type", kind), length]})  # fmt: skip
            await send({"type": "http.response.body", "body": data})
            return
        await send(
            {"type": "http.response.start", "status": response.status, "headers": [(b"content-type", kind)]}
        )
        async for piece in response.content.iter_any():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
