"""What is answered: a stream of these, ending with `Done` or `Failed`. Those of every answer are structs, for they are quicker to make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from codeweft.errors import CodeweftError
from codeweft.types.knowledge import SearchResult
from codeweft.types.requests import Message

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Usage(msgspec.Struct, frozen=True):
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
class TokenLogprob:
    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Started(msgspec.Struct, frozen=True):
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


class TextDelta(msgspec.Struct, frozen=True):
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    pieces: tuple[str, ...] = ()
    """`text` as the endpoint cut it, where several deltas arrived together; only for requests that are `packed`."""


class ReasoningDelta(msgspec.Struct, frozen=True):
    text: str


class ToolCallDelta(msgspec.Struct, frozen=True):
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


class Cited(msgspec.Struct, frozen=True):
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


class Done(msgspec.Struct, frozen=True):
    usage: Usage
    reason: FinishReason = "stop"
    timings: Mapping[str, float] = msgspec.field(default_factory=dict)
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
