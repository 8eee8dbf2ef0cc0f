"""Users, teams, limits and the audit log: what administrators edit. Every change is noted in the log."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, get_args

from sqlalchemy import ColumnElement, String, cast, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from codeweft.accounts.limits import Limit, Period, Subject, SubjectKind
from codeweft.accounts.tables import ApiKeyRow, AuditRow, IndexReaderRow, LimitRow, TeamRow, UserRow
from codeweft.errors import Conflict, InvalidRequest, NotAllowed, NotFound

Role = Literal["admin", "member", "viewer"]
Status = Literal["active", "waiting", "disabled"]
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and from where (an IP address; "" on this machine)."""

    name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """`team_id` is "" for a user without a team. Only active users are let in; waiting ones need an approval."""

    id: str
    name: str
    role: str
    team_id: str = ""
    status: str = "active"


@dataclass(frozen=True, slots=True)
class Team:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the audit log: at `at` (Unix seconds) `actor` did `action` to `target`, from `address`."""

    id: str
    at: float
    actor: str
    action: str
    target: str
    detail: Mapping[str, Any]
    address: str


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which lines of the audit log: of an actor, of an action (`key` is all of `key.…`), from `since` on and before
    `until` (Unix seconds), with `text` in any of who, what, to what and from where. Empty is all."""

    actor: str = ""
    action: str = ""
    since: float | None = None
    until: float | None = None
    text: str = ""


