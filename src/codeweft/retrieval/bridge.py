"""From threads into an event loop: indexing and searching are synchronous, endpoints and engines are not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Final, TypeVar

T = TypeVar("T")
_TICK_SECONDS: Final = 0.2


class Bridge:
    """Runs coroutines in an event loop from other threads and waits for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """`loop` runs in another thread already; None starts one when it is first needed."""
        self._loop = loop
        self._lock = threading.Lock()

    def run(self, coroutine: Coroutine[Any, Any, T], tick: Callable[[], None] | None = None) -> T:
        """What `coroutine` returns. `tick` is called in this thread while it runs; what it raises ends the coroutine.

        Must not be called in the loop's own thread, which would wait for itself.
        """
        future = self.start(coroutine)
        try:
            while True:
                try:
                    return future.result(_TICK_SECONDS if tick else None)
                except FutureTimeout:
                    if future.done():
                        raise
                    assert tick is not None
                    tick()
        except BaseException:
            future.cancel()
            raise

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin without waiting."""
        loop = self._running()
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is loop:
            coroutine.close()
            raise RuntimeError("A bridge was crossed from the side that it leads to; use a thread.")
        return asyncio.run_coroutine_threadsafe(coroutine, loop)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # A daemon: it holds nothing that must be finished when the program ends.
                threading.Thread(target=self._loop.run_forever, name="bridge", daemon=True).start()
            return self._loop
