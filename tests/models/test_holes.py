"""Code around a hole that is longer than the context: what is nearest to the hole stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeweft.models import holes
from codeweft.types import Infill, Neighbour, Request, Sampling, Started

from .conftest import MakeModel, done, events_of

LINES = "".join(f"line_{number}\n" for number in range(1000))


def test_what_fits_stays_as_it_is() -> None:
    hole = Infill("a", "b", suffix_first=True)
    assert holes.cut(hole, 2) is hole


@pytest.mark.parametrize("characters", [0, 1, 7, 100, 5000])
def test_whole_lines_nearest_to_the_hole_stay(characters: int) -> None:
    hole = holes.cut(Infill(LINES + "x = ", "\n" + LINES), characters)
    assert len(hole.prefix) + len(hole.suffix) <= characters
    assert LINES.endswith(hole.prefix.removesuffix("x = ")) or "x = ".endswith(hole.prefix)
    assert ("\n" + LINES).startswith(hole.suffix)
    if characters >= 100:
        assert hole.prefix.startswith("line_")
        assert characters * 0.5 < len(hole.prefix) < characters * 0.8


def test_room_that_the_code_before_leaves_goes_to_what_follows() -> None:
    hole = holes.cut(Infill("x = ", LINES), 1000)
    assert hole.prefix == "x = "
    assert len(hole.suffix) > 950


def test_a_single_endless_line_is_cut_anywhere() -> None:
    assert holes.cut(Infill("a" * 100, "b" * 100), 40) == Infill("a" * 30, "b" * 10)


async def test_a_hole_in_a_long_file_is_filled_and_the_answer_says_what_was_read(
    tiny: Path, make_model: MakeModel
) -> None:
    model = make_model(tiny, context=512)
    neighbour = Neighbour("near.py", "n = 1\n" * 20)
    request = Request("tiny", infill=Infill(LINES, LINES, (neighbour,)), sampling=Sampling(max_tokens=100))
    events = await events_of(model, request)
    started = events[0]
    assert isinstance(started, Started)
    assert "characters fit" in started.note
    assert "neighbouring" not in started.note, "the other file keeps its part"
    assert 300 < done(events).usage.prompt_tokens <= 512 - 100
    count = await model.count(request)
    assert count.prompt_tokens == done(events).usage.prompt_tokens
