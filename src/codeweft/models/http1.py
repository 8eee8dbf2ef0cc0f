"""HTTP/1.1 with an endpoint that needs neither TLS nor a proxy: connections that are kept, answers as they arrive.

A general client takes more of the processor for a request than all the rest of a gateway; see bench/gateway/LOG.md.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import httptools

CONNECT_TIMEOUT: Final = 10.0
IDLE_SECONDS: Final = 15.0
"""How long a connection is kept that nobody uses."""
LONGEST_HEAD: Final = 64 << 10
LONGEST_HELD: Final = 128 << 10
"""Bytes of an answer that may wait for their reader before the endpoint is made to wait."""


class Malformed(ConnectionError):
    """What the endpoint sends is not HTTP/1.1, or not what was asked for."""


class NoAnswer(ConnectionError):
    """Nobody accepted the connection in time."""


class Connection(asyncio.Protocol):
    """One connection to an endpoint, and the answer that is read from it."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._due = self._silence = 0.0
        self._unsent = 0
        self._error: Exception | None = None
        self._asking = False
        self._paused = False
        self.idle_since = 0.0
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._held = self._head = 0
        self._headed = self._ended = self._keeps = self._bounded = False

    # ── for who asks ─────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, request: bytes, silence: float) -> None:
        """Send a request and wait for the head of its answer. `silence` is the longest wait in seconds.

        Raises `ConnectionError` and `TimeoutError`; then, and after the answer, `close` comes last.
        """
        self._reset()
        self._asking, self._silence = True, silence
        self._transport.write(request)
        self._unsent = self._transport.get_write_buffer_size()
        while not self._headed:
            await self._arrival()

    @property
    def content_type(self) -> str:
        """Without its parameters, in small letters."""
        return self.header("content-type").partition(";")[0].strip().lower()

    def header(self, name: str) -> str:
        """The header of that name (in small letters), "" when there is none."""
        return self._headers.get(name.encode(), b"").decode("latin-1")

    @property
    def at_end(self) -> bool:
        """Whether the whole body was read."""
        return self._ended and not self._pieces

    async def read(self) -> bytes:
        """What has arrived of the body, b"" at its end. Raises `ConnectionError` and `TimeoutError`."""
        pieces = self._pieces
        while not pieces:
            if self._ended:
                return b""
            await self._arrival()
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def close(self) -> None:
        """Keep the connection for the next request; one whose answer is not read out is ended."""
        if not self._asking:
            return
        self._asking = False
        if self.at_end and self._keeps and self._error is None and not self._transport.is_closing():
            self.idle_since = self._loop.time()
            self._line.keep(self)
        else:
            self._transport.abort()

    def abort(self) -> None:
        """End the connection."""
        self._transport.abort()

    # ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _arrival(self) -> None:
        """Wait until more has arrived."""
        if self._error is not None:
            raise self._error
        self._due = self._loop.time() + self._silence
        if self._timer is None or self._timer_at > self._due:
            self._watch()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _watch(self) -> None:
        # One timer outlasts many requests: setting one for each wait costs as much as reading the answer.
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.call_at(self._due, self._late), self._due

    def _late(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        unsent = self._transport.get_write_buffer_size()
        if unsent != self._unsent:
            # The endpoint still takes the request in.
            self._unsent, self._due = unsent, self._loop.time() + self._silence
        # Clocks of event loops are as coarse as a millisecond.
        if self._loop.time() < self._due - 0.005:
            self._watch()
        else:
            self._fail(TimeoutError())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
        self._transport.abort()
        self._wake()

    # ── for the event loop ───────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._asking:
            self._line.lost(self)
            self._transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(Malformed("it does not answer in HTTP/1.1"))
        if not self._headed:
            self._head += len(data)
            if self._head <= LONGEST_HEAD:
                return
            self._fail(Malformed("the head of its answer has no end"))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._line.lost(self)
        if self._error is None and not self._ended:
            if self._headed and exc is None and not self._bounded:
                self._ended = True
            else:
                self._error = ConnectionResetError("it closed the connection")
        self._wake()

    # ── for the parser ───────────────────────────────────────────────────────────────────────────────────────

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headed:
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self._headers.clear()
            return
        if self._headers.get(b"content-encoding", b"identity") != b"identity":
            self._fail(Malformed("it sends a compressed answer unasked"))
            return
        self._headed = True
        self._keeps = self._parser.should_keep_alive()
        coding = self._headers.get(b"transfer-encoding", b"").lower()
        self._bounded = b"content-length" in self._headers or b"chunked" in coding

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._held += len(body)
        if self._held > LONGEST_HELD and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self._ended = self._headed


class Line:
    """The connections to one endpoint."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._sweep: asyncio.TimerHandle | None = None

    async def ask(self, request: bytes, silence: float) -> Connection:
        """The answer to a request, whose body is unread: `close` it in the end. Raises `OSError` and `TimeoutError`."""
        connection = self._idle.pop() if self._idle else await self._connected()
        try:
            await connection.ask(request, silence)
        except BaseException:
            connection.close()
            raise
        return connection

    async def close(self) -> None:
        """End all connections."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in tuple(self._open):
            connection.abort()
        # They are gone when the loop has turned.
        await asyncio.sleep(0)

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, connection = await loop.create_connection(lambda: Connection(self), self._host, self._port)
        except TimeoutError:
            raise NoAnswer("it does not answer") from None
        self._open.add(connection)
        return connection

    def keep(self, connection: Connection) -> None:
        """For the next request."""
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._sweep_out)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        self._open.discard(connection)
        with suppress(ValueError):
            self._idle.remove(connection)

    def _sweep_out(self) -> None:
        loop = asyncio.get_running_loop()
        old = loop.time() - IDLE_SECONDS
        for connection in [one for one in self._idle if one.idle_since <= old]:
            connection.abort()
            self.lost(connection)
        self._sweep = loop.call_later(IDLE_SECONDS, self._sweep_out) if self._idle else None
