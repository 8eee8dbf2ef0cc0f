"""At every front door: citations come checked, explanations when asked for, secrets as places without their text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from codeweft.models.openai_compatible import OpenAICompatible
from codeweft.models.scripted import ScriptedModel
from codeweft.stream import fold
from codeweft.types import (
    Chunk,
    Cited,
    Done,
    Event,
    Explained,
    Message,
    Request,
    Retrieved,
    SearchResult,
    Started,
    TextDelta,
    Usage,
)
from tests.server.conftest import Server, start
from tests.server.test_conversations import ask, conversation, get, read_events

TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"


def _result(name: str) -> SearchResult:
    chunk = Chunk("shop", f"{name}.py", 1, 3, "python", "function", name, f"def {name}(): ...")
    return SearchResult(chunk, 0.5, {"name": 0.25})


FOUND = (_result("total"), _result("tax"))
EXPLAINED = Explained(
    "the sum?", "sum of a cart", (*FOUND, _result("cut")), FOUND, (Message("user", "Reference [1] total.py"),)
)


class Checked(ScriptedModel):
    """An app whose second reference is stale and whose third does not exist; it explains itself when asked."""

    def __init__(self) -> None:
        super().__init__("codegen")

    async def stream(self, request: Request) -> Any:
        events: list[Event] = [
            Started("plain"),
            Retrieved("sum of a cart", FOUND),
            TextDelta("Call `total` [1], "),
            TextDelta("not `tax` [2] or [3]."),
            Cited((1,), (2, 3), (2,)),
        ]
        for event in events:
            yield event
        if request.explain:
            yield EXPLAINED
        yield Done(Usage(12, 4))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(
        tmp_path_factory.mktemp("honest"), {"codegen": Checked(), "plain": ScriptedModel("plain", "x")}
    )
    yield running
    running.stop()


def _body(**more: Any) -> dict[str, Any]:
    return {"model": "codegen", "messages": [{"role": "user", "content": "the sum?"}], **more}


async def test_a_whole_answer_comes_without_the_citations_that_failed(honest: Server) -> None:
    async with honest.client() as client, client.post("/v1/chat/completions", json=_body()) as response:
        answer = await response.json()
    assert answer["choices"][0]["message"]["content"] == "Call `total` [1], not `tax` or."
    assert answer["citations"] == {"verified": [1], "dropped": [2, 3]}
    assert [(one["number"], one["verified"]) for one in answer["references"]] == [(1, True), (2, False)]
    assert answer["references"][0]["why"] == {"name": 0.25} and "explained" not in answer


async def test_a_stream_tells_at_its_end_which_citations_failed(honest: Server) -> None:
    async with (
        honest.client() as client,
        client.post("/v1/chat/completions", json=_body(stream=True, explain=True)) as response,
    ):
        lines = [line.decode()[6:] async for line in response.content if line.startswith(b"data: {")]
    chunks = [json.loads(line) for line in lines]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks).endswith(
        "`tax` [2] or [3]."
    )
    last = chunks[-1]
    assert last["citations"] == {"verified": [1], "dropped": [2, 3]}
    told = last["explained"]
    assert told["query"] == "sum of a cart" and told["prompt"][0]["content"] == "Reference [1] total.py"
    assert [one["number"] for one in told["candidates"]] == [1, 2, None]


async def test_a_client_of_ours_reads_it_all_back(honest: Server) -> None:
    model = OpenAICompatible(
        "codegen", f"{honest.url}/v1", api_key=honest.key, model="codegen", codeweft=True
    )
    answer = await fold(model.stream(Request("codegen", (Message("user", "the sum?"),), explain=True)))
    await model.close()
    assert answer.cited == Cited((1,), (2, 3), (2,)) and answer.text == "Call `total` [1], not `tax` or."
    assert answer.explained is not None and answer.explained.prompt == EXPLAINED.prompt
    assert [one.chunk.path for one in answer.explained.candidates] == ["total.py", "tax.py", "cut.py"]
    assert [one.chunk.path for one in answer.explained.shown] == ["total.py", "tax.py"]


async def test_a_conversation_keeps_the_checked_answer(honest: Server) -> None:
    async with honest.client() as client:
        number = await conversation(client)
        asked = await ask(client, number, content="the sum?", model="codegen", index=None, explain=True)
        async with client.get(f"/api/answers/{asked['answer_id']}/events") as response:
            events = {kind: data for _, kind, data in await read_events(response)}
        kept = (await get(client, f"/api/conversations/{number}"))["turns"][-1]
    assert events["cited"] == {"verified": [1], "dropped": [2, 3], "gone": [2]}
    assert events["explained"]["query"] == "sum of a cart"
    assert kept["content"] == "Call `total` [1], not `tax` or."
    assert [one["verified"] for one in kept["references"]] == [True, False]


async def test_citations_are_counted(honest: Server) -> None:
    async def counts(client: Any) -> tuple[float, float]:
        text = await (await client.get("/metrics")).text()
        found = [
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("codeweft_citations_total")
        ]
        return found[0], found[1]

    async with honest.client() as client:
        verified, dropped = await counts(client)
        await (await client.post("/v1/chat/completions", json=_body())).read()
        assert await counts(client) == (verified + 1, dropped + 2)


async def test_an_administrator_is_told_where_secrets_were(honest: Server, tmp_path: Path) -> None:
    (tmp_path / "keys.py").write_text(f'\nTOKEN = "{TOKEN}"\n')
    honest.composition.indexes.add(str(tmp_path), "leaky").update()
    async with honest.client() as client:
        assert (await get(client, "/api/indexes/leaky"))["secrets_count"] == 1
        listed = await get(client, "/api/indexes/leaky/secrets")
        source = await get(client, "/api/indexes/leaky/source?path=keys.py")
        async with client.post("/api/users", json={"name": "ann"}) as response:
            ann = (await response.json())["id"]
    key = honest.run(honest.composition.accounts.create_key("ann's", ann))
    async with honest.client(headers={"Authorization": f"Bearer {key}"}) as member:
        assert (await member.get("/api/indexes/leaky/secrets")).status == 403
    assert listed == [{"path": "keys.py", "line": 2, "rule": "github-token"}]
    assert "[redacted: github-token]" in source["text"] and TOKEN not in json.dumps([listed, source])


async def test_uploaded_files_are_redacted_like_all_others(honest: Server) -> None:
    form = aiohttp.FormData()
    form.add_field("files", f"token: {TOKEN}\n".encode(), filename="settings.yaml")
    async with honest.client() as client:
        async with client.post("/api/indexes/given/files", data=form) as response:
            assert response.status == 202
        for _ in range(200):
            if (await get(client, "/api/indexes/given"))["state"] == "ready":
                break
            await asyncio.sleep(0.05)
        assert (await get(client, "/api/indexes/given"))["secrets_count"] == 1
