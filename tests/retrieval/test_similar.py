"""Choosing by vectors: thresholds, and results that differ from each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codeweft.errors import InvalidRequest
from codeweft.retrieval.similar import check_selection, most_different, passing, unit_vector, wanted
from codeweft.types import Selection


def angled(*degrees: float) -> np.ndarray:
    radians = np.radians(np.array(degrees, np.float32))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_the_second_choice_is_another_thing_rather_than_the_next_best() -> None:
    rows = angled(10, 12, -35)
    similarities = rows @ angled(0)[0]
    assert most_different(rows, similarities, 2, 1.0) == [0, 1]
    assert most_different(rows, similarities, 2, 0.5) == [0, 2]
    assert most_different(rows, similarities, 9, 0.0) == [0, 2, 1]
    assert most_different(rows[:0], similarities[:0], 3, 0.5) == []


def test_thresholds_let_through_what_is_near_enough_in_order() -> None:
    cosines = [0.9, 0.5, 0.2, 0.1]
    assert passing(Selection("similarity_score_threshold"), cosines) == [0, 1, 2]
    assert passing(Selection("similarity_score_threshold", score_threshold=0.6), cosines) == [0]
    assert passing(Selection("similarity_distance_threshold", distance_threshold=0.5), cosines) == [0, 1]
    assert passing(Selection("similarity"), cosines) == [0, 1, 2, 3]


def test_mmr_looks_at_more_than_it_returns() -> None:
    assert wanted(Selection("mmr"), 4) == 20
    assert wanted(Selection("mmr", fetch_k=2), 4) == 4
    assert wanted(Selection("similarity"), 4) == 4


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"type": "nearest"}, "search_type"),
        ({"fetch_k": 0}, "fetch_k"),
        ({"lambda_mult": 1.5}, "lambda_mult"),
        ({"score_threshold": -0.1}, "score_threshold"),
        ({"score_threshold": float("nan")}, "score_threshold"),
        ({"distance_threshold": 3.0}, "distance_threshold"),
        ({"type": "similarity_distance_threshold"}, "distance_threshold"),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(changed: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_selection(replace(Selection(), **changed))  # type: ignore[arg-type]
    assert refused.value.param == param


def test_a_vector_is_brought_to_unit_length_or_refused() -> None:
    assert unit_vector((3, 4), 2).tolist() == pytest.approx([0.6, 0.8])
    for bad in ((1.0,), (0.0, 0.0), (float("inf"), 1.0)):
        with pytest.raises(InvalidRequest, match="embedding"):
            unit_vector(bad, 2)
