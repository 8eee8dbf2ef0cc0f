"""SQLite is the truth: files, chunks, vectors, settings. One transaction decides what is true.

Every committed batch raises the generation by one. Readers in any process look at that number to learn whether what
they hold in memory is behind, and read only what changed.
"""

from __future__ import annotations

import errno
import queue
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from codeweft.errors import CodeweftError, StorageFailed
from codeweft.retrieval.chunk import Piece
from codeweft.retrieval.store.lexical import LexicalDocument
from codeweft.retrieval.store.vectors import Int8Rows, VectorTable
from codeweft.retrieval.tokens import words

FORMAT: Final = 1
"""Of the tables and of what is computed from a file (chunker, terms); another number means index again."""
KINDS: Final = ("section", "function", "method", "class", "interface", "enum", "module", "block")
_BUSY_SECONDS: Final = 10.0
_REMOVED_KEPT: Final = 20_000
"""Entries of the log of removed chunks; a reader further behind loads everything anew."""
_QUALIFIER: Final = re.compile(r"::|->|[.\\#]")
_FOLD: Final = re.compile(r"[\W_]+")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, status TEXT NOT NULL, reason TEXT NOT NULL,
    digest BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, checked_ns INTEGER NOT NULL,
    language TEXT NOT NULL, lines INTEGER NOT NULL, first_chunk INTEGER NOT NULL, chunks INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY, file INTEGER NOT NULL, start_line INTEGER NOT NULL, end_line INTEGER NOT NULL,
    kind TEXT NOT NULL, name TEXT NOT NULL, scope TEXT NOT NULL, signature TEXT NOT NULL, docstring TEXT NOT NULL,
    digest INTEGER NOT NULL, defines TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS symbols (
    folded TEXT NOT NULL, chunk INTEGER NOT NULL, PRIMARY KEY (folded, chunk)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS symbols_by_chunk ON symbols (chunk);
CREATE TABLE IF NOT EXISTS vectors (
    file INTEGER PRIMARY KEY, generation INTEGER NOT NULL, first_chunk INTEGER NOT NULL, kinds BLOB NOT NULL,
    data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS vectors_by_generation ON vectors (generation);
CREATE TABLE IF NOT EXISTS removed (
    id INTEGER PRIMARY KEY AUTOINCREMENT, generation INTEGER NOT NULL, first_chunk INTEGER NOT NULL,
    chunks INTEGER NOT NULL, file INTEGER NOT NULL);
"""


def fold(name: str) -> str:
    """A name for comparison: case, underscores and punctuation do not count."""
    return _FOLD.sub("", name).lower()


def last_segment(name: str) -> str:
    """The name itself without the module it is qualified by."""
    return _QUALIFIER.split(name)[-1]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A row of `files`: everything but the content. `status` is indexed, skipped or failed."""

    id: int
    path: str
    status: str
    reason: str
    digest: bytes
    size: int
    mtime_ns: int
    checked_ns: int
    language: str
    lines: int
    first_chunk: int
    chunks: int


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk about to be stored; `digest` identifies its text up to white space."""

    piece: Piece
    text: str
    digest: int


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file about to be stored. `vectors` has one int8 row per chunk."""

    path: str
    status: str
    reason: str
    digest: bytes
    size: int
    mtime_ns: int
    checked_ns: int
    language: str
    lines: int
    chunks: Sequence[NewChunk]
    vectors: Int8Rows


class Row(NamedTuple):
    """A stored chunk with its file's path and language.

    Signature, docstring and text are empty where the text was not asked for; ranking does without.
    """

    id: int
    file: int
    path: str
    language: str
    start_line: int
    end_line: int
    kind: str
    name: str
    scope: str
    signature: str
    docstring: str
    digest: int
    defined: str
    text: str = ""

    @property
    def defines(self) -> tuple[str, ...]:
        """Further names the chunk defines."""
        return tuple(self.defined.split("\n")) if self.defined else ()


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn what disks and damaged files raise into `StorageFailed` that says what to do."""
    try:
        yield
    except CodeweftError:
        raise
    except (OSError, sqlite3.Error, ValueError) as error:
        text = str(error)
        full = (
            getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
            or "full" in text
            or "No space" in text
        )
        if full:
            free = shutil.disk_usage(folder).free if folder.exists() else 0
            raise StorageFailed(
                f"The disk of {folder} is full ({free // 1_000_000} MB free); what was indexed before is intact.",
                fix="Free some space and run the same command again; it goes on where it stopped.",
            ) from error
        if isinstance(error, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text):
            raise StorageFailed(
                f"The index in {folder} is damaged ({text}).",
                fix="Remove the index and add its source again.",
            ) from error
        if isinstance(error, ValueError):
            raise
        raise StorageFailed(
            f"The index in {folder} cannot be read or written ({text}).",
            fix="Check the folder's owner and permissions.",
        ) from error


class EmbeddedStore:
    """The tables of one index. Reading is safe from any thread; writing is for the one holder of the index's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        with storage_errors(path.parent), self._connected() as connection:
            connection.executescript("PRAGMA journal_mode=WAL;" + _SCHEMA)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = sqlite3.connect(
                self.path,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=64,
            )
            connection.executescript("PRAGMA synchronous=NORMAL; PRAGMA mmap_size=1073741824;")
        yield connection
        self._idle.put(connection)

    def close(self) -> None:
        """Close idle connections; those in use close when they are dropped."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    # ── settings ─────────────────────────────────────────────────────────────────────────────────────────────

    def settings(self) -> dict[str, str]:
        """All settings by key."""
        with self._connected() as connection:
            return dict(connection.execute("SELECT key, value FROM settings").fetchall())

    def set(self, **values: str) -> None:
        """Store settings in one transaction."""
        with self._connected() as connection:
            rows = list(values.items())
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", rows)
            connection.execute("COMMIT")

    def generation(self) -> int:
        """How many batches were committed."""
        with self._connected() as connection:
            return _generation(connection)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def write(
        self, files: Sequence[NewFile], gone: Sequence[str] = ()
    ) -> tuple[int, list[LexicalDocument], list[int]]:
        """Replace `files`, remove the paths `gone`, all or nothing.

        Returns the new generation, the lexical documents to add and the file ids whose old ones must go.
        """
        documents: list[LexicalDocument] = []
        replaced: list[int] = []
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                generation = _generation(connection) + 1
                for path in [*gone, *(file.path for file in files)]:
                    if (old := _remove(connection, path, generation)) is not None:
                        replaced.append(old)
                next_chunk = _next_chunk(connection)
                for file in files:
                    documents.extend(_insert(connection, file, next_chunk, generation))
                    next_chunk += len(file.chunks)
                connection.executemany(
                    "INSERT OR REPLACE INTO settings VALUES (?, ?)",
                    [("generation", str(generation)), ("next_chunk", str(next_chunk))],
                )
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        return generation, documents, replaced

    def touch(self, seen: Sequence[tuple[int, int, int, str]]) -> None:
        """Record (size, mtime_ns, checked_ns, path) of files whose content did not change."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE files SET size = ?, mtime_ns = ?, checked_ns = ? WHERE path = ?", seen
            )
            connection.execute("COMMIT")

    def clear(self) -> None:
        """Forget all files (the source or the encoder changed); settings stay."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            generation = _generation(connection) + 1
            for table in ("files", "chunks", "symbols", "vectors", "removed"):
                connection.execute(f"DELETE FROM {table}")
            connection.executemany(
                "INSERT OR REPLACE INTO settings VALUES (?, ?)",
                [("generation", str(generation)), ("log_start", str(generation))],
            )
            connection.execute("COMMIT")

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────

    def files(self) -> list[StoredFile]:
        """All known files by path."""
        with self._connected() as connection:
            return [StoredFile(*row) for row in connection.execute("SELECT * FROM files ORDER BY path")]

    def file(self, path: str) -> StoredFile | None:
        """One file."""
        with self._connected() as connection:
            row = connection.execute("SELECT * FROM files WHERE path = ?", (path,)).fetchone()
        return StoredFile(*row) if row else None

    def rows(self, ids: Iterable[int], *, text: bool = False) -> list[Row]:
        """Chunks by id, in no particular order; ids that are gone are missing."""
        wanted = list(ids)
        found: list[Row] = []
        with self._connected() as connection:
            for low in range(0, len(wanted), 500):
                some = wanted[low : low + 500]
                marks = ",".join("?" * len(some))
                found.extend(map(_row, connection.execute(f"{_select(text)} WHERE c.id IN ({marks})", some)))
        return found

    def chunks(self, path: str) -> list[Row]:
        """The chunks of one file in order, with text."""
        with self._connected() as connection:
            return list(
                map(_row, connection.execute(f"{_select(True)} WHERE f.path = ? ORDER BY c.id", (path,)))
            )

    def defining(self, folded: Sequence[str], limit: int) -> list[int]:
        """Ids of chunks that define a name that folds to one of `folded`."""
        if not folded:
            return []
        marks = ",".join("?" * len(folded))
        with self._connected() as connection:
            found = connection.execute(
                f"SELECT chunk FROM symbols WHERE folded IN ({marks}) LIMIT ?", [*folded, limit]
            ).fetchall()
        return [chunk for (chunk,) in found]

    def documents(self) -> Iterator[LexicalDocument]:
        """Every chunk as a lexical document, for rebuilding the lexical index."""
        with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS)) as connection:
            for row in map(_row, connection.execute(f"{_select(True)} ORDER BY c.id")):
                piece = Piece(
                    row.start_line,
                    row.end_line,
                    row.kind,
                    row.name,
                    row.scope,
                    row.signature,
                    row.docstring,
                    row.defines,
                )
                yield lexical_document(row.id, row.file, row.path, NewChunk(piece, row.text, row.digest))

    def vectors(self, dimensions: int) -> tuple[int, VectorTable]:
        """All vectors, and the generation they belong to."""
        return self.vector_changes(-1, VectorTable.empty(dimensions), dimensions)

    def vector_changes(self, since: int, table: VectorTable, dimensions: int) -> tuple[int, VectorTable]:
        """`table` brought from generation `since` to now, and that generation."""
        with self._connected() as connection:
            connection.execute("BEGIN")
            try:
                generation = _generation(connection)
                values = dict(connection.execute("SELECT key, value FROM settings WHERE key = 'log_start'"))
                if since < int(values.get("log_start", 0)):
                    since, table = -1, VectorTable.empty(dimensions)
                gone = connection.execute(
                    "SELECT first_chunk, chunks FROM removed WHERE generation > ?", (since,)
                ).fetchall()
                added = connection.execute(
                    "SELECT file, first_chunk, kinds, data FROM vectors WHERE generation > ? ORDER BY first_chunk",
                    (since,),
                ).fetchall()
            finally:
                connection.execute("COMMIT")
        counts = [len(kinds) for _, _, kinds, _ in added]
        ids = [np.arange(first, first + count) for (_, first, _, _), count in zip(added, counts, strict=True)]
        empty = np.zeros(0, np.int64)
        rows = np.frombuffer(b"".join(data for *_, data in added), np.int8).reshape(-1, dimensions)
        return generation, table.with_changes(
            gone,
            np.concatenate([empty, *ids]),
            np.repeat(np.array([file for file, *_ in added], np.int64), counts),
            np.frombuffer(b"".join(kinds for _, _, kinds, _ in added), np.uint8),
            rows,
        )

    def count_files(self) -> int:
        """How many files have chunks."""
        with self._connected() as connection:
            return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])


def _generation(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM settings WHERE key = 'generation'").fetchone()
    return int(row[0]) if row else 0


def _next_chunk(connection: sqlite3.Connection) -> int:
    """Chunk ids are never used twice, so that a reader can tell new chunks from old ones."""
    row = connection.execute("SELECT value FROM settings WHERE key = 'next_chunk'").fetchone()
    return int(row[0]) if row else 1


def _remove(connection: sqlite3.Connection, path: str, generation: int) -> int | None:
    row = connection.execute("SELECT id, first_chunk, chunks FROM files WHERE path = ?", (path,)).fetchone()
    if row is None:
        return None
    file, first, count = row
    connection.execute("DELETE FROM files WHERE id = ?", (file,))
    if count:
        span = (first, first + count - 1)
        connection.execute("DELETE FROM chunks WHERE id BETWEEN ? AND ?", span)
        connection.execute("DELETE FROM symbols WHERE chunk BETWEEN ? AND ?", span)
        connection.execute("DELETE FROM vectors WHERE file = ?", (file,))
        logged = connection.execute(
            "INSERT INTO removed (generation, first_chunk, chunks, file) VALUES (?, ?, ?, ?)",
            (generation, first, count, file),
        ).lastrowid
        _trim_log(connection, logged or 0)
    return int(file)


def _trim_log(connection: sqlite3.Connection, last: int) -> None:
    """Keep the log of removals short; whoever is further behind starts over."""
    if last % _REMOVED_KEPT:
        return
    limit = last - _REMOVED_KEPT
    oldest = connection.execute("SELECT max(generation) FROM removed WHERE id <= ?", (limit,)).fetchone()[0]
    if oldest is not None:
        connection.execute("DELETE FROM removed WHERE id <= ?", (limit,))
        connection.execute("INSERT OR REPLACE INTO settings VALUES ('log_start', ?)", (str(oldest),))


def _insert(
    connection: sqlite3.Connection, file: NewFile, first: int, generation: int
) -> list[LexicalDocument]:
    cursor = connection.execute(
        "INSERT INTO files (path, status, reason, digest, size, mtime_ns, checked_ns, language, lines, first_chunk, chunks)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(file.path, file.status, file.reason, file.digest, file.size, file.mtime_ns, file.checked_ns),
            *(file.language, file.lines, first, len(file.chunks)),
        ),
    )
    if not file.chunks:
        return []
    row_id = int(cursor.lastrowid or 0)
    numbered = list(enumerate(file.chunks, first))
    connection.executemany(
        "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                *(number, row_id, one.piece.start_line, one.piece.end_line, one.piece.kind, one.piece.name),
                *(one.piece.scope, one.piece.signature, one.piece.docstring, one.digest),
                *("\n".join(one.piece.defines), one.text),
            )
            for number, one in numbered
        ),
    )
    symbols = {
        (folded, number)
        for number, one in numbered
        for name in (one.piece.name, *one.piece.defines)
        for folded in (fold(name), fold(last_segment(name)))
        if folded
    }
    connection.executemany("INSERT INTO symbols VALUES (?, ?)", sorted(symbols))
    kinds = bytes(KINDS.index(one.piece.kind) for one in file.chunks)
    connection.execute(
        "INSERT INTO vectors VALUES (?, ?, ?, ?, ?)",
        (row_id, generation, first, kinds, file.vectors.tobytes()),
    )
    return [lexical_document(number, row_id, file.path, one) for number, one in numbered]


def lexical_document(number: int, file: int, path: str, chunk: NewChunk) -> LexicalDocument:
    """The terms of a chunk by field."""
    piece = chunk.piece
    return LexicalDocument(
        number,
        file,
        " ".join(words(" ".join((piece.scope, piece.name, *piece.defines)))),
        " ".join(words(path)),
        " ".join(words(piece.docstring)),
        " ".join(words(chunk.text)),
    )


def _select(text: bool) -> str:
    long = "c.signature, c.docstring" if text else "'', ''"
    return (
        "SELECT c.id, c.file, f.path, f.language, c.start_line, c.end_line, c.kind, c.name, c.scope,"
        f" {long}, c.digest, c.defines, {'c.text' if text else repr('')} FROM chunks c JOIN files f ON f.id = c.file"
    )


def _row(values: tuple[Any, ...]) -> Row:
    return Row._make(values)
