"""Answers of the program API: events in, JSON and server-sent events out, without detours.

A streamed token costs one JSON string and a few joined byte strings; everything that stays the same along a stream
is encoded once.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from codeweft import __version__
from codeweft.citations import without
from codeweft.retrieval.record import explanation, step_record
from codeweft.types import (
    Checked,
    Cited,
    Done,
    Event,
    Explained,
    Failed,
    ReasoningDelta,
    Retrieved,
    SearchResult,
    Started,
    Step,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    Withdrawn,
)

FINGERPRINT = f"codeweft-{__version__}"
DONE = b"data: [DONE]\n\n"

_encoder = msgspec.json.Encoder()
_ids = random.Random()
"""Names answers, which is no secret: asking the system for random bytes costs more than writing a chunk."""


def dumps(value: Any) -> bytes:
    """JSON bytes. Half surrogates (file names may hold them) become `?`, for no JSON reader would take them."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_without_surrogates(msgspec.to_builtins(value)))


def plain(value: Any) -> Any:
    """`value` as the JSON types that a reader of `dumps` gets, and a database takes."""
    return msgspec.json.decode(dumps(value))


def clean(text: str) -> str:
    """`text` without half surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    return value


# ── references and usage ─────────────────────────────────────────────────────────────────────────────────────


class Reference(msgspec.Struct, omit_defaults=True):
    """A numbered search result, as the program API tells it."""

    number: int
    path: str
    start_line: int
    end_line: int
    repository: str
    commit: str
    score: float
    name: str
    language: str
    why: dict[str, float] = {}
    verified: bool | None = None
    """False when its source does not say it any more; null when nobody looked."""
    text: str | None = None


def references(
    results: Sequence[SearchResult], *, with_text: bool, cited: Cited | None = None
) -> list[Reference]:
    """Numbered references; `cited` says which of them stand."""
    return [
        Reference(
            number=number,
            path=result.chunk.path,
            start_line=result.chunk.start_line,
            end_line=result.chunk.end_line,
            repository=result.chunk.repository,
            commit=result.chunk.commit,
            score=round(result.score, 6),
            name=result.chunk.qualified_name,
            language=result.chunk.language,
            why={reason: round(part, 6) for reason, part in result.why.items()},
            verified=None if cited is None else number not in cited.gone,
            text=result.chunk.text if with_text else None,
        )
        for number, result in enumerate(results, 1)
    ]


def usage(used: Usage) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.total_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
    }
    if used.estimated:
        counts["estimated"] = True
    return counts


def total_usage(parts: Sequence[Usage], prompts: int = 1) -> Usage:
    """Usage of several choices: of each of the `prompts`, the first choice pays for reading it."""
    if len(parts) == 1:
        return parts[0]
    each = max(1, len(parts) // prompts)
    readers = parts[::each]
    return Usage(
        prompt_tokens=sum(part.prompt_tokens for part in readers),
        completion_tokens=sum(part.completion_tokens for part in parts),
        cached_tokens=sum(part.cached_tokens for part in readers),
        estimated=any(part.estimated for part in parts),
    )


# ── a folded answer ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Answer:
    """What a stream of events adds up to. `results` is None when nothing was looked up."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: dict[int, list[str]] = field(default_factory=dict)
    call_heads: dict[int, tuple[str, str]] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    results: tuple[SearchResult, ...] | None = None
    cited: Cited | None = None
    explained: Explained | None = None
    steps: list[Step] = field(default_factory=list)
    checked: Checked | None = None
    note: str = ""
    usage: Usage = field(default_factory=Usage)
    reason: str = "stop"

    def add(self, event: Event) -> None:
        """Take in one event. Raises the error of a `Failed`."""
        match event:
            case TextDelta():
                self.text.append(event.text)
                self.logprobs.extend(event.logprobs)
            case ReasoningDelta():
                self.reasoning.append(event.text)
            case ToolCallDelta():
                if event.id is not None:
                    self.call_heads[event.index] = (event.id, event.name or "")
                self.calls.setdefault(event.index, []).append(event.arguments)
            case Retrieved():
                self.results = event.results
            case Cited():
                self.cited = event
                if event.dropped:
                    self.text = [without("".join(self.text), event.dropped)]
            case Step():
                self.steps.append(event)
            case Explained():
                self.explained = event
            case Withdrawn():
                self.text.clear()
                self.logprobs.clear()
            case Checked():
                self.checked = event
            case Started():
                self.note = event.note or self.note
            case Done():
                self.usage, self.reason = event.usage, event.reason
            case Failed():
                raise event.error

    def tool_calls(self) -> list[dict[str, Any]]:
        found = []
        for index in sorted(self.calls):
            call_id, name = self.call_heads.get(index, (f"call_{index}", ""))
            function = {"name": name, "arguments": "".join(self.calls[index])}
            found.append({"id": call_id, "type": "function", "function": function})
        return found


