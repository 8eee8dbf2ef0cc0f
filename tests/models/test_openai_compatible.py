"""Endpoints, good and bad, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import aclosing

import numpy as np
import pytest

from codeweft.errors import (
    CodeweftError,
    ContextOverflow,
    InvalidRequest,
    NotFound,
    SchemaBroken,
    UpstreamFailed,
)
from codeweft.models import upstream
from codeweft.models.openai_compatible import OpenAICompatible, OpenAIEmbedder
from codeweft.models.wire import StreamChunk, decode_chunk
from codeweft.types import (
    Failed,
    Filters,
    Infill,
    Message,
    Neighbour,
    ReasoningDelta,
    Request,
    Retrieval,
    Retrieved,
    Sampling,
    Selection,
    Started,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    replace,
)

from .conftest import done, error_of, events_of, text_of
from .endpoint import FINISHED, USAGE, Endpoint, refuse, running, said, status, stream, wrote

HELLO = stream(said("Hel"), said("lo"), FINISHED, USAGE)
CHAT = Request("m", messages=(Message("system", "Be brief."), Message("user", "Hi")))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retries wait as they do, only a hundred times shorter."""
    monkeypatch.setattr(upstream, "FIRST_PAUSE", 0.005)
    yield


def model_of(endpoint: Endpoint, model: str = "gpt-x", **more: object) -> OpenAICompatible:
    return OpenAICompatible("m", endpoint.url + "/v1", api_key="sk-secret", model=model, **more)  # type: ignore[arg-type]


async def ask(
    endpoint: Endpoint, request: Request = CHAT, model: str = "gpt-x", **more: object
) -> list[object]:
    made = model_of(endpoint, model, **more)
    try:
        return list(await events_of(made, request))
    finally:
        await made.close()


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_chat_keeps_its_turns_and_streams_with_true_usage() -> None:
    async with running(HELLO) as endpoint:
        events = await ask(endpoint)
    path, body = endpoint.asked[0]
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert (body["model"], body["stream"], body["stream_options"]) == ("gpt-x", True, {"include_usage": True})
    assert "temperature" not in body, "an endpoint's own default stays its own"
    assert endpoint.headers[0]["Authorization"] == "Bearer sk-secret"
    assert [type(event) for event in events[:3]] == [Started, TextDelta, TextDelta]
    assert text_of(events) == "Hello"
    assert done(events).usage == Usage(7, 3)
    assert done(events).reason == "stop"


async def test_every_sampling_parameter_is_sent() -> None:
    sampling = Sampling(
        max_tokens=9,
        temperature=0.0,
        top_p=0.5,
        top_k=3,
        min_p=0.1,
        typical_p=0.9,
        frequency_penalty=0.2,
        presence_penalty=0.3,
        repetition_penalty=1.1,
        seed=4,
        stop=("END",),
        logprobs=2,
        logit_bias={5: -1.0},
        json_schema={"type": "object", "properties": {}},
    )
    async with running(stream(said("{}"), FINISHED)) as endpoint:
        await ask(endpoint, Request("m", messages=CHAT.messages, sampling=sampling))
    body = endpoint.asked[0][1]
    for name in (
        "max_tokens",
        "top_p",
        "top_k",
        "min_p",
        "typical_p",
        "frequency_penalty",
        "presence_penalty",
    ):
        assert body[name] == getattr(sampling, name)
    assert (body["temperature"], body["repetition_penalty"], body["seed"], body["stop"]) == (
        0,
        1.1,
        4,
        ["END"],
    )
    assert (body["logprobs"], body["top_logprobs"], body["logit_bias"]) == (True, 2, {"5": -1.0})
    assert body["response_format"]["json_schema"]["schema"] == sampling.json_schema


async def test_usage_that_is_not_sent_is_an_estimate_and_says_so() -> None:
    async with running(stream(said("some words of an answer"), FINISHED)) as endpoint:
        usage = done(await ask(endpoint)).usage
    assert usage.estimated
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens == 7


