"""Settings and endpoints saved over HTTP: into the file, without its comments or anybody's key being lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from codeweft.accounts import Actor
from codeweft.config import load
from codeweft.runtime.compose import Runtime, open_runtime
from codeweft.runtime.settings_file import SettingsFile
from codeweft.server.run import serve
from codeweft.server.settings import HIDDEN
from tests.runtime.endpoint import Endpoint, answering

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET = "sk-never-to-be-seen"
FILE = """\
# Ask Ada before changing this file.
server: {{port: 0}}
index: {{workers: 0, watch: false}}
models:
  # the machine in the cellar
  first:
    base_url: {url}   # not the old one
    api_key: {secret}
    model: m
    family: qwen2.5-coder
"""


class Team:
    """A server with an administrator and a member, started from a settings file."""

    def __init__(
        self, url: str, runtime: Runtime, file: Path, keys: dict[str, str], endpoint: Endpoint
    ) -> None:
        self.url, self.runtime, self.file, self.keys, self.endpoint = url, runtime, file, keys, endpoint

    async def ask(self, method: str, path: str, body: Any = None, who: str = "admin") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        async with (
            aiohttp.ClientSession(self.url, headers=headers) as client,
            client.request(method, path, json=body) as answer,
        ):
            text = await answer.text()
            assert SECRET not in text
            return answer.status, json.loads(text) if text else None

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        status, told = await self.ask(method, path, body)
        assert status == 200, told
        return told

    async def refused(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        before = self.file.read_text()
        status, told = await self.ask(method, path, body)
        assert status >= 400 and self.file.read_text() == before, (told, self.file.read_text())
        return {"status": status, **told["error"]}

    async def says(self, model: str) -> str:
        body = {"model": model, "messages": [{"role": "user", "content": "x"}]}
        status, told = await self.ask("POST", "/v1/chat/completions", body)
        assert status == 200, told
        return str(told["choices"][0]["message"]["content"])

    async def last_change(self) -> dict[str, Any]:
        return (await self.done("GET", "/api/audit?limit=1"))[0]  # type: ignore[no-any-return]


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Team]:
    async with answering("from the first") as endpoint:
        path = folder / "team.yaml"
        path.write_text(FILE.format(url=endpoint.url, secret=SECRET))
        ready: asyncio.Future[tuple[str, Runtime]] = asyncio.get_running_loop().create_future()
        factory = partial(open_runtime, file=SettingsFile.of(path))
        task = asyncio.create_task(
            serve(factory, load(path), lambda url, runtime: ready.set_result((url, runtime)))
        )
        await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        url, runtime = ready.result()
        accounts = runtime.accounts
        user = await accounts.people.add_user("ben", actor=Actor("test"))
        keys = {"admin": await accounts.create_key("admin"), "ben": await accounts.create_key("b", user.id)}
        try:
            yield Team(url, runtime, path, keys, endpoint)
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def team(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Team]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("team")
        patch.setenv("CODEWEFT_HOME", str(folder / "home"))
        async with started(folder) as made:
            yield made


@pytest.fixture
def as_it_was(team: Team) -> str:
    """The file's text before a test."""
    return team.file.read_text()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/api/settings", {"values": {"sign_in.registration": "open"}}),
        ("GET", "/api/endpoints", None),
        ("PUT", "/api/endpoints/mine", {"base_url": "http://evil/v1"}),
        ("DELETE", "/api/endpoints/first", None),
        ("POST", "/api/endpoints/test", {"base_url": "http://127.0.0.1:1", "saved": "first"}),
        ("GET", "/api/keys?who=everyone", None),
        ("GET", "/api/audit/names", None),
    ],
)
async def test_a_member_is_refused_and_nothing_is_written(
    team: Team, as_it_was: str, method: str, path: str, body: Any
) -> None:
    status, told = await team.ask(method, path, body, who="ben")
    assert (status, told["error"]["code"]) == (403, "not_allowed")
    assert team.file.read_text() == as_it_was


