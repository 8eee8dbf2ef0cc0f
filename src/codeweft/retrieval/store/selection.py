"""Which rows of a vector table pass a question's filters, remembered: people ask again with the same filters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from codeweft.retrieval.store.base import KINDS
from codeweft.retrieval.store.lexical import UNRESTRICTED, Restriction
from codeweft.retrieval.store.sqlite import Tables
from codeweft.retrieval.store.vectors import Mask, Places, VectorTable
from codeweft.retrieval.walk import path_patterns
from codeweft.types import Filters

_REMEMBERED: Final = 16
"""Different filters whose rows are remembered (1 MB each at a million chunks)."""
_FEW: Final = 0.1
"""Share of chunks below which the lexical index is told the filters. Above, asking it for more and dropping what does
not pass is faster, because it can then skip what cannot be among the best."""
_FEW_FILES: Final = 5000
"""Files up to which the lexical index is told their ids."""
_SPARE: Final = 1.2
"""Hits asked for beyond the share that passes: hits are not spread evenly."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The rows that pass: `mask` is None when all do, `share` of the living ones.

    The lexical index is told `restriction`; of what it finds then, one hit in `factor` passes.
    """

    mask: Mask | None = None
    share: float = 1.0
    restriction: Restriction = UNRESTRICTED
    factor: float = 1.0

    def only(self, rows: Places) -> Places:
        """Those of `rows` that pass."""
        return rows if self.mask is None else rows[self.mask[rows]]


class _Remembered:
    """The rows of one table that pass one filter; grows with the table."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._kinds = np.isin(
            np.arange(len(KINDS)), [KINDS.index(kind) for kind in filters.kinds if kind in KINDS]
        )
        self._matches = _matcher(filters.paths)
        self._last_file = 0
        self._files = np.zeros(1, bool)
        self._table: VectorTable | None = None
        self._mask = np.zeros(0, bool)
        self._allowed = Allowed()

    def of(self, table: VectorTable, tables: Tables) -> Allowed:
        if self._table is table:
            return self._allowed
        if self._table is None or self._table.lineage is not table.lineage:
            self._mask = np.zeros(0, bool)
        start = min(len(self._mask), table.count)
        passes = np.ones(table.count - start, bool)
        if self._filters.kinds:
            passes &= self._kinds[table.kinds[start:]]
        if self._filters.paths or self._filters.languages:
            self._read_files(tables)
            files = table.files[start:]
            known = np.minimum(files, len(self._files) - 1)
            passes &= self._files[known] & (known == files)
        self._mask = np.concatenate([self._mask[:start], passes])
        self._table = table
        self._allowed = self._described(table)
        return self._allowed

    def _read_files(self, tables: Tables) -> None:
        new = tables.paths(self._last_file)
        if not new:
            return
        self._last_file = new[-1][0]
        grown = np.zeros(self._last_file + 1, bool)
        grown[: len(self._files)] = self._files
        languages = self._filters.languages
        for number, path, language in new:
            grown[number] = (not languages or language in languages) and self._matches(path)
        self._files = grown

    def _described(self, table: VectorTable) -> Allowed:
        share = int(np.count_nonzero(self._mask & table.alive)) / table.living
        if share >= _FEW or share == 0:
            return Allowed(self._mask, share, factor=_SPARE / max(share, _FEW))
        files = np.flatnonzero(self._files)
        told = not self._filters.paths or len(files) <= _FEW_FILES
        restriction = Restriction(
            tuple(np.flatnonzero(self._kinds).tolist()),
            self._filters.languages,
            tuple(files.tolist()) if self._filters.paths and told else (),
        )
        return Allowed(self._mask, share, restriction, 1.0 if told else _SPARE / _FEW)


class Selection:
    """Remembers what passes for the filters used last. Thread-safe."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lock = threading.Lock()
        self._remembered: dict[Filters, _Remembered] = {}
        """The one used last comes last."""

    def of(self, table: VectorTable, filters: Filters) -> Allowed:
        """What passes; the repository and the branch are the caller's business."""
        if not table.living:
            return Allowed(share=0.0)
        if not (filters.paths or filters.languages or filters.kinds):
            return Allowed()
        with self._lock:
            known = self._remembered.pop(filters, None) or _Remembered(filters)
            self._remembered[filters] = known
            if len(self._remembered) > _REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)))
            return known.of(table, self._tables)


def _matcher(globs: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path matches gitignore-style patterns."""
    if not globs:
        return lambda _: True
    patterns = path_patterns(globs)
    if all(one.include is not False for one in patterns.patterns):
        # Without exceptions (`!`) the order of patterns does not count, and one expression each is enough.
        found = [one.regex.match for one in patterns.patterns if one.include and one.regex]
        return lambda path: any(match(path) for match in found)
    return patterns.match_file