async def test_tool_calls_and_reasoning_come_through() -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    rest = {"index": 0, "function": {"arguments": ":1}"}}
    chunks = [
        {"choices": [{"index": 0, "delta": {"reasoning_content": "hmm"}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [rest]}, "finish_reason": "tool_calls"}]},
    ]
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    async with running(stream(*chunks)) as endpoint:
        events = await ask(endpoint, Request("m", messages=CHAT.messages, tools=(tool,), tool_choice="auto"))
    assert endpoint.asked[0][1]["tools"] == [tool]
    assert endpoint.asked[0][1]["tool_choice"] == "auto"
    assert ReasoningDelta("hmm") in events
    assert [event for event in events if isinstance(event, ToolCallDelta)] == [
        ToolCallDelta(0, '{"a"', id="c1", name="f"),
        ToolCallDelta(0, ":1}"),
    ]
    assert done(events).reason == "tool_calls"


async def test_a_codeweft_servers_references_and_note_come_through() -> None:
    reference = {
        "number": 1,
        "path": "a.py",
        "start_line": 3,
        "end_line": 9,
        "repository": "r",
        "commit": None,
        "score": 0.5,
        "name": "f",
        "language": "python",
    }
    end = {
        **FINISHED,
        "references": [{**reference, "number": 2, "path": "b.py"}, reference],
        "note": "Only a starter.",
    }
    async with running(stream(said("see [1]"), end)) as endpoint:
        wanted = Retrieval(index="docs", k=3, agent=True)
        events = await ask(endpoint, Request("m", messages=CHAT.messages, retrieval=wanted), codeweft=True)
    body = endpoint.asked[0][1]
    assert (body["index"], body["k"], body["agents_flag"]) == ("docs", 3, True)
    found = next(event for event in events if isinstance(event, Retrieved))
    assert found.query == "Hi"
    assert [result.chunk.path for result in found.results] == ["a.py", "b.py"]
    assert (found.results[0].chunk.start_line, found.results[0].score) == (3, 0.5)
    assert Started("m", "Only a starter.") in events


async def test_filters_and_search_type_reach_a_codeweft_server() -> None:
    wanted = Retrieval(
        filters=Filters(languages=("go",), paths=("src/",)), selection=Selection("mmr", fetch_k=40)
    )
    async with running(HELLO) as endpoint:
        await ask(endpoint, Request("m", messages=CHAT.messages, retrieval=wanted), codeweft=True)
    body = endpoint.asked[0][1]
    assert (body["languages"], body["paths"], body["search_type"], body["fetch_k"]) == (
        ["go"],
        ["src/"],
        "mmr",
        40,
    )
    assert not {"kinds", "branches", "lambda_mult", "vector"} & set(body)


async def test_switching_retrieval_off_reaches_a_codeweft_server_only() -> None:
    request = Request("m", messages=CHAT.messages, retrieval=Retrieval(enabled=False))
    async with running(HELLO) as endpoint:
        await ask(endpoint, request, codeweft=True)
        await ask(endpoint, request)
    assert endpoint.asked[0][1]["index"] == ""
    assert "index" not in endpoint.asked[1][1]


async def test_a_codeweft_servers_errors_stay_what_they_are() -> None:
    body = {"error": {"message": "The prompt is 9 tokens long; 5 fit.", "code": "context_length_exceeded"}}
    async with running(status(400, json.dumps(body))) as endpoint:
        assert isinstance(error_of(await ask(endpoint, codeweft=True)), ContextOverflow)
        foreign = error_of(await ask(endpoint))
    assert isinstance(foreign, UpstreamFailed)
    assert "9 tokens long" in foreign.message


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        (
            said(
                "a",
                logprobs={
                    "content": [
                        {"token": "a", "logprob": -1, "top_logprobs": [{"token": "b", "logprob": -2}]}
                    ]
                },
            ),
            TextDelta("a", (TokenLogprob("a", -1, (("b", -2.0),)),)),
        ),
        (
            wrote("a", logprobs={"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"b": -2}]}),
            TextDelta("a", (TokenLogprob("a", -1, (("b", -2.0),)),)),
        ),
    ],
)
def test_both_shapes_of_logprobs_are_understood(chunk: object, expected: TextDelta) -> None:
    decoded: StreamChunk = decode_chunk(json.dumps(chunk).encode())
    assert list(decoded.events()) == [expected]