async def test_an_endpoint_is_added_answers_at_once_is_changed_and_removed(
    team: Team, as_it_was: str
) -> None:
    async with answering("from the second") as second:
        body = {"base_url": second.url, "model": "big", "api_key": SECRET, "price": {"input": 1, "output": 2}}
        told = await team.done("PUT", "/api/endpoints/second", {**body, "parallel": 3, "default": True})
        (shown,) = [one for one in told["endpoints"] if one["name"] == "second"]
        assert shown["key"] == "saved" and shown["price"]["output"] == 2 and shown["parallel"] == 3
        assert await team.says("second") == "from the second"
        assert team.runtime.default_writer == "second"
        assert team.file.read_text().startswith(as_it_was)
        assert load(team.file).models["second"].api_key == SECRET
        change = await team.last_change()
        assert (change["action"], change["target"]) == ("endpoint.add", "second")
        assert change["detail"]["api_key"] == "changed"

        await team.done("PUT", "/api/endpoints/second", {"base_url": second.url, "model": "small"})
        entry = load(team.file).models["second"]
        assert (entry.model, entry.api_key, entry.parallel) == ("small", SECRET, None)
        assert await team.says("second") == "from the second"
        asked = {body["model"] for path, body in second.asked if path.endswith("completions")}
        assert asked == {"big", "small"}

        await team.done("DELETE", "/api/endpoints/second")
        assert team.file.read_text() == as_it_was
        assert team.runtime.default_writer == "first"
        status, _ = await team.ask("POST", "/v1/chat/completions", {"model": "second", "messages": []})
        assert status in (400, 404)


async def test_what_the_form_does_not_know_of_an_entry_stays(team: Team, as_it_was: str) -> None:
    body = {"base_url": team.endpoint.url, "model": "m", "timeout": 33}
    await team.done("PUT", "/api/endpoints/first", body)
    assert load(team.file).models["first"].family == "qwen2.5-coder"
    assert load(team.file).models["first"].timeout == 33
    assert "# the machine in the cellar" in team.file.read_text()
    await team.done("PUT", "/api/endpoints/first", {**body, "timeout": None})
    assert team.file.read_text() == as_it_was


async def test_a_saved_key_is_not_sent_to_another_address(team: Team) -> None:
    async with answering("thief") as thief:
        told = await team.refused("PUT", "/api/endpoints/first", {"base_url": thief.url, "model": "m"})
        assert told["status"] == 400 and "key" in told["message"]
        trial = {"base_url": thief.url, "model": "m", "saved": "first"}
        thief.says = "nobody"
        told = await team.done("POST", "/api/endpoints/test", trial)
        assert told["answer"] == "nobody"
        assert all(SECRET not in headers for headers in thief.headers)
    told = await team.done("POST", "/api/endpoints/test", {**trial, "base_url": team.endpoint.url})
    assert told["answer"] == "from the first"
    assert any(SECRET in headers for headers in team.endpoint.headers)


async def test_a_pool_is_made_of_what_is_there_and_holds_it(team: Team) -> None:
    async with answering("from the third") as third:
        await team.done("PUT", "/api/endpoints/third", {"base_url": third.url, "model": "m"})
        told = await team.refused("PUT", "/api/endpoints/both", {"pool": ["third", "nowhere"]})
        assert told["status"] == 404 and "nowhere" in told["message"]
        await team.done("PUT", "/api/endpoints/both", {"pool": ["third"], "fallback": ["first"]})
        assert await team.says("both") == "from the third"
        assert [one["name"] for one in await team.done("GET", "/api/pools")] == ["both"]
        told = await team.refused("DELETE", "/api/endpoints/third")
        assert told["status"] == 409 and "models.both" in told["message"]
    assert await team.says("both") == "from the first"
    await team.done("DELETE", "/api/endpoints/both")
    await team.done("DELETE", "/api/endpoints/third")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("codegen", {"base_url": "http://h/v1"}),
        ("starter", {"base_url": "http://h/v1"}),
        ("new", {}),
        ("new", {"base_url": "http://h/v1", "region": "eu-west-1"}),
        ("new", {"base_url": "http://user:pass@h/v1"}),
        ("new", {"base_url": "http://h/${HOME}"}),
        ("new", {"base_url": "http://h/v1", "api_key": "${CODEWEFT_KEY_OF_NOBODY}"}),
        ("new", {"pool": ["first"], "base_url": "http://h/v1"}),
        ("a b", {"base_url": "http://h/v1"}),
    ],
)
async def test_what_is_no_endpoint_is_refused_and_not_written(team: Team, name: str, body: Any) -> None:
    told = await team.refused("PUT", f"/api/endpoints/{name}", body)
    assert told["status"] in (400, 409)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/endpoints/new", {"base_url": "http://h/v1", "api_key": "${CLOUD_SECRET}"}),
        ("PUT", "/api/endpoints/new", {"base_url": "http://h/v1", "api_key": "a ${CLOUD_SECRET:-b}"}),
        ("PUT", "/api/endpoints/new", {"base_url": "http://h/v1", "model": "${CLOUD_SECRET}"}),
        ("POST", "/api/endpoints/test", {"base_url": "http://h/v1", "api_key": "${CLOUD_SECRET}"}),
        ("PATCH", "/api/settings", {"values": {"server.public_url": "http://h/${CLOUD_SECRET}"}}),
        ("PATCH", "/api/settings", {"values": {"index.exclude": ["${CLOUD_SECRET}"]}}),
        ("POST", "/api/indexes", {"source": "https://h/shop.git", "token": "${CLOUD_SECRET}"}),
        ("POST", "/api/indexes", {"source": "https://me:${CLOUD_SECRET}@h/shop.git"}),
    ],
)
async def test_nobody_learns_the_servers_environment_by_naming_its_variables(
    team: Team, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
) -> None:
    monkeypatch.setenv("CLOUD_SECRET", SECRET)
    told = await team.refused(method, path, body)
    assert told["status"] == 403
    assert "CLOUD_SECRET" in told["message"] and "server.variables (CODEWEFT_KEY_*)" in told["fix"].replace(
        "`", ""
    )


