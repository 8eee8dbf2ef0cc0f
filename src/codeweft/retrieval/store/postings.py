"""BM25 over posting lists that a database hands out by term: the same scores that the embedded lexical index gives.

A file's chunks are packed into one run of postings per term, so that a database keeps, deletes and returns them by
(term, file). Scoring is exact and needs nothing but the postings of the question's terms and a few totals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeweft.retrieval.store.lexical import FIELDS, LexicalDocument
from codeweft.types import Vectors

Ids = NDArray[np.int64]
Postings = NDArray[np.void]

POSTING: Final = np.dtype(
    [("chunk", "<i8"), ("kind", "u1"), ("count", "u1", (len(FIELDS),)), ("length", "u1", (len(FIELDS),))]
)
"""One chunk that holds a term: its kind, and by field how often the term occurs and how long the field is (coded)."""

K1: Final = 1.2
B: Final = 0.75
"""Of BM25, as in Lucene and tantivy."""
_BODY: Final = FIELDS.index("body")
_EXACT_LENGTHS: Final = 40


def _lengths() -> list[int]:
    """What each coded length stands for: exact up to 40, then eight steps to every doubling (Lucene's SmallFloat)."""
    found = list(range(_EXACT_LENGTHS))
    step, length = 2, _EXACT_LENGTHS
    while len(found) < 256:
        found.append(length)
        length += step
        # From 24 on, eight values share a step: 24 + 8 * 2, 24 + 8 * 4, …
        if (length - 24) >= 16 * step:
            step *= 2
    return found


_LENGTHS: Final = np.array(_lengths(), np.float64)


@dataclass(frozen=True, slots=True)
class Totals:
    """Of an index: chunks, files with chunks, and terms by field."""

    chunks: int
    files: int
    terms: tuple[int, ...]


class Packed(NamedTuple):
    """The postings of one term in one file, ready to store."""

    term: str
    file: int
    postings: bytes


def packed(documents: Sequence[LexicalDocument]) -> tuple[list[Packed], NDArray[np.int64]]:
    """The postings of chunks by term and file, and (n, fields) how many terms each field of each chunk has.

    The chunks of a file come together.
    """
    numbers: dict[str, int] = {}
    number_of = numbers.setdefault
    fields_of = [[getattr(one, field).split() for field in FIELDS] for one in documents]
    lengths = np.array([[len(terms) for terms in fields] for fields in fields_of], np.int64)
    tokens = np.fromiter(
        (number_of(term, len(numbers)) for fields in fields_of for terms in fields for term in terms),
        np.int64,
    )
    if not len(tokens):
        return [], lengths.reshape(-1, len(FIELDS))
    # Every token as one number (term, document, field); equal ones are occurrences of a term in a field.
    width = len(documents) * len(FIELDS)
    places = np.repeat(np.arange(width), lengths.ravel())
    found, counts = np.unique(tokens * width + places, return_counts=True)
    pairs, fields = np.divmod(found, len(FIELDS))
    starts = np.flatnonzero(np.diff(pairs, prepend=-1))
    terms, at = np.divmod(pairs[starts], len(documents))
    postings = np.zeros(len(starts), POSTING)
    postings["chunk"] = np.array([one.chunk for one in documents], np.int64)[at]
    postings["kind"] = np.array([one.kind for one in documents], np.uint8)[at]
    postings["length"] = coded_lengths(lengths)[at]
    which = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(pairs))))
    postings["count"][which, fields] = np.minimum(counts, 255)
    files = np.array([one.file for one in documents], np.int64)[at]
    ends = np.flatnonzero((np.diff(terms, append=-1) != 0) | (np.diff(files, append=-1) != 0)) + 1
    data, size, names = postings.tobytes(), POSTING.itemsize, list(numbers)
    spans = zip(np.append(0, ends[:-1]).tolist(), ends.tolist(), strict=True)
    lists = [
        Packed(names[terms[start]], int(files[start]), data[start * size : end * size])
        for start, end in spans
    ]
    return lists, lengths


def coded_lengths(terms: NDArray[np.int64]) -> NDArray[np.uint8]:
    """By element, the code of the longest length that is not above it."""
    return (np.searchsorted(_LENGTHS, terms, side="right") - 1).astype(np.uint8)


