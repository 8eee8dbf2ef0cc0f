"""Completion at a cursor for the web page: the text as it is written, and the exact prompt it continues."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from codeweft.errors import CodeweftError
from codeweft.server.chat_views import SamplingBody, UsageView
from codeweft.server.deps import UserId
from codeweft.server.emit import dumps
from codeweft.server.failures import translate
from codeweft.server.service import Service, caller
from codeweft.server.streams import Choices
from codeweft.server.views import Body, Problem, ReferenceView
from codeweft.server.wire import check_max_tokens
from codeweft.types import (
    Done,
    Event,
    Failed,
    Infill,
    Prompted,
    PromptProgress,
    Request,
    Retrieval,
    Retrieved,
    Sampling,
    Started,
    TextDelta,
)

LONGEST_TEXT = 1_000_000


class InfillBody(Body):
    prefix: str = Field(max_length=LONGEST_TEXT, description="What stands before the hole.")
    suffix: str = Field("", max_length=LONGEST_TEXT, description="What stands after it.")
    model: str | None = Field(None, max_length=200, description="A model or an app; null takes the default.")
    index: str | None = Field(
        None, max_length=200, description='null takes the app\'s default, "" looks nothing up.'
    )
    sampling: SamplingBody = SamplingBody()
    explain: bool = Field(True, description="Tell the exact prompt.")


def playground_routes(service: Service) -> APIRouter:
    routes = APIRouter(tags=["playground"])
    limit = service.runtime.settings.limits.max_tokens

    @routes.post(
        "/infill",
        response_class=Response,
        responses={
            200: {
                "description": "Events: started, retrieved, prompt (its pieces in order, and tokens where known), "
                "progress, text, done, failed.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    )
    async def infill(body: InfillBody, user: UserId, http: HTTPRequest) -> Response:
        """Write what belongs between `prefix` and `suffix`. It ends when the reader leaves; nothing is kept."""
        check_max_tokens(body.sampling.max_tokens, limit)
        model = service.model(body.model)
        request = Request(
            model=model.info.name,
            infill=Infill(body.prefix, body.suffix),
            sampling=Sampling(**body.sampling.model_dump(exclude_none=True)),
            retrieval=Retrieval(index=body.index or None, enabled=body.index != ""),
            explain=body.explain,
            caller=caller(http),
        )
        return await service.stream(http, service.choices(model, [request]), _told, _last_word)

    return routes


async def _told(events: Choices) -> AsyncIterator[bytes]:
    began = time.monotonic()
    first: float | None = None
    async for _, event in events:
        if isinstance(event, TextDelta) and event.text and first is None:
            first = time.monotonic() - began
        if isinstance(event, Done):
            measured = {"total_s": round(time.monotonic() - began, 4)}
            if first is not None:
                measured["first_token_s"] = round(first, 4)
            usage = UsageView.of(event.usage).model_dump()
            timings = {**measured, **event.timings}
            yield _sse("done", {"reason": event.reason, "usage": usage, "timings": timings})
        elif isinstance(event, Failed):
            yield _last_word(event.error)
        elif (told := _record(event)) is not None:
            yield _sse(*told)


def _record(event: Event) -> tuple[str, dict[str, Any]] | None:
    """The name and the data of an event; None for one that readers do not get."""
    match event:
        case Started():
            return "started", {"model": event.model, "note": event.note}
        case Retrieved():
            found = [view.model_dump() for view in ReferenceView.all(event.results)]
            return "retrieved", {"query": event.query, "index": event.index, "results": found}
        case Prompted():
            pieces = [{"text": piece.text, "special": piece.special} for piece in event.pieces]
            return "prompt", {"pieces": pieces, "tokens": event.tokens}
        case PromptProgress():
            return "progress", {"done": event.done, "total": event.total}
        case TextDelta() if event.text:
            return "text", {"text": event.text}
    return None


def _sse(kind: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), dumps(data))


def _last_word(error: Exception) -> bytes:
    known = error if isinstance(error, CodeweftError) else translate(error)
    return _sse("failed", {"error": Problem.of(known).model_dump()})
