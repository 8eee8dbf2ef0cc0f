"""The Model Context Protocol over HTTP: `/mcp`, opened when the first agent calls, for importing it takes a while."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from codeweft.server.service import Service
from codeweft.types import Caller


class Agents:
    """An ASGI application that speaks MCP. The door in front has found out who asks."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._opening = asyncio.Lock()
        self._app: ASGIApp | None = None
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opening:
            if self._app is None:
                ready: asyncio.Future[ASGIApp] = asyncio.get_running_loop().create_future()
                self._task = asyncio.create_task(self._run(ready), name="mcp")
                self._app = await ready
        await self._app(scope, receive, send)

    async def close(self) -> None:
        """End the sessions of agents."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, ready: asyncio.Future[ASGIApp]) -> None:
        """Keep the sessions' task group open; it has to be left by the task that entered it."""
        try:
            server = await asyncio.to_thread(self._create)
            app = server.streamable_http_app(stateless_http=True, transport_security=_security())
            async with server.session_manager.run():
                ready.set_result(app)
                await asyncio.Event().wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    def _create(self) -> Any:
        from codeweft.mcp import create_mcp

        return create_mcp(self._service.runtime.readable, self._service.model, _caller)


def _security() -> Any:
    """Rebinding a name to this machine gains nothing: every request needs a key, which pages of others do not have."""
    from mcp.server.transport_security import TransportSecuritySettings

    return TransportSecuritySettings(enable_dns_rebinding_protection=False)


def _caller(request: Any) -> Caller:
    found: Caller = request.scope["codeweft.caller"]
    return found
