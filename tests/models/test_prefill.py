"""Long prompts are read in pieces, so that nobody else waits for them."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

from codeweft.models.embedded import EmbeddedModel
from codeweft.models.prefill import SHORTEST, UNKNOWN, Prefill
from codeweft.types import PromptProgress, Request, Sampling, TextDelta

from .conftest import MakeModel, done, endless, events_of, text_of


def complete(text: str, tokens: int) -> Request:
    return Request("tiny", prompt=text, sampling=Sampling(temperature=0.0, max_tokens=tokens))


def big_batches(folder: Path) -> str:
    """An interpreter at another path: taken for a GPU build, whose batches are too large for this machine."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\ntouch "$0.used"\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return str(path)


# ── decisions ────────────────────────────────────────────────────────────────────────────────────────────────


def test_pieces_take_half_a_second_while_others_are_served() -> None:
    reader = Prefill(batch=128)
    assert (reader.piece(shared=False), reader.piece(shared=True)) == (128, UNKNOWN)
    reader.took(100, 0.5)
    assert (reader.piece(shared=False), reader.piece(shared=True)) == (200, 100)


def test_a_slow_machine_reads_no_shorter_pieces_than_are_worth_it() -> None:
    reader = Prefill(batch=128)
    reader.took(20, 10.0)
    assert (reader.piece(shared=False), reader.piece(shared=True)) == (128, SHORTEST)


def test_the_speed_follows_the_load() -> None:
    reader = Prefill(batch=128)
    reader.took(1000, 1.0)
    for _ in range(6):
        reader.took(100, 1.0)
    assert 50 <= reader.piece(shared=True) < 65
    before = reader.piece(shared=True)
    reader.took(1, 0.001)
    assert reader.piece(shared=True) == before, "the last token of a cached prompt says nothing of the speed"


def test_what_was_read_before_is_known_until_the_process_changes() -> None:
    reader = Prefill(batch=128)
    assert reader.begin([1, 2, 3, 4], process=7) == 0
    assert reader.begin([1, 2, 3, 9, 9], process=7) == 3
    assert reader.begin([1, 2, 3, 9, 9, 9], process=7) == 5
    assert reader.begin([5], process=7) == 0
    assert reader.begin([1, 2, 3, 4], process=8) == 0


# ── the engine ───────────────────────────────────────────────────────────────────────────────────────────────


async def _timed(
    model: EmbeddedModel, request: Request, into: list[float], begun: asyncio.Event | None = None
) -> None:
    async with aclosing(model.stream(request)) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                into.append(time.perf_counter())
                if begun is not None:
                    begun.set()


async def test_a_long_prompt_neither_stalls_a_running_answer_nor_keeps_a_short_one_waiting(
    slow: Path, tmp_path: Path, make_model: MakeModel
) -> None:
    model = make_model(slow, parallel=3, context=4096, python=big_batches(tmp_path))
    await model.start()
    assert model._loaded().plan.batch == 2048
    running: list[float] = []
    begun = asyncio.Event()
    request = Request("tiny", prompt="a =", sampling=endless(model))
    first = asyncio.create_task(_timed(model, request, running, begun))
    await begun.wait()
    begin = time.perf_counter()
    long = asyncio.create_task(events_of(model, complete("é" * 1900, 2)))
    await asyncio.sleep(0.2)
    asked = time.perf_counter()
    short: list[float] = []
    await _timed(model, complete("b =", 2), short)
    usage = done(await long).usage
    end = time.perf_counter()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert end - begin > 1.5, "the prompt is not long enough to show anything"
    inside = [begin, *(moment for moment in running if begin < moment < end), end]
    # The second that is promised, or a part of what it would be where other work keeps this machine busy.
    bound = max(1.0, (end - begin) / 4)
    assert max(later - earlier for earlier, later in pairwise(inside)) < bound
    assert short[0] - asked < bound
    assert (usage.prompt_tokens, usage.cached_tokens) == (3800, 0)


async def test_a_prompt_read_in_pieces_is_answered_as_one_read_at_once(
    tiny: Path, make_model: MakeModel
) -> None:
    request = complete("x = 1\n" * 200, 24)
    other = make_model(tiny)
    await other.start()
    other._loaded().prefill = Prefill(batch=1 << 20)
    whole = await events_of(other, request)
    model = make_model(tiny)
    await model.start()
    model._loaded().prefill = Prefill(batch=100)
    pieces, again = await events_of(model, request), await events_of(model, request)
    assert text_of(whole) == text_of(pieces) == text_of(again)
    progress = [event for event in pieces if isinstance(event, PromptProgress)]
    assert progress[-1].total == done(pieces).usage.prompt_tokens
    assert done(pieces).usage.cached_tokens == 0
    assert done(again).usage.cached_tokens == done(again).usage.prompt_tokens - 1
    assert done(whole).usage == done(pieces).usage


async def test_an_engine_of_another_interpreter_is_used(
    tiny: Path, tmp_path: Path, make_model: MakeModel
) -> None:
    model = make_model(tiny, python=big_batches(tmp_path))
    assert done(await events_of(model, complete("a", 4))).usage.completion_tokens == 4
    assert (tmp_path / "python.used").exists()
