"""A clock that jumps: nobody is kept out for longer than they would be by a clock that goes right."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from codeweft.accounts.limits import Gate, Limit
from codeweft.accounts.throttle import LONGEST_WAIT, Throttle
from codeweft.errors import RateLimited

HOUR = 3600.0
KIM = ("user", "kim")


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("jump", [-1e9, -24 * HOUR, -HOUR, -1, 1, HOUR, 1e9])
def test_a_rate_limit_holds_for_a_minute_at_most_whatever_the_clock_does(jump: float) -> None:
    clock = Clock()
    gate = Gate(clock)
    gate.set_limits({KIM: Limit(requests_per_minute=2)})
    for _ in range(2):
        with gate.admitted([KIM]):
            pass
    clock.now += jump
    for _ in range(2 if jump >= 60 else 0):
        with gate.admitted([KIM]):
            pass
    with pytest.raises(RateLimited) as refused, gate.admitted([KIM]):
        pass
    assert refused.value.details["retry_after"] <= 60
    clock.now += 60
    with gate.admitted([KIM]):
        pass


@pytest.mark.parametrize("jump", [-24 * HOUR, -HOUR, -1])
def test_a_clock_set_back_does_not_lengthen_the_wait_for_signing_in(jump: float) -> None:
    clock = Clock()
    throttle = Throttle(clock)
    throttle.attempt([("kim", 5)])
    clock.now += jump
    # Still free: one failure is no reason to wait.
    for _ in range(4):
        throttle.attempt([("kim", 5)])
    with pytest.raises(RateLimited):
        throttle.attempt([("kim", 5)])
    clock.now += LONGEST_WAIT
    throttle.attempt([("kim", 5)])
