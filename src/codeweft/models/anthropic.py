"""Anthropic's Messages API as a model. https://docs.anthropic.com/en/api/messages-streaming"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from codeweft.errors import UpstreamFailed
from codeweft.models import blocks, last_resort, schema, skills
from codeweft.models.failing import told
from codeweft.models.sse import data_lines
from codeweft.models.upstream import ATTEMPTS, Upstream
from codeweft.models.wire import MALFORMED, counted
from codeweft.types import (
    Done,
    Event,
    FinishReason,
    ModelInfo,
    Prompted,
    ReasoningDelta,
    Request,
    Skills,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
)

URL: Final = "https://api.anthropic.com/v1"
VERSION: Final = "2023-06-01"
SKILLS: Final[Skills] = frozenset({"chat", "tools", "infilling", "python"})
_TAKEN: Final = frozenset({"max_tokens", "temperature", "top_p", "top_k", "stop", "json_schema"})
_REASONS: Final[dict[str, FinishReason]] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class _Delta(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Block(msgspec.Struct, frozen=True):
    type: str = ""
    id: str = ""
    name: str = ""
    text: str = ""


class _Usage(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Message(msgspec.Struct, frozen=True):
    usage: _Usage = _Usage()


class _Event(msgspec.Struct, frozen=True):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Event).decode


class AnthropicModel:
    """A model behind Anthropic's API or a server that speaks it. Satisfies `Model`."""

    def __init__(
        self,
        name: str,
        base_url: str = URL,
        *,
        api_key: str | None = None,
        model: str,
        skills: Skills | None = None,
        context: int | None = None,
        timeout: float = 120,
        attempts: int = ATTEMPTS,
        default_max_tokens: int = 4096,
    ) -> None:
        """`default_max_tokens` is sent when a request says nothing: this API demands a bound."""
        headers = {"anthropic-version": VERSION} | ({"x-api-key": api_key} if api_key else {})
        self._upstream = Upstream(
            name, base_url, None, timeout=timeout, attempts=attempts, headers=headers, secret=api_key
        )
        self._model = model
        self._default_max_tokens = default_max_tokens
        host = urlsplit(base_url).hostname or ""
        self._info = ModelInfo(
            name,
            "upstream",
            skills or SKILLS,
            f"{model} at {host}",
            context=context,
            family="claude",
            served=model,
            host=host,
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    def stream(self, request: Request) -> AsyncGenerator[Event]:
        """Answer `request`; see `Model.stream`."""
        return told(self._answer(request))

    async def _answer(self, request: Request) -> AsyncGenerator[Event]:
        skills.require(request.skill, self._info.skills, self._info.name)
        body, note = self._body(request)
        wanted = request.sampling.json_schema
        began = time.monotonic()
        reading = _Reading(last_resort.FenceStripper() if request.infill is not None else None)
        first_token: float | None = None
        async with self._upstream.request("POST", "/messages", body) as response:
            yield Started(self._info.name, note)
            if request.explain and request.infill is not None:
                yield Prompted(last_resort.pieces(last_resort.ask(request.infill)))
            try:
                async with aclosing(data_lines(response.content.iter_any())) as lines:
                    async for line in lines:
                        for event in reading.take(self._decoded(line)):
                            first_token = first_token or time.monotonic() - began
                            yield event
                        if reading.ended:
                            break
            except ValueError:
                raise self._no_event() from None
        if not reading.ended:
            raise self._upstream.broken()
        text = "".join(reading.written)
        if wanted is not None and reading.reason == "stop":
            schema.obey(text, wanted, self._info.name)
        yield Done(
            reading.usage, reading.reason, {} if first_token is None else {"first_token_s": first_token}
        )

    def _decoded(self, line: bytes) -> _Event:
        try:
            event = _decode(line)
        except MALFORMED:
            raise self._no_event() from None
        if event.type == "error":
            raise self._upstream.failure(500, line)
        return event

    def _no_event(self) -> UpstreamFailed:
        return UpstreamFailed(
            f"The endpoint of {self._info.name} sent something that is not an event of an answer.",
            fix="Check that `base_url` speaks Anthropic's protocol.",
        )

    def _body(self, request: Request) -> tuple[dict[str, Any], str]:
        sampling = request.sampling
        blocks.refuse(sampling, _TAKEN, self._info.name)
        skills.refuse_forwarded(request, self._info.name)
        messages, note = blocks.asked(request)
        system, turns = blocks.laid_out(messages)
        body: dict[str, Any] = {
            "model": self._model,
            "max_tokens": sampling.max_tokens or self._default_max_tokens,
            "messages": [{"role": turn.role, "content": list(map(_block, turn.blocks))} for turn in turns],
            "stream": True,
            # What stays the same from turn to turn is laid out first; the provider caches it.
            "cache_control": {"type": "ephemeral"},
        }
        if system:
            body["system"] = system
        for field in ("temperature", "top_p", "top_k"):
            if (value := getattr(sampling, field)) is not None:
                body[field] = value
        if sampling.stop:
            body["stop_sequences"] = list(sampling.stop)
        if sampling.json_schema is not None:
            wanted = schema.checked(sampling.json_schema)
            body["output_config"] = {"format": {"type": "json_schema", "schema": wanted}}
        if request.tools:
            body["tools"] = [_tool(tool["function"]) for tool in request.tools]
            if request.tool_choice is not None or request.parallel_tools is False:
                body["tool_choice"] = _choice(request.tool_choice or "auto", request.parallel_tools)
        return body, note


class _Reading:
    """A stream of Anthropic's events as ours."""

    def __init__(self, fence: last_resort.FenceStripper | None) -> None:
        self._fence = fence
        self._calls: dict[int, int] = {}
        self._input = self._output = self._cached = 0
        self.written: list[str] = []
        self.reason: FinishReason = "stop"
        self.ended = False

    @property
    def usage(self) -> Usage:
        return Usage(self._input, self._output, self._cached)

    def take(self, event: _Event) -> Iterator[Event]:
        match event.type:
            case "message_start" if event.message is not None:
                self._count(event.message.usage)
            case "content_block_start" if event.content_block and event.content_block.type == "tool_use":
                number = self._calls[event.index] = len(self._calls)
                block = event.content_block
                yield ToolCallDelta(number, "", block.id, block.name)
            case "content_block_start" if event.content_block is not None:
                yield from self._text(event.content_block.text)
            case "content_block_delta" if event.delta is not None:
                yield from self._delta(event.index, event.delta)
            case "message_delta":
                if event.delta is not None and event.delta.stop_reason is not None:
                    self.reason = _REASONS.get(event.delta.stop_reason, "stop")
                if event.usage is not None:
                    self._count(event.usage)
            case "message_stop":
                self.ended = True
                if self._fence is not None and (rest := self._fence.flush()):
                    yield TextDelta(rest)
            case _:
                pass

    def _delta(self, index: int, delta: _Delta) -> Iterator[Event]:
        if delta.type == "thinking_delta":
            yield ReasoningDelta(delta.thinking)
        elif delta.type == "input_json_delta" and delta.partial_json:
            if (number := self._calls.get(index)) is None:
                raise ValueError("arguments of a call that was never begun")
            yield ToolCallDelta(number, delta.partial_json)
        else:
            yield from self._text(delta.text)

    def _text(self, text: str) -> Iterator[Event]:
        self.written.append(text)
        shown = self._fence.feed(text) if self._fence is not None else text
        if shown:
            yield TextDelta(shown)

    def _count(self, used: _Usage) -> None:
        """Counts are running totals; those of the prompt come with the first event, sometimes again with the last."""
        cached = counted(used.cache_read_input_tokens)
        whole = counted(used.input_tokens) + cached + counted(used.cache_creation_input_tokens)
        self._input, self._cached = max(self._input, whole), max(self._cached, cached)
        self._output = max(self._output, counted(used.output_tokens))


def _block(block: blocks.Block) -> dict[str, Any]:
    match block:
        case blocks.Text():
            return {"type": "text", "text": block.text}
        case blocks.Use():
            return {"type": "tool_use", "id": block.id, "name": block.name, "input": block.input}
        case blocks.Result():
            return {"type": "tool_result", "tool_use_id": block.id, "content": block.text}


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    strict = {"strict": function["strict"]} if "strict" in function else {}
    return {
        "name": function["name"],
        "description": function.get("description", ""),
        "input_schema": parameters,
        **strict,
    }


def _choice(choice: Any, parallel: bool | None) -> dict[str, Any]:
    # "none" has no such member.
    alone = {"disable_parallel_tool_use": True} if parallel is False and choice != "none" else {}
    if isinstance(choice, dict):
        return {"type": "tool", "name": choice["function"]["name"], **alone}
    return {"type": {"auto": "auto", "required": "any", "none": "none"}[choice], **alone}
