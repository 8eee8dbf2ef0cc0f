"""Completion at a hole over the page's API: the events, the exact prompt, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from codeweft.models import last_resort
from codeweft.models.scripted import ScriptedModel
from codeweft.types import Done, Infill, Prompted, PromptPiece, Started, TextDelta, Usage
from tests.server.conftest import RETRIEVED, Server

PIECES = (PromptPiece("<PRE>", special=True), PromptPiece("a = "), PromptPiece("<MID>", special=True))


def filling() -> ScriptedModel:
    events = [
        Started("filling", "small"),
        RETRIEVED,
        Prompted(PIECES, 9),
        TextDelta("1 +"),
        TextDelta(" 1"),
        Done(Usage(9, 4), "stop", {"tokens_per_s": 50.0}),
    ]
    return ScriptedModel("filling", events)


async def test_a_hole_is_filled_with_the_prompt_told_first(starting: Callable[..., Server]) -> None:
    model = filling()
    server = starting({"codegen": model})
    body = {"prefix": "a = ", "suffix": "\n", "index": "", "sampling": {"max_tokens": 4}}
    async with server.client() as client, client.post("/api/infill", json=body) as response:
        assert response.status == 200 and response.content_type == "text/event-stream"
        text = await response.text()
    told: list[tuple[str, Any]] = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        told.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    assert [name for name, _ in told] == ["started", "retrieved", "prompt", "text", "text", "done"]
    prompt = told[2][1]
    assert prompt["tokens"] == 9
    assert prompt["pieces"][:2] == [{"text": "<PRE>", "special": True}, {"text": "a = ", "special": False}]
    done = told[-1][1]
    assert done["timings"]["tokens_per_s"] == 50.0 and done["timings"]["first_token_s"] >= 0
    (asked,) = model.requests
    assert asked.infill == Infill("a = ", "\n") and asked.explain and not asked.retrieval.enabled
    assert asked.sampling.max_tokens == 4


async def test_a_model_that_cannot_fill_is_refused_before_anything_is_streamed(
    starting: Callable[..., Server],
) -> None:
    model = ScriptedModel("codegen", "Hello", skills=frozenset({"chat"}))
    server = starting({"codegen": model, "filling": filling()})
    async with server.client() as client, client.post("/api/infill", json={"prefix": "a"}) as response:
        error = (await response.json())["error"]
    assert response.status >= 400 and "filling can" in error["fix"]


def test_a_prompt_of_turns_is_told_with_their_roles() -> None:
    pieces = last_resort.pieces(last_resort.ask(Infill("before", "after")))
    assert [piece.text for piece in pieces if piece.special] == ["system", "user"]
    assert "before" in pieces[-1].text and "after" in pieces[-1].text
