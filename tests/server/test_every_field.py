"""Every field of every request is used, forwarded, ignored for a reason or refused by name; none is dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

import pytest

from codeweft.models.scripted import ScriptedModel
from codeweft.server import anthropic, fields, llamacpp, lookup, ollama, responses, tabby, wire
from codeweft.server.fields import Fields
from codeweft.types import Caller, Done, Infill, Request, Started, TextDelta, TokenLogprob, Usage, replace
from tests.server.conftest import Server, start

OPEA = frozenset(
    [
        "messages",
        "model",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "typical_p",
        "frequency_penalty",
        "presence_penalty",
        "repetition_penalty",
        "stream",
        "stream_options",
        "n",
        "best_of",
        "stop",
        "seed",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "response_format",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "user",
        "suffix",
        "echo",
        "chat_template",
        "chat_template_kwargs",
        "documents",
        "language",
        "index_name",
        "search_type",
        "k",
        "distance_threshold",
        "fetch_k",
        "lambda_mult",
        "score_threshold",
        "top_n",
        "timeout",
        "agents_flag",
    ]
)
"""Of OPEA's `ChatCompletionRequest` (comps/cores/proto/api_protocol.py, 1.5), and the flag that CodeGen reads."""
OPEA_RETRIEVAL = frozenset(
    [
        "text",
        "embedding",
        "search_type",
        "k",
        "distance_threshold",
        "fetch_k",
        "lambda_mult",
        "score_threshold",
        "index_name",
        "constraints",
    ]
)
"""Of OPEA's `EmbedDoc` (comps/cores/proto/docarray.py, 1.5)."""


def openai_fields(kind: str) -> set[str]:
    """The names of a request's fields in the installed SDK."""
    from openai.types import completion_create_params as completion
    from openai.types import embedding_create_params as embedding
    from openai.types.chat import completion_create_params as chat
    from openai.types.responses import response_create_params as response

    kinds: dict[str, tuple[Any, ...]] = {
        "chat": (chat.CompletionCreateParamsNonStreaming, chat.CompletionCreateParamsStreaming),
        "completion": (
            completion.CompletionCreateParamsNonStreaming,
            completion.CompletionCreateParamsStreaming,
        ),
        "responses": (response.ResponseCreateParamsNonStreaming, response.ResponseCreateParamsStreaming),
        "embedding": (embedding.EmbeddingCreateParams,),
    }
    return {name for one in kinds[kind] for name in get_type_hints(one)}


def anthropic_fields() -> set[str]:
    from anthropic.types import message_create_params as message

    both = (message.MessageCreateParamsNonStreaming, message.MessageCreateParamsStreaming)
    return {name for one in both for name in get_type_hints(one)}


@pytest.mark.parametrize(
    ("table", "known"),
    [
        (fields.CHAT, openai_fields("chat")),
        (fields.COMPLETION, openai_fields("completion")),
        (fields.RESPONSES, openai_fields("responses")),
        (fields.EMBEDDING, openai_fields("embedding")),
        (fields.MESSAGES, anthropic_fields()),
        (fields.CODEGEN, OPEA | openai_fields("chat")),
        (fields.OPEA_RETRIEVAL, OPEA_RETRIEVAL | OPEA),
    ],
    ids=["chat", "completions", "responses", "embeddings", "messages", "codegen", "retrieval"],
)
def test_every_field_of_the_sdk_is_in_the_table(table: Fields, known: set[str]) -> None:
    assert known - set(table) == set()


@pytest.mark.parametrize(
    ("body", "table"),
    [
        (wire.ChatBody, fields.CHAT),
        (wire.CompletionBody, fields.COMPLETION),
        (wire.CodegenBody, fields.CODEGEN),
        (wire.EmbeddingBody, fields.EMBEDDING),
        (responses.ResponsesBody, fields.RESPONSES),
        (anthropic.MessagesBody, fields.MESSAGES),
        (ollama.ChatBody, fields.OLLAMA_CHAT),
        (ollama.GenerateBody, fields.OLLAMA_GENERATE),
        (ollama.EmbedBody, fields.OLLAMA_EMBED),
        (lookup.SearchBody, fields.SEARCH),
        (lookup.RetrievalBody, fields.OPEA_RETRIEVAL),
    ],
)
def test_every_field_that_is_used_is_parsed_and_the_other_way_round(body: Any, table: Fields) -> None:
    read = {name for name, field in table.items() if field.use in ("used", "forwarded")}
    assert read == set(body.__struct_fields__)
    assert all(field.why for field in table.values() if field.use != "used")


# ── what each field does, over HTTP ──────────────────────────────────────────────────────────────────────────

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
Effect = Callable[[Request], Any]


@dataclass(frozen=True)
class Sent:
    """A value for a field, what it needs beside it, and what of the model's request must show it."""

    value: Any
    shows: Effect
    becomes: Any
    beside: Mapping[str, Any] | None = None


def sampled(name: str, value: Any, becomes: Any = None, **beside: Any) -> Sent:
    shows: Effect = lambda request: getattr(request.sampling, name)  # noqa: E731
    return Sent(value, shows, value if becomes is None else becomes, beside)


