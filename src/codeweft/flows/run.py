"""Running a flow: the request passes through the nodes, and what they emit is the answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from codeweft.errors import CodeweftError, InvalidRequest
from codeweft.flows.inputs import accept, lay_out
from codeweft.flows.spec import FlowSpec
from codeweft.flows.state import Services, State
from codeweft.stream import count_tokens, reading
from codeweft.types import (
    Done,
    Event,
    Failed,
    Message,
    ModelInfo,
    NodeFinished,
    NodeStarted,
    Request,
    Started,
    Usage,
    replace,
)


class Flow:
    """An app as a `Model`: `stream` sends the request through the nodes of its document."""

    def __init__(self, spec: FlowSpec, services: Services, writer: str | None = None) -> None:
        """`writer` overrides the model that the flow's nodes leave open."""
        self.spec = spec
        self._services = services
        self._writer = writer

    @property
    def info(self) -> ModelInfo:
        writer = self._services.model(self._model_name).info
        return ModelInfo(
            name=f"{self.spec.name}@{self._writer}" if self._writer else self.spec.name,
            kind="app",
            skills=writer.skills - {"embeddings"},
            description=self.spec.description,
            note=writer.note,
            context=writer.context,
            family=writer.family,
            created=writer.created,
        )

    @property
    def _model_name(self) -> str | None:
        """The first model that a node names, unless the caller chose another."""
        return self._writer or next((name for node in self.spec.nodes if (name := node.writes_with)), None)

    async def count(self, request: Request) -> Usage:
        """Tokens of the request as it came; what the flow's nodes add to it is not known yet."""
        return await count_tokens(self._services.model(self._model_name), request)

    def _with_inputs(self, request: Request) -> Request:
        """The request with its inputs checked and laid out as the last turn. Raises `InvalidRequest`."""
        if not request.inputs:
            return request
        values = accept(self.spec.inputs, request.inputs, self.spec.name)
        asked = Message("user", lay_out(self.spec.inputs, values))
        return replace(request, messages=(*request.messages, asked), inputs=values)

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        try:
            request = self._with_inputs(request)
            state = State(request=request, writer=self._services.model(self._model_name))
        except CodeweftError as error:
            yield Failed(error)
            return
        services = self._services.of(request.caller)
        info = state.writer.info
        yield Started(info.name, info.note)
        for node in self.spec.nodes:
            if not node.applies(state):
                continue
            yield NodeStarted(node.id, node.type)
            began = time.perf_counter()
            state.detail = {}
            try:
                async with reading(node.run(state, services)) as events:
                    async for event in events:
                        yield event
                        if isinstance(event, Failed):
                            return
            except CodeweftError as error:
                yield Failed(error)
                return
            yield NodeFinished(node.id, node.type, time.perf_counter() - began, state.detail)
        if not any(node.answers for node in self.spec.nodes):
            yield Failed(
                InvalidRequest(f"The app {self.spec.name} has no node that answers.", fix="Add a model node.")
            )
            return
        if request.explain:
            yield state.explained()
        yield Done(state.usage, state.reason, state.timings)
