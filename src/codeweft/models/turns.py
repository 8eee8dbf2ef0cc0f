"""Who may use the engine next: as many at once as it has slots, owners served in turn, the queue bounded."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from codeweft.errors import Overloaded


class Turns:
    """A fair semaphore. Within one owner requests are served in order; between owners, round robin.

    One owner that sends a hundred requests therefore delays the others by one answer, not by a hundred.
    """

    def __init__(self, slots: int, queue: int) -> None:
        self.slots = slots
        self.queue = queue
        self.busy = 0
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        return sum(len(line) for line in self._waiting.values())

    @asynccontextmanager
    async def take(self, owner: str) -> AsyncIterator[None]:
        """Hold one slot. Raises `Overloaded` at once when `queue` requests wait already."""
        await self._acquire(owner)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, owner: str) -> None:
        if self.busy < self.slots and not self._waiting:
            self.busy += 1
            return
        if self.waiting >= self.queue:
            raise Overloaded(
                f"The model is busy: {self.busy} answers are being written and {self.waiting} requests wait.",
                fix="Try again in a moment, or raise `parallel` or `queue` in the settings.",
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()
            else:
                self._forget(owner, turn)
            raise

    def _forget(self, owner: str, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(owner)
        if line is not None and turn in line:
            line.remove(turn)
            if not line:
                del self._waiting[owner]

    def _release(self) -> None:
        """Hand the slot to the first request of the owner whose turn it is, or free it."""
        while self._waiting and self.busy <= self.slots:
            owner, line = next(iter(self._waiting.items()))
            turn = line.popleft()
            del self._waiting[owner]
            if line:
                self._waiting[owner] = line
            if not turn.done():
                turn.set_result(None)
                return
        self.busy -= 1
