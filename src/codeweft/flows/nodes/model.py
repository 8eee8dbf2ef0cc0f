"""Let a model write the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar, Literal

from pydantic import Field

from codeweft.errors import ContextOverflow
from codeweft.flows import infilling
from codeweft.flows.nodes.base import Node
from codeweft.flows.state import UNKNOWN_CONTEXT, Services, State
from codeweft.stream import reading
from codeweft.types import Done, Event, Failed, Neighbour, Request, Started, TextDelta, replace


class WriteWithModel(Node):
    """Stream the answer of a model. Its text is the flow's text."""

    answers: ClassVar[bool] = True

    type: Literal["model"]
    model: str | None = Field(
        None, description="Model that writes; left out, the default model or the caller's choice."
    )
    temperature: float | None = Field(None, ge=0, le=2, description="Used when the request gives none.")
    max_tokens: int | None = Field(None, ge=1, description="Used when the request gives none.")

    @property
    def writes_with(self) -> str | None:
        return self.model

    def applies(self, state: State) -> bool:
        return not state.answered

    async def run(self, state: State, services: Services) -> AsyncIterator[Event]:
        hole = state.request.infill
        if hole is not None:
            context = state.writer.info.context or UNKNOWN_CONTEXT
            for event in state.show(infilling.neighbours(state.results, hole, context)):
                yield event
        while True:
            overflow = False
            async with reading(state.writer.stream(self._request(state))) as events:
                async for event in events:
                    match event:
                        case Started():
                            if said := event.note.removeprefix(state.writer.info.note).strip():
                                yield state.remark("model", said)
                        case Done():
                            state.spend(event.usage)
                            state.reason = event.reason
                            state.timings = dict(event.timings)
                        case Failed(error=ContextOverflow()) if state.can_shorten:
                            overflow = True
                        case _:
                            if isinstance(event, TextDelta):
                                state.written.append(event.text)
                            yield event
            if not overflow:
                return
            for event in state.shorten():
                yield event

    def _request(self, state: State) -> Request:
        sampling = state.request.sampling
        sampling = replace(
            sampling,
            temperature=self.temperature if sampling.temperature is None else sampling.temperature,
            max_tokens=self.max_tokens if sampling.max_tokens is None else sampling.max_tokens,
        )
        infill = state.request.infill
        if infill is not None:
            found = (Neighbour(result.chunk.path, result.chunk.text) for result in state.shown)
            infill = replace(infill, neighbours=(*infill.neighbours, *found))
        return replace(
            state.request,
            model=state.writer.info.name,
            sampling=sampling,
            infill=infill,
            context=state.shown,
            inputs={},
        )
