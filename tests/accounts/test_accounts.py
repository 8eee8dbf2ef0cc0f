"""Links work once, keys until they are deleted, and the database keeps no secret."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError

from codeweft.accounts import Accounts, Turn
from codeweft.accounts.accounts import LINK_SECONDS
from codeweft.accounts.tables import SCHEMA, Base
from codeweft.errors import Conflict, InvalidRequest, NotFound, NotSignedIn, StorageFailed


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_link_is_good_for_one_session(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        one, two = await accounts.signin_link(), await accounts.signin_link()
        session = await accounts.redeem(one)
        identity = accounts.known(session)
        assert identity is not None and identity.user.role == "admin" and identity.key_id is None
        with pytest.raises(NotSignedIn, match="codeweft signin"):
            await accounts.redeem(one)
        assert await accounts.redeem(two) != session
        await accounts.sign_out(session)
        assert accounts.known(session) is None


async def test_of_many_at_once_one_wins_the_link(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        token = await accounts.signin_link()
        results = await asyncio.gather(*[accounts.redeem(token) for _ in range(8)], return_exceptions=True)
        assert sum(isinstance(result, str) for result in results) == 1
        assert sum(isinstance(result, NotSignedIn) for result in results) == 7


async def test_links_and_sessions_expire(tmp_path: Path) -> None:
    clock = Clock()
    async with await Accounts.open(tmp_path / "a.db", clock) as accounts:
        late = await accounts.signin_link()
        clock.now += LINK_SECONDS + 1
        with pytest.raises(NotSignedIn):
            await accounts.redeem(late)
        session = await accounts.redeem(await accounts.signin_link())
        clock.now += accounts.signin.policy.session_seconds - 1
        assert accounts.known(session) is not None
        clock.now += 2
        assert accounts.known(session) is None


async def test_secrets_are_not_in_the_database(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        token = await accounts.signin_link()
        session = await accounts.redeem(await accounts.signin_link())
        key = await accounts.create_key("editor")
    stored = (tmp_path / "a.db").read_bytes()
    assert all(secret.encode() not in stored for secret in (token, session, key))
    assert key.startswith("cw_") and len(key) == 3 + 43
    assert (tmp_path / "a.db").stat().st_mode & 0o077 == 0


async def test_keys_outlive_the_process_and_remember_their_use(tmp_path: Path) -> None:
    clock = Clock()
    async with await Accounts.open(tmp_path / "a.db", clock) as accounts:
        key = await accounts.create_key("editor")
        assert (await accounts.keys())[0].last_used_at is None
        clock.now += 5
        assert accounts.known(key) is not None
        assert (await accounts.keys())[0].last_used_at == clock.now
    async with await Accounts.open(tmp_path / "a.db", clock) as accounts:
        assert (await accounts.keys())[0].last_used_at == clock.now
        assert accounts.known(key) is not None
        assert accounts.known(key[:-1]) is None


async def test_a_running_server_notices_other_processes(tmp_path: Path) -> None:
    async with (
        await Accounts.open(tmp_path / "a.db") as server,
        await Accounts.open(tmp_path / "a.db") as cli,
    ):
        await server.watch()
        key = await cli.create_key("new")
        assert server.known(key) is None
        assert await server.identify(key) is not None
        await cli.delete_key("new")
        for _ in range(100):
            if server.known(key) is None:
                break
            await asyncio.sleep(0.02)
        assert server.known(key) is None
        assert await server.identify(key) is None


async def test_all_who_come_with_a_new_key_at_once_are_let_in(tmp_path: Path) -> None:
    async with (
        await Accounts.open(tmp_path / "a.db") as server,
        await Accounts.open(tmp_path / "a.db") as cli,
    ):
        key = await cli.create_key("new")
        found = await asyncio.gather(*[server.identify(key) for _ in range(20)])
        assert all(identity is not None for identity in found)


async def test_keys_are_deleted_by_id_or_by_a_name_that_only_one_has(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        for name in ("a", "b", "b"):
            await accounts.create_key(name)
        await accounts.delete_key("a")
        with pytest.raises(NotFound):
            await accounts.delete_key("a")
        with pytest.raises(Conflict):
            await accounts.delete_key("b")
        await accounts.delete_key((await accounts.keys())[0].id)
        assert [key.name for key in await accounts.keys()] == ["b"]
        with pytest.raises(InvalidRequest):
            await accounts.create_key("  ")


async def test_many_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    opened = await asyncio.gather(*[Accounts.open(tmp_path / "a.db") for _ in range(4)])
    admins = await asyncio.gather(*[accounts.admin() for accounts in opened])
    assert len({user.id for user in admins}) == 1
    for accounts in opened:
        await accounts.close()


async def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db"):
        pass
    with create_engine(f"sqlite:///{tmp_path / 'a.db'}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    config = Config()
    config.set_main_option("script_location", "codeweft.accounts:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA


async def test_what_cannot_be_opened_is_said_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, but long enough to look like one" * 100)
    with pytest.raises(StorageFailed, match=r"text\.db"):
        await Accounts.open(tmp_path / "text.db")
    async with await Accounts.open(tmp_path / "new.db"):
        pass
    with sqlite3.connect(tmp_path / "new.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageFailed, match="newer Codeweft"):
        await Accounts.open(tmp_path / "new.db")


async def test_an_error_of_the_database_does_not_tell_what_people_wrote(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        admin = await accounts.admin()
        conversations = accounts.conversations
        conversation = await conversations.create(admin.id)
        turn = Turn("same", conversation.id, "user", "a private sentence", 0.0, reason="stop")
        await conversations.add_turns(turn)
        with pytest.raises(IntegrityError) as caught:
            await conversations.add_turns(turn)
        assert "a private sentence" not in str(caught.value)
