"""OpenAI's streaming protocol as seen by a client: bodies out, chunks in. Codeweft's own additions included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from codeweft.types import (
    Checked,
    Chunk,
    Cited,
    Event,
    Explained,
    FinishReason,
    Message,
    ReasoningDelta,
    Retrieved,
    Role,
    Sampling,
    SearchResult,
    Step,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    Withdrawn,
)

_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}

NO_ERROR = msgspec.Raw(b"null")

MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no message: not JSON, other types, not UTF-8, nested without end."""

Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A position or a count that goes back out as JSON; larger ones are not told apart by every reader of it."""
_MOST_TOKENS: Final = 2**40


def counted(tokens: int | None) -> int:
    """A count of tokens as it is used for limits and bills: 0 for one that cannot be one."""
    return tokens if tokens is not None and 0 <= tokens <= _MOST_TOKENS else 0


class FunctionPart(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class ToolCallPart(msgspec.Struct, frozen=True):
    index: Number | None = None
    id: str | None = None
    function: FunctionPart | None = None


class Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallPart] | None = None


class TopLogprob(msgspec.Struct, frozen=True):
    token: str = ""
    logprob: float = 0.0


class ContentLogprob(msgspec.Struct, frozen=True):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[TopLogprob] | None = None


class Logprobs(msgspec.Struct, frozen=True):
    """Chat answers fill `content`; raw completions the older parallel lists."""

    content: list[ContentLogprob] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class Choice(msgspec.Struct, frozen=True):
    index: int = 0
    delta: Delta | None = None
    message: Delta | None = None
    """In place of `delta` when the answer comes in one piece."""
    text: str | None = None
    logprobs: Logprobs | None = None
    finish_reason: str | None = None


class CachedTokens(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None


class UsagePart(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: CachedTokens | None = None

    @property
    def usage(self) -> Usage:
        details = self.prompt_tokens_details
        return Usage(
            prompt_tokens=counted(self.prompt_tokens),
            completion_tokens=counted(self.completion_tokens),
            cached_tokens=counted(details.cached_tokens) if details else 0,
        )


class Reference(msgspec.Struct, frozen=True):
    """A numbered source of an answer, as Codeweft servers send it."""

    number: Number
    path: str
    start_line: Number
    end_line: Number
    repository: str = ""
    commit: str | None = None
    score: float = 0.0
    why: dict[str, float] = {}
    verified: bool | None = None
    name: str | None = None
    kind: str | None = None
    language: str | None = None
    signature: str | None = None
    text: str | None = None

    @property
    def result(self) -> SearchResult:
        chunk = Chunk(
            repository=self.repository,
            path=self.path,
            start_line=self.start_line,
            end_line=self.end_line,
            language=self.language or "",
            kind=self.kind or "",
            name=self.name or "",
            text=self.text or "",
            signature=self.signature or "",
            commit=self.commit or "",
        )
        return SearchResult(chunk, self.score)


class Progress(msgspec.Struct, frozen=True):
    total: Number = 0
    processed: Number = 0


class Citations(msgspec.Struct, frozen=True):
    """What became of the reference numbers in an answer."""

    verified: list[Number] = []
    dropped: list[Number] = []


class Candidate(Reference, frozen=True, kw_only=True):
    """What was looked up; without `number` it was not shown to the model."""

    number: Number | None = None  # type: ignore[assignment]


class PromptTurn(msgspec.Struct, frozen=True):
    role: Role
    content: str


class StepPart(msgspec.Struct, frozen=True):
    """A step of a Codeweft server's agent."""

    number: Number
    tool: str
    arguments: dict[str, Any] = {}
    seconds: float = 0.0
    results: Number = 0
    tokens: Number = 0
    thought: str = ""
    error: str = ""

    @property
    def event(self) -> Step:
        return Step(
            self.number,
            self.tool,
            self.arguments,
            self.seconds,
            self.results,
            self.tokens,
            self.thought,
            self.error,
        )


class Explanation(msgspec.Struct, frozen=True):
    """How an answer came about, as Codeweft servers tell it when asked."""

    question: str
    query: str
    candidates: list[Candidate]
    prompt: list[PromptTurn]
    steps: list[StepPart] = []

    @property
    def event(self) -> Explained:
        shown = sorted((one for one in self.candidates if one.number), key=lambda one: one.number or 0)
        return Explained(
            self.question,
            self.query,
            tuple(one.result for one in self.candidates),
            tuple(one.result for one in shown),
            tuple(Message(turn.role, turn.content) for turn in self.prompt),
            tuple(step.event for step in self.steps),
        )


class CheckedPart(msgspec.Struct, frozen=True):
    """Whether an answer's code stood a check, as Codeweft servers tell it."""

    verified: bool
    tool: str = ""
    message: str = ""
    language: str = ""
    repaired: bool = False


