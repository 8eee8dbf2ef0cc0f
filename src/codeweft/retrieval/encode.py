"""The static code encoder: text to a unit vector by a weighted sum of learnt term vectors, on one core, offline.

A text becomes its lexical terms (`tokens`), each term one row of a table, or several rows of word pieces when the
term is unknown. The rows are summed, repeats damped, and the sum is scaled to unit length. The table is int8 with
one scale per row; a term's weight is the length of its row. Questions have their own weight per term and one
linear map, because people ask in other words than code is written in. How it is trained: `training/encoder`.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from codeweft.errors import NotFound, StorageFailed
from codeweft.retrieval.tokens import asked_terms, runs, terms_of_run
from codeweft.types import Vectors

_BATCH: Final = 256
"""Texts whose terms are counted at once."""

_LONGEST_TEXT: Final = 100_000
"""Characters of one text that are read; a chunk is far shorter, a whole file rarely longer."""

_MEMO_LIMIT: Final = 100_000
"""Different runs remembered before the memo starts afresh (about 20 MB)."""

Rows = tuple[int, ...]


class Vocabulary:
    """Which table rows a term has: its own, or those of the longest known pieces from the left."""

    def __init__(self, words: Sequence[str], pieces: Sequence[str]) -> None:
        self._words = {word: row for row, word in enumerate(words)}
        self._pieces = {piece: row for row, piece in enumerate(pieces, len(words))}
        self._longest_piece = max(map(len, pieces), default=0)
        self._memo = _Memo(self._rows_of_run)

    def __len__(self) -> int:
        return len(self._words) + len(self._pieces)

    def rows(self, text: str) -> list[int]:
        """Row numbers of a text's terms, in order, repeats kept."""
        return list(chain.from_iterable(map(self._memo.__getitem__, runs(text[:_LONGEST_TEXT]))))

    def query_rows(self, text: str) -> list[int]:
        """Row numbers of a question's terms, repeats kept; Korean words count by their English terms."""
        return [row for row, _ in self.asked_rows(text)]

    def asked_rows(self, text: str) -> list[tuple[int, float]]:
        """`query_rows` with what each is worth: a word's second English term counts less than its first."""
        terms = asked_terms(text[:_LONGEST_TEXT])
        return [(row, weight) for term, weight in terms for row in self._rows_of_term(term)]

    def _rows_of_run(self, run: str) -> Rows:
        terms = terms_of_run(run)
        if len(terms) < 2:
            return self._rows_of_term(terms[0]) if terms else ()
        # The last term is the whole identifier: its parts stand for it where it has no row of its own.
        whole = self._words.get(terms[-1])
        parts = chain.from_iterable(map(self._rows_of_term, terms[:-1]))
        return tuple(parts) if whole is None else (*parts, whole)

    def _rows_of_term(self, term: str) -> Rows:
        row = self._words.get(term)
        return (row,) if row is not None else self.pieces_of(term)

    def pieces_of(self, term: str) -> Rows:
        """The longest known pieces from the left; characters that no piece covers are skipped."""
        found: list[int] = []
        at = 0
        while at < len(term):
            for size in range(min(self._longest_piece, len(term) - at), 0, -1):
                if (row := self._pieces.get(term[at : at + size])) is not None:
                    found.append(row)
                    at += size
                    break
            else:
                at += 1
        return tuple(found)


class _Memo(dict[str, Rows]):
    """Rows by run, computed once: a code base repeats the same identifiers endlessly."""

    def __init__(self, compute: Callable[[str], Rows]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, run: str) -> Rows:
        if len(self) >= _MEMO_LIMIT:
            self.clear()
        rows = self[run] = self._compute(run)
        return rows


