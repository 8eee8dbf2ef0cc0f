"""Budgets and rate limits, decided in memory before a request is served. Pure but for the clock.

Rates are token buckets (https://en.wikipedia.org/wiki/Token_bucket) that refill continuously and hold one minute's
worth. What a request costs is known when it ends, so tokens and money are charged afterwards: whoever has overdrawn
waits until the bucket is refilled, or the period is over.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Final, Literal

from codeweft.errors import BudgetSpent, RateLimited

SubjectKind = Literal["user", "key", "team", "everyone"]
Period = Literal["day", "month", "total"]
Subject = tuple[SubjectKind, str]

EVERYONE: Final[Subject] = ("everyone", "")
"""What holds for each user that has no limit of its own."""
_MOST_HELD: Final = 10_000
"""Callers whose limits are remembered; looking them up anew is cheap, only not for every request."""
_MINUTE: Final = 60.0
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Limit:
    """What a subject may use; None leaves it free. Budgets are for each `period`, in USD and tokens."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel: int | None = None
    budget_usd: float | None = None
    budget_tokens: int | None = None
    period: Period = "month"


@dataclass(slots=True)
class _Bucket:
    """`level` of what may be used now; it may be negative."""

    level: float
    at: float

    def refilled(self, per_minute: int, now: float) -> float:
        # A clock that was set back must not take away what it gave.
        self.level = min(per_minute, self.level + max(0.0, now - self.at) * per_minute / _MINUTE)
        self.at = now
        return self.level


@dataclass(slots=True)
class _Spent:
    usd: float = 0.0
    tokens: int = 0


class _Holding:
    """A limit that a caller is under, with its buckets: looking each up takes longer than the decision."""

    __slots__ = ("limit", "rates", "requests", "subject", "tokens")

    def __init__(self, subject: Subject, limit: Limit, bucket: Callable[[str, int], _Bucket]) -> None:
        self.subject = subject
        self.limit = limit
        per_minute = limit.requests_per_minute, limit.tokens_per_minute
        self.requests = None if per_minute[0] is None else bucket("requests", per_minute[0])
        self.tokens = None if per_minute[1] is None else bucket("tokens", per_minute[1])
        self.rates: list[tuple[str, int, float, _Bucket]] = []
        """What is counted, how much of it a minute, how much a request must find, and where."""
        if self.requests is not None and per_minute[0] is not None:
            self.rates.append(("requests", per_minute[0], 1.0, self.requests))
        if self.tokens is not None and per_minute[1] is not None:
            self.rates.append(("tokens", per_minute[1], 0.0, self.tokens))


_Held = list[_Holding]


