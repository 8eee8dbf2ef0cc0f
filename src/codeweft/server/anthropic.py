"""Anthropic's Messages protocol, which Claude Code and other coding agents speak.

https://docs.anthropic.com/en/api/messages and /en/api/messages-streaming
"""

from __future__ import annotations

import json as text_json
import uuid
from collections.abc import AsyncIterator
from typing import Any, Final, Literal

import msgspec
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import Route

from codeweft.errors import InvalidRequest, MissingSkill
from codeweft.server import emit, fields, wire
from codeweft.server.emit import dumps
from codeweft.server.failures import anthropic_shape, translate
from codeweft.server.openai import json, refuse_retrieval
from codeweft.server.service import Service, caller
from codeweft.stream import count_tokens
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
    Usage,
)

_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────


class Block(msgspec.Struct):
    """A content block. Which fields it has depends on its type."""

    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    content: str | list[Block] | None = None
    is_error: bool | None = None


class TurnBody(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class ToolBody(msgspec.Struct):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None


class ChoiceBody(msgspec.Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class OutputBody(msgspec.Struct):
    format: dict[str, Any] | None = None
    effort: str | None = None


class MessagesBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    messages: list[TurnBody]
    model: str | None = None
    max_tokens: int | None = None
    system: str | list[Block] | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    tools: list[ToolBody] | None = None
    tool_choice: ChoiceBody | None = None
    output_config: OutputBody | None = None
    index: str | None = None
    k: int | None = None
    agents_flag: bool | str | None = None


class Anthropic:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._limit = service.runtime.settings.limits.max_tokens

    def routes(self) -> list[Route]:
        return [
            Route("/v1/messages", self.messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", self.count_tokens, methods=["POST"]),
        ]

    async def messages(self, http: HTTPRequest) -> Response:
        body = wire.decode(await http.body(), MessagesBody, fields.MESSAGES)
        if body.max_tokens is None:
            raise InvalidRequest("`max_tokens` is missing.", param="max_tokens")
        model = self._service.model(body.model)
        request = self._request(http, model, body)
        name = model.info.name
        events = self._service.choices(model, [request])
        if body.stream:
            return await self._service.stream(
                http, events, lambda begun: message_chunks(begun, name), _last_word
            )
        async with self._service.answering(http, events):
            (answer,) = await emit.fold(events, 1)
        return json(message(name, answer))

    async def count_tokens(self, http: HTTPRequest) -> Response:
        """Tokens of the turns as the model would read them; what retrieval would add is not counted."""
        body = wire.decode(await http.body(), MessagesBody, fields.MESSAGES)
        model = self._service.model(body.model)
        counted = await count_tokens(model, self._request(http, model, body))
        return json(dumps({"input_tokens": counted.prompt_tokens}))

    def _request(self, http: HTTPRequest, model: Model, body: MessagesBody) -> Request:
        sampling_body = wire.ChatBody(
            messages=[],
            max_tokens=body.max_tokens,
            temperature=body.temperature,
            top_k=body.top_k,
            top_p=body.top_p,
            stop=body.stop_sequences,
            index=body.index,
            k=body.k,
            agents_flag=body.agents_flag,
            response_format=_response_format(body.output_config),
            tools=[_tool(tool, f"tools[{n}]") for n, tool in enumerate(body.tools or ())] or None,
            tool_choice=_choice(body.tool_choice),
        )
        refuse_retrieval(model.info, sampling_body)
        return Request(
            model=model.info.name,
            messages=_messages(body),
            sampling=wire.sampling(sampling_body, body.max_tokens, None, self._limit),
            tools=wire.tools(sampling_body),
            tool_choice=wire.tool_choice(sampling_body),
            parallel_tools=False if body.tool_choice and body.tool_choice.disable_parallel_tool_use else None,
            retrieval=wire.retrieval(sampling_body),
            whole=not body.stream,
            packed=bool(body.stream),
            caller=caller(http),
        )


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────


def _messages(body: MessagesBody) -> tuple[Message, ...]:
    """The turns. Raises `InvalidRequest`, or `MissingSkill` for images and documents."""
    if not body.messages:
        raise InvalidRequest("`messages` is empty; there is nothing to answer.", param="messages")
    turns = [Message("system", system)] if (system := _text(body.system or "", "system")) else []
    for position, turn in enumerate(body.messages):
        where = f"messages[{position}].content"
        blocks = [Block("text", turn.content)] if isinstance(turn.content, str) else turn.content
        results = [block for block in blocks if block.type == "tool_result"]
        turns += [_tool_turn(block, where) for block in results]
        calls = tuple(_call(block, where) for block in blocks if block.type == "tool_use")
        # Thinking comes back from earlier answers; models are not shown what they thought then.
        said = [
            b for b in blocks if b.type not in ("tool_result", "tool_use", "thinking", "redacted_thinking")
        ]
        text = _text(said, where)
        if text or calls or not results:
            turns.append(Message(turn.role, text, tool_calls=calls))
    return tuple(turns)


def _tool_turn(block: Block, where: str) -> Message:
    if not block.tool_use_id:
        raise InvalidRequest(f"`{where}` has a tool_result without `tool_use_id`.", param=where)
    text = _text(block.content or "", where)
    return Message("tool", f"Error: {text}" if block.is_error else text, tool_call_id=block.tool_use_id)


def _call(block: Block, where: str) -> ToolCall:
    if not block.id or not block.name:
        raise InvalidRequest(f"`{where}` has a tool_use without `id` or `name`.", param=where)
    return ToolCall(block.id, block.name, text_json.dumps(block.input or {}, ensure_ascii=False))


def _text(content: str | list[Block], where: str) -> str:
    if isinstance(content, str):
        return content
    for block in content:
        if block.type != "text" or block.text is None:
            raise MissingSkill(
                f"`{where}` holds a block of type {block.type!r}; the models here read text only.",
                fix="Send text blocks.",
                param=where,
            )
    return "\n".join(block.text or "" for block in content)


def _tool(tool: ToolBody, where: str) -> dict[str, Any]:
    if tool.type not in (None, "custom"):
        raise InvalidRequest(
            f"`{where}` is the server tool {tool.type!r}, which does not exist here.",
            fix="Send tools with `name` and `input_schema`; the client runs them.",
            param=where,
        )
    function: dict[str, Any] = {
        "name": tool.name,
        "parameters": tool.input_schema or {"type": "object", "properties": {}},
    }
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function | {"description": tool.description or ""}}


def _choice(choice: ChoiceBody | None) -> str | dict[str, Any] | None:
    if choice is None:
        return None
    if choice.type == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    return {"auto": "auto", "any": "required", "none": "none"}[choice.type]


def _response_format(output: OutputBody | None) -> dict[str, Any] | None:
    if output is None or output.format is None:
        return None
    if output.format.get("type") != "json_schema":
        raise InvalidRequest("`output_config.format.type` must be json_schema.", param="output_config.format")
    return {"type": "json_schema", "json_schema": {"schema": output.format.get("schema")}}


# ── what is answered ─────────────────────────────────────────────────────────────────────────────────────────


def _usage(used: Usage) -> dict[str, int]:
    """Anthropic counts tokens read from the cache apart from the others."""
    return {
        "input_tokens": used.prompt_tokens - used.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": used.cached_tokens,
        "output_tokens": used.completion_tokens,
    }


def _envelope(model: str, content: list[dict[str, Any]], reason: str | None, used: Usage) -> dict[str, Any]:
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": _usage(used),
    }


def message(model: str, answer: emit.Answer) -> bytes:
    """A whole answer."""
    content: list[dict[str, Any]] = []
    if answer.reasoning:
        content.append({"type": "thinking", "thinking": "".join(answer.reasoning), "signature": ""})
    if answer.text:
        content.append({"type": "text", "text": "".join(answer.text), "citations": None})
    for call in answer.tool_calls():
        function = call["function"]
        content.append(
            {
                "type": "tool_use",
                "id": call["id"],
                "name": function["name"],
                "input": emit.arguments(function["arguments"]),
            }
        )
    told = _envelope(model, content, _REASONS[answer.reason], answer.usage)
    return dumps({**told, **emit.extras([answer], with_text=True)})


def _event(kind: str, **data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), dumps({"type": kind, **data}))


