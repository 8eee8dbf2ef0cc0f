"""SQLite is the truth: files, chunks, vectors, settings. One transaction decides what is true.

Every committed batch raises the generation by one. Readers in any process look at that number to learn whether what
they hold in memory is behind, and read only what changed.
"""

from __future__ import annotations

import queue
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from codeweft.retrieval.store.base import (
    FORMAT,
    KINDS,
    FoundSecret,
    NewChunk,
    NewFile,
    Row,
    StoredFile,
    fold,
    last_segment,
)
from codeweft.retrieval.store.failures import storage_errors
from codeweft.retrieval.store.lexical import LexicalDocument, lexical_document
from codeweft.retrieval.store.vectors import VectorTable

_BUSY_SECONDS: Final = 10.0
_REMOVED_KEPT: Final = 20_000
"""Entries of the log of removed chunks; a reader further behind loads everything anew."""
_AT_ONCE: Final = 500
"""Values in one `IN (...)`."""

_DERIVED: Final = ("files", "chunks", "symbols", "vectors", "removed", "secrets")
"""Tables that indexing fills; settings and summaries are the only ones that cannot be made again."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, status TEXT NOT NULL, reason TEXT NOT NULL,
    digest BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, checked_ns INTEGER NOT NULL,
    language TEXT NOT NULL, lines INTEGER NOT NULL, chunks INTEGER NOT NULL, summarised INTEGER NOT NULL,
    secrets INTEGER NOT NULL, first_chunk INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY, file INTEGER NOT NULL, start_line INTEGER NOT NULL, end_line INTEGER NOT NULL,
    kind TEXT NOT NULL, name TEXT NOT NULL, scope TEXT NOT NULL, digest INTEGER NOT NULL, defines TEXT NOT NULL,
    signature TEXT NOT NULL, docstring TEXT NOT NULL, summary TEXT NOT NULL, text TEXT NOT NULL);
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
CREATE TABLE IF NOT EXISTS secrets (file INTEGER NOT NULL, rule TEXT NOT NULL, line INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS secrets_by_file ON secrets (file);
CREATE TABLE IF NOT EXISTS summaries (
    digest INTEGER NOT NULL, language TEXT NOT NULL, text TEXT NOT NULL, model TEXT NOT NULL,
    PRIMARY KEY (digest, language)) WITHOUT ROWID;
"""
_FILE_COLUMNS: Final = "id, path, status, reason, digest, size, mtime_ns, checked_ns, language, lines, chunks, summarised, secrets"


