"""The vector table: the next view of it, whatever changed."""

from __future__ import annotations

import numpy as np

from codeweft.retrieval.store.vectors import Added, VectorTable


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
