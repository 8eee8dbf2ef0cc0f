"""What was used, by whom, and what it cost: one entry per answer, never lost and never in an answer's way.

An entry is written to a journal with one system call, which outlives the process (not the machine), and taken over
into the database in batches. What a killed process left in its journal is taken over by the next that opens it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import random
import secrets
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, Float, Integer, cast, func, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from codeweft.accounts.tables import UsageRow
from codeweft.errors import CodeweftError

log = logging.getLogger("codeweft.accounts")

BATCH_SECONDS: Final = 1.0
BATCH: Final = 500
LONGEST_WAIT: Final = 5.0
"""Seconds until entries are taken over that are fewer than `BATCH`."""
_DAY: Final = 86400.0

_ids = random.Random()
"""Names entries, which is no secret; seeded by the system."""

_LATER: Final = (CodeweftError, SQLAlchemyError, OSError, RuntimeError)
"""What passes: a database that is held or full or away, a disk, and threads that cannot be started."""

Outcome = Literal["stop", "length", "tool_calls", "content_filter", "failed", "cancelled"]
Group = Literal["day", "user", "key", "team", "model", "app"]


class Entry(msgspec.Struct, frozen=True):
    """One answer. `at` is Unix seconds of its end, `cost` USD (None when no price is known).

    `model` wrote it; `app` is the name that was asked for. `key_id` is "" for a session.
    """

    at: float
    user_id: str
    model: str
    app: str = ""
    key_id: str = ""
    team_id: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    first_token_s: float | None = None
    total_s: float = 0.0
    outcome: Outcome = "stop"
    id: str = msgspec.field(default_factory=lambda: f"{_ids.getrandbits(96):024x}")

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Total:
    """Sums over the entries of one group. `cost` leaves out answers without a price, which `unpriced` counts."""

    group: str
    answers: int
    failed: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost: float
    unpriced: int


class Ledger:
    """The entries of one database. `record` may be called from any thread."""

    def __init__(self, engine: AsyncEngine, folder: Path) -> None:
        """`folder` holds the journals, one for each process."""
        self._engine = engine
        self._folder = folder
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._path: Path | None = None
        self._torn = False
        self._pending: list[Entry] = []
        self._offered = False
        """Whether some that are pending may be in the database already."""
        self._left_behind = False
        """Whether a journal of another process could not be taken over yet."""
        self._task: asyncio.Task[None] | None = None
        self._flushing = asyncio.Lock()
        self.taken = 0
        """How many entries this process has taken over into the database."""
        self._insertion = insert(UsageRow).compile(dialect=engine.dialect)

    @property
    def taking(self) -> bool:
        """Whether entries are being taken over: `taken` does not count them yet, the database may."""
        return self._flushing.locked()

    def record(self, entry: Entry) -> None:
        """Keep an entry. It survives the death of this process from the moment this returns."""
        line = _encode(entry) + b"\n"
        with self._lock:
            try:
                # Half a line that filled the disk must not spoil the next one.
                line = b"\n" + line if self._torn else line
                self._torn = os.write(self._open(), line) < len(line)
                if self._torn:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                # A full disk must not end an answer; the entry still reaches the database if that has room.
                log.error("usage is not in the journal: %s", error)
            self._pending.append(entry)

    def follow(self) -> None:
        """Take entries over into the database as they come, until `close`."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name="ledger")

    async def close(self) -> None:
        """Take over what is left."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.flush()
        if self._fd is not None and self._path is not None:
            if not self._pending:
                self._path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None

    async def flush(self) -> None:
        """Write what is pending to the database; the journal is emptied when all of it is there."""
        async with self._flushing:
            with self._lock:
                entries = list(self._pending)
            if not entries:
                return
            # Whatever ends this early, a failure or a caller that leaves, may have come after the commit.
            again, self._offered = self._offered, True
            try:
                await self._insert(entries, again=again)
            except _LATER as error:
                log.error("usage waits in the journal: %s", error)
                return
            self._offered = False
            self.taken += len(entries)
            with self._lock:
                del self._pending[: len(entries)]
                if not self._pending and self._fd is not None:
                    # What stays in it is known when it is offered again.
                    with suppress(OSError):
                        os.ftruncate(self._fd, 0)

    async def recover(self) -> int:
        """Take over the journals of processes that ended without doing it; how many entries they held.

        What cannot be taken over now stays where it is, and is tried again while this process follows.
        """
        taken = 0
        self._left_behind = False
        for path in sorted(self._folder.glob("usage-*.journal")):
            try:
                taken += await self._take_over(path)
            except _LATER as error:
                self._left_behind = True
                log.error("usage waits in %s: %s", path.name, error)
        return taken

    async def _take_over(self, path: Path) -> int:
        """The entries of a journal whose process ended; 0 for one that lives."""
        try:
            file = path.open("r+b")
        except FileNotFoundError:
            return 0  # another process was quicker
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0
            entries = _entries(file.read())
            if entries:
                await self._insert(entries, again=True)
            path.unlink(missing_ok=True)
        return len(entries)

    async def totals(
        self, by: Group, since: float, until: float, *, user_id: str | None = None
    ) -> list[Total]:
        """Sums by group over the entries at `since` or later and before `until` (Unix seconds), as far as taken over.

        Days are UTC, written as 2026-11-21; the other groups are ids and names.
        """
        await self.flush()
        table, group = UsageRow, _GROUPS[by]
        query = (
            select(group.label("group"), *_SUMS)
            .where(table.at >= since, table.at < until)
            .group_by(group)
            .order_by(group)
        )
        if user_id is not None:
            query = query.where(table.user_id == user_id)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Total(_day(int(str(row[0]))) if by == "day" else str(row[0]), *map(_number, row[1:]))
            for row in rows
        ]

    async def by_day(
        self, by: Group, since: float, until: float, *, user_id: str | None = None
    ) -> list[tuple[str, Total]]:
        """`totals` of every day that has any (UTC, 2026-11-21), in order of the days."""
        await self.flush()
        table, day, group = UsageRow, _GROUPS["day"], _GROUPS[by]
        query = (
            select(day.label("day"), group.label("group"), *_SUMS)
            .where(table.at >= since, table.at < until)
            .group_by(day, group)
            .order_by(day, group)
        )
        if user_id is not None:
            query = query.where(table.user_id == user_id)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [(_day(int(str(row[0]))), Total(str(row[1]), *map(_number, row[2:]))) for row in rows]

    async def since(self, start: float) -> list[Entry]:
        """All entries at `start` or later, oldest first."""
        await self.flush()
        query = select(*(getattr(UsageRow, name) for name in _COLUMNS)).where(UsageRow.at >= start)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query.order_by(UsageRow.at))).all()
        return [Entry(**dict(row._mapping)) for row in rows]

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> int:
        if self._fd is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._path = self._folder / f"usage-{os.getpid()}-{secrets.token_hex(4)}.journal"
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        return self._fd

    async def _follow(self) -> None:
        waited = 0.0
        while True:
            await asyncio.sleep(BATCH_SECONDS)
            waited += BATCH_SECONDS
            # A transaction costs as much as a hundred entries; until then the journal holds them.
            if len(self._pending) < BATCH and waited < LONGEST_WAIT:
                continue
            waited = 0.0
            try:
                await self.flush()
                if self._left_behind:
                    await self.recover()
            except Exception:
                # Nobody waits for this task: one that ended would take nothing over any more, and say nothing.
                log.exception("usage waits in the journal")

    async def _insert(self, entries: Sequence[Entry], *, again: bool) -> None:
        """`again` says that some may have been taken over before without our hearing of it."""
        async with self._engine.begin() as connection:
            if again:
                known = await connection.run_sync(_taken_over, [entry.id for entry in entries])
                entries = [entry for entry in entries if entry.id not in known]
            if entries:
                await connection.exec_driver_sql(self._insertion.string, self._rows(entries))

    def _rows(self, entries: Sequence[Entry]) -> Any:
        """The rows as the database's driver takes them; nothing of an entry needs to be converted."""
        order = self._insertion.positiontup
        if order is not None:
            values = attrgetter(*order)
            return [values(entry) for entry in entries]
        return [{name: getattr(entry, name) for name in _COLUMNS} for entry in entries]