def looked(name: str, value: Any, becomes: Any = None, **beside: Any) -> Sent:
    """A field of `Retrieval`, its filters or its selection, dotted."""

    def shows(request: Request) -> Any:
        found: Any = request.retrieval
        for part in name.split("."):
            found = getattr(found, part)
        return found

    return Sent(value, shows, value if becomes is None else becomes, beside)


SAMPLED: dict[str, Sent] = {
    **{
        name: sampled(name, value)
        for name, value in {
            "frequency_penalty": 0.5, "presence_penalty": 0.25, "repetition_penalty": 1.5, "temperature": 0.0,
            "top_p": 0.5, "top_k": 7, "min_p": 0.1, "typical_p": 0.9, "seed": 3, "max_tokens": 9, "grammar": "x",
        }.items()
    },
    "logit_bias": sampled("logit_bias", {"5": 1.0}, {5: 1.0}),
    "stop": sampled("stop", "END", ("END",)),
    "agents_flag": looked("agent", True),
    "explain": Sent(True, lambda request: request.explain, True),
    "index": looked("index", "shop"),
    "index_name": looked("index", "shop"),
    "k": looked("k", 3),
    **{
        name: looked(f"filters.{name}", [value], (value,))
        for name, value in {
            "paths": "a/**", "languages": "python", "kinds": "function", "repositories": "shop", "branches": "main",
        }.items()
    },
    "search_type": looked("selection.type", "mmr"),
    "fetch_k": looked("selection.fetch_k", 11),
    "lambda_mult": looked("selection.lambda_mult", 0.25),
    "distance_threshold": looked("selection.distance_threshold", 0.5),
    "score_threshold": looked("selection.score_threshold", 0.75),
}  # fmt: skip
CHAT: dict[str, Sent] = {
    **SAMPLED,
    "messages": Sent([{"role": "user", "content": "other"}], lambda request: request.messages[-1].content, "other"),
    "max_completion_tokens": sampled("max_tokens", 8),
    "logprobs": sampled("logprobs", True, 0),
    "top_logprobs": sampled("logprobs", 2, logprobs=True),
    "response_format": sampled(
        "json_schema", {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}, SCHEMA
    ),
    "tools": Sent([TOOL], lambda request: request.tools, (TOOL,)),
    "tool_choice": Sent("required", lambda request: request.tool_choice, "required", {"tools": [TOOL]}),
    "inputs": Sent({"code": "x = 1"}, lambda request: dict(request.inputs), {"code": "x = 1"}),
    "parallel_tool_calls": Sent(False, lambda request: request.parallel_tools, False),
    **{
        name: Sent(value, lambda request: dict(request.forwarded), {name: value})
        for name, value in {
            "prediction": {"type": "content", "content": "x"}, "reasoning_effort": "low", "verbosity": "low",
        }.items()
    },
}  # fmt: skip
SHAPE = {"model", "n", "stream", "stream_options", "best_of", "echo"}
"""These change how the answer comes, which other tests look at with the SDKs (test_openai_sdk, test_streams)."""
COMPLETION: dict[str, Sent] = {
    **SAMPLED,
    "prompt": Sent("other", lambda request: request.prompt, "other"),
    "suffix": Sent("end", lambda request: request.infill, Infill("hello", "end")),
    "neighbours": Sent(
        [{"path": "a.py", "text": "x"}],
        lambda request: [one.path for one in (request.infill or Infill("", "")).neighbours],
        ["a.py"],
        {"suffix": "end"},
    ),
    "logprobs": sampled("logprobs", 2),
}
RESPONSES: dict[str, Sent] = {
    **{name: SAMPLED[name] for name in ("agents_flag", "index", "k", "temperature", "top_p")},
    "input": Sent("other", lambda request: request.messages[-1].content, "other"),
    "instructions": Sent("Be brief.", lambda request: request.messages[0].content, "Be brief."),
    "max_output_tokens": sampled("max_tokens", 8),
    "text": sampled(
        "json_schema", {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}, SCHEMA
    ),
    "tools": Sent(
        [{"type": "function", "name": "f", "strict": True, "parameters": {}}],
        lambda request: request.tools[0]["function"],
        {"name": "f", "strict": True, "parameters": {}},
    ),
    "tool_choice": Sent(
        "required",
        lambda request: request.tool_choice,
        "required",
        {"tools": [{"type": "function", "name": "f", "parameters": {}}]},
    ),
    "parallel_tool_calls": CHAT["parallel_tool_calls"],
    "include": sampled("logprobs", ["message.output_text.logprobs"], 0),
    "top_logprobs": sampled("logprobs", 3),
}
A_TOOL = {"name": "f", "input_schema": {"type": "object"}}
MESSAGES: dict[str, Sent] = {
    **{
        name: SAMPLED[name]
        for name in ("agents_flag", "index", "k", "temperature", "top_p", "top_k", "max_tokens")
    },
    "messages": CHAT["messages"],
    "system": Sent("Be brief.", lambda request: request.messages[0].content, "Be brief."),
    "stop_sequences": sampled("stop", ["END"], ("END",)),
    "output_config": sampled("json_schema", {"format": {"type": "json_schema", "schema": SCHEMA}}, SCHEMA),
    "tools": Sent([A_TOOL], lambda request: request.tools[0]["function"]["name"], "f"),
    "tool_choice": Sent(
        {"type": "any", "disable_parallel_tool_use": True},
        lambda request: (request.tool_choice, request.parallel_tools),
        ("required", False),
        {"tools": [A_TOOL]},
    ),
}
ROUTES: dict[str, tuple[Fields, dict[str, Any], dict[str, Sent], set[str]]] = {
    "/v1/chat/completions": (
        fields.CHAT, {"model": "app", "messages": [{"role": "user", "content": "hello"}]}, CHAT, SHAPE,
    ),
    "/v1/codegen": (
        fields.CODEGEN, {"model": "app", "messages": "hello", "stream": False, "index": "shop"},
        {name: sent for name, sent in CHAT.items() if name not in ("index", "index_name")},
        SHAPE | {"index", "index_name"},
    ),
    "/v1/completions": (fields.COMPLETION, {"model": "app", "prompt": "hello"}, COMPLETION, SHAPE),
    "/v1/responses": (fields.RESPONSES, {"model": "app", "input": "hello"}, RESPONSES, SHAPE | {"metadata"}),
    "/v1/messages": (
        fields.MESSAGES,
        {"model": "app", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]},
        MESSAGES, SHAPE,
    ),
}  # fmt: skip
REJECTED: Any = {"something": ["that", "is", "asked", "for"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    told = [
        Started("app"),
        TextDelta('{"a": "b"}', (TokenLogprob("x", -0.5, (("x", -0.5), ("y", -1.0))),)),
        Done(Usage(2, 1)),
    ]
    running = start(tmp_path_factory.mktemp("home"), {"app": ScriptedModel("app", told)})
    yield running
    running.stop()


async def answered(server: Server, route: str, body: Mapping[str, Any]) -> tuple[int, Any, Request | None]:
    """The status, the answer and what reached the model, if anything did."""
    model = server.composition.models["app"]
    before = len(model.requests)
    async with server.client() as client, client.post(route, json=body) as response:
        answer = await response.json()
    reached = model.requests[before:]
    return response.status, answer, replace(reached[0], caller=Caller()) if reached else None


@pytest.mark.parametrize("route", ROUTES)
async def test_every_used_field_reaches_the_model(server: Server, route: str) -> None:
    table, plain, sent, elsewhere = ROUTES[route]
    read = {name for name, field in table.items() if field.use in ("used", "forwarded")}
    assert read - set(sent) - elsewhere == set(), "fields without a test"
    for name, one in sent.items():
        body = {**plain, **(one.beside or {}), name: one.value}
        if name in ("index_name", "index"):
            body.pop({"index": "index_name", "index_name": "index"}[name], None)
        status, answer, request = await answered(server, route, body)
        assert status == 200 and request is not None, (name, answer)
        assert one.shows(request) == one.becomes, name


@pytest.mark.parametrize("route", ROUTES)
async def test_every_ignored_field_changes_nothing_and_every_rejected_one_is_named(
    server: Server, route: str
) -> None:
    table, plain, _, _ = ROUTES[route]
    _, _, usual = await answered(server, route, plain)
    for name, field in table.items():
        if field.use == "ignored":
            status, answer, request = await answered(server, route, {**plain, name: REJECTED})
            assert (status, request) == (200, usual), (name, answer)
        elif field.use == "rejected":
            status, answer, request = await answered(server, route, {**plain, name: REJECTED})
            assert status == 400 and request is None and f"`{name}`" in answer["error"]["message"]
            for harmless in (None, *field.harmless):
                status, answer, request = await answered(server, route, {**plain, name: harmless})
                assert (status, request) == (200, usual), (name, harmless, answer)
    status, answer, request = await answered(server, route, {**plain, "no_such_field": 1})
    assert status == 400 and request is None and "no_such_field" in answer["error"]["message"]
    assert (await answered(server, route, {**plain, "x_note": 1}))[0] == 200


async def test_log_probabilities_come_with_responses(server: Server) -> None:
    wanted = {"model": "app", "input": "x", "include": ["message.output_text.logprobs"], "top_logprobs": 2}
    status, answer, _ = await answered(server, "/v1/responses", wanted)
    (told,) = answer["output"][0]["content"][0]["logprobs"]
    assert (
        status == 200
        and told["logprob"] == -0.5
        and [one["token"] for one in told["top_logprobs"]] == ["x", "y"]
    )
    status, answer, _ = await answered(server, "/v1/responses", {**wanted, "include": ["everything"]})
    assert status == 400 and answer["error"]["param"] == "include"


def test_the_remaining_protocols_have_tables_too() -> None:
    assert {name for name, field in fields.INFILL.items() if field.use == "used"} <= set(
        llamacpp.InfillBody.__struct_fields__
    )
    assert {name for name, field in fields.TABBY.items() if field.use == "used"} == set(
        tabby.CompletionBody.__struct_fields__
    )