class People:
    """What administrators edit. `changed` is awaited after each change, so that it is in force at once."""

    def __init__(
        self, engine: AsyncEngine, clock: Callable[[], float], changed: Callable[[], Awaitable[None]]
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._changed = changed

    # ── users ────────────────────────────────────────────────────────────────────────────────────────────────

    async def users(self) -> list[User]:
        """All users, the first first."""
        row = UserRow
        query = select(row.id, row.name, row.role, row.team_id, row.status).order_by(row.created_at)
        async with self._engine.connect() as connection:
            return [User(*found) for found in await connection.execute(query)]

    async def user(self, which: str) -> User:
        """A user by id or name. Raises `NotFound`."""
        for one in await self.users():
            if which in (one.id, one.name):
                return one
        raise NotFound(f"There is no user {which!r}.", fix="`codeweft users` lists them.", param="user")

    async def add_user(
        self,
        name: str,
        role: Role = "member",
        *,
        team: str | None = None,
        actor: Actor,
        status: Status = "active",
    ) -> User:
        """Make a user. Raises `InvalidRequest`, `Conflict` for a name that is taken, `NotFound` for no such team."""
        name = _checked(name, "user")
        team_id = (await self.team(team)).id if team else ""
        user = User(secrets.token_hex(8), name, role, team_id, status)
        try:
            async with self._engine.begin() as connection:
                await connection.execute(insert(UserRow).values(asdict(user) | {"created_at": self._clock()}))
                told = {"role": role, "team": team or "", "status": status}
                await self.note_in(connection, actor, "user.add", name, **told)
        except IntegrityError:
            raise Conflict(
                f"There is a user {name!r} already.", fix="Choose another name.", param="name"
            ) from None
        await self._changed()
        return user

    async def change_user(
        self,
        which: str,
        *,
        actor: Actor,
        name: str | None = None,
        role: Role | None = None,
        team: str | None = None,
        status: Status | None = None,
    ) -> User:
        """Change what is given (`team=""` takes a user out of its team). Raises `NotFound`, `NotAllowed`, `Conflict`.

        The last active administrator stays one.
        """
        user = await self.user(which)
        team_id = None if team is None else (await self.team(team)).id if team else ""
        values = {
            "name": None if name is None else _checked(name, "user"),
            "role": role,
            "team_id": team_id,
            "status": status,
        }
        wanted = {key: value for key, value in values.items() if value is not None}
        if wanted.get("role", "admin") != "admin" or wanted.get("status", "active") != "active":
            await self._keep_an_admin(user)
        if wanted:
            try:
                async with self._engine.begin() as connection:
                    await connection.execute(update(UserRow).where(UserRow.id == user.id).values(wanted))
                    await self.note_in(connection, actor, "user.change", user.name, **wanted)
            except IntegrityError:
                raise Conflict(
                    f"There is a user {name!r} already.", fix="Choose another name.", param="name"
                ) from None
            await self._changed()
        return await self.user(user.id)

    async def delete_user(self, which: str, *, actor: Actor) -> None:
        """Delete a user with keys, sessions and conversations; what was used stays in the ledger. Raises as above."""
        user = await self.user(which)
        await self._keep_an_admin(user)
        async with self._engine.begin() as connection:
            keys = (
                await connection.execute(select(ApiKeyRow.id).where(ApiKeyRow.user_id == user.id))
            ).scalars()
            for kind, subject in (("user", user.id), *(("key", key) for key in keys.all())):
                await connection.execute(
                    delete(LimitRow).where(LimitRow.kind == kind, LimitRow.subject == subject)
                )
            await connection.execute(delete(IndexReaderRow).where(*_reads("user", user.id)))
            await connection.execute(delete(UserRow).where(UserRow.id == user.id))
            await self.note_in(connection, actor, "user.delete", user.name)
        await self._changed()

    async def _keep_an_admin(self, leaving: User) -> None:
        others = [
            one
            for one in await self.users()
            if one.id != leaving.id and one.role == "admin" and one.status == "active"
        ]
        if leaving.role == "admin" and leaving.status == "active" and not others:
            raise NotAllowed(
                f"{leaving.name} is the last administrator.", fix="Make another user an administrator first."
            )

    # ── teams ────────────────────────────────────────────────────────────────────────────────────────────────

    async def teams(self) -> list[Team]:
        """All teams by name."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(select(TeamRow.id, TeamRow.name).order_by(TeamRow.name))
            return [Team(*row) for row in rows]

    async def team(self, which: str) -> Team:
        """A team by id or name. Raises `NotFound`."""
        for one in await self.teams():
            if which in (one.id, one.name):
                return one
        raise NotFound(f"There is no team {which!r}.", fix="`codeweft teams` lists them.", param="team")

    async def add_team(self, name: str, *, actor: Actor) -> Team:
        """Make a team. Raises `InvalidRequest`, `Conflict` for a name that is taken."""
        team = Team(secrets.token_hex(8), _checked(name, "team"))
        try:
            async with self._engine.begin() as connection:
                await connection.execute(insert(TeamRow).values(asdict(team) | {"created_at": self._clock()}))
                await self.note_in(connection, actor, "team.add", team.name)
        except IntegrityError:
            raise Conflict(
                f"There is a team {team.name!r} already.", fix="Choose another name.", param="name"
            ) from None
        return team

    async def delete_team(self, which: str, *, actor: Actor) -> None:
        """Delete a team; its members stay, without a team. Raises `NotFound`."""
        team = await self.team(which)
        async with self._engine.begin() as connection:
            await connection.execute(update(UserRow).where(UserRow.team_id == team.id).values(team_id=""))
            await connection.execute(
                delete(LimitRow).where(LimitRow.kind == "team", LimitRow.subject == team.id)
            )
            await connection.execute(delete(IndexReaderRow).where(*_reads("team", team.id)))
            await connection.execute(delete(TeamRow).where(TeamRow.id == team.id))
            await self.note_in(connection, actor, "team.delete", team.name)
        await self._changed()

    # ── limits ───────────────────────────────────────────────────────────────────────────────────────────────

    async def limits(self) -> dict[Subject, Limit]:
        """All limits by subject."""
        columns = [getattr(LimitRow, one.name) for one in fields(Limit)]
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(LimitRow.kind, LimitRow.subject, *columns))).all()
        return {(kind, subject): Limit(*values) for kind, subject, *values in rows}

    async def set_limit(self, kind: SubjectKind, which: str, limit: Limit | None, *, actor: Actor) -> None:
        """Set what a subject may use; None frees it. `which` is an id or name ("" for everyone).

        Raises `NotFound`, `InvalidRequest` for a limit below zero.
        """
        subject = await self._subject(kind, which)
        if limit is not None:
            for one in fields(Limit):
                value = getattr(limit, one.name)
                if one.name != "period" and value is not None and value < 0:
                    raise InvalidRequest(f"`{one.name}` is {value}; it cannot be negative.", param=one.name)
            if limit.period not in get_args(Period):
                raise InvalidRequest(f"`period` must be {', '.join(get_args(Period))}.", param="period")
        async with self._engine.begin() as connection:
            await connection.execute(
                delete(LimitRow).where(LimitRow.kind == kind, LimitRow.subject == subject[1])
            )
            if limit is not None:
                await connection.execute(
                    insert(LimitRow).values(kind=kind, subject=subject[1], **asdict(limit))
                )
            told = (
                {}
                if limit is None
                else {key: value for key, value in asdict(limit).items() if value is not None}
            )
            await self.note_in(
                connection, actor, "limit.set" if limit else "limit.remove", f"{kind} {which}", **told
            )
        await self._changed()

    async def _subject(self, kind: SubjectKind, which: str) -> Subject:
        if kind == "everyone":
            return kind, ""
        if kind == "user":
            return kind, (await self.user(which)).id
        if kind == "team":
            return kind, (await self.team(which)).id
        async with self._engine.connect() as connection:
            query = select(ApiKeyRow.id).where((ApiKeyRow.id == which) | (ApiKeyRow.name == which))
            found = (await connection.execute(query)).scalars().all()
        if not found:
            raise NotFound(f"There is no key {which!r}.", fix="`codeweft keys list` lists the keys.")
        if len(found) > 1:
            raise Conflict(f"{len(found)} keys are named {which!r}.", fix="Name it by its id.")
        return kind, found[0]

    # ── the audit log ────────────────────────────────────────────────────────────────────────────────────────

    async def note(self, actor: Actor, action: str, target: str, **detail: Any) -> None:
        """Write a line of the audit log."""
        async with self._engine.begin() as connection:
            await self.note_in(connection, actor, action, target, **detail)

    async def changes(
        self, limit: int = 100, before: str | None = None, wanted: AuditFilter = AuditFilter()
    ) -> list[Change]:
        """The audit log, newest first, from the line after the one whose id is `before`."""
        row = AuditRow
        query = (
            select(row.id, row.at, row.actor, row.action, row.target, row.detail, row.address)
            .where(*_among(wanted))
            .order_by(row.at.desc(), row.id.desc())
            .limit(limit)
        )
        if before is not None:
            at = select(row.at).where(row.id == before).scalar_subquery()
            query = query.where((row.at < at) | ((row.at == at) & (row.id < before)))
        async with self._engine.connect() as connection:
            return [Change(*found) for found in await connection.execute(query)]

    async def audit_names(self) -> tuple[list[str], list[str]]:
        """The actors and the actions that are in the log, by name."""
        async with self._engine.connect() as connection:
            actors, actions = [
                list((await connection.execute(select(column).distinct().order_by(column))).scalars())
                for column in (AuditRow.actor, AuditRow.action)
            ]
        return actors, actions

    async def note_in(
        self, connection: AsyncConnection, actor: Actor, action: str, target: str, **detail: Any
    ) -> None:
        """Write a line in the same transaction as what it tells of."""
        await connection.execute(
            insert(AuditRow).values(
                # Lines of the same moment stay in the order in which they were written.
                id=f"{time.time_ns():016x}{secrets.token_hex(4)}",
                at=self._clock(),
                actor=actor.name,
                action=action,
                target=target[:_LONGEST_NAME],
                detail=detail,
                address=actor.address,
            )
        )


def _among(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    row = AuditRow
    found: list[ColumnElement[bool]] = []
    if wanted.actor:
        found.append(row.actor == wanted.actor)
    if wanted.action:
        below = row.action.startswith(f"{wanted.action}.", autoescape=True)
        found.append((row.action == wanted.action) | below)
    if wanted.since is not None:
        found.append(row.at >= wanted.since)
    if wanted.until is not None:
        found.append(row.at < wanted.until)
    if wanted.text:
        places = (row.actor, row.action, row.target, row.address, cast(row.detail, String))
        found.append(or_(*(place.icontains(wanted.text, autoescape=True) for place in places)))
    return found


def _reads(kind: str, subject: str) -> tuple[ColumnElement[bool], ...]:
    return IndexReaderRow.kind == kind, IndexReaderRow.subject == subject


def _checked(name: str, what: str) -> str:
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(f"A {what} needs a name of 1 to {_LONGEST_NAME} characters.", param="name")
    return name
