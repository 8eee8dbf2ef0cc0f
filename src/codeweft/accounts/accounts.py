"""Who may do what: users, one-time sign-in links, sessions and API keys.

Whoever asks is looked up in memory; the database is read when it changed, which is noticed within a second even
when another process (the command line) changed it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from codeweft.accounts.access import IndexAccess, Readers, may_read, read_access
from codeweft.accounts.conversations import Conversations
from codeweft.accounts.database import connect
from codeweft.accounts.feedback import FeedbackBook
from codeweft.accounts.identities import SCOPES, Identity, Scope, read_identities, scopes_in
from codeweft.accounts.ledger import Entry, Ledger, Total
from codeweft.accounts.limits import EVERYONE, Gate, Subject, period_start
from codeweft.accounts.people import Actor, People, User
from codeweft.accounts.sessions import Sessions, Visit, begin, digest
from codeweft.accounts.signin import SignIn, SignInPolicy
from codeweft.accounts.snippets import Snippets
from codeweft.accounts.tables import ApiKeyRow, RevisionRow, SessionRow, SigninLinkRow, UserRow
from codeweft.errors import CodeweftError, Conflict, InvalidRequest, NotFound, NotSignedIn
from codeweft.types import Caller, replace

log = logging.getLogger("codeweft.accounts")

KEY_PREFIX = "cw_"
ROTATION_SECONDS = 24 * 3600
"""How long the old secret of a rotated key goes on working, unless told otherwise."""
LINK_SECONDS = 15 * 60
LOCAL: Final = Caller().user
"""Commands of this machine's user, who owns the state folder."""
POLL_SECONDS = 0.5
"""How often changes of other processes are looked for; a revoked key works at most this long."""
FLUSH_SECONDS = 30
"""How often `last_used_at` is written: it informs people, so it need not cost a write a request."""

_REVISION: Final = "SELECT n, coalesce((SELECT max(rowid) FROM usage), 0) FROM revision"
"""What changes with accounts, and with what was used: the rows of the ledger are numbered as they come."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of an API key; the key itself is shown once, when it is made.

    `expires_at` is Unix seconds, None for a key that does not expire; `scopes` are what it may do, empty for all.
    """

    id: str
    user_id: str
    name: str
    prefix: str
    created_at: float
    last_used_at: float | None
    expires_at: float | None = None
    scopes: tuple[Scope, ...] = ()


