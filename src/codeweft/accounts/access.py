"""Who may read which index. One decision; the rest of the program asks it by way of `Accounts.may_read`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from codeweft.accounts.people import Actor, People, User
from codeweft.accounts.tables import IndexReaderRow, RestrictedIndexRow

ReaderKind = Literal["user", "team"]


@dataclass(frozen=True, slots=True)
class Readers:
    """Ids of the users and teams that may read a restricted index, beside the administrators."""

    users: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()


def may_read(user: User, readers: Readers | None) -> bool:
    """Whether `user` may read an index with these readers; None is an index that is open to all."""
    if user.status != "active":
        return False
    return (
        readers is None
        or user.role == "admin"
        or user.id in readers.users
        or (user.team_id != "" and user.team_id in readers.teams)
    )


def readable(references: Sequence[Mapping[str, Any]], may: Callable[[str], bool]) -> list[Mapping[str, Any]]:
    """Of references as they are stored, those from indexes that may be read; their numbers stay."""
    return [one for one in references if may(str(one.get("index", "")))]


class IndexAccess:
    """The permissions as administrators edit them. `changed` is awaited after each change."""

    def __init__(self, engine: AsyncEngine, people: People, changed: Callable[[], Awaitable[None]]) -> None:
        self._engine = engine
        self._people = people
        self._changed = changed

    async def restrict(
        self, index: str, users: Sequence[str] = (), teams: Sequence[str] = (), *, actor: Actor
    ) -> Readers:
        """Let only these users and teams (ids or names) read an index of that name. Raises `NotFound`."""
        readers = Readers(
            frozenset([(await self._people.user(one)).id for one in users]),
            frozenset([(await self._people.team(one)).id for one in teams]),
        )
        rows = [
            {"name": index, "kind": kind, "subject": subject}
            for kind, subjects in (("user", readers.users), ("team", readers.teams))
            for subject in sorted(subjects)
        ]
        async with self._engine.begin() as connection:
            await self._forget(connection, index)
            await connection.execute(insert(RestrictedIndexRow).values(name=index))
            if rows:
                await connection.execute(insert(IndexReaderRow), rows)
            told = {"users": sorted(users), "teams": sorted(teams)}
            await self._people.note_in(connection, actor, "index.restrict", index, **told)
        await self._changed()
        return readers

    async def open(self, index: str, *, actor: Actor) -> None:
        """Let everybody read an index of that name."""
        async with self._engine.begin() as connection:
            await self._forget(connection, index)
            await self._people.note_in(connection, actor, "index.open", index)
        await self._changed()

    async def _forget(self, connection: AsyncConnection, index: str) -> None:
        await connection.execute(delete(IndexReaderRow).where(IndexReaderRow.name == index))
        await connection.execute(delete(RestrictedIndexRow).where(RestrictedIndexRow.name == index))


async def read_access(connection: AsyncConnection) -> dict[str, Readers]:
    """The readers of every restricted index."""
    found: dict[str, dict[str, set[str]]] = {
        name: {"user": set(), "team": set()}
        for name in (await connection.execute(select(RestrictedIndexRow.name))).scalars()
    }
    row = IndexReaderRow
    for name, kind, subject in await connection.execute(select(row.name, row.kind, row.subject)):
        found[name][kind].add(subject)
    return {name: Readers(frozenset(of["user"]), frozenset(of["team"])) for name, of in found.items()}
