"""Signing in: by password with an optional second factor, through an OpenID provider, and registering."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from argon2 import Parameters
from argon2.profiles import RFC_9106_LOW_MEMORY
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from codeweft.accounts import totp
from codeweft.accounts.passwords import Passwords, check_password
from codeweft.accounts.people import Actor, People, Role, User
from codeweft.accounts.sessions import Visit, begin
from codeweft.accounts.tables import ExternalIdentityRow, PasswordRow, TotpRow, UserRow
from codeweft.accounts.throttle import Throttle
from codeweft.errors import CodeNeeded, Conflict, InvalidRequest, NotAllowed, NotFound, NotSignedIn

Registration = Literal["closed", "approval", "open"]
FREE_OF_ACCOUNT: Final = 50
"""Failures before an account makes everybody wait: few enough against guessing, too many to lock a colleague out."""
FREE_OF_ADDRESS: Final = 20
FREE_OF_BOTH: Final = 5
FREE_REGISTRATIONS: Final = 5
"""Of one address; a team behind one address waits a little between the others."""


@dataclass(frozen=True, slots=True)
class SignInPolicy:
    """What settings decide. `totp="required"` lets a password session do nothing but enrol until there is a factor."""

    registration: Registration = "closed"
    totp: Literal["optional", "required"] = "optional"
    session_seconds: float = 30 * 86400.0
    password_cost: Parameters = field(default_factory=lambda: RFC_9106_LOW_MEMORY)


@dataclass(frozen=True, slots=True)
class External:
    """A user as an OpenID provider tells of them; `subject` is theirs for good, `name` and `email` may change."""

    issuer: str
    subject: str
    name: str
    email: str = ""


@dataclass(frozen=True, slots=True)
class Factors:
    """How a user can sign in; `recovery` codes are left."""

    password: bool
    totp: bool
    recovery: int
    issuers: tuple[str, ...]


class SignIn:
    """Ways in beside links and keys. `changed` is awaited after each change, so that it is in force at once."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Callable[[], float],
        changed: Callable[[], Awaitable[None]],
        people: People,
        policy: SignInPolicy,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._changed = changed
        self._people = people
        self.policy = policy
        self._passwords = Passwords(policy.password_cost)
        self._throttle = Throttle(clock)
        self._taking = asyncio.Lock()

    # ── by password ──────────────────────────────────────────────────────────────────────────────────────────

    async def with_password(self, name: str, password: str, code: str | None, visit: Visit) -> str:
        """A session token for the right name, password and, where the user has a second factor, code.

        Raises `NotSignedIn` for wrong ones, `CodeNeeded`, `NotAllowed` for a user who is not let in, `RateLimited`.
        """
        both, address, account = ("both", name, visit.address), ("address", visit.address), ("account", name)
        attempts = ((both, FREE_OF_BOTH), (address, FREE_OF_ADDRESS), (account, FREE_OF_ACCOUNT))
        self._throttle.attempt(attempts)
        found = await self._row_by_name(name)
        encoded = None if found is None else found.hash
        if not await self._passwords.matches(password, encoded) or found is None:
            raise NotSignedIn(
                "The name or the password is wrong.",
                fix="An administrator can make a link by which you set a new password.",
            )
        user = User(found.id, found.name, found.role, found.team_id, found.status)
        _check_active(user)
        if found.confirmed_at is not None:
            if not code:
                self._throttle.forgive(both, address, account)
                raise CodeNeeded(
                    "A code of your authenticator app is needed.", fix="Send it as `code`.", param="code"
                )
            if not await self.take_code(user.id, code):
                raise NotSignedIn("The code is wrong, or was used already.", fix="Wait for the next one.")
        self._throttle.succeeded(both, account)
        if self._passwords.outdated(found.hash):
            await self._store_password(user.id, password)
        return await self._begin(user, "password", visit)

    async def set_password(self, user: User, password: str, *, actor: Actor) -> None:
        """Give a user a password; raises `InvalidRequest` for one that is too easily guessed."""
        check_password(password, user.name)
        await self._store_password(user.id, password)
        await self._people.note(actor, "user.password", user.name)

    async def check_current(self, user: User, password: str, visit: Visit) -> None:
        """Raises `NotAllowed` unless this is the user's password, `RateLimited` after too many that were not."""
        subject = ("current", user.id)
        self._throttle.attempt([(subject, FREE_OF_BOTH), (("address", visit.address), FREE_OF_ADDRESS)])
        found = await self._row_by_name(user.name)
        if found is None or not await self._passwords.matches(password, found.hash):
            raise NotAllowed("The current password is wrong.", fix="Sign in by a link if you forgot it.")
        self._throttle.succeeded(subject)

    async def remove_password(self, user: User, *, actor: Actor) -> None:
        """Take a user's password away; links and single sign-on go on working."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(PasswordRow).where(PasswordRow.user_id == user.id))
            await self._people.note_in(connection, actor, "user.password-removed", user.name)

    async def _store_password(self, user_id: str, password: str) -> None:
        encoded = await self._passwords.hash(password)
        async with self._engine.begin() as connection:
            await connection.execute(delete(PasswordRow).where(PasswordRow.user_id == user_id))
            row = {"user_id": user_id, "hash": encoded, "changed_at": self._clock()}
            await connection.execute(insert(PasswordRow).values(row))

    async def register(self, name: str, password: str, visit: Visit) -> User:
        """A new user as the policy has it: active, or waiting for an administrator.

        Raises `NotAllowed` where registration is closed, `Conflict` for a name that is taken, `InvalidRequest`,
        `RateLimited`.
        """
        if self.policy.registration == "closed":
            raise NotAllowed("Nobody can register here.", fix="An administrator adds users.")
        check_password(password, name)
        self._throttle.attempt([(("register", visit.address), FREE_REGISTRATIONS)])
        status: Literal["active", "waiting"] = "active" if self.policy.registration == "open" else "waiting"
        user = await self._people.add_user(
            name, actor=Actor(name.strip()[:200], visit.address), status=status
        )
        await self._store_password(user.id, password)
        return user

    # ── the second factor ────────────────────────────────────────────────────────────────────────────────────

    async def begin_totp(self, user: User) -> tuple[str, str]:
        """A new secret and its `otpauth://` address, in force once confirmed. Raises `Conflict` where one is."""
        secret = totp.new_secret()
        async with self._engine.begin() as connection:
            row = TotpRow
            old = (await connection.execute(select(row.confirmed_at).where(row.user_id == user.id))).first()
            if old is not None and old.confirmed_at is not None:
                raise Conflict("You have a second factor already.", fix="Remove it first.")
            await connection.execute(delete(row).where(row.user_id == user.id))
            fresh = {"user_id": user.id, "secret": secret, "last_step": 0, "recovery": []}
            await connection.execute(insert(row).values(fresh))
        return secret, totp.address(secret, user.name)

    async def confirm_totp(self, user: User, code: str, *, actor: Actor) -> list[str]:
        """Put the factor in force; its recovery codes, shown this once. Raises `InvalidRequest` for a wrong code."""
        found = await self._factor(user.id)
        if found is None or found.confirmed_at is not None:
            raise Conflict("There is no second factor to confirm.", fix="Begin with a new one.")
        step = totp.step_of(found.secret, code, self._clock(), found.last_step)
        if step is None:
            raise InvalidRequest("The code is wrong.", fix="Is the phone's clock right?", param="code")
        codes = totp.new_recovery_codes()
        digests = [totp.recovery_digest(one) for one in codes]
        values = {"confirmed_at": self._clock(), "last_step": step, "recovery": digests}
        async with self._engine.begin() as connection:
            await connection.execute(update(TotpRow).where(TotpRow.user_id == user.id).values(values))
            await self._people.note_in(connection, actor, "user.totp", user.name)
        await self._changed()
        return codes

    async def renew_recovery(self, user: User, *, actor: Actor) -> list[str]:
        """New recovery codes; the old ones stop working. Raises `NotFound` without a factor."""
        codes = totp.new_recovery_codes()
        values = {"recovery": [totp.recovery_digest(one) for one in codes]}
        mine = (TotpRow.user_id == user.id, TotpRow.confirmed_at.is_not(None))
        async with self._engine.begin() as connection:
            done = await connection.execute(update(TotpRow).where(*mine).values(values))
            if not done.rowcount:
                raise NotFound("There is no second factor.")
            await self._people.note_in(connection, actor, "user.totp-recovery", user.name)
        return codes

    async def remove_totp(self, user: User, *, actor: Actor) -> None:
        """Take a user's second factor away. Raises `NotFound` without one."""
        async with self._engine.begin() as connection:
            done = await connection.execute(delete(TotpRow).where(TotpRow.user_id == user.id))
            if not done.rowcount:
                raise NotFound(f"{user.name} has no second factor.")
            await self._people.note_in(connection, actor, "user.totp-removed", user.name)
        await self._changed()

    async def check_code(self, user: User, code: str, visit: Visit) -> None:
        """Raises `NotAllowed` unless `code` is one of the user's now, `RateLimited` after too many that were not."""
        subject = ("code", user.id)
        self._throttle.attempt([(subject, FREE_OF_BOTH), (("address", visit.address), FREE_OF_ADDRESS)])
        if not await self.take_code(user.id, code):
            raise NotAllowed("The code is wrong, or was used already.", fix="Wait for the next one.")
        self._throttle.succeeded(subject)

    async def take_code(self, user_id: str, code: str) -> bool:
        """Whether `code` is of the user's app or one of the recovery codes; each is good once."""
        async with self._taking:
            found = await self._factor(user_id)
            if found is None or found.confirmed_at is None:
                return False
            values: dict[str, Any]
            mine = TotpRow.user_id == user_id
            recovery = totp.recovery_digest(code)
            if (step := totp.step_of(found.secret, code, self._clock(), found.last_step)) is not None:
                values = {"last_step": step}
            elif recovery in found.recovery:
                values = {"recovery": [one for one in found.recovery if one != recovery]}
            else:
                return False
            async with self._engine.begin() as connection:
                # Another process may have taken it meanwhile.
                unused = (mine, TotpRow.last_step == found.last_step)
                done = await connection.execute(update(TotpRow).where(*unused).values(values))
            return bool(done.rowcount)

    async def factors(self, user: User) -> Factors:
        """How a user can sign in."""
        found, row = await self._row_by_name(user.name), ExternalIdentityRow
        async with self._engine.connect() as connection:
            issuers = (
                (await connection.execute(select(row.issuer).where(row.user_id == user.id))).scalars().all()
            )
        has = found is not None and found.confirmed_at is not None
        left = len(found.recovery) if has and found is not None else 0
        return Factors(found is not None and found.hash is not None, has, left, tuple(issuers))

    # ── through a provider ───────────────────────────────────────────────────────────────────────────────────

    async def with_identity(
        self,
        known: External,
        visit: Visit,
        *,
        approved: bool,
        role: Role | None = None,
        team: str | None = None,
    ) -> str:
        """A session token for whom a provider vouches for; a new user is made (waiting, unless `approved`).

        `role` and `team` (a name; "" for none) are what the provider's groups mean; None leaves them as they are.
        Raises `NotAllowed` for a user who is not let in, `Conflict` for a new one whose name is taken.
        """
        actor = Actor(f"single sign-on: {known.name}", visit.address)
        user = await self._linked(known) or await self._new(known, actor, approved)
        if team:
            await self._ensure_team(team, actor)
        wanted = None if team is None else (await self._people.team(team)).id if team else ""
        changes: dict[str, Any] = {}
        if role is not None and role != user.role:
            changes["role"] = role
        if wanted is not None and wanted != user.team_id:
            changes["team"] = team
        if changes:
            try:
                user = await self._people.change_user(user.id, actor=actor, **changes)
            except NotAllowed:
                # The last administrator stays one, whatever the provider says; somebody has to mend its groups.
                changes.pop("role", None)
                user = await self._people.change_user(user.id, actor=actor, **changes)
        _check_active(user)
        return await self._begin(user, "oidc", visit)

    async def link_identity(self, user: User, issuer: str, subject: str, *, actor: Actor) -> None:
        """Let a user in as whom the provider calls `subject`. Raises `Conflict` when that is somebody already."""
        try:
            async with self._engine.begin() as connection:
                await self._add_identity(connection, External(issuer, subject, user.name), user.id)
                await self._people.note_in(connection, actor, "user.identity", user.name, subject=subject)
        except IntegrityError:
            raise Conflict("That identity belongs to a user already.", param="subject") from None

    async def _linked(self, known: External) -> User | None:
        row = ExternalIdentityRow
        query = (
            select(UserRow.id, UserRow.name, UserRow.role, UserRow.team_id, UserRow.status)
            .join(row, row.user_id == UserRow.id)
            .where(row.issuer == known.issuer, row.subject == known.subject)
        )
        async with self._engine.connect() as connection:
            found = (await connection.execute(query)).first()
        return None if found is None else User(*found)

    async def _new(self, known: External, actor: Actor, approved: bool) -> User:
        try:
            user = await self._people.add_user(
                known.name, actor=actor, status="active" if approved else "waiting"
            )
        except Conflict:
            # To take the user of that name for the same person would give an account to whoever chooses its name.
            raise Conflict(
                f"There is a user {known.name!r} here who is not linked to your single sign-on.",
                fix=f"An administrator links it: `codeweft users identity {known.name} {known.subject}`.",
            ) from None
        async with self._engine.begin() as connection:
            await self._add_identity(connection, known, user.id)
        return user

    async def _add_identity(self, connection: AsyncConnection, known: External, user_id: str) -> None:
        await connection.execute(
            insert(ExternalIdentityRow).values(
                issuer=known.issuer,
                subject=known.subject,
                user_id=user_id,
                email=known.email[:320],
                created_at=self._clock(),
            )
        )

    async def _ensure_team(self, name: str, actor: Actor) -> None:
        if name not in [team.name for team in await self._people.teams()]:
            try:
                await self._people.add_team(name, actor=actor)
            except Conflict:
                pass

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _begin(self, user: User, how: Literal["password", "oidc"], visit: Visit) -> str:
        async with self._engine.begin() as connection:
            now, seconds = self._clock(), self.policy.session_seconds
            token = await begin(connection, user.id, how, visit, now, seconds)
            await self._people.note_in(
                connection, Actor(user.name, visit.address), "signin", user.name, how=how
            )
        await self._changed()
        return token

    async def _row_by_name(self, name: str) -> Row[Any] | None:
        query = (
            select(
                *(UserRow.id, UserRow.name, UserRow.role, UserRow.team_id, UserRow.status),
                *(PasswordRow.hash, TotpRow.confirmed_at, TotpRow.recovery),
            )
            .outerjoin(PasswordRow, PasswordRow.user_id == UserRow.id)
            .outerjoin(TotpRow, TotpRow.user_id == UserRow.id)
            .where(UserRow.name == name)
        )
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).first()

    async def _factor(self, user_id: str) -> Row[Any] | None:
        row = TotpRow
        columns: Sequence[Any] = (row.secret, row.confirmed_at, row.last_step, row.recovery)
        async with self._engine.connect() as connection:
            return (await connection.execute(select(*columns).where(row.user_id == user_id))).first()


def _check_active(user: User) -> None:
    if user.status == "waiting":
        raise NotAllowed(
            f"{user.name} is waiting for an administrator's approval.", fix="Try again when you are told."
        )
    if user.status != "active":
        raise NotAllowed(f"{user.name} is disabled.", fix="Ask an administrator.")
