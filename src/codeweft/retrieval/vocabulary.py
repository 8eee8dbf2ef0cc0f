"""Which rows of the encoder's table a text has. Fast: identifiers repeat endlessly, so each is read only once.

Runs of letters and digits are numbered when first seen. In ASCII text they are found and recognised by arrays alone: a
run's hash is the difference of two running sums over the bytes of a whole batch, and a table gives its number.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Final

import numpy as np
from ahocorasick_rs import BytesAhoCorasick, MatchKind
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
        self._pieces = BytesAhoCorasick(
            [piece.encode() for piece in pieces], matchkind=MatchKind.LeftmostLongest
        )
        self._size = len(words) + len(pieces)
        self._memo = _Memo(self._rows_of_run)

    def __len__(self) -> int:
        return self._size

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
        # One character never begins inside another in UTF-8, so neither does a piece.
        found = self._pieces.find_matches_as_indexes(term.encode("utf-8", "surrogatepass"))
        words = len(self._words)
        return tuple([words + piece for piece, _, _ in found])


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
        looked_up = self._numbers_of(list(chain.from_iterable(found)))
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
        known = self._hashes[slots]
        numbers = self._numbers[slots].astype(np.int64)
        unknown = np.flatnonzero(known != hashes)
        if len(unknown):
            of, first, again = np.unique(hashes[unknown], return_index=True, return_inverse=True)
            at = unknown[first]
            bounds = zip((starts[at] + 1).tolist(), (ends[at] + 1).tolist(), strict=True)
            found = self._numbers_of([data[start:end].decode("ascii") for start, end in bounds])
            numbers[unknown] = found[again]
            self._keep(slots[at], of, found)
        borders = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
        return numbers, np.diff(np.searchsorted(starts, borders), prepend=0)

    def _keep(self, slots: NDArray[np.uint64], hashes: NDArray[np.uint64], numbers: Numbers) -> None:
        """Take slots for runs, unless others have them: those were seen more often so far."""
        with self._lock:
            free = np.flatnonzero(self._hashes[slots] == 0)
            taken, first = np.unique(slots[free], return_index=True)
            # The number first: a reader that sees the hash must find it.
            self._numbers[taken] = numbers[free[first]]
            self._hashes[taken] = hashes[free[first]]

    def _numbers_of(self, found: Sequence[str]) -> Numbers:
        """The number of each run; new ones get one."""
        self._learn(dict.fromkeys(run for run in found if run not in self))
        return np.fromiter(map(self.__getitem__, found), np.int64, len(found))

    def _learn(self, unknown: Iterable[str]) -> None:
        rows_of = {run: self._compute(run) for run in unknown}
        with self._lock:
            new = [run for run in rows_of if run not in self]
            if not new:
                return
            number = len(self)
            ends = int(self.first[number]) + np.cumsum([len(rows_of[run]) for run in new])
            self.first = _with_room(self.first, number + 1 + len(new))
            self.rows = _with_room(self.rows, int(ends[-1]))
            rows = np.fromiter(chain.from_iterable(rows_of[run] for run in new), np.int64)
            self.rows[ends[-1] - len(rows) : ends[-1]] = rows
            self.first[number + 1 : number + 1 + len(new)] = ends
            self.update(zip(new, range(number, number + len(new)), strict=True))


def _with_room(numbers: Numbers, needed: int) -> Numbers:
    """The same array, or a longer copy where it has no room."""
    return numbers if needed <= len(numbers) else np.resize(numbers, 2 * needed)


@cache
def _powers(base: int) -> NDArray[np.uint64]:
    """The powers of a base modulo 2**64, from 0 up to `_MOST_HASHED`."""
    factors = np.full(_MOST_HASHED, base, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors)
