"""SQLite is the truth: files, chunks, vectors, settings. One transaction decides what is true.

Every committed batch raises the generation by one. Readers in any process look at that number to learn whether what
they hold in memory is behind, and read only what changed.
"""

from __future__ import annotations

import json
import queue
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from codeweft.retrieval.store import purge
from codeweft.retrieval.store.base import (
    FORMAT,
    KIND_NUMBERS,
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
from codeweft.retrieval.store.vectors import Added, Codes, VectorTable, code_words, sign_codes
from codeweft.retrieval.tokens import joined_words

_BUSY_SECONDS: Final = 10.0
_REMOVED_KEPT: Final = 20_000
"""Entries of the log of removed chunks; a reader further behind loads everything anew."""

_DERIVED: Final = ("files", "chunks", "texts", "symbols", "vectors", "removed", "secrets")
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
    kind TEXT NOT NULL, name TEXT NOT NULL, scope TEXT NOT NULL, digest INTEGER NOT NULL, defines TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS texts (
    id INTEGER PRIMARY KEY, signature TEXT NOT NULL, docstring TEXT NOT NULL, summary TEXT NOT NULL,
    text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS symbols (
    folded TEXT NOT NULL, chunk INTEGER NOT NULL, PRIMARY KEY (folded, chunk)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vectors (
    file INTEGER PRIMARY KEY, generation INTEGER NOT NULL, first_chunk INTEGER NOT NULL, kinds BLOB NOT NULL,
    data BLOB NOT NULL, codes BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS vectors_by_generation ON vectors (generation);
CREATE TABLE IF NOT EXISTS removed (
    id INTEGER PRIMARY KEY AUTOINCREMENT, generation INTEGER NOT NULL, first_chunk INTEGER NOT NULL,
    chunks INTEGER NOT NULL, file INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS secrets (file INTEGER NOT NULL, rule TEXT NOT NULL, line INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS secrets_by_file ON secrets (file);
CREATE TABLE IF NOT EXISTS summaries (
    digest INTEGER NOT NULL, language TEXT NOT NULL, text TEXT NOT NULL, model TEXT NOT NULL,
    PRIMARY KEY (digest, language)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orphans (digest INTEGER PRIMARY KEY);
"""
_COLUMNS: Final = (
    "c.id, c.file, f.path, f.language, c.start_line, c.end_line, c.kind, c.name, c.scope, t.signature, t.docstring,"
    " c.digest, c.defines, t.text, t.summary"
)
_JOINED: Final = "chunks c JOIN files f ON f.id = c.file JOIN texts t ON t.id = c.id"
_SELECT: Final = f"SELECT {_COLUMNS} FROM {_JOINED}"
_CHOSEN: Final = "WHERE c.id IN (SELECT value FROM json_each(?))"
# One text instead of many rows: each row would let go of the interpreter's lock, and while another thread indexes,
# getting it back takes milliseconds.
_ROWS_WITH_TEXT: Final = f"SELECT json_group_array(json_array({_COLUMNS})) FROM {_JOINED} {_CHOSEN}"
_ROWS: Final = (
    "SELECT json_group_array(json_array(c.id, c.file, f.path, f.language, c.start_line, c.end_line, c.kind, c.name,"
    f" c.scope, '', '', c.digest, c.defines)) FROM chunks c JOIN files f ON f.id = c.file {_CHOSEN}"
)
_FILE_COLUMNS: Final = "id, path, status, reason, digest, size, mtime_ns, checked_ns, language, lines, chunks, summarised, secrets"


class Tables:
    """The tables of one index. Reading is safe from any thread; writing is for the one holder of the index's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._file_names: dict[int, tuple[str, str]] = {}
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
            connection.executescript(
                "PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON; PRAGMA mmap_size=1073741824;"
            )
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
        replaced: list[int] = []
        with self._connected() as connection, _transaction(connection):
            generation = _generation(connection) + 1
            purge.note(connection, gone)
            for path in [*gone, *(file.path for file in files)]:
                if (old := _remove(connection, path, generation)) is not None:
                    replaced.append(old)
            # Ids are never used twice, so that a reader can tell new chunks from old ones.
            next_chunk = int(_setting(connection, "next_chunk", "1"))
            documents = _insert(connection, files, next_chunk, generation)
            next_chunk += len(documents)
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

    def removed_since(self) -> tuple[int, float] | None:
        """Chunks of files that went away, and since when (Unix seconds) they wait to be purged."""
        with self._connected() as connection:
            return purge.waiting(connection)

    def purge(self) -> None:
        """Leave nothing in the files of what was removed; the summaries of removed files go, too."""
        with self._connected() as connection:
            purge.purge(connection)

    def count_chunks(self) -> int:
        """How many chunks there are."""
        with self._connected() as connection:
            return int(connection.execute("SELECT count(*) FROM chunks").fetchone()[0])

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
        with self._connected() as connection:
            query = _ROWS_WITH_TEXT if text else _ROWS
            (found,) = connection.execute(query, (json.dumps(list(ids)),)).fetchone()
        return _row_decoder.decode(found)

    def file_names(self, files: Iterable[int]) -> list[tuple[str, str]]:
        """Path and language of files in the order given; empty for one that is gone. An id never changes its meaning."""
        known = self._file_names
        wanted = list(files)
        if not known.keys() >= set(wanted):
            known.update(
                {file: (path, language) for file, path, language in self.paths(next(reversed(known), 0))}
            )
        return [known.get(file, ("", "")) for file in wanted]

    def chunks(self, path: str) -> list[Row]:
        """The chunks of one file in order, with text."""
        with self._connected() as connection:
            return list(map(_row, connection.execute(f"{_SELECT} WHERE f.path = ? ORDER BY c.id", (path,))))

    def defining(self, folded: Sequence[str], limit: int) -> list[int]:
        """Ids of chunks that define a name that folds to one of `folded`."""
        if not folded:
            return []
        with self._connected() as connection:
            found = connection.execute(
                "SELECT chunk FROM symbols WHERE folded IN (SELECT value FROM json_each(?)) LIMIT ?",
                (json.dumps(list(folded)), limit),
            ).fetchall()
        return [chunk for (chunk,) in found]

    def defining_among(self, folded: Sequence[str], ids: Sequence[int]) -> list[int]:
        """Which of some chunks define a name that folds to one of `folded`."""
        with self._connected() as connection:
            found = connection.execute(
                "SELECT DISTINCT chunk FROM symbols WHERE folded IN (SELECT value FROM json_each(?))"
                " AND chunk IN (SELECT value FROM json_each(?))",
                (json.dumps(list(folded)), json.dumps(list(ids))),
            ).fetchall()
        return [chunk for (chunk,) in found]

    def documents(self, since: int = -1) -> Iterator[LexicalDocument]:
        """Every chunk stored after generation `since` as a lexical document, to bring the lexical index up to date."""
        with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS)) as connection:
            query = f"{_SELECT} WHERE c.file IN (SELECT file FROM vectors WHERE generation > ?) ORDER BY c.id"
            for row in map(_row, connection.execute(query, (since,))):
                chunk = NewChunk(row.piece, row.text, row.digest, row.summary)
                yield lexical_document(row.id, row.file, joined_words(row.path), row.language, chunk)

    def removed_files(self, since: int) -> list[int] | None:
        """Files whose chunks were removed after generation `since`; None when that is too long ago to be known."""
        with self._connected() as connection:
            if since < int(_setting(connection, "log_start", "0")):
                return None
            found = connection.execute("SELECT file FROM removed WHERE generation > ?", (since,)).fetchall()
        return [file for (file,) in found]

    def paths(self, after: int) -> list[tuple[int, str, str]]:
        """Id, path and language of the files with ids above `after`, in order."""
        with self._connected() as connection:
            return connection.execute(
                "SELECT id, path, language FROM files WHERE id > ? ORDER BY id", (after,)
            ).fetchall()

    def scan(self, literal: str) -> Iterator[Row]:
        """Chunks (with text) whose text contains `literal`, by path and line."""
        # What is streamed to a client goes on in whichever thread is free.
        opened = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, check_same_thread=False)
        with closing(opened) as connection:
            where = "WHERE instr(t.text, ?) > 0" if literal else "WHERE ? = ''"
            # In the order of files and their chunks, so that nothing is sorted and the first row comes at once.
            found = connection.execute(
                f"SELECT {_COLUMNS} FROM files f"
                " CROSS JOIN chunks c ON c.id >= f.first_chunk AND c.id < f.first_chunk + f.chunks"
                f" CROSS JOIN texts t ON t.id = c.id {where} ORDER BY f.path, c.id",
                (literal,),
            )
            yield from map(_row, found)

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
        query = (
            "SELECT digest, text FROM summaries"
            " WHERE language = ? AND digest IN (SELECT value FROM json_each(?))"
        )
        with self._connected() as connection:
            return dict(connection.execute(query, (language, json.dumps(list(digests)))).fetchall())

    def vector_changes(self, since: int, table: VectorTable, dimensions: int) -> tuple[int, VectorTable]:
        """`table` brought from generation `since` (-1: from nothing) to now, and that generation."""
        with self._connected() as connection:
            connection.execute("BEGIN")
            try:
                generation = _generation(connection)
                if since < int(_setting(connection, "log_start", "0")):
                    since, table = -1, VectorTable.empty(dimensions)
                gone = connection.execute(
                    "SELECT first_chunk, chunks FROM removed WHERE generation > ?", (since,)
                ).fetchall()
                added = connection.execute(
                    "SELECT file, first_chunk, kinds, data, codes FROM vectors WHERE generation > ?"
                    " ORDER BY first_chunk",
                    (since,),
                ).fetchall()
            finally:
                connection.execute("COMMIT")
        return generation, table.with_changes(gone, _added(added, dimensions))

    def count_files(self) -> int:
        """How many files have chunks."""
        with self._connected() as connection:
            return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])


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


def _added(rows: Sequence[tuple[int, int, bytes, bytes, bytes]], dimensions: int) -> Added:
    """Rows of the table `vectors` in order of chunk ids, as arrays."""
    counts = np.array([len(kinds) for _, _, kinds, _, _ in rows], np.int64)
    firsts = np.array([first for _, first, *_ in rows], np.int64)
    # A file's chunks are numbered one after the other.
    ids = np.repeat(firsts - np.concatenate([[0], np.cumsum(counts)[:-1]])[: len(rows)], counts)
    return Added(
        (ids + np.arange(len(ids))).astype(np.int64),
        np.repeat(np.array([file for file, *_ in rows], np.int64), counts),
        np.frombuffer(b"".join(kinds for _, _, kinds, _, _ in rows), np.uint8),
        np.frombuffer(b"".join(data for *_, data, _ in rows), np.int8).reshape(-1, dimensions),
        np.frombuffer(b"".join(codes for *_, codes in rows), np.uint64).reshape(-1, code_words(dimensions)),
    )


def _setting(connection: sqlite3.Connection, key: str, default: str) -> str:
    row = connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else default


def _generation(connection: sqlite3.Connection) -> int:
    return int(_setting(connection, "generation", "0"))


def _remove(connection: sqlite3.Connection, path: str, generation: int) -> int | None:
    row = connection.execute("SELECT id, first_chunk, chunks FROM files WHERE path = ?", (path,)).fetchone()
    if row is None:
        return None
    file, first, count = int(row[0]), int(row[1]), int(row[2])
    connection.execute("DELETE FROM files WHERE id = ?", (file,))
    connection.execute("DELETE FROM secrets WHERE file = ?", (file,))
    if count:
        span = (first, first + count - 1)
        names = connection.execute(
            "SELECT id, name, defines FROM chunks WHERE id BETWEEN ? AND ?", span
        ).fetchall()
        symbols = {
            one for number, name, defines in names for one in _symbols(number, name, defines.split("\n"))
        }
        connection.executemany("DELETE FROM symbols WHERE folded = ? AND chunk = ?", symbols)
        connection.execute("DELETE FROM chunks WHERE id BETWEEN ? AND ?", span)
        connection.execute("DELETE FROM texts WHERE id BETWEEN ? AND ?", span)
        connection.execute("DELETE FROM vectors WHERE file = ?", (file,))
        logged = connection.execute(
            "INSERT INTO removed (generation, first_chunk, chunks, file) VALUES (?, ?, ?, ?)",
            (generation, first, count, file),
        ).lastrowid
        _trim_log(connection, logged or 0)
    return file


def _trim_log(connection: sqlite3.Connection, last: int) -> None:
    """Keep the log of removals short; whoever is further behind starts over."""
    if last % _REMOVED_KEPT:
        return
    limit = last - _REMOVED_KEPT
    oldest = connection.execute("SELECT max(generation) FROM removed WHERE id <= ?", (limit,)).fetchone()[0]
    if oldest is not None:
        connection.execute("DELETE FROM removed WHERE id <= ?", (limit,))
        connection.execute("INSERT OR REPLACE INTO settings VALUES ('log_start', ?)", (str(oldest),))


def _codes(files: Sequence[NewFile]) -> list[Codes]:
    """The sign codes of each file, all computed at once."""
    if not files:
        return []
    bounds = np.cumsum([len(file.vectors) for file in files])[:-1]
    return np.split(sign_codes(np.concatenate([file.vectors for file in files])), bounds)


def _insert(
    connection: sqlite3.Connection, files: Sequence[NewFile], first: int, generation: int
) -> list[LexicalDocument]:
    """Insert files; their chunks are numbered from `first` on. Returns a lexical document for each chunk."""
    documents: list[LexicalDocument] = []
    chunks: list[tuple[object, ...]] = []
    texts: list[tuple[object, ...]] = []
    vectors: list[tuple[object, ...]] = []
    secrets: list[tuple[object, ...]] = []
    symbols: list[tuple[str, int]] = []
    for file, codes in zip(files, _codes(files), strict=True):
        row_id = _insert_file(connection, file, first)
        secrets += [(row_id, one.rule, one.line) for one in file.secrets]
        if not file.chunks:
            continue
        path = joined_words(file.path)
        for number, one in enumerate(file.chunks, first):
            piece = one.piece
            chunks.append((
                number, row_id, piece.start_line, piece.end_line, piece.kind, piece.name, piece.scope, one.digest,
                "\n".join(piece.defines),
            ))  # fmt: skip
            texts.append((number, piece.signature, piece.docstring, one.summary, one.text))
            symbols += _symbols(number, piece.name, piece.defines)
            documents.append(lexical_document(number, row_id, path, file.language, one))
        kinds = bytes([KIND_NUMBERS[one.piece.kind] for one in file.chunks])
        vectors.append((row_id, generation, first, kinds, file.vectors.tobytes(), codes.tobytes()))
        first += len(file.chunks)
    insert = connection.executemany
    insert("INSERT INTO secrets VALUES (?, ?, ?)", secrets)
    insert("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", chunks)
    insert("INSERT INTO texts VALUES (?, ?, ?, ?, ?)", texts)
    # In the order of the table, so that neighbours are written together.
    insert("INSERT INTO symbols VALUES (?, ?)", sorted(set(symbols)))
    insert("INSERT INTO vectors VALUES (?, ?, ?, ?, ?, ?)", vectors)
    return documents


def _insert_file(connection: sqlite3.Connection, file: NewFile, first: int) -> int:
    cursor = connection.execute(
        f"INSERT INTO files ({_FILE_COLUMNS}, first_chunk) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(file.path, file.status, file.reason, file.digest, file.size, file.mtime_ns, file.checked_ns),
            *(file.language, file.lines, len(file.chunks), sum(1 for one in file.chunks if one.summary)),
            *(len(file.secrets), first),
        ),
    )
    return int(cursor.lastrowid or 0)


def _symbols(chunk: int, name: str, defines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """The forms of its names that a chunk is found by."""
    for one in (name, *defines):
        for folded in _folded(one):
            yield folded, chunk


@lru_cache(1 << 14)
def _folded(name: str) -> tuple[str, ...]:
    """The forms of a name; the same names stand everywhere."""
    return tuple({fold(name), fold(last_segment(name))} - {""})


_row_decoder: Final = msgspec.json.Decoder(list[Row])


def _row(values: Sequence[Any]) -> Row:
    return Row._make(values)
