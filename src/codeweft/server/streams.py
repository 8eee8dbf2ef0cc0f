"""Streaming over HTTP: whoever leaves is not worked for any more, whoever is slow slows the work down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from codeweft.errors import NotReady
from codeweft.server.connections import CONNECTION, WHOLE, Protocol
from codeweft.server.steps import Rest
from codeweft.stream import Replayed, close
from codeweft.types import Done, Event, Failed, PromptProgress, ReasoningDelta, TextDelta, ToolCallDelta

_ACCEPTED = (PromptProgress, TextDelta, ReasoningDelta, ToolCallDelta, Done)
"""Events after which a request can be answered 200: the model took it."""

LONGEST_WRITE = 16_384
"""Bytes that are gathered before they are sent all the same."""

STOPPING = NotReady("The server is stopping.", fix="Try again in a moment.")


class ClientGone(Exception):
    """The client closed the connection; there is nobody to answer."""


class Streams:
    """The streams that are open, so that a stopping server can end them."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[Any], bool] = {}
        self._stopping = False

    def stop(self) -> None:
        """End every open stream with a last word; new ones are refused."""
        self._stopping = True
        for task in self._open:
            self._open[task] = True
            task.cancel()

    def attended(self, scope: Scope) -> Attended:
        """Cancels what runs inside when the client leaves (`ClientGone`) or the server stops (`NotReady`).

        ASGI servers do not fail a `send` to a client that left; `receive` tells, but waiting for it takes a task. So
        the connection is asked.
        """
        if self._stopping:
            raise STOPPING
        return Attended(self._open, scope[CONNECTION])


class Attended:
    """See `Streams.attended`."""

    def __init__(self, running: dict[asyncio.Task[Any], bool], connection: Protocol) -> None:
        """`running` says of each task whether the server has stopped it."""
        self._running = running
        self._connection = connection
        self._gone = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._running[task] = False
        self._watching = self._connection.watch(self._left)

    def _left(self) -> None:
        if self._task in self._running:
            self._gone = True
            self._task.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        task = self._task
        told = self._running.pop(task) or self._gone
        self._connection.unwatch(self._watching)
        if not told:
            return
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            task.uncancel()
            raise (ClientGone() if self._gone else STOPPING) from None
        if task.cancelling():
            # The work ended just then by itself: what comes after it is not to be cancelled.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            task.uncancel()


class EventStream(Response):
    """Server-sent events, or lines of JSON. An error becomes the last chunk by `last_word`.

    `chunks` and the `sources` that they are made from are closed at the end, also when the client leaves. `attended`
    is the block of `Streams.attended` to end then; None for a stream that is not attended yet.
    """

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        streams: Streams,
        last_word: Callable[[Exception], bytes],
        *sources: AsyncIterator[Any],
        media_type: str = "text/event-stream",
        attended: AsyncExitStack | None = None,
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self._chunks = chunks
        self._streams = streams
        self._last_word = last_word
        self._sources = sources
        self._attended = attended
        # Proxies such as nginx hold a stream back unless told.
        self.init_headers({"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._attended or self._streams.attended(scope):
                last = await write(self._chunks, send, {"status": 200, "headers": self.raw_headers})
        except ClientGone:
            return
        except Exception as error:
            last = _body(self._last_word(error))
        finally:
            for iterator in (self._chunks, *self._sources):
                await close(iterator)
        await send({**last, "more_body": False})


def _body(chunk: bytes, opening: Message | None = None) -> Message:
    """A piece of a body, the first with its `opening`."""
    return {**(opening or _GOES_ON), "body": chunk, "more_body": True}


_GOES_ON: Message = {"type": "http.response.body"}


async def write(chunks: AsyncIterator[bytes], send: Send, head: Message) -> Message:
    """Send what `chunks` gives: all that there is before it has to wait, in one go, and nothing later than that.

    An endpoint's packet holds several events when either side is busy; each write is a system call and a packet.
    `head` goes with the first, and the last is returned, for the end of the answer to go with it.
    """
    ready: list[bytes] = []
    size = 0
    opening: Message | None = {**head, "type": WHOLE}
    while True:
        step = chunks.__anext__().__await__()
        try:
            try:
                waits = next(step)
            except StopIteration as given:
                chunk: bytes = given.value
            else:
                if ready or opening is not None:
                    message, ready, size, opening = _body(b"".join(ready), opening), [], 0, None
                    await _meanwhile(send(message), step)
                chunk = await Rest(step, waits)
        except BaseException as error:
            message = _body(b"".join(ready), opening)
            if isinstance(error, StopAsyncIteration):
                return message
            if ready or opening is not None:
                await send(message)
            raise
        ready.append(chunk)
        size += len(chunk)
        if size > LONGEST_WRITE:
            message, ready, size, opening = _body(b"".join(ready), opening), [], 0, None
            await send(message)


async def _meanwhile(sent: Awaitable[None], step: Generator[Any, Any, bytes]) -> None:
    """Wait for `sent` while `step` is half done; a cancellation reaches both, for a half done step cannot be closed."""
    try:
        await sent
    except BaseException as error:
        with suppress(StopIteration, StopAsyncIteration):
            await Rest(step, step.throw(error))
        raise


Choices = AsyncIterator[tuple[int, Event]]
"""Events of several choices, each with its choice."""


async def merge(streams: Sequence[Choices]) -> AsyncGenerator[tuple[int, Event]]:
    """The events of several choices as they come; closing it closes them all."""
    # Small, so that a slow reader slows every choice down.
    queue: asyncio.Queue[tuple[int, Event] | BaseException | None] = asyncio.Queue(len(streams))

    async def pump(stream: Choices) -> None:
        try:
            async for item in stream:
                await queue.put(item)
        except Exception as bug:
            await queue.put(bug)
        finally:
            await close(stream)
        await queue.put(None)

    tasks = [asyncio.create_task(pump(stream)) for stream in streams]
    try:
        left = len(tasks)
        while left:
            item = await queue.get()
            if item is None:
                left -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def accepted(events: Choices) -> Choices:
    """The same events, read ahead until a model took the request, so that a refusal still can be an HTTP status.

    Raises the error of a `Failed` that comes before.
    """
    head: list[tuple[int, Event]] = []
    try:
        async for item in events:
            head.append(item)
            if isinstance(item[1], Failed):
                raise item[1].error
            if isinstance(item[1], _ACCEPTED):
                break
    except BaseException:
        await close(events)
        raise

    return Replayed(head, events)
