"""The nouns. Everything that answers is a `Model`, and every answer is a stream of `Event`s.

The values here are frozen and hold no behaviour beyond what follows from their own fields; rooms meet through
the protocols at the end and never import each other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from codeweft.errors import CodeweftError

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
Skill = Literal["completion", "infilling", "chat", "python", "tools", "vision", "embeddings"]
Skills = frozenset[Skill]
Vectors = NDArray[np.float32]


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the model wants called; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `tool_calls` belong to assistant turns, `tool_call_id` to tool turns."""

    role: Role
    content: str
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another file (or part of one) shown to an infilling model as repository context."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Infill:
    """Code before and after the hole. `suffix_first=None` takes the order the model was trained on."""

    prefix: str
    suffix: str
    neighbours: tuple[Neighbour, ...] = ()
    suffix_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters; None means the model's own default for the skill. Temperature 0 stays 0 (greedy)."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    typical_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    """How many alternatives per token to report; 0 reports only the chosen token, None none."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    json_schema: Mapping[str, Any] | None = None
    """The answer must be JSON that this JSON Schema accepts; `{}` means any JSON object."""
    grammar: str | None = None
    """The answer must match this GBNF grammar (embedded engine only)."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Restrict a search. Globs match paths relative to the source's root; empty means everything."""

    paths: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()


SearchType = Literal[
    "hybrid", "similarity", "similarity_distance_threshold", "similarity_score_threshold", "mmr"
]