def arguments(text: str) -> Any:
    """A tool call's arguments as values. A small model's may not be JSON; the client sees what it wrote."""
    try:
        return msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {"arguments": text}


async def fold(events: AsyncIterator[tuple[int, Event]], choices: int) -> list[Answer]:
    """The answers that the events of several choices add up to. Raises the error of the first that failed."""
    answers = [Answer() for _ in range(choices)]
    async for choice, event in events:
        answers[choice].add(event)
    return answers


# ── what does not change along an answer ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fields around the choices of an answer."""

    id: str
    object: str
    created: int
    model: str

    @classmethod
    def new(
        cls,
        prefix: str,
        kind: Literal["chat.completion", "chat.completion.chunk", "text_completion"],
        model: str,
    ) -> Envelope:
        return cls(f"{prefix}-{_ids.getrandbits(128):032x}", kind, int(time.time()), model)

    def fields(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
        }

    def head(self) -> bytes:
        """The beginning of every chunk, up to its choices."""
        return b"data: " + dumps(self.fields())[:-1] + b',"choices":['


def extras(answers: Sequence[Answer], *, with_text: bool) -> dict[str, Any]:
    """What Codeweft says beside OpenAI's fields: references and citations when something was looked up, an agent's
    steps, notes."""
    found: dict[str, Any] = {}
    for answer in answers:
        if answer.results is not None:
            found["references"] = references(answer.results, with_text=with_text, cited=answer.cited)
            if answer.cited is not None:
                found["citations"] = {"verified": answer.cited.verified, "dropped": answer.cited.dropped}
            break
    if steps := next((answer.steps for answer in answers if answer.steps), None):
        found["steps"] = [step_record(step) for step in steps]
    if explained := next((answer.explained for answer in answers if answer.explained is not None), None):
        found["explained"] = explanation(explained)
    if checked := next((answer.checked for answer in answers if answer.checked is not None), None):
        found["checked"] = check_record(checked)
    if note := next((answer.note for answer in answers if answer.note), ""):
        found["note"] = note
    return found


def check_record(checked: Checked) -> dict[str, Any]:
    """Whether the code of an answer stood a check, as all our protocols tell it."""
    return {
        "verified": checked.verified,
        "tool": checked.tool,
        "message": checked.message,
        "language": checked.language,
        "repaired": checked.repaired,
    }


# ── chat ─────────────────────────────────────────────────────────────────────────────────────────────────────


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    def one(token: str, logprob: float) -> dict[str, Any]:
        return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "replace"))}

    return {
        "content": [
            {**one(token.token, token.logprob), "top_logprobs": [one(*other) for other in token.top]}
            for token in tokens
        ]
    }


def chat_completion(model: str, answers: Sequence[Answer], *, logprobs: bool) -> bytes:
    choices = []
    for index, answer in enumerate(answers):
        calls = answer.tool_calls()
        message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.text)}
        if calls:
            message["tool_calls"] = calls
            message["content"] = message["content"] or None
        if answer.reasoning:
            message["reasoning_content"] = "".join(answer.reasoning)
        choices.append(
            {
                "index": index,
                "message": message,
                "logprobs": chat_logprobs(answer.logprobs) if logprobs else None,
                "finish_reason": answer.reason,
            }
        )
    envelope = Envelope.new("chatcmpl", "chat.completion", model)
    total = total_usage([answer.usage for answer in answers])
    return dumps(
        {**envelope.fields(), "choices": choices, "usage": usage(total), **extras(answers, with_text=True)}
    )


async def chat_chunks(
    events: AsyncIterator[tuple[int, Event]], model: str, choices: int, *, logprobs: bool, include_usage: bool
) -> AsyncIterator[bytes]:
    """Server-sent chunks of a chat answer. Raises the error of a `Failed`; the caller ends the stream with it."""
    head = Envelope.new("chatcmpl", "chat.completion.chunk", model).head()
    starts = [head + b'{"index":%d,"delta":{' % choice for choice in range(choices)]
    answers = [Answer() for _ in range(choices)]
    begun = [False] * choices
    unfinished = choices
    async for choice, event in events:
        if not begun[choice] and isinstance(event, _WRITTEN):
            begun[choice] = True
            yield starts[choice] + b'"role":"assistant","content":""' + _GOES_ON
        if isinstance(event, TextDelta):
            if logprobs and (event.text or event.logprobs):
                told = dumps(chat_logprobs(event.logprobs))
                yield b'%b"content":%b},"logprobs":%b,"finish_reason":null}]}\n\n' % (
                    starts[choice],
                    dumps(event.text),
                    told,
                )
            elif event.text:
                before = starts[choice] + b'"content":'
                pieces = event.pieces or (event.text,)
                yield b"".join([before + dumps(piece) + _GOES_ON for piece in pieces])
        elif isinstance(event, ReasoningDelta):
            yield starts[choice] + b'"reasoning_content":' + dumps(event.text) + _GOES_ON
        elif isinstance(event, ToolCallDelta):
            yield starts[choice] + b'"tool_calls":[' + dumps(_call_piece(event)) + b"]" + _GOES_ON
        elif isinstance(event, Step):
            # Told when it happens, in a chunk that adds nothing to the content; the last chunk need not repeat it.
            told = dumps(step_record(event))
            yield starts[choice] + b'},"logprobs":null,"finish_reason":null}],"step":' + told + b"}\n\n"
        else:
            answers[choice].add(event)
            if isinstance(event, Withdrawn):
                # What was streamed cannot be taken back; a client that knows the field starts anew.
                yield starts[choice] + b'},"logprobs":null,"finish_reason":null}],"withdrawn":true}\n\n'
        if isinstance(event, Done):
            unfinished -= 1
            yield (
                starts[choice]
                + b'},"logprobs":null,"finish_reason":'
                + dumps(event.reason)
                + b"}]"
                + (b"" if unfinished or include_usage else _tail(answers))
                + b"}\n\n"
            )
    if include_usage:
        total = total_usage([answer.usage for answer in answers])
        yield head + b'],"usage":' + dumps(usage(total)) + _tail(answers) + b"}\n\n"
    yield DONE


_WRITTEN = (TextDelta, ReasoningDelta, ToolCallDelta, Done)
_GOES_ON = b'},"logprobs":null,"finish_reason":null}]}\n\n'


def _call_piece(event: ToolCallDelta) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": event.arguments}
    piece: dict[str, Any] = {"index": event.index, "function": function}
    if event.id is not None:
        piece |= {"id": event.id, "type": "function"}
        function["name"] = event.name or ""
    return piece


def _tail(answers: Sequence[Answer]) -> bytes:
    """The extras as the last members of an object, after a comma; empty when there are none."""
    found = extras(answers, with_text=False)
    return b"," + dumps(found)[1:-1] if found else b""


# ── completions ──────────────────────────────────────────────────────────────────────────────────────────────


def completion_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> dict[str, Any]:
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.token)
    return {
        "tokens": [token.token for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [dict(token.top) for token in tokens],
        "text_offset": offsets,
    }


def completion(
    model: str, answers: Sequence[Answer], echoes: Sequence[str], prompts: int, *, logprobs: bool
) -> bytes:
    """`echoes` are put before the text of each choice."""
    choices = [
        {
            "text": echo + "".join(answer.text),
            "index": index,
            "logprobs": completion_logprobs(answer.logprobs, len(echo)) if logprobs else None,
            "finish_reason": answer.reason,
        }
        for index, (answer, echo) in enumerate(zip(answers, echoes, strict=True))
    ]
    envelope = Envelope.new("cmpl", "text_completion", model)
    total = total_usage([answer.usage for answer in answers], prompts)
    return dumps(
        {**envelope.fields(), "choices": choices, "usage": usage(total), **extras(answers, with_text=True)}
    )


async def completion_chunks(
    events: AsyncIterator[tuple[int, Event]],
    model: str,
    echoes: Sequence[str],
    prompts: int,
    *,
    logprobs: bool,
    include_usage: bool,
) -> AsyncIterator[bytes]:
    """Server-sent chunks of completions. Raises the error of a `Failed`; the caller ends the stream with it."""
    head = Envelope.new("cmpl", "text_completion", model).head()
    answers = [Answer() for _ in echoes]
    offsets = [len(echo) for echo in echoes]
    unfinished = len(echoes)
    for index, echo in enumerate(echoes):
        if echo:
            yield head + dumps(_text_piece(index, echo)) + b"]}\n\n"
    async for choice, event in events:
        if isinstance(event, TextDelta):
            if logprobs:
                piece = _text_piece(choice, event.text)
                piece["logprobs"] = completion_logprobs(event.logprobs, offsets[choice])
                offsets[choice] += sum(len(token.token) for token in event.logprobs)
                yield head + dumps(piece) + b"]}\n\n"
            else:
                texts = event.pieces or (event.text,)
                yield b"".join([head + dumps(_text_piece(choice, text)) + b"]}\n\n" for text in texts])
            continue
        answers[choice].add(event)
        if isinstance(event, Done):
            unfinished -= 1
            piece = _text_piece(choice, "") | {"finish_reason": event.reason}
            yield (
                head
                + dumps(piece)
                + b"]"
                + (b"" if unfinished or include_usage else _tail(answers))
                + b"}\n\n"
            )
    if include_usage:
        total = total_usage([answer.usage for answer in answers], prompts)
        yield head + b'],"usage":' + dumps(usage(total)) + _tail(answers) + b"}\n\n"
    yield DONE


def _text_piece(index: int, text: str) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": None}
