"""SQLite and PostgreSQL hold the same: migrations both ways, and everything that is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from argon2.profiles import CHEAPEST
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from codeweft.accounts import Accounts, Actor, Entry, External, Limit, SignInPolicy, Turn, Visit
from codeweft.accounts.database import configured, connect
from codeweft.accounts.tables import Base
from codeweft.errors import InvalidRequest, StorageFailed
from tests.retrieval.servers import postgres_url  # noqa: F401

BY = Actor("test", "10.0.0.1")
BEFORE = "0002"
"""The migration before the one that brought ways to sign in."""
GOOD = "correct horse battery"
POLICY = SignInPolicy(password_cost=CHEAPEST)


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield str(tmp_path / "accounts.db")
        return
    import psycopg

    server: str = request.getfixturevalue("postgres_url")
    name = f"accounts_{abs(hash(request.node.name)) % 10**8}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield server.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def run(engine: AsyncEngine, work: object) -> object:
    async with engine.begin() as connection:
        return await connection.run_sync(work)  # type: ignore[arg-type]


async def test_migrations_go_up_down_and_up_again(url: str) -> None:
    engine = await connect(url)
    try:
        assert await run(engine, _differences) == []
        tables = await run(engine, _tables)
        await run(engine, lambda one: command.downgrade(configured(one), BEFORE))
        async with engine.begin() as connection:
            await connection.execute(
                text("INSERT INTO users (id, name, role, created_at) VALUES ('u', 'old', 'admin', 1)")
            )
            await connection.execute(
                text("INSERT INTO sessions (digest, user_id, created_at, expires_at) VALUES ('d', 'u', 1, 2)")
            )
        await run(engine, lambda one: command.upgrade(configured(one), "head"))
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT how FROM sessions"))).scalars().all() == ["link"]
            assert (await connection.execute(text("SELECT name FROM users"))).scalars().all() == ["old"]
        assert await run(engine, _differences) == []
        await run(engine, lambda one: command.downgrade(configured(one), "base"))
        assert await run(engine, _tables) == {"alembic_version"}
        await run(engine, lambda one: command.upgrade(configured(one), "head"))
        assert await run(engine, _tables) == tables
    finally:
        await engine.dispose()


async def test_who_waits_does_not_come_in_with_an_older_version(url: str) -> None:
    async with await Accounts.open(url, policy=POLICY) as accounts:
        await accounts.people.add_user("ben", status="waiting", actor=BY)
    engine = await connect(url)
    try:
        await run(engine, lambda one: command.downgrade(configured(one), BEFORE))
        async with engine.connect() as connection:
            found = (await connection.execute(text("SELECT status FROM users"))).scalars().all()
            assert found == ["disabled"]
    finally:
        await engine.dispose()


async def test_everything_is_kept(url: str, tmp_path: Path) -> None:
    async with await Accounts.open(url, policy=POLICY, journals=tmp_path / "journals") as accounts:
        await accounts.watch()
        admin = await accounts.admin()
        await accounts.people.add_team("core", actor=BY)
        ann = await accounts.people.add_user("ann", team="core", actor=BY)
        await accounts.signin.set_password(ann, GOOD, actor=BY)
        session = await accounts.signin.with_password("ann", GOOD, None, Visit("10.0.0.7"))
        await accounts.signin.begin_totp(ann)
        await accounts.signin.with_identity(External("https://sso", "1", "kim"), Visit(), approved=True)
        await accounts.redeem(await accounts.signin_link(admin))
        key = await accounts.create_key("ci", ann.id, scopes=["search"])
        key = await accounts.rotate_key("ci")
        await accounts.people.set_limit("user", "ann", Limit(budget_tokens=100), actor=BY)
        await accounts.access.restrict("vault", teams=["core"], actor=BY)
        conversation = await accounts.conversations.create(ann.id, title="Ünï")
        turn = Turn("t", conversation.id, "user", "hello WORLD", 1.0, references=[{"index": "vault"}])
        await accounts.conversations.add_turns(turn)
        accounts.spend(Entry(1_800_000_000.0, ann.id, "m", prompt_tokens=60, cost=0.5, outcome="failed"))
    async with await Accounts.open(url, policy=POLICY, journals=tmp_path / "journals") as accounts:
        await accounts.watch()
        identity, by_key = accounts.known(session), accounts.known(key)
        assert identity is not None and identity.how == "password"
        assert by_key is not None and by_key.scopes == ("search",)
        assert accounts.may_read(ann.id, "vault") and not accounts.may_read("nobody", "vault")
        (found,) = await accounts.conversations.list(ann.id, text="world")
        assert (await accounts.conversations.turns(found.id))[0].references == [{"index": "vault"}]
        (total,) = await accounts.ledger.totals("day", 0, 2e9)
        assert (total.group, total.prompt_tokens, total.failed, total.cost) == ("2027-01-15", 60, 1, 0.5)
        assert len(await accounts.people.changes()) >= 10
        await accounts.people.delete_user("ann", actor=BY)
        assert accounts.known(session) is None and await accounts.conversations.list(ann.id) == []


async def test_another_process_s_changes_are_in_force_at_once(url: str, tmp_path: Path) -> None:
    async with (
        await Accounts.open(url, journals=tmp_path / "one") as server,
        await Accounts.open(url, journals=tmp_path / "two") as cli,
    ):
        await server.watch()
        key = await cli.create_key("new")
        assert await server.identify(key) is not None
        await cli.delete_key("new")
        for _ in range(200):
            if server.known(key) is None:
                break
            await asyncio.sleep(0.02)
        assert server.known(key) is None


async def test_many_may_open_a_new_database_at_once(url: str, tmp_path: Path) -> None:
    opened = await asyncio.gather(*[Accounts.open(url, journals=tmp_path) for _ in range(4)])
    admins = await asyncio.gather(*[accounts.admin() for accounts in opened])
    assert len({user.id for user in admins}) == 1
    for accounts in opened:
        await accounts.close()


async def test_an_address_that_leads_nowhere_is_told_without_its_password() -> None:
    with pytest.raises(StorageFailed) as caught:
        await Accounts.open("postgresql://me:hunter2hunter2@127.0.0.1:1/db", journals=Path("unused"))
    assert "hunter2" not in str(caught.value) and "database" in str(caught.value)
    with pytest.raises(InvalidRequest):
        await Accounts.open("postgresql://me:hunter2@host:port/db", journals=Path("unused"))


def _differences(connection: Connection) -> object:
    return compare_metadata(MigrationContext.configure(connection), Base.metadata)


def _tables(connection: Connection) -> object:
    return set(inspect(connection).get_table_names())
