"""Nothing is answered to strangers, whatever address they come from."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from codeweft.accounts import Accounts
from codeweft.config import ServerSettings, Settings
from codeweft.errors import CodeweftError, Conflict, NotFound
from codeweft.models.scripted import ScriptedModel
from codeweft.server.run import bind
from codeweft.server.service import Service
from codeweft.server.site import create_site
from tests.server.conftest import Server

PROTECTED = [
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/search"),
    ("POST", "/v1/dataprep/indices"),
    ("GET", "/v1/anything"),
    ("GET", "/api/system"),
    ("GET", "/api/indexes"),
    ("GET", "/api/keys"),
    ("GET", "/api/anything"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_strangers_are_refused_from_loopback_too(server: Server, method: str, path: str) -> None:
    async with server.client(headers={}) as client, client.request(method, path) as response:
        assert response.status == 401
        assert "codeweft keys create" in await response.text()


async def test_health_is_open_to_all(server: Server) -> None:
    async with server.client(headers={}) as client:
        for path in ("/health", "/ready", "/v1/health_check", "/api/session", "/api/openapi.json"):
            async with client.get(path) as response:
                assert response.status == 200, path


async def test_a_key_is_taken_in_both_headers(server: Server) -> None:
    for headers in ({"Authorization": f"bearer {server.key}"}, {"x-api-key": server.key}):
        async with server.client(headers=headers) as client, client.get("/v1/models") as response:
            assert response.status == 200


async def test_a_link_signs_in_once(server: Server) -> None:
    token = server.run(server.composition.accounts.signin_link())
    async with aiohttp.ClientSession(server.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.head("/signin", params={"token": token}) as response:
            assert response.status == 200
        async with browser.get("/signin", params={"token": token}, allow_redirects=False) as response:
            assert response.status == 303 and response.headers["Location"] == "/welcome"
            cookie = response.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie
        async with browser.get("/api/session") as response:
            assert (await response.json())["user"]["role"] == "admin"
        async with browser.get("/api/keys") as response:
            assert response.status == 200
        async with browser.get("/signin", params={"token": token}) as response:
            assert response.status == 401
            assert "codeweft signin" in await response.text()
        # Changes by cookie need the header that other sites cannot send.
        async with browser.post("/api/conversations", json={}) as response:
            assert response.status == 403
        async with browser.post("/api/conversations", json={}, headers={"X-Codeweft": "1"}) as response:
            assert response.status == 201
        async with browser.delete("/api/session", headers={"X-Codeweft": "1"}) as response:
            assert response.status == 200
        browser.cookie_jar.clear()
        session = cookie.split(";")[0].partition("=")[2]
        async with browser.get("/api/keys", headers={"Cookie": f"codeweft_session={session}"}) as response:
            assert response.status == 401


async def test_keys_are_made_shown_once_and_revoked_at_once(server: Server) -> None:
    async with server.client() as client:
        async with client.post("/api/keys", json={"name": "editor"}) as response:
            made = await response.json()
        assert made["key"].startswith("cw_") and len(made["key"]) > 40
        async with client.get("/api/keys") as response:
            text = await response.text()
            assert made["key"] not in text and made["id"] in text
        bearer = {"Authorization": f"Bearer {made['key']}"}
        async with client.get("/v1/models", headers=bearer) as response:
            assert response.status == 200
        async with client.delete(f"/api/keys/{made['id']}") as response:
            assert response.status == 204
        async with client.get("/v1/models", headers=bearer) as response:
            assert response.status == 401


async def test_another_process_makes_and_revokes_keys(server: Server) -> None:
    async with await Accounts.open(server.home / "accounts.db") as other:
        key = await other.create_key("from the command line")
        async with server.client(headers={"x-api-key": key}) as client:
            async with client.get("/v1/models") as response:
                assert response.status == 200
            await other.delete_key("from the command line")
            end = time.monotonic() + 2
            while (await client.get("/v1/models")).status != 401:
                assert time.monotonic() < end, "the revoked key still works"
                await asyncio.sleep(0.1)


async def test_the_page_without_a_build_says_what_to_do(server: Server) -> None:
    async with server.client(headers={}) as client, client.get("/") as response:
        assert response.status == 200
        text = await response.text()
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        assert "<script" in text or "make web" in text


async def test_addresses_of_the_ui_are_pages_and_missing_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>ui</title>")
    (tmp_path / "assets" / "app-1.js").write_text("export {}")
    service = Service(SimpleNamespace(settings=Settings(), accounts=None))  # type: ignore[arg-type]
    site = Starlette(routes=create_site(service, tmp_path), exception_handlers={NotFound: _plain})
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(site, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve([listening]))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    browser = {"Accept": "text/html,*/*;q=0.8"}
    try:
        async with aiohttp.ClientSession(url) as client:
            for path, headers, status, cache in (
                ("/", {}, 200, "no-cache"),
                ("/c/abc", {}, 200, "no-cache"),
                ("/knowledge/flask.git", browser, 200, "no-cache"),
                ("/assets/app-1.js", {}, 200, "public, max-age=31536000, immutable"),
                ("/assets/gone.js", browser, 404, None),
                ("/favicon.ico", {}, 404, None),
            ):
                async with client.get(path, headers=headers) as response:
                    assert (response.status, response.headers.get("Cache-Control")) == (status, cache), path
    finally:
        server.should_exit = True
        await serving


async def _plain(request: Request, error: Exception) -> Response:
    return Response(str(error), 404)


@pytest.mark.parametrize(
    "path", ["/../secrets", "/%2e%2e/%2e%2e/etc/passwd", "/assets/%2e%2e/app.py", "/x%00y.js"]
)
async def test_files_outside_the_ui_are_not_served(server: Server, path: str) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert b"root:" not in answer and b"import" not in answer
    assert b" 500 " not in answer.splitlines()[0]


def test_a_port_in_use_is_named_with_its_fix(starting: Callable[..., Server]) -> None:
    server = starting({"plain": ScriptedModel("plain", "x")})
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(Conflict, match=f"Port {port} .* is in use") as caught:
        starting({"plain": ScriptedModel("plain", "x")}, Settings(server=ServerSettings(port=port)))
    assert str(port + 1) in caught.value.fix


@pytest.mark.parametrize("host", ["no such host", "203.0.113.7"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(CodeweftError, match="address"):
        bind(ServerSettings(host=host, port=0))


async def test_a_link_leads_to_the_first_steps_only_while_nothing_is_set_up(server: Server) -> None:
    async with aiohttp.ClientSession(server.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        token = server.run(server.composition.accounts.signin_link())
        await browser.get("/signin", params={"token": token}, allow_redirects=False)
        body = {"password": "several words are long"}
        async with browser.put("/api/me/password", json=body, headers={"X-Codeweft": "1"}) as response:
            assert response.status == 200
        token = server.run(server.composition.accounts.signin_link())
        async with browser.get("/signin", params={"token": token}, allow_redirects=False) as response:
            assert response.headers["Location"] == "/"
