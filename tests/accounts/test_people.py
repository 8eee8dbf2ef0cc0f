"""Users, teams, keys that expire and are scoped, and the audit log."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

from codeweft.accounts import Accounts, Actor, Limit
from codeweft.accounts.accounts import ROTATION_SECONDS
from codeweft.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from tests.accounts.test_limits import Clock


async def test_users_come_in_by_their_own_link_and_go_when_disabled(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        admin = await accounts.admin()
        ann = await accounts.people.add_user(" ann ", actor=Actor(admin.name))
        assert (ann.name, ann.role, ann.status) == ("ann", "member", "active")
        session = await accounts.redeem(await accounts.signin_link(ann))
        key = await accounts.create_key("laptop", ann.id)
        found = accounts.known(session)
        assert found is not None and found.user.name == "ann"
        await accounts.people.change_user("ann", actor=Actor("admin"), status="disabled")
        assert accounts.known(session) is None
        assert accounts.known(key) is None
        await accounts.people.change_user("ann", actor=Actor("admin"), status="active")
        assert accounts.known(key) is not None
        await accounts.people.delete_user("ann", actor=Actor("admin"))
        assert accounts.known(key) is None
        with pytest.raises(NotFound):
            await accounts.people.user("ann")


async def test_names_are_unique_and_checked(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        await accounts.people.add_user("ann", actor=Actor("x"))
        with pytest.raises(Conflict):
            await accounts.people.add_user("ann", actor=Actor("x"))
        for name in ("", "  ", "a\nb", "x" * 201):
            with pytest.raises(InvalidRequest):
                await accounts.people.add_user(name, actor=Actor("x"))
        with pytest.raises(NotFound):
            await accounts.people.add_user("bob", team="nope", actor=Actor("x"))


async def test_the_last_administrator_stays(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        admin = await accounts.admin()
        for change in ({"role": "member"}, {"status": "disabled"}):
            with pytest.raises(NotAllowed, match="last administrator"):
                await accounts.people.change_user(admin.name, actor=Actor("x"), **change)  # type: ignore[arg-type]
        with pytest.raises(NotAllowed):
            await accounts.people.delete_user(admin.name, actor=Actor("x"))
        await accounts.people.add_user("ann", "admin", actor=Actor("x"))
        await accounts.people.delete_user(admin.name, actor=Actor("x"))
        assert (await accounts.admin()).name == "ann"


async def test_a_user_counts_for_its_team_until_that_is_deleted(tmp_path: Path) -> None:
    async with await Accounts.open(tmp_path / "a.db") as accounts:
        team = await accounts.people.add_team("core", actor=Actor("x"))
        ann = await accounts.people.add_user("ann", team="core", actor=Actor("x"))
        assert accounts.subjects(ann.id, "k") == (("user", ann.id), ("key", "k"), ("team", team.id))
        await accounts.people.set_limit("team", "core", Limit(parallel=1), actor=Actor("x"))
        await accounts.people.delete_team("core", actor=Actor("x"))
        assert accounts.subjects(ann.id, None) == (("user", ann.id),)
        assert await accounts.people.limits() == {}
        assert (await accounts.people.user("ann")).team_id == ""


async def test_keys_expire_and_do_only_what_they_are_for(tmp_path: Path) -> None:
    clock = Clock()
    async with await Accounts.open(tmp_path / "a.db", clock) as accounts:
        secret = await accounts.create_key("ci", expires_in=3600, scopes=["search"])
        identity = accounts.known(secret)
        assert identity is not None
        assert identity.may("search") and not identity.may("generate")
        (key,) = await accounts.keys()
        assert (key.expires_at, key.scopes) == (clock.now + 3600, ("search",))
        clock.now += 3601
        assert accounts.known(secret) is None
        with pytest.raises(InvalidRequest, match="scope"):
            await accounts.create_key("x", scopes=["everything"])  # type: ignore[list-item]
        with pytest.raises(InvalidRequest):
            await accounts.create_key("x", expires_in=0)


async def test_a_rotated_keys_old_secret_works_for_a_day_more(tmp_path: Path) -> None:
    clock = Clock()
    async with await Accounts.open(tmp_path / "a.db", clock) as accounts:
        old = await accounts.create_key("ci")
        new = await accounts.rotate_key("ci")
        first, second = accounts.known(old), accounts.known(new)
        assert first is not None and second is not None and first.key_id == second.key_id
        clock.now += ROTATION_SECONDS + 1
        assert accounts.known(old) is None
        assert accounts.known(new) is not None


async def test_every_change_is_in_the_audit_log(tmp_path: Path) -> None:
    clock = Clock()
    async with await Accounts.open(tmp_path / "a.db", clock) as accounts:
        people = accounts.people
        for change in (
            people.add_user("ann", actor=Actor("root")),
            people.add_team("core", actor=Actor("root")),
            people.change_user("ann", actor=Actor("root"), team="core"),
            people.set_limit("user", "ann", Limit(budget_usd=5), actor=Actor("root")),
            people.delete_user("ann", actor=Actor("root")),
        ):
            await change
            clock.now += 1
        told = await people.changes()
    assert [one.action for one in told] == ["user.delete", "limit.set", "user.change", "team.add", "user.add"]
    assert told[1].detail == {"budget_usd": 5, "period": "month"}
    assert {one.actor for one in told} == {"root"}


def test_migrations_go_up_and_down_and_keep_what_there_was(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    config = Config()
    config.set_main_option("script_location", "codeweft.accounts:migrations")

    def to(revision: str, *, up: bool) -> set[str]:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            (command.upgrade if up else command.downgrade)(config, revision)
            return set(inspect(connection).get_table_names())

    to("0001", up=True)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO users VALUES ('u', 'ann', 'admin', 1.0)"))
        connection.execute(
            text("INSERT INTO api_keys VALUES ('k', 'u', 'laptop', 'cw_x', 'digest', 1.0, NULL)")
        )
    assert {"usage", "teams", "limits", "audit"} <= to("head", up=True)
    assert "usage" not in to("0001", up=False)
    to("head", up=True)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT name, team_id, status FROM users")).all() == [
            ("ann", "", "active")
        ]
        assert connection.execute(text("SELECT name, scopes, expires_at FROM api_keys")).all() == [
            ("laptop", "", None)
        ]
    assert to("base", up=False) == {"alembic_version"}