class PostingLists:
    """The postings of some terms, scored together. What was not handed over occurs nowhere."""

    def __init__(self, packed_lists: Mapping[str, bytes], totals: Totals) -> None:
        self._lists = {term: np.frombuffer(data, POSTING) for term, data in packed_lists.items()}
        self._masks: dict[tuple[str, Allowed], NDArray[np.bool_]] = {}
        chunks = max(totals.chunks, 1)
        self._chunks = chunks
        self._norms = [K1 * (1 - B + B * _LENGTHS / max(terms / chunks, 1e-9)) for terms in totals.terms]

    def frequency(self, term: str) -> int:
        """How many chunks hold a term in their body."""
        found = self._lists.get(term)
        return 0 if found is None else int(np.count_nonzero(found["count"][:, _BODY]))

    def search(
        self,
        terms: Mapping[str, float],
        weights: Mapping[str, float],
        limit: int,
        allowed: Allowed | None = None,
    ) -> tuple[Ids, Vectors]:
        """Chunk ids and BM25 scores, best first. `terms` map to their weight in the question, `weights` are by field."""
        scores: list[NDArray[np.float64]] = []
        chunks: list[Ids] = []
        for term, importance in terms.items():
            postings = self._lists.get(term)
            if postings is None:
                continue
            score = sum(
                importance * weight * self._of_field(postings, FIELDS.index(field))
                for field, weight in weights.items()
            )
            keep = np.asarray(score) > 0
            if allowed is not None:
                keep &= self._passing(term, allowed)
            scores.append(np.asarray(score)[keep])
            chunks.append(postings["chunk"][keep])
        if not chunks:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        ids, inverse = np.unique(np.concatenate(chunks), return_inverse=True)
        sums = np.bincount(inverse, np.concatenate(scores), len(ids))
        best = np.argsort(-sums, kind="stable")[:limit]
        return ids[best], sums[best].astype(np.float32)

    def holding(self, terms: Sequence[str], limit: int, allowed: Allowed | None = None) -> Ids:
        """Chunk ids whose body holds all of `terms`, best first."""
        common: Ids | None = None
        for term in set(terms):
            postings = self._lists.get(term)
            if postings is None:
                return np.zeros(0, np.int64)
            keep = postings["count"][:, _BODY] > 0
            if allowed is not None:
                keep &= self._passing(term, allowed)
            here = postings["chunk"][keep]
            common = here if common is None else np.intersect1d(common, here)
        if common is None:
            return np.zeros(0, np.int64)
        ids, _ = self.search(dict.fromkeys(terms, 1.0), {"body": 1.0}, self._chunks, allowed)
        found: Ids = ids[np.isin(ids, common)][:limit]
        return found

    def _passing(self, term: str, allowed: Allowed) -> NDArray[np.bool_]:
        """Which postings of a term pass; a question asks the same several times."""
        found = self._masks.get((term, allowed))
        if found is None:
            found = self._masks[term, allowed] = allowed(self._lists[term])
        return found

    def _of_field(self, postings: Postings, field: int) -> NDArray[np.float64]:
        counts = postings["count"][:, field].astype(np.float64)
        holding = np.count_nonzero(counts)
        rarity = math.log(1 + (self._chunks - holding + 0.5) / (holding + 0.5))
        norm = self._norms[field][postings["length"][:, field]]
        scores: NDArray[np.float64] = rarity * (1 + K1) * counts / (counts + norm)
        return scores


class Allowed:
    """Which postings pass a filter: chunks of some files, of some kinds, or both."""

    def __init__(self, files: Ids | None, kinds: Sequence[int] | None, file_of: int) -> None:
        """`file_of` is by how many bits a chunk's id is above its file's."""
        self._files: NDArray[np.bool_] | None = None
        if files is not None:
            # By file id; one more that stands for all that are not known.
            self._files = np.zeros(int(files.max(initial=0)) + 2, bool)
            self._files[files] = True
        self._kinds = None if kinds is None else np.array(kinds, np.uint8)
        self._bits = file_of

    def __call__(self, postings: Postings) -> NDArray[np.bool_]:
        keep = np.ones(len(postings), bool)
        if self._kinds is not None:
            keep &= np.isin(postings["kind"], self._kinds)
        if self._files is not None:
            files = np.minimum(postings["chunk"] >> self._bits, len(self._files) - 1)
            keep &= self._files[files]
        return keep
