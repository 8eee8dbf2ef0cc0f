"""Look up what the request needs to know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from pydantic import Field

from codeweft.errors import NotFound, NotReady
from codeweft.flows.nodes.base import Node
from codeweft.flows.state import Services, State
from codeweft.types import Event, Filters, Infill, Query, Retrieved

SHORT_QUESTION = 6
"""Words below which a follow-up ("and in Go?") is looked up together with the question before it."""
INFILL_LINES = (12, 4)
"""Lines before and after the hole that say what is being written (before: the signature and comment above it)."""


class Retrieve(Node):
    """Search an index with the request and keep the best `k` chunks."""

    type: Literal["retriever"]
    index: str | None = Field(None, description="Index to search; the request's own choice wins.")
    k: int = Field(8, ge=1, le=100, description="How many chunks to keep.")

    def applies(self, state: State) -> bool:
        request = state.request
        return request.retrieval.enabled and request.prompt is None

    async def run(self, state: State, services: Services) -> AsyncIterator[Event]:
        wanted = state.request.retrieval
        index = wanted.index or self.index
        query = Query(question(state), index, wanted.k or self.k, wanted.filters, wanted.selection)
        try:
            results = tuple(await services.retriever.search(query))
        except (NotFound, NotReady):
            # What was asked for must be there; where nothing was, the answer is written without references.
            if index is not None or wanted.filters != Filters():
                raise
            results = ()
        state.detail = {"query": query.text, "index": index, "found": len(results)}
        state.found = Retrieved(query.text, results, index)
        yield state.found


def question(state: State) -> str:
    """What to search for: the hole's surroundings, or what the user asked, with what a short follow-up refers to."""
    if state.request.infill is not None:
        return _around(state.request.infill)
    asked = [turn.content for turn in state.request.messages if turn.role == "user"]
    if len(asked) > 1 and len(asked[-1].split()) < SHORT_QUESTION:
        return f"{asked[-2]}\n{asked[-1]}"
    return asked[-1] if asked else ""


def _around(hole: Infill) -> str:
    before, after = INFILL_LINES
    return "\n".join(hole.prefix.splitlines()[-before:] + hole.suffix.splitlines()[:after])
