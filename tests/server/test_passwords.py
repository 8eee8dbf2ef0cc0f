"""Signing in with a password in a browser: cookies, second factors, registration, and what other sites cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pyotp
import pytest

from codeweft.accounts import Actor
from codeweft.config import ServerSettings, Settings, SignInSettings
from codeweft.models.scripted import ScriptedModel
from tests.server.conftest import Server, start

GOOD = "correct horse battery"
MARK = {"X-Codeweft": "1"}
BY = Actor("test")


def settings(public_url: str | None = None, **sign_in: Any) -> Settings:
    return Settings(server=ServerSettings(port=0, public_url=public_url), sign_in=SignInSettings(**sign_in))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("home"), {"codegen": ScriptedModel("codegen", "hi")}, settings())
    yield running
    running.stop()


def browser(server: Server, **headers: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        server.url, cookie_jar=aiohttp.CookieJar(unsafe=True), headers={**MARK, **headers}
    )


def member(server: Server, name: str) -> None:
    """A user with the password GOOD."""
    accounts = server.composition.accounts

    async def add() -> None:
        user = await accounts.people.add_user(name, actor=BY)
        await accounts.signin.set_password(user, GOOD, actor=BY)

    server.run(add())


async def sign_in(client: aiohttp.ClientSession, name: str, **more: Any) -> tuple[int, Any]:
    async with client.post("/api/session", json={"name": name, "password": GOOD, **more}) as response:
        return response.status, await response.json()


async def test_a_password_gives_a_cookie_that_scripts_and_other_sites_cannot_use(server: Server) -> None:
    member(server, "ann")
    async with browser(server) as client:
        async with client.get("/api/session") as response:
            told = await response.json()
            assert told["user"] is None
            assert told["sign_in"] == {
                "password": True, "registration": "closed", "totp": "optional", "provider": None,
            }  # fmt: skip
        async with client.post("/api/session", json={"name": "ann", "password": GOOD}) as response:
            assert response.status == 200 and (await response.json())["user"]["name"] == "ann"
            cookie = response.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
            assert "Max-Age=2592000" in cookie and "Secure" not in cookie
        async with client.get("/api/keys") as response:
            assert response.status == 200
        async with client.post("/api/session", json={"name": "ann", "password": "wrong"}) as response:
            assert response.status == 401 and GOOD not in await response.text()


async def test_behind_tls_the_cookie_is_secure(server: Server) -> None:
    member(server, "tls")
    body = {"name": "tls", "password": GOOD}
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.4"}
    async with (
        browser(server) as client,
        client.post("/api/session", json=body, headers=proxied) as response,
    ):
        assert "Secure" in response.headers["Set-Cookie"]
    change = server.run(server.composition.accounts.people.changes())[0]
    assert (change.action, change.address) == ("signin", "198.51.100.4")


async def test_signing_in_again_ends_the_browsers_last_session(server: Server) -> None:
    member(server, "rot")
    async with browser(server) as client:
        await sign_in(client, "rot")
        (old,) = [cookie.value for cookie in client.cookie_jar]
        await sign_in(client, "rot")
        (new,) = [cookie.value for cookie in client.cookie_jar]
        assert old != new
        known = server.composition.accounts.known
        assert known(old) is None and known(new) is not None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", **MARK}, 403),
        ({"Sec-Fetch-Site": "same-site", **MARK}, 403),
        ({"Sec-Fetch-Site": "same-origin", **MARK}, 201),
        ({"Sec-Fetch-Site": "none", **MARK}, 201),
        ({"Origin": "https://evil.example", **MARK}, 403),
        ({"Origin": "null", **MARK}, 403),
        ({"Origin": "OWN", **MARK}, 201),
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
    ],
)
async def test_a_change_by_cookie_comes_from_our_own_page(
    server: Server, headers: dict[str, str], status: int
) -> None:
    token = server.run(
        server.composition.accounts.redeem(server.run(server.composition.accounts.signin_link()))
    )
    sent = {name: value.replace("OWN", server.url) for name, value in headers.items()}
    sent["Cookie"] = f"codeweft_session={token}"
    async with aiohttp.ClientSession(server.url) as client:
        async with client.post("/api/conversations", json={}, headers=sent) as response:
            assert response.status == status
        async with client.get("/api/conversations", headers=sent) as response:
            assert response.status == 200
    # A key is sent by no browser on its own.
    elsewhere = {**server.headers, "Origin": "https://evil.example"}
    async with (
        server.client(headers=elsewhere) as client,
        client.post("/api/conversations", json={}) as response,
    ):
        assert response.status == 201


async def test_another_site_cannot_sign_a_browser_in(server: Server) -> None:
    member(server, "victim")
    async with browser(server, Origin="https://evil.example") as client:
        assert (await sign_in(client, "victim"))[0] == 403
    async with aiohttp.ClientSession(server.url) as client:
        assert (await sign_in(client, "victim"))[0] == 403


async def test_guessing_ends_in_429_that_says_when_to_come_again(server: Server) -> None:
    member(server, "target")
    async with browser(server) as client:
        statuses = []
        for _ in range(7):
            guess = {"name": "target", "password": "a guess at it"}
            async with client.post("/api/session", json=guess) as response:
                statuses.append(response.status)
                wait = response.headers.get("Retry-After")
        assert statuses == [401] * 5 + [429] * 2 and wait is not None and 1 <= int(wait) <= 2


async def test_a_password_is_set_after_a_link_and_changed_with_the_old_one(server: Server) -> None:
    accounts = server.composition.accounts
    user = server.run(accounts.people.add_user("new", actor=BY))
    async with browser(server) as client, browser(server) as other:
        for one in (client, other):
            await one.get("/signin", params={"token": server.run(accounts.signin_link(user))})
        async with client.get("/api/me") as response:
            told = await response.json()
            assert (told["has_password"], told["current_password_needed"]) == (False, False)
        async with client.put("/api/me/password", json={"password": "short"}) as response:
            assert response.status == 400
        async with client.put("/api/me/password", json={"password": GOOD}) as response:
            assert response.status == 200
        async with other.get("/api/me") as response:
            assert response.status == 401, "the other session goes on"
        for body, status in (
            ({"password": GOOD + " staple"}, 403),
            ({"password": GOOD + " staple", "current": "not it, not it"}, 403),
            ({"password": GOOD + " staple", "current": GOOD}, 200),
        ):
            async with client.put("/api/me/password", json=body) as response:
                assert response.status == status
        assert (await sign_in(other, "new"))[0] == 401
        async with other.post("/api/session", json={"name": "new", "password": GOOD + " staple"}) as response:
            assert response.status == 200


async def test_a_key_changes_nothing_about_signing_in(server: Server) -> None:
    async with server.client() as client:
        for method, path, body in (
            ("PUT", "/api/me/password", {"password": GOOD}),
            ("POST", "/api/me/totp", None),
            ("DELETE", "/api/me/sessions", None),
            ("GET", "/api/me", None),
        ):
            async with client.request(method, path, json=body) as response:
                assert response.status == 403, path


async def test_a_key_makes_no_key_that_may_do_more(server: Server) -> None:
    accounts = server.composition.accounts
    server.run(accounts.create_key("everything"))
    small = server.run(accounts.create_key("small", scopes=["account"]))
    (whole,) = [key.id for key in server.run(accounts.keys()) if key.name == "everything"]
    async with server.client(headers={"x-api-key": small}) as client:
        for body, status in (
            ({"name": "a"}, 403),
            ({"name": "b", "scopes": ["generate"]}, 403),
            ({"name": "c", "scopes": ["account"]}, 201),
        ):
            async with client.post("/api/keys", json=body) as response:
                assert response.status == status
        async with client.post(f"/api/keys/{whole}/rotate") as response:
            assert response.status == 403


async def test_a_second_factor_is_set_up_used_and_taken_away(server: Server) -> None:
    member(server, "careful")
    async with browser(server) as client, browser(server) as other:
        await sign_in(client, "careful")
        async with client.post("/api/me/totp") as response:
            app = pyotp.TOTP((await response.json())["secret"])
        async with client.post("/api/me/totp/confirm", json={"code": app.now()}) as response:
            assert response.status == 201
            recovery = (await response.json())["recovery_codes"]
        status, told = await sign_in(other, "careful")
        assert (status, told["error"]["code"]) == (401, "code_needed")
        assert (await sign_in(other, "careful", code=recovery[0]))[0] == 200
        async with other.get("/api/me/sessions") as response:
            places = await response.json()
            assert [one["current"] for one in places] == [True, False]
        async with other.delete(f"/api/me/sessions/{places[1]['id']}") as response:
            assert response.status == 204
        async with client.get("/api/me") as response:
            assert response.status == 401
        async with other.post("/api/me/totp/remove", json={"code": recovery[0]}) as response:
            assert response.status == 403
        async with other.post("/api/me/totp/remove", json={"code": recovery[1]}) as response:
            assert response.status == 204
        async with other.delete("/api/me/sessions", params={"this": "true"}) as response:
            assert await response.json() == {"ended": 1}
        assert (await sign_in(client, "careful"))[0] == 200


async def test_where_a_factor_is_required_nothing_else_is_answered_before(
    starting: Callable[..., Server],
) -> None:
    running = starting({}, settings(totp="required"))
    member(running, "ann")
    async with browser(running) as client:
        _, told = await sign_in(client, "ann")
        assert told["factor_needed"] is True
        async with client.get("/api/conversations") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (403, "factor_needed")
        async with client.post("/api/me/totp") as response:
            app = pyotp.TOTP((await response.json())["secret"])
        await client.post("/api/me/totp/confirm", json={"code": app.now()})
        async with client.get("/api/conversations") as response:
            assert response.status == 200


async def test_who_registers_waits_for_an_administrator(starting: Callable[..., Server]) -> None:
    running = starting({}, settings(registration="approval"))
    async with browser(running) as client:
        body = {"name": "ben", "password": GOOD}
        async with client.post("/api/registration", json=body) as response:
            assert response.status == 201 and (await response.json())["status"] == "waiting"
        status, told = await sign_in(client, "ben")
        assert status == 403 and "approval" in told["error"]["message"]
        async with running.client() as admin:
            async with admin.get("/api/users") as response:
                assert ("ben", "waiting") in [(one["name"], one["status"]) for one in await response.json()]
            async with admin.patch("/api/users/ben", json={"status": "active", "role": "viewer"}) as response:
                assert response.status == 200
        assert (await sign_in(client, "ben"))[0] == 200
        # A viewer looks things up and has nothing written.
        async with client.get("/api/indexes") as response:
            assert response.status == 200
        async with client.get("/v1/models") as response:
            assert response.status == 403
        async with client.post("/api/conversations", json={}) as response:
            assert response.status == 403
        async with client.get("/api/conversations") as response:
            assert response.status == 200


async def test_nobody_registers_or_uses_passwords_where_the_settings_say_no(
    server: Server, starting: Callable[..., Server]
) -> None:
    async with browser(server) as client:
        body = {"name": "eve", "password": GOOD}
        async with client.post("/api/registration", json=body) as response:
            assert response.status == 403
    running = starting({}, settings(password=False))
    member(running, "ann")
    async with browser(running) as client:
        assert (await sign_in(client, "ann"))[0] == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "ann"},
        {"name": "", "password": "x"},
        {"name": "ann", "password": ""},
        {"name": "ann", "password": "x" * 5000},
        {"name": "a" * 500, "password": "x"},
        {"name": ["ann"], "password": "x"},
        {"name": "ann", "password": None},
        {"name": "ann", "password": "x", "admin": True},
        {"name": "ann", "password": "x", "code": 123456},
        [],
        "ann",
    ],
)
async def test_bad_sign_ins_are_told_what_is_wrong_and_never_quote_the_password(
    server: Server, body: Any
) -> None:
    async with browser(server) as client:
        for path in ("/api/session", "/api/registration"):
            async with client.post(path, json=body) as response:
                text = await response.text()
                assert response.status == 400 and "xxxx" not in text
