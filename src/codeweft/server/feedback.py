"""What people said about answers, for administrators: to read, and to take along as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from codeweft.runtime.compose import Runtime
from codeweft.server.chat_views import FeedbackView
from codeweft.server.deps import Admin
from codeweft.server.emit import dumps

Rating = Annotated[Literal["good", "bad"] | None, Query()]
Model = Annotated[str | None, Query(max_length=200)]
Since = Annotated[datetime | None, Query(description="Rated then or later.")]


def feedback_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["feedback"])
    feedback = runtime.accounts.feedback

    @routes.get("/feedback")
    async def list_feedback(
        admin: Admin,
        rating: Rating = None,
        model: Model = None,
        since: Since = None,
        before: Annotated[datetime | None, Query(description="`rated_at` of the last one seen.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[FeedbackView]:
        """Rated answers with their questions, latest first."""
        found = await feedback.list(
            rating=rating, model=model, since=_seconds(since), before=_seconds(before), limit=limit
        )
        return [FeedbackView.of(one) for one in found]

    @routes.get(
        "/feedback/export",
        response_class=Response,
        responses={
            200: {"description": "The file.", "content": {"application/x-ndjson": {}, "text/csv": {}}}
        },
    )
    async def export_feedback(
        admin: Admin,
        format: Annotated[Literal["jsonl", "csv"], Query()] = "jsonl",
        rating: Rating = None,
        model: Model = None,
        since: Since = None,
    ) -> Response:
        """All rated answers, a line each."""
        found = await feedback.list(rating=rating, model=model, since=_seconds(since))
        rows = [FeedbackView.of(one) for one in found]
        if format == "csv":
            return _download(_csv(rows).encode(), "text/csv", "feedback.csv")
        lines = b"".join(dumps(row.model_dump()) + b"\n" for row in rows)
        return _download(lines, "application/x-ndjson", "feedback.jsonl")

    return routes


def _seconds(given: datetime | None) -> float | None:
    return None if given is None else given.timestamp()


def _csv(rows: Sequence[FeedbackView]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(FeedbackView.model_fields)
    for row in rows:
        writer.writerow(_cell(str(value)) for value in row.model_dump().values())
    return out.getvalue()


def _cell(text: str) -> str:
    """A spreadsheet must not take what a model or a user wrote for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _download(data: bytes, media_type: str, name: str) -> Response:
    return Response(
        data, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
