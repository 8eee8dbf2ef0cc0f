"""One request on its way through a flow, and what the nodes may use on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codeweft.types import (
    Caller,
    Event,
    Explained,
    FinishReason,
    Message,
    Model,
    Request,
    Retrieval,
    Retrieved,
    Retriever,
    Sandbox,
    SearchResult,
    Sources,
    Started,
    Step,
    Toolbox,
    Usage,
    replace,
)

UNKNOWN_CONTEXT = 8192
"""Tokens assumed for a model that does not say how much it takes."""


@dataclass(frozen=True)
class Services:
    """What nodes may use. `model(None)` is the default model; it raises `NotFound` for an unknown name."""

    model: Callable[[str | None], Model]
    retriever: Retriever
    sources: Sources | None = None
    """Where citations are checked; without it only that there is such a reference."""
    toolbox: Callable[[Retrieval], Toolbox] | None = None
    """What an agent may look things up with, within what a request allows."""
    sandbox: Sandbox | None = None
    """Where code of answers is run; without it none is."""
    narrowed: Callable[[Caller], Services] | None = None
    """What of these one caller may use; without it everybody may use all."""

    def of(self, caller: Caller) -> Services:
        """The services as `caller` may use them."""
        return self if self.narrowed is None else self.narrowed(caller)


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
    candidates: tuple[SearchResult, ...] = ()
    """What was found before anything was left out, best first; more than usual when the request wants explaining."""
    steps: list[Step] = field(default_factory=list)
    """What an agent did so far."""
    weighed: bool = False
    """The model chose itself what to read, so that nobody needs to ask it whether that is relevant."""
    answered: bool = False
    """An agent wrote the answer already."""
    written: list[str] = field(default_factory=list)
    """The answer's text so far, in pieces."""
    turns: tuple[Message, ...] = ()
    """The conversation that the prompt holds, before it was laid out."""
    lay_out: Callable[[Sequence[Message], Sequence[SearchResult]], tuple[Message, ...]] | None = None
    """Lays turns and references out as messages; used anew when a prompt turned out too long."""
    forgotten: int = 0
    """Turns that were left out because the conversation does not fit the model."""
    remarks: dict[str, str] = field(default_factory=dict)
    """What a reader must know about this answer, by kind."""
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

    def show(self, results: Sequence[SearchResult]) -> Iterator[Event]:
        """Put these results, and no others, into the prompt; what was found and left out is no reference."""
        self.shown = tuple(results)
        self._lay_out()
        if self.found is not None and len(self.shown) < len(self.found.results):
            yield replace(self.found, results=self.shown)

    @property
    def can_shorten(self) -> bool:
        return bool(self.shown) or (self.lay_out is not None and len(self._dialogue()) > 1)

    def shorten(self) -> Iterator[Event]:
        """Make a prompt that is too long shorter: the weaker half of the references goes first, then the oldest turns."""
        if self.shown:
            yield from self.show(self.shown[: len(self.shown) // 2])
            return
        system = [turn for turn in self.turns if turn.role == "system"]
        dialogue = self._dialogue()
        dropped = min(2, len(dialogue) - 1)
        self.forgotten += dropped
        self.turns = (*system, *dialogue[dropped:])
        self._lay_out()
        said = f"The conversation does not fit this model: its {self.forgotten} oldest turns were left out."
        yield self.remark("forgotten", said)

    def remark(self, kind: str, text: str) -> Started:
        """Tell the reader something about this answer beside what its model's own note says; one text of a kind."""
        self.remarks[kind] = text
        info = self.writer.info
        return Started(info.name, " ".join(filter(None, (info.note, *self.remarks.values()))))

    def step(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        seconds: float,
        *,
        results: int = 0,
        tokens: int = 0,
        thought: str = "",
        error: str = "",
    ) -> Step:
        """Note the next step of an agent."""
        made = Step(len(self.steps) + 1, tool, arguments, seconds, results, tokens, thought, error)
        self.steps.append(made)
        return made

    def explained(self) -> Explained:
        """How the answer came about, told at its end."""
        query = self.found.query if self.found is not None else ""
        asked = (turn.content for turn in reversed(self.turns) if turn.role == "user")
        return Explained(
            next(asked, self.question), query, self.candidates, self.shown, self.prompt(), tuple(self.steps)
        )

    def prompt(self) -> tuple[Message, ...]:
        """What the model read, as far as it is text: the messages, or an infilling's neighbours, code and hole."""
        request = self.request
        if request.infill is None:
            return request.messages or (Message("user", request.prompt or ""),)
        shown = (f"{result.chunk.path}\n{result.chunk.text}" for result in self.shown)
        return (Message("user", "\n\n".join((*shown, f"{request.infill.prefix}…{request.infill.suffix}"))),)

    def _lay_out(self) -> None:
        if self.lay_out is not None:
            self.request = replace(self.request, messages=self.lay_out(self.turns, self.shown))

    def _dialogue(self) -> list[Message]:
        return [turn for turn in self.turns if turn.role != "system"]

    def spend(self, usage: Usage) -> None:
        self.usage = Usage(
            self.usage.prompt_tokens + usage.prompt_tokens,
            self.usage.completion_tokens + usage.completion_tokens,
            self.usage.cached_tokens + usage.cached_tokens,
            self.usage.estimated or usage.estimated,
        )