class Gate:
    """Lets requests in, or says why not and when again. All methods run on the event loop's thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._limits: Mapping[Subject, Limit] = {}
        self._buckets: dict[tuple[Subject, str], _Bucket] = {}
        self._running: dict[Subject, int] = defaultdict(int)
        self._spent: dict[tuple[Subject, str], _Spent] = defaultdict(_Spent)
        self._held: dict[tuple[Subject, ...], _Held] = {}

    def set_limits(self, limits: Mapping[Subject, Limit]) -> None:
        """The limits in force from now on. What was used stays counted."""
        self._limits = dict(limits)
        self._held.clear()

    def admitted(self, subjects: Iterable[Subject]) -> Admitted:
        """Be served as all of `subjects`. Entering raises `RateLimited` or `BudgetSpent` when one of them may not."""
        return Admitted(self, self._limited(subjects))

    def enter(self, held: _Held) -> None:
        """See `admitted`."""
        now = self._clock()
        for holding in held:
            self._check(holding, now)
        for holding in held:
            if holding.requests is not None:
                holding.requests.level -= 1
            self._running[holding.subject] += 1

    def leave(self, held: _Held) -> None:
        """See `admitted`."""
        for holding in held:
            subject = holding.subject
            self._running[subject] -= 1
            if not self._running[subject]:
                del self._running[subject]

    def charge(self, subjects: Iterable[Subject], tokens: int, usd: float, at: float | None = None) -> None:
        """Count what an answer used. `at` (Unix seconds) says when, for answers of before this process."""
        now = self._clock()
        for holding in self._limited(subjects):
            spent = self._spent[holding.subject, period_of(holding.limit.period, now if at is None else at)]
            spent.usd += usd
            spent.tokens += tokens
            if holding.tokens is not None and at is None:
                holding.tokens.level -= tokens

    def forget_spent(self) -> None:
        """Start counting budgets anew, before they are charged again from the ledger."""
        self._spent.clear()

    def spent(self, subject: Subject, period: Period) -> tuple[float, int]:
        """USD and tokens used by a subject with a limit in the current period."""
        found = self._spent.get((subject, period_of(period, self._clock())), _Spent())
        return found.usd, found.tokens

    def _limited(self, subjects: Iterable[Subject]) -> _Held:
        """The subjects that have a limit; a user without one has everyone's, counted for that user alone."""
        subjects = tuple(subjects)
        known = self._held.get(subjects)
        if known is not None:
            return known
        held: _Held = []
        for subject in subjects:
            limit = self._limits.get(subject)
            if limit is None and subject[0] == "user":
                limit = self._limits.get(EVERYONE)
            if limit is not None:
                held.append(_Holding(subject, limit, partial(self._bucket, subject)))
        if len(self._held) >= _MOST_HELD:
            self._held.clear()
        self._held[subjects] = held
        return held

    def _check(self, holding: _Holding, now: float) -> None:
        subject, limit = holding.subject, holding.limit
        if limit.parallel is not None and self._running.get(subject, 0) >= limit.parallel:
            raise RateLimited(
                f"This {subject[0]} has {limit.parallel} answers being written, as many as it may.",
                fix="Wait for one of them, or ask an administrator for more.",
                details={"retry_after": 1},
            )
        for kind, rate, needed, bucket in holding.rates:
            level = bucket.refilled(rate, now)
            if level < needed:
                wait = max(1, int(-(-(needed - level) * _MINUTE // max(rate, 1))))
                raise RateLimited(
                    f"This {subject[0]} may use {rate} {kind} a minute.",
                    fix=f"Try again in {wait} s, or ask an administrator for more.",
                    details={"retry_after": wait},
                )
        spent = self._spent.get((subject, period_of(limit.period, now)))
        if spent is not None and (
            (limit.budget_usd is not None and spent.usd >= limit.budget_usd)
            or (limit.budget_tokens is not None and spent.tokens >= limit.budget_tokens)
        ):
            raise _over_budget(subject, limit, spent)

    def _bucket(self, subject: Subject, kind: str, rate: int) -> _Bucket:
        found = self._buckets.get((subject, kind))
        if found is None:
            found = self._buckets[subject, kind] = _Bucket(float(rate), self._clock())
        return found


def _over_budget(subject: Subject, limit: Limit, spent: _Spent) -> BudgetSpent:
    lasts = limit.period == "total"
    over = "" if lasts else f" of this {limit.period}"
    fix = "Ask an administrator to raise it" + ("." if lasts else ", or wait for the next.")
    said = (
        f"{limit.budget_usd:g} USD"
        if limit.budget_usd is not None and spent.usd >= limit.budget_usd
        else f"{limit.budget_tokens:,} tokens"
    )
    return BudgetSpent(f"This {subject[0]} has used its budget{over}: {said}.", fix=fix)


class Admitted:
    """See `Gate.admitted`. A class, for a generator costs each request several times as much."""

    __slots__ = ("_gate", "_held")

    def __init__(self, gate: Gate, held: _Held) -> None:
        self._gate = gate
        self._held = held

    def __enter__(self) -> None:
        self._gate.enter(self._held)

    def __exit__(self, *_: object) -> None:
        self._gate.leave(self._held)


def period_of(period: Period, at: float) -> str:
    """The period that a moment (Unix seconds) belongs to, in UTC: 2026-11-21, 2026-11 or total."""
    return "total" if period == "total" else _of_day(period, at // _DAY)


@lru_cache(maxsize=64)
def _of_day(period: Period, day: float) -> str:
    """`day` is in days since 1970; asked several times for each request, it changes once in a day."""
    moment = datetime.fromtimestamp(day * _DAY, UTC)
    return moment.strftime("%Y-%m-%d" if period == "day" else "%Y-%m")


def period_start(period: Period, at: float) -> float:
    """When the period of `at` began, in Unix seconds; 0 for `total`."""
    if period == "total":
        return 0.0
    moment = datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (moment if period == "day" else moment.replace(day=1)).timestamp()
