"""What one process holds of an embedded store in memory: candidates for a question, with what speaks for their files."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codeweft.errors import Conflict, NotReady
from codeweft.retrieval.forms import known_forms
from codeweft.retrieval.question import Question
from codeweft.retrieval.store.base import (
    CANDIDATES,
    DEPTH,
    FIELD_WEIGHTS,
    FILE_FIELDS,
    FILE_TERMS,
    FORM_WEIGHT,
    KINDS,
    NEAR_CHUNKS,
    SYMBOL_CANDIDATES,
    TERM_DEPTH,
    Candidate,
    Probe,
    Row,
)
from codeweft.retrieval.store.lexical import LexicalDocument, LexicalIndex
from codeweft.retrieval.store.sqlite import Tables
from codeweft.retrieval.store.vectors import Ids, Mask, VectorTable
from codeweft.retrieval.walk import path_patterns
from codeweft.types import Filters, Vectors

_PATIENCE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What speaks for files, by file id: its words and its vectors."""

    terms: Mapping[int, float]
    near: Mapping[int, float]


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

    # ── the lexical index follows SQLite ─────────────────────────────────────────────────────────────────────

    def _open(self) -> LexicalIndex:
        if self._lexical is None:
            self._lexical = LexicalIndex(self._folder / "lexical")
        return self._lexical

    def write_lexical(self, documents: list[LexicalDocument], replaced: list[int], generation: int) -> None:
        """Take over what was just committed to SQLite. The caller holds the index's lock."""
        self._open().write(documents, replaced, generation)

    def repair(self) -> None:
        """Rebuild the lexical index when it is missing, damaged or behind. The caller holds the index's lock."""
        generation = self._tables.generation()
        try:
            lexical = self._open()
            lexical.reload()
        except ValueError:
            LexicalIndex.wipe(self._folder / "lexical")
            self._lexical = None
            lexical = self._open()
        if lexical.generation() != generation:
            lexical.write(self._tables.documents(), (), generation, anew=True)

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
            lexical = self._current_lexical()
            self._behind = lexical.generation() < self._generation
            return self._table, lexical

    def _current_lexical(self) -> LexicalIndex:
        """The lexical index as last committed; repaired when the updater that should have done so died.

        Raises `NotReady` when it is damaged and an updater that is about to repair it takes too long.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                lexical = self._open()
                lexical.reload()
                if lexical.generation() >= self._generation or self._updater() is not None:
                    return lexical
            except ValueError:
                self._lexical = None
            try:
                with self._updating(self._folder.name):
                    self.repair()
            except Conflict as conflict:
                if time.monotonic() > deadline:
                    raise NotReady(
                        f"The index {self._folder.name} is being repaired.", fix="Try again."
                    ) from conflict

    # ── candidates ───────────────────────────────────────────────────────────────────────────────────────────

    def candidates(self, probe: Probe) -> list[Candidate]:
        """See `Store.candidates`."""
        table, lexical = self.refresh()
        if not len(table):
            return []
        question, vector = probe.question, probe.vector
        allowed = self._allowed(table, probe.filters)
        wanted = max(CANDIDATES, 5 * probe.k)
        depth = max(DEPTH, wanted)
        forms = {term: known_forms(term, lexical.frequency) for term in question.terms}
        ids, scores = _lexical_hits(lexical, question, forms, table, allowed, depth)
        near, similarities = table.nearest(vector, depth, allowed)
        defining = np.array(
            sorted(self._tables.defining(question.folded_symbols, SYMBOL_CANDIDATES)), np.int64
        )
        defining = table.rows_of(defining)
        if allowed is not None:
            defining = defining[allowed[defining]]
        evidence = _Evidence(
            _terms(table, lexical, forms, self._tables.count_files()),
            _nearness(table, near, similarities),
        )
        chosen = np.unique(np.concatenate([table.rows_of(ids[:wanted]), near[:wanted], defining]))
        bm25 = dict(zip(ids.tolist(), scores.tolist(), strict=True))
        cosine = table.similarities(vector, chosen).tolist()
        by_id = dict(zip(table.ids[chosen].tolist(), cosine, strict=True))
        return [
            Candidate(
                row,
                bm25.get(row.id, 0.0),
                by_id[row.id],
                evidence.terms.get(row.file, 0.0),
                evidence.near.get(row.file, 0.0),
            )
            for row in self._tables.rows(by_id)
        ]

    def nearest(self, vector: Vectors, k: int, filters: Filters) -> list[tuple[int, float]]:
        """See `Store.nearest`."""
        table, _ = self.refresh()
        rows, similarities = table.nearest(vector, k, self._allowed(table, filters))
        return list(zip(table.ids[rows].tolist(), similarities.tolist(), strict=True))

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """See `Store.vectors`."""
        table, _ = self.refresh()
        wanted = np.array(ids, np.int64)
        found = np.zeros((len(wanted), self._dimensions), np.float32)
        here = np.isin(wanted, table.ids[table.alive])
        found[here] = table.unit(table.rows_of(wanted[here]))
        return found

    def holding(self, terms: Sequence[str], limit: int, filters: Filters) -> list[int]:
        """See `Store.holding`."""
        table, lexical = self.refresh()
        allowed = self._allowed(table, filters)
        rows = table.rows_of(lexical.holding(terms, limit if allowed is None else len(table)))
        if allowed is not None:
            rows = rows[allowed[rows]]
        ids: list[int] = table.ids[rows].tolist()
        return ids[:limit]

    def scan(self, literal: str, filters: Filters) -> Iterator[Row]:
        """See `Store.scan`."""
        table, _ = self.refresh()
        allowed = self._allowed(table, filters)
        for row in self._tables.scan(literal):
            if allowed is None or allowed[table.rows_of(np.array([row.id]))].any():
                yield row

    def _allowed(self, table: VectorTable, filters: Filters) -> Mask | None:
        """Rows that pass the filters; None when there are none. The repository is the caller's business."""
        if not (filters.paths or filters.languages or filters.kinds):
            return None
        mask = table.alive.copy()
        if filters.kinds:
            mask &= np.isin(table.kinds, [KINDS.index(kind) for kind in filters.kinds if kind in KINDS])
        if filters.paths or filters.languages:
            patterns = path_patterns(filters.paths or ("*",))
            files = [
                file.id
                for file in self._tables.files()
                if (not filters.languages or file.language in filters.languages)
                and patterns.match_file(file.path)
            ]
            mask &= np.isin(table.files, files)
        return mask