async def test_a_variable_that_is_meant_for_it_is_kept_by_its_name(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEWEFT_KEY_SECOND", SECRET)
    body = {"base_url": team.endpoint.url, "model": "m", "api_key": "${CODEWEFT_KEY_SECOND}"}
    told = await team.done("PUT", "/api/endpoints/second", body)
    (shown,) = [one for one in told["endpoints"] if one["name"] == "second"]
    assert (shown["key"], shown["key_variable"]) == ("environment", "CODEWEFT_KEY_SECOND")
    assert "${CODEWEFT_KEY_SECOND}" in team.file.read_text()
    await team.done("DELETE", "/api/endpoints/second")


async def test_settings_are_saved_and_in_force_or_wait_for_a_restart(team: Team, as_it_was: str) -> None:
    values = {"sign_in.registration": "approval", "index.max_file_mb": 2, "summaries.exclude": ["*.md"]}
    told = await team.done("PATCH", "/api/settings", {"values": values})
    by_name = {one["name"]: one for one in told["settings"]}
    assert told["restart"] == ["index.max_file_mb", "summaries.exclude"]
    assert by_name["sign_in.registration"]["value"] == "approval" and by_name["sign_in.registration"]["live"]
    assert (by_name["index.max_file_mb"]["value"], by_name["index.max_file_mb"]["saved"]) == (1.0, 2.0)
    assert by_name["sign_in.registration"]["choices"] == ["closed", "approval", "open"]
    async with aiohttp.ClientSession(team.url) as stranger:
        async with stranger.get("/api/session") as answer:
            assert (await answer.json())["sign_in"]["registration"] == "approval"
        body = {"name": "newcomer", "password": "correct horse staple"}
        async with stranger.post("/api/registration", json=body, headers={"X-Codeweft": "1"}) as answer:
            assert (await answer.json())["status"] == "waiting"
    change = (await team.done("GET", "/api/audit?action=settings.change"))[0]
    assert change["detail"]["sign_in.registration"] == "approval"
    await team.done("PATCH", "/api/settings", {"values": dict.fromkeys(values)})
    assert load(team.file).sign_in.registration == "closed"
    assert "# Ask Ada" in team.file.read_text() and load(team.file) == load_text(team, as_it_was)


def load_text(team: Team, text: str) -> Any:
    path = team.file.with_name("before.yaml")
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("sign_in.registration", "anybody", 400),
        ("sign_in.session_days", 0, 400),
        ("limits.max_tokens", "many", 400),
        ("sign_in.nothing", 1, 404),
        ("model", "nowhere", 404),
        ("hub.token", HIDDEN, 400),
        ("sign_in.oidc", {"a": {"b": {"c": {"d": 1}}}}, 400),
        ("hub.mirror", "http://h/", 403),
        ("index.exclude", ["\ud800"], 400),
        ("engine.python", "/tmp/evil", 403),
        ("database", "postgresql://h/d", 403),
        ("models", {}, 403),
        ("sandbox.enabled", False, 403),
        ("index.private_hosts", ["10.0.0.1"], 403),
    ],
)
async def test_a_setting_that_may_not_be_is_refused_and_not_written(
    team: Team, name: str, value: Any, status: int
) -> None:
    told = await team.refused("PATCH", "/api/settings", {"values": {name: value}})
    assert told["status"] == status