_encode = msgspec.json.Encoder().encode
_COLUMNS: Final = Entry.__struct_fields__


_GROUPS: Final[Mapping[Group, Any]] = {
    "day": cast(func.floor(UsageRow.at / _DAY), Integer),
    "user": UsageRow.user_id,
    "key": UsageRow.key_id,
    "team": UsageRow.team_id,
    "model": UsageRow.model,
    "app": UsageRow.app,
}
_SUMS: Final = (
    func.count(),
    func.sum(cast(UsageRow.outcome == "failed", Integer)),
    func.sum(UsageRow.prompt_tokens),
    func.sum(UsageRow.cached_tokens),
    func.sum(UsageRow.completion_tokens),
    func.coalesce(func.sum(UsageRow.cost), cast(0.0, Float)),
    func.sum(cast(UsageRow.cost.is_(None), Integer)),
)
"""What a `Total` counts after its group."""


def _taken_over(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Which entries are there: one whose taking over was not noted is offered again, and is there once all the same."""
    known: set[str] = set()
    for low in range(0, len(ids), 500):
        found = connection.execute(select(UsageRow.id).where(UsageRow.id.in_(ids[low : low + 500])))
        known.update(found.scalars())
    return known


def _entries(data: bytes) -> list[Entry]:
    """The entries of a journal; a last line that was cut short is left out, for its answer was not finished."""
    found = []
    for line in data.split(b"\n"):
        with suppress(msgspec.MsgspecError):
            if line:
                found.append(msgspec.json.decode(line, type=Entry))
    return found


def _number(value: Any) -> Any:
    """PostgreSQL sums whole numbers to `Decimal`."""
    return value if isinstance(value, float) else int(value)


def _day(number: int) -> str:
    return datetime.fromtimestamp(number * _DAY, UTC).date().isoformat()
