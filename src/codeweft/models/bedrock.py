"""Amazon Bedrock's ConverseStream as a model, for every model that Bedrock hosts.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html. Requests are signed with the
credentials that AWS's own tools would find, or carry a Bedrock API key. Needs `pip install codeweft[bedrock]`.
"""

from __future__ import annotations

import struct
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from codeweft.errors import InvalidRequest, UpstreamFailed
from codeweft.models import blocks, last_resort, skills
from codeweft.models.failing import told
from codeweft.models.prices import host_of
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

SKILLS: Final[Skills] = frozenset({"chat", "tools", "infilling", "python"})
_TAKEN: Final = frozenset({"max_tokens", "temperature", "top_p", "stop"})
_REASONS: Final[dict[str, FinishReason]] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}


class _ToolUse(msgspec.Struct, frozen=True):
    toolUseId: str = ""
    name: str = ""
    input: str = ""


class _Reasoning(msgspec.Struct, frozen=True):
    text: str = ""


class _Part(msgspec.Struct, frozen=True):
    text: str = ""
    toolUse: _ToolUse | None = None
    reasoningContent: _Reasoning | None = None


class _Usage(msgspec.Struct, frozen=True):
    inputTokens: int = 0
    outputTokens: int = 0
    cacheReadInputTokens: int | None = None


class _Payload(msgspec.Struct, frozen=True):
    """The members of all events; each event has some of them."""

    contentBlockIndex: int = 0
    start: _Part | None = None
    delta: _Part | None = None
    stopReason: str | None = None
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Payload).decode


