"""What editor plugins send: llama.vim and llama.vscode (`/infill`), Tabby's (`segments`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from codeweft.models.scripted import ScriptedModel
from codeweft.types import Done, Neighbour, Started, TextDelta, Usage
from tests.server.conftest import Server

LLAMA_VIM: dict[str, Any] = {
    "id_slot": 0,
    "input_prefix": "def area(w, h):\n",
    "input_suffix": "\n\nprint(area(2, 3))\n",
    "input_extra": [{"text": "def volume(w, h, d): ...", "filename": "shapes.py", "time": [1, 2]}],
    "prompt": "    return ",
    "n_predict": 64,
    "n_indent": 4,
    "top_k": 40,
    "top_p": 0.9,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "response_fields": ["content", "timings/prompt_n", "timings/predicted_n", "truncated", "tokens_cached"],
}
"""A request as llama.vim sends it."""

SEGMENTS: dict[str, Any] = {
    "language": "python",
    "segments": {
        "prefix": "def area(w, h):\n    return ",
        "suffix": "\n",
        "filepath": "area.py",
        "git_url": "https://example.com/shapes.git",
        "declarations": [{"filepath": "shapes.py", "body": "def volume(w, h, d): ..."}],
    },
    "user": "someone",
}


async def post(server: Server, path: str, body: Any, **options: Any) -> tuple[int, Any]:
    async with server.client(**options) as session, session.post(path, json=body) as answer:
        return answer.status, await answer.json() if answer.content_type == "application/json" else None


async def test_llama_vim_gets_the_middle_and_the_fields_it_asked_for(starting: Callable[..., Server]) -> None:
    model = ScriptedModel("codegen", [Started("m"), TextDelta("w * h"), Done(Usage(20, 3, 5))])
    server = starting({"codegen": model})
    status, told = await post(server, "/infill", LLAMA_VIM)
    assert status == 200
    assert told == {
        "content": "w * h",
        "timings/prompt_n": 15,
        "timings/predicted_n": 3,
        "truncated": False,
        "tokens_cached": 5,
    }
    (request,) = model.requests
    assert request.infill.prefix == "def area(w, h):\n    return "
    assert request.infill.suffix == "\n\nprint(area(2, 3))\n"
    assert request.infill.neighbours == (Neighbour("shapes.py", "def volume(w, h, d): ..."),)
    assert request.sampling.max_tokens == 64


async def test_a_request_for_nothing_does_not_wake_the_model(starting: Callable[..., Server]) -> None:
    model = ScriptedModel("codegen", "x")
    server = starting({"codegen": model})
    status, told = await post(server, "/infill", LLAMA_VIM | {"n_predict": 0, "response_fields": ["content"]})
    assert (status, told) == (200, {"content": ""})
    assert model.requests == []


async def test_a_slow_completion_ends_after_its_time_with_a_whole_line(
    starting: Callable[..., Server],
) -> None:
    model = ScriptedModel("codegen", "one\n " + "more " * 200, delay=0.02)
    server = starting({"codegen": model})
    status, told = await post(
        server, "/infill", LLAMA_VIM | {"t_max_predict_ms": 60, "response_fields": None}
    )
    assert status == 200
    assert told["content"].startswith("one\n")
    assert len(told["content"]) < 500
    assert told["stop_type"] == "limit"
    assert model.cancelled == 1


async def test_infill_streams_and_props_tell_the_context(starting: Callable[..., Server]) -> None:
    server = starting({"codegen": ScriptedModel("codegen", "a b", context=4096)})
    body = {key: value for key, value in LLAMA_VIM.items() if key != "response_fields"} | {"stream": True}
    async with server.client() as session, session.post("/infill", json=body) as answer:
        lines = [line async for line in answer.content if line.startswith(b"data: ")]
    assert b'"content":"a "' in lines[0]
    assert b'"stop":true' in lines[-1]
    async with server.client() as session, session.get("/props") as answer:
        told = await answer.json()
    assert told["default_generation_settings"]["n_ctx"] == 4096


@pytest.mark.parametrize(
    ("change", "names"), [({"n_probs": 5}, "n_probs"), ({"top_p": 7}, "top_p"), ({"grammarz": 1}, "grammarz")]
)
async def test_infill_refuses_by_name(server: Server, change: dict[str, Any], names: str) -> None:
    status, told = await post(server, "/infill", LLAMA_VIM | change)
    assert status == 400
    assert names in told["error"]["message"]


async def test_infill_needs_a_key(server: Server) -> None:
    status, _ = await post(server, "/infill", LLAMA_VIM, headers={})
    assert status == 401


async def test_tabby_segments_are_completed_at_openais_address(starting: Callable[..., Server]) -> None:
    model = ScriptedModel("codegen", "w * h")
    server = starting({"codegen": model})
    status, told = await post(server, "/v1/completions", SEGMENTS)
    assert status == 200
    assert told["choices"] == [{"index": 0, "text": "w * h"}]
    assert told["id"].startswith("cmpl-")
    (request,) = model.requests
    assert (request.infill.prefix, request.infill.suffix) == ("def area(w, h):\n    return ", "\n")
    assert request.infill.neighbours == (Neighbour("shapes.py", "def volume(w, h, d): ..."),)
    # OpenAI's completions still are what they were, also when they speak of segments.
    status, told = await post(server, "/v1/completions", {"prompt": 'x = {"segments": 1}'})
    assert (status, told["object"]) == (200, "text_completion")


async def test_tabby_asks_how_the_server_is_and_reports_what_was_taken(server: Server) -> None:
    async with server.client() as session:
        async with session.get("/v1/health") as answer:
            health = await answer.json()
        async with session.get("/v1beta/server_setting") as answer:
            setting = await answer.json()
        taken = {"type": "select", "completion_id": "cmpl-1", "choice_index": 0, "elapsed": 40}
        async with session.post("/v1/events", json=taken) as answer:
            assert answer.status == 200
        async with session.post("/v1/events", json={"type": "sneeze"}) as answer:
            assert answer.status == 400
        async with session.get("/metrics") as answer:
            metrics = await answer.text()
    assert health["model"] == "codegen"
    assert health["version"]["git_describe"].startswith("codeweft-")
    assert setting == {"disable_client_side_telemetry": True}
    assert 'codeweft_editor_events_total{type="select"} 1.0' in metrics


async def test_tabby_needs_a_key_too(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as session, session.get("/v1/health") as answer:
        assert answer.status == 401
