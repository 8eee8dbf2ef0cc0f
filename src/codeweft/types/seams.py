"""Where rooms meet: the protocols, and the values that only they pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from codeweft.types.events import Event, Usage
from codeweft.types.knowledge import Query, SearchResult, Vectors
from codeweft.types.requests import Request, Skills


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model is, for lists and pickers."""

    name: str
    kind: Literal["embedded", "upstream", "app", "scripted"]
    skills: Skills
    description: str = ""
    note: str = ""
    """Shown wherever it answers (the starter says what it is)."""
    context: int | None = None
    """Tokens of one request's prompt plus answer; None when unknown."""
    family: str = ""
    created: int = 0
    """Unix time in seconds."""
    served: str = ""
    """The model's name at its endpoint, by which its price is known."""
    host: str = ""
    """The endpoint's host name."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. `cached` is for prompt tokens read from a cache (None: as others)."""

    input: float = 0.0
    output: float = 0.0
    cached: float | None = None

    def of(self, prompt_tokens: float, completion_tokens: float, cached_tokens: float = 0.0) -> float:
        """USD for a use; `cached_tokens` are part of `prompt_tokens`."""
        cached = self.input if self.cached is None else self.cached
        fresh = prompt_tokens - cached_tokens
        return (fresh * self.input + cached_tokens * cached + completion_tokens * self.output) / 1e6


@dataclass(frozen=True, slots=True)
class Embeddings:
    """(n, d) float32 vectors in the order of the texts, and the tokens they cost."""

    vectors: Vectors
    usage: Usage


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call; `parameters` is the JSON Schema of its arguments, an object."""

    name: str
    title: str
    description: str
    parameters: Mapping[str, Any]

    @property
    def schema(self) -> dict[str, Any]:
        """The tool in OpenAI's shape."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what a tool shows, with the code it shows or is about."""

    text: str
    source: SearchResult | None = None


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool answered. `rest` says what there is beside the pieces: that there are none, or more."""

    pieces: tuple[Piece, ...] = ()
    rest: str = ""

    @property
    def text(self) -> str:
        texts = [piece.text for piece in self.pieces]
        # Pieces of several lines need a line between them to be told apart.
        between = "\n\n" if any("\n" in text for text in texts) and len(texts) > 1 else "\n"
        return between.join([*texts, *([self.rest] if self.rest else [])])


LimitName = Literal["", "time", "cpu", "memory", "output", "file size"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program in the sandbox may use. `seconds` pass on the wall, `cpu_seconds` are each process's, `memory_mb` all processes' together."""

    seconds: float = 60.0
    cpu_seconds: int = 20
    memory_mb: int = 1024
    processes: int = 128
    """Threads count."""
    file_mb: int = 64
    """The longest file; all files of a folder together may have twice as much."""
    output: int = 64_000
    """Bytes of standard output and error together."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program in the sandbox ended. `code` is None when it was stopped for `limit`."""

    code: int | None
    output: str
    seconds: float
    limit: LimitName = ""

    @property
    def ok(self) -> bool:
        return self.code == 0


class Model(Protocol):
    """Anything that answers: an embedded GGUF, an endpoint, a pool, a scripted test model, a flow."""

    @property
    def info(self) -> ModelInfo: ...

    def stream(self, request: Request) -> AsyncIterator[Event]:
        """Answer `request` as events, ending with exactly one `Done` or `Failed`.

        Errors travel in the stream; the iterator itself raises only bugs. Closing the iterator (`aclose()`, or
        cancelling the task that reads it) cancels the work all the way down to the engine.
        """
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """A model that can say how long a prompt is without answering it."""

    async def count(self, request: Request) -> Usage:
        """The prompt's tokens (`prompt_tokens`), exact unless `estimated`. Raises `EngineFailed`."""
        ...


class Retriever(Protocol):
    async def search(self, query: Query) -> list[SearchResult]:
        """The best `query.k` chunks, best first. Raises `NotFound` for an index that does not exist."""
        ...


class Toolbox(Protocol):
    """Tools that look things up, within what a request allows."""

    def tools(self) -> Sequence[Tool]:
        """What can be called; nothing where there is nothing to look into."""
        ...

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolOutput:
        """Raises `InvalidRequest` for a tool or arguments that do not exist, and what the look-up itself raises."""
        ...


class Sources(Protocol):
    async def standing(self, results: Sequence[SearchResult], index: str | None) -> list[bool]:
        """Whether the source of each result of a search in `index` still says what the result shows.

        A text that was cut ends with a line `…`. Raises `StorageFailed`.
        """
        ...


class Sandbox(Protocol):
    """Where code that nobody has read is run."""

    async def missing(self) -> str:
        """Why nothing can be run here; empty when it can."""
        ...

    def tool(self, name: str) -> bool:
        """Whether the command `name` is there inside."""
        ...

    async def run(
        self, command: Sequence[str], files: Mapping[str, str | bytes], limits: Limits | None = None
    ) -> Ran:
        """Run `command` in a folder that holds `files`. Cancelling stops it. Raises `NoSandbox`, `InvalidRequest`."""
        ...


class Encoder(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32 rows of unit length (a text without any known token gives zeros)."""
        ...


class Embedder(Protocol):
    """Vectors over HTTP or from an engine child; `Encoder` is its in-process, synchronous twin."""

    @property
    def info(self) -> ModelInfo: ...

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Raises `InvalidRequest` for a text that is too long, `EngineFailed` or `UpstreamFailed`."""
        ...


class Reranker(Protocol):
    """Reads a question beside each text: slower and better than comparing vectors."""

    @property
    def name(self) -> str: ...

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """How well each text answers, in their order; only the order within one call means something.

        Raises `InvalidRequest`, `EngineFailed` or `UpstreamFailed`.
        """
        ...


class QueryExpander(Protocol):
    """Says a question in other words, such as in another language."""

    @property
    def name(self) -> str: ...

    async def expand(self, query: str) -> Sequence[str]:
        """Further questions that mean the same; none when nothing is to be gained. Raises what its model raises."""
        ...
