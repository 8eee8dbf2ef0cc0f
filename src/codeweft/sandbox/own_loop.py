"""Child processes on an event loop of Python's own, whichever loop asks for them.

uvloop, which the server runs on, knows neither `user` nor `group` and hands a child more open files than it is told
to; a sandbox must not inherit any.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def on_own_loop(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns or raises. Cancelled, it ends only when `work` has."""
    here, there = asyncio.get_running_loop(), _own_loop()
    ended: asyncio.Future[asyncio.Task[T]] = here.create_future()
    tasks: list[asyncio.Task[T]] = []

    def tell(task: asyncio.Task[T]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop that asked is closed
            here.call_soon_threadsafe(ended.set_result, task)

    def begin() -> None:
        tasks.append(there.create_task(work))
        tasks[0].add_done_callback(tell)

    there.call_soon_threadsafe(begin)
    cancelled: asyncio.CancelledError | None = None
    while not ended.done():
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError as error:
            cancelled = error
            there.call_soon_threadsafe(lambda: tasks[0].cancel())
    if cancelled is not None:
        raise cancelled
    return ended.result().result()


@functools.cache
def _own_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()
    threading.Thread(target=loop.run_forever, name="sandbox", daemon=True).start()
    return loop
