"""What one process holds of an embedded store in memory: candidates for a question, with what speaks for their files."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from codeweft.errors import Conflict, NotReady
from codeweft.retrieval.question import Question
from codeweft.retrieval.store.base import (
    CANDIDATES,
    DEPTH,
    FIELD_WEIGHTS,
    FILE_TERMS,
    FORM_WEIGHT,
    NEAR_CHUNKS,
    SYMBOL_CANDIDATES,
    TERM_DEPTH,
    Probe,
    Row,
)
from codeweft.retrieval.store.lexical import Counts, LexicalDocument, LexicalIndex
from codeweft.retrieval.store.pool import Pool
from codeweft.retrieval.store.selection import Allowed, Selection
from codeweft.retrieval.store.sqlite import Tables
from codeweft.retrieval.store.vectors import Ids, Places, VectorTable
from codeweft.types import Filters, Vectors

T = TypeVar("T")
_PATIENCE_SECONDS: Final = 5.0
_LARGE: Final = 200_000
"""Chunks from which words and vectors are looked up at the same time: handing over takes half a millisecond."""
_KEPT_ROWS: Final = 40_000
"""Rows without text that are kept in memory (about 25 MB)."""


class Searcher:
    """What one process holds of an index in memory, kept up with what any process commits. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        tables: Tables,
        dimensions: int,
        updating: Callable[[str], AbstractContextManager[None]],
        updater: Callable[[], int | None],
    ) -> None:
        """`updating` and `updater` are the store's; repairing on behalf of a dead updater takes its lock."""
        self._folder = folder
        self._tables = tables
        self._dimensions = dimensions
        self._updating = updating
        self._updater = updater
        self._lock = threading.Lock()
        self._lexical: LexicalIndex | None = None
        self._table = VectorTable.empty(dimensions)
        self._generation = -1
        self._behind = True
        self._files = 0
        self._selection = Selection(tables)
        self._known_rows: dict[int, Row] = {}
        # One for each core, since many may ask at a time; they are started as they are needed.
        self._threads = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="search")

    # ── the lexical index follows SQLite ─────────────────────────────────────────────────────────────────────

    def _open(self) -> LexicalIndex:
        if self._lexical is None:
            self._lexical = LexicalIndex(self._folder / "lexical")
        return self._lexical

    def write_lexical(self, documents: list[LexicalDocument], replaced: list[int], generation: int) -> None:
        """Take over what was just committed to SQLite. The caller holds the index's lock."""
        self._open().write(documents, replaced, generation)

    def finish(self) -> None:
        """The update is over."""
        if self._lexical is not None:
            self._lexical.finish()

    def compact(self) -> None:
        """Write the lexical index anew: deleted chunks' words stay in it until then. The caller holds the lock."""
        self._open().write(self._tables.documents(), (), self._tables.generation(), anew=True)
        self.finish()

    def repair(self) -> None:
        """Bring the lexical index up to date when it is missing, damaged or behind. The caller holds the lock."""
        generation = self._tables.generation()
        try:
            lexical = self._open()
            lexical.reload()
        except ValueError:
            LexicalIndex.wipe(self._folder / "lexical")
            self._lexical = None
            lexical = self._open()
        has = lexical.generation()
        if has == generation:
            return
        removed = self._tables.removed_files(has) if has < generation else None
        if removed is None:
            lexical.write(self._tables.documents(), (), generation, anew=True)
        else:
            lexical.write(self._tables.documents(has), removed, generation)

    def refresh(self) -> tuple[VectorTable, LexicalIndex]:
        """Vectors and lexical index as of the last commit of any process."""
        generation = self._tables.generation()
        lexical = self._lexical
        if generation == self._generation and not self._behind and lexical is not None:
            return self._table, lexical
        with self._lock:
            if generation != self._generation:
                self._generation, self._table = self._tables.vector_changes(
                    self._generation, self._table, self._dimensions
                )
                self._files = self._tables.count_files()
            lexical = self._current_lexical()
            self._behind = lexical.generation() < self._generation
            return self._table, lexical

    def _current_lexical(self) -> LexicalIndex:
        """The lexical index as last committed; repaired when the updater that should have done so died.

        One that is only behind still finds what it knows where a full disk does not let it be repaired. Raises `NotReady` when it is damaged and an updater that is about to repair it takes too long.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            lexical: LexicalIndex | None = None
            try:
                lexical = self._open()
                lexical.reload()
                if lexical.generation() >= self._generation or self._updater() is not None:
                    return lexical
            except ValueError:
                self._lexical = lexical = None
            try:
                with self._updating(self._folder.name):
                    self.repair()
                    self.finish()
            except Conflict as conflict:
                if time.monotonic() > deadline:
                    raise NotReady(
                        f"The index {self._folder.name} is being repaired.", fix="Try again."
                    ) from conflict
            except (OSError, ValueError):
                if lexical is None:
                    raise
                return lexical

    # ── candidates ───────────────────────────────────────────────────────────────────────────────────────────

    def candidates(self, probe: Probe) -> Pool:
        """See `Store.candidates`."""
        table, lexical = self.refresh()
        question, vector = probe.question, probe.vector
        allowed = self._selection.of(table, probe.filters)
        if allowed.share == 0:
            return Pool.of(())
        wanted = max(CANDIDATES, 5 * probe.k)
        depth = max(DEPTH, wanted)
        nearest = self._beside(table, lambda: table.nearest(vector, depth, allowed.mask))
        forms = {term: lexical.forms(term) for term in question.terms}
        rows, scores = _lexical_hits(lexical, question, forms, table, allowed, depth)
        holders = _holders(lexical, forms, allowed)
        near, similarities = nearest()
        defining = self._tables.defining(question.folded_symbols, SYMBOL_CANDIDATES)
        symbols = allowed.only(table.rows_of(np.array(sorted(defining), np.int64)))
        chosen = np.unique(np.concatenate([rows[:wanted], near[:wanted], symbols]))
        ids, files = table.ids[chosen], table.files[chosen]
        lexical_scores = _looked_up(chosen, rows, scores)
        cosines = table.similarities(vector, chosen)
        terms = _terms(holders, question, files, self._files)
        nearness = _nearness(table.files[near], similarities, files)
        if len(defining) == SYMBOL_CANDIDATES:
            defining = self._tables.defining_among(question.folded_symbols, ids.tolist())
        distinct, file_of = np.unique(files, return_inverse=True)
        return Pool(
            self._tables.file_names(distinct.tolist()),
            [""] * len(distinct),
            file_of,
            lexical_scores.astype(np.float64),
            cosines.astype(np.float64),
            terms,
            nearness.astype(np.float64),
            np.isin(ids, defining),
            lambda places: self._rows_of(ids[places].tolist()),
        )

    def _beside(self, table: VectorTable, work: Callable[[], T]) -> Callable[[], T]:
        """Begin `work` in another thread, if the table is so large that it pays; call what is returned for its result.

        What goes on here meanwhile must leave the interpreter's lock for long (tantivy does): a thread that lets go of
        it often, but shortly (numpy does), has it back before the other one woke up.
        """
        return self._threads.submit(work).result if len(table) >= _LARGE else work

    def _rows_of(self, ids: Sequence[int]) -> list[Row | None]:
        """Rows without text in the order of ids. An id always means the same row, so what was read once is kept."""
        known = self._known_rows
        missing = [one for one in ids if one not in known]
        if missing:
            if len(known) + len(missing) > _KEPT_ROWS:
                self._known_rows = known = {one: known[one] for one in ids if one in known}
            known.update((row.id, row) for row in self._tables.rows(missing))
        return [known.get(one) for one in ids]

    def nearest(self, vector: Vectors, k: int, filters: Filters) -> list[tuple[int, float]]:
        """See `Store.nearest`."""
        table, _ = self.refresh()
        rows, similarities = table.nearest(vector, k, self._selection.of(table, filters).mask)
        return list(zip(table.ids[rows].tolist(), similarities.tolist(), strict=True))

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """See `Store.vectors`."""
        table, _ = self.refresh()
        rows, here = table.places(np.array(ids, np.int64))
        found = np.zeros((len(rows), self._dimensions), np.float32)
        found[here] = table.unit(rows[here])
        return found

    def holding(self, terms: Sequence[str], limit: int, filters: Filters) -> list[int]:
        """See `Store.holding`."""
        table, lexical = self.refresh()
        allowed = self._selection.of(table, filters)
        if allowed.share == 0:
            return []
        asked = int(limit * allowed.factor)
        while True:
            ids = lexical.holding(terms, asked, allowed.restriction)
            found: list[int] = table.ids[allowed.only(table.rows_of(ids))].tolist()
            if len(found) >= limit or len(ids) < asked:
                return found[:limit]
            asked *= 8

    def scan(self, literal: str, filters: Filters) -> Iterator[Row]:
        """See `Store.scan`."""
        table, _ = self.refresh()
        allowed = self._selection.of(table, filters)
        for row in self._tables.scan(literal):
            if allowed.mask is None or len(allowed.only(table.rows_of(np.array([row.id])))):
                yield row


def _lexical_hits(
    lexical: LexicalIndex,
    question: Question,
    forms: Mapping[str, Sequence[str]],
    table: VectorTable,
    allowed: Allowed,
    wanted: int,
) -> tuple[Places, Vectors]:
    """Rows and BM25 of hits that exist and pass the filters, best first; asks for more until there are enough."""
    others = {form: FORM_WEIGHT * question.terms[term] for term, found in forms.items() for form in found}
    terms = others | dict(question.terms)
    limit = int(wanted * allowed.factor)
    while True:
        ids, scores = lexical.search(terms, FIELD_WEIGHTS, limit, allowed.restriction)
        rows, keep = table.places(ids)
        if allowed.mask is not None:
            keep &= allowed.mask[rows]
        if keep.sum() >= wanted // 2 or len(ids) < limit:
            return rows[keep][:wanted], scores[keep][:wanted]
        limit *= 8


def _looked_up(wanted: Places, rows: Places, scores: Vectors) -> Vectors:
    """The scores of `wanted` among `rows`; zero for those that are not there."""
    found = np.zeros(len(wanted), np.float32)
    # `wanted` is sorted.
    at = np.minimum(np.searchsorted(wanted, rows), max(len(wanted) - 1, 0))
    here = wanted[at] == rows if len(wanted) else np.zeros(len(rows), bool)
    found[at[here]] = scores[here]
    return found


def _holders(
    lexical: LexicalIndex, forms: Mapping[str, Sequence[str]], allowed: Allowed
) -> list[tuple[str, Counts]]:
    """The question's terms with the files that hold them and in how many chunks."""
    terms = list(forms)
    if len(terms) > FILE_TERMS:
        # Not those that occur nowhere, as the words of another language than the code's comments do.
        terms = sorted(filter(lexical.frequency, terms), key=lexical.frequency)[:FILE_TERMS]
    return [(term, lexical.files((term, *forms[term]), TERM_DEPTH, allowed.restriction)) for term in terms]