class StaticEncoder:
    """Implements `codeweft.types.Encoder`; `encode_query` is for the asking side of a search.

    `table` is (n, d) int8 and `scale` (n,) float32, so that row i is `table[i] * scale[i]`; `query_weight` (n,)
    multiplies a term's row in questions, `query_map` (d, d) turns a question's sum into the space of code.
    A term that occurs c times counts c ** `count_power`.
    """

    def __init__(
        self,
        name: str,
        vocabulary: Vocabulary,
        table: NDArray[np.int8],
        scale: Vectors,
        query_weight: Vectors,
        query_map: Vectors,
        count_power: float,
    ) -> None:
        self._name = name
        self.vocabulary = vocabulary
        self._table = table
        self._scale = scale
        self._query_weight = query_weight
        self._query_map = query_map
        self._count_power = count_power

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read an encoder file; None reads the bundled one.

        Raises `NotFound` when there is no such file, `StorageFailed` when it is not an encoder or is damaged.
        """
        if path is None:
            with resources.as_file(
                resources.files("codeweft.retrieval") / "encoder" / "encoder.npz"
            ) as bundled:
                return cls.load(bundled)
        try:
            with np.load(path, allow_pickle=False) as file:
                words, pieces = (bytes(file[part]).decode().split("\n") for part in ("words", "pieces"))
                encoder = cls(
                    str(file["name"]),
                    Vocabulary(words, pieces),
                    file["table"],
                    file["scale"].astype(np.float32),
                    file["query_weight"].astype(np.float32),
                    file["query_map"].astype(np.float32),
                    float(file["count_power"]),
                )
                rows, dimensions = encoder._table.shape
        except FileNotFoundError as error:
            raise NotFound(
                f"There is no encoder file at {path}.", fix="Check the path, or leave it out."
            ) from error
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise _not_an_encoder(path) from error
        shapes = encoder._scale.shape, encoder._query_weight.shape, encoder._query_map.shape
        if rows != len(encoder.vocabulary) or shapes != ((rows,), (rows,), (dimensions, dimensions)):
            raise _not_an_encoder(path)
        return encoder

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimensions(self) -> int:
        return int(self._table.shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32 rows of unit length; a text without any known term gives zeros."""
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            vectors[start : start + len(batch)] = _unit(
                self._sum(map(self.vocabulary.rows, batch), self._scale)
            )
        return vectors

    def encode_query(self, texts: Sequence[str]) -> Vectors:
        """Like `encode`, for questions that are compared with encoded code."""
        sums = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for text, total in zip(texts, sums, strict=True):
            worth: dict[int, float] = {}
            counts = Counter[int]()
            for row, weight in self.vocabulary.asked_rows(text):
                worth[row] = max(weight, worth.get(row, 0.0))
                counts[row] += 1
            rows = np.fromiter(worth, dtype=np.int64, count=len(worth))
            factor = np.fromiter((worth[row] * counts[row] ** self._count_power for row in worth), np.float32)
            factor *= self._scale[rows] * self._query_weight[rows]
            np.dot(factor, self._table[rows].astype(np.float32), out=total)
        return _unit(_unit(sums) @ self._query_map)

    def _sum(self, row_lists: Iterable[list[int]], weight: Vectors) -> Vectors:
        lists = list(row_lists)
        total = np.zeros((len(lists), self.dimensions), dtype=np.float32)
        lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        flat = np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=int(lengths.sum()))
        text_of = np.repeat(np.arange(len(lists)), lengths)
        keys, counts = np.unique(text_of * len(self._scale) + flat, return_counts=True)
        text_of, rows = np.divmod(keys, len(self._scale))
        factor = weight[rows] * counts.astype(np.float32) ** self._count_power
        ends = np.searchsorted(text_of, np.arange(1, len(lists) + 1)).tolist()
        start = 0
        # One small product per text: five times faster than np.add.reduceat over axis 0, and little memory.
        for text, end in enumerate(ends):
            np.dot(factor[start:end], self._table[rows[start:end]].astype(np.float32), out=total[text])
            start = end
        return total


def _unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def _not_an_encoder(path: Path) -> StorageFailed:
    return StorageFailed(
        f"{path} is not an encoder file, or it is damaged.",
        fix="Reinstall Codeweft, or name another encoder file.",
    )
