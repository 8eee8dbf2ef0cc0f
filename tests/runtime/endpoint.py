"""An endpoint on this machine with embeddings, re-ranking and a chat."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class Endpoint:
    """Embeddings by letters, re-ranking by a favourite word, and a chat that always says the same."""

    def __init__(self, says: str = "") -> None:
        self.says = says
        self.asked: list[tuple[str, Any]] = []
        self.headers: list[str] = []
        self.url = ""

    async def embeddings(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        rows = []
        for text in body["input"]:
            row = [0.01] * 24
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % 24] += 1
            rows.append(row)
        return web.json_response({"data": [{"index": n, "embedding": row} for n, row in enumerate(rows)]})

    async def rerank(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        scores = [float("purge" in text) for text in body["documents"]]
        found = [{"index": n, "relevance_score": score} for n, score in enumerate(scores)]
        return web.json_response({"results": found})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        await self._body(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        chunk = {"choices": [{"index": 0, "delta": {"content": self.says}, "finish_reason": "stop"}]}
        await response.write(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())
        return response

    async def _body(self, request: web.Request) -> Any:
        body = await request.json()
        self.asked.append((request.path, body))
        self.headers.append(str(dict(request.headers)))
        return body


@asynccontextmanager
async def answering(says: str = "") -> AsyncIterator[Endpoint]:
    endpoint = Endpoint(says)
    app = web.Application()
    app.router.add_post("/v1/embeddings", endpoint.embeddings)
    app.router.add_post("/v1/rerank", endpoint.rerank)
    app.router.add_post("/v1/chat/completions", endpoint.chat)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    endpoint.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"  # type: ignore[union-attr]
    try:
        yield endpoint
    finally:
        await runner.cleanup()
