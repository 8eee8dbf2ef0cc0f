"""Look up what the request needs to know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from codeweft.errors import CodeweftError, NotFound, NotReady
from codeweft.flows import infilling, inputs
from codeweft.flows.nodes.base import Node
from codeweft.flows.state import Services, State
from codeweft.stream import fold
from codeweft.types import Event, Filters, Message, Query, Request, Retrieval, Retrieved, Sampling

EXPLAINED = 20
"""Candidates told of when a request wants explaining: what was left out matters as much as what was shown."""
SHORT_QUESTION = 6
"""Words below which a follow-up ("and in Go?") is looked up together with the question before it."""
REWRITE = """\
Below is a conversation about a code base. Write one search query for its last question that can be understood
without the rest: replace words such as "it" and "that" by what they stand for, keep names of functions and files as
they are, and keep the question's language. Answer with the query alone, in one line.

{turns}

Search query:"""
REWRITE_TURNS = 6
"""Turns that the model is shown to understand the last question by."""
REWRITE_CHARACTERS = 600
"""Of each turn; an answer's code says little that its beginning does not."""
REWRITE_TOKENS = 80


class Retrieve(Node):
    """Search an index with the request and keep the best `k` chunks."""

    type: Literal["retriever"]
    index: str | None = Field(None, description="Index to search; the request's own choice wins.")
    k: int = Field(8, ge=1, le=100, description="How many chunks to keep.")
    rewrite: Literal["none", "model"] = Field(
        "none", description="`model` lets the model rewrite a follow-up so that it can be searched for alone."
    )

    def applies(self, state: State) -> bool:
        request = state.request
        return request.retrieval.enabled and request.prompt is None

    async def run(self, state: State, services: Services) -> AsyncIterator[Event]:
        wanted = state.request.retrieval
        index = wanted.index or self.index
        k = wanted.k or self.k
        text = await self._query(state)
        many = max(k, EXPLAINED) if state.request.explain else k
        query = Query(text, index, many, wanted.filters, wanted.selection)
        try:
            state.candidates = tuple(await services.retriever.search(query))
        except (NotFound, NotReady):
            # What was asked for must be there; where nothing was, the answer is written without references.
            if index is not None or wanted.filters != Filters():
                raise
        state.detail |= {"query": text, "index": index, "found": len(state.candidates[:k])}
        if state.candidates and state.candidates[0].note:
            state.detail["note"] = state.candidates[0].note
        state.found = Retrieved(text, state.candidates[:k], index)
        yield state.found

    async def _query(self, state: State) -> str:
        asked = question(state)
        follow_up = sum(turn.role == "user" for turn in state.request.messages) > 1
        if self.rewrite == "none" or not follow_up:
            return asked
        try:
            answer = await fold(state.writer.stream(rewriting(state)))
        except CodeweftError as error:
            # The question as it stands finds less than a rewritten one, but more than nothing.
            state.detail = {"not_rewritten": error.message}
            return asked
        state.spend(answer.usage)
        return next((line.strip(" \"'`") for line in answer.text.splitlines() if line.strip(" \"'`")), asked)


def question(state: State) -> str:
    """What to search for: the hole's surroundings, or what the user asked, with what a short follow-up refers to."""
    if state.request.infill is not None:
        return infilling.query(state.request.infill)
    if state.request.inputs:
        return inputs.query(state.request.inputs)
    if state.request.retrieval.query is not None:
        return state.request.retrieval.query
    return looked_up([turn.content for turn in state.request.messages if turn.role == "user"])


def looked_up(asked: Sequence[str]) -> str:
    """What to search for after these questions: the last, a short one together with the one before it."""
    if len(asked) > 1 and len(asked[-1].split()) < SHORT_QUESTION:
        return f"{asked[-2]}\n{asked[-1]}"
    return asked[-1] if asked else ""


def rewriting(state: State) -> Request:
    """The request that asks the model for a query that stands alone."""
    dialogue = [
        turn for turn in state.request.messages if turn.role in ("user", "assistant") and turn.content
    ]
    turns = "\n\n".join(
        f"{turn.role}: {turn.content[:REWRITE_CHARACTERS]}" for turn in dialogue[-REWRITE_TURNS:]
    )
    return Request(
        model=state.writer.info.name,
        messages=(Message("user", REWRITE.format(turns=turns)),),
        sampling=Sampling(max_tokens=REWRITE_TOKENS, temperature=0.0),
        retrieval=replace(Retrieval(), enabled=False),
        caller=state.request.caller,
    )
