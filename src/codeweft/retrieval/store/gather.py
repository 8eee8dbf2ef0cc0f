"""From what a database found to candidates with evidence: the same arithmetic whatever the database. Pure, no I/O.

A chunk's id holds its file's in the upper bits, so that hits are counted by file without asking again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codeweft.retrieval.store.base import (
    CANDIDATES,
    DEPTH,
    FILE_TERMS,
    FORM_WEIGHT,
    KINDS,
    NEAR_CHUNKS,
    Candidate,
    Int8Rows,
    Row,
)
from codeweft.retrieval.store.pool import Pool
from codeweft.retrieval.walk import path_patterns
from codeweft.types import Filters, Vectors

Ids = NDArray[np.int64]

OFFSET_BITS: Final = 20
"""Chunk id = file id * 2**20 + place in the file: a million chunks a file, eight million million files."""


FEW: Final = 0.1
"""Share of chunks that pass a filter below which only they speak for their files, as in the embedded store: of the
best `TERM_DEPTH` of all chunks too few would pass."""


def first_chunk(file: int) -> int:
    """The id of a file's first chunk; the others follow."""
    return file << OFFSET_BITS


def files_of(chunks: Ids) -> Ids:
    """The file ids of chunk ids."""
    files: Ids = chunks >> OFFSET_BITS
    return files


def no_ids() -> Ids:
    """No chunk at all."""
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Hits:
    """Chunk ids with scores, best first."""

    ids: Ids = field(default_factory=no_ids)
    scores: Vectors = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Found:
    """What a question found: by words, by vector, by the names it defines.

    `terms` has for each term its weight and the chunks that hold it; `files` counts the files that have chunks.
    """

    lexical: Hits
    near: Hits
    defining: Ids
    terms: Sequence[tuple[float, Ids]]
    files: int


def unit_rows(rows: Int8Rows) -> Vectors:
    """(n, d) float32 rows of unit length; zeros stay."""
    floats = rows.astype(np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", floats, floats))[:, None]
    norms[norms == 0] = 1
    floats /= norms
    return floats


def depth(k: int) -> int:
    """How many hits to ask for so that all scores of the candidates for `k` results are known."""
    return max(DEPTH, wanted(k))


def wanted(k: int) -> int:
    """How many of the best hits by words and by vector each become candidates."""
    return max(CANDIDATES, 5 * k)


def weighted_terms(terms: Mapping[str, float], forms: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The terms to look for with their weights: other forms of a word count less than the word itself."""
    others = {form: FORM_WEIGHT * terms[term] for term, found in forms.items() for form in found}
    return others | dict(terms)


def evidence_terms(
    forms: Mapping[str, Sequence[str]], frequency: Callable[[str], int]
) -> list[tuple[str, ...]]:
    """The terms, each with its forms, that count as evidence for files: of a long question only the rarest."""
    terms = list(forms)
    if len(terms) > FILE_TERMS:
        # Not those that occur nowhere, as the words of another language than the code's comments do.
        terms = sorted(filter(frequency, terms), key=frequency)[:FILE_TERMS]
    return [(term, *forms[term]) for term in terms]


def chosen(found: Found, k: int) -> Ids:
    """Ids of the chunks that become candidates."""
    best = wanted(k)
    return np.unique(np.concatenate([found.lexical.ids[:best], found.near.ids[:best], found.defining]))


def candidates(found: Found, rows: Iterable[Row], cosine: Mapping[int, float]) -> Pool:
    """Rows with their scores and what speaks for their files. A row without a cosine has just been removed."""
    bm25 = dict(zip(found.lexical.ids.tolist(), found.lexical.scores.tolist(), strict=True))
    terms = term_evidence(((weight, files_of(ids)) for weight, ids in found.terms), found.files)
    near = nearness(files_of(found.near.ids), found.near.scores)
    return Pool.of(
        Candidate(
            row, bm25.get(row.id, 0.0), cosine[row.id], terms.get(row.file, 0.0), near.get(row.file, 0.0)
        )
        for row in rows
        if row.id in cosine
    )


def term_evidence(holders: Iterable[tuple[float, Ids]], files: int) -> dict[int, float]:
    """Files by which of the question's terms they hold and in how many chunks: BM25 with a file as the document.

    `holders` has for each term its weight and the file of every chunk that holds it. A chunk holds few of the words
    of a question about how parts work together; their file holds most.
    """
    found, weights = [no_ids()], [np.zeros(0, np.float64)]
    for weight, files_of_term in holders:
        holding, counts = np.unique(files_of_term, return_counts=True)
        rarity = math.log(1 + max(files - len(holding) + 0.5, 0.5) / (len(holding) + 0.5))
        found.append(holding)
        weights.append(weight * rarity * counts / (counts + 1.0))
    return _by_file(np.concatenate(found), np.concatenate(weights))


def nearness(files: Ids, similarities: Vectors) -> dict[int, float]:
    """Files by the similarities of their nearest chunks, summed; a chunk that was not looked at counts nothing.

    `files` has the file of every near chunk, nearest first.
    """
    if not len(files):
        return {}
    # Best first within each file: the chunks come sorted by similarity and the sort is stable.
    order = np.argsort(files, kind="stable")
    starts = np.flatnonzero(np.diff(files[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    first = order[rank < NEAR_CHUNKS]
    return _by_file(files[first], np.maximum(similarities[first], 0.0).astype(np.float64))


def _by_file(files: Ids, values: NDArray[np.float64]) -> dict[int, float]:
    """Sums per file."""
    if not len(files):
        return {}
    unique, inverse = np.unique(files, return_inverse=True)
    sums = np.bincount(inverse, values)
    return dict(zip(unique.tolist(), sums.tolist(), strict=True))


def matching_files(files: Iterable[tuple[int, str, str]], filters: Filters) -> list[int] | None:
    """Ids of the files (id, path, language) that pass the filters; None when the filters say nothing about files."""
    if not (filters.paths or filters.languages):
        return None
    patterns = path_patterns(filters.paths)
    return [
        file
        for file, path, language in files
        if (not filters.languages or language in filters.languages)
        and (not filters.paths or patterns.match_file(path))
    ]


def matching_kinds(filters: Filters) -> list[int] | None:
    """Numbers of the kinds that pass the filters; None when they say nothing about kinds."""
    if not filters.kinds:
        return None
    return [KINDS.index(kind) for kind in filters.kinds if kind in KINDS]
