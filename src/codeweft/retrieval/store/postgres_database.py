"""A PostgreSQL database as the store sees it: connections, transactions, and what its errors mean for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, LiteralString

from codeweft.errors import InvalidRequest, StorageFailed

try:
    import psycopg
    from pgvector.psycopg import register_vector
    from psycopg import errors, sql
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg_pool import ConnectionPool
except ModuleNotFoundError as missing:
    raise InvalidRequest(
        f"`index.store` names a PostgreSQL database, but {missing.name} is not installed.",
        fix="pip install 'codeweft[postgres]'",
    ) from None

from codeweft.retrieval.store.postgres_sql import CATALOGUE

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]

LOCKS: Final = 0x636F6465
"""The class of our advisory locks (`code`); the object is an index's id, 0 the catalogue."""
_CONNECTIONS: Final = 16
"""Searches at once; more wait for a free connection."""
_CONNECT_SECONDS: Final = 10
_OPTIONS: Final = (
    "-c hnsw.ef_search=1000 -c hnsw.iterative_scan=relaxed_order -c plan_cache_mode=force_custom_plan"
)
"""Ranking wants a thousand near chunks; a filter must not thin them out; plans depend on how much a filter leaves."""

_MEANINGS: Final[tuple[tuple[type[psycopg.Error], str, str], ...]] = (
    (errors.DiskFull, "its disk is full", "Free some space there and run the same command again."),
    (
        errors.FeatureNotSupported,
        "the extension pgvector is missing or older than 0.8",
        "Install it beside the server (Debian: postgresql-NN-pgvector) and run `ALTER EXTENSION vector UPDATE`.",
    ),
    (
        errors.UndefinedObject,
        "the extension pgvector is missing or older than 0.8",
        "Install it beside the server (Debian: postgresql-NN-pgvector) and run `ALTER EXTENSION vector UPDATE`.",
    ),
    (
        errors.InsufficientPrivilege,
        "this user may not",
        "Let it create schemas in the database, and have an administrator run `CREATE EXTENSION vector` once.",
    ),
    (errors.UndefinedTable, "the index was removed", "Add it again."),
    (errors.InvalidSchemaName, "the index was removed", "Add it again."),
    (
        errors.DataException,
        "what was stored does not fit what is asked",
        "Run `codeweft index update` with this version.",
    ),
    (
        psycopg.OperationalError,
        "it cannot be reached",
        "Check that it runs and that `index.store` names it. What it holds is intact.",
    ),
    (
        psycopg.Error,
        "it refused",
        "Check the server's log; `index.store` needs PostgreSQL 13 or newer with pgvector 0.8 or newer.",
    ),
)


class Database:
    """Connections to one database. Thread-safe; nothing is opened before it is needed."""

    def __init__(self, url: str) -> None:
        """Raises `InvalidRequest` for what is no address of a database; passwords are in no message."""
        try:
            parts = conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise InvalidRequest(
                "`index.store` is no address of a PostgreSQL database.",
                fix="Write it as postgresql://user:password@host:5432/database.",
            ) from None
        self.where = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', parts.get('user', ''))}"
        options = " ".join(filter(None, (str(parts.get("options") or ""), _OPTIONS)))
        wait = parts.get("connect_timeout", _CONNECT_SECONDS)
        self._conninfo = make_conninfo(url, connect_timeout=wait, options=options, keepalives_idle=30)
        self._pool: ConnectionPool[Connection] | None = None

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn what the database raises into `StorageFailed` that says what to do."""
        try:
            yield
        except psycopg.Error as error:
            meaning, fix = next((meaning, fix) for kind, meaning, fix in _MEANINGS if isinstance(error, kind))
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise StorageFailed(f"PostgreSQL at {self.where}: {meaning} ({first}).", fix=fix) from error

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        """A cursor for one statement."""
        with (
            self.failures(),
            self._connections().connection() as connection,
            connection.cursor() as cursor,
        ):
            yield cursor

    @contextmanager
    def snapshot(self) -> Iterator[Cursor]:
        """A cursor whose statements all see one state of the data, whatever is committed meanwhile."""
        with self.reading() as cursor, cursor.connection.transaction():
            yield cursor

    @contextmanager
    def connected(self, name: str = "codeweft") -> Iterator[Connection]:
        """A connection of one's own, in autocommit, that the server lists as `name`."""
        with (
            self.failures(),
            psycopg.connect(self._conninfo, autocommit=True, application_name=name) as connection,
        ):
            register_vector(connection)
            yield connection

    def _connections(self) -> ConnectionPool[Connection]:
        """The pool, opened with the first search."""
        if self._pool is None:
            self._prepare()
            self._pool = ConnectionPool(
                self._conninfo,
                kwargs={"autocommit": True, "application_name": "codeweft"},
                min_size=0,
                max_size=_CONNECTIONS,
                timeout=_CONNECT_SECONDS,
                configure=_configure,
                check=ConnectionPool.check_connection,
                open=True,
            )
        return self._pool

    def _prepare(self) -> None:
        """Make what all indexes share where it is missing; whoever only searches needs no right to make it."""
        with self.failures(), psycopg.connect(self._conninfo, autocommit=True) as connection:
            if connection.execute("SELECT to_regclass('codeweft.indexes')").fetchone() != (None,):
                return
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", (LOCKS,))
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
                connection.execute(CATALOGUE)

    def close(self) -> None:
        """Close what is open."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _configure(connection: Connection) -> None:
    register_vector(connection)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True


def formatted(text: LiteralString, **parts: sql.Composable) -> sql.Composed:
    """A statement with its schema and other names filled in."""
    return sql.SQL(text).format(**parts)
