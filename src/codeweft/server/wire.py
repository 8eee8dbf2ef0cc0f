"""Requests of the program API: JSON bytes in, the nouns of `codeweft.types` out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Literal, TypeVar

import msgspec

from codeweft.errors import InvalidRequest, MissingSkill
from codeweft.models.schema import checked
from codeweft.server import lookup
from codeweft.server.fields import FORWARDED, Fields
from codeweft.server.lookup import Body, LookupBody
from codeweft.types import Message, Retrieval, Sampling, ToolCall

MAX_STOPS = 32
"""OpenAI allows 4; code editors send a dozen."""
MAX_CHOICES = 16

T = TypeVar("T")


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None


class FunctionCall(msgspec.Struct):
    name: str
    arguments: str


class CallBody(msgspec.Struct):
    id: str
    function: FunctionCall
    type: str = "function"


class MessageBody(Body, kw_only=True):
    """A turn as clients send it. The untyped fields come back from earlier answers and say nothing new."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[CallBody] | None = None
    tool_call_id: str | None = None
    refusal: Any = None
    annotations: Any = None
    audio: Any = None
    reasoning_content: Any = None
    function_call: Any = None


class SamplingBody(LookupBody, kw_only=True):
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    typical_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    logit_bias: dict[str, float] | None = None
    grammar: str | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    agents_flag: bool | str | None = None
    explain: bool | None = None


class ChatBody(SamplingBody, kw_only=True):
    messages: list[MessageBody]
    inputs: dict[str, str] | None = None
    model: str | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    prediction: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None


class CodegenBody(ChatBody, kw_only=True):
    messages: str | list[MessageBody]  # type: ignore[assignment]
    best_of: int | None = None


class CodetransBody(ChatBody, kw_only=True):
    """OPEA's three fields; the rest is as in a chat, without messages."""

    messages: list[MessageBody] = msgspec.field(default_factory=list)
    language_from: str
    language_to: str
    source_code: str
    tests: str | None = None


class NeighbourBody(msgspec.Struct):
    """Another file, shown to the model as repository context when it fills in."""

    path: str
    text: str


class CompletionBody(SamplingBody, kw_only=True):
    prompt: str | list[str | int | list[int]]
    model: str | None = None
    suffix: str | None = None
    neighbours: list[NeighbourBody] | None = None
    echo: bool | None = None
    logprobs: int | None = None
    best_of: int | None = None


class EmbeddingBody(Body, kw_only=True):
    input: str | list[str | int | list[int]]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {}
"""Made when first needed; making one costs more than using it."""


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    found = _DECODERS.get(kind)
    if found is None:
        found = _DECODERS[kind] = msgspec.json.Decoder(kind)
    return found


_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_WHERE = re.compile(r" - at `\$\.?(.*)`$")