class _Blocks:
    """Numbers the content blocks of a stream: one is open at a time."""

    def __init__(self) -> None:
        self._open: tuple[str, int] | None = None
        self._count = 0

    def enter(self, kind: str, number: int, block: dict[str, Any]) -> bytes:
        """What has to be said before a delta of this block; nothing when it is open already."""
        if self._open == (kind, number):
            return b""
        said = self.leave()
        self._open = (kind, number)
        self._count += 1
        return said + _event("content_block_start", index=self._count - 1, content_block=block)

    def delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._count - 1, delta=delta)

    def leave(self) -> bytes:
        """Closes the open block, if one is open."""
        if self._open is None:
            return b""
        self._open = None
        return _event("content_block_stop", index=self._count - 1)


async def message_chunks(events: AsyncIterator[tuple[int, Event]], model: str) -> AsyncIterator[bytes]:
    """A streamed answer. Raises the error of a `Failed`; the caller ends the stream with it."""
    answer = emit.Answer()
    blocks = _Blocks()
    yield _event("message_start", message=_envelope(model, [], None, Usage()))
    async for _, event in events:
        answer.add(event)
        match event:
            case TextDelta() if event.text:
                told = [blocks.enter("text", 0, {"type": "text", "text": "", "citations": None})]
                pieces = event.pieces or (event.text,)
                told += [blocks.delta({"type": "text_delta", "text": piece}) for piece in pieces]
                yield b"".join(told)
            case ReasoningDelta():
                start = {"type": "thinking", "thinking": "", "signature": ""}
                yield blocks.enter("thinking", 0, start) + blocks.delta(
                    {"type": "thinking_delta", "thinking": event.text}
                )
            case ToolCallDelta():
                call_id, name = answer.call_heads.get(event.index, (f"call_{event.index}", ""))
                call = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
                yield blocks.enter("tool", event.index, call) + blocks.delta(
                    {"type": "input_json_delta", "partial_json": event.arguments}
                )
            case PromptProgress():
                yield _PING
            case Done():
                extras = emit.extras([answer], with_text=False)
                delta = {"stop_reason": _REASONS[event.reason], "stop_sequence": None}
                yield blocks.leave() + _event(
                    "message_delta", delta=delta, usage=_usage(event.usage), **extras
                )
                yield _event("message_stop")
            case _:
                pass


def _last_word(error: Exception) -> bytes:
    return b"event: error\ndata: " + dumps(anthropic_shape(translate(error))) + b"\n\n"
