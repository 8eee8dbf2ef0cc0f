"""OpenAI's Responses protocol, which Codex and newer agents speak. Nothing is stored: each request brings its whole input.

https://platform.openai.com/docs/api-reference/responses and /responses-streaming
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import Route

from codeweft.errors import InvalidRequest, MissingSkill
from codeweft.server import emit, fields, wire
from codeweft.server.emit import dumps
from codeweft.server.failures import translate
from codeweft.server.openai import json, refuse_retrieval
from codeweft.server.service import Service, caller
from codeweft.server.streams import Choices
from codeweft.types import (
    Done,
    Event,
    Message,
    Model,
    PromptProgress,
    ReasoningDelta,
    Request,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)

_TEXT_PARTS: Final = frozenset({"input_text", "output_text", "text", "refusal", "summary_text"})
_LOGPROBS: Final = "message.output_text.logprobs"
_INCLUDED: Final = frozenset(
    {
        _LOGPROBS,
        "reasoning.encrypted_content",
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "web_search_call.action.sources",
        "web_search_call.results",
    }
)
"""What `include` may name. Log probabilities are added; the others belong to items that are never made here."""
ItemKind = Literal["message", "reasoning", "function_call"]


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────


class PartBody(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None


class ItemBody(msgspec.Struct):
    """An input item: a turn, a function call of the model, or the output of one."""

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[PartBody] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[PartBody] | None = None


class TextBody(msgspec.Struct):
    format: dict[str, Any] | None = None
    verbosity: str | None = None


class ResponsesBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    input: str | list[ItemBody]
    model: str | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    text: TextBody | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    stream: bool | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    index: str | None = None
    k: int | None = None
    agents_flag: bool | str | None = None

    @property
    def wants_logprobs(self) -> bool:
        return _LOGPROBS in (self.include or ()) or bool(self.top_logprobs)


class Responses:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._limit = service.runtime.settings.limits.max_tokens

    def routes(self) -> list[Route]:
        return [Route("/v1/responses", self.create, methods=["POST"])]

    async def create(self, http: HTTPRequest) -> Response:
        body = wire.decode(await http.body(), ResponsesBody, fields.RESPONSES)
        model = self._service.model(body.model)
        events = self._service.choices(model, [self._request(http, model, body)])
        told = _Told(body, model.info.name)
        if body.stream:
            return await self._service.stream(http, events, lambda begun: _chunks(begun, told), told.failed)
        async with self._service.answering(http, events):
            async for _, event in events:
                for _ in told.take(event):
                    pass
        return json(dumps(told.response()))

    def _request(self, http: HTTPRequest, model: Model, body: ResponsesBody) -> Request:
        for name in body.include or ():
            if name not in _INCLUDED:
                raise InvalidRequest(f"`include` names {name!r}, which is not known here.", param="include")
        shared = wire.ChatBody(
            messages=[],
            temperature=body.temperature,
            top_p=body.top_p,
            index=body.index,
            k=body.k,
            agents_flag=body.agents_flag,
            response_format=_response_format(body.text),
            tools=[_tool(tool, f"tools[{n}]") for n, tool in enumerate(body.tools or ())] or None,
            tool_choice=_choice(body.tool_choice),
            logprobs=True if body.wants_logprobs else None,
            top_logprobs=body.top_logprobs or None,
        )
        refuse_retrieval(model.info, shared)
        return Request(
            model=model.info.name,
            messages=tuple(_turns(body)),
            sampling=wire.sampling(shared, body.max_output_tokens, wire.chat_logprobs(shared), self._limit),
            tools=wire.tools(shared),
            tool_choice=wire.tool_choice(shared),
            parallel_tools=body.parallel_tool_calls,
            retrieval=wire.retrieval(shared),
            caller=caller(http),
        )


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────


def _turns(body: ResponsesBody) -> Iterator[Message]:
    if body.instructions:
        yield Message("system", body.instructions)
    if isinstance(body.input, str):
        yield Message("user", body.input)
        return
    if not body.input:
        raise InvalidRequest("`input` is empty; there is nothing to answer.", param="input")
    said, calls = "", []
    for position, item in enumerate(body.input):
        where = f"input[{position}]"
        if item.type == "function_call":
            calls.append(_call(item, where))
            continue
        if calls:
            # Calls follow the text of the turn that made them.
            yield Message("assistant", said, tool_calls=tuple(calls))
        elif said:
            yield Message("assistant", said)
        said, calls = "", []
        match item.type:
            case "message" if item.role == "assistant":
                said = _text(item.content, where)
            case "message" if item.role is not None:
                role: Literal["user", "system"] = "user" if item.role == "user" else "system"
                yield Message(role, _text(item.content, where))
            case "function_call_output":
                if not item.call_id:
                    raise InvalidRequest(f"`{where}.call_id` is missing.", param=where)
                yield Message("tool", _text(item.output, where), tool_call_id=item.call_id)
            case "reasoning":
                pass
            case _:
                raise InvalidRequest(
                    f"`{where}` is an item of type {item.type!r} without a meaning here.",
                    fix="Send messages, function calls and their outputs.",
                    param=where,
                )
    if said or calls:
        yield Message("assistant", said, tool_calls=tuple(calls))


def _call(item: ItemBody, where: str) -> ToolCall:
    if not item.call_id or not item.name:
        raise InvalidRequest(f"`{where}` needs `call_id` and `name`.", param=where)
    return ToolCall(item.call_id, item.name, item.arguments or "{}")


def _text(content: str | list[PartBody] | None, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.type not in _TEXT_PARTS:
            raise MissingSkill(
                f"`{where}` holds a part of type {part.type!r}; the models here read text only.",
                fix="Send text parts.",
                param=where,
            )
    return "\n".join(part.text or part.refusal or "" for part in content)


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise InvalidRequest(
            f"`{where}` is the built-in tool {tool.get('type')!r}, which does not exist here.",
            fix="Send tools of type function; the client runs them.",
            param=where,
        )
    names = ("name", "description", "parameters", "strict")
    kept = {key: tool[key] for key in names if tool.get(key) is not None}
    return {"type": "function", "function": kept}


def _choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice


def _response_format(text: TextBody | None) -> dict[str, Any] | None:
    if text is None or text.format is None:
        return None
    if text.format.get("type") == "json_schema":
        return {"type": "json_schema", "json_schema": {"schema": text.format.get("schema")}}
    return text.format


# ── what is answered ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Item:
    """An output item that grows."""

    kind: ItemKind
    id: str
    call_id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)

    def told(self, status: str) -> dict[str, Any]:
        text = "".join(self.pieces)
        head = {"id": self.id, "type": self.kind, "status": status}
        match self.kind:
            case "message":
                return head | {
                    "role": "assistant",
                    "content": [_part(text, self.logprobs)] if status != "in_progress" else [],
                }
            case "reasoning":
                content = [{"type": "reasoning_text", "text": text}] if text else []
                return head | {"summary": [], "content": content}
            case "function_call":
                return head | {"call_id": self.call_id, "name": self.name, "arguments": text}


def _part(text: str, logprobs: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


class _Told:
    """A response as it grows: what to say of each event, and the whole at any time."""

    def __init__(self, body: ResponsesBody, model: str) -> None:
        self._body = body
        self._model = model
        self._id = f"resp_{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._answer = emit.Answer()
        self._items: list[_Item] = []
        self._key: tuple[ItemKind, int] | None = None
        self._sequence = 0
        self._finished = False

    def begin(self) -> Iterator[bytes]:
        yield self._event("response.created", response=self.response())
        yield self._event("response.in_progress", response=self.response())

    def take(self, event: Event) -> Iterator[bytes]:
        """What to say of one event. Raises the error of a `Failed`."""
        self._answer.add(event)
        match event:
            case TextDelta() if event.text or event.logprobs:
                yield from self._enter("message", 0)
                logprobs = emit.chat_logprobs(event.logprobs)["content"]
                self._items[-1].logprobs += logprobs
                yield self._grow("response.output_text.delta", event.text, content_index=0, logprobs=logprobs)
            case ReasoningDelta() if event.text:
                yield from self._enter("reasoning", 0)
                yield self._grow("response.reasoning_text.delta", event.text, content_index=0)
            case ToolCallDelta():
                yield from self._enter("function_call", event.index)
                if event.arguments:
                    yield self._grow("response.function_call_arguments.delta", event.arguments)
            case PromptProgress():
                yield b": reading\n\n"
            case Done():
                yield from self._leave()
                self._finished = True
                kind = "response.incomplete" if event.reason == "length" else "response.completed"
                yield self._event(kind, response=self.response())
            case _:
                pass

    def failed(self, error: Exception) -> bytes:
        told = translate(error)
        response = self.response() | {
            "status": "failed",
            "error": {"code": "server_error", "message": str(told)},
        }
        return self._event("response.failed", response=response)

    def response(self) -> dict[str, Any]:
        """The response as it is now."""
        answer, body = self._answer, self._body
        cut = answer.reason == "length"
        used = answer.usage
        usage = {
            "input_tokens": used.prompt_tokens,
            "input_tokens_details": {"cached_tokens": used.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": used.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used.total_tokens,
        }
        status = "in_progress" if not self._finished else "incomplete" if cut else "completed"
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut and self._finished else None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "model": self._model,
            "output": [item.told("completed") for item in self._items] if self._finished else [],
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "previous_response_id": None,
            "store": False,
            "temperature": body.temperature,
            "tool_choice": body.tool_choice or "auto",
            "tools": body.tools or [],
            "top_logprobs": body.top_logprobs or 0,
            "top_p": body.top_p,
            "usage": usage if self._finished else None,
            **emit.extras([answer], with_text=True),
        }

    def _enter(self, kind: ItemKind, number: int) -> Iterator[bytes]:
        """Open the item that grows next, closing the one before."""
        if self._key == (kind, number):
            return
        yield from self._leave()
        self._key = (kind, number)
        call_id, name = self._answer.call_heads.get(number, (f"call_{number}", ""))
        prefix = {"message": "msg", "reasoning": "rs", "function_call": "fc"}[kind]
        item = _Item(kind, f"{prefix}_{uuid.uuid4().hex}")
        if kind == "function_call":
            item.call_id, item.name = call_id, name
        self._items.append(item)
        yield self._event("response.output_item.added", output_index=self._at, item=item.told("in_progress"))
        if kind == "message":
            yield self._event(
                "response.content_part.added",
                item_id=item.id,
                output_index=self._at,
                content_index=0,
                part=_part(""),
            )

    def _grow(self, kind: str, delta: str, **more: Any) -> bytes:
        item = self._items[-1]
        item.pieces.append(delta)
        return self._event(kind, item_id=item.id, output_index=self._at, delta=delta, **more)

    def _leave(self) -> Iterator[bytes]:
        """Close the open item, if one is open."""
        if self._key is None:
            return
        self._key = None
        item = self._items[-1]
        text = "".join(item.pieces)
        where = {"item_id": item.id, "output_index": self._at}
        match item.kind:
            case "message":
                told = item.logprobs
                yield self._event(
                    "response.output_text.done", **where, content_index=0, text=text, logprobs=told
                )
                yield self._event(
                    "response.content_part.done", **where, content_index=0, part=_part(text, told)
                )
            case "reasoning":
                yield self._event("response.reasoning_text.done", **where, content_index=0, text=text)
            case "function_call":
                yield self._event(
                    "response.function_call_arguments.done", **where, name=item.name, arguments=text
                )
        yield self._event("response.output_item.done", output_index=self._at, item=item.told("completed"))

    @property
    def _at(self) -> int:
        return len(self._items) - 1

    def _event(self, kind: str, **data: Any) -> bytes:
        self._sequence += 1
        told = {"type": kind, "sequence_number": self._sequence - 1, **data}
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), dumps(told))


async def _chunks(events: Choices, told: _Told) -> AsyncIterator[bytes]:
    yield b"".join(told.begin())
    async for _, event in events:
        if said := b"".join(told.take(event)):
            yield said
