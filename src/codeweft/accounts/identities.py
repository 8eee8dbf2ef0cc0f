"""Whom a key or a session lets in, as the server keeps it in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from codeweft.accounts.people import User
from codeweft.accounts.sessions import session_id
from codeweft.accounts.tables import ApiKeyRow, SessionRow, TotpRow, UserRow

Scope = Literal["generate", "search", "knowledge", "account"]
"""Answers; looking things up; changing indexes; keys, conversations and what administrators do."""
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a key or a session belongs to; `key_id` is None for a session. `expires_at` is Unix seconds.

    `session` is the session's id, `how` and `since` when it was begun. `enrolling` may do nothing but set up a second
    factor, because the policy asks for one.
    """

    user: User
    key_id: str | None
    expires_at: float
    scopes: tuple[Scope, ...] = ()
    session: str = ""
    how: str = ""
    since: float = 0.0
    enrolling: bool = False

    def may(self, scope: Scope) -> bool:
        """Whether this key may do what `scope` covers; a session may do all that its user may."""
        return not self.scopes or scope in self.scopes


def scopes_in(text: str) -> tuple[Scope, ...]:
    """The scopes of a key as they are stored."""
    return tuple(scope for scope in SCOPES if scope in text.split())


async def read_identities(
    connection: AsyncConnection, now: float, *, totp_required: bool
) -> tuple[dict[str, User], dict[str, Identity]]:
    """The active users by id, and whom each digest of a key or session lets in."""
    who = select(UserRow.id, UserRow.name, UserRow.role, UserRow.team_id, UserRow.status)
    users = {row.id: User(*row) for row in await connection.execute(who.where(UserRow.status == "active"))}
    found: dict[str, Identity] = {}
    key = ApiKeyRow
    keys = select(
        *(key.digest, key.user_id, key.id, key.expires_at, key.scopes),
        *(key.previous_digest, key.previous_until),
    )
    for digest, user, id_, expires, scopes, previous, until in await connection.execute(keys):
        if user not in users:
            continue
        end = float("inf") if expires is None else expires
        found[digest] = Identity(users[user], id_, end, scopes_in(scopes))
        if previous is not None and until is not None:
            found[previous] = Identity(users[user], id_, min(end, until), scopes_in(scopes))
    enrolled = (
        set(
            (
                await connection.execute(select(TotpRow.user_id).where(TotpRow.confirmed_at.is_not(None)))
            ).scalars()
        )
        if totp_required
        else set()
    )
    row = SessionRow
    sessions = select(row.digest, row.user_id, row.expires_at, row.how, row.created_at)
    for digest, user, expires, how, since in await connection.execute(sessions.where(row.expires_at > now)):
        if user in users:
            enrolling = totp_required and how == "password" and user not in enrolled
            found[digest] = Identity(
                users[user], None, expires, (), session_id(digest), how, since, enrolling
            )
    return users, found
