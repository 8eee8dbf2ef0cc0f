"""Reading streams of events: close them whatever happens, and fold them into one answer."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from codeweft.citations import without
from codeweft.types import (
    Checked,
    Cited,
    Done,
    Event,
    Explained,
    Failed,
    FinishReason,
    Model,
    ReasoningDelta,
    Request,
    Retrieved,
    SearchResult,
    Started,
    Step,
    TextDelta,
    TokenCounter,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    Usage,
    Withdrawn,
)

T = TypeVar("T")

BYTES_PER_TOKEN = 3.0
"""Cautious for code: tokenizers of code models make 3.0 to 3.6 bytes a token of it (measured on the starter's)."""


async def count_tokens(model: Model, request: Request) -> Usage:
    """Tokens of a request's prompt; estimated from its length where the model cannot count. Raises `EngineFailed`."""
    if isinstance(model, TokenCounter):
        return await model.count(request)
    asked = [request.prompt or "", *(turn.content for turn in request.messages)]
    if request.infill is not None:
        asked += [request.infill.prefix, request.infill.suffix]
    return Usage(int(sum(len(text.encode()) for text in asked) / BYTES_PER_TOKEN), estimated=True)


@asynccontextmanager
async def reading(stream: AsyncIterator[Event]) -> AsyncIterator[AsyncIterator[Event]]:
    """Iterate over `stream` inside the block; leaving the block closes it, which cancels the work behind it."""
    try:
        yield stream
    finally:
        await close(stream)


class Deferred:
    """The events of a stream that is only known after some work, which begins when the first event is asked for.

    From then on it hands out the inner stream's own steps: a token passes through nothing.
    """

    def __init__(self, begin: Callable[[], Awaitable[AsyncIterator[Event]]]) -> None:
        self._begin = begin
        self._inner: AsyncIterator[Event] | None = None

    def __aiter__(self) -> Deferred:
        return self

    def __anext__(self) -> Awaitable[Event]:
        return self._first() if self._inner is None else self._inner.__anext__()

    async def _first(self) -> Event:
        self._inner = await self._begin()
        return await self._inner.__anext__()

    async def aclose(self) -> None:
        """Close the inner stream, which cancels the work behind it."""
        if self._inner is not None:
            await close(self._inner)


class Replayed(Generic[T]):
    """A stream of which the first items were read already: those again, then the stream's own steps."""

    def __init__(self, read: Iterable[T], rest: AsyncIterator[T]) -> None:
        self._read = deque(read)
        self._rest = rest

    def __aiter__(self) -> Replayed[T]:
        return self

    def __anext__(self) -> Awaitable[T]:
        return self._again() if self._read else self._rest.__anext__()

    async def _again(self) -> T:
        return self._read.popleft()

    async def aclose(self) -> None:
        """Close the stream."""
        await close(self._rest)


async def only(event: Event) -> AsyncGenerator[Event]:
    """A stream of one event."""
    yield event


async def close(stream: AsyncIterator[Any]) -> None:
    """Close an async generator; other iterators have nothing to close."""
    aclose = getattr(stream, "aclose", None)
    if aclose is not None:
        await aclose()


@dataclass
class Answer:
    """A folded stream. Feed it events with `add`; it is whole when `usage` and `reason` are set."""

    model: str = ""
    note: str = ""
    text: str = ""
    reasoning: str = ""
    results: tuple[SearchResult, ...] | None = None
    """What was retrieved; None when nothing was looked up."""
    cited: Cited | None = None
    """Its reference numbers, checked; those that failed are not in `text` any more."""
    explained: Explained | None = None
    steps: list[Step] = field(default_factory=list)
    """What an agent did on the way."""
    checked: Checked | None = None
    """Whether its code stood a check; None when nobody checked it."""
    logprobs: list[TokenLogprob] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    reason: FinishReason | None = None
    timings: dict[str, float] = field(default_factory=dict)
    _calls: dict[int, ToolCall] = field(default_factory=dict)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(self._calls[index] for index in sorted(self._calls))

    def add(self, event: Event) -> None:
        """Take one event in. Raises the error of a `Failed`."""
        match event:
            case TextDelta():
                self.text += event.text
                self.logprobs.extend(event.logprobs)
            case ReasoningDelta():
                self.reasoning += event.text
            case ToolCallDelta():
                known = self._calls.get(event.index, ToolCall("", "", ""))
                self._calls[event.index] = ToolCall(
                    event.id or known.id, event.name or known.name, known.arguments + event.arguments
                )
            case Started():
                self.model, self.note = event.model, event.note
            case Retrieved():
                self.results = event.results
            case Cited():
                self.cited, self.text = event, without(self.text, event.dropped)
            case Step():
                self.steps.append(event)
            case Explained():
                self.explained = event
            case Withdrawn():
                self.text = ""
                self.logprobs.clear()
            case Checked():
                self.checked = event
            case Done():
                self.usage, self.reason, self.timings = event.usage, event.reason, dict(event.timings)
            case Failed():
                raise event.error
            case _:
                pass


async def fold(stream: AsyncIterator[Event]) -> Answer:
    """The whole answer of a stream. Raises the error that the stream ends with, if it fails."""
    answer = Answer()
    async with reading(stream) as events:
        async for event in events:
            answer.add(event)
    return answer
