"""Leaving nothing of removed files in the database: what waits for it, and doing it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Final

_CHUNKS: Final = "unpurged"
_SINCE: Final = "unpurged_since"


def note(connection: sqlite3.Connection, gone: Sequence[str]) -> None:
    """Remember, in the transaction that removes them, that files go away, and which summaries were theirs."""
    if not gone:
        return
    paths = json.dumps(list(gone))
    within = "f.path IN (SELECT value FROM json_each(?))"
    query = f"SELECT coalesce(sum(f.chunks), 0) FROM files f WHERE {within}"
    (count,) = connection.execute(query, (paths,)).fetchone()
    if not count:
        return
    # By the range of their ids: the files of chunks are not indexed.
    connection.execute(
        "INSERT OR IGNORE INTO orphans SELECT c.digest FROM files f"
        " CROSS JOIN chunks c ON c.id BETWEEN f.first_chunk AND f.first_chunk + f.chunks - 1"
        f" WHERE {within} AND c.digest IN (SELECT digest FROM summaries)",
        (paths,),
    )
    before, since = waiting(connection) or (0, time.time())
    connection.executemany(
        "INSERT OR REPLACE INTO settings VALUES (?, ?)",
        [(_CHUNKS, str(before + count)), (_SINCE, repr(since))],
    )


def waiting(connection: sqlite3.Connection) -> tuple[int, float] | None:
    """Chunks of files that went away, and since when (Unix seconds) they wait."""
    found = dict(
        connection.execute(
            "SELECT key, value FROM settings WHERE key IN (?, ?)", (_CHUNKS, _SINCE)
        ).fetchall()
    )
    return (int(found[_CHUNKS]), float(found[_SINCE])) if len(found) == 2 else None


def purge(connection: sqlite3.Connection) -> None:
    """Clean up behind files that went away.

    Rows are overwritten as they are deleted, but rows that moved leave copies in their pages: only the file written
    anew holds none, and the log only once it is emptied. While somebody reads an older state, it waits.
    """
    connection.execute(
        "DELETE FROM summaries WHERE digest IN (SELECT digest FROM orphans)"
        " AND digest NOT IN (SELECT digest FROM chunks)"
    )
    connection.execute("DELETE FROM orphans")
    connection.execute("VACUUM")
    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if not busy:
        connection.execute("DELETE FROM settings WHERE key IN (?, ?)", (_CHUNKS, _SINCE))