def decode(body: bytes, kind: type[T], fields: Fields, *, narrow: bool = False) -> T:
    """Parse `body`. Raises `InvalidRequest` naming the byte, or the field, at fault.

    `narrow`: `kind` has fields that `fields` does not use, so the table is asked first.
    """
    if narrow:
        return _narrowed(body, kind, fields)
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        if not str(error).startswith("Object contains unknown field") or _WHERE.search(str(error)):
            raise _mistyped(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise malformed(body) from None
    return _narrowed(body, kind, fields)


def _narrowed(body: bytes, kind: type[T], fields: Fields) -> T:
    """Parse what the table uses of `body`."""
    try:
        wanted = msgspec.json.encode(_wanted(_RAW.decode(body), fields))
        return _decoder(kind).decode(wanted)
    except msgspec.ValidationError as error:
        raise _mistyped(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise malformed(body) from None


def has(body: bytes, name: str) -> bool:
    """Whether `body` is a JSON object with that member."""
    try:
        return name in _RAW.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def decode_plain(body: bytes, kind: type[T]) -> T:
    """Parse a body whose further fields mean nothing here. Raises `InvalidRequest` like `decode`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _mistyped(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise malformed(body) from None


def as_sent(body: bytes) -> dict[str, msgspec.Raw]:
    """The fields of a body that was decoded before, as they were sent."""
    return _RAW.decode(body)


def _wanted(given: dict[str, msgspec.Raw], fields: Fields) -> dict[str, msgspec.Raw]:
    """The fields that are used. Raises `InvalidRequest` for one that is rejected or unknown."""
    wanted = {}
    for name, raw in given.items():
        field = fields.get(name)
        if field is None:
            if not name.startswith("x_"):
                raise InvalidRequest(
                    f"The field `{name}` is not known here.",
                    fix="Leave it out, or check its spelling.",
                    param=name,
                )
        elif field.use in ("used", "forwarded"):
            wanted[name] = raw
        elif field.use == "rejected":
            value = msgspec.json.decode(raw)
            if value is not None and value not in field.harmless:
                raise InvalidRequest(
                    f"`{name}` cannot be used: {field.why}.", fix="Leave it out.", param=name
                )
    return wanted


def malformed(body: bytes) -> InvalidRequest:
    """Says where `body` stops being JSON."""
    try:
        json.loads(body.decode("utf-8"))
        reason = "it holds half of a surrogate pair (\\ud800 to \\udfff alone), which is no character"
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8"
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:
        reason = str(error)
    return InvalidRequest(
        f"The body is not valid JSON: {reason}.", fix="Send one JSON object, encoded as UTF-8."
    )


def _mistyped(error: msgspec.ValidationError) -> InvalidRequest:
    text = str(error)
    where = _WHERE.search(text)
    param = where[1] if where else None
    what = _WHERE.sub("", text)
    if missing := re.search(r"missing required field `(.*?)`", what):
        param = f"{param}.{missing[1]}" if param else missing[1]
        return InvalidRequest(f"`{param}` is missing.", param=param)
    what = what.replace("`array`", "a list").replace("`object`", "an object")
    return InvalidRequest(
        f"`{param}` is wrong: {what}." if param else f"The body is wrong: {what}.", param=param
    )


# ── checks ───────────────────────────────────────────────────────────────────────────────────────────────────

_RANGES: tuple[tuple[str, float, float], ...] = (
    ("temperature", 0, 2),
    ("top_p", 0, 1),
    ("top_k", 0, 1_000_000),
    ("min_p", 0, 1),
    ("typical_p", 0, 1),
    ("frequency_penalty", -2, 2),
    ("presence_penalty", -2, 2),
    ("repetition_penalty", 0.01, 10),
    ("max_tokens", 1, 2**31 - 1),
    ("max_completion_tokens", 1, 2**31 - 1),
    ("top_logprobs", 0, 20),
    ("n", 1, MAX_CHOICES),
    ("k", 1, lookup.MAX_K),
    ("seed", -(2**63), 2**63 - 1),
    ("dimensions", 1, 100_000),
)


_Ranges = tuple[tuple[tuple[str, float, float], ...], Callable[[Any], tuple[Any, ...]]]
_RANGES_OF: dict[type, _Ranges] = {}
"""The rows about fields of a kind of body, and what takes those fields' values: all at once, for most are None."""


def _ranges_of(kind: type) -> _Ranges:
    found = _RANGES_OF.get(kind)
    if found is None:
        rows = tuple(row for row in _RANGES if hasattr(kind, row[0]))
        # With one name it would give the bare value.
        found = _RANGES_OF[kind] = rows, attrgetter(*(name for name, _, _ in rows), "__class__")
    return found


def check_ranges(body: Any) -> None:
    """Raises `InvalidRequest` for the first number out of its range."""
    rows, values = _ranges_of(type(body))
    for value, (name, low, high) in zip(values(body), rows, strict=False):
        if value is not None and not low <= value <= high:
            raise InvalidRequest(f"`{name}` is {value}; it must be between {low} and {high}.", param=name)


def check_max_tokens(max_tokens: int | None, limit: int) -> None:
    """Raises `InvalidRequest` below 1 and above what this server allows."""
    if max_tokens is not None and max_tokens < 1:
        raise InvalidRequest(f"`max_tokens` is {max_tokens}; it must be at least 1.", param="max_tokens")
    if max_tokens is not None and max_tokens > limit:
        raise InvalidRequest(
            f"`max_tokens` is {max_tokens}; this server allows at most {limit}.",
            fix=f"Ask for at most {limit}, or raise limits.max_tokens in the settings.",
            param="max_tokens",
        )


def sampling(body: SamplingBody, max_tokens: int | None, logprobs: int | None, limit: int) -> Sampling:
    """Checked sampling parameters. `limit` is the largest max_tokens that this server allows."""
    check_ranges(body)
    check_max_tokens(max_tokens, limit)
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    if len(stop) > MAX_STOPS:
        raise InvalidRequest(f"`stop` has {len(stop)} entries; at most {MAX_STOPS} are used.", param="stop")
    if not all(stop):
        raise InvalidRequest("`stop` holds an empty string, which would stop at once.", param="stop")
    return Sampling(
        max_tokens=max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        min_p=body.min_p,
        typical_p=body.typical_p,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        repetition_penalty=body.repetition_penalty,
        seed=body.seed,
        stop=stop,
        logprobs=logprobs,
        logit_bias=_logit_bias(body.logit_bias) if body.logit_bias else {},
        json_schema=_json_schema(body.response_format) if isinstance(body, ChatBody) else None,
        grammar=body.grammar,
    )


def chat_logprobs(body: ChatBody) -> int | None:
    """How many alternatives to report; None for no log probabilities. Raises `InvalidRequest`."""
    if body.top_logprobs is not None and not body.logprobs:
        raise InvalidRequest("`top_logprobs` needs `logprobs: true`.", param="top_logprobs")
    return (body.top_logprobs or 0) if body.logprobs else None


def _logit_bias(given: dict[str, float]) -> dict[int, float]:
    bias = {}
    for token, value in given.items():
        if not re.fullmatch(r"[0-9]{1,9}", token):
            raise InvalidRequest(
                f"`logit_bias` has the key {token!r}, which is no token id.", param="logit_bias"
            )
        if not -100 <= value <= 100:
            raise InvalidRequest(f"`logit_bias` of {token} must be between -100 and 100.", param="logit_bias")
        bias[int(token)] = value
    return bias


def _json_schema(given: dict[str, Any] | None) -> dict[str, Any] | None:
    if given is None or given.get("type") == "text":
        return None
    if given.get("type") == "json_object":
        return {}
    if given.get("type") != "json_schema":
        raise InvalidRequest(
            "`response_format.type` must be text, json_object or json_schema.", param="response_format.type"
        )
    outer = given.get("json_schema")
    schema = outer.get("schema") if isinstance(outer, dict) else None
    if not isinstance(schema, dict):
        raise InvalidRequest(
            "`response_format.json_schema.schema` must be a JSON Schema object.",
            param="response_format.json_schema.schema",
        )
    return checked(schema, "response_format.json_schema.schema")


def tools(body: ChatBody) -> tuple[dict[str, Any], ...]:
    """The checked tools. Raises `InvalidRequest`."""
    for position, tool in enumerate(body.tools or ()):
        where = f"tools[{position}]"
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict):
            raise InvalidRequest(
                f'`{where}` must be {{"type": "function", "function": {{…}}}}; other tools do not exist here.',
                param=where,
            )
        name = function.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
            raise InvalidRequest(
                f"`{where}.function.name` must be 1 to 64 letters, digits, `_`, `.` or `-`.",
                param=f"{where}.function.name",
            )
        parameters = function.get("parameters")
        if parameters is not None and not isinstance(parameters, dict):
            raise InvalidRequest(
                f"`{where}.function.parameters` must be a JSON Schema object.",
                param=f"{where}.function.parameters",
            )
    return tuple(body.tools or ())


def tool_choice(body: ChatBody) -> Any:
    """The checked `tool_choice`. Raises `InvalidRequest`."""
    choice = body.tool_choice
    if choice is None or choice in ("none", "auto"):
        return choice
    if not body.tools:
        raise InvalidRequest("`tool_choice` needs `tools`.", param="tool_choice")
    if choice == "required":
        return choice
    named = (
        choice.get("function", {}) if isinstance(choice, dict) and choice.get("type") == "function" else None
    )
    name = named.get("name") if isinstance(named, dict) else None
    if name not in [tool["function"]["name"] for tool in body.tools]:
        raise InvalidRequest(
            "`tool_choice` must be none, auto, required or one of the functions in `tools`.",
            param="tool_choice",
        )
    return choice


def forwarded(body: ChatBody) -> dict[str, Any]:
    """The fields that are passed on as they came, to endpoints that know them."""
    given = _forwarded_values(body)
    return {name: value for name, value in zip(FORWARDED, given, strict=True) if value is not None}


_forwarded_values = attrgetter(*FORWARDED)


def messages(bodies: list[MessageBody]) -> tuple[Message, ...]:
    """The turns, kept as turns. Raises `InvalidRequest`, or `MissingSkill` for images, audio and files."""
    if not bodies:
        raise InvalidRequest("`messages` is empty; there is nothing to answer.", param="messages")
    return tuple(_message(body, f"messages[{position}]") for position, body in enumerate(bodies))


def _message(body: MessageBody, where: str) -> Message:
    if body.role == "function" or body.function_call is not None:
        raise InvalidRequest(
            f"`{where}` uses function calls of the old form.",
            fix="Use `tool_calls` and the role `tool`.",
            param=where,
        )
    if body.content is None and not (body.role == "assistant" and body.tool_calls):
        raise InvalidRequest(f"`{where}.content` is missing.", param=f"{where}.content")
    if body.role == "tool" and not body.tool_call_id:
        raise InvalidRequest(
            f"`{where}.tool_call_id` is missing: which call does this answer?", param=f"{where}.tool_call_id"
        )
    if body.tool_calls and body.role != "assistant":
        raise InvalidRequest(f"`{where}.tool_calls` belong to assistant turns.", param=f"{where}.tool_calls")
    return Message(
        role="system" if body.role == "developer" else body.role,
        content=_text(body.content, where),
        name=body.name,
        tool_calls=tuple(
            ToolCall(call.id, call.function.name, call.function.arguments) for call in body.tool_calls or ()
        ),
        tool_call_id=body.tool_call_id,
    )


def _text(content: str | list[Part] | None, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for position, part in enumerate(content):
        if part.type not in ("text", "refusal"):
            raise MissingSkill(
                f"`{where}.content[{position}]` is of type {part.type!r}; the models here read text only.",
                fix="Send text parts.",
                param=f"{where}.content[{position}].type",
            )
        text = part.text if part.type == "text" else part.refusal
        if text is None:
            raise InvalidRequest(
                f"`{where}.content[{position}].text` is missing.", param=f"{where}.content[{position}].text"
            )
        texts.append(text)
    return "\n".join(texts)


def retrieval(body: SamplingBody) -> Retrieval:
    """What the request wants looked up. Raises `InvalidRequest`."""
    return lookup.retrieval(body, agent=lookup.flag(body.agents_flag))


def texts(given: str | list[str | int | list[int]], param: str) -> list[str]:
    """One or several texts. Raises `InvalidRequest` for token ids, whose meaning depends on a model's vocabulary."""
    if isinstance(given, str):
        return [given]
    if not given:
        raise InvalidRequest(f"`{param}` is empty.", param=param)
    if not all(isinstance(text, str) for text in given):
        raise InvalidRequest(
            f"`{param}` holds token ids; ids of one model mean nothing to another.",
            fix="Send text.",
            param=param,
        )
    return [str(text) for text in given]
