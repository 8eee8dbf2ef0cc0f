"""Packed rows of token ids and their files; what a training machine needs of the preparation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

PIECE_BYTES = 55_000_000

Sample = list[int]


def pack(samples: Iterator[Sample], length: int, total: int, pad: int, open_rows: int = 64) -> np.ndarray:
    """Best-fit packs samples into rows of ``length + 1`` ids until ``total`` ids are used; (rows, length + 1) uint16."""
    done: list[list[int]] = []
    rows: list[list[int]] = []
    used = 0
    for sample in samples:
        used += len(sample)
        if used > total:
            break
        fitting = [row for row in rows if len(row) + len(sample) <= length + 1]
        if fitting:
            row = max(fitting, key=len)
            row += sample
        else:
            row = list(sample)
            rows.append(row)
        if len(row) > length - 16:
            rows.remove(row)
            done.append(row)
        elif len(rows) > open_rows:
            fullest = max(rows, key=len)
            rows.remove(fullest)
            done.append(fullest)
    done += rows
    packed = np.full((len(done), length + 1), pad, dtype=np.uint16)
    for at, row in enumerate(done):
        packed[at, : len(row)] = row
    return packed


def write_rows(packed: np.ndarray, folder: Path, length: int) -> None:
    """Writes rows as pieces of at most ``PIECE_BYTES``."""
    rows = max(1, PIECE_BYTES // (packed.shape[1] * packed.itemsize))
    for number, start in enumerate(range(0, len(packed), rows)):
        np.save(folder / f"rows-{length}.{number:03}.npy", packed[start : start + rows])


def read_rows(folder: Path, length: int) -> np.ndarray:
    """Joins the pieces of one row length; raises FileNotFoundError when there is none."""
    pieces = sorted(folder.glob(f"rows-{length}.*.npy"))
    if not pieces:
        raise FileNotFoundError(f"no rows of length {length} in {folder}; run training.starter.prepare first")
    return np.concatenate([np.load(piece) for piece in pieces])