async def test_a_secret_is_saved_and_never_shown(team: Team) -> None:
    told = await team.done("PATCH", "/api/settings", {"values": {"hub.token": SECRET}})
    (token,) = [one for one in told["settings"] if one["name"] == "hub.token"]
    assert (token["value"], token["secret"]) == (HIDDEN, True)
    assert load(team.file).hub.token == SECRET
    assert (await team.last_change())["detail"] == {"hub.token": HIDDEN}
    await team.done("PATCH", "/api/settings", {"values": {"hub.token": None}})


async def test_a_file_that_cannot_be_written_is_told_before_and_refused(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = SettingsFile(team.file.parent / "nowhere" / "codeweft.yaml")
    monkeypatch.setattr(team.runtime, "file", broken)
    assert "may not be written" in (await team.done("GET", "/api/settings"))["refusal"]
    assert (await team.done("GET", "/api/endpoints"))["refusal"]
    status, told = await team.ask("PATCH", "/api/settings", {"values": {"sign_in.registration": "open"}})
    assert (status, told["error"]["code"]) == (409, "conflict") and "by hand" in told["error"]["fix"]
    monkeypatch.setattr(team.runtime, "file", None)
    status, told = await team.ask("PUT", "/api/endpoints/x", {"base_url": "http://h/v1"})
    assert status == 409 and "without a settings file" in told["error"]["message"]


async def test_the_short_form_of_one_endpoint_becomes_the_long_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THE_KEY", SECRET)
    async with started(tmp_path) as team:
        team.file.write_text(
            f"# short\nbase_url: {team.endpoint.url}\napi_key: ${{THE_KEY}}\nmodel: w\nserver: {{port: 0}}\n"
        )
        # Any change takes over what was written by hand.
        told = await team.done("PUT", "/api/endpoints/w", {"base_url": team.endpoint.url, "timeout": 9})
        (shown,) = told["endpoints"]
        assert (shown["key"], shown["key_variable"], shown["default"]) == ("environment", "THE_KEY", True)
        settings = load(team.file)
        assert settings.base_url is None and settings.models["w"].api_key == SECRET
        assert "${THE_KEY}" in team.file.read_text() and SECRET not in team.file.read_text()
        assert await team.says("w") == "from the first"


async def test_an_administrator_sees_and_revokes_everybodys_keys(team: Team) -> None:
    found = await team.done("GET", "/api/keys?who=everyone")
    assert {one["owner"] for one in found} == {"admin", "ben"}
    status, mine = await team.ask("GET", "/api/keys", who="ben")
    assert status == 200 and [one["owner"] for one in mine] == ["ben"]
    (admins,) = [one for one in found if one["owner"] == "admin"]
    status, _ = await team.ask("DELETE", f"/api/keys/{admins['id']}", who="ben")
    assert status == 404
    ben = next(user for user in await team.runtime.accounts.people.users() if user.name == "ben")
    lost = await team.runtime.accounts.create_key("lost", ben.id)
    (key,) = [one for one in await team.done("GET", "/api/keys?who=everyone") if one["name"] == "lost"]
    status, _ = await team.ask("DELETE", f"/api/keys/{key['id']}")
    assert status == 204 and await team.runtime.accounts.identify(lost) is None
    change = await team.last_change()
    assert (change["action"], change["actor"], change["detail"]) == ("key.delete", "admin", {"owner": "ben"})


async def test_changes_of_models_are_in_the_log(team: Team) -> None:
    model = team.file.with_name("own.gguf")
    model.write_bytes(b"no model at all")
    status, _ = await team.ask("POST", "/api/models/pulls", {"reference": str(model)})
    assert status == 202
    status, _ = await team.ask("POST", "/api/models/starter/stop")
    assert status == 202
    told = await team.done("GET", "/api/audit?action=model&limit=2")
    assert [(one["action"], one["target"]) for one in told] == [
        ("model.stop", "starter"),
        ("model.pull", "own"),
    ]
