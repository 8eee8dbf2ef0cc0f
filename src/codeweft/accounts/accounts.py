"""Who may do what: users, one-time sign-in links, sessions and API keys.

Whoever asks is looked up in memory; the database is read when it changed, which is noticed within a second even
when another process (the command line) changed it.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from codeweft.accounts.conversations import Conversations
from codeweft.accounts.database import connect
from codeweft.accounts.tables import ApiKeyRow, SessionRow, SigninLinkRow, UserRow
from codeweft.errors import Conflict, InvalidRequest, NotFound, NotSignedIn

KEY_PREFIX = "cw_"
SESSION_SECONDS = 30 * 86400
LINK_SECONDS = 15 * 60
POLL_SECONDS = 0.5
"""How often changes of other processes are looked for; a revoked key works at most this long."""
FLUSH_SECONDS = 30
"""How often `last_used_at` is written: it informs people, so it need not cost a write a request."""


@dataclass(frozen=True, slots=True)
class User:
    id: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of an API key; the key itself is shown once, when it is made."""

    id: str
    user_id: str
    name: str
    prefix: str
    created_at: float
    last_used_at: float | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a key or a session belongs to; `key_id` is None for a session. `expires_at` is Unix seconds."""

    user: User
    key_id: str | None
    expires_at: float


class Accounts:
    """The accounts of one database. Open with `await Accounts.open(path)`, close with `await accounts.close()`."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self._identities: dict[str, Identity] = {}
        self._visitors: dict[str, Identity] = {}
        self._used: dict[str, float] = {}
        self._watcher: AsyncConnection | None = None
        self._version: int | None = None
        self._reading = asyncio.Lock()
        self._refreshing = asyncio.Lock()
        self._poll: asyncio.Task[None] | None = None
        self.conversations = Conversations(engine, clock)

    @classmethod
    async def open(cls, url_or_path: str | Path, clock: Callable[[], float] = time.time) -> Accounts:
        """Open and migrate the database. Raises `StorageFailed`."""
        accounts = cls(await connect(url_or_path), clock)
        if accounts._engine.dialect.name == "sqlite":
            accounts._watcher = await accounts._engine.connect()
            # A pragma outside a transaction: an open read transaction would hold the version still.
            accounts._watcher = await accounts._watcher.execution_options(isolation_level="AUTOCOMMIT")
        await accounts._reload()
        return accounts

    async def close(self) -> None:
        if self._poll is not None:
            self._poll.cancel()
            with suppress(asyncio.CancelledError):
                await self._poll
        await self._flush()
        if self._watcher is not None:
            await self._watcher.close()
        await self._engine.dispose()

    async def __aenter__(self) -> Accounts:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def watch(self) -> None:
        """Follow other processes' changes until `close`. A server calls it once; a command needs it not."""
        if self._poll is None:
            self._poll = asyncio.create_task(self._follow(), name="accounts")

    # ── who asks ─────────────────────────────────────────────────────────────────────────────────────────────

    def known(self, secret: str) -> Identity | None:
        """The owner of a key or session token, from memory."""
        digest = _digest(secret)
        identity = self._identities.get(digest) or self._visitors.get(digest)
        if identity is None or identity.expires_at <= self._clock():
            return None
        if identity.key_id is not None:
            self._used[identity.key_id] = self._clock()
        return identity

    async def identify(self, secret: str) -> Identity | None:
        """Like `known`, but looks again when the database changed since (a key made a moment ago elsewhere)."""
        identity = self.known(secret)
        if identity is None:
            await self._refresh()
            identity = self.known(secret)
        return identity

    # ── signing in ───────────────────────────────────────────────────────────────────────────────────────────

    async def admin(self) -> User:
        """The first user, made on first use."""
        user = await self._first_user()
        if user is None:
            # Another process may have been quicker; its user is as good.
            with suppress(IntegrityError):
                async with self._engine.begin() as connection:
                    row = {"id": _id(), "name": "admin", "role": "admin", "created_at": self._clock()}
                    await connection.execute(insert(UserRow).values(row))
            user = await self._first_user()
            assert user is not None
        return user

    async def signin_link(self) -> str:
        """A token that signs its bearer in as the admin, once, within 15 minutes."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        user = await self.admin()
        async with self._engine.begin() as connection:
            await connection.execute(delete(SigninLinkRow).where(SigninLinkRow.expires_at <= now))
            await connection.execute(
                insert(SigninLinkRow).values(
                    digest=_digest(token), user_id=user.id, created_at=now, expires_at=now + LINK_SECONDS
                )
            )
        return token

    async def redeem(self, token: str) -> str:
        """Exchange a sign-in token for a session token (30 days). Raises `NotSignedIn` when it is spent or wrong."""
        now = self._clock()
        session = secrets.token_urlsafe(32)
        async with self._engine.begin() as connection:
            # One statement decides who wins: whoever deletes the row.
            spent = await connection.execute(
                delete(SigninLinkRow)
                .where(SigninLinkRow.digest == _digest(token), SigninLinkRow.expires_at > now)
                .returning(SigninLinkRow.user_id)
            )
            user_id = spent.scalar()
            if user_id is None:
                raise NotSignedIn(
                    "This sign-in link was used already, has expired or is wrong.",
                    fix="Run `codeweft signin` for a new one.",
                )
            await connection.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
            await connection.execute(
                insert(SessionRow).values(
                    digest=_digest(session), user_id=user_id, created_at=now, expires_at=now + SESSION_SECONDS
                )
            )
        await self._reload()
        return session

    async def sign_out(self, session: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(SessionRow).where(SessionRow.digest == _digest(session)))
        await self._reload()

    def admit(self, user: User, secret: str | None = None) -> str:
        """Let `user` in by `secret` (None: a new one) for as long as this process lives. It is never stored."""
        secret = secret or secrets.token_urlsafe(32)
        self._visitors[_digest(secret)] = Identity(user, None, float("inf"))
        return secret

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def create_key(self, name: str, user_id: str | None = None) -> str:
        """A new API key, `cw_` and 256 random bits. It cannot be shown again. Raises `InvalidRequest`."""
        name = name.strip()
        if not name or len(name) > 200:
            raise InvalidRequest("A key needs a name of 1 to 200 characters.", param="name")
        owner = user_id or (await self.admin()).id
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        async with self._engine.begin() as connection:
            await connection.execute(
                insert(ApiKeyRow).values(
                    id=_id(),
                    user_id=owner,
                    name=name,
                    prefix=secret[: len(KEY_PREFIX) + 6],
                    digest=_digest(secret),
                    created_at=self._clock(),
                )
            )
        await self._reload()
        return secret

    async def delete_key(self, which: str, user_id: str | None = None) -> None:
        """Delete by id, or by name if only one key has it. Raises `NotFound`, `Conflict`."""
        matches = [key for key in await self.keys(user_id) if which in (key.id, key.name)]
        if not matches:
            raise NotFound(f"There is no key {which!r}.", fix="`codeweft keys list` lists the keys.")
        if len(matches) > 1:
            raise Conflict(f"{len(matches)} keys are named {which!r}.", fix="Delete by id.")
        async with self._engine.begin() as connection:
            await connection.execute(delete(ApiKeyRow).where(ApiKeyRow.id == matches[0].id))
        await self._reload()

    async def keys(self, user_id: str | None = None) -> list[Key]:
        """The keys of a user, or all, oldest first."""
        table = ApiKeyRow
        query = select(
            table.id, table.user_id, table.name, table.prefix, table.created_at, table.last_used_at
        ).order_by(table.created_at)
        if user_id is not None:
            query = query.where(table.user_id == user_id)
        async with self._engine.connect() as connection:
            found = [Key(*row) for row in await connection.execute(query)]
        return [
            Key(k.id, k.user_id, k.name, k.prefix, k.created_at, self._used.get(k.id, k.last_used_at))
            for k in found
        ]

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _first_user(self) -> User | None:
        query = select(UserRow.id, UserRow.name, UserRow.role).order_by(UserRow.created_at).limit(1)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else User(*row)

    async def _reload(self) -> None:
        users = select(UserRow.id, UserRow.name, UserRow.role)
        keys = select(ApiKeyRow.digest, ApiKeyRow.user_id, ApiKeyRow.id)
        sessions = select(SessionRow.digest, SessionRow.user_id, SessionRow.expires_at).where(
            SessionRow.expires_at > self._clock()
        )
        async with self._reading, self._engine.connect() as connection:
            people = {row.id: User(*row) for row in await connection.execute(users)}
            found = {
                digest: Identity(people[user], key, float("inf"))
                for digest, user, key in await connection.execute(keys)
                if user in people
            }
            for digest, user, expires in await connection.execute(sessions):
                if user in people:
                    found[digest] = Identity(people[user], None, expires)
            self._identities = found

    async def _refresh(self) -> None:
        """Read again what another connection changed. Whoever asks meanwhile waits, rather than see the old."""
        async with self._refreshing:
            if await self._changed():
                await self._reload()

    async def _changed(self) -> bool:
        """Whether another connection wrote since the last call. SQLite knows; other databases are read again."""
        if self._watcher is None:
            return True
        version = (await self._watcher.exec_driver_sql("PRAGMA data_version")).scalar()
        changed, self._version = version != self._version, version
        return changed

    async def _follow(self) -> None:
        flushed = self._clock()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            # A busy or full disk must not end the watch; the next round tries again.
            with suppress(OperationalError):
                await self._refresh()
                if self._clock() - flushed > FLUSH_SECONDS:
                    flushed = self._clock()
                    await self._flush()

    async def _flush(self) -> None:
        used, self._used = self._used, {}
        if not used:
            return
        with suppress(OperationalError):
            async with self._engine.begin() as connection:
                for key_id, when in used.items():
                    statement = update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(last_used_at=when)
                    await connection.execute(statement)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _id() -> str:
    return secrets.token_hex(8)