# ── infilling over anything ──────────────────────────────────────────────────────────────────────────────────

HOLE = Request("m", infill=Infill("def f(", ")\n"))


async def test_infilling_sends_the_familys_tokens_to_raw_completions() -> None:
    async with running(stream(wrote("x"), wrote("", finish_reason="stop"))) as endpoint:
        events = await ask(endpoint, HOLE, model="Qwen/Qwen2.5-Coder-7B")
    path, body = endpoint.asked[0]
    assert path == "/v1/completions"
    assert body["prompt"] == "<|fim_prefix|>def f(<|fim_suffix|>)\n<|fim_middle|>"
    assert body["temperature"] == 0
    assert "<|endoftext|>" in body["stop"]
    assert text_of(events) == "x"


async def test_special_tokens_in_the_code_are_broken_up_for_endpoints_that_parse_them() -> None:
    async with running(stream(wrote("x", finish_reason="stop"))) as endpoint:
        await ask(endpoint, Request("m", infill=Infill("<|fim_middle|>", "")), model="qwen2.5-coder")
    assert endpoint.asked[0][1]["prompt"].count("<|fim_middle|>") == 1


async def test_a_codeweft_server_gets_the_suffix() -> None:
    async with running(stream(wrote("x", finish_reason="stop"))) as endpoint:
        await ask(endpoint, HOLE, codeweft=True)
    assert endpoint.asked[0][0] == "/v1/completions"
    assert (endpoint.asked[0][1]["prompt"], endpoint.asked[0][1]["suffix"]) == ("def f(", ")\n")


async def test_an_unknown_chat_model_is_asked_in_a_chat_and_the_answer_says_so() -> None:
    async with running(stream(said("```python\nx: "), said("int\n"), said("```"), FINISHED)) as endpoint:
        events = await ask(endpoint, HOLE)
    assert endpoint.asked[0][0] == "/v1/chat/completions"
    assert isinstance(events[0], Started)
    assert "asked in a chat" in events[0].note
    assert text_of(events) == "x: int"


async def test_special_tokens_are_kept_in_the_answer_so_that_stop_strings_see_them() -> None:
    async with running(stream(wrote("x", finish_reason="stop"))) as endpoint:
        await ask(endpoint, HOLE, model="qwen2.5-coder")
    assert endpoint.asked[0][1]["skip_special_tokens"] is False


@pytest.mark.parametrize(
    "words",
    [
        "Unrecognized request argument supplied: skip_special_tokens",
        "[{'type': 'extra_forbidden', 'loc': ('body', 'skip_special_tokens')}]",
    ],
)
async def test_an_endpoint_that_knows_no_such_field_gets_the_prompt_without_it(words: str) -> None:
    async with running(refuse(400, words), stream(wrote("x", finish_reason="stop"))) as endpoint:
        model = model_of(endpoint, "qwen2.5-coder")
        for _ in range(2):
            assert text_of(await events_of(model, HOLE)) == "x"
        await model.close()
    assert [path for path, _ in endpoint.asked] == ["/v1/completions"] * 3
    assert ["skip_special_tokens" in body for _, body in endpoint.asked] == [True, False, False]
    assert endpoint.asked[1][1]["prompt"].startswith("<|fim_prefix|>")


async def test_ollama_fills_in_its_own_way_and_else_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    hole = Request("m", infill=Infill("def f(", ")\n", (Neighbour("m.py", "M = 1"),)))
    refusal = refuse(400, "registry.ollama.ai/library/x does not support insert")
    async with running(stream(wrote("x", finish_reason="stop")), refusal, stream(wrote("y", finish_reason="stop"))) as endpoint:  # fmt: skip
        port = int(endpoint.url.rsplit(":", 1)[1])
        monkeypatch.setattr("codeweft.models.openai_compatible._SUFFIX_PORTS", frozenset((port,)))
        model = model_of(endpoint, "qwen2.5-coder")
        assert text_of(await events_of(model, hole)) == "x"
        assert text_of(await events_of(model, hole)) == "y"
        await model.close()
    first, _, third = (body for _, body in endpoint.asked)
    assert (first["prompt"], first["suffix"]) == ("# m.py\nM = 1\n\ndef f(", ")\n")
    assert "suffix" not in third
    assert "<|fim_middle|>" in third["prompt"]


