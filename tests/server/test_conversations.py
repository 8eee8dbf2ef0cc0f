"""Answers go on without a reader, and a reader that comes back misses nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from codeweft.errors import EngineFailed
from codeweft.models.scripted import ScriptedModel
from codeweft.types import Checked, Done, Failed, Started, Step, TextDelta, Usage, Withdrawn
from tests.server.conftest import Server, app_model

Event = tuple[int, str, dict[str, Any]]


async def read_events(response: aiohttp.ClientResponse, limit: int | None = None) -> list[Event]:
    events: list[Event] = []
    block: dict[str, str] = {}
    async for line in response.content:
        text = line.decode().rstrip("\n")
        if text:
            name, _, value = text.partition(": ")
            block[name] = value
        elif "event" in block:
            events.append((int(block["id"]), block["event"], json.loads(block["data"])))
            block = {}
            if limit is not None and len(events) >= limit:
                break
    return events


async def ask(client: aiohttp.ClientSession, conversation: str, **body: Any) -> dict[str, Any]:
    async with client.post(f"/api/conversations/{conversation}/answers", json=body) as response:
        assert response.status == 202, await response.text()
        return await response.json()


async def conversation(client: aiohttp.ClientSession) -> str:
    async with client.post("/api/conversations", json={}) as response:
        return (await response.json())["id"]


async def get(client: aiohttp.ClientSession, path: str) -> Any:
    async with client.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_an_answer_is_followed_event_by_event(server: Server) -> None:
    async with server.client() as client:
        number = await conversation(client)
        asked = await ask(
            client, number, content="How is the total made?\nIn detail.", model="codegen", index=None
        )
        assert asked["user_turn"]["content"].startswith("How is") and asked["turn"]["reason"] is None
        async with client.get(f"/api/answers/{asked['answer_id']}/events") as response:
            assert response.content_type == "text/event-stream"
            events = await read_events(response)
        assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
        assert [kind for _, kind, _ in events] == ["started", "retrieved", "text", "text", "done"]
        assert events[0][2] == {"model": "plain", "note": "This is only a test."}
        assert events[1][2]["results"][0]["path"] == "cart.py"
        done = events[-1][2]
        assert done["reason"] == "stop" and done["usage"]["cached_tokens"] == 2
        assert done["timings"]["tokens_per_s"] == 9.0 and "first_token_s" in done["timings"]
        whole = await get(client, f"/api/conversations/{number}")
        assert whole["title"] == "How is the total made?"
        assert [turn["role"] for turn in whole["turns"]] == ["user", "assistant"]
        assert whole["turns"][1] == done["turn"]
        assert whole["turns"][1]["references"][0]["why"] == {"name": 1.0}


async def test_a_reader_that_comes_back_misses_nothing(server: Server) -> None:
    async with server.client() as client:
        number = await conversation(client)
        asked = await ask(client, number, content="long", model="slow")
        path = f"/api/answers/{asked['answer_id']}/events"
        async with client.get(path) as response:
            first = await read_events(response, limit=5)
        # The browser is gone; the answer is written on.
        await asyncio.sleep(0.2)
        turn = (await get(client, f"/api/conversations/{number}"))["turns"][1]
        assert turn["answer_id"] == asked["answer_id"] and turn["reason"] is None and turn["content"]
        async with client.get(path, headers={"Last-Event-ID": str(first[-1][0])}) as response:
            more = await read_events(response, limit=15)
        assert [event[0] for event in first + more] == list(range(1, 21))
        async with client.get(path, params={"after": 3}) as one, client.get(path) as other:
            assert (await read_events(one, limit=1))[0][0] == 4
            assert (await read_events(other, limit=1))[0][0] == 1
        async with client.post(
            f"/api/conversations/{number}/answers", json={"content": "x", "model": "plain"}
        ) as response:
            assert response.status == 409
        async with client.delete(f"/api/answers/{asked['answer_id']}") as response:
            assert response.status == 204
        turn = (await get(client, f"/api/conversations/{number}"))["turns"][1]
        assert (
            turn["reason"] == "stopped"
            and turn["answer_id"] is None
            and turn["content"].startswith("word word")
        )


async def test_what_was_said_is_said_again_as_turns(server: Server) -> None:
    plain = server.composition.models["plain"]
    async with server.client() as client:
        number = await conversation(client)
        for content in ("one", "two"):
            asked = await ask(
                client, number, content=content, model="plain", index="", sampling={"temperature": 0}
            )
            async with client.get(f"/api/answers/{asked['answer_id']}/events") as response:
                await read_events(response)
        request = plain.requests[-1]
        assert [(turn.role, turn.content) for turn in request.messages] == [
            ("user", "one"),
            ("assistant", "Hello from the plain model"),
            ("user", "two"),
        ]
        assert request.retrieval.enabled is False and request.sampling.temperature == 0
        again = await ask(client, number, regenerate=True, model="plain")
        assert again["user_turn"] is None
        async with client.get(f"/api/answers/{again['answer_id']}/events") as response:
            await read_events(response)
        turns = (await get(client, f"/api/conversations/{number}"))["turns"]
        assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant"]
        assert turns[-1]["id"] == again["answer_id"] != asked["answer_id"]


async def test_conversations_are_found_renamed_rated_and_deleted(server: Server) -> None:
    async with server.client() as client:
        number = await conversation(client)
        asked = await ask(client, number, content="find the zebra_function", model="plain")
        async with client.get(f"/api/answers/{asked['answer_id']}/events") as response:
            await read_events(response)
        found = await get(client, "/api/conversations?q=ZEBRA")
        assert [one["id"] for one in found] == [number]
        assert await get(client, "/api/conversations?q=100%25") == []
        async with client.patch(f"/api/conversations/{number}", json={"title": "Stripes"}) as response:
            assert (await response.json())["title"] == "Stripes"
        rating = {"rating": "bad", "comment": "no zebra"}
        async with client.put(f"/api/turns/{asked['answer_id']}/rating", json=rating) as response:
            assert response.status == 204
        turn = (await get(client, f"/api/conversations/{number}"))["turns"][1]
        assert (turn["rating"], turn["comment"]) == ("bad", "no zebra")
        page = await get(client, "/api/conversations?limit=1")
        older = await client.get("/api/conversations", params={"before": page[0]["updated_at"]})
        assert page[0]["id"] not in [one["id"] for one in await older.json()]
        async with client.delete(f"/api/conversations/{number}") as response:
            assert response.status == 204
        async with client.get(f"/api/conversations/{number}") as response:
            assert response.status == 404


async def test_other_peoples_conversations_do_not_exist(server: Server) -> None:
    conversations = server.composition.accounts.conversations

    async def foreign() -> str:
        from sqlalchemy import insert

        from codeweft.accounts.tables import UserRow

        async with conversations._engine.begin() as connection:
            await connection.execute(
                insert(UserRow).values(id="other", name="other", role="user", created_at=9e9)
            )
        return (await conversations.create("other", title="private")).id

    number = server.run(foreign())
    async with server.client() as client:
        for method, path in (
            ("GET", f"/api/conversations/{number}"),
            ("DELETE", f"/api/conversations/{number}"),
            ("POST", f"/api/conversations/{number}/answers"),
        ):
            body = {"content": "x", "model": "plain"} if method == "POST" else None
            async with client.request(method, path, json=body) as response:
                assert response.status == 404
        assert number not in [one["id"] for one in await get(client, "/api/conversations")]


async def test_a_failed_answer_says_why_and_keeps_what_it_had(starting: Callable[..., Server]) -> None:
    broken = [Started("m"), TextDelta("half"), Failed(EngineFailed("The engine died.", fix="Ask again."))]
    server = starting({"m": ScriptedModel("m", broken, "whole"), "codegen": app_model()})
    async with server.client() as client:
        number = await conversation(client)
        asked = await ask(client, number, content="x", model="m")
        async with client.get(f"/api/answers/{asked['answer_id']}/events") as response:
            kind, data = (await read_events(response))[-1][1:]
        assert kind == "failed"
        assert data["error"] == {"message": "The engine died.", "fix": "Ask again.", "code": "engine_failed"}
        assert data["turn"]["content"] == "half" and data["turn"]["reason"] == "failed"


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "killed"])
async def test_a_restart_tells_what_happened_to_an_answer(
    starting: Callable[..., Server], clean: bool
) -> None:
    server = starting({"slow": ScriptedModel("slow", "word " * 5000, delay=0.01)})
    async with server.client() as client:
        number = await conversation(client)
        asked = await ask(client, number, content="x", model="slow")
        await asyncio.sleep(1.3)
        if not clean:
            # What a killed server leaves behind: the turn as it was last saved.
            from sqlalchemy import text

            accounts = server.composition.accounts

            async def saved() -> Any:
                async with accounts._engine.connect() as connection:
                    return (await connection.execute(text("SELECT content, reason FROM turns"))).all()

            assert any(row.content.startswith("word") and row.reason is None for row in server.run(saved()))
    server.stop()
    if not clean:
        import sqlite3

        with sqlite3.connect(server.home / "accounts.db") as database:
            database.execute("UPDATE turns SET reason = NULL, error = NULL WHERE role = 'assistant'")
    server = starting({"slow": ScriptedModel("slow", "x")})
    async with server.client() as client:
        turn = (await get(client, f"/api/conversations/{number}"))["turns"][1]
        assert turn["reason"] == "failed" and turn["content"].startswith("word word")
        assert "server stopped" in turn["error"]["message"]
        async with client.get(f"/api/answers/{asked['answer_id']}/events?after=7") as response:
            assert [event[:2] for event in await read_events(response)] == [(8, "failed")]


TRACED = [
    Started("plain"),
    Step(1, "grep_code", {"pattern": "total\udcff"}, 0.25, 3, 40, "Let me look."),
    TextDelta("```python\ntotal = 2\n```\n\nits tests fail: 2 != 1 (pytest). Corrected:\n\n"),
    Withdrawn(),
    TextDelta("```python\ntotal = 1\n```"),
    Checked(True, "pytest", "1 test passes (pytest)", "python", True),
    Done(Usage(3, 2), "stop"),
]


async def test_how_an_answer_was_made_is_kept_with_it(starting: Callable[..., Server]) -> None:
    server = starting({"traced": ScriptedModel("traced", TRACED)})
    async with server.client() as client:
        number = await conversation(client)
        asked = await ask(client, number, content="Make a total.", model="traced")
        async with client.get(f"/api/answers/{asked['answer_id']}/events") as response:
            events = await read_events(response)
        kinds = [kind for _, kind, _ in events]
        assert kinds == ["started", "step", "text", "withdrawn", "text", "checked", "done"]
        told = {kind: data for _, kind, data in events}
        turn = (await get(client, f"/api/conversations/{number}"))["turns"][1]
        assert turn == told["done"]["turn"]
        assert turn["content"] == "```python\ntotal = 1\n```"
        assert turn["steps"] == [told["step"]] and turn["steps"][0]["arguments"] == {"pattern": "total?"}
        assert turn["checked"] == told["checked"] and turn["checked"]["repaired"] is True
        (draft,) = turn["withdrawn"]
        assert draft.startswith("```python\ntotal = 2") and draft.endswith("Corrected:")
        async with client.get(f"/api/conversations/{number}/export") as response:
            data = await response.read()
    server.stop()
    # A server that starts later knows it from the database alone.
    async with starting({"traced": ScriptedModel("traced", TRACED)}).client() as client:
        assert (await get(client, f"/api/conversations/{number}"))["turns"][1] == turn
        form = aiohttp.FormData()
        form.add_field("file", data, filename="x.json")
        async with client.post("/api/conversations/import", data=form) as response:
            (made,) = await response.json()
        again = (await get(client, f"/api/conversations/{made['id']}"))["turns"][1]
        for name in ("content", "steps", "withdrawn", "checked"):
            assert again[name] == turn[name]


async def test_an_answer_that_is_cut_off_keeps_what_its_agent_did(starting: Callable[..., Server]) -> None:
    events = [*TRACED[:2], *[TextDelta("word ") for _ in range(200)], Done(Usage(3, 2), "stop")]
    server = starting({"traced": ScriptedModel("traced", events, delay=0.02)})
    async with server.client() as client:
        number = await conversation(client)
        asked = await ask(client, number, content="Make a total.", model="traced")
        async with client.get(f"/api/answers/{asked['answer_id']}/events") as response:
            await read_events(response, limit=4)
        async with client.delete(f"/api/answers/{asked['answer_id']}") as response:
            assert response.status == 204
        turn = (await get(client, f"/api/conversations/{number}"))["turns"][1]
        assert turn["reason"] == "stopped" and [one["tool"] for one in turn["steps"]] == ["grep_code"]
        assert turn["checked"] is None and turn["withdrawn"] == []
