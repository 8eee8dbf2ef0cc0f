"""The store in PostgreSQL with pgvector: every index a schema, every batch a transaction, one updater by advisory lock.

Nothing is kept in this process: any number of servers may search the same database. Words are scored here from the
posting lists of the question's terms, with the same arithmetic as the embedded store; vectors are compared there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString

import numpy as np

from codeweft.errors import Conflict, StorageFailed
from codeweft.retrieval.forms import known_forms, possible_forms
from codeweft.retrieval.store import gather
from codeweft.retrieval.store import postgres_sql as ask
from codeweft.retrieval.store.base import (
    FIELD_WEIGHTS,
    FILE_FIELDS,
    SYMBOL_CANDIDATES,
    TERM_DEPTH,
    FoundSecret,
    NewFile,
    Probe,
    Row,
    StoredFile,
)
from codeweft.retrieval.store.gather import Found, Hits, Ids
from codeweft.retrieval.store.pool import Pool
from codeweft.retrieval.store.postgres_copy import clean, copied
from codeweft.retrieval.store.postgres_database import (
    LOCKS,
    Connection,
    Cursor,
    Database,
    formatted,
)
from codeweft.retrieval.store.postings import Allowed, PostingLists, Totals
from codeweft.retrieval.store.process import process_id, process_name
from codeweft.types import Filters, Vectors

# After `postgres_database`, which says what to do when they are missing.
from pgvector import HalfVector  # isort: skip
from psycopg import sql  # isort: skip

GRAPH_ROWS: Final = 30_000
"""Chunks from which a graph over the vectors pays; below, comparing all is as quick (bench/stores)."""
GRAPH_REACH: Final = 1000
"""The most neighbours a graph gives at once (`hnsw.ef_search`)."""
_PATIENCE_SECONDS: Final = 0.5
_PORTION: Final = 200
"""Chunks whose texts are fetched at once while scanning."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The files with chunks that pass a filter, and those that do not."""

    passing: frozenset[int]
    failing: frozenset[int]

    @property
    def fewer(self) -> frozenset[int]:
        """The smaller part: it costs less to name."""
        return self.passing if len(self.passing) <= len(self.failing) else self.failing


@dataclass(frozen=True, slots=True)
class _Among:
    """What passes a question's filters: which files and postings, the condition for it, and about how many chunks."""

    files: _Files | None
    allowed: Allowed | None
    where: LiteralString
    values: Mapping[str, Any]
    count: int


