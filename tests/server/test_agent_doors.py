"""The steps of an agent through every door, and which requests turn the agent on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from codeweft.models.openai_compatible import OpenAICompatible
from codeweft.models.scripted import ScriptedModel
from codeweft.stream import fold
from codeweft.types import Done, Message, Request, Retrieval, Started, Step, TextDelta, Usage
from tests.server.conftest import RETRIEVED, Server, app_model

STEP = Step(1, "grep_code", {"pattern": "total"}, 0.25, 3, 40, "Let me look.")
TOLD = {
    "number": 1, "tool": "grep_code", "arguments": {"pattern": "total"}, "seconds": 0.25, "results": 3,
    "tokens": 40, "thought": "Let me look.", "error": "",
}  # fmt: skip


@pytest.fixture
def server(starting: Callable[..., Server]) -> Server:
    events = [Started("plain"), RETRIEVED, STEP, TextDelta("Use it [1]."), Done(Usage(12, 4))]
    return starting({"codegen": ScriptedModel("codegen", events), "bare": app_model()})


def asked(server: Server) -> Request:
    found: Request = server.composition.models["codegen"].requests[-1]
    return found


async def test_openai_clients_get_steps_beside_the_content(server: Server) -> None:
    async with AsyncOpenAI(base_url=server.url + "/v1", api_key=server.key) as client:
        turns: Any = [{"role": "user", "content": "total?"}]
        wanted = {"agents_flag": True}
        whole = await client.chat.completions.create(model="codegen", messages=turns, extra_body=wanted)
        assert whole.model_extra is not None and whole.model_extra["steps"] == [TOLD]
        assert asked(server).retrieval.agent
        stream = await client.chat.completions.create(
            model="codegen", messages=turns, stream=True, extra_body=wanted
        )
        chunks = [chunk async for chunk in stream]
        steps = [chunk.model_extra["step"] for chunk in chunks if (chunk.model_extra or {}).get("step")]
        assert steps == [TOLD]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Use it [1]."
        response = await client.responses.create(model="codegen", input="total?", extra_body=wanted)
        assert asked(server).retrieval.agent
        assert (response.model_extra or {})["steps"] == [TOLD]


async def test_a_codeweft_client_gets_the_same_events(server: Server) -> None:
    remote = OpenAICompatible(
        "codegen", server.url + "/v1", api_key=server.key, model="codegen", codeweft=True
    )
    try:
        answer = await fold(
            remote.stream(Request("codegen", (Message("user", "x"),), retrieval=Retrieval(agent=True)))
        )
    finally:
        await remote.close()
    assert answer.steps == [STEP] and answer.text == "Use it [1]."
    assert asked(server).retrieval.agent


async def test_anthropic_clients_turn_it_on_too(server: Server) -> None:
    async with AsyncAnthropic(base_url=server.url, api_key=server.key) as client:
        message = await client.messages.create(
            model="codegen", max_tokens=50, messages=[{"role": "user", "content": "x"}],
            extra_body={"agents_flag": "True"},
        )  # fmt: skip
    assert asked(server).retrieval.agent and (message.model_extra or {})["steps"] == [TOLD]


async def test_the_chat_of_the_page_tells_steps_as_events(server: Server) -> None:
    async with server.client() as client:
        async with client.post("/api/conversations", json={}) as made:
            conversation = (await made.json())["id"]
        body = {"content": "total?", "agent": True}
        async with client.post(f"/api/conversations/{conversation}/answers", json=body) as answer:
            answer_id = (await answer.json())["answer_id"]
        async with client.get(f"/api/answers/{answer_id}/events") as stream:
            text = await stream.text()
    told = [json.loads(part.split("data: ")[1]) for part in text.split("\n\n") if "event: step\n" in part]
    assert told == [TOLD] and asked(server).retrieval.agent


async def test_an_agent_without_look_ups_is_refused_by_name(server: Server) -> None:
    body = {
        "model": "codegen",
        "messages": [{"role": "user", "content": "x"}],
        "index": "",
        "agents_flag": True,
    }
    async with server.client() as client, client.post("/v1/chat/completions", json=body) as answer:
        assert answer.status == 400 and (await answer.json())["error"]["param"] == "agents_flag"
