"""Code tasks over HTTP: the page's API, OPEA's translation, and OpenAI's protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import openai
import pytest

from codeweft.flows import Flow, Services, library
from codeweft.models.openai_compatible import OpenAICompatible
from codeweft.models.scripted import ScriptedModel
from codeweft.server import fields, wire
from codeweft.stream import fold
from codeweft.types import Checked, Limits, Ran, Request, SearchResult
from tests.server.conftest import Server, start

WRONG = "```go\nfunc f() {\n```"
RIGHT = "```go\nfunc f() {}\n```"
CODE = "def f():\n    pass\n"


class Nothing:
    async def search(self, query: object) -> list[SearchResult]:
        return []


class Gofmt:
    """A sandbox with one tool, which takes code with balanced braces."""

    async def missing(self) -> str:
        return ""

    def tool(self, name: str) -> bool:
        return name == "gofmt"

    async def run(self, command: Any, files: Any, limits: Limits | None = None) -> Ran:
        code = "".join(files.values())
        right = code.count("{") == code.count("}")
        return Ran(0, "", 0.1) if right else Ran(2, "solution.go:1: error: expected '}'", 0.1)


def flow(name: str, *answers: str) -> Flow:
    writer = ScriptedModel("writer", *answers)
    return Flow(library()[name], Services(lambda _: writer, Nothing(), sandbox=Gofmt()))


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def begin(*answers: str) -> Server:
        models = {
            "translate": flow("translate", *answers),
            "translate@other": flow("translate", RIGHT),
            "explain": flow("explain", *answers),
            "plain": ScriptedModel("plain", "Hello"),
        }
        one = start(tmp_path_factory.mktemp("home"), models)
        one.composition.sandbox = Gofmt()
        one.composition.apps = [spec for spec in library().values() if spec.inputs]
        running.append(one)
        return one

    yield begin
    for one in running:
        one.stop()


async def events(response: aiohttp.ClientResponse) -> list[tuple[str, Any]]:
    told = []
    for block in (await response.text()).strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        told.append((lines["event"], json.loads(lines["data"])))
    return told


# ── the page's API ───────────────────────────────────────────────────────────────────────────────────────────


async def test_the_tasks_are_listed_with_their_inputs_and_what_can_be_checked(server: Any) -> None:
    async with server(RIGHT).client() as client, client.get("/api/tasks") as response:
        listed = await response.json()
    tasks = {one["name"]: one for one in listed["tasks"]}
    assert len(tasks) == 8 and tasks["fix"]["checks"] and not tasks["translate"]["looks_up"]
    to = next(one for one in tasks["translate"]["inputs"] if one["name"] == "language_to")
    assert to["required"] and to["kind"] == "language" and to["title"] == "To"
    assert listed["sandbox"] == {"ready": True, "why": "", "languages": ["go"]}


async def test_running_a_task_streams_the_events_of_a_conversation(server: Any) -> None:
    body = {"inputs": {"code": CODE, "language_to": "Go"}}
    async with (
        server(WRONG, RIGHT).client() as client,
        client.post("/api/tasks/translate", json=body) as response,
    ):
        assert response.status == 200 and response.content_type == "text/event-stream"
        told = await events(response)
    kinds = [kind for kind, _ in told]
    assert kinds[0] == "started" and kinds[-1] == "done" and "withdrawn" in kinds and "node" in kinds
    checked = next(data for kind, data in told if kind == "checked")
    assert checked == {
        "verified": True, "tool": "gofmt", "message": "gofmt accepts its syntax", "language": "go", "repaired": True,
    }  # fmt: skip
    turn = told[-1][1]["turn"]
    assert turn["content"] == f"{RIGHT}\n\nVerified: gofmt accepts its syntax."
    assert turn["reason"] == "stop" and turn["usage"]["completion_tokens"] > 0
    after = kinds.index("withdrawn")
    text = "".join(data["text"] for kind, data in told[after:] if kind == "text")
    assert text == turn["content"]


async def test_wrong_inputs_are_an_error_before_anything_is_streamed(server: Any) -> None:
    async with server(RIGHT).client() as client:
        for name, body, status, param in (
            ("translate", {"inputs": {"code": CODE}}, 400, "language_to"),
            ("translate", {"inputs": {"code": CODE, "language_to": "go", "x": "y"}}, 400, "x"),
            ("translate", {"inputs": {"code": 3}}, 400, "inputs.code"),
            ("codegen", {"inputs": {"code": CODE}}, 404, "name"),
            ("translate", {"inputs": {}, "modle": "x"}, 400, "modle"),
        ):
            async with client.post(f"/api/tasks/{name}", json=body) as response:
                error = (await response.json())["error"]
                assert (response.status, error["param"]) == (status, param)


async def test_tasks_need_somebody_who_is_signed_in(server: Any) -> None:
    async with server(RIGHT).client(headers={}) as client:
        async with client.get("/api/tasks") as response:
            assert response.status == 401
        async with client.post("/api/tasks/explain", json={"inputs": {"code": CODE}}) as response:
            assert response.status == 401


# ── OPEA's protocol ──────────────────────────────────────────────────────────────────────────────────────────

OPEA = {"language_from": "Python", "language_to": "Go", "source_code": CODE}


async def test_codetrans_answers_opea_s_three_fields_with_a_checked_translation(server: Any) -> None:
    body = {**OPEA, "stream": False}
    async with (
        server(WRONG, RIGHT).client() as client,
        client.post("/v1/codetrans", json=body) as response,
    ):
        answer = await response.json()
    assert response.status == 200 and answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": RIGHT}
    assert answer["checked"]["verified"] and answer["checked"]["repaired"]


async def test_codetrans_streams_unless_told_otherwise(server: Any) -> None:
    async with server(RIGHT).client() as client, client.post("/v1/codetrans", json=OPEA) as response:
        assert response.content_type == "text/event-stream"
        lines = (await response.text()).strip().split("\n\n")
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == RIGHT
    assert chunks[-1]["checked"]["tool"] == "gofmt"


async def test_codetrans_shows_the_model_the_code_and_both_languages(server: Any) -> None:
    running = server(RIGHT)
    async with running.client() as client, client.post("/v1/codetrans", json=OPEA) as response:
        await response.read()
    asked = running.composition.models["translate"]._services.model(None).requests[0].messages[-1].content
    assert f"```python\n{CODE}```" in asked and "Translate the code to Go." in asked


async def test_codetrans_names_the_field_at_fault(server: Any) -> None:
    async with server(RIGHT).client() as client:
        for change, param in (
            ({"source_code": " "}, "source_code"),
            ({"language_to": ""}, "language_to"),
            ({"language_to": None}, "language_to"),
            ({"language_from": "a\nb"}, "language_from"),
            ({"messages": [{"role": "user", "content": "x"}]}, "messages"),
            ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
            ({"best_of": 2}, "best_of"),
            ({"colour": "red"}, "colour"),
        ):
            async with client.post("/v1/codetrans", json={**OPEA, **change}) as response:
                error = (await response.json())["error"]
                assert (response.status, error["param"]) == (400, param)


async def test_codetrans_takes_the_model_that_writes(server: Any) -> None:
    body = {**OPEA, "model": "other", "stream": False}
    async with server(WRONG).client() as client, client.post("/v1/codetrans", json=body) as response:
        assert (await response.json())["choices"][0]["message"]["content"] == RIGHT


# ── OpenAI's protocol ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_task_is_a_model_with_messages_or_with_inputs(server: Any) -> None:
    running = server("It does nothing.")
    async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key=running.key) as client:
        said = await client.chat.completions.create(
            model="explain", messages=[{"role": "user", "content": CODE}]
        )
        given = await client.chat.completions.create(
            model="explain", messages=[], extra_body={"inputs": {"code": CODE}}
        )
        assert said.choices[0].message.content == given.choices[0].message.content == "It does nothing."
        with pytest.raises(openai.BadRequestError, match="no `colour`"):
            await client.chat.completions.create(
                model="explain", messages=[], extra_body={"inputs": {"colour": "red"}}
            )


async def test_the_command_line_s_client_gets_the_check_and_only_the_corrected_text(server: Any) -> None:
    running = server(WRONG, RIGHT)
    model = OpenAICompatible(
        "translate", f"{running.url}/v1", api_key=running.key, model="translate", codeweft=True
    )
    try:
        request = Request("translate", inputs={"code": CODE, "language_to": "go", "label": "no"})
        answer = await fold(model.stream(request))
    finally:
        await model.close()
    assert answer.text == RIGHT
    assert answer.checked == Checked(True, "gofmt", "gofmt accepts its syntax", "go", True)


def test_every_field_that_codetrans_uses_is_parsed() -> None:
    used = {name for name, field in fields.CODETRANS.items() if field.use in ("used", "forwarded")}
    assert used <= set(wire.CodetransBody.__struct_fields__)
