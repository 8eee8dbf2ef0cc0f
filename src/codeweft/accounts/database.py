"""Opening the database of accounts: SQLite in the state folder, or any URL that SQLAlchemy's asyncio side knows."""

from __future__ import annotations

import asyncio
import fcntl
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, ExceptionContext, event, inspect, text
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from codeweft.accounts.tables import SCHEMA
from codeweft.errors import InvalidRequest, NotReady, StorageFailed

BUSY_SECONDS = 10
"""How long a writer waits for another process's transaction; ours take milliseconds."""
_SCHEME: Final = re.compile(r"^postgres(ql)?(\+psycopg)?://")
_DRIVER: Final = "postgresql+psycopg://"
_MIGRATING: Final = 0x636F6465
"""The advisory lock of PostgreSQL that a migration holds: "code" in ASCII."""


async def connect(url_or_path: str | Path) -> AsyncEngine:
    """Open and migrate. A plain path means SQLite. Raises `StorageFailed` when it cannot be opened or written."""
    url = str(url_or_path)
    path = None if "://" in url else Path(url)
    # What people wrote is in the parameters, and errors are logged.
    if path is not None:
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{path}", connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True
        )
        event.listen(engine.sync_engine, "connect", _pragmas)
    else:
        engine = _postgres(url)
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        async with _alone(path), engine.begin() as connection:
            await connection.run_sync(migrate)
    except (DatabaseError, OSError) as error:
        await engine.dispose()
        reason = str(getattr(error, "orig", error))
        raise StorageFailed(
            f"The accounts database {path or url.split('@')[-1]} cannot be opened: {reason}.",
            fix="Check that the disk has space and that the file is yours to write."
            if path
            else "Check the address in `database`, and that PostgreSQL runs and lets you in.",
        ) from None
    event.listen(engine.sync_engine, "handle_error", _tell)
    return engine


def _tell(context: ExceptionContext) -> None:
    """Raises what a person can act on in place of a driver's error; bugs and broken constraints stay as they are."""
    error = context.sqlalchemy_exception
    if isinstance(error, OperationalError | InterfaceError) and not context.is_pre_ping:
        raise explained(error) from error


def explained(error: OperationalError | InterfaceError) -> StorageFailed | NotReady:
    """What is wrong with an open database: it is held, its disk is full or broken, or it is out of reach."""
    if "locked" in str(error.orig):
        return NotReady(
            "The accounts database is held by another program.",
            fix="Try again in a moment. If it goes on, end what holds it: a backup, an open `sqlite3`, another server.",
        )
    if isinstance(error.orig, sqlite3.Error):
        return StorageFailed(
            f"The accounts database cannot be written: {error.orig}.",
            fix="Check that its disk has space and that the file is yours to write.",
        )
    return NotReady(
        f"The accounts database does not answer: {error.orig}.",
        fix="Check that PostgreSQL runs, then try again.",
    )


def _postgres(url: str) -> AsyncEngine:
    """Raises `InvalidRequest` for an address that is none, or without the driver."""
    try:
        # A server that was restarted meanwhile must not cost the first request after it.
        engine = create_async_engine(_SCHEME.sub(_DRIVER, url), pool_pre_ping=True, hide_parameters=True)
    except ModuleNotFoundError:
        raise InvalidRequest(
            "`database` names PostgreSQL, whose driver is not installed.",
            fix="Install `codeweft[postgres]`.",
            param="database",
        ) from None
    except (ArgumentError, ValueError):
        raise InvalidRequest(
            "`database` is not an address of PostgreSQL.",
            fix="Write postgresql://user:password@host/database.",
            param="database",
        ) from None
    return engine


def migrate(connection: Connection) -> None:
    """Bring the tables to `SCHEMA`. Raises `StorageFailed` for a database that a newer Codeweft wrote."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
    current = None
    if inspect(connection).has_table("alembic_version"):
        current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if current == SCHEMA:
        return
    # Alembic takes 150 ms to import; an up-to-date database does without.
    from alembic import command
    from alembic.util import CommandError

    config = configured(connection)
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise StorageFailed(
            f"The accounts database is at version {current}, which this Codeweft ({SCHEMA}) does not know.",
            fix="Run the newer Codeweft that wrote it, or set CODEWEFT_HOME to another folder.",
        ) from None


def configured(connection: Connection) -> Any:
    """Alembic's configuration for the migrations of this database."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "codeweft.accounts:migrations")
    config.attributes["connection"] = connection
    return config


def _pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


@asynccontextmanager
async def _alone(path: Path | None) -> AsyncIterator[None]:
    """One process at a time migrates a SQLite file: its DDL is not one transaction for Python's driver."""
    if path is None:
        yield
        return
    with path.with_name(path.name + ".lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield
