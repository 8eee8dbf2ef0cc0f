"""Ollama's protocol: chat, generate, embed, and the lists that its clients read before they ask.

https://github.com/ollama/ollama/blob/main/docs/api.md. Answers stream as one JSON object a line.
"""

from __future__ import annotations

import json as text_json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import Route

from codeweft import __version__
from codeweft.errors import InvalidRequest, MissingSkill, NotFound
from codeweft.server import emit, fields, wire
from codeweft.server.emit import dumps
from codeweft.server.failures import ollama_shape, translate
from codeweft.server.openai import json, shortened
from codeweft.server.service import Service, caller
from codeweft.server.streams import Choices
from codeweft.types import (
    Infill,
    Message,
    Model,
    ModelInfo,
    ReasoningDelta,
    Request,
    Sampling,
    TextDelta,
    ToolCall,
)

_LINES: Final = "application/x-ndjson"
_CAPABILITIES: Final = {
    "chat": "completion",
    "infilling": "insert",
    "tools": "tools",
    "vision": "vision",
    "embeddings": "embedding",
}
"""Ollama's word for each skill."""
Told = Callable[[str, str], dict[str, Any]]


class Options(msgspec.Struct):
    """Model options. Those that size Ollama's own engine mean nothing here and are not read."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repeat_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    num_predict: int | None = None
    stop: str | list[str] | None = None


class CalledFunction(msgspec.Struct):
    name: str
    arguments: dict[str, Any] = {}


class CallBody(msgspec.Struct):
    function: CalledFunction


class TurnBody(msgspec.Struct):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    images: list[str] | None = None
    tool_calls: list[CallBody] | None = None
    tool_name: str | None = None


class _Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: str
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    options: Options | None = None


class ChatBody(_Body, kw_only=True):
    messages: list[TurnBody] = []
    tools: list[dict[str, Any]] | None = None


class GenerateBody(_Body, kw_only=True):
    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    raw: bool | None = None


class EmbedBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: str
    input: str | list[str | int | list[int]] = ""
    dimensions: int | None = None


class NameBody(msgspec.Struct):
    model: str = ""
    name: str = ""


class Ollama:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._limit = service.runtime.settings.limits.max_tokens

    def routes(self) -> list[Route]:
        return [
            Route("/api/tags", self.tags, methods=["GET"]),
            Route("/api/ps", self.ps, methods=["GET"]),
            Route("/api/version", self.version, methods=["GET"]),
            Route("/api/show", self.show, methods=["POST"]),
            Route("/api/chat", self.chat, methods=["POST"]),
            Route("/api/generate", self.generate, methods=["POST"]),
            Route("/api/embed", self.embed, methods=["POST"]),
        ]

    # ── what there is ────────────────────────────────────────────────────────────────────────────────────────

    async def tags(self, http: HTTPRequest) -> Response:
        return json(dumps({"models": [_listed(info) for info in self._service.runtime.infos()]}))

    async def ps(self, http: HTTPRequest) -> Response:
        running = {engine.name for engine in self._service.runtime.engines() if engine.status == "ready"}
        infos = [info for info in self._service.runtime.infos() if info.name in running]
        return json(dumps({"models": [_listed(info) for info in infos]}))

    async def version(self, http: HTTPRequest) -> Response:
        return json(dumps({"version": __version__}))

    async def show(self, http: HTTPRequest) -> Response:
        body = wire.decode_plain(await http.body(), NameBody)
        name = _named(body.model or body.name)
        info = next((info for info in self._service.runtime.infos() if info.name == name), None)
        if info is None:
            raise NotFound(f"There is no model {name!r}.", param="model")
        family = info.family or "codeweft"
        return json(
            dumps(
                {
                    "modelfile": "",
                    "parameters": "",
                    "template": "",
                    "license": "",
                    "modified_at": _time(info.created),
                    "details": _details(info),
                    "model_info": {
                        "general.architecture": family,
                        f"{family}.context_length": info.context or 0,
                    },
                    "capabilities": [word for skill, word in _CAPABILITIES.items() if skill in info.skills],
                }
            )
        )

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────

    async def chat(self, http: HTTPRequest) -> Response:
        body = wire.decode(await http.body(), ChatBody, fields.OLLAMA_CHAT)
        model = self._model(body)
        if not body.messages:
            return json(dumps(_loaded(model, {"message": {"role": "assistant", "content": ""}})))
        checked = wire.ChatBody(messages=[], tools=body.tools)
        streams = body.stream is not False
        request = Request(
            model=model.info.name,
            messages=tuple(_turns(body.messages)),
            sampling=self._sampling(body),
            tools=wire.tools(checked),
            whole=not streams,
            packed=streams,
            caller=caller(http),
        )

        def told(text: str, thinking: str) -> dict[str, Any]:
            said = {"role": "assistant", "content": text} | ({"thinking": thinking} if thinking else {})
            return {"message": said}

        return await self._answer(http, model, request, told, stream=streams)

    async def generate(self, http: HTTPRequest) -> Response:
        body = wire.decode(await http.body(), GenerateBody, fields.OLLAMA_GENERATE)
        model = self._model(body)
        if not body.prompt:
            return json(dumps(_loaded(model, {"response": ""})))
        infill = Infill(body.prompt, body.suffix) if body.suffix else None
        raw = infill is None and bool(body.raw)
        system = [Message("system", body.system)] if body.system else []
        streams = body.stream is not False
        request = Request(
            model=model.info.name,
            messages=() if infill or raw else (*system, Message("user", body.prompt)),
            prompt=body.prompt if raw else None,
            infill=infill,
            sampling=self._sampling(body),
            whole=not streams,
            packed=streams,
            caller=caller(http),
        )

        def told(text: str, thinking: str) -> dict[str, Any]:
            return {"response": text} | ({"thinking": thinking} if thinking else {})

        return await self._answer(http, model, request, told, stream=streams)

    async def embed(self, http: HTTPRequest) -> Response:
        body = wire.decode(await http.body(), EmbedBody, fields.OLLAMA_EMBED)
        texts = wire.texts(body.input, "input")
        embedder = self._service.runtime.embedder(_named(body.model))
        began = time.monotonic_ns()
        async with self._service.streams.attended(http.scope):
            made = await embedder.embed(texts)
        return json(
            dumps(
                {
                    "model": embedder.info.name,
                    "embeddings": shortened(made.vectors, body.dimensions).tolist(),
                    "total_duration": time.monotonic_ns() - began,
                    "load_duration": 0,
                    "prompt_eval_count": made.usage.prompt_tokens,
                }
            )
        )

    async def _answer(
        self, http: HTTPRequest, model: Model, request: Request, told: Told, *, stream: bool
    ) -> Response:
        events = self._service.choices(model, [request])
        name = model.info.name
        if stream:
            return await self._service.stream(
                http, events, lambda begun: _lines(begun, name, told), _last_word, _LINES
            )
        began = time.monotonic_ns()
        async with self._service.answering(http, events):
            (answer,) = await emit.fold(events, 1)
        whole = told("".join(answer.text), "".join(answer.reasoning))
        return json(dumps(_ended(name, whole, answer, began)))

    def _model(self, body: _Body) -> Model:
        return self._service.model(_named(body.model))

    def _sampling(self, body: _Body) -> Sampling:
        options = body.options or Options()
        max_tokens = (
            options.num_predict if options.num_predict is not None and options.num_predict > 0 else None
        )
        shared = wire.ChatBody(
            messages=[],
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            min_p=options.min_p,
            typical_p=options.typical_p,
            repetition_penalty=options.repeat_penalty,
            frequency_penalty=options.frequency_penalty,
            presence_penalty=options.presence_penalty,
            seed=options.seed,
            stop=options.stop,
            response_format=_response_format(body.format),
        )
        return wire.sampling(shared, max_tokens, None, self._limit)


def _named(name: str) -> str:
    """Ollama's clients add the tag `latest` to a name without one."""
    return name.removesuffix(":latest")


