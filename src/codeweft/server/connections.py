"""Connections that send nothing, or a byte now and then: they are closed, for each holds memory and a descriptor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from codeweft.errors import TooLarge, TooSlow
from codeweft.server.steps import begin

HEAD_SECONDS = 20.0
"""From a connection's first byte to the end of the headers. One that says nothing at all is idle, and has longer."""
IDLE_SECONDS = 75.0
"""What browsers and load balancers count on between two requests."""
BODY_SECONDS = 30.0
"""Between two pieces of a body; a body that trickles is bounded by `BODY_RATE`, too."""
BODY_RATE = 1_000
"""Bytes a second that a body has to come with on average, after the first `BODY_SECONDS`."""


CONNECTION = "codeweft.connection"
"""Where a request's scope holds its connection."""
WHOLE = "codeweft.answer"
"""The type of a message that is the head of an answer and the first of its body: what ASGI takes two for."""


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, which waits for the first request and for the end of headers only so long."""

    _deadline: asyncio.TimerHandle | None = None
    _lost = False
    _in_head = False
    """Whether a request has begun whose headers are not complete."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watching: dict[int, Callable[[], object]] = {}
        self._close_in(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._lost = True
        super().connection_lost(exc)
        for left in tuple(self._watching.values()):
            left()

    def watch(self, left: Callable[[], object]) -> int:
        """Call `left` when the client leaves, until `unwatch`; soon, if it has left."""
        self.flow.resume_reading()
        if self._lost:
            self.loop.call_soon(left)
        self._watching[id(left)] = left
        return id(left)

    def unwatch(self, watching: int) -> None:
        """Take back what `watch` gave a number."""
        self._watching.pop(watching, None)

    def data_received(self, data: bytes) -> None:
        waited = self._in_head
        super().data_received(data)
        # Nearly all requests come in one piece, and need no timer.
        if self._in_head and not waited:
            self._close_in(HEAD_SECONDS)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()
        self.scope[CONNECTION] = self  # type: ignore[literal-required]

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._forget()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, partial(_served, cycle, app))

    def _close_in(self, seconds: float) -> None:
        self._forget()
        self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        transport: Any = self.transport
        if transport is not None and not transport.is_closing():
            transport.close()


async def _served(cycle: RequestResponseCycle, app: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Let `app` answer, which may send messages of the type `WHOLE`."""

    async def told(message: Message) -> None:
        if message["type"] == WHOLE:
            await _send_whole(cycle, message)
        else:
            await send(message)

    await app(scope, receive, told)


async def _send_whole(cycle: RequestResponseCycle, message: Message) -> None:
    """Send a head and the body that comes with it in one packet; uvicorn writes each by itself."""
    transport = cycle.transport
    gathered = _Gathered(transport)
    cycle.transport = gathered  # type: ignore[assignment]
    try:
        await cycle.send({**message, "type": "http.response.start"})  # type: ignore[arg-type]
        await cycle.send({**message, "type": "http.response.body"})  # type: ignore[arg-type]
    finally:
        cycle.transport = transport
        gathered.flush()


class _Gathered:
    """A transport that keeps what is written until it is told otherwise."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._held.append(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Write what was kept."""
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held = []


class Body:
    """Receives a request's body, which may be so large and take so long. `receive` is the application's."""

    def __init__(self, receive: Receive, largest: int) -> None:
        """`largest` is in bytes."""
        self._receive = receive
        self._largest = largest
        self._length = 0
        self._whole = False
        self._began = time.monotonic()

    async def receive(self) -> Message:
        """The next message. Raises `TooLarge` (a chunked body announces no length) and `TooSlow`."""
        if self._whole:
            return await self._receive()
        message, rest = begin(self._receive())
        if rest is not None:
            # Only what is not there yet needs a timer.
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    message = await rest
            except TimeoutError:
                raise TOO_SLOW from None
        assert message is not None
        self._length += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._length > self._largest:
            raise too_large(self._largest)
        if not self._whole and too_slow(self._length, time.monotonic() - self._began):
            raise TOO_SLOW
        return message


TOO_SLOW = TooSlow(
    "The body did not come in time.", fix="Send it again over a better connection, or less at once."
)


def too_large(largest: int) -> TooLarge:
    """The error for a body of more than `largest` bytes."""
    return TooLarge(
        f"The body is larger than {largest / 1_000_000:g} MB.",
        fix="Send less at once, or raise server.max_body_mb in the settings.",
    )


def too_slow(received: int, seconds: float) -> bool:
    """Whether a body of which `received` bytes came in `seconds` is one that is meant to hold a connection."""
    return seconds > BODY_SECONDS and received < seconds * BODY_RATE
