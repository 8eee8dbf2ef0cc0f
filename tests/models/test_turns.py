"""Who gets the engine next."""

from __future__ import annotations

import asyncio

import pytest

from codeweft.errors import Overloaded
from codeweft.models.turns import Turns


async def occupy(turns: Turns, owner: str, order: list[str], release: asyncio.Event) -> None:
    async with turns.take(owner):
        order.append(owner)
        await release.wait()


async def test_no_more_run_at_once_than_there_are_slots() -> None:
    turns, order, release = Turns(2, 10), [], asyncio.Event()
    tasks = [asyncio.create_task(occupy(turns, f"u{n}", order, release)) for n in range(5)]
    await asyncio.sleep(0)
    assert (turns.busy, turns.waiting, len(order)) == (2, 3, 2)
    release.set()
    await asyncio.gather(*tasks)
    assert (turns.busy, turns.waiting, len(order)) == (0, 0, 5)


async def test_a_user_with_many_requests_does_not_keep_the_others_waiting() -> None:
    turns, order, release = Turns(1, 20), [], asyncio.Event()
    release.set()
    async with turns.take("first"):
        tasks = [asyncio.create_task(occupy(turns, "greedy", order, release)) for _ in range(5)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(occupy(turns, "modest", order, release)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert order.index("modest") == 1


async def test_a_full_queue_refuses_at_once() -> None:
    turns = Turns(1, 1)
    async with turns.take("a"):
        waiting = asyncio.create_task(occupy(turns, "b", [], asyncio.Event()))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="1 answers are being written and 1 requests wait"):
            await occupy(turns, "c", [], asyncio.Event())
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert turns.waiting == 0


async def test_who_gives_up_waiting_leaves_no_gap() -> None:
    turns, order, release = Turns(1, 10), [], asyncio.Event()
    release.set()
    async with turns.take("a"):
        gone = asyncio.create_task(occupy(turns, "gone", order, release))
        stays = asyncio.create_task(occupy(turns, "stays", order, release))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    await stays
    assert order == ["stays"]
    assert turns.busy == 0


async def test_a_turn_given_to_someone_who_just_left_goes_to_the_next() -> None:
    turns, order, release = Turns(1, 10), [], asyncio.Event()
    release.set()
    async with turns.take("a"):
        gone = asyncio.create_task(occupy(turns, "gone", order, release))
        stays = asyncio.create_task(occupy(turns, "stays", order, release))
        await asyncio.sleep(0)
    # The slot has been handed to `gone`, which has not run yet.
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await stays
    assert (order, turns.busy) == (["stays"], 0)
