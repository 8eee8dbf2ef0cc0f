"""Passwords, second factors, registration and identities of a provider, without HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pyotp
import pytest
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY

from codeweft.accounts import Accounts, Actor, External, SignInPolicy, User, Visit
from codeweft.accounts.passwords import Passwords, check_password
from codeweft.accounts.throttle import FORGET_SECONDS, LONGEST_WAIT, Throttle
from codeweft.errors import (
    CodeNeeded,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotFound,
    NotSignedIn,
    RateLimited,
)
from tests.accounts.test_accounts import Clock

BY = Actor("admin", "10.0.0.1")
HERE = Visit("10.0.0.7", "Firefox")
GOOD = "correct horse battery"


@asynccontextmanager
async def opened(tmp_path: Path, **policy: str) -> AsyncIterator[tuple[Accounts, User, Clock]]:
    """Accounts with a user `ann` whose password is GOOD."""
    clock = Clock()
    chosen = SignInPolicy(password_cost=CHEAPEST, **policy)  # type: ignore[arg-type]
    async with await Accounts.open(tmp_path / "a.db", clock, policy=chosen) as accounts:
        await accounts.admin()
        ann = await accounts.people.add_user("ann", actor=BY)
        await accounts.signin.set_password(ann, GOOD, actor=BY)
        yield accounts, ann, clock


async def enrolled(accounts: Accounts, ann: User, clock: Clock) -> tuple[pyotp.TOTP, list[str]]:
    """A second factor in force, and its recovery codes; the app's next code is fresh."""
    secret, uri = await accounts.signin.begin_totp(ann)
    assert uri.startswith("otpauth://totp/Codeweft:ann?") and secret in uri
    app = pyotp.TOTP(secret)
    codes = await accounts.signin.confirm_totp(ann, app.at(int(clock.now)), actor=BY)
    clock.now += 60
    return app, codes


async def test_a_password_signs_in_and_a_wrong_one_or_name_does_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, ann, _):
        session = await accounts.signin.with_password("ann", GOOD, None, HERE)
        identity = accounts.known(session)
        assert identity is not None and identity.user.id == ann.id and identity.how == "password"
        (kept,) = await accounts.sessions.of(ann.id)
        assert (kept.address, kept.agent, kept.id) == ("10.0.0.7", "Firefox", identity.session)
        for name, password in (("ann", GOOD + "!"), ("nobody", GOOD), ("admin", GOOD), ("ann", "\ud800")):
            with pytest.raises(NotSignedIn, match="name or the password"):
                await accounts.signin.with_password(name, password, None, HERE)
    stored = (tmp_path / "a.db").read_bytes()
    assert GOOD.encode() not in stored and b"$argon2id$" in stored and session.encode() not in stored


async def test_a_hash_of_weaker_parameters_is_made_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, _, clock):
        pass
    policy = SignInPolicy(password_cost=replace(CHEAPEST, time_cost=2))
    async with await Accounts.open(tmp_path / "a.db", clock, policy=policy) as accounts:
        assert await accounts.signin.with_password("ann", GOOD, None, HERE)
        assert await accounts.signin.with_password("ann", GOOD, None, HERE)
    assert b"t=2" in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert SignInPolicy().password_cost == RFC_9106_LOW_MEMORY


async def test_the_same_letters_typed_otherwise_are_the_same_password() -> None:
    passwords = Passwords(CHEAPEST)
    encoded = await passwords.hash("na\u00efve Schl\u00fcssel")
    assert await passwords.matches("nai\u0308ve Schlu\u0308ssel", encoded)
    assert not await passwords.matches("naive Schlussel", encoded)
    assert not await passwords.matches("nobody's password", None)


@pytest.mark.parametrize(
    "weak", ["short", "x" * 300, "aaaaaaaaaaaa", "abababababab", "annannannann", "AnnAnnAnnA"]
)
def test_weak_passwords_are_refused(weak: str) -> None:
    with pytest.raises(InvalidRequest):
        check_password(weak, "ann")


async def test_guessing_is_slowed_down_for_the_guesser_and_not_for_the_user(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, _, clock):
        guesser = Visit("203.0.113.9")
        for _ in range(5):
            with pytest.raises(NotSignedIn):
                await accounts.signin.with_password("ann", "guess", None, guesser)
        with pytest.raises(RateLimited) as caught:
            await accounts.signin.with_password("ann", GOOD, None, guesser)
        assert caught.value.details["retry_after"] == 1
        assert await accounts.signin.with_password("ann", GOOD, None, HERE)
        clock.now += 1
        assert await accounts.signin.with_password("ann", GOOD, None, guesser)


