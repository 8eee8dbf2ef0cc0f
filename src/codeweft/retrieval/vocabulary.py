"""Which rows of the encoder's table a text has. Fast: identifiers repeat endlessly, so each is read only once.

Runs of letters and digits are numbered when first seen. In ASCII text they are found and recognised by arrays alone: a
run's hash is the difference of two running sums over the bytes of a whole batch, and a table gives its number.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codeweft.retrieval.tokens import ASCII_SEPARATORS, asked_terms, runs, terms_of_run

_LONGEST_TEXT: Final = 100_000
"""Characters of one text that are read; a chunk is far shorter, a whole file rarely longer."""

_MEMO_LIMIT: Final = 100_000
"""Different runs remembered before the memo starts afresh (about 20 MB)."""

_MOST_HASHED: Final = 1 << 19
"""Bytes of a batch that are hashed at once; beyond, runs are looked up one by one."""
_SLOT_BITS: Final = 19
"""Slots of the table of hashes, in bits: five times `_MEMO_LIMIT`, so that few runs have to share one."""
_BASE: Final = 0x9E37_79B9_7F4A_7C15
"""Base of the running sums, any large odd number: it has an inverse modulo 2**64."""
_INVERSE: Final = pow(_BASE, -1, 1 << 64)

Rows = tuple[int, ...]
Numbers = NDArray[np.int64]


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
        rows: list[int] = self.rows_of([text])[0].tolist()
        return rows

    def rows_of(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """(rows, texts): the row numbers of all texts' terms, repeats kept, and for each the text it is from.

        Those of one text stand together and in order.
        """
        if len(self._memo) >= _MEMO_LIMIT:
            # Another one rather than cleared: other threads may be reading.
            self._memo = _Memo(self._rows_of_run)
        memo = self._memo
        numbers, text_of = memo.numbers([text[:_LONGEST_TEXT] for text in texts])
        starts, sizes = memo.first[numbers], memo.first[numbers + 1] - memo.first[numbers]
        ends = np.cumsum(sizes)
        at = np.arange(int(sizes.sum())) + np.repeat(starts - (ends - sizes), sizes)
        return memo.rows[at], np.repeat(text_of, sizes)

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


class _Memo(dict[str, int]):
    """Runs by number in the order they were first seen: a code base repeats the same identifiers endlessly.

    The rows of run number i are `rows[first[i]:first[i + 1]]`. Both arrays are only ever replaced by longer copies, so
    a reader that has a number finds its rows in whichever it reads afterwards.
    """

    def __init__(self, compute: Callable[[str], Rows]) -> None:
        super().__init__()
        self._compute = compute
        self._lock = threading.Lock()
        self.first = np.zeros(1024, dtype=np.int64)
        self.rows = np.zeros(4096, dtype=np.int64)
        self._hashes = np.zeros(1 << _SLOT_BITS, dtype=np.uint64)
        self._numbers = np.zeros(1 << _SLOT_BITS, dtype=np.int32)

    def __reduce__(self) -> tuple[type[_Memo], tuple[Callable[[str], Rows]]]:
        """Another process remembers what it meets itself."""
        return _Memo, (self._compute,)

    def numbers(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """(numbers, texts): the number of every run of all texts, and for each the text it is from."""
        hashed = [i for i, text in enumerate(texts) if text.isascii()]
        if sum(len(texts[i]) + 1 for i in hashed) > _MOST_HASHED - 2:
            hashed = []
        others = sorted(set(range(len(texts))).difference(hashed))
        found = [runs(texts[i]) for i in others]
        looked_up = np.fromiter(map(self.__getitem__, chain.from_iterable(found)), np.int64)
        recognised, counts = self._numbers_of_ascii([texts[i] for i in hashed])
        sizes = np.fromiter(map(len, found), np.int64, len(found))
        text_of = np.repeat(np.array(hashed + others, dtype=np.int64), np.concatenate([counts, sizes]))
        return np.concatenate([recognised, looked_up]), text_of

    def _numbers_of_ascii(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """The number of every run of the texts, in order, and how many runs each text has."""
        data = b" " + "\n".join(texts).encode("ascii").translate(ASCII_SEPARATORS) + b" "
        letters = np.frombuffer(data, np.uint8)
        inside = letters != ord(" ")
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        starts, ends = edges[::2], edges[1::2]
        sums = np.cumsum(letters * _powers(_BASE)[: len(letters)])
        hashes = (sums[ends] - sums[starts]) * _powers(_INVERSE)[starts]
        slots = (hashes * np.uint64(_BASE)) >> np.uint64(64 - _SLOT_BITS)
        # Hashes before numbers: another thread writes them the other way round.
        unknown = np.flatnonzero(self._hashes[slots] != hashes).tolist()
        numbers = self._numbers[slots].astype(np.int64)
        for at in unknown:
            number = numbers[at] = self[data[starts[at] + 1 : ends[at] + 1].decode("ascii")]
            self._keep(int(slots[at]), hashes[at], number)
        borders = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
        return numbers, np.diff(np.searchsorted(starts, borders), prepend=0)

    def _keep(self, slot: int, of: np.uint64, number: int) -> None:
        """Take a slot for a run, unless another has it: that one was seen more often so far."""
        with self._lock:
            if self._hashes[slot] == 0:
                # The number first: a reader that sees the hash must find it.
                self._numbers[slot] = number
                self._hashes[slot] = of

    def __missing__(self, run: str) -> int:
        rows = self._compute(run)
        with self._lock:
            if (known := self.get(run)) is not None:
                return known
            number = len(self)
            start = int(self.first[number])
            if number + 2 > len(self.first):
                self.first = np.resize(self.first, 2 * len(self.first))
            if start + len(rows) > len(self.rows):
                self.rows = np.resize(self.rows, 2 * (len(self.rows) + len(rows)))
            self.rows[start : start + len(rows)] = rows
            self.first[number + 1] = start + len(rows)
            self[run] = number
        return number


@cache
def _powers(base: int) -> NDArray[np.uint64]:
    """The powers of a base modulo 2**64, from 0 up to `_MOST_HASHED`."""
    factors = np.full(_MOST_HASHED, base, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors)
