"""Finding code over HTTP: search, symbols, regular expressions. None of it needs a language model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from codeweft.retrieval.grep import GREP_SECONDS, Grep, Pattern
from codeweft.retrieval.symbols import look_up
from codeweft.server.deps import Readable
from codeweft.server.emit import clean
from codeweft.server.find_views import (
    ExplanationView,
    GrepQuery,
    HitsView,
    HitView,
    PlacesView,
    PlaceView,
    SearchBody,
    SearchView,
    SymbolQuery,
)
from codeweft.server.views import ReferenceView
from codeweft.types import Query as SearchQuery

LINES = "application/x-ndjson"


def find_routes() -> APIRouter:
    routes = APIRouter(tags=["find"])

    @routes.post("/search")
    def search(body: SearchBody, indexes: Readable) -> SearchView:
        """Search code by words, names and meaning."""
        asked = SearchQuery(body.query, body.index, body.k, body.filters(), body.selection())
        explanation = None
        if body.explain:
            found = indexes.explained(asked)
            results, explanation = found.results, ExplanationView.of(found.explanation)
        else:
            results = indexes.search(asked)
        return SearchView(
            results=ReferenceView.all(results),
            explanation=explanation,
            note=clean(results[0].note) if results else "",
        )

    @routes.get("/symbols")
    def find_symbol(asked: Annotated[SymbolQuery, Query()], indexes: Readable) -> PlacesView:
        """Where a name is defined, used and called, and what it calls; by syntax, not by text."""
        found = look_up(
            indexes.searched(asked.index, asked.filters()),
            asked.name,
            asked.find,
            asked.filters(),
            asked.limit,
        )
        return PlacesView(places=list(map(PlaceView.of, found.places)), more=found.more)

    @routes.get(
        "/grep",
        response_model=HitsView,
        responses={200: {"content": {LINES: {"schema": {"type": "string"}}}}},
    )
    def grep(http: Request, asked: Annotated[GrepQuery, Query()], indexes: Readable) -> HitsView | Response:
        """Lines that match a regular expression, by path. With `Accept: application/x-ndjson` as they are found, one
        JSON object a line, and last `{"more": …}`."""
        pattern = Pattern(
            asked.pattern, ignore_case=asked.ignore_case, whole_word=asked.whole_word, fixed=asked.fixed
        )
        found = Grep(
            indexes.searched(asked.index, asked.filters()),
            pattern,
            asked.filters(),
            context=asked.context,
            limit=asked.limit,
            seconds=GREP_SECONDS,
        )
        if LINES in http.headers.get("accept", ""):
            return StreamingResponse(_lines(found), media_type=LINES)
        return HitsView(hits=list(map(HitView.of, found)), more=found.more)

    return routes


def _lines(found: Grep) -> Iterator[bytes]:
    for hit in found:
        yield msgspec.json.encode(HitView.of(hit).model_dump()) + b"\n"
    yield msgspec.json.encode({"more": found.more}) + b"\n"
