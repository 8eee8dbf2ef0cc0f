"""Budgets and rate limits."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from codeweft.accounts import EVERYONE, Accounts, Actor, Entry, Gate, Limit, Subject
from codeweft.errors import BudgetSpent, RateLimited

USER: Subject = ("user", "u1")
OTHER: Subject = ("user", "u2")
KEY: Subject = ("key", "k1")


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def gate(clock: Clock, **limits: Limit) -> Gate:
    one = Gate(clock)
    subjects = {"user": USER, "key": KEY, "everyone": EVERYONE, "team": ("team", "t")}
    one.set_limits({subjects[name]: limit for name, limit in limits.items()})  # type: ignore[misc]
    return one


def ask(one: Gate, *subjects: Subject) -> None:
    with one.admitted(subjects):
        pass


def test_requests_a_minute_refill_continuously() -> None:
    clock = Clock()
    one = gate(clock, user=Limit(requests_per_minute=6))
    for _ in range(6):
        ask(one, USER)
    with pytest.raises(RateLimited, match="6 requests a minute") as caught:
        ask(one, USER)
    assert caught.value.details["retry_after"] == 10
    clock.now += 10
    ask(one, USER)
    with pytest.raises(RateLimited):
        ask(one, USER)
    ask(one, OTHER)


def test_tokens_are_charged_afterwards_and_waited_for() -> None:
    clock = Clock()
    one = gate(clock, user=Limit(tokens_per_minute=600))
    ask(one, USER)
    one.charge([USER], 900, 0.0)
    with pytest.raises(RateLimited, match="600 tokens a minute") as caught:
        ask(one, USER)
    assert caught.value.details["retry_after"] == 30
    clock.now += 31
    ask(one, USER)


def test_no_more_answers_at_once_than_allowed() -> None:
    one = gate(Clock(), key=Limit(parallel=2))
    with ExitStack() as running:
        for _ in range(2):
            running.enter_context(one.admitted([USER, KEY]))
        with pytest.raises(RateLimited, match="2 answers"):
            ask(one, USER, KEY)
        ask(one, USER)
    ask(one, USER, KEY)


def test_a_budget_is_spent_until_the_period_ends() -> None:
    clock = Clock()
    one = gate(clock, user=Limit(budget_usd=1.0, period="day"), key=Limit(budget_tokens=100, period="total"))
    one.charge([USER, KEY], 40, 1.5)
    with pytest.raises(BudgetSpent, match="of this day: 1 USD"):
        ask(one, USER)
    ask(one, KEY)
    clock.now += 86400
    ask(one, USER)
    one.charge([KEY], 60, 0.0)
    clock.now += 400 * 86400
    with pytest.raises(BudgetSpent, match="100 tokens"):
        ask(one, KEY)


def test_everyones_limit_holds_for_each_user_without_one_of_its_own() -> None:
    one = gate(Clock(), everyone=Limit(requests_per_minute=1), user=Limit(requests_per_minute=3))
    for _ in range(3):
        ask(one, USER)
    ask(one, OTHER)
    with pytest.raises(RateLimited):
        ask(one, OTHER)
    ask(one, ("user", "u3"))


def test_a_refused_request_uses_nothing_up() -> None:
    clock = Clock()
    one = gate(clock, user=Limit(requests_per_minute=60), key=Limit(parallel=0))
    for _ in range(100):
        with pytest.raises(RateLimited):
            ask(one, USER, KEY)
    for _ in range(60):
        ask(one, USER)


async def test_a_new_server_counts_what_earlier_ones_served(tmp_path: Path) -> None:
    clock = Clock()
    async with await Accounts.open(tmp_path / "a.db", clock) as accounts:
        user = await accounts.people.add_user("ann", actor=Actor("test"))
        await accounts.people.set_limit("user", "ann", Limit(budget_usd=1.0), actor=Actor("test"))
        await accounts.people.set_limit("everyone", "", Limit(budget_tokens=50), actor=Actor("test"))
        accounts.spend(Entry(at=clock.now, user_id=user.id, model="m", cost=2.0))
        accounts.spend(Entry(at=clock.now, user_id="bob", model="m", prompt_tokens=60))
        accounts.spend(Entry(at=clock.now - 70 * 86400, user_id="eve", model="m", prompt_tokens=60))
    async with await Accounts.open(tmp_path / "a.db", clock) as accounts:
        await accounts.watch()
        for who in (user.id, "bob"):
            with pytest.raises(BudgetSpent):
                ask(accounts.gate, *accounts.subjects(who, None))
        ask(accounts.gate, *accounts.subjects("eve", None))
        assert accounts.gate.spent(("user", user.id), "month") == (2.0, 0)


async def test_a_changed_limit_is_in_force_at_once_with_what_was_used_before(tmp_path: Path) -> None:
    clock = Clock()
    async with await Accounts.open(tmp_path / "a.db", clock) as accounts:
        await accounts.watch()
        user = await accounts.people.add_user("ann", actor=Actor("test"))
        accounts.spend(Entry(at=clock.now, user_id=user.id, model="m", cost=2.0))
        await accounts.people.set_limit("user", "ann", Limit(budget_usd=1.0), actor=Actor("test"))
        with pytest.raises(BudgetSpent):
            ask(accounts.gate, *accounts.subjects(user.id, None))
        await accounts.people.set_limit("user", "ann", None, actor=Actor("test"))
        ask(accounts.gate, *accounts.subjects(user.id, None))
