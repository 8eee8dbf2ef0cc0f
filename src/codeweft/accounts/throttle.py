"""How often a sign-in may be tried. Pure but for the clock; kept in memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Final

from codeweft.errors import RateLimited

FORGET_SECONDS: Final = 15 * 60
"""Without a failure for so long, counting begins anew."""
LONGEST_WAIT: Final = 15 * 60
MOST_KEPT: Final = 20_000
"""Subjects remembered; the ones that failed longest ago are forgotten first."""


@dataclass(slots=True)
class _Failures:
    count: int
    at: float


class Throttle:
    """Counts failures by subject; beyond the free ones each costs twice the wait of the one before.

    An attempt counts as failed from the moment it begins, so that many at once gain nothing.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()

    def attempt(self, subjects: Iterable[tuple[Hashable, int]]) -> None:
        """Begin an attempt by subjects, each with its number of free failures. Raises `RateLimited`."""
        now = self._clock()
        held = [(subject, free, self._of(subject, now)) for subject, free in subjects]
        wait = max((_wait(found, free) - (now - found.at) for _, free, found in held), default=0.0)
        if wait > 0:
            seconds = math.ceil(wait)
            raise RateLimited(
                "There were too many attempts to sign in.",
                fix=f"Try again in {seconds} seconds.",
                details={"retry_after": seconds},
            )
        for subject, _, found in held:
            self._failures[subject] = _Failures(found.count + 1, now)
            self._failures.move_to_end(subject)
        while len(self._failures) > MOST_KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, *subjects: Hashable) -> None:
        """Forget the failures of these."""
        for subject in subjects:
            self._failures.pop(subject, None)

    def forgive(self, *subjects: Hashable) -> None:
        """Take the attempt just begun back; what failed before stays counted."""
        for subject in subjects:
            if (found := self._failures.get(subject)) is not None:
                found.count -= 1

    def _of(self, subject: Hashable, now: float) -> _Failures:
        found = self._failures.get(subject)
        if found is None or now - found.at > FORGET_SECONDS:
            return _Failures(0, now)
        # A clock that was set back must not make the wait longer.
        found.at = min(found.at, now)
        return found


def _wait(found: _Failures, free: int) -> float:
    """Seconds from the last failure until the next attempt."""
    over = found.count - free
    return 0.0 if over < 0 else min(LONGEST_WAIT, 2.0 ** min(over, 20))
