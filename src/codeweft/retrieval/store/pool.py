"""What may answer a question, as columns: all candidates are compared, but few of their rows are ever looked at."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from codeweft.retrieval.store.base import Candidate, Row

Column = NDArray[np.float64]
Read = Callable[[Sequence[int]], Sequence[Row | None]]
"""The rows at some places of a pool, in that order; None for what was removed since."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Candidates of one index or several, each at its place in columns of shape (n,); see `Candidate`.

    `file_of` are places in `files` (path and language) and in `homes`, the indexes they are in. No candidate defines a symbol of the question but where `defining` is true.
    """

    files: Sequence[tuple[str, str]]
    homes: Sequence[str]
    file_of: NDArray[np.intp]
    lexical: Column
    vector: Column
    file_terms: Column
    file_near: Column
    defining: NDArray[np.bool_]
    read: Read

    @classmethod
    def of(cls, candidates: Iterable[Candidate]) -> Pool:
        """Candidates whose rows are known."""
        known = list(candidates)
        files: dict[tuple[str, str], int] = {}
        file_of = [files.setdefault((one.home, one.row.path), len(files)) for one in known]
        languages = {(one.home, one.row.path): one.row.language for one in known}
        scores = [(one.lexical, one.vector, one.file_terms, one.file_near) for one in known]
        lexical, vector, terms, near = np.array(scores, np.float64).reshape(-1, 4).T
        return cls(
            [(path, languages[home, path]) for home, path in files],
            [home for home, _ in files],
            np.array(file_of, np.intp),
            lexical,
            vector,
            terms,
            near,
            np.ones(len(known), bool),
            lambda places: [known[place].row for place in places],
        )

    @classmethod
    def joined(cls, pools: Mapping[str, Pool]) -> Pool:
        """The candidates of several indexes by name, one or more, in order."""
        parts = list(pools.values())
        ends = list(accumulate(map(len, parts)))
        files_before = accumulate((len(one.files) for one in parts[:-1]), initial=0)

        def read(places: Sequence[int]) -> list[Row | None]:
            asked: list[list[int]] = [[] for _ in parts]
            parts_of = [bisect_right(ends, place) for place in places]
            for place, part in zip(places, parts_of, strict=True):
                asked[part].append(place - ends[part] + len(parts[part]))
            rows = [iter(one.read(some)) for one, some in zip(parts, asked, strict=True)]
            return [next(rows[part]) for part in parts_of]

        return cls(
            [file for one in parts for file in one.files],
            [name for name, one in pools.items() for _ in one.files],
            np.concatenate([one.file_of + first for one, first in zip(parts, files_before, strict=True)]),
            np.concatenate([one.lexical for one in parts]),
            np.concatenate([one.vector for one in parts]),
            np.concatenate([one.file_terms for one in parts]),
            np.concatenate([one.file_near for one in parts]),
            np.concatenate([one.defining for one in parts]),
            read if len(parts) > 1 else parts[0].read,
        )

    def __len__(self) -> int:
        return len(self.file_of)

    def __iter__(self) -> Iterator[Candidate]:
        for place, row in enumerate(self.read(range(len(self)))):
            if row is not None:
                yield self.candidate(place, row)

    def candidate(self, place: int, row: Row) -> Candidate:
        """The candidate at a place, whose row was read."""
        return Candidate(
            row,
            float(self.lexical[place]),
            float(self.vector[place]),
            float(self.file_terms[place]),
            float(self.file_near[place]),
            self.homes[self.file_of[place]],
        )