class StreamChunk(msgspec.Struct, frozen=True):
    """One `data:` of a stream. `error` may have any shape."""

    choices: list[Choice] | None = None
    usage: UsagePart | None = None
    references: list[Reference] | None = None
    citations: Citations | None = None
    explained: Explanation | None = None
    step: StepPart | None = None
    checked: CheckedPart | None = None
    withdrawn: bool = False
    note: str | None = None
    prompt_progress: Progress | None = None
    error: msgspec.Raw = NO_ERROR

    def events(self, query: str = "") -> list[Event]:
        """What this chunk says, except usage and the end."""
        found: list[Event] = []
        if self.step is not None:
            found.append(self.step.event)
        if self.references is not None:
            ordered = sorted(self.references, key=lambda reference: reference.number)
            found.append(Retrieved(query, tuple(reference.result for reference in ordered)))
            if self.citations is not None:
                gone = tuple(one.number for one in ordered if one.verified is False)
                found.append(Cited(tuple(self.citations.verified), tuple(self.citations.dropped), gone))
        if self.explained is not None:
            found.append(self.explained.event)
        for choice in self.choices or ():
            if not choice.index:
                _add_choice(choice, found)
        if self.withdrawn:
            found.append(Withdrawn())
        if self.checked is not None:
            part = self.checked
            found.append(Checked(part.verified, part.tool, part.message, part.language, part.repaired))
        return found

    @property
    def only_text(self) -> str:
        """The text of a chunk that says nothing else; empty for any other."""
        choices = self.choices
        if (
            choices is None
            or len(choices) != 1
            or self.usage is not None
            or self.references is not None
            or self.citations is not None
            or self.explained is not None
            or self.step is not None
            or self.checked is not None
            or self.withdrawn
            or self.note is not None
            or self.prompt_progress is not None
        ):
            return ""
        choice = choices[0]
        delta = choice.delta
        if (
            delta is None
            or choice.index
            or choice.finish_reason is not None
            or choice.logprobs is not None
            or delta.tool_calls is not None
            or delta.reasoning_content is not None
            or delta.reasoning is not None
        ):
            return ""
        return delta.content or ""

    @property
    def failed(self) -> bool:
        return self.error is not NO_ERROR and bytes(self.error) != bytes(NO_ERROR)

    @property
    def finish_reason(self) -> FinishReason | None:
        for choice in self.choices or ():
            if choice.finish_reason:
                return _REASONS.get(choice.finish_reason, "stop")
        return None


decode_chunk = msgspec.json.Decoder(StreamChunk).decode


def _add_choice(choice: Choice, found: list[Event]) -> None:
    text, delta = choice.text, choice.delta or choice.message
    if delta is not None:
        thought = delta.reasoning_content or delta.reasoning
        if thought:
            found.append(ReasoningDelta(thought))
        text = delta.content
    logprobs = _logprobs(choice.logprobs) if choice.logprobs is not None else ()
    if text or logprobs:
        found.append(TextDelta(text or "", logprobs))
    if delta is not None and delta.tool_calls:
        for position, call in enumerate(delta.tool_calls):
            function = call.function or FunctionPart()
            # A whole message lists its calls without numbering them.
            index = position if call.index is None else call.index
            found.append(ToolCallDelta(index, function.arguments or "", id=call.id, name=function.name))


def _logprobs(given: Logprobs) -> tuple[TokenLogprob, ...]:
    if given.content:
        return tuple(
            TokenLogprob(
                item.token, item.logprob, tuple((top.token, top.logprob) for top in item.top_logprobs or ())
            )
            for item in given.content
        )
    tops = given.top_logprobs or []
    return tuple(
        TokenLogprob(token, logprob or 0.0, tuple((tops[at] or {}).items()) if at < len(tops) else ())
        for at, (token, logprob) in enumerate(
            zip(given.tokens or (), given.token_logprobs or (), strict=False)
        )
    )


def message_json(message: Message) -> dict[str, Any]:
    """One turn in OpenAI's shape."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name:
        turn["name"] = message.name
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        turn["content"] = message.content or None
    return turn


def messages_json(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The turns in OpenAI's shape."""
    return [message_json(message) for message in messages]


def sampling_json(sampling: Sampling) -> dict[str, Any]:
    """The sampling fields that every OpenAI-compatible endpoint takes, and those of vLLM and llama.cpp if set."""
    values = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "typical_p": sampling.typical_p,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "repetition_penalty": sampling.repetition_penalty,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "logit_bias": {str(token): bias for token, bias in sampling.logit_bias.items()} or None,
    }
    return {name: value for name, value in values.items() if value is not None}
