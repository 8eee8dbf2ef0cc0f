"""The accounts database held by another program: reading goes on, writing waits or says so, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from codeweft.accounts import Accounts, Entry, database, ledger
from codeweft.models.scripted import ScriptedModel
from codeweft.server import chat
from tests.server.conftest import Server
from tests.server.test_streams import until

HI = [{"role": "user", "content": "hi"}]
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process holds the write lock of a SQLite file."""
    command = [sys.executable, "-I", "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            process.kill()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of seconds are tenths of seconds."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    monkeypatch.setattr(ledger, "BATCH_SECONDS", 0.05)
    monkeypatch.setattr(ledger, "LONGEST_WAIT", 0.05)
    monkeypatch.setattr(chat, "SAVE_SECONDS", 0.05)
    monkeypatch.setattr(chat, "KEEP_PAUSE", 0.1)


def rows(path: Path, query: str) -> list[Any]:
    with sqlite3.connect(path) as connection:
        return connection.execute(query).fetchall()


async def answered(client: aiohttp.ClientSession, stream: bool) -> None:
    body = {"model": "plain", "messages": HI, "stream": stream}
    async with client.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200
        assert "Hello" in await response.text()


async def test_answers_go_on_writing_says_why_and_the_ledger_is_whole_afterwards(
    starting: Callable[..., Server], tmp_path: Path, hasty: None
) -> None:
    server = starting({"plain": ScriptedModel("plain", "Hello")})
    path = tmp_path / "accounts.db"
    async with server.client() as client:
        with held(path):
            await asyncio.gather(*(answered(client, stream=bool(number % 2)) for number in range(20)))
            async with client.get("/api/conversations") as response:
                assert response.status == 200
            for url, body in (("/api/conversations", {}), ("/api/keys", {"name": "new"})):
                async with client.post(url, json=body) as response:
                    told = json.loads(await response.text())
                    assert response.status == 503, told
                    assert "held by another program" in told["error"]["message"] and told["error"]["fix"]
            assert rows(path, "SELECT count(*) FROM usage") == [(0,)]
        async with client.post("/api/conversations", json={}) as response:
            assert response.status == 201
        await answered(client, stream=False)
        assert await until(lambda: rows(path, "SELECT count(*) FROM usage") == [(21,)], 10)


async def test_a_writer_waits_for_a_database_that_is_held_for_a_moment(
    starting: Callable[..., Server], tmp_path: Path
) -> None:
    server = starting({"plain": ScriptedModel("plain", "Hello")})
    async with server.client() as client:
        with held(tmp_path / "accounts.db"):
            waiting = asyncio.create_task(client.post("/api/conversations", json={}))
            await asyncio.sleep(0.5)
            assert not waiting.done()
        async with await waiting as response:
            assert response.status == 201


async def test_an_answer_in_a_chat_is_not_ended_by_it_is_shown_and_is_saved_afterwards(
    starting: Callable[..., Server], tmp_path: Path, hasty: None, caplog: pytest.LogCaptureFixture
) -> None:
    server = starting({"slow": ScriptedModel("slow", "one two three four five six seven", delay=0.1)})
    path = tmp_path / "accounts.db"
    async with server.client() as client:
        async with client.post("/api/conversations", json={}) as response:
            talk = (await response.json())["id"]
        body = {"content": "count", "model": "slow"}
        async with client.post(f"/api/conversations/{talk}/answers", json=body) as response:
            answer = (await response.json())["answer_id"]
        with held(path):
            async with client.get(f"/api/answers/{answer}/events") as response:
                told = await response.text()
            assert "event: done" in told and "event: failed" not in told
            assert rows(path, f"SELECT reason FROM turns WHERE id = '{answer}'") == [(None,)]
            async with client.get(f"/api/conversations/{talk}") as response:
                turn = (await response.json())["turns"][-1]
            assert (turn["reason"], turn["content"]) == ("stop", "one two three four five six seven")
            async with client.post(f"/api/conversations/{talk}/answers", json=body) as response:
                assert response.status == 409, "the next turn would be laid out without this one"
            assert "could not be saved" in caplog.text
        saved = f"SELECT content, reason FROM turns WHERE id = '{answer}'"
        assert await until(lambda: rows(path, saved) == [("one two three four five six seven", "stop")], 10)
        for _ in range(100):
            async with client.post(f"/api/conversations/{talk}/answers", json=body) as response:
                if response.status == 202:
                    return
            await asyncio.sleep(0.05)
        raise AssertionError("the conversation stays closed")


async def test_what_a_killed_server_left_is_taken_over_when_the_database_is_free(
    tmp_path: Path, hasty: None
) -> None:
    path = tmp_path / "a.db"
    entry = Entry(at=1.0, user_id="u", model="m")
    async with await Accounts.open(path) as accounts:
        accounts.ledger.record(entry)
        journal = next((tmp_path / "journals").iterdir())
        left = journal.read_bytes()
        accounts.ledger._pending.clear()
    (tmp_path / "journals" / "usage-1-x.journal").write_bytes(left)
    journal.unlink(missing_ok=True)
    async with await Accounts.open(path) as accounts:
        with held(path):
            await accounts.watch()
            assert rows(path, "SELECT count(*) FROM usage") == [(0,)]
        assert await until(lambda: rows(path, "SELECT id FROM usage") == [(entry.id,)], 10)
        assert await until(lambda: not (tmp_path / "journals" / "usage-1-x.journal").exists())


class Broken(Exception):
    """A bug."""


async def test_no_failure_ends_the_taking_over_of_entries(
    tmp_path: Path, hasty: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        await accounts.watch()
        book = accounts.ledger
        for failure in (OSError(5, "Input/output error"), RuntimeError("can't start new thread"), Broken()):
            with monkeypatch.context() as broken:

                async def fails(*_: object, failure: Exception = failure, **__: object) -> None:
                    raise failure

                broken.setattr(book, "_insert", fails)
                book.record(Entry(at=1.0, user_id="u", model="m"))
                caplog.clear()
                assert await until(lambda: "waits in the journal" in caplog.text)
        assert await until(lambda: not book._pending)
        assert len(await book.since(0)) == 3


async def test_an_entry_whose_taking_over_was_broken_off_counts_once(tmp_path: Path) -> None:
    """The caller of `totals` may leave between the commit and our hearing of it."""
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        book, insert = accounts.ledger, accounts.ledger._insert

        async def committed_then_left(*given: Any, **options: Any) -> None:
            await insert(*given, **options)
            raise asyncio.CancelledError

        book.record(Entry(at=1.0, user_id="u", model="m"))
        book._insert = committed_then_left  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await book.flush()
        book._insert = insert  # type: ignore[method-assign]
        await book.flush()
        assert not book._pending
        assert len(await book.since(0)) == 1


def test_a_command_says_why_it_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "codeweft.db"
    asyncio.run(_made(path))
    script = (
        "import sys; from codeweft.accounts import database; database.BUSY_SECONDS = 0.2; "
        "from codeweft.cli import main; sys.argv = ['codeweft', 'keys', 'create', '--name', 'x']; main()"
    )
    environment = {**os.environ, "CODEWEFT_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    with held(path):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment
        )
    assert done.returncode == 1
    assert "held by another program" in done.stderr and "Traceback" not in done.stderr


async def _made(path: Path) -> None:
    async with await Accounts.open(path) as accounts:
        await accounts.admin()