def _response_format(given: str | dict[str, Any] | None) -> dict[str, Any] | None:
    if given is None or given == "":
        return None
    if given == "json":
        return {"type": "json_object"}
    if isinstance(given, str):
        raise InvalidRequest('`format` must be "json" or a JSON Schema.', param="format")
    return {"type": "json_schema", "json_schema": {"schema": given}}


def _turns(bodies: list[TurnBody]) -> list[Message]:
    """The turns. Ollama names no call ids: results answer the calls before them in order, or by the tool's name."""
    turns: list[Message] = []
    waiting: list[ToolCall] = []
    for position, body in enumerate(bodies):
        if body.images:
            raise MissingSkill(
                f"`messages[{position}]` holds images; the models here read text only.", param="messages"
            )
        if body.role == "tool":
            call = next((one for one in waiting if one.name == body.tool_name), None) or (
                waiting[0] if waiting else None
            )
            if call is None:
                raise InvalidRequest(
                    f"`messages[{position}]` answers a tool call that was not made.", param="messages"
                )
            waiting.remove(call)
            turns.append(Message("tool", body.content or "", tool_call_id=call.id))
            continue
        waiting = [
            ToolCall(
                f"call_{position}_{number}",
                one.function.name,
                text_json.dumps(one.function.arguments, ensure_ascii=False),
            )
            for number, one in enumerate(body.tool_calls or ())
        ]
        turns.append(Message(body.role, body.content or "", tool_calls=tuple(waiting)))
    return turns


# ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _details(info: ModelInfo) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf" if info.kind == "embedded" else "",
        "family": info.family,
        "families": [info.family] if info.family else [],
        "parameter_size": "",
        "quantization_level": "",
    }


def _listed(info: ModelInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "model": info.name,
        "modified_at": _time(info.created),
        "size": 0,
        "digest": "",
        "details": _details(info),
    }


def _head(model: str) -> dict[str, Any]:
    return {"model": model, "created_at": _time(time.time())}


def _loaded(model: Model, empty: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request that only wants the model to be there."""
    return _head(model.info.name) | empty | {"done": True, "done_reason": "load"}


def _ended(model: str, told: dict[str, Any], answer: emit.Answer, began: int) -> dict[str, Any]:
    calls = [
        {
            "function": {
                "name": call["function"]["name"],
                "arguments": emit.arguments(call["function"]["arguments"]),
            }
        }
        for call in answer.tool_calls()
    ]
    if calls and "message" in told:
        told["message"]["tool_calls"] = calls
    return {
        **_head(model),
        **told,
        "done": True,
        "done_reason": "length" if answer.reason == "length" else "stop",
        "total_duration": time.monotonic_ns() - began,
        "load_duration": 0,
        "prompt_eval_count": answer.usage.prompt_tokens,
        "eval_count": answer.usage.completion_tokens,
        **emit.extras([answer], with_text=False),
    }


async def _lines(events: Choices, model: str, told: Told) -> AsyncIterator[bytes]:
    answer = emit.Answer()
    began = time.monotonic_ns()
    async for _, event in events:
        match event:
            case TextDelta():
                pieces = event.pieces or (event.text,)
                yield b"".join(
                    [dumps(_head(model) | told(piece, "") | {"done": False}) + b"\n" for piece in pieces]
                )
            case ReasoningDelta():
                yield dumps(_head(model) | told("", event.text) | {"done": False}) + b"\n"
            case _:
                answer.add(event)
    yield dumps(_ended(model, told("", ""), answer, began)) + b"\n"


def _last_word(error: Exception) -> bytes:
    return dumps(ollama_shape(translate(error))) + b"\n"