async def test_special_tokens_in_neighbours_are_broken_up_too() -> None:
    hole = Infill("a", "b", (Neighbour("m.py", "x = '<|file_sep|>'"),))
    async with running(stream(wrote("x", finish_reason="stop"))) as endpoint:
        await ask(endpoint, Request("m", infill=hole), model="qwen2.5-coder")
    # One before the neighbour and one before the hole.
    assert endpoint.asked[0][1]["prompt"].count("<|file_sep|>") == 2


async def test_a_refusal_of_the_request_is_not_taken_for_one_of_the_way() -> None:
    async with running(refuse(400, "This model's maximum context length is 8192 tokens")) as endpoint:
        model = model_of(endpoint, "qwen2.5-coder")
        assert "maximum context length" in str(error_of(await events_of(model, HOLE)))
        await model.close()
    assert len(endpoint.asked) == 1


async def test_without_raw_completions_the_chat_is_the_way_from_then_on() -> None:
    missing = refuse(404, "no such route")
    async with running(missing, missing, stream(said("x"), FINISHED)) as endpoint:
        model = model_of(endpoint, "qwen2.5-coder")
        for _ in range(2):
            assert text_of(await events_of(model, HOLE)) == "x"
        await model.close()
    assert [path for path, _ in endpoint.asked] == ["/v1/completions"] * 2 + ["/v1/chat/completions"] * 2


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", [429, 502, 503, 504])
async def test_a_passing_refusal_is_tried_again(code: int) -> None:
    async with running(refuse(code, "busy"), refuse(code, "busy"), HELLO) as endpoint:
        assert text_of(await ask(endpoint)) == "Hello"
    assert len(endpoint.asked) == 3


async def test_a_lasting_refusal_is_told_in_the_endpoints_words() -> None:
    async with running(refuse(429, "You have no quota left.")) as endpoint:
        error = error_of(await ask(endpoint))
    assert len(endpoint.asked) == upstream.ATTEMPTS
    assert "status 429: You have no quota left." in str(error)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422, 500])
async def test_other_refusals_are_not_repeated(code: int) -> None:
    async with running(refuse(code, "no")) as endpoint:
        error = error_of(await ask(endpoint))
    assert len(endpoint.asked) == 1
    assert isinstance(error, UpstreamFailed)
    assert error.fix
    assert error.details == {"upstream_status": code}


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (
            status(500, "<html><style>x{}</style><h1>Bad</h1><p>gateway</p>", kind="text/html"),
            "500: Bad gateway",
        ),
        (status(400, '{"detail": "Field required"}'), "400: Field required"),
        (status(400, '{"error": "plain words"}'), "400: plain words"),
        (status(500, "x" * 100_000), "xxx…"),
        (status(500, ""), "no explanation"),
        (refuse(401, "Incorrect API key: sk-secret"), "Incorrect API key: …"),
        (status(301, "", Location="http://127.0.0.1:1/"), "status 301"),
        (stream("{not json"), "not a chunk of an answer"),
        (stream('{"choices": 3}'), "not a chunk of an answer"),
        (stream(said("a"), {"error": {"message": "out of memory"}}), "out of memory"),
        (stream(said("a"), end=False), "broke off"),
        (status(200, "<html>welcome</html>", kind="text/html"), "did not answer with a stream"),
    ],
)
async def test_faults_become_sentences(behaviour: object, words: str) -> None:
    async with running(behaviour) as endpoint:  # type: ignore[arg-type]
        error = error_of(await ask(endpoint))
    assert isinstance(error, UpstreamFailed)
    assert words in error.message
    assert len(error.message) < 500
    assert "sk-secret" not in str(error)


async def test_half_a_stream_keeps_what_came_and_then_fails() -> None:
    async with running(stream(said("half"), end=False)) as endpoint:
        events = await ask(endpoint)
    assert text_of(events) == "half"
    assert isinstance(events[-1], Failed)
    assert len(endpoint.asked) == 1, "nothing is repeated after the first byte"


