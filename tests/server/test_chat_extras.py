"""Attachments, snippets, feedback and files of conversations; nothing of one person is another's."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from sqlalchemy import insert

from codeweft.accounts.tables import UserRow
from codeweft.server.fenced import code_blocks
from tests.server.conftest import Server
from tests.server.test_branches import answered, said
from tests.server.test_conversations import conversation, get

SECRET = "AKIAIOSFODNN7EXAMPLQ"


async def attach(client: aiohttp.ClientSession, name: str, data: bytes, status: int = 201) -> Any:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("file", data, filename=name)
    async with client.post("/api/attachments", data=form) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def import_file(client: aiohttp.ClientSession, name: str, data: bytes, status: int = 201) -> Any:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("file", data, filename=name)
    async with client.post("/api/conversations/import", data=form) as response:
        assert response.status == status, await response.text()
        return await response.json()


@pytest.fixture(scope="module")
def marys(server: Server) -> str:
    """The key of a second person, who is no administrator."""
    accounts = server.composition.accounts

    async def made() -> str:
        async with accounts._engine.begin() as connection:
            await connection.execute(
                insert(UserRow).values(id="mary", name="mary", role="member", created_at=1.0)
            )
        return await accounts.create_key("marys", "mary")

    return server.run(made())


@pytest.fixture
async def mary(server: Server, marys: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with server.client(headers={"Authorization": f"Bearer {marys}"}) as client:
        yield client


async def test_a_file_becomes_context_of_its_turn_without_its_secrets(server: Server) -> None:
    model = server.composition.models["plain"]
    async with server.client() as client:
        number = await conversation(client)
        file = await attach(client, "src/conf.py", f'def load():\n    key = "{SECRET}"\n'.encode())
        assert (file["name"], file["language"], file["secrets"]) == ("conf.py", "python", 1)
        turn = await answered(client, number, content="What does it load?", attachments=[file["id"]])
        asked = model.requests[-1]
        assert asked.messages[0].content.startswith("Attached file conf.py:\n```python\ndef load():")
        assert SECRET not in asked.messages[0].content
        assert asked.retrieval.query == "What does it load?"
        question = (await said(client, number))[0]
        assert question["content"] == "What does it load?" and question["attachments"][0]["name"] == "conf.py"
        text = (await get(client, f"/api/attachments/{file['id']}"))["text"]
        assert "def load" in text and SECRET not in text
        await answered(client, number, content="And now?", beside=question["id"], attachments=[file["id"]])
        edited = (await said(client, number))[0]
        assert edited["attachments"][0]["name"] == "conf.py" and edited["attachments"][0]["id"] != file["id"]
        assert turn["id"] != edited["id"]


@pytest.mark.parametrize(
    ("name", "data", "status", "says"),
    [
        ("a.bin", b"\0\1\2", 400, "binary content"),
        ("a.py", b"   ", 400, "is empty"),
        ("a.pdf", b"no pdf", 400, "cannot be attached"),
        ("a.txt", b"x" * 400_001, 413, "too large"),
        ("...", b"x", 400, "needs a name"),
    ],
)
async def test_what_cannot_be_attached_is_refused_with_the_reason(
    server: Server, name: str, data: bytes, status: int, says: str
) -> None:
    async with server.client() as client:
        told = await attach(client, name, data, status)
        assert says in told["error"]["message"] and told["error"]["param"] == "file"


async def test_a_file_can_be_taken_back_until_it_is_sent(server: Server) -> None:
    async with server.client() as client:
        number = await conversation(client)
        gone, sent = await attach(client, "a.py", b"a = 1"), await attach(client, "b.py", b"b = 1")
        async with client.delete(f"/api/attachments/{gone['id']}") as response:
            assert response.status == 204
        path = f"/api/conversations/{number}/answers"
        async with client.post(
            path, json={"content": "x", "model": "plain", "attachments": [gone["id"]]}
        ) as response:
            assert response.status == 404 and (await response.json())["error"]["param"] == "attachments"
        assert await said(client, number) == []
        await answered(client, number, content="x", attachments=[sent["id"]])
        async with client.delete(f"/api/attachments/{sent['id']}") as response:
            assert response.status == 404


def test_code_blocks_are_found_whatever_their_fence() -> None:
    text = (
        "a\n```python\nx = 1\n```\n~~~\ny\n```\n~~~\n````md\n```\n````\n```js title=x\n\n```\n```go\ncut off"
    )
    assert code_blocks(text) == [("python", "x = 1"), ("", "y\n```"), ("md", "```"), ("go", "cut off")]
    assert code_blocks("```not a fence``` and text") == []


async def test_the_code_of_answers_is_a_history_that_can_be_searched_and_deleted(server: Server) -> None:
    async with server.client() as client:
        number = await conversation(client)
        await answered(client, number, content="write two", model="coder")
        found = await get(client, "/api/snippets?q=total")
        assert [one["language"] for one in found] == ["python", "go"] or [
            one["language"] for one in found
        ] == ["go", "python"]
        assert found[0]["title"] == "write two" and found[0]["conversation_id"] == number
        async with client.post("/api/snippets", json={"code": "keep = me", "title": "Mine"}) as response:
            mine = await response.json()
        async with client.delete(f"/api/snippets/{found[0]['id']}") as response:
            assert response.status == 204
        assert len(await get(client, "/api/snippets?q=total")) == 1
        async with client.delete(f"/api/conversations/{number}") as response:
            assert response.status == 204
        assert [one["id"] for one in await get(client, "/api/snippets")] == [mine["id"]]
        async with client.delete("/api/snippets") as response:
            assert await response.json() == {"deleted": 1}


async def test_administrators_read_and_export_what_people_said_about_answers(
    server: Server, mary: aiohttp.ClientSession
) -> None:
    async with server.client() as client:
        number = await conversation(client)
        turn = await answered(client, number, content="=HYPERLINK(1)")
        body = {"rating": "bad", "comment": '@wrong, "very"'}
        async with client.put(f"/api/turns/{turn['id']}/rating", json=body) as response:
            assert response.status == 204
        (row,) = await get(client, "/api/feedback?rating=bad")
        assert (row["question"], row["answer"]) == ("=HYPERLINK(1)", "Hello from the plain model")
        assert row["model"] == "plain" and row["comment"] == body["comment"] and row["user"]
        assert await get(client, "/api/feedback?rating=good") == []
        async with client.get("/api/feedback/export") as response:
            assert json.loads((await response.text()).splitlines()[0]) == row
        async with client.get("/api/feedback/export?format=csv") as response:
            assert "feedback.csv" in response.headers["Content-Disposition"]
            head, line = csv.reader(io.StringIO(await response.text()))
        assert dict(zip(head, line, strict=True))["question"] == "'=HYPERLINK(1)"
    for path in ("/api/feedback", "/api/feedback/export"):
        async with mary.get(path) as response:
            assert response.status == 403


async def test_a_conversation_comes_back_whole_from_its_json(server: Server) -> None:
    async with server.client() as client:
        number = await conversation(client)
        file = await attach(client, "a.py", b"a = 1")
        await answered(client, number, content="one", attachments=[file["id"]])
        await answered(client, number, content="again", model="codegen", regenerate=False)
        await answered(client, number, regenerate=True)
        async with client.get(f"/api/conversations/{number}/export") as response:
            data = await response.read()
        (made,) = await import_file(client, "x.json", data)
        assert made["id"] != number
        old, new = await said(client, number), await said(client, made["id"])
        for before, after in zip(old, new, strict=True):
            assert (before["content"], before["role"], before["references"]) == (
                after["content"],
                after["role"],
                after["references"],
            )
            assert len(before["siblings"]) == len(after["siblings"]) and before["id"] != after["id"]
        assert new[0]["attachments"][0]["name"] == "a.py"
        async with client.get("/api/conversations/export") as response:
            every = json.loads(await response.read())
        assert {"one"} & {turn["content"] for one in every["conversations"] for turn in one["turns"]}


async def test_a_conversation_comes_back_from_its_markdown(server: Server) -> None:
    async with server.client() as client:
        number = await conversation(client)
        await answered(client, number, content="<!-- codeweft:user -->\n## Not a heading of ours")
        await answered(client, number, content="and?", model="codegen")
        async with client.get(f"/api/conversations/{number}/export?format=markdown") as response:
            text = await response.text()
        assert "## Answer (plain)" in text and "1. `cart.py:3-9`" in text
        (made,) = await import_file(client, "x.md", text.encode())
        old, new = await said(client, number), await said(client, made["id"])
        assert [one["content"] for one in new] == [one["content"] for one in old]
        assert [one["model"] for one in new] == [one["model"] for one in old]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.json", b"{", "no file of conversations"),
        ("a.json", b'{"format": "other", "version": 1, "conversations": []}', "format"),
        ("a.md", b"# Notes", "holds no conversation"),
        ("a.md", b"\xff\xfe\x00", "not UTF-8"),
        (
            "a.json",
            b'{"format": "codeweft.conversations", "version": 1, "conversations": [{"turns": '
            b'[{"id": "a", "parent": "b", "role": "user", "content": "x"}]}]}',
            "before its parent",
        ),
        (
            "a.json",
            b'{"format": "codeweft.conversations", "version": 1, "conversations": [{"turns": '
            b'[{"id": "a", "role": "assistant", "content": "x"}]}]}',
            "does not answer",
        ),
    ],
)
async def test_a_file_that_is_no_export_is_refused_with_the_place(
    server: Server, name: str, data: bytes, says: str
) -> None:
    async with server.client() as client:
        assert says in (await import_file(client, name, data, 400))["error"]["message"]


async def test_nothing_of_one_person_is_anothers(server: Server, mary: aiohttp.ClientSession) -> None:
    async with server.client() as client:
        number = await conversation(client)
        file = await attach(client, "a.py", b"a = 1")
        turn = await answered(client, number, content="mine", model="explained", explain=True)
        await answered(client, number, content="code", model="coder")
        snippet = (await get(client, "/api/snippets"))[0]
        running = await answering(client, number)
        theirs = await conversation(mary)
        for method, path, body in (
            ("GET", f"/api/conversations/{number}", None),
            ("GET", f"/api/conversations/{number}/export", None),
            ("PUT", f"/api/conversations/{number}/branch", {"turn_id": turn["id"]}),
            ("POST", f"/api/conversations/{number}/answers", {"content": "x", "model": "plain"}),
            ("POST", f"/api/conversations/{theirs}/answers", {"content": "x", "attachments": [file["id"]]}),
            ("POST", f"/api/conversations/{theirs}/answers", {"regenerate": True, "beside": turn["id"]}),
            ("GET", f"/api/turns/{turn['id']}/explanation", None),
            ("PUT", f"/api/turns/{turn['id']}/rating", {"rating": "bad"}),
            ("GET", f"/api/answers/{running}/events", None),
            ("DELETE", f"/api/answers/{running}", None),
            ("GET", f"/api/attachments/{file['id']}", None),
            ("DELETE", f"/api/attachments/{file['id']}", None),
            ("DELETE", f"/api/snippets/{snippet['id']}", None),
        ):
            async with mary.request(method, path, json=body) as response:
                assert response.status == 404, f"{method} {path}: {await response.text()}"
        assert await get(mary, "/api/snippets") == []
        assert await get(mary, "/api/conversations?q=mine") == []
        async with mary.delete("/api/snippets") as response:
            assert await response.json() == {"deleted": 0}
        async with mary.get("/api/conversations/export") as response:
            assert [one["turns"] for one in json.loads(await response.read())["conversations"]] == [[]]
        async with client.delete(f"/api/answers/{running}") as response:
            assert response.status == 204


async def answering(client: aiohttp.ClientSession, number: str) -> str:
    """An answer that is being written."""
    path = f"/api/conversations/{number}/answers"
    async with client.post(path, json={"content": "long", "model": "slow"}) as response:
        return (await response.json())["answer_id"]
