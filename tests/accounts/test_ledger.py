"""Usage is never lost and never in the way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from codeweft.accounts import Accounts, Entry
from codeweft.types import replace

ENTRY = Entry(at=1_800_000_000.0, user_id="u1", model="m", app="codegen", key_id="k1", prompt_tokens=10, completion_tokens=5, cost=0.5)  # fmt: skip
DAY = 86400.0


def entries(*changes: dict[str, object]) -> list[Entry]:
    return [replace(ENTRY, id=f"e{number}", **change) for number, change in enumerate(changes)]  # type: ignore[arg-type]


async def test_entries_add_up_by_day_user_key_model_and_team(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        for entry in entries(
            {}, {"at": ENTRY.at + DAY, "user_id": "u2", "cost": None}, {"model": "n", "outcome": "failed"}
        ):
            accounts.ledger.record(entry)
        totals = await accounts.ledger.totals("day", 0, 2e9)
        assert [(one.group, one.answers) for one in totals] == [("2027-01-15", 2), ("2027-01-16", 1)]
        assert (totals[0].prompt_tokens, totals[0].completion_tokens, totals[0].cost) == (20, 10, 1.0)
        assert (totals[0].failed, totals[0].unpriced, totals[1].unpriced) == (1, 0, 1)
        by_user = await accounts.ledger.totals("user", 0, 2e9)
        assert {one.group: one.answers for one in by_user} == {"u1": 2, "u2": 1}
        mine = await accounts.ledger.totals("model", 0, 2e9, user_id="u1")
        assert {one.group: one.answers for one in mine} == {"m": 1, "n": 1}
        assert await accounts.ledger.totals("key", ENTRY.at + 2 * DAY, 2e9) == []


async def test_what_was_recorded_is_in_the_database_after_closing_and_the_journal_is_gone(
    tmp_path: Path,
) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        accounts.ledger.record(ENTRY)
        assert list((tmp_path / "journals").iterdir())
    assert list((tmp_path / "journals").iterdir()) == []
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        assert await accounts.ledger.since(0) == [ENTRY]


KILLED = """
    import asyncio, sys
    from codeweft.types import replace
    from pathlib import Path
    from codeweft.accounts import Accounts, Entry

    async def main():
        accounts = await Accounts.open(Path(sys.argv[1]))
        await accounts.watch()
        number = 0
        while True:
            entry = Entry(at=1_800_000_000.0, user_id="u", model="m", id=f"{sys.argv[2]}-{number}")
            accounts.ledger.record(entry)
            print(number, flush=True)
            number += 1
            await asyncio.sleep(0.001)

    asyncio.run(main())
"""


@pytest.mark.parametrize("after", [0.05, 0.6, 1.3])
async def test_a_killed_server_loses_no_finished_answer(tmp_path: Path, after: float) -> None:
    """It is killed before, around and after the first time that entries are taken over."""
    script = tmp_path / "server.py"
    script.write_text(textwrap.dedent(KILLED))
    told: list[set[str]] = []
    for life in ("a", "b"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), str(tmp_path / "a.db"), life, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        first = await process.stdout.readline()
        await asyncio.sleep(after)
        process.kill()
        rest = await process.stdout.read()
        await process.wait()
        told.append({f"{life}-{line.decode()}" for line in (first + rest).split()})
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        await accounts.watch()
        kept = [entry.id for entry in await accounts.ledger.since(0)]
    assert len(kept) == len(set(kept))
    assert set().union(*told) <= set(kept)
    assert list((tmp_path / "journals").iterdir()) == []


async def test_an_entry_that_was_taken_over_already_counts_once(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        accounts.ledger.record(ENTRY)
        journal = next((tmp_path / "journals").iterdir())
        line = journal.read_bytes()
        await accounts.ledger.flush()
    (tmp_path / "journals" / "usage-1-x.journal").write_bytes(line + b'{"cut of')
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        assert await accounts.ledger.recover() == 1
        assert await accounts.ledger.since(0) == [ENTRY]


async def test_a_locked_database_delays_nothing_and_loses_nothing(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        async with accounts._engine.connect() as other:
            await other.execute(text("BEGIN EXCLUSIVE"))
            began = asyncio.get_running_loop().time()
            for number in range(1000):
                accounts.ledger.record(replace(ENTRY, id=str(number)))
            assert asyncio.get_running_loop().time() - began < 1
            await other.rollback()
        assert len(await accounts.ledger.since(0)) == 1000


async def test_the_journal_of_a_living_server_is_left_alone(tmp_path: Path) -> None:
    async with (
        await Accounts.open(tmp_path / "a.db") as one,
        await Accounts.open(tmp_path / "a.db") as two,
    ):
        one.ledger.record(ENTRY)
        assert await two.ledger.recover() == 0
        assert list((tmp_path / "journals").iterdir())


async def test_only_what_others_used_has_the_accounts_read_again(tmp_path: Path) -> None:
    async with (
        await Accounts.open(tmp_path / "a.db") as one,
        await Accounts.open(tmp_path / "a.db") as other,
    ):
        one.ledger.record(ENTRY)
        await one.ledger.flush()
        await one._refresh()
        reads = 0

        async def reload() -> None:
            nonlocal reads
            reads += 1

        one._reload = reload  # type: ignore[method-assign]
        for number in range(3):
            one.ledger.record(replace(ENTRY, id=f"mine{number}"))
            await one.ledger.flush()
            await one._refresh()
        assert reads == 0
        other.ledger.record(replace(ENTRY, id="theirs"))
        await other.ledger.flush()
        await one._refresh()
        await one._refresh()
        assert reads == 1
        await other.create_key("new")
        await one._refresh()
        assert reads == 2


async def test_taking_own_entries_over_is_no_change_by_others(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        await accounts._changed()
        inserted, counted = asyncio.Event(), asyncio.Event()
        insert = accounts.ledger._insert

        async def slowly(entries: Sequence[Entry], *, again: bool) -> None:
            await insert(entries, again=again)
            inserted.set()
            await counted.wait()

        accounts.ledger._insert = slowly  # type: ignore[method-assign]
        accounts.ledger.record(ENTRY)
        flushing = asyncio.create_task(accounts.ledger.flush())
        await inserted.wait()
        assert not await accounts._changed()
        async with await Accounts.open(tmp_path / "a.db") as other:
            await other.create_key("new")
        assert await accounts._changed()
        counted.set()
        await flushing