def _lexical_hits(
    lexical: LexicalIndex,
    question: Question,
    forms: Mapping[str, Sequence[str]],
    table: VectorTable,
    allowed: Mask | None,
    wanted: int,
) -> tuple[Ids, Vectors]:
    """BM25 hits that exist and pass the filters, best first; asks for more until there are enough."""
    terms = {form: FORM_WEIGHT for others in forms.values() for form in others} | dict(question.terms)
    limit = wanted
    while True:
        ids, scores = lexical.search(terms, FIELD_WEIGHTS, limit)
        rows = table.rows_of(ids)
        if allowed is not None:
            rows = rows[allowed[rows]]
        keep = np.isin(ids, table.ids[rows])
        if allowed is None or keep.sum() >= wanted or len(ids) < limit:
            return ids[keep][:wanted], scores[keep][:wanted]
        limit *= 8


def _by_file(files: Ids, values: NDArray[np.floating]) -> dict[int, float]:
    """Sums per file."""
    if not len(files):
        return {}
    unique, inverse = np.unique(files, return_inverse=True)
    sums = np.bincount(inverse, values)
    return dict(zip(unique.tolist(), sums.tolist(), strict=True))


def _terms(
    table: VectorTable, lexical: LexicalIndex, forms: Mapping[str, Sequence[str]], files: int
) -> dict[int, float]:
    """Files by which of the question's terms they hold and in how many chunks: BM25 with a file as the document.

    A chunk holds few of the words of a question about how parts work together; their file holds most.
    """
    terms = list(forms)
    if len(terms) > FILE_TERMS:
        terms = sorted(terms, key=lexical.frequency)[:FILE_TERMS]
    found, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.float64)]
    for term in terms:
        ids, _ = lexical.search(dict.fromkeys((term, *forms[term]), 1.0), FILE_FIELDS, TERM_DEPTH)
        holding, counts = np.unique(table.files[table.rows_of(ids)], return_counts=True)
        rarity = (
            math.log(1 + (files - len(holding) + 0.5) / (len(holding) + 0.5))
            if len(holding) <= files
            else 0.0
        )
        found.append(holding)
        weights.append(rarity * counts / (counts + 1.0))
    return _by_file(np.concatenate(found), np.concatenate(weights))


def _nearness(table: VectorTable, rows: NDArray[np.intp], similarities: Vectors) -> dict[int, float]:
    """Files by the similarities of their nearest chunks, summed; a chunk that was not looked at counts nothing."""
    if not len(rows):
        return {}
    files = table.files[rows]
    # Best first within each file: `rows` come sorted by similarity and the sort is stable.
    order = np.argsort(files, kind="stable")
    starts = np.flatnonzero(np.diff(files[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    first = order[rank < NEAR_CHUNKS]
    return _by_file(files[first], np.maximum(similarities[first], 0.0).astype(np.float64))
