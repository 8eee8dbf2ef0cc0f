"""The static code encoder: text to a unit vector by a weighted sum of learnt term vectors, on one core, offline.

A text becomes its lexical terms (`tokens`), each term one row of a table, or several rows of word pieces when the
term is unknown. The rows are summed, repeats damped, and the sum is scaled to unit length. The table is int8 with
one scale per row; a term's weight is the length of its row. Questions have their own weight per term and one
linear map, because people ask in other words than code is written in. How it is trained: `training/encoder`.
"""

from __future__ import annotations

import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from codeweft.errors import NotFound, StorageFailed
from codeweft.retrieval.vocabulary import Vocabulary
from codeweft.types import Vectors

_BATCH: Final = 256
"""Texts whose terms are counted at once."""


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
        self.portable = False
        """Whether the processes that read files can have it: they load it from its file themselves."""
        self._file: Path | None = None

    def __reduce__(self) -> tuple[Callable[[Path | None], StaticEncoder], tuple[Path | None]]:
        """What is sent to another process is small, for the sender waits until it has been taken."""
        if not self.portable:
            raise TypeError("An encoder that was not loaded from a file cannot be sent to another process.")
        return StaticEncoder.load, (self._file,)

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read an encoder file; None reads the bundled one.

        Raises `NotFound` when there is no such file, `StorageFailed` when it is not an encoder or is damaged.
        """
        if path is None:
            with resources.as_file(_bundled()) as bundled:
                encoder = cls.load(bundled)
            encoder._file = None
            return encoder
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
            raise _no_file(path) from error
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise _not_an_encoder(path) from error
        shapes = encoder._scale.shape, encoder._query_weight.shape, encoder._query_map.shape
        if rows != len(encoder.vocabulary) or shapes != ((rows,), (rows,), (dimensions, dimensions)):
            raise _not_an_encoder(path)
        encoder.portable, encoder._file = True, path
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
            vectors[start : start + len(batch)] = _unit(self._sum(batch))
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

    def _sum(self, texts: Sequence[str]) -> Vectors:
        """Per text the sum of its terms' vectors, repeats damped."""
        all_rows, text_of = self.vocabulary.rows_of(texts)
        keys, counts = np.unique(text_of * len(self._scale) + all_rows, return_counts=True)
        text_of, rows = np.divmod(keys, len(self._scale))
        factor = self._scale[rows] * counts.astype(np.float32) ** self._count_power
        ends = np.searchsorted(text_of, np.arange(len(texts) + 1)).tolist()
        longest = max(np.diff(ends), default=0)
        # One small product per text through two buffers that stay: fresh ones for each cost more than the work itself.
        narrow = np.empty((longest, self.dimensions), dtype=np.int8)
        wide = np.empty((longest, self.dimensions), dtype=np.float32)
        total = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        take = self._table.take
        for (start, end), own in zip(pairwise(ends), total, strict=True):
            few, floats = narrow[: end - start], wide[: end - start]
            # Without a mode `take` works on a copy of its own.
            take(rows[start:end], 0, few, "clip")
            floats[:] = few
            factor[start:end].dot(floats, own)
        return total


class BundledEncoder:
    """The bundled `StaticEncoder`, read when something is first encoded; satisfies `codeweft.types.Encoder`, thread-safe.

    It takes 17 MB and a sixth of a second, which a server that only passes requests on never needs.
    """

    portable = True

    def __init__(self) -> None:
        """Raises `NotFound` and `StorageFailed` for a file that is missing or damaged at its head."""
        self._lock = threading.Lock()
        self._encoder: StaticEncoder | None = None
        with resources.as_file(_bundled()) as path:
            self.name, self.dimensions = _head(path)

    def __reduce__(self) -> tuple[Callable[[], BundledEncoder], tuple[()]]:
        return BundledEncoder, ()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `StaticEncoder.encode`."""
        return self._loaded().encode(texts)

    def encode_query(self, texts: Sequence[str]) -> Vectors:
        """See `StaticEncoder.encode_query`."""
        return self._loaded().encode_query(texts)

    def _loaded(self) -> StaticEncoder:
        with self._lock:
            if self._encoder is None:
                self._encoder = StaticEncoder.load()
            return self._encoder


def _bundled() -> Traversable:
    return resources.files("codeweft.retrieval") / "encoder" / "encoder.npz"


def _head(path: Path) -> tuple[str, int]:
    """Name and dimensions of an encoder file. Raises as `StaticEncoder.load` does."""
    try:
        with zipfile.ZipFile(path) as file, file.open("table.npy") as table, file.open("name.npy") as name:
            np.lib.format.read_magic(table)
            shape, _, _ = np.lib.format.read_array_header_1_0(table)
            return str(np.lib.format.read_array(name, allow_pickle=False)), int(shape[1])
    except FileNotFoundError as error:
        raise _no_file(path) from error
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise _not_an_encoder(path) from error


def _no_file(path: Path) -> NotFound:
    return NotFound(f"There is no encoder file at {path}.", fix="Check the path, or leave it out.")


def _unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def _not_an_encoder(path: Path) -> StorageFailed:
    return StorageFailed(
        f"{path} is not an encoder file, or it is damaged.",
        fix="Reinstall Codeweft, or name another encoder file.",
    )
