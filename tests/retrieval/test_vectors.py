"""The vector table: the next view of it, whatever changed."""

from __future__ import annotations

import numpy as np
import pytest

from codeweft.retrieval.store import vectors
from codeweft.retrieval.store.vectors import Added, VectorTable, sign_codes


def read_only(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(data, np.int8).reshape(shape)


def test_rows_can_be_removed_from_a_table_that_was_just_read_and_others_added_later() -> None:
    ids = np.arange(1, 4)
    kinds = np.frombuffer(b"\x01\x01\x01", np.uint8)
    table = VectorTable.empty(4).with_changes(
        [], Added.of(ids, ids, kinds, read_only(bytes(range(12)), (3, 4)))
    )
    none = np.zeros(0, np.int64)
    nothing = Added.of(none, none, np.frombuffer(b"", np.uint8), read_only(b"", (0, 4)))
    fewer = table.with_changes([(2, 1)], nothing)
    assert (len(table), len(fewer)) == (3, 2)
    nine = Added.of(np.array([9]), np.array([9]), kinds[:1], read_only(b"\x01\x02\x03\x04", (1, 4)))
    more = fewer.with_changes([], nine)
    assert len(more) == 3 and more.ids[-1] == 9
    assert len(fewer) == 2


def table_of(count: int, dimensions: int) -> tuple[VectorTable, np.ndarray]:
    rows = np.random.default_rng(5).integers(-127, 128, (count, dimensions)).astype(np.int8)
    ids = np.arange(1, count + 1)
    return VectorTable.empty(dimensions).with_changes(
        [], Added.of(ids, ids, np.zeros(count, np.uint8), rows)
    ), rows


@pytest.mark.parametrize("dimensions", [40, 128, 256])
def test_a_scan_finds_the_rows_whose_sign_bits_differ_least(dimensions: int) -> None:
    table, rows = table_of(9000, dimensions)
    question = np.random.default_rng(9).standard_normal(dimensions).astype(np.float32)
    question /= np.linalg.norm(question)
    code, codes = sign_codes(question[None, :])[0], sign_codes(rows)
    coarse = np.bitwise_count(codes[:, :2] ^ code[:2]).sum(axis=1, dtype=np.int64)
    limit = np.sort(coarse)[4 * vectors.CANDIDATES - 1]
    near = np.flatnonzero(coarse <= limit)
    every = np.bitwise_count(codes[near] ^ code).sum(axis=1, dtype=np.int64)
    sure = near[every < np.sort(every)[vectors.CANDIDATES - 1]]
    cosines = rows[sure].astype(np.float32) @ question / np.linalg.norm(rows[sure].astype(np.float32), axis=1)
    found, scores = table.nearest(question, 10)
    assert scores[0] >= cosines.max() - 1e-6
    assert set(sure[cosines >= scores[-1] + 1e-6]) <= set(found)


def test_a_scan_leaves_out_what_is_gone_and_what_is_not_allowed() -> None:
    table, rows = table_of(9000, 64)
    allowed = np.arange(9000) % 2 == 0
    fewer = table.with_changes(
        [(1, 3000)], Added.of(*(np.zeros(0, np.int64),) * 2, np.zeros(0, np.uint8), rows[:0])
    )
    found, _ = fewer.nearest(rows[4000].astype(np.float32) / 1000, 50, allowed)
    assert len(found) == 50
    assert found[0] == 4000 and (found >= 3000).all() and (found % 2 == 0).all()


@pytest.mark.parametrize("target", [1, 500, 4000, 8999])
def test_the_limit_is_the_least_that_enough_rows_do_not_exceed(target: int) -> None:
    distances = np.random.default_rng(1).binomial(128, 0.5, 9000).astype(np.uint8)
    distances[::7] = 255
    expected = int(np.sort(distances)[target - 1])
    assert vectors._limit(distances, target, 128) == min(expected, 128)