def _terms(
    holders: Sequence[tuple[str, Counts]], question: Question, files: Ids, count: int
) -> NDArray[np.float64]:
    """For each of `files`: which of the question's terms it holds and in how many chunks, BM25 with a file as document.

    A chunk holds few of the words of a question about how parts work together; their file holds most.
    """
    total = np.zeros(len(files))
    for term, (holding, counts) in holders:
        if not len(holding):
            continue
        rarity = math.log(1 + max(count - len(holding) + 0.5, 0.5) / (len(holding) + 0.5))
        at = np.minimum(np.searchsorted(holding, files), len(holding) - 1)
        worth = question.terms[term] * rarity
        total += np.where(holding[at] == files, worth * counts[at] / (counts[at] + 1.0), 0.0)
    return total


def _nearness(near: Ids, similarities: Vectors, files: Ids) -> NDArray[np.float64]:
    """For each of `files`: the similarities of its nearest chunks, summed. `near` are files of chunks, nearest first.

    A chunk that was not looked at counts nothing.
    """
    if not len(near):
        return np.zeros(len(files))
    # The sort is stable, so that each file's chunks stay nearest first.
    order = np.argsort(near, kind="stable")
    ordered = near[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    counted = np.where(rank < NEAR_CHUNKS, np.maximum(similarities[order], 0.0), 0.0)
    sums = np.add.reduceat(counted, starts)
    known = ordered[starts]
    at = np.minimum(np.searchsorted(known, files), len(known) - 1)
    return np.where(known[at] == files, sums[at], 0.0)
