"""What is asked of a model.

What is made for each request is a msgspec `Struct`: a frozen dataclass of as many fields takes twenty times as long to
make, and to make anew with another value (`msgspec.structs.replace`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from codeweft.types.knowledge import Filters, SearchResult, Selection

Role = Literal["system", "user", "assistant", "tool"]
Skill = Literal["completion", "infilling", "chat", "python", "tools", "vision", "embeddings"]
Skills = frozenset[Skill]


class ToolCall(msgspec.Struct, frozen=True):
    """A function the model wants called; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True):
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


class Sampling(msgspec.Struct, frozen=True):
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
    logit_bias: Mapping[int, float] = msgspec.field(default_factory=dict)
    json_schema: Mapping[str, Any] | None = None
    """The answer must be JSON that this JSON Schema accepts; `{}` means any JSON object."""
    grammar: str | None = None
    """The answer must match this GBNF grammar (embedded engine only)."""


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


class Caller(msgspec.Struct, frozen=True):
    """Who asks: a user by session or key. Local commands run as `local`."""

    user: str = "local"
    key: str | None = None


class Request(msgspec.Struct, frozen=True):
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
    forwarded: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """Fields of OpenAI's chat that only some endpoints know, as they came; a model that does not refuses them."""
    retrieval: Retrieval = Retrieval()
    context: tuple[SearchResult, ...] = ()
    inputs: Mapping[str, str] = msgspec.field(default_factory=dict)
    """What an app with inputs is given (a code task: its code, a target language, tests); it writes the last turn of them."""
    explain: bool = False
    """Ask an app to tell what it looked up, why, and what the model read (`Explained`)."""
    label: bool = True
    """Whether the text of an answer that was checked says so; who shows `Checked` leaves it out."""
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