class PostgresStore:
    """Implements `Store` in one schema. Any number of threads, processes and machines may search while one updates."""

    def __init__(self, database: Database, index: int, dimensions: int) -> None:
        self._database = database
        self._index = index
        self._name = f"codeweft_{index}"
        self._dimensions = dimensions
        self._writer: Connection | None = None
        self._changed = 0
        self._turn = threading.RLock()

    def _sql(self, text: LiteralString) -> sql.Composed:
        return formatted(text, s=sql.Identifier(self._name), d=sql.Literal(self._dimensions))

    def _all(self, text: LiteralString, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._database.reading() as cursor:
            return cursor.execute(self._sql(text), values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[Cursor]:
        """A transaction: of the updater's own connection when there is one, so that it ends with its lock."""
        with self._database.failures(), self._turn:
            if self._writer is not None:
                with self._writer.transaction(), self._writer.cursor() as cursor:
                    yield cursor
                return
            with (
                self._database.connected() as connection,
                connection.transaction(),
                connection.cursor() as cursor,
            ):
                yield cursor

    # ── settings and the one updater ─────────────────────────────────────────────────────────────────────────

    def settings(self) -> dict[str, str]:
        return dict(self._all("SELECT key, value FROM {s}.settings"))

    def set(self, **values: str) -> None:
        with self._writing() as cursor:
            cursor.executemany(self._sql(ask.SET), [(key, clean(value)) for key, value in values.items()])

    @contextmanager
    def updating(self, name: str) -> Iterator[None]:
        with self._database.connected(process_name()) as connection:
            if not self._locked(connection):
                pid = self.updater() or -1
                raise Conflict(
                    f"The index {name} is being updated by process {pid if pid > 0 else 'on another machine'}.",
                    fix="Wait until it is done; what it has finished can be searched already.",
                    details={"pid": pid},
                )
            self._writer, self._changed = connection, 0
            try:
                yield
                self._settle(connection)
            finally:
                self._writer = None
                if not connection.broken:
                    # Closing alone would let it go a moment later.
                    connection.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCKS, self._index))

    def _locked(self, connection: Connection) -> bool:
        """Take the lock; the server needs a moment to notice that the process which held it was killed."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            taken = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCKS, self._index)).fetchone()
            if taken == (True,) or time.monotonic() > until:
                return taken == (True,)
            time.sleep(0.05)

    def updater(self) -> int | None:
        with self._database.reading() as cursor:
            found = cursor.execute(ask.UPDATER, (LOCKS, self._index)).fetchone()
        return None if found is None else process_id(found[0])

    def _settle(self, connection: Connection) -> None:
        """Give the planner its figures after much has changed, and many vectors their graph, cheapest built at once."""
        if not self._changed:
            return
        chunks = self._totals(connection.cursor()).chunks
        if self._changed * 10 > chunks:
            connection.execute(self._sql(ask.ANALYZE))
        if chunks >= GRAPH_ROWS:
            connection.execute("SET maintenance_work_mem = '1GB'")
            connection.execute(self._sql(ask.GRAPH))

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, files: Sequence[NewFile], gone: Sequence[str] = ()) -> None:
        with self._writing() as cursor:
            old = cursor.execute(
                self._sql(ask.REPLACED), ([*gone, *(clean(file.path) for file in files)],)
            ).fetchall()
            if old:
                for table in ask.FILE_PARTS:
                    column = "id" if table == "files" else "file"
                    cursor.execute(
                        sql.SQL("DELETE FROM {}.{} WHERE {} = ANY(%s)").format(
                            sql.Identifier(self._name), sql.Identifier(table), sql.Identifier(column)
                        ),
                        ([file for file, *_ in old],),
                    )
            ids = [file for (file,) in cursor.execute(self._sql(ask.NEW_IDS), (len(files),)).fetchall()]
            new = list(zip(ids, files, strict=True))
            terms = copied(cursor, self._name, new)
            change = np.sum([list(terms.values())], axis=1).ravel() if terms else np.zeros(4, np.int64)
            change = change - sum((np.array(counts, np.int64) for *_, counts in old), np.zeros(4, np.int64))
            chunks = sum(len(file.chunks) for file in files) - sum(count for _, count, _ in old)
            holding = sum(1 for file in files if file.chunks) - sum(1 for _, count, _ in old if count)
            cursor.execute(self._sql(ask.ADD_TOTALS), (chunks, holding, change.tolist()))
        self._changed += sum(len(file.chunks) for file in files) + sum(count for _, count, _ in old)

    def touch(self, seen: Sequence[tuple[int, int, int, str]]) -> None:
        with self._writing() as cursor:
            cursor.executemany(self._sql(ask.TOUCH), seen)

    def clear(self) -> None:
        with self._writing() as cursor:
            cursor.execute(self._sql(ask.CLEAR))
            cursor.execute(self._sql(ask.VECTORS))

    def repair(self) -> None:
        """Nothing to do: all tables change in the same transaction."""

    def put_summaries(self, language: str, model: str, texts: Mapping[int, str]) -> None:
        with self._writing() as cursor:
            cursor.executemany(
                self._sql(ask.PUT_SUMMARY),
                [(digest, language, clean(text), model) for digest, text in texts.items()],
            )

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────

    def files(self) -> list[StoredFile]:
        return [StoredFile(*row) for row in self._all(ask.FILES)]

    def file(self, path: str) -> StoredFile | None:
        found = self._all(ask.FILE, (clean(path),))
        return StoredFile(*found[0]) if found else None

    def chunks(self, path: str) -> list[Row]:
        with self._database.snapshot() as cursor:
            ids = [id for (id,) in cursor.execute(self._sql(ask.OF_FILE), (clean(path),))]
            return sorted(self._rows(cursor, ids, text=True))

    def rows(self, ids: Iterable[int], *, text: bool = False) -> list[Row]:
        with self._database.reading() as cursor:
            return self._rows(cursor, list(ids), text=text)

    def _rows(self, cursor: Cursor, ids: Sequence[int], *, text: bool) -> list[Row]:
        found = cursor.execute(self._sql(ask.FULL_ROWS if text else ask.ROWS), (list(ids),))
        return [Row._make((*row, *("",) * (15 - len(row)))) for row in found]

    def secrets(self) -> list[tuple[str, FoundSecret]]:
        return [(path, FoundSecret(rule, line)) for path, rule, line in self._all(ask.SECRETS)]

    def summaries(self, digests: Sequence[int], language: str) -> dict[int, str]:
        return dict(self._all(ask.SUMMARIES, (language, list(digests))))

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────

    def candidates(self, probe: Probe) -> Pool:
        question, vector = probe.question, probe.vector
        with self._database.snapshot() as cursor:
            totals = self._totals(cursor)
            if not totals.chunks:
                return Pool.of(())
            among = self._among(cursor, probe.filters, totals.chunks)
            allowed = among.allowed
            lists = self._lists(
                cursor,
                {form for term in question.terms for form in (term, *possible_forms(term))},
                totals,
            )
            forms = {term: known_forms(term, lists.frequency) for term in question.terms}
            terms = gather.weighted_terms(question.terms, forms)
            depth = gather.depth(probe.k)
            few = allowed if among.count < gather.FEW * totals.chunks else None
            found = Found(
                lexical=Hits(*lists.search(terms, FIELD_WEIGHTS, depth, allowed)),
                near=self._near(cursor, vector, depth, among),
                defining=self._defining(cursor, question.folded_symbols, SYMBOL_CANDIDATES),
                terms=[
                    (
                        question.terms[some[0]],
                        lists.search(dict.fromkeys(some, 1.0), FILE_FIELDS, TERM_DEPTH, few)[0],
                    )
                    for some in gather.evidence_terms(forms, lists.frequency)
                ],
                files=totals.files,
            )
            ids = gather.chosen(found, probe.k).tolist()
            rows = self._rows(cursor, ids, text=False)
            cosine = dict(cursor.execute(self._sql(ask.SIMILARITIES), (HalfVector(vector), ids)).fetchall())
        kept = [
            row
            for row in rows
            if (among.files is None or row.file in among.files.passing) and _of_kind(row.kind, probe.filters)
        ]
        return gather.candidates(found, kept, cosine)

    def nearest(self, vector: Vectors, k: int, filters: Filters) -> list[tuple[int, float]]:
        with self._database.snapshot() as cursor:
            among = self._among(cursor, filters, self._totals(cursor).chunks)
            found = self._near(cursor, vector, k, among)
        return list(zip(found.ids.tolist(), found.scores.tolist(), strict=True))

    def vectors(self, ids: Sequence[int]) -> Vectors:
        found = {chunk: v.to_numpy() for chunk, v in self._all(ask.VECTORS_OF, (list(ids),))}
        rows = np.zeros((len(ids), self._dimensions), np.float32)
        for at, one in enumerate(ids):
            if one in found:
                rows[at] = found[one]
        return rows

    def defining(self, folded: Sequence[str], limit: int) -> list[int]:
        with self._database.reading() as cursor:
            ids: list[int] = self._defining(cursor, folded, limit).tolist()
            return ids

    def holding(self, terms: Sequence[str], limit: int, filters: Filters) -> list[int]:
        with self._database.snapshot() as cursor:
            files = self._files(cursor, filters)
            lists = self._lists(cursor, set(terms), self._totals(cursor))
        ids: list[int] = lists.holding(terms, limit, _allowed(files, gather.matching_kinds(filters))).tolist()
        return ids

    def scan(self, literal: str, filters: Filters) -> Iterator[Row]:
        """Every text is looked through where it lies; texts come over as they are asked for."""
        with self._database.reading() as cursor:
            files = self._files(cursor, filters)
            ids = [
                chunk
                for chunk, file, _, _, kind in cursor.execute(self._sql(ask.SCAN), (clean(literal),))
                if (files is None or file in files.passing) and _of_kind(kind, filters)
            ]
        for low in range(0, len(ids), _PORTION):
            some = ids[low : low + _PORTION]
            found = {row.id: row for row in self.rows(some, text=True)}
            yield from (found[one] for one in some if one in found)

    def close(self) -> None:
        """Nothing is kept open for one index."""

    # ── parts of a question ──────────────────────────────────────────────────────────────────────────────────

    def _totals(self, cursor: Cursor) -> Totals:
        found = cursor.execute(self._sql(ask.TOTALS)).fetchone()
        if found is None:
            raise StorageFailed("The index has lost its totals.", fix="Remove it and add its source again.")
        return Totals(found[0], found[1], tuple(found[2]))

    def _lists(self, cursor: Cursor, terms: Iterable[str], totals: Totals) -> PostingLists:
        found = cursor.execute(self._sql(ask.POSTINGS), (list(terms),)).fetchall()
        return PostingLists(dict(found), totals)

    def _files(self, cursor: Cursor, filters: Filters) -> _Files | None:
        if not (filters.paths or filters.languages):
            return None
        known = cursor.execute(self._sql(ask.FILTERED)).fetchall()
        passing = frozenset(gather.matching_files(known, filters) or ())
        return _Files(passing, frozenset(file for file, *_ in known) - passing)

    def _defining(self, cursor: Cursor, folded: Sequence[str], limit: int) -> Ids:
        if not folded:
            return gather.no_ids()
        found = cursor.execute(self._sql(ask.DEFINING), (list(folded), limit)).fetchall()
        return np.array([chunk for (chunk,) in found], np.int64)

    def _among(self, cursor: Cursor, filters: Filters, chunks: int) -> _Among:
        """What passes the filters, of so many chunks; counted as far as it matters."""
        files, kinds = self._files(cursor, filters), gather.matching_kinds(filters)
        values: dict[str, Any] = {"most": max(GRAPH_ROWS, int(chunks * gather.FEW) + 1)}
        conditions: list[LiteralString] = []
        if files is not None:
            values["files"] = sorted(files.fewer)
            conditions.append(ask.IN_FILES if files.fewer is files.passing else ask.NOT_IN_FILES)
        if kinds is not None:
            values["kinds"] = kinds
            conditions.append(ask.IN_KINDS)
        if not conditions:
            return _Among(None, None, "", {}, chunks)
        where: LiteralString = " WHERE " + " AND ".join(conditions)
        [(count,)] = cursor.execute(self._sql(ask.COUNT + where + ask.UP_TO), values).fetchall()
        return _Among(files, _allowed(files, kinds), where, values, count)

    def _near(self, cursor: Cursor, vector: Vectors, k: int, among: _Among) -> Hits:
        """The nearest chunks: all compared where few are left, else by the graph."""
        if not vector.any():
            return Hits()
        exact = among.count < GRAPH_ROWS or k > GRAPH_REACH
        statement = ask.NEAR + among.where + (ask.EXACTLY if exact else ask.BY_GRAPH)
        values = {**among.values, "v": HalfVector(vector), "k": k}
        rows = cursor.execute(self._sql(statement), values).fetchall()
        # A graph that goes on behind a filter gives its finds in nearly the right order.
        rows.sort(key=lambda row: -row[1])
        return Hits(
            np.array([chunk for chunk, _ in rows], np.int64),
            np.array([score for _, score in rows], np.float32),
        )


class PostgresStores:
    """Implements `Stores`: a catalogue of indexes in the database, shared by all who use it."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def names(self, root: Path) -> list[str]:
        with self._database.reading() as cursor:
            return [name for (name,) in cursor.execute("SELECT name FROM codeweft.indexes ORDER BY name")]

    def identity(self, folder: Path) -> Hashable | None:
        with self._database.reading() as cursor:
            found = cursor.execute(ask.INDEX, (folder.name,)).fetchone()
        return found[0] if found else None

    def open(self, folder: Path, dimensions: int) -> PostgresStore:
        with self._database.reading() as cursor:
            found = cursor.execute(ask.INDEX, (folder.name,)).fetchone()
        index, layout = found or self._make(folder.name, dimensions)
        if layout != ask.LAYOUT:
            raise StorageFailed(
                f"The index {folder.name} was made by another version of Codeweft.",
                fix="Remove it and add its source again, or use that version.",
            )
        return PostgresStore(self._database, index, dimensions)

    def _make(self, name: str, dimensions: int) -> tuple[int, int]:
        with self._database.connected() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", (LOCKS,))
            found = connection.execute(ask.INDEX, (name,)).fetchone()
            if found is not None:
                return found[0], found[1]
            made = connection.execute(
                "INSERT INTO codeweft.indexes (name, layout) VALUES (%s, %s) RETURNING id, layout",
                (name, ask.LAYOUT),
            ).fetchall()[0]
            parts = {"s": sql.Identifier(f"codeweft_{made[0]}"), "d": sql.Literal(dimensions)}
            connection.execute(formatted(ask.TABLES, **parts))
            connection.execute(formatted(ask.VECTORS, **parts))
            return made[0], made[1]

    def delete(self, folder: Path) -> None:
        with self._database.connected() as connection, connection.transaction():
            found = connection.execute(
                "DELETE FROM codeweft.indexes WHERE name = %s RETURNING id", (folder.name,)
            ).fetchone()
            if found is not None:
                schema = sql.Identifier(f"codeweft_{found[0]}")
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))

    def close(self) -> None:
        """Close all connections."""
        self._database.close()


def _allowed(files: _Files | None, kinds: Sequence[int] | None) -> Allowed | None:
    if files is None and kinds is None:
        return None
    chosen = None if files is None else np.array(sorted(files.passing), np.int64)
    return Allowed(chosen, kinds, gather.OFFSET_BITS)


def _of_kind(kind: str, filters: Filters) -> bool:
    return not filters.kinds or kind in filters.kinds