async def test_silence_is_given_up() -> None:
    async with running(stream(said("a"), said("b"), FINISHED, delay=5)) as endpoint:
        began = time.monotonic()
        error = error_of(await ask(endpoint, timeout=0.3))
    assert "sent nothing for" in str(error)
    assert time.monotonic() - began < 3


async def test_nobody_listening_is_told_with_the_address() -> None:
    model = OpenAICompatible("m", "http://127.0.0.1:1/v1", model="x")
    error = error_of(await events_of(model, CHAT))
    await model.close()
    assert isinstance(error, UpstreamFailed)
    assert "http://127.0.0.1:1/v1 cannot be reached" in error.message
    assert "base_url" in error.fix


async def test_leaving_an_answer_closes_the_connection() -> None:
    async with running(stream(*[said("word ")] * 10_000, delay=0.01)) as endpoint:
        model = model_of(endpoint)
        async with aclosing(model.stream(CHAT)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
        await asyncio.wait_for(endpoint.left.wait(), 2)
        await model.close()


async def test_an_answer_that_breaks_its_schema_is_not_done() -> None:
    wanted = Sampling(json_schema={"type": "object", "required": ["a"]})
    async with running(stream(said("{}"), FINISHED)) as endpoint:
        error = error_of(await ask(endpoint, Request("m", messages=CHAT.messages, sampling=wanted)))
    assert isinstance(error, SchemaBroken) and "'a' is a required property" in str(error)


async def test_fields_that_only_some_endpoints_know_are_passed_on_as_they_came() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    request = replace(CHAT, tools=(tool,), parallel_tools=False, forwarded={"reasoning_effort": "low"})
    async with running(HELLO) as endpoint:
        await ask(endpoint, request)
    (_, body) = endpoint.asked[0]
    assert (body["parallel_tool_calls"], body["reasoning_effort"]) == (False, "low")


async def test_a_grammar_is_refused_by_name() -> None:
    async with running(HELLO) as endpoint:
        request = Request("m", messages=CHAT.messages, sampling=Sampling(grammar="root ::= [a]"))
        error = error_of(await ask(endpoint, request))
    assert isinstance(error, InvalidRequest)
    assert error.param == "grammar"
    assert endpoint.asked == []


# ── lists and vectors ────────────────────────────────────────────────────────────────────────────────────────


async def test_models_are_listed_with_what_a_codeweft_server_tells_of_them() -> None:
    data = [
        {"id": "codegen", "object": "model", "kind": "app", "skills": ["chat"], "context": 4096},
        {"id": "gpt", "object": "model", "created": 5, "owned_by": "someone"},
    ]
    async with running(status(200, json.dumps({"object": "list", "data": data}))) as endpoint:
        app, plain = await OpenAICompatible.list_models(endpoint.url + "/v1", "sk-secret")
    assert (app.name, app.kind, app.skills, app.context) == ("codegen", "app", {"chat"}, 4096)
    assert (plain.name, plain.kind, plain.created) == ("gpt", "upstream", 5)


async def test_a_codeweft_server_that_has_no_such_model_says_not_found() -> None:
    body = {"error": {"message": "There is no model x.", "code": "not_found"}}
    async with running(status(404, json.dumps(body))) as endpoint:
        assert isinstance(error_of(await ask(endpoint, codeweft=True)), NotFound)


async def test_vectors_come_in_the_order_of_the_texts() -> None:
    data = [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}]
    async with running(status(200, json.dumps({"data": data, "usage": {"prompt_tokens": 4}}))) as endpoint:
        embedder = OpenAIEmbedder("e", endpoint.url, model="x")
        answer = await embedder.embed(["a", "b"])
        with pytest.raises(CodeweftError, match="one vector for each text"):
            await embedder.embed(["a", "b", "c"])
        await embedder.close()
    assert answer.vectors.dtype == np.float32
    assert answer.vectors.tolist() == [[1, 0], [0, 1]]
    assert answer.usage == Usage(4, 0)
