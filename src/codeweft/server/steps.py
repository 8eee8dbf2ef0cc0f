"""Awaiting by hand: beginning something to see whether it has to wait, and going on if it does."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Rest(Generic[T]):
    """Awaits what is left of an awaitable that was begun by hand and waits for `waits`."""

    __slots__ = ("_step", "_waits")

    def __init__(self, step: Generator[Any, Any, T], waits: Any) -> None:
        self._step = step
        self._waits = waits

    def __await__(self) -> Generator[Any, Any, T]:
        try:
            while True:
                try:
                    answer = yield self._waits
                except BaseException as error:
                    self._waits = self._step.throw(error)
                else:
                    self._waits = self._step.send(answer)
        except StopIteration as given:
            result: T = given.value
            return result


def begin(work: Awaitable[T]) -> tuple[T | None, Rest[T] | None]:
    """What `work` gives without waiting, or what is left of it. Must be called in a task."""
    step = work.__await__()
    try:
        waits = next(step)
    except StopIteration as given:
        return given.value, None
    return None, Rest(step, waits)