def test_waits_double_up_to_a_bound_and_are_forgotten() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    waits = []
    for _ in range(16):
        try:
            throttle.attempt([("ann", 2)])
        except RateLimited as error:
            waits.append(error.details["retry_after"])
            clock.now += float(str(error.details["retry_after"]))
            throttle.attempt([("ann", 2)])
    assert waits[:4] == [1, 2, 4, 8] and waits[-1] == LONGEST_WAIT
    clock.now += FORGET_SECONDS + 1
    throttle.attempt([("ann", 2)])
    throttle.attempt([("ann", 2)])


async def test_many_guesses_at_once_gain_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, _, _clock):
        tries = [accounts.signin.with_password("ann", f"guess {n}", None, HERE) for n in range(12)]
        found = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(one, NotSignedIn) for one in found) == 5
        assert sum(isinstance(one, RateLimited) for one in found) == 7


async def test_a_second_factor_is_asked_for_and_each_code_is_good_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, ann, clock):
        app, _ = await enrolled(accounts, ann, clock)
        with pytest.raises(CodeNeeded):
            await accounts.signin.with_password("ann", GOOD, None, HERE)
        code = app.at(int(clock.now))
        assert await accounts.signin.with_password("ann", GOOD, code, HERE)
        for wrong in (code, "000000", "", "abc"):
            with pytest.raises(NotSignedIn):
                await accounts.signin.with_password("ann", GOOD, wrong, HERE)


async def test_asking_for_the_code_does_not_free_the_one_who_guesses_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, ann, clock):
        await enrolled(accounts, ann, clock)
        with pytest.raises(RateLimited):
            for _ in range(10):
                for code in ("123456", None):
                    with pytest.raises(NotSignedIn):
                        await accounts.signin.with_password("ann", GOOD, code, HERE)


async def test_a_recovery_code_replaces_the_app_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, ann, clock):
        _, codes = await enrolled(accounts, ann, clock)
        assert len(set(codes)) == 10
        assert await accounts.signin.with_password("ann", GOOD, codes[3].upper().replace("-", " "), HERE)
        with pytest.raises(NotSignedIn):
            await accounts.signin.with_password("ann", GOOD, codes[3], HERE)
        assert (await accounts.signin.factors(ann)).recovery == 9
        fresh = await accounts.signin.renew_recovery(ann, actor=BY)
        assert not await accounts.signin.take_code(ann.id, codes[0])
        assert await accounts.signin.take_code(ann.id, fresh[0])
    stored = (tmp_path / "a.db").read_bytes()
    assert not any(code.replace("-", "").encode() in stored for code in (*codes, *fresh))


async def test_a_factor_is_in_force_only_when_confirmed(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, ann, clock):
        await accounts.signin.begin_totp(ann)
        assert await accounts.signin.with_password("ann", GOOD, None, HERE)
        with pytest.raises(InvalidRequest):
            await accounts.signin.confirm_totp(ann, "000000", actor=BY)
        await enrolled(accounts, ann, clock)
        with pytest.raises(Conflict):
            await accounts.signin.begin_totp(ann)
        await accounts.signin.remove_totp(ann, actor=BY)
        assert await accounts.signin.with_password("ann", GOOD, None, HERE)
        with pytest.raises(NotFound):
            await accounts.signin.remove_totp(ann, actor=BY)


async def test_where_a_factor_is_required_a_password_alone_only_enrols(tmp_path: Path) -> None:
    async with opened(tmp_path, totp="required") as (accounts, ann, clock):
        session = await accounts.signin.with_password("ann", GOOD, None, HERE)
        identity = accounts.known(session)
        assert identity is not None and identity.enrolling
        await enrolled(accounts, ann, clock)
        identity = accounts.known(session)
        assert identity is not None and not identity.enrolling
        link = accounts.known(await accounts.redeem(await accounts.signin_link(ann)))
        assert link is not None and not link.enrolling


@pytest.mark.parametrize(("registration", "status"), [("open", "active"), ("approval", "waiting")])
async def test_who_registers_comes_in_or_waits(tmp_path: Path, registration: str, status: str) -> None:
    async with opened(tmp_path, registration=registration) as (accounts, _, _clock):
        ben = await accounts.signin.register("ben", GOOD, HERE)
        assert ben.status == status
        with pytest.raises(Conflict):
            await accounts.signin.register("ann", GOOD, HERE)
        if status == "waiting":
            with pytest.raises(NotAllowed, match="approval"):
                await accounts.signin.with_password("ben", GOOD, None, HERE)
            key = await accounts.create_key("early", ben.id)
            assert accounts.known(key) is None
            await accounts.people.change_user("ben", status="active", actor=BY)
        assert await accounts.signin.with_password("ben", GOOD, None, HERE)
        first = (await accounts.people.changes())[-1]
        assert (first.action, first.actor, first.address) == ("user.add", "admin", "10.0.0.1")


