"""One request on its way through a flow, and what the nodes may use on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from codeweft.types import (
    FinishReason,
    Message,
    Model,
    Request,
    Retrieved,
    Retriever,
    SearchResult,
    Usage,
)


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