class Tables:
    """The tables of one index. Reading is safe from any thread; writing is for the one holder of the index's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        with storage_errors(path.parent), self._connected() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            if _version(connection) != FORMAT:
                with _transaction(connection):
                    _make_tables(connection)

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
            with _transaction(connection):
                connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", rows)

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
        with self._connected() as connection, _transaction(connection):
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
        return generation, documents, replaced

    def touch(self, seen: Sequence[tuple[int, int, int, str]]) -> None:
        """Record (size, mtime_ns, checked_ns, path) of files whose content did not change."""
        with self._connected() as connection, _transaction(connection):
            connection.executemany(
                "UPDATE files SET size = ?, mtime_ns = ?, checked_ns = ? WHERE path = ?", seen
            )

    def clear(self) -> None:
        """Forget all files; settings and summaries stay."""
        with self._connected() as connection, _transaction(connection):
            for table in _DERIVED:
                connection.execute(f"DELETE FROM {table}")
            _start_over(connection)

    def put_summaries(self, language: str, model: str, texts: Mapping[int, str]) -> None:
        """Keep summaries by chunk digest."""
        rows = [(digest, language, text, model) for digest, text in texts.items()]
        with self._connected() as connection, _transaction(connection):
            connection.executemany("INSERT OR REPLACE INTO summaries VALUES (?, ?, ?, ?)", rows)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────

    def files(self) -> list[StoredFile]:
        """All known files by path."""
        with self._connected() as connection:
            return [
                StoredFile(*row)
                for row in connection.execute(f"SELECT {_FILE_COLUMNS} FROM files ORDER BY path")
            ]

    def file(self, path: str) -> StoredFile | None:
        """One file."""
        with self._connected() as connection:
            row = connection.execute(f"SELECT {_FILE_COLUMNS} FROM files WHERE path = ?", (path,)).fetchone()
        return StoredFile(*row) if row else None

    def rows(self, ids: Iterable[int], *, text: bool = False) -> list[Row]:
        """Chunks by id, in no particular order; ids that are gone are missing."""
        wanted = list(ids)
        found: list[Row] = []
        with self._connected() as connection:
            for some in _portions(wanted):
                query = f"{_select(text)} WHERE c.id IN ({_marks(some)})"
                found.extend(map(_row, connection.execute(query, some)))
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
        with self._connected() as connection:
            found = connection.execute(
                f"SELECT chunk FROM symbols WHERE folded IN ({_marks(folded)}) LIMIT ?", [*folded, limit]
            ).fetchall()
        return [chunk for (chunk,) in found]

    def documents(self) -> Iterator[LexicalDocument]:
        """Every chunk as a lexical document, for rebuilding the lexical index."""
        with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS)) as connection:
            for row in map(_row, connection.execute(f"{_select(True)} ORDER BY c.id")):
                chunk = NewChunk(row.piece, row.text, row.digest, row.summary)
                yield lexical_document(row.id, row.file, row.path, chunk)

    def scan(self, literal: str) -> Iterator[Row]:
        """Chunks (with text) whose text contains `literal`, by path and line."""
        with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS)) as connection:
            where = "WHERE instr(c.text, ?) > 0" if literal else "WHERE ? = ''"
            yield from map(
                _row, connection.execute(f"{_select(True)} {where} ORDER BY f.path, c.id", (literal,))
            )

    def secrets(self) -> list[tuple[str, FoundSecret]]:
        """Paths with what was found in them, by path and line."""
        with self._connected() as connection:
            found = connection.execute(
                "SELECT f.path, s.rule, s.line FROM secrets s JOIN files f ON f.id = s.file"
                " ORDER BY f.path, s.line, s.rule"
            ).fetchall()
        return [(path, FoundSecret(rule, line)) for path, rule, line in found]

    def summaries(self, digests: Sequence[int], language: str) -> dict[int, str]:
        """Known summaries in a language by chunk digest."""
        found: dict[int, str] = {}
        with self._connected() as connection:
            for some in _portions(list(digests)):
                query = (
                    f"SELECT digest, text FROM summaries WHERE language = ? AND digest IN ({_marks(some)})"
                )
                found.update(connection.execute(query, (language, *some)).fetchall())
        return found

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


def _portions(values: list[int]) -> Iterator[list[int]]:
    return (values[low : low + _AT_ONCE] for low in range(0, len(values), _AT_ONCE))


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; waits for another writer."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables anew unless another process just did; settings and summaries stay."""
    if _version(connection) == FORMAT:
        return
    for table in _DERIVED:
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in filter(str.strip, _SCHEMA.split(";")):
        connection.execute(statement)
    _start_over(connection)
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _start_over(connection: sqlite3.Connection) -> None:
    """Readers forget what they hold: the log of changes begins here."""
    generation = str(_generation(connection) + 1)
    connection.executemany(
        "INSERT OR REPLACE INTO settings VALUES (?, ?)",
        [("generation", generation), ("log_start", generation)],
    )


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
    connection.execute("DELETE FROM secrets WHERE file = ?", (file,))
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
        f"INSERT INTO files ({_FILE_COLUMNS}, first_chunk) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(file.path, file.status, file.reason, file.digest, file.size, file.mtime_ns, file.checked_ns),
            *(file.language, file.lines, len(file.chunks), sum(1 for one in file.chunks if one.summary)),
            *(len(file.secrets), first),
        ),
    )
    row_id = int(cursor.lastrowid or 0)
    connection.executemany(
        "INSERT INTO secrets VALUES (?, ?, ?)", [(row_id, one.rule, one.line) for one in file.secrets]
    )
    if not file.chunks:
        return []
    numbered = list(enumerate(file.chunks, first))
    connection.executemany(
        "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                *(number, row_id, one.piece.start_line, one.piece.end_line, one.piece.kind, one.piece.name),
                *(one.piece.scope, one.digest, "\n".join(one.piece.defines)),
                *(one.piece.signature, one.piece.docstring, one.summary, one.text),
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


def _select(text: bool) -> str:
    signature, docstring, body, summary = (
        ("c.signature", "c.docstring", "c.text", "c.summary") if text else ("''",) * 4
    )
    return (
        "SELECT c.id, c.file, f.path, f.language, c.start_line, c.end_line, c.kind, c.name, c.scope,"
        f" {signature}, {docstring}, c.digest, c.defines, {body}, {summary}"
        " FROM chunks c JOIN files f ON f.id = c.file"
    )


def _row(values: tuple[Any, ...]) -> Row:
    return Row._make(values)
