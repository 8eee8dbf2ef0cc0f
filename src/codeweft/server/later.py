"""A room that takes a while to make: the server answers in the others meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send


class Later:
    """An ASGI application that is made once: by `begin`, or when it is first called."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, ASGIApp]]) -> None:
        self._make = make
        self._making: asyncio.Task[ASGIApp] | None = None
        self._app: ASGIApp | None = None

    def begin(self) -> asyncio.Task[ASGIApp]:
        """Begin to make it, unless begun."""
        if self._making is None:
            self._making = asyncio.create_task(self._make(), name="later")
        return self._making

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            # Whoever leaves meanwhile must not stop it for the others.
            self._app = await asyncio.shield(self.begin())
        await self._app(scope, receive, send)
