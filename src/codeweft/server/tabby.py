"""Tabby's protocol, which its editor plugins speak: completions of segments, events, health.

https://github.com/TabbyML/tabby, `crates/tabby/src/routes` and its OpenAPI description
"""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import msgspec
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import Route

from codeweft import __version__
from codeweft.server import emit, fields, wire
from codeweft.server.emit import dumps
from codeweft.server.openai import json
from codeweft.server.service import Service, caller
from codeweft.types import Infill, Neighbour, Request, Sampling

DEFAULT_MAX_TOKENS: Final = 64
"""An inline completion is read at a glance; Tabby's own server stops there too."""


class Declaration(msgspec.Struct):
    filepath: str
    body: str


class Segments(msgspec.Struct):
    """The code around the cursor, and what the editor knows besides."""

    prefix: str
    suffix: str | None = None
    filepath: str | None = None
    git_url: str | None = None
    declarations: list[Declaration] | None = None
    relevant_snippets_from_changed_files: list[Declaration] | None = None
    relevant_snippets_from_recently_opened_files: list[Declaration] | None = None
    clipboard: str | None = None


class CompletionBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    segments: Segments
    temperature: float | None = None
    seed: int | None = None


class EventBody(msgspec.Struct):
    type: Literal["view", "select", "dismiss"]
    completion_id: str = ""


class Tabby:
    """`otherwise` answers completions of another protocol at the same address."""

    def __init__(self, service: Service, otherwise: Callable[[HTTPRequest], Awaitable[Response]]) -> None:
        self._service = service
        self._otherwise = otherwise
        self._limit = service.runtime.settings.limits.max_tokens

    def routes(self) -> list[Route]:
        return [
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/events", self.events, methods=["POST"]),
            Route("/v1/health", self.health, methods=["GET", "POST"]),
            Route("/v1beta/server_setting", self.server_setting, methods=["GET"]),
        ]

    async def completions(self, http: HTTPRequest) -> Response:
        data = await http.body()
        if b'"segments"' not in data or not wire.has(data, "segments"):
            return await self._otherwise(http)
        body = wire.decode(data, CompletionBody, fields.TABBY)
        model = self._service.model(None)
        request = Request(
            model=model.info.name,
            infill=_infill(body.segments),
            sampling=self._sampling(body),
            caller=caller(http),
        )
        events = self._service.choices(model, [request])
        async with self._service.answering(http, events):
            (answer,) = await emit.fold(events, 1)
        choices = [{"index": 0, "text": "".join(answer.text)}]
        return json(dumps({"id": f"cmpl-{uuid.uuid4()}", "choices": choices, "mode": "standard"}))

    def _sampling(self, body: CompletionBody) -> Sampling:
        shared = wire.SamplingBody(temperature=body.temperature, seed=body.seed)
        return wire.sampling(shared, min(DEFAULT_MAX_TOKENS, self._limit), None, self._limit)

    async def events(self, http: HTTPRequest) -> Response:
        body = wire.decode_plain(await http.body(), EventBody)
        self._service.metrics.editor(body.type)
        return Response(status_code=200)

    async def health(self, http: HTTPRequest) -> Response:
        info = self._service.model(None).info
        return json(
            dumps(
                {
                    "model": info.name,
                    "chat_model": info.name,
                    "device": "cpu",
                    "arch": platform.machine(),
                    "cpu_info": platform.processor(),
                    "cpu_count": os.cpu_count() or 1,
                    "cuda_devices": [],
                    "version": {
                        "build_date": "",
                        "build_timestamp": "",
                        "git_sha": "",
                        "git_describe": f"codeweft-{__version__}",
                    },
                }
            )
        )

    async def server_setting(self, http: HTTPRequest) -> Response:
        return json(dumps({"disable_client_side_telemetry": True}))


def _infill(segments: Segments) -> Infill:
    """What the editor sends along is shown to the model as other files; the nearest to the cursor first."""
    around = [
        *(segments.declarations or ()),
        *(segments.relevant_snippets_from_changed_files or ()),
        *(segments.relevant_snippets_from_recently_opened_files or ()),
    ]
    return Infill(
        segments.prefix, segments.suffix or "", tuple(Neighbour(one.filepath, one.body) for one in around)
    )
