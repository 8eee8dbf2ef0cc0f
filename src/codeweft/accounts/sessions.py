"""Sessions of the web page: begun by every way of signing in, listed and ended by their user."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from codeweft.accounts.tables import SessionRow
from codeweft.errors import NotFound

How = Literal["link", "password", "oidc"]
_ID_LENGTH: Final = 16
"""Hexadecimal digits of a session's digest that name it: telling them lets nobody in."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Where somebody signs in from: an IP address, and the browser as it calls itself."""

    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a user. Times are Unix seconds."""

    id: str
    how: str
    created_at: float
    expires_at: float
    address: str
    agent: str


def digest(secret: str) -> str:
    """What is kept of a token or key: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def session_id(of_digest: str) -> str:
    """The name of a session by its digest."""
    return of_digest[:_ID_LENGTH]


async def begin(
    connection: AsyncConnection, user_id: str, how: How, visit: Visit, now: float, seconds: float
) -> str:
    """A new session's token; sessions that are over are forgotten on the occasion."""
    token = secrets.token_urlsafe(32)
    await connection.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
    await connection.execute(
        insert(SessionRow).values(
            digest=digest(token),
            user_id=user_id,
            created_at=now,
            expires_at=now + seconds,
            how=how,
            address=visit.address[:100],
            agent=visit.agent[:300],
        )
    )
    return token


class Sessions:
    """The sessions of users. `changed` is awaited after each change."""

    def __init__(
        self, engine: AsyncEngine, clock: Callable[[], float], changed: Callable[[], Awaitable[None]]
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._changed = changed

    async def of(self, user_id: str) -> list[Session]:
        """The sessions that are not over, latest first."""
        row = SessionRow
        query = (
            select(row.digest, row.how, row.created_at, row.expires_at, row.address, row.agent)
            .where(row.user_id == user_id, row.expires_at > self._clock())
            .order_by(row.created_at.desc())
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [Session(session_id(one[0]), *one[1:]) for one in rows]

    async def end(self, user_id: str, which: str) -> None:
        """End one of a user's sessions. Raises `NotFound`."""
        row = SessionRow
        named = func.substr(row.digest, 1, _ID_LENGTH) == which
        async with self._engine.begin() as connection:
            done = await connection.execute(delete(row).where(row.user_id == user_id, named))
        if not done.rowcount:
            raise NotFound("There is no such session; it may have ended already.")
        await self._changed()

    async def end_all(self, user_id: str, *, but: str = "") -> int:
        """End a user's sessions, except the one of id `but`; how many."""
        row = SessionRow
        others = func.substr(row.digest, 1, _ID_LENGTH) != but
        async with self._engine.begin() as connection:
            done = await connection.execute(delete(row).where(row.user_id == user_id, others))
        await self._changed()
        return done.rowcount
