"""No room for the accounts: what was there stays, each refusal says so, and usage is written when there is room again."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from codeweft.accounts import Accounts, Entry, Turn
from codeweft.errors import StorageFailed

from . import parts

LIMIT = 400_000
"""Bytes; a new database has about 300,000."""
ENTRIES = 3000


def room(limit: int) -> None:
    """No file of this process may grow beyond `limit` bytes; more room can be made again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


async def fill(accounts: Accounts, user: str) -> tuple[int, str, str]:
    """Conversations until there is no room: how many turns were kept, and what was said then."""
    talk = await accounts.conversations.create(user)
    for number in range(1000):
        turn = Turn(f"t{number}", talk.id, "user", "x" * 20_000, 1.0, reason="stop")
        try:
            await accounts.conversations.add_turns(turn)
        except StorageFailed as error:
            return number, error.message, error.fix
    raise AssertionError("there was room for all of it")


async def without_room(path: Path) -> dict[str, Any]:
    async with await Accounts.open(path) as accounts:
        user = await accounts.admin()
        room(LIMIT)
        kept, message, fix = await fill(accounts, user.id)
        for number in range(ENTRIES):
            accounts.ledger.record(Entry(at=1.0, user_id=user.id, model="m", id=f"e{number}"))
        await accounts.ledger.flush()
        waiting = len(accounts.ledger._pending)
        journal = next((path.parent / "journals").iterdir()).read_bytes()
        room(resource.RLIM_INFINITY)
        accounts.ledger.record(Entry(at=1.0, user_id=user.id, model="m", id="last"))
        torn = next((path.parent / "journals").iterdir()).read_bytes()[len(journal) :]
        await accounts.ledger.flush()
        return {
            "kept": kept, "message": message, "fix": fix, "waiting": waiting, "journal": len(journal),
            "last": torn, "after": len(accounts.ledger._pending),
        }  # fmt: skip


def child(path: Path, told: Connection) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    told.send(asyncio.run(without_room(path)))


def test_no_room_for_accounts_loses_no_entry_and_no_turn_that_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "accounts.db"
    context = parts.processes()
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(path, theirs))
    process.start()
    assert mine.poll(60)
    told = mine.recv()
    process.join()
    assert "cannot be written" in told["message"] and "space" in told["fix"]
    assert told["waiting"] == ENTRIES, "the database had no room for them"
    assert told["journal"] <= LIMIT, "the journal had no room for all of them"
    assert told["last"].startswith(b"\n{") and told["last"].endswith(b"}\n"), "half a line spoils the next"
    assert told["after"] == 0
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM usage").fetchone() == (ENTRIES + 1,)
        assert connection.execute("SELECT count(*) FROM turns").fetchone() == (told["kept"],)
