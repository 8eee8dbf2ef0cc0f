"""llama.cpp's own protocol, as its editor plugins (llama.vim, llama.vscode) speak it: `/infill` and `/props`.

https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import Route

from codeweft import __version__
from codeweft.server import emit, fields, wire
from codeweft.server.emit import dumps
from codeweft.server.openai import json
from codeweft.server.service import Service, caller
from codeweft.server.streams import Choices
from codeweft.stream import close
from codeweft.types import Done, Event, Infill, Neighbour, Request, TextDelta, Usage


class Extra(msgspec.Struct):
    """Another file's text, shown to the model before the file being edited."""

    text: str
    filename: str = ""


class InfillBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    input_prefix: str = ""
    input_suffix: str = ""
    input_extra: list[Extra] | None = None
    prompt: str | None = None
    model: str | None = None
    n_predict: int | None = None
    t_max_predict_ms: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repeat_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: list[str] | None = None
    stream: bool | None = None
    response_fields: list[str] | None = None


class LlamaCpp:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._limit = service.runtime.settings.limits.max_tokens

    def routes(self) -> list[Route]:
        return [
            Route("/infill", self.infill, methods=["POST"]),
            Route("/props", self.props, methods=["GET"]),
        ]

    async def infill(self, http: HTTPRequest) -> Response:
        body = wire.decode(await http.body(), InfillBody, fields.INFILL)
        model = self._service.model(body.model)
        if body.n_predict == 0:
            # Plugins warm the cache by asking for nothing; what is shared is cached with the next real request.
            return json(_result(model.info.name, emit.Answer(), 0.0, body.response_fields))
        request = self._request(http, model.info.name, body)
        began = time.monotonic()
        events = self._service.choices(model, [request])
        if body.t_max_predict_ms:
            events = _patient(events, body.t_max_predict_ms / 1000)
        if body.stream:
            return await self._service.stream(
                http, events, lambda begun: _chunks(begun, model.info.name, began)
            )
        async with self._service.answering(http, events):
            (answer,) = await emit.fold(events, 1)
        return json(_result(model.info.name, answer, time.monotonic() - began, body.response_fields))

    async def props(self, http: HTTPRequest) -> Response:
        info = self._service.model(http.query_params.get("model")).info
        slots = self._service.runtime.settings.engine.parallel
        settings = {"n_ctx": info.context or 0, "params": {}}
        return json(
            dumps(
                {
                    "default_generation_settings": settings,
                    "total_slots": slots,
                    "model_path": info.name,
                    "model_alias": info.name,
                    "modalities": {"vision": False, "audio": False},
                    "build_info": f"codeweft-{__version__}",
                }
            )
        )

    def _request(self, http: HTTPRequest, model: str, body: InfillBody) -> Request:
        max_tokens = body.n_predict if body.n_predict is not None and body.n_predict > 0 else None
        shared = wire.SamplingBody(
            temperature=body.temperature,
            top_k=body.top_k,
            top_p=body.top_p,
            min_p=body.min_p,
            typical_p=body.typical_p,
            repetition_penalty=body.repeat_penalty,
            frequency_penalty=body.frequency_penalty,
            presence_penalty=body.presence_penalty,
            # llama.cpp takes any negative seed for a random one.
            seed=body.seed if body.seed is not None and body.seed >= 0 else None,
            stop=[*body.stop] if body.stop else None,
        )
        neighbours = tuple(Neighbour(extra.filename, extra.text) for extra in body.input_extra or ())
        return Request(
            model=model,
            infill=Infill(body.input_prefix + (body.prompt or ""), body.input_suffix, neighbours),
            sampling=wire.sampling(shared, max_tokens, None, self._limit),
            caller=caller(http),
        )


async def _patient(events: Choices, seconds: float) -> AsyncIterator[tuple[int, Event]]:
    """Ends an answer that took longer than `seconds` since its first token, once it has a whole line."""
    first: float | None = None
    text, written = "", 0
    try:
        async for choice, event in events:
            yield choice, event
            if isinstance(event, TextDelta):
                first = first or time.monotonic()
                text += event.text
                written += 1
                if "\n" in text and time.monotonic() - first > seconds:
                    yield choice, Done(Usage(completion_tokens=written, estimated=True), "length")
                    return
    finally:
        await close(events)


def _result(model: str, answer: emit.Answer, seconds: float, wanted: list[str] | None) -> bytes:
    used = answer.usage
    whole: dict[str, Any] = {
        "index": 0,
        "content": "".join(answer.text),
        "id_slot": 0,
        "stop": True,
        "model": model,
        "tokens_predicted": used.completion_tokens,
        "tokens_evaluated": used.prompt_tokens,
        "tokens_cached": used.cached_tokens,
        "truncated": False,
        "stop_type": "limit" if answer.reason == "length" else "eos",
        "timings": {
            "prompt_n": used.prompt_tokens - used.cached_tokens,
            "predicted_n": used.completion_tokens,
            "predicted_ms": round(seconds * 1000, 3),
            "predicted_per_second": round(used.completion_tokens / seconds, 3) if seconds else 0.0,
        },
        **emit.extras([answer], with_text=False),
    }
    if wanted is None:
        return dumps(whole)
    return dumps({name: value for name in wanted if (value := _at(whole, name)) is not None})


def _at(value: Any, path: str) -> Any:
    """The member at a path such as `timings/prompt_n`; None when there is none."""
    for name in path.split("/"):
        value = value.get(name) if isinstance(value, dict) else None
    return value


async def _chunks(events: Choices, model: str, began: float) -> AsyncIterator[bytes]:
    answer = emit.Answer()
    async for _, event in events:
        if isinstance(event, TextDelta):
            yield b"data: " + dumps({"index": 0, "content": event.text, "stop": False}) + b"\n\n"
        else:
            answer.add(event)
    yield b"data: " + _result(model, answer, time.monotonic() - began, None) + b"\n\n"
