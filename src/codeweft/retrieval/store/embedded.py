"""The store that needs nothing but a folder: SQLite is the truth, tantivy and a vector table are derived from it."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from codeweft.retrieval.lock import holder, updating
from codeweft.retrieval.store.base import FoundSecret, NewFile, Probe, Row, StoredFile
from codeweft.retrieval.store.pool import Pool
from codeweft.retrieval.store.search import Searcher
from codeweft.retrieval.store.sqlite import Tables
from codeweft.types import Filters, Vectors

_TABLES: Final = "index.sqlite"
_LOCK: Final = "lock"
CHEAP_CHUNKS: Final = 50_000
"""Chunks up to which the lexical index is written anew whenever a file went away; it takes a second per 10,000."""
PURGED_SHARE: Final = 0.05
"""Share of chunks that went away from which it is written anew in a larger index."""
PURGED_SECONDS: Final = 86_400.0
"""Seconds after which it is, however few they are."""


class EmbeddedStore:
    """Implements `Store` in a folder. Any number of threads and processes may search while one updates."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        """Open or make the store in `folder`, which exists."""
        self._lock = folder / _LOCK
        self._tables = Tables(folder / _TABLES)
        self._searcher = Searcher(folder, self._tables, dimensions, self.updating, self.updater)

    def settings(self) -> dict[str, str]:
        return self._tables.settings()

    def set(self, **values: str) -> None:
        self._tables.set(**values)

    @contextmanager
    def updating(self, name: str) -> Iterator[None]:
        with updating(self._lock, name):
            try:
                yield
            finally:
                self._searcher.finish()
            self._purge()

    def _purge(self) -> None:
        """Clean up behind files that went away; see `Store.write`."""
        # Whoever deletes the index takes its folder away while holding the lock.
        removed = self._tables.removed_since() if self._tables.path.exists() else None
        if removed is None:
            return
        chunks, since = removed
        there = self._tables.count_chunks()
        if there <= CHEAP_CHUNKS or chunks > PURGED_SHARE * there or time.time() - since > PURGED_SECONDS:
            self._searcher.compact()
            self._tables.purge()

    def updater(self) -> int | None:
        return holder(self._lock)

    def files(self) -> list[StoredFile]:
        return self._tables.files()

    def file(self, path: str) -> StoredFile | None:
        return self._tables.file(path)

    def chunks(self, path: str) -> list[Row]:
        return self._tables.chunks(path)

    def rows(self, ids: Iterable[int], *, text: bool = False) -> list[Row]:
        return self._tables.rows(ids, text=text)

    def write(self, files: Sequence[NewFile], gone: Sequence[str] = ()) -> None:
        generation, documents, replaced = self._tables.write(files, gone)
        self._searcher.write_lexical(documents, replaced, generation)

    def touch(self, seen: Sequence[tuple[int, int, int, str]]) -> None:
        self._tables.touch(seen)

    def clear(self) -> None:
        self._tables.clear()
        self._searcher.repair()

    def repair(self) -> None:
        self._searcher.repair()

    def secrets(self) -> list[tuple[str, FoundSecret]]:
        return self._tables.secrets()

    def summaries(self, digests: Sequence[int], language: str) -> dict[int, str]:
        return self._tables.summaries(digests, language)

    def put_summaries(self, language: str, model: str, texts: Mapping[int, str]) -> None:
        self._tables.put_summaries(language, model, texts)

    def candidates(self, probe: Probe) -> Pool:
        return self._searcher.candidates(probe)

    def nearest(self, vector: Vectors, k: int, filters: Filters) -> list[tuple[int, float]]:
        return self._searcher.nearest(vector, k, filters)

    def vectors(self, ids: Sequence[int]) -> Vectors:
        return self._searcher.vectors(ids)

    def defining(self, folded: Sequence[str], limit: int) -> list[int]:
        return self._tables.defining(folded, limit)

    def holding(self, terms: Sequence[str], limit: int, filters: Filters) -> list[int]:
        return self._searcher.holding(terms, limit, filters)

    def scan(self, literal: str, filters: Filters) -> Iterator[Row]:
        return self._searcher.scan(literal, filters)

    def close(self) -> None:
        self._tables.close()


class EmbeddedStores:
    """Implements `Stores`: each store lies in the folder of its index and goes with it."""

    def names(self, root: Path) -> list[str]:
        try:
            folders = list(root.iterdir())
        except FileNotFoundError:
            return []
        return sorted(folder.name for folder in folders if (folder / _TABLES).is_file())

    def identity(self, folder: Path) -> Hashable | None:
        try:
            info = (folder / _TABLES).stat()
        except OSError:
            return None
        return info.st_dev, info.st_ino

    def open(self, folder: Path, dimensions: int) -> EmbeddedStore:
        return EmbeddedStore(folder, dimensions)

    def delete(self, folder: Path) -> None:
        """Nothing lies outside the folder."""
