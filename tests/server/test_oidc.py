"""Single sign-on against a certified provider (`oidc-provider` from npm), driven as a browser would.

It is skipped where Node or the provider is missing: `npm ci` in tests/server/oidc installs it.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp
import pytest
from pydantic import ValidationError

from codeweft.accounts import Actor
from codeweft.config import OidcSettings, ServerSettings, Settings, SignInSettings
from codeweft.errors import NotAllowed
from codeweft.models.scripted import ScriptedModel
from codeweft.server.oidc import Trip, decide
from tests.server.conftest import Server, start

FOLDER = Path(__file__).parent / "oidc"
ACCOUNTS = {
    "sub-kim": {
        "preferred_username": "kim", "email": "kim@example.com", "email_verified": True, "groups": ["ops", "web"],
    },
    "sub-lou": {"preferred_username": "lou", "email": "lou@elsewhere.org", "email_verified": True, "groups": []},
    "sub-ann": {"preferred_username": "ann", "email": "ann@example.com", "email_verified": True, "groups": []},
}  # fmt: skip
MARK = {"X-Codeweft": "1"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules" / "oidc-provider").is_dir():
        pytest.skip("no OpenID provider to sign in at: run `npm ci` in tests/server/oidc (needs Node 20)")
    ours = free_port()
    client = {
        "client_id": "codeweft",
        "client_secret": "a secret of the client",
        "redirect_uris": [f"http://127.0.0.1:{ours}/signin/oidc/callback"],
        "post_logout_redirect_uris": [f"http://127.0.0.1:{ours}/"],
    }
    given = json.dumps({"accounts": ACCOUNTS, "client": client})
    with subprocess.Popen(
        [node, "provider.mjs", given],
        cwd=FOLDER,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as provider:
        assert provider.stdout is not None
        port = int(provider.stdout.readline())
        oidc = OidcSettings(
            issuer=f"http://127.0.0.1:{port}",
            client_id="codeweft",
            client_secret="a secret of the client",
            roles={"ops": "admin"},
            teams={"web": "frontend"},
            domains=["example.com"],
        )
        settings = Settings(server=ServerSettings(port=ours), sign_in=SignInSettings(oidc=oidc))
        running = start(
            tmp_path_factory.mktemp("home"), {"codegen": ScriptedModel("codegen", "hi")}, settings
        )
        yield running
        running.stop()
        provider.terminate()


def browser(server: Server) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(server.url, cookie_jar=aiohttp.CookieJar(unsafe=True), headers=MARK)


async def follow(
    client: aiohttp.ClientSession, server: Server, account: str, path: str
) -> tuple[int, str, str]:
    """Go where the pages lead, signing in and consenting at the provider; the answer, and where it came from."""
    url, form = urljoin(server.url, path), None
    for _ in range(20):
        async with client.request(
            "GET" if form is None else "POST", url, data=form, allow_redirects=False
        ) as response:
            text = await response.text()
            if response.status in (302, 303):
                url, form = urljoin(url, response.headers["Location"]), None
                if urlsplit(url).netloc == urlsplit(server.url).netloc and "callback" not in url:
                    return response.status, text, url
                continue
            action = re.search(r'<form[^>]*action="([^"]+)"', text)
            if response.status != 200 or action is None:
                return response.status, text, url
            prompt = re.search(r'name="prompt" value="(\w+)"', text)
            assert prompt is not None
            form = {"prompt": prompt[1], "login": account, "password": "any"}
            url = urljoin(url, action[1])
    raise AssertionError("the provider leads in circles")


async def who(client: aiohttp.ClientSession) -> Any:
    async with client.get("/api/session") as response:
        return (await response.json())["user"]


async def test_one_signs_in_at_the_provider_and_gets_role_and_team_of_the_groups(server: Server) -> None:
    async with browser(server) as client:
        async with client.get("/api/session") as response:
            provider = (await response.json())["sign_in"]["provider"]
        assert provider == {"name": "Single sign-on", "path": "/signin/oidc"}
        status, _, url = await follow(client, server, "sub-kim", "/signin/oidc?next=/knowledge")
        assert (status, url) == (303, server.url + "/knowledge")
        user = await who(client)
        assert (user["name"], user["role"]) == ("kim", "admin")
        async with client.get("/api/users") as response:
            (kim,) = [one for one in await response.json() if one["name"] == "kim"]
            assert (kim["team"], kim["status"]) == ("frontend", "active")
        async with client.get("/api/me") as response:
            assert (await response.json())["issuers"] != []
    async with browser(server) as again:
        await follow(again, server, "sub-kim", "/signin/oidc")
        assert (await who(again))["id"] == user["id"]
        async with again.delete("/api/session") as response:
            leave = (await response.json())["continue_at"]
        assert "/session/end" in leave and parse_qs(urlsplit(leave).query)["client_id"] == ["codeweft"]
        assert await who(again) is None


async def test_users_of_other_domains_and_of_names_that_are_taken_are_not_let_in(server: Server) -> None:
    server.run(server.composition.accounts.people.add_user("ann", actor=Actor("test")))
    for account, status, why in (
        ("sub-lou", 403, "elsewhere.org"),
        ("sub-ann", 409, "users identity ann sub-ann"),
    ):
        async with browser(server) as client:
            found, text, _ = await follow(client, server, account, "/signin/oidc")
            assert (found, why in text) == (status, True), text
            assert await who(client) is None
    async with server.client() as admin:
        body = {"subject": "sub-ann"}
        async with admin.put("/api/users/ann/identity", json=body) as response:
            assert response.status == 204
    async with browser(server) as client:
        await follow(client, server, "sub-ann", "/signin/oidc")
        user = await who(client)
        assert (user["name"], user["role"]) == ("ann", "member")


async def test_what_leaves_for_the_provider_has_pkce_state_and_nonce_and_no_secret(server: Server) -> None:
    async with browser(server) as client:
        async with client.get("/signin/oidc", allow_redirects=False) as response:
            assert response.status == 303 and response.headers["Cache-Control"] == "no-store"
            query = parse_qs(urlsplit(response.headers["Location"]).query)
            cookie = response.headers["Set-Cookie"]
        assert query["code_challenge_method"] == ["S256"] and query["response_type"] == ["code"]
        assert len(query["state"][0]) == len(query["nonce"][0]) == 64
        secret = cookie.partition("=")[2].partition(".")[0]
        assert secret not in response.headers["Location"] and len(secret) == 43
        assert "HttpOnly" in cookie and "Path=/signin/oidc" in cookie and "Max-Age=600" in cookie


async def test_an_answer_that_this_browser_did_not_ask_for_is_refused(server: Server) -> None:
    async with browser(server) as client:
        async with client.get("/signin/oidc", allow_redirects=False) as response:
            state = parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]
        tries: Sequence[dict[str, str]] = (
            {"code": "x", "state": "wrong"},
            {"code": "x"},
            {"state": state, "error": "access_denied", "error_description": "<b>no</b>"},
            {"state": state, "code": "made up"},
            {"state": state, "code": "x", "iss": "https://evil.example"},
            {"state": state},
        )
        for query in tries:
            async with client.get("/signin/oidc/callback", params=query) as response:
                assert response.status == 401, query
                assert "<b>no" not in await response.text()
        assert await who(client) is None
    async with browser(server) as stranger:
        # Without the cookie the state would be one that anybody can compute.
        query = {"code": "x", "state": Trip("").state}
        async with stranger.get("/signin/oidc/callback", params=query) as response:
            assert response.status == 401


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "/a\nb"]
)
async def test_one_comes_back_to_this_server_only(server: Server, target: str) -> None:
    async with browser(server) as client:
        async with client.get("/signin/oidc", params={"next": target}, allow_redirects=False) as response:
            cookie = response.headers["Set-Cookie"]
        assert cookie.partition(";")[0].endswith(".%2F") or cookie.partition(";")[0].endswith("./")


async def test_a_provider_that_is_not_there_is_told_and_the_server_goes_on(
    starting: Callable[..., Server],
) -> None:
    oidc = OidcSettings(issuer=f"http://127.0.0.1:{free_port()}", client_id="codeweft")
    running = starting({}, Settings(server=ServerSettings(port=0), sign_in=SignInSettings(oidc=oidc)))
    async with browser(running) as client:
        async with client.get("/signin/oidc", allow_redirects=False) as response:
            assert response.status == 502 and "sign_in.oidc" in await response.text()
        async with client.get("/health") as response:
            assert response.status == 200


def chosen(**more: Any) -> OidcSettings:
    return OidcSettings(issuer="https://sso.example.com", client_id="c", **more)


def claims(**more: Any) -> dict[str, Any]:
    return {"iss": "https://sso.example.com", "sub": "1", **more}


def test_claims_become_a_user_as_the_settings_say() -> None:
    assert decide(claims(), chosen()).external.name == "1"
    assert decide(claims(email="a@b.c"), chosen()).external.name == "a@b.c"
    assert decide(claims(name=" Kim\nLee "), chosen(user_claim="name")).external.name == "KimLee"
    found = decide(claims(groups=["x", "y"]), chosen(roles={"y": "viewer", "x": "member"}, teams={"z": "t"}))
    assert (found.role, found.team) == ("member", "")
    found = decide(claims(groups="admins"), chosen(roles={"admins": "admin"}))
    assert (found.role, found.team) == ("admin", None)
    assert decide(claims(), chosen(roles={"admins": "admin"})).role == "member"
    assert decide(claims(email="a@EXAMPLE.com"), chosen(domains=["example.com"])).external.email
    for bad in (
        claims(),
        claims(email="a@example.com.evil.org"),
        claims(email="example.com"),
        claims(email="a@example.com", email_verified=False),
    ):
        with pytest.raises(NotAllowed):
            decide(bad, chosen(domains=["example.com"]))


@pytest.mark.parametrize("issuer", ["http://sso.example.com", "sso.example.com", "https://x/?a=b", "ftp://x"])
def test_an_issuer_is_an_encrypted_address(issuer: str) -> None:
    with pytest.raises(ValidationError):
        OidcSettings(issuer=issuer, client_id="c")
