"""Running a flow: the request passes through the nodes, and what they emit is the answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from codeweft.errors import CodeweftError, InvalidRequest
from codeweft.stream import reading
from codeweft.types import (
    Done,
    Event,
    Failed,
    FinishReason,
    Message,
    Model,
    ModelInfo,
    NodeFinished,
    NodeStarted,
    Request,
    Retrieved,
    Retriever,
    SearchResult,
    Started,
    Usage,
)

if TYPE_CHECKING:
    from codeweft.flows.spec import FlowSpec


@dataclass(frozen=True)
class Services:
    """What nodes may use. `model(None)` is the default model; it raises `NotFound` for an unknown name."""

    model: Callable[[str | None], Model]
    retriever: Retriever


@dataclass
class State:
    """One request on its way through a flow; nodes read it and write their part of it."""

    request: Request
    writer: Model
    """The model that will write the answer; its context decides how much fits."""
    found: Retrieved | None = None
    """What was looked up and is still held relevant, best first."""
    shown: tuple[SearchResult, ...] = ()
    """The results that the prompt really holds; reference n is `shown[n - 1]`."""
    lay_out: Callable[[Sequence[SearchResult]], tuple[Message, ...]] | None = None
    """Lays the conversation out anew with other references, for a prompt that turned out too long."""
    usage: Usage = field(default_factory=Usage)
    reason: FinishReason = "stop"
    timings: dict[str, float] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)
    """What the running node wants to report in its `NodeFinished`."""

    @property
    def results(self) -> tuple[SearchResult, ...]:
        return self.found.results if self.found is not None else ()

    @property
    def question(self) -> str:
        """The last thing the user said."""
        return next((turn.content for turn in reversed(self.request.messages) if turn.role == "user"), "")

    def show(self, results: Sequence[SearchResult]) -> Iterator[Retrieved]:
        """Put these results, and no others, into the prompt; what was found and left out is no reference."""
        self.shown = tuple(results)
        if self.lay_out is not None:
            self.request = replace(self.request, messages=self.lay_out(results))
        if self.found is not None and len(self.shown) < len(self.found.results):
            yield replace(self.found, results=self.shown)

    def spend(self, usage: Usage) -> None:
        self.usage = Usage(
            self.usage.prompt_tokens + usage.prompt_tokens,
            self.usage.completion_tokens + usage.completion_tokens,
            self.usage.cached_tokens + usage.cached_tokens,
            self.usage.estimated or usage.estimated,
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

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        try:
            state = State(request=request, writer=self._services.model(self._model_name))
        except CodeweftError as error:
            yield Failed(error)
            return
        info = state.writer.info
        yield Started(info.name, info.note)
        for node in self.spec.nodes:
            if not node.applies(state):
                continue
            yield NodeStarted(node.id, node.type)
            began = time.perf_counter()
            state.detail = {}
            try:
                async with reading(node.run(state, self._services)) as events:
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
        yield Done(state.usage, state.reason, state.timings)