@dataclass(frozen=True, slots=True)
class Selection:
    """How chunks are chosen; the fields and their defaults are OPEA's, but for `hybrid`.

    `hybrid` fuses words, vectors and what else speaks for a chunk. The others look at vectors only: the nearest
    (`similarity`), the nearest within a cosine distance (0..2) or above a cosine (0..1), or of the `fetch_k` nearest
    those that differ most from each other (`mmr`; `lambda_mult` 1 is nearness alone, 0 difference alone). `vector`
    is looked for instead of the text's own.
    """

    type: SearchType = "hybrid"
    fetch_k: int = 20
    lambda_mult: float = 0.5
    distance_threshold: float | None = None
    score_threshold: float = 0.2
    vector: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for. `index=None` searches the default index, or all when none is the default."""

    text: str
    index: str | None = None
    k: int = 10
    filters: Filters = Filters()
    selection: Selection = Selection()


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How a request wants context looked up; None leaves the choice to the app.

    `query` is looked up in place of what the last turns say, which may hold whole files.
    """

    index: str | None = None
    k: int | None = None
    enabled: bool = True
    agent: bool = False
    filters: Filters = Filters()
    selection: Selection = Selection()
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a user by session or key. Local commands run as `local`."""

    user: str = "local"
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one model. Exactly one of `messages`, `prompt` and `infill` is set, or `inputs` alone.

    `prompt` is raw text to continue; it is never wrapped in a chat template. `tools` and `tool_choice` are in
    OpenAI's shape. `context` holds search results that a flow wants laid out as references.
    """

    model: str
    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    infill: Infill | None = None
    sampling: Sampling = Sampling()
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: Any = None
    parallel_tools: bool | None = None
    """Whether the model may call several tools at once; None leaves it to the model."""
    forwarded: Mapping[str, Any] = field(default_factory=dict)
    """Fields of OpenAI's chat that only some endpoints know, as they came; a model that does not refuses them."""
    retrieval: Retrieval = Retrieval()
    context: tuple[SearchResult, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    """What an app with inputs is given (a code task: its code, a target language, tests); it writes the last turn of them."""
    explain: bool = False
    """Ask an app to tell what it looked up, why, and what the model read (`Explained`)."""
    whole: bool = False
    """Nobody reads along: the answer may come as few large events."""
    packed: bool = False
    """Deltas that arrive together may come as one that tells its `pieces`: each event costs more than its text."""
    caller: Caller = Caller()

    @property
    def skill(self) -> Skill:
        """The skill this request needs of a model."""
        if self.infill is not None:
            return "infilling"
        return "completion" if self.prompt is not None else "chat"


# ── what is known ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a source file: a function, method, class head, or the lines between them.

    `start_line` and `end_line` count from 1 and are inclusive; `path` is relative to the source's root with `/`.
    `kind` is one of function, method, class, interface, enum, module, section, block. `scope` is the enclosing
    class or namespace, dotted. `commit` is the git commit of the file, or empty outside git. `summary` says
    in words what the chunk does, where somebody had summaries written.
    """

    repository: str
    path: str
    start_line: int
    end_line: int
    language: str
    kind: str
    name: str
    text: str
    signature: str = ""
    scope: str = ""
    docstring: str = ""
    commit: str = ""
    summary: str = ""

    @property
    def qualified_name(self) -> str:
        return f"{self.scope}.{self.name}" if self.scope and self.name else self.name


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A chunk that matched. `score` is in 0..1 and comparable within one answer; `why` maps reasons to parts of it.

    In an answer, the position in the list plus one is the reference's number. `index` names the index it is from.
    `note` is what a reader must know about how it was found, such as that the re-ranker did not answer; it is the same
    in all results of one answer.
    """

    chunk: Chunk
    score: float
    why: Mapping[str, float] = field(default_factory=dict)
    index: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the results of a search came about.

    `terms` maps each word that was looked up to its other forms that the results hold. `candidates` were scored.
    `seconds` are by stage: encode, candidates, rank, read, and stages where there are any around the search.
    """

    type: SearchType
    indexes: tuple[str, ...]
    terms: Mapping[str, tuple[str, ...]]
    symbols: tuple[str, ...]
    candidates: int
    seconds: Mapping[str, float]


# ── what is answered ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the engine counted them. `cached_tokens` of the prompt came from the prefix cache."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    estimated: bool = False
    """True when the engine reported nothing and the counts are a guess from text length."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


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
class TokenLogprob:
    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The request was admitted; `model` is the model that will write (an app names the one behind it)."""

    model: str
    note: str = ""
    """Something a reader must know about this model, such as that it is only the starter."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What was looked up, best first. References in the text count from 1 along this list."""

    query: str
    results: tuple[SearchResult, ...]
    index: str | None = None


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """The engine is reading the prompt: `done` of `total` tokens."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    pieces: tuple[str, ...] = ()
    """`text` as the endpoint cut it, where several deltas arrived together; only for requests that are `packed`."""


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call; `id` and `name` come with the first piece of each `index`."""

    index: int
    arguments: str
    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class NodeStarted:
    node: str
    kind: str


@dataclass(frozen=True, slots=True)
class NodeFinished:
    node: str
    kind: str
    seconds: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cited:
    """The reference numbers in an answer, checked against the sources once it is written.

    `verified` ones have a reference whose source still says what was shown; `dropped` ones do not. `gone` are all
    references, cited or not, whose source does not say it any more.
    """

    verified: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Something an agent did on its way to an answer: a tool it called, and what came of it.

    `number` counts from 1 through the answer. `arguments` are JSON values. `results` is how many places the tool
    showed, `tokens` what the model spent on choosing it; of several calls made at once the first carries it. `thought`
    is what the model said with it, `error` what the tool answered instead of results.
    """

    number: int
    tool: str
    arguments: Mapping[str, Any]
    seconds: float
    results: int = 0
    tokens: int = 0
    thought: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """How an answer came about: what was asked and what was searched for, what was found, shown and sent.

    `candidates` are best first and more than are `shown`; `prompt` is what the model read, templates filled in;
    `steps` are those of an agent.
    """

    question: str
    query: str
    candidates: tuple[SearchResult, ...]
    shown: tuple[SearchResult, ...]
    prompt: tuple[Message, ...]
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptPiece:
    """Part of a prompt: the text of special tokens, or plain text that must never be read as special."""

    text: str
    special: bool = False


@dataclass(frozen=True, slots=True)
class Prompted:
    """Exactly what a model reads around a hole, told before it writes where a request wants explaining.

    `tokens` is None where only the endpoint knows.
    """

    pieces: tuple[PromptPiece, ...]
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Done:
    usage: Usage
    reason: FinishReason = "stop"
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds and rates by name (`first_token_s`, `tokens_per_s`), where known."""


@dataclass(frozen=True, slots=True)
class Failed:
    error: CodeweftError


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The text so far does not stand: the answer is what follows. Where it was shown already, a heading stands between."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether the code of an answer stood a check, such as compiling it or running tests on it.

    `tool` names what checked it, empty when nothing could. `message` says what was found, or why nothing was checked.
    """

    verified: bool
    tool: str
    message: str
    language: str = ""
    repaired: bool = False
    """The first answer failed, and this is its correction."""


Event = (
    Started
    | Retrieved
    | PromptProgress
    | TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | NodeStarted
    | NodeFinished
    | Step
    | Cited
    | Explained
    | Prompted
    | Withdrawn
    | Checked
    | Done
    | Failed
)


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


# ── what is run ──────────────────────────────────────────────────────────────────────────────────────────────


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


# ── the seams ────────────────────────────────────────────────────────────────────────────────────────────────


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