class BedrockModel:
    """A model on Amazon Bedrock. Satisfies `Model`."""

    def __init__(
        self,
        name: str,
        *,
        region: str,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        skills: Skills | None = None,
        context: int | None = None,
        timeout: float = 120,
        attempts: int = ATTEMPTS,
    ) -> None:
        """`model` is an id, inference profile or ARN. Raises `InvalidRequest` when botocore is not installed."""
        try:
            import botocore.eventstream  # noqa: F401
        except ImportError:
            raise InvalidRequest(
                f"The model {name} is on Bedrock, which needs the package botocore.",
                fix="Run `pip install 'codeweft[bedrock]'`.",
            ) from None
        self._region = region
        url = base_url or f"https://bedrock-runtime.{region}.amazonaws.com"
        sign = None if api_key else self._signed
        self._upstream = Upstream(name, url, api_key, timeout=timeout, attempts=attempts, sign=sign)
        self._path = f"/model/{quote(model, safe='')}/converse-stream"
        self._info = ModelInfo(
            name,
            "upstream",
            skills or SKILLS,
            f"{model} on Bedrock in {region}",
            context=context,
            served=model,
            host=host_of(url),
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
        from botocore.eventstream import EventStreamBuffer, ParserError

        skills.require(request.skill, self._info.skills, self._info.name)
        body, note = self._body(request)
        began = time.monotonic()
        reading = _Reading(last_resort.FenceStripper() if request.infill is not None else None)
        first_token: float | None = None
        async with self._upstream.request("POST", self._path, body) as response:
            yield Started(self._info.name, note)
            if request.explain and request.infill is not None:
                yield Prompted(last_resort.pieces(last_resort.ask(request.infill)))
            buffer = EventStreamBuffer()
            try:
                async for data in response.content.iter_any():
                    buffer.add_data(data)
                    for message in buffer:
                        for event in reading.take(self._event(message.headers, message.payload)):
                            first_token = first_token or time.monotonic() - began
                            yield event
            # botocore checks lengths and sums, not what a header holds; a KeyError is a call that was never begun, too.
            except (ParserError, *MALFORMED, KeyError, struct.error):
                raise UpstreamFailed(
                    f"The endpoint of {self._info.name} did not answer with an event stream.",
                    fix="Check `base_url` and `region` of this model in the settings.",
                ) from None
        if not reading.ended:
            raise self._upstream.broken()
        if rest := reading.rest():
            yield TextDelta(rest)
        timings = {} if first_token is None else {"first_token_s": first_token}
        yield Done(reading.usage, reading.reason, timings)

    def _event(self, headers: Mapping[str, Any], payload: bytes) -> _Payload:
        if headers.get(":message-type") != "event":
            raise self._upstream.failure(500, payload)
        return _decode(payload)

    def _body(self, request: Request) -> tuple[dict[str, Any], str]:
        sampling = request.sampling
        blocks.refuse(sampling, _TAKEN, self._info.name)
        skills.refuse_forwarded(request, self._info.name)
        if request.parallel_tools is False:
            raise InvalidRequest(
                f"The endpoint of {self._info.name} does not take `parallel_tool_calls: false`.",
                fix="Leave it out.",
                param="parallel_tool_calls",
            )
        messages, note = blocks.asked(request)
        system, turns = blocks.laid_out(messages)
        wanted = {
            "maxTokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "topP": sampling.top_p,
            "stopSequences": list(sampling.stop) or None,
        }
        body: dict[str, Any] = {
            "messages": [{"role": turn.role, "content": list(map(_block, turn.blocks))} for turn in turns],
            "inferenceConfig": {name: value for name, value in wanted.items() if value is not None},
        }
        if system:
            body["system"] = [{"text": system}]
        if request.tools and request.tool_choice != "none":
            body["toolConfig"] = {"tools": [_tool(tool["function"]) for tool in request.tools]}
            if request.tool_choice is not None:
                body["toolConfig"]["toolChoice"] = _choice(request.tool_choice)
        return body, note

    def _signed(self, method: str, url: str, data: bytes | None) -> dict[str, str]:
        """Signature Version 4 with the credentials of the environment, a profile, or the machine's role."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.session import Session

        credentials = Session().get_credentials()
        if credentials is None:
            raise UpstreamFailed(
                "There are no AWS credentials for Bedrock.",
                fix="Set `api_key` to a Bedrock API key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            )
        request = AWSRequest(method, url, data=data, headers={"Content-Type": "application/json"})
        SigV4Auth(credentials.get_frozen_credentials(), "bedrock", self._region).add_auth(request)
        return dict(request.headers.items())


class _Reading:
    """A stream of Bedrock's events as ours."""

    def __init__(self, fence: last_resort.FenceStripper | None) -> None:
        self._fence = fence
        self._calls: dict[int, int] = {}
        self.usage = Usage()
        self.reason: FinishReason = "stop"
        self.ended = False

    def take(self, payload: _Payload) -> Iterator[Event]:
        if payload.stopReason is not None:
            self.reason = _REASONS.get(payload.stopReason, "stop")
            self.ended = True
        if (used := payload.usage) is not None:
            cached = counted(used.cacheReadInputTokens)
            self.usage = Usage(counted(used.inputTokens) + cached, counted(used.outputTokens), cached)
        if payload.start is not None and (tool := payload.start.toolUse) is not None:
            number = self._calls[payload.contentBlockIndex] = len(self._calls)
            yield ToolCallDelta(number, "", tool.toolUseId, tool.name)
        if (delta := payload.delta) is None:
            return
        if delta.toolUse is not None and delta.toolUse.input:
            yield ToolCallDelta(self._calls[payload.contentBlockIndex], delta.toolUse.input)
        if delta.reasoningContent is not None and delta.reasoningContent.text:
            yield ReasoningDelta(delta.reasoningContent.text)
        if delta.text and (shown := self._fence.feed(delta.text) if self._fence else delta.text):
            yield TextDelta(shown)

    def rest(self) -> str:
        """What a fence held back to the end."""
        return self._fence.flush() if self._fence is not None else ""


def _block(block: blocks.Block) -> dict[str, Any]:
    match block:
        case blocks.Text():
            return {"text": block.text}
        case blocks.Use():
            return {"toolUse": {"toolUseId": block.id, "name": block.name, "input": block.input}}
        case blocks.Result():
            return {"toolResult": {"toolUseId": block.id, "content": [{"text": block.text}]}}


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    told = {"name": function["name"], "inputSchema": {"json": parameters}}
    return {"toolSpec": told | ({"description": text} if (text := function.get("description")) else {})}


def _choice(choice: Any) -> dict[str, Any]:
    if isinstance(choice, dict):
        return {"tool": {"name": choice["function"]["name"]}}
    return {"auto": {}} if choice == "auto" else {"any": {}}
