"""A room that takes a while to make, and that programs never enter: it is made when somebody first does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send


class Later:
    """An ASGI application that is made when it is first called."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, ASGIApp]]) -> None:
        self._make = make
        self._making: asyncio.Task[ASGIApp] | None = None
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            if self._making is None:
                self._making = asyncio.create_task(self._make(), name="later")
            # Whoever leaves meanwhile must not stop it for the others.
            self._app = await asyncio.shield(self._making)
        await self._app(scope, receive, send)
