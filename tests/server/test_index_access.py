"""An index that one may not read does not exist for one, whatever door one asks at. The real runtime, two users."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
import pytest_asyncio
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from codeweft.accounts import Actor
from codeweft.config import IndexSettings, ServerSettings, Settings
from codeweft.runtime.compose import Runtime, open_runtime
from codeweft.server.auth import scope_of
from codeweft.server.run import serve
from tests.runtime.endpoint import answering

CODE = {
    "vault": "def launch_code(secret_number):\n    return secret_number * 7\n",
    "docs": "def greeting(name):\n    return 'hello ' + name\n",
}
BY = Actor("test")
QUESTION = "launch code of the secret number"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class World:
    """A server with the index `docs` for all and `vault` for the team core, in which ann is and ben is not."""

    url: str
    keys: dict[str, str]
    runtime: Runtime

    async def ask(self, who: str, method: str, path: str, **options: Any) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        async with (
            aiohttp.ClientSession(self.url, headers=headers) as client,
            client.request(method, path, **options) as response,
        ):
            return response.status, await response.text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One for all tests of this module, which leave it as it was."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("world")
        patch.setenv("CODEWEFT_HOME", str(folder / "home"))
        async with _world(folder) as made:
            yield made


async def add_index(runtime: Runtime, folder: Path, name: str, code: str) -> None:
    source = folder / name
    source.mkdir()
    (source / "code.py").write_text(code)
    index = runtime.indexes.add(str(source), name)
    await asyncio.to_thread(index.update)


@asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[World]:
    started: asyncio.Future[tuple[str, Runtime]] = asyncio.get_running_loop().create_future()
    async with answering("It is so [1].") as endpoint:
        settings = Settings(
            base_url=endpoint.url,
            model="writer",
            server=ServerSettings(port=0),
            index=IndexSettings(workers=0, watch=False),
        )
        task = asyncio.create_task(
            serve(open_runtime, settings, lambda url, runtime: started.set_result((url, runtime)))
        )
        done, _ = await asyncio.wait([started, task], return_when=asyncio.FIRST_COMPLETED)
        if task in done:
            await task
        url, runtime = started.result()
        for name, code in CODE.items():
            await add_index(runtime, folder, name, code)
        accounts = runtime.accounts
        keys = {"admin": await accounts.create_key("admin")}
        await accounts.people.add_team("core", actor=BY)
        for name, team in (("ann", "core"), ("ben", None)):
            user = await accounts.people.add_user(name, team=team, actor=BY)
            keys[name] = await accounts.create_key(name, user.id)
        await accounts.access.restrict("vault", teams=["core"], actor=BY)
        try:
            yield World(url, keys, runtime)
        finally:
            task.cancel()
            await asyncio.wait([task])


CHAT = {"messages": [{"role": "user", "content": QUESTION}]}
NAMING: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/search", {"json": {"query": QUESTION, "index": "INDEX"}}),
    ("POST", "/v1/search", {"json": {"query": QUESTION, "index": "INDEX", "explain": True}}),
    ("POST", "/v1/retrieval", {"json": {"text": QUESTION, "index_name": "INDEX"}}),
    ("POST", "/v1/dataprep/get", {"json": {"index_name": "INDEX"}}),
    ("POST", "/v1/chat/completions", {"json": {**CHAT, "model": "codegen", "index": "INDEX"}}),
    ("POST", "/v1/codegen", {"json": {"messages": QUESTION, "index_name": "INDEX", "stream": False}}),
    ("POST", "/v1/responses", {"json": {"model": "codegen", "input": QUESTION, "index": "INDEX"}}),
    (
        "POST",
        "/v1/messages",
        {"json": {**CHAT, "model": "codegen", "max_tokens": 99, "index": "INDEX"}},
    ),
    ("POST", "/api/search", {"json": {"query": QUESTION, "index": "INDEX"}}),
    ("POST", "/api/infill", {"json": {"prefix": "x = ", "suffix": "", "index": "INDEX"}}),
    ("GET", "/api/indexes/INDEX/chunks?path=code.py", {}),
    ("POST", "/api/tasks/explain", {"json": {"inputs": {"code": "f(1)"}, "index": "INDEX"}}),
    ("GET", "/api/symbols?name=launch_code&index=INDEX", {}),
    ("GET", "/api/grep?pattern=secret&index=INDEX", {}),
    ("GET", "/api/indexes/INDEX", {}),
    ("GET", "/api/indexes/INDEX/files", {}),
    ("GET", "/api/indexes/INDEX/source?path=code.py", {}),
    ("GET", "/api/indexes/INDEX/summaries", {}),
]
"""Doors that take the name of an index."""
OVER_ALL: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/search", {"json": {"query": QUESTION, "explain": True}}),
    ("POST", "/v1/retrieval", {"json": {"text": QUESTION}}),
    ("POST", "/v1/dataprep/get", {"json": {"index_name": "all"}}),
    ("POST", "/v1/dataprep/indices", {}),
    ("POST", "/v1/chat/completions", {"json": {**CHAT, "model": "codegen", "explain": True}}),
    ("POST", "/v1/chat/completions", {"json": {**CHAT, "model": "codegen", "stream": True}}),
    ("POST", "/api/search", {"json": {"query": QUESTION, "explain": True}}),
    ("GET", "/api/symbols?name=launch_code", {}),
    ("GET", "/api/grep?pattern=secret_number", {}),
    ("GET", "/api/indexes", {}),
]
"""Doors that read all indexes."""
MARKS = ("vault", "launch_code", "secret_number *")


def naming(index: str, options: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(options).replace("INDEX", index))  # type: ignore[no-any-return]


async def test_who_may_not_read_an_index_is_told_that_there_is_none(world: World) -> None:
    for method, path, options in NAMING:
        told = []
        for index in ("vault", "nosuch"):
            asked = naming(index, options)
            status, text = await world.ask("ben", method, path.replace("INDEX", index), **asked)
            told.append((status, re.sub(index, "…", text)))
        assert told[0] == told[1], path
        assert told[0][0] == 404, (path, told[0])
        asked = naming("vault", options)
        for who in ("ann", "admin"):
            status, text = await world.ask(who, method, path.replace("INDEX", "vault"), **asked)
            assert status == 200, (who, path, text)


async def test_what_is_read_from_all_indexes_leaves_out_the_closed_ones(world: World) -> None:
    for method, path, options in OVER_ALL:
        status, text = await world.ask("ben", method, path, **options)
        assert status == 200, (path, text)
        question = text.replace(QUESTION, "").replace('"launch"', "").replace("name=launch_code", "")
        assert not [mark for mark in MARKS if mark in question], (path, text)
        status, text = await world.ask("ann", method, path, **options)
        assert status == 200 and "vault" in text, (path, text)


async def test_agents_see_only_what_their_user_may_read(world: World) -> None:
    calls = [
        ("list_indexes", {}),
        ("search_code", {"query": QUESTION}),
        ("find_symbol", {"name": "launch_code"}),
        ("grep_code", {"pattern": "secret_number"}),
        ("generate_code", {"request": QUESTION}),
        ("code_task", {"task": "explain", "code": QUESTION}),
        ("search_code", {"query": QUESTION, "index": "vault"}),
        ("find_symbol", {"name": "launch_code", "index": "vault"}),
        ("grep_code", {"pattern": "secret_number", "index": "vault"}),
        ("read_file", {"index": "vault", "path": "code.py"}),
        ("generate_code", {"request": QUESTION, "index": "vault"}),
        ("code_task", {"task": "explain", "code": QUESTION, "index": "vault"}),
    ]
    for who in ("ben", "ann"):
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {world.keys[who]}"}) as http,
            streamable_http_client(world.url + "/mcp", http_client=http) as (read, write, *_),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name for tool in (await session.list_tools()).tools}
            assert tools <= {name for name, _ in calls}, "a new tool needs a row here"
            for name, arguments in calls:
                result = await session.call_tool(name, arguments)
                text = "\n".join(block.text for block in result.content)  # type: ignore[union-attr]
                if who == "ben":
                    plain = text.replace("named 'vault'", "").replace("of launch_code", "")
                    assert not [mark for mark in MARKS if mark in plain], (name, text)
                    assert ("index" in arguments) == bool(result.is_error), (name, text)
                else:
                    assert not result.is_error and any(mark in text for mark in MARKS), (name, text)


async def test_a_conversation_loses_the_references_that_its_user_may_not_read_any_more(
    world: World, tmp_path: Path
) -> None:
    await add_index(world.runtime, tmp_path, "attic", CODE["vault"])
    await world.runtime.accounts.access.restrict("attic", teams=["core"], actor=BY)
    headers = {"Authorization": f"Bearer {world.keys['ann']}"}
    async with aiohttp.ClientSession(world.url, headers=headers) as ann:
        async with ann.post("/api/conversations", json={}) as response:
            conversation = (await response.json())["id"]
        asking = {"content": QUESTION, "model": "codegen", "index": "attic"}
        async with ann.post(f"/api/conversations/{conversation}/answers", json=asking) as response:
            answer = (await response.json())["answer_id"]
        async with ann.get(f"/api/answers/{answer}/events") as response:
            assert "secret_number *" in await response.text()

        async def references() -> list[Any]:
            async with ann.get(f"/api/conversations/{conversation}") as response:
                return list((await response.json())["turns"][-1]["references"])

        assert {one["index"] for one in await references()} == {"attic"}
        await world.runtime.accounts.people.change_user("ann", team="", actor=BY)
        assert await references() == []
        # Deleting the index does not open what was quoted from it.
        await asyncio.to_thread(world.runtime.indexes.delete, "attic")
        assert await references() == []
        await world.runtime.accounts.people.change_user("ann", team="core", actor=BY)
        assert {one["index"] for one in await references()} == {"attic"}


async def test_permissions_are_edited_by_administrators_and_are_in_force_at_once(world: World) -> None:
    path = "/api/indexes/docs/access"
    status, text = await world.ask("admin", "GET", path)
    assert status == 200 and json.loads(text) == {"open": True, "users": [], "teams": []}
    cid = await world.runtime.accounts.people.add_user("cid", actor=BY)
    world.keys["cid"] = await world.runtime.accounts.create_key("cid", cid.id)
    status, _ = await world.ask("admin", "PUT", path, json={"open": False, "users": ["cid"]})
    assert status == 200
    assert (await world.ask("cid", "GET", "/api/indexes/docs"))[0] == 200
    assert (await world.ask("ann", "GET", "/api/indexes/docs"))[0] == 404
    for who in ("cid", "ann"):
        status, text = await world.ask(who, "PUT", path, json={"open": True})
        assert status == 403, text
    assert (await world.ask("admin", "PUT", path, json={"open": True, "users": ["ben"]}))[0] == 400
    assert (await world.ask("admin", "PUT", path, json={"open": False, "teams": ["nosuch"]}))[0] == 404
    assert (await world.ask("admin", "PUT", "/api/indexes/nosuch/access", json={"open": True}))[0] == 404
    await world.runtime.accounts.people.delete_user("cid", actor=BY)
    status, text = await world.ask("admin", "GET", path)
    assert json.loads(text) == {"open": False, "users": [], "teams": []}
    assert (await world.ask("admin", "PUT", path, json={"open": True}))[0] == 200
    status, text = await world.ask("admin", "GET", "/api/audit")
    assert any(
        line["action"] == "index.restrict" and line["address"] == "127.0.0.1" for line in json.loads(text)
    )


async def test_every_address_that_takes_an_index_is_in_the_table_above(world: World) -> None:
    _, text = await world.ask("admin", "GET", "/api/openapi.json")
    description = json.loads(text)
    tried = {
        (method, path.partition("?")[0].replace("INDEX", "{name}").replace("/explain", "/{name}"))
        for method, path, _ in NAMING
    }
    kept = {
        # A conversation remembers a name, and looks it up only when something is asked.
        ("POST", "/api/conversations"),
        ("PATCH", "/api/conversations/{conversation_id}"),
    }
    missing = []
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            names = {parameter["name"] for parameter in operation.get("parameters", ())}
            body = json.dumps(operation.get("requestBody", {}))
            for schema in re.findall(r"#/components/schemas/(\w+)", body):
                names |= description["components"]["schemas"][schema].get("properties", {}).keys()
            named = path.startswith("/api/indexes/{name}") or names & {"index", "index_name"}
            asked = (method.upper(), path)
            changing = method != "get" and path.startswith("/api/indexes/")
            if not named or asked in tried or (method.upper(), path) in kept:
                continue
            if changing or path.endswith(("/access", "/secrets")):
                # Only administrators come so far: everybody else is told the same for all names.
                for index in ("vault", "nosuch"):
                    status, _ = await world.ask("ben", method, path.replace("{name}", index), json={})
                    assert status == 403, (method, path)
                continue
            if path == "/api/conversations/{conversation_id}/answers":
                continue  # has a test of its own
            missing.append((method, path))
    assert missing == []


async def test_every_address_has_a_row_in_the_table_of_scopes(world: World) -> None:
    _, text = await world.ask("admin", "GET", "/api/openapi.json")
    paths = {*json.loads(text)["paths"], "/metrics", "/mcp"}
    from codeweft.server.app import create_app

    paths |= create_app(world.runtime)._routes
    assert [path for path in sorted(paths) if scope_of(path) is None] == []
