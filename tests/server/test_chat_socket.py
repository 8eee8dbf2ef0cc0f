"""The chat over a web socket, spoken by a real client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from sqlalchemy import insert

from codeweft.accounts.tables import UserRow
from codeweft.errors import EngineFailed
from codeweft.models.scripted import ScriptedModel
from codeweft.server.answer import Published
from codeweft.server.socket import told as told_as
from codeweft.types import Failed, Started
from tests.server.conftest import Server, app_model
from tests.server.test_conversations import get

PATH = "/api/chat/ws"


async def until(
    socket: aiohttp.ClientWebSocketResponse, *states: str, most: int = 3000
) -> list[dict[str, Any]]:
    """Messages up to the first in one of these states."""
    messages: list[dict[str, Any]] = []
    while len(messages) < most:
        messages.append(await socket.receive_json(timeout=10))
        if messages[-1].get("status") in states:
            return messages
    raise AssertionError("it never came")


def asking(request_id: str, body: str = "How?", **options: Any) -> dict[str, Any]:
    return {"type": "ask", "request_id": request_id, "body": body, "model": "plain", **options}


async def test_an_answer_goes_from_typing_over_proceeding_to_completed(server: Server) -> None:
    async with server.client() as client, client.ws_connect(PATH) as socket:
        await socket.send_json(asking("r1", model="codegen"))
        messages = await until(socket, "completed")
        assert [one["status"] for one in messages] == ["typing", *["proceeding"] * 4, "completed"]
        assert all(one["request_id"] == "r1" for one in messages)
        assert [one["event"] for one in messages[1:]] == ["started", "retrieved", "text", "text", "done"]
        assert [one["id"] for one in messages[1:]] == [1, 2, 3, 4, 5]
        assert messages[-1]["data"]["turn"]["content"] == "Use `total` [1]."
        whole = await get(client, f"/api/conversations/{messages[0]['conversation_id']}")
        assert whole["turns"][1]["id"] == messages[0]["answer_id"]


async def test_what_is_asked_next_follows_in_the_same_conversation_until_memory_is_cleared(
    server: Server,
) -> None:
    async with server.client() as client, client.ws_connect(PATH) as socket:
        places = []
        for number, clear in ((1, False), (2, True), (3, False)):
            await socket.send_json(asking(f"memory-{number}"))
            places.append((await until(socket, "completed"))[0]["conversation_id"])
            if clear:
                await socket.send_json({"type": "command", "request_id": "c", "name": "clear_memory"})
                assert (await until(socket, "completed"))[-1]["data"] == {}
        assert places[0] == places[1] != places[2]
        assert len(server.composition.models["plain"].requests[-1].messages) == 1


async def test_commands_list_models_and_switch_references(server: Server) -> None:
    model = server.composition.models["codegen"]
    async with server.client() as client, client.ws_connect(PATH) as socket:

        async def command(name: str) -> Any:
            await socket.send_json({"type": "command", "request_id": name, "name": name})
            return (await until(socket, "completed"))[-1]["data"]

        assert "codegen" in [one["name"] for one in (await command("list_models"))["models"]]
        looked = []
        for name in ("disable_references", "enable_references"):
            assert await command(name) == {"references": name == "enable_references"}
            await socket.send_json(asking(name + "-ask", model="codegen"))
            await until(socket, "completed")
            looked.append(model.requests[-1].retrieval.enabled)
        assert looked == [False, True]


async def test_a_ping_is_answered_in_both_forms(server: Server) -> None:
    async with server.client() as client, client.ws_connect(PATH) as socket:
        await socket.send_json({"type": "ping"})
        assert await socket.receive_json() == {"type": "pong"}
        await socket.send_str("__ping__")
        assert await socket.receive_str() == "__pong__"


async def test_a_message_sent_again_after_a_lost_connection_is_asked_once_and_told_on(server: Server) -> None:
    model = server.composition.models["slow"]
    before = len(model.requests)
    async with server.client() as client:
        async with client.ws_connect(PATH) as socket:
            await socket.send_json(asking("again", model="slow"))
            first = [await socket.receive_json() for _ in range(6)]
        async with client.ws_connect(PATH) as socket:
            await socket.send_json(asking("again", model="slow", after=first[-1]["id"]))
            more = [await socket.receive_json() for _ in range(6)]
            assert more[0]["status"] == "typing" and more[0]["answer_id"] == first[0]["answer_id"]
            ids = [one["id"] for one in first[1:] + more[1:]]
            assert ids == list(range(1, 11))
            await socket.send_json({"type": "stop", "request_id": "again"})
            last = (await until(socket, "completed"))[-1]
        assert last.get("event") in ("done", None) and len(model.requests) == before + 1
        async with client.ws_connect(PATH) as socket:
            await socket.send_json(asking("again", model="slow"))
            told = (await until(socket, "completed"))[-1]
        assert told["data"]["reason"] == "stopped"


async def test_an_answer_is_recognised_after_the_server_was_started_again(
    starting: Callable[..., Server],
) -> None:
    server = starting({"plain": ScriptedModel("plain", "once"), "codegen": app_model()})
    async with server.client() as client, client.ws_connect(PATH) as socket:
        await socket.send_json(asking("r"))
        await until(socket, "completed")
    server.stop()
    server = starting({"plain": ScriptedModel("plain", "twice"), "codegen": app_model()})
    async with server.client() as client, client.ws_connect(PATH) as socket:
        await socket.send_json(asking("r"))
        assert (await until(socket, "completed"))[-1]["data"]["turn"]["content"] == "once"
        assert server.composition.models["plain"].requests == []


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("{", "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"type": "dance"}', "does not match any"),
        ('{"type": "ask", "request_id": "r"}', "`body`"),
        ('{"type": "ask", "request_id": "r r", "body": "x"}', "`request_id`"),
        ('{"type": "ask", "request_id": "r", "body": "x", "after": -1}', "`after`"),
        ('{"type": "ask", "request_id": "r", "body": "x", "user_id": "mary"}', "`user_id`"),
        ('{"type": "ask", "request_id": "r", "body": "x", "model": "nobody"}', "nobody"),
        ('{"type": "command", "request_id": "r", "name": "format"}', "`name`"),
        ('{"type": "stop", "request_id": "never"}', "no such turn"),
    ],
)
async def test_what_cannot_be_understood_is_told_and_the_connection_stands(
    server: Server, message: str, says: str
) -> None:
    async with server.client() as client, client.ws_connect(PATH) as socket:
        await socket.send_str(message)
        told = (await until(socket, "error"))[-1]
        assert says in told["error"]["message"], told
        await socket.send_json({"type": "ping"})
        assert (await socket.receive_json())["type"] == "pong"


async def test_a_failing_model_ends_with_the_state_error(starting: Callable[..., Server]) -> None:
    broken = [Started("m"), Failed(EngineFailed("The engine died.", fix="Ask again."))]
    server = starting({"plain": ScriptedModel("plain", broken), "codegen": app_model()})
    async with server.client() as client, client.ws_connect(PATH) as socket:
        await socket.send_json(asking("r"))
        last = (await until(socket, "error"))[-1]
        assert last["event"] == "failed" and last["data"]["error"]["fix"] == "Ask again."


async def test_strangers_other_sites_and_ended_sessions_are_kept_out(server: Server) -> None:
    accounts = server.composition.accounts
    token = server.run(accounts.signin_link())
    async with server.client(headers={}, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.ws_connect(PATH)
        assert refused.value.status == 401
        async with browser.get("/signin", params={"token": token}, allow_redirects=False):
            pass
        for origin in ("https://evil.example", None):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await browser.ws_connect(PATH, origin=origin)
            assert refused.value.status == 403
        async with browser.ws_connect(PATH, origin=server.url) as socket:
            await socket.send_str("__ping__")
            assert await socket.receive_str() == "__pong__"
    key = server.run(accounts.create_key("short"))
    async with (
        server.client(headers={"Authorization": f"Bearer {key}"}) as client,
        client.ws_connect(PATH) as socket,
    ):
        await socket.send_json({"type": "ping"})
        assert await socket.receive_json() == {"type": "pong"}
        (made,) = [one for one in await get(client, "/api/keys") if one["name"] == "short"]
        async with client.delete(f"/api/keys/{made['id']}") as response:
            assert response.status == 204
        await socket.send_json({"type": "ping"})
        assert "ended" in (await socket.receive_json())["error"]["message"]
        assert (await socket.receive()).data == 4401


async def test_one_person_cannot_follow_or_stop_anothers_answer(server: Server) -> None:
    async with server.client() as client, client.ws_connect(PATH) as socket:
        await socket.send_json(asking("mine", model="slow"))
        typing = await socket.receive_json()
        accounts = server.composition.accounts

        async def made() -> str:
            async with accounts._engine.begin() as connection:
                await connection.execute(
                    insert(UserRow).values(id="eve", name="eve", role="member", created_at=1.0)
                )
            return await accounts.create_key("eves", "eve")

        async with (
            server.client(headers={"Authorization": f"Bearer {server.run(made())}"}) as eve,
            eve.ws_connect(PATH) as other,
        ):
            await other.send_json({"type": "stop", "request_id": "mine"})
            assert (await until(other, "error"))[-1]["error"]["code"] == "not_found"
            await other.send_json(asking("x", conversation_id=typing["conversation_id"]))
            assert (await until(other, "error"))[-1]["error"]["code"] == "not_found"
        await socket.send_json({"type": "stop", "request_id": "mine"})
        await until(socket, "completed")


def test_a_message_is_json_of_one_line() -> None:
    message = told_as("r", Published(3, "text", b'{"text":"a\\nb"}'))
    assert json.loads(message) == {
        "request_id": "r",
        "status": "proceeding",
        "id": 3,
        "event": "text",
        "data": {"text": "a\nb"},
    }