async def test_nobody_registers_where_it_is_closed_and_nobody_floods_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, _, _clock):
        with pytest.raises(NotAllowed):
            await accounts.signin.register("ben", GOOD, HERE)
    (tmp_path / "open").mkdir()
    async with opened(tmp_path / "open", registration="open") as (accounts, _, _clock):
        with pytest.raises(RateLimited):
            for n in range(10):
                await accounts.signin.register(f"bot {n}", GOOD, HERE)
        assert len(await accounts.people.users()) == 7


async def test_sessions_end_one_by_one_or_all_but_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, ann, clock):
        tokens = []
        for _ in range(4):
            clock.now += 1
            tokens.append(await accounts.redeem(await accounts.signin_link(ann)))
        one, *_, last = await accounts.sessions.of(ann.id)
        await accounts.sessions.end(ann.id, last.id)
        assert accounts.known(tokens[0]) is None and accounts.known(tokens[1]) is not None
        admin = await accounts.admin()
        for who, which in ((admin.id, one.id), (ann.id, last.id), (ann.id, "%"), (ann.id, "")):
            with pytest.raises(NotFound):
                await accounts.sessions.end(who, which)
        assert await accounts.sessions.end_all(ann.id, but=one.id) == 2
        assert [accounts.known(token) is not None for token in tokens] == [False, False, False, True]


async def test_a_provider_s_user_is_made_once_and_known_by_subject(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, ann, _):
        kim = External("https://sso", "42", "kim", "kim@example.com")
        enter = accounts.signin.with_identity
        session = accounts.known(await enter(kim, HERE, approved=True, role="admin", team="core"))
        assert session is not None and session.how == "oidc" and session.user.role == "admin"
        renamed = External("https://sso", "42", "kim lee")
        again = accounts.known(await enter(renamed, HERE, approved=True, role="member", team=""))
        assert again is not None and again.user.id == session.user.id
        assert (again.user.name, again.user.role, again.user.team_id) == ("kim", "member", "")
        with pytest.raises(NotAllowed, match="approval"):
            await enter(External("https://sso", "43", "lou"), HERE, approved=False)
        # Whoever may choose a name at the provider does not become the user of that name here.
        with pytest.raises(Conflict, match="users identity ann 44"):
            await enter(External("https://sso", "44", "ann"), HERE, approved=True)
        await accounts.signin.link_identity(ann, "https://sso", "44", actor=BY)
        linked = accounts.known(await enter(External("https://sso", "44", "ann"), HERE, approved=True))
        assert linked is not None and linked.user.id == ann.id
        with pytest.raises(Conflict):
            await accounts.signin.link_identity(ann, "https://sso", "42", actor=BY)


async def test_a_provider_cannot_remove_the_last_administrator(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, _, _clock):
        admin = await accounts.admin()
        await accounts.signin.link_identity(admin, "https://sso", "1", actor=BY)
        known = External("https://sso", "1", "admin")
        session = accounts.known(
            await accounts.signin.with_identity(known, HERE, approved=True, role="member", team="core")
        )
        assert session is not None and session.user.role == "admin" and session.user.team_id


async def test_every_change_says_who_and_from_where(tmp_path: Path) -> None:
    async with opened(tmp_path) as (accounts, ann, clock):
        await enrolled(accounts, ann, clock)
        await accounts.create_key("ci", ann.id, actor=BY)
        await accounts.rotate_key("ci", actor=BY)
        await accounts.delete_key("ci", actor=BY)
        await accounts.access.restrict("shop", users=["ann"], actor=BY)
        await accounts.access.open("shop", actor=BY)
        await accounts.signin.remove_password(ann, actor=BY)
        await accounts.redeem(await accounts.signin_link(ann), HERE)
        changes = await accounts.people.changes()
        assert {change.action for change in changes} == {
            "user.add", "user.password", "user.totp", "key.create", "key.rotate", "key.delete",
            "index.restrict", "index.open", "user.password-removed", "signin",
        }  # fmt: skip
        assert {(change.actor, change.address) for change in changes} == {
            ("admin", "10.0.0.1"), ("ann", "10.0.0.7"),
        }  # fmt: skip