class Accounts:
    """The accounts of one database. Open with `await Accounts.open(path)`, close with `await accounts.close()`."""

    def __init__(
        self,
        engine: AsyncEngine,
        journals: Path,
        clock: Callable[[], float] = time.time,
        policy: SignInPolicy = SignInPolicy(),
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._identities: dict[str, Identity] = {}
        self._visitors: dict[str, Identity] = {}
        self._used: dict[str, float] = {}
        self._watcher: sqlite3.Connection | None = None
        self._version: int | None = None
        self._known: tuple[int, int] | None = None
        self._reading = asyncio.Lock()
        self._refreshing = asyncio.Lock()
        self._poll: asyncio.Task[None] | None = None
        self._users: dict[str, User] = {}
        self._readers: dict[str, Readers] = {}
        self.people = People(engine, clock, self._wrote)
        self.access = IndexAccess(engine, self.people, self._wrote)
        self.sessions = Sessions(engine, clock, self._wrote)
        self.signin = SignIn(engine, clock, self._wrote, self.people, policy)
        self.gate = Gate(clock)
        self.ledger = Ledger(engine, journals)
        self.conversations = Conversations(engine, clock, self.may_read)
        self.snippets = Snippets(engine, clock)
        self.feedback = FeedbackBook(engine)

    @classmethod
    async def open(
        cls,
        url_or_path: str | Path,
        clock: Callable[[], float] = time.time,
        *,
        journals: Path | None = None,
        policy: SignInPolicy = SignInPolicy(),
    ) -> Accounts:
        """Open and migrate the database. `journals` is where usage waits to be taken over (default: beside SQLite's file).

        Raises `StorageFailed`.
        """
        folder = journals or Path(url_or_path).parent / "journals"
        accounts = cls(await connect(url_or_path), folder, clock, policy)
        if accounts._engine.dialect.name == "sqlite":
            # Outside a transaction: an open read transaction would hold the version still. On this thread: asking
            # takes some microseconds, handing the question to another several hundred.
            accounts._watcher = sqlite3.connect(
                str(accounts._engine.url.database), isolation_level=None, timeout=0
            )
        await accounts._reload()
        return accounts

    async def close(self) -> None:
        if self._poll is not None:
            self._poll.cancel()
            with suppress(asyncio.CancelledError):
                await self._poll
        await self._flush()
        await self.ledger.close()
        if self._watcher is not None:
            self._watcher.close()
        await self._engine.dispose()

    async def __aenter__(self) -> Accounts:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def watch(self) -> None:
        """Follow other processes' changes and keep the ledger until `close`. A server calls it once."""
        if self._poll is None:
            taken = await self.ledger.recover()
            if taken:
                log.info("%d answers of a server that was killed are in the ledger now", taken)
            await self._recount()
            self.ledger.follow()
            self._poll = asyncio.create_task(self._follow(), name="accounts")

    async def adopt(self, policy: SignInPolicy) -> None:
        """Let people in by another policy from now on."""
        self.signin.policy = policy
        await self._reload()

    # ── what is used ─────────────────────────────────────────────────────────────────────────────────────────

    def subjects(self, user_id: str, key_id: str | None) -> tuple[Subject, ...]:
        """Who a request counts for: its user, its key, its team."""
        user = self._users.get(user_id)
        team = "" if user is None else user.team_id
        subjects: list[Subject] = [("user", user_id)]
        if key_id:
            subjects.append(("key", key_id))
        if team:
            subjects.append(("team", team))
        return tuple(subjects)

    def spend(self, entry: Entry) -> None:
        """Take an answer into the ledger and count it against limits."""
        subjects = self.subjects(entry.user_id, entry.key_id)
        team = next((name for kind, name in subjects if kind == "team"), "")
        self.ledger.record(replace(entry, team_id=team) if team else entry)
        self.gate.charge(subjects, entry.tokens, entry.cost or 0.0)

    async def _recount(self) -> None:
        """Count what the ledger holds of the current periods against the limits in force."""
        now = self._clock()
        limits = await self.people.limits()
        sums: list[tuple[Subject, float, Total]] = []
        for period in {limit.period for limit in limits.values()}:
            start = period_start(period, now)
            for kind in ("user", "key", "team"):
                for total in await self.ledger.totals(kind, start, now + 1):
                    subject: Subject = (kind, total.group)
                    limit = limits.get(subject) or (limits.get(EVERYONE) if kind == "user" else None)
                    if total.group and limit is not None and limit.period == period:
                        sums.append((subject, max(start, 1.0), total))
        self.gate.set_limits(limits)
        self.gate.forget_spent()
        for subject, at, total in sums:
            self.gate.charge([subject], total.prompt_tokens + total.completion_tokens, total.cost, at)

    # ── who asks ─────────────────────────────────────────────────────────────────────────────────────────────

    def known(self, secret: str) -> Identity | None:
        """The owner of a key or session token, from memory."""
        kept = digest(secret)
        identity = self._identities.get(kept) or self._visitors.get(kept)
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

    def may_read(self, user_id: str, index: str) -> bool:
        """Whether a user (by id) may read an index; commands of this machine's user may read all."""
        if user_id == LOCAL:
            return True
        user = self._users.get(user_id)
        return user is not None and may_read(user, self._readers.get(index))

    def readers(self, index: str) -> Readers | None:
        """Who may read an index beside administrators; None for all."""
        return self._readers.get(index)

    def restricted(self) -> Mapping[str, Readers]:
        """The indexes that are not open to all, and who may read them."""
        return self._readers

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

    async def signin_link(self, user: User | None = None) -> str:
        """A token that signs its bearer in as `user` (default: the first admin), once, within 15 minutes."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        user = user or await self.admin()
        async with self._engine.begin() as connection:
            await connection.execute(delete(SigninLinkRow).where(SigninLinkRow.expires_at <= now))
            await connection.execute(
                insert(SigninLinkRow).values(
                    digest=digest(token), user_id=user.id, created_at=now, expires_at=now + LINK_SECONDS
                )
            )
        return token

    async def redeem(self, token: str, visit: Visit = Visit()) -> str:
        """Exchange a sign-in token for a session token. Raises `NotSignedIn` when it is spent or wrong."""
        now = self._clock()
        async with self._engine.begin() as connection:
            # One statement decides who wins: whoever deletes the row.
            spent = await connection.execute(
                delete(SigninLinkRow)
                .where(SigninLinkRow.digest == digest(token), SigninLinkRow.expires_at > now)
                .returning(SigninLinkRow.user_id)
            )
            user_id = spent.scalar()
            if user_id is None:
                raise NotSignedIn(
                    "This sign-in link was used already, has expired or is wrong.",
                    fix="Run `codeweft signin` for a new one.",
                )
            user = (await connection.execute(select(UserRow.name).where(UserRow.id == user_id))).scalar_one()
            seconds = self.signin.policy.session_seconds
            session = await begin(connection, user_id, "link", visit, now, seconds)
            actor = Actor(user, visit.address)
            await self.people.note_in(connection, actor, "signin", user, how="link")
        await self._wrote()
        return session

    async def sign_out(self, session: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(SessionRow).where(SessionRow.digest == digest(session)))
        await self._wrote()

    async def renew(self, user: User, visit: Visit) -> str:
        """A session's token for a user who has just set a password, as if signed in with it."""
        async with self._engine.begin() as connection:
            now, seconds = self._clock(), self.signin.policy.session_seconds
            token = await begin(connection, user.id, "password", visit, now, seconds)
        await self._wrote()
        return token

    def admit(self, user: User, secret: str | None = None) -> str:
        """Let `user` in by `secret` (None: a new one) for as long as this process lives. It is never stored."""
        secret = secret or secrets.token_urlsafe(32)
        self._visitors[digest(secret)] = Identity(user, None, float("inf"))
        return secret

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def create_key(
        self,
        name: str,
        user_id: str | None = None,
        *,
        expires_in: float | None = None,
        scopes: Sequence[Scope] = (),
        actor: Actor | None = None,
    ) -> str:
        """A new API key, `cw_` and 256 random bits. It cannot be shown again. `expires_in` is in seconds.

        Raises `InvalidRequest`.
        """
        if expires_in is not None and expires_in <= 0:
            raise InvalidRequest("A key cannot have expired already.", param="expires_in")
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise InvalidRequest(
                f"There is no scope {unknown[0]!r}.", fix=f"There are {', '.join(SCOPES)}.", param="scopes"
            )
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
                    digest=digest(secret),
                    created_at=self._clock(),
                    expires_at=None if expires_in is None else self._clock() + expires_in,
                    scopes=" ".join(dict.fromkeys(scopes)),
                )
            )
            await self._note_key(connection, actor, "key.create", name, owner)
        await self._wrote()
        return secret

    async def rotate_key(
        self,
        which: str,
        user_id: str | None = None,
        *,
        overlap: float = ROTATION_SECONDS,
        actor: Actor | None = None,
    ) -> str:
        """A new secret for a key; the old one works for `overlap` more seconds. Raises `NotFound`, `Conflict`."""
        key = await self._one_key(which, user_id)
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        async with self._engine.begin() as connection:
            await connection.execute(
                update(ApiKeyRow)
                .where(ApiKeyRow.id == key.id)
                .values(
                    previous_digest=ApiKeyRow.digest,
                    previous_until=self._clock() + overlap,
                    digest=digest(secret),
                    prefix=secret[: len(KEY_PREFIX) + 6],
                )
            )
            await self._note_key(connection, actor, "key.rotate", key.name, key.user_id)
        await self._wrote()
        return secret

    async def delete_key(self, which: str, user_id: str | None = None, *, actor: Actor | None = None) -> None:
        """Delete by id, or by name if only one key has it. Raises `NotFound`, `Conflict`."""
        key = await self._one_key(which, user_id)
        async with self._engine.begin() as connection:
            await connection.execute(delete(ApiKeyRow).where(ApiKeyRow.id == key.id))
            await self._note_key(connection, actor, "key.delete", key.name, key.user_id)
        await self._wrote()

    async def _note_key(
        self, connection: AsyncConnection, actor: Actor | None, action: str, name: str, owner: str
    ) -> None:
        """Note a change of a key, by its owner unless said otherwise."""
        user = (await connection.execute(select(UserRow.name).where(UserRow.id == owner))).scalar() or owner
        await self.people.note_in(connection, actor or Actor(user), action, name, owner=user)

    async def _one_key(self, which: str, user_id: str | None) -> Key:
        matches = [key for key in await self.keys(user_id) if which in (key.id, key.name, key.prefix)]
        if not matches:
            raise NotFound(f"There is no key {which!r}.", fix="`codeweft keys list` lists the keys.")
        if len(matches) > 1:
            raise Conflict(f"{len(matches)} keys are named {which!r}.", fix="Name it by its id.")
        return matches[0]

    async def keys(self, user_id: str | None = None) -> list[Key]:
        """The keys of a user, or all, oldest first."""
        table = ApiKeyRow
        query = select(
            *(table.id, table.user_id, table.name, table.prefix, table.created_at, table.last_used_at),
            *(table.expires_at, table.scopes),
        ).order_by(table.created_at)
        if user_id is not None:
            query = query.where(table.user_id == user_id)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        keys = (
            Key(
                row.id, row.user_id, row.name, row.prefix, row.created_at, row.last_used_at, row.expires_at,
                scopes_in(row.scopes),
            )
            for row in rows
        )  # fmt: skip
        return [replace(key, last_used_at=self._used.get(key.id, key.last_used_at)) for key in keys]

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _first_user(self) -> User | None:
        query = (
            select(UserRow.id, UserRow.name, UserRow.role, UserRow.team_id, UserRow.status)
            .where(UserRow.role == "admin", UserRow.status == "active")
            .order_by(UserRow.created_at)
            .limit(1)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else User(*row)

    async def _wrote(self) -> None:
        """Put what this process just wrote in force, here and in others."""
        async with self._engine.begin() as connection:
            await connection.execute(update(RevisionRow).values(n=RevisionRow.n + 1))
        await self._reload()

    async def _reload(self) -> None:
        required = self.signin.policy.totp == "required"
        async with self._reading, self._engine.connect() as connection:
            self._users, self._identities = await read_identities(
                connection, self._clock(), totp_required=required
            )
            self._readers = await read_access(connection)
        if self._poll is not None:
            await self._recount()

    async def _refresh(self) -> None:
        """Read again what another connection changed. Whoever asks meanwhile waits, rather than see the old."""
        async with self._refreshing:
            if await self._changed():
                await self._reload()

    async def _changed(self) -> bool:
        """Whether others changed accounts, or what was used, since the last call."""
        if self._watcher is None:
            async with self._engine.connect() as connection:
                known = (await connection.execute(select(RevisionRow.n))).scalar_one(), 0
        else:
            try:
                version = self._watcher.execute("PRAGMA data_version").fetchone()[0]
                if version == self._version:
                    return False
                # Every answer and every chat writes, too, and what this process wrote it knows.
                revision, used = self._watcher.execute(_REVISION).fetchone()
                if self.ledger.taking and self._known is not None and self._known[0] == revision:
                    return False  # whose entries they are is known when ours are counted
                known = revision, used - self.ledger.taken
                self._version = version
            except sqlite3.OperationalError:
                return False  # somebody holds the database for a moment; the next round asks again
        changed, self._known = known != self._known, known
        return changed

    async def _follow(self) -> None:
        flushed = self._clock()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._refresh()
                if self._clock() - flushed > FLUSH_SECONDS:
                    flushed = self._clock()
                    await self._flush()
            except (CodeweftError, SQLAlchemyError, sqlite3.Error):
                pass  # a busy or full disk must not end the watch; the next round tries again
            except Exception:
                # Nobody waits for this task: one that ended would let revoked keys in for ever.
                log.exception("changes of accounts are looked for again")

    async def _flush(self) -> None:
        used, self._used = self._used, {}
        if not used:
            return
        with suppress(CodeweftError, SQLAlchemyError):
            async with self._engine.begin() as connection:
                for key_id, when in used.items():
                    statement = update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(last_used_at=when)
                    await connection.execute(statement)


def _id() -> str:
    return secrets.token_hex(8)
