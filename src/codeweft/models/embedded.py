"""A GGUF model run by the embedded engine."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import jinja2

from codeweft.errors import ContextOverflow, EngineFailed, InvalidRequest
from codeweft.models import holes, native, schema, skills, wire
from codeweft.models.chat_template import ChatTemplate
from codeweft.models.failing import told
from codeweft.models.gguf import GgufHeader
from codeweft.models.loaded import LoadedFile, OnFile, refusal
from codeweft.models.plan import EngineOptions, generation_parameters
from codeweft.models.reasoning import ThinkSplitter
from codeweft.models.skills import Family, Piece
from codeweft.models.sse import data_lines
from codeweft.models.tokens import PromptTokens
from codeweft.types import (
    Done,
    Event,
    FinishReason,
    Infill,
    ModelInfo,
    Prompted,
    PromptProgress,
    Request,
    Sampling,
    Skills,
    Started,
    TextDelta,
    Usage,
    replace,
)

ANSWER_ROOM: Final = 16
"""Tokens of the context that a prompt must leave for the answer, unless less is asked for."""
_CHAT_ROUTE: Final = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A request ready for the engine: where to post it, and what its answer must obey."""

    path: str
    body: dict[str, Any]
    tokens: int
    note: str = ""
    schema: dict[str, Any] | None = None
    thinking: ThinkSplitter | None = None
    pieces: tuple[Piece, ...] = ()


@dataclass(slots=True)
class _Reading:
    """What came of reading a prompt's beginning in pieces: tokens read, of these from the cache, and seconds."""

    tokens: int = 0
    cached: int = 0
    seconds: float = 0.0

    def usage(self, event: native.CompletionEvent) -> Usage:
        """The whole request's usage: to the engine, earlier pieces look like cached tokens."""
        return replace(event.usage, cached_tokens=self.cached) if self.tokens else event.usage


class EmbeddedModel(OnFile):
    """A model file served by an engine process of its own. Satisfies `Model`.

    A file that is not a model does not fail the constructor: it shows in `state`, and every answer is that error.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        options: EngineOptions | None = None,
        family: Family | str | None = None,
        skills: Skills | None = None,
        note: str = "",
        description: str = "",
    ) -> None:
        self._path = path
        self._options = options or EngineOptions()
        try:
            self._file = LoadedFile(name, path, self._options, generation_parameters)
        except EngineFailed as error:
            self._defect = error
            self._info = ModelInfo(name, "embedded", frozenset(), description, note)
            return
        header = self._file.header
        label = f"{header.name} {path.stem}"
        self._family = _family_of(family, label, header)
        self._tokens = PromptTokens(header.tokenizer, self._family, self._file.encode)
        self._template = _template(header, self._family)
        self._info = ModelInfo(
            name,
            "embedded",
            skills if skills is not None else _skills_of(self._family, label, header),
            description or header.name,
            note,
            context=self._file.plan.context,
            family=self._family.name,
            created=int(path.stat().st_mtime),
        )

    async def count(self, request: Request) -> Usage:
        """See `TokenCounter`. For a prompt that cannot fit at all, the least that it can be."""
        await self.start()
        try:
            prompt = await self._prompt(request, skills.with_defaults(request.sampling, request.skill))
        except ContextOverflow as error:
            return Usage(int(str(error.details["prompt_tokens"])), estimated=True)
        return Usage(prompt.tokens)

    def stream(self, request: Request) -> AsyncGenerator[Event]:
        """Answer `request`; see `Model.stream`."""
        return told(self._answer(request))

    # ── answering ───────────────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, request: Request) -> AsyncGenerator[Event]:
        began = time.monotonic()
        file = self._loaded()
        skills.require(request.skill, self._info.skills, self._info.name)
        if request.tools:
            skills.require("tools", self._info.skills, self._info.name)
        skills.refuse_forwarded(request, self._info.name)
        sampling = skills.with_defaults(request.sampling, request.skill)
        if request.infill is not None and sampling.repetition_penalty is None:
            # A file may ask for a penalty that suits its chats; a hole repeats what stands around it.
            sampling = replace(sampling, repetition_penalty=1.0)
        if sampling.max_tokens is not None and sampling.max_tokens < 1:
            raise InvalidRequest("max_tokens must be at least 1.", param="max_tokens")
        await file.engine.ready()
        prompt = await self._prompt(request, sampling)
        async with file.turns.take(request.caller.user):
            yield Started(self._info.name, " ".join(filter(None, (self._info.note, prompt.note))))
            if request.explain and request.infill is not None:
                yield Prompted(prompt.pieces, prompt.tokens)
            # The engine may have crashed while this request waited.
            await file.engine.ready()
            async with aclosing(self._events(file, prompt, sampling, began)) as events:
                async for event in events:
                    yield event

    async def _events(
        self, file: LoadedFile, prompt: _Prompt, sampling: Sampling, began: float
    ) -> AsyncGenerator[Event]:
        if prompt.path == _CHAT_ROUTE:
            async with (
                aclosing(self._lines(file, prompt.path, prompt.body)) as lines,
                aclosing(self._chat_events(lines, prompt, began)) as events,
            ):
                async for event in events:
                    yield event
            return
        read = _Reading()
        async with aclosing(self._read(file, prompt, read)) as steps:
            async for step in steps:
                yield step
        async with (
            aclosing(self._lines(file, prompt.path, prompt.body)) as lines,
            aclosing(self._completion_events(lines, prompt, sampling, began, read)) as events,
        ):
            async for event in events:
                yield event

    async def _read(
        self, file: LoadedFile, prompt: _Prompt, read: _Reading
    ) -> AsyncGenerator[PromptProgress]:
        """Let the engine read all but the last piece of a long prompt; see `prefill`."""
        ids = prompt.body["prompt"]
        at = file.prefill.begin(ids, file.engine.pid)
        while len(ids) - at > (piece := file.prefill.piece(shared=file.turns.busy > 1)):
            at += piece
            async with aclosing(self._lines(file, prompt.path, native.reading_body(ids[:at]))) as lines:
                async for line in lines:
                    event = _decoded(line)
                    if event.stop and event.timings is not None:
                        file.prefill.took(event.timings.prompt_n, event.timings.prompt_ms / 1e3)
                        read.cached = read.cached if read.tokens else event.timings.cache_n
                        read.seconds += event.timings.prompt_ms / 1e3
            read.tokens = at
            yield PromptProgress(at, len(ids))

    async def _lines(self, file: LoadedFile, path: str, body: dict[str, Any]) -> AsyncGenerator[bytes]:
        """The answer's raw events. Leaving early closes the socket, which frees the slot."""
        try:
            response = await file.engine.post(path, native.encode(body))
            try:
                if response.status != 200:
                    raise refusal(response.status, await response.read())
                async for line in data_lines(response.content.iter_any()):
                    yield line
            finally:
                response.close()
        except (aiohttp.ClientError, ConnectionError, TimeoutError, ValueError):
            raise await file.engine.loss() from None

    async def _completion_events(
        self,
        lines: AsyncGenerator[bytes],
        prompt: _Prompt,
        sampling: Sampling,
        began: float,
        read: _Reading,
    ) -> AsyncGenerator[Event]:
        written: list[str] = []
        first_token: float | None = None
        alternatives = sampling.logprobs
        thinking = prompt.thinking
        async for line in lines:
            event = _decoded(line)
            if event.prompt_progress is not None:
                yield PromptProgress(event.prompt_progress.processed, event.prompt_progress.total)
                continue
            logprobs = event.logprobs(alternatives) if alternatives is not None else ()
            if event.content or logprobs:
                if first_token is None:
                    first_token = time.monotonic() - began
                if prompt.schema is not None:
                    written.append(event.content)
                if thinking is None:
                    yield TextDelta(event.content, logprobs)
                else:
                    for delta in thinking.feed(event.content, logprobs):
                        yield delta
            if event.stop:
                for delta in thinking.flush() if thinking else ():
                    yield delta
                if prompt.schema is not None and event.reason == "stop":
                    schema.obey("".join(written), prompt.schema, self._info.name)
                if event.timings is not None:
                    self._loaded().prefill.took(event.timings.prompt_n, event.timings.prompt_ms / 1e3)
                yield Done(read.usage(event), event.reason, _timings(event.timings, first_token, read))
                return
        raise await self._loaded().engine.loss()

    async def _chat_events(
        self, lines: AsyncGenerator[bytes], prompt: _Prompt, began: float
    ) -> AsyncGenerator[Event]:
        """Answers with tools, which the engine takes apart by the model's own syntax."""
        first_token: float | None = None
        reason: FinishReason | None = None
        usage = Usage(prompt_tokens=prompt.tokens, estimated=True)
        written: list[str] = []
        async for line in lines:
            if line == b"[DONE]":
                break
            try:
                chunk = wire.decode_chunk(line)
            except wire.MALFORMED:
                raise _nonsense() from None
            if chunk.failed:
                raise refusal(500, line)
            if chunk.prompt_progress is not None:
                yield PromptProgress(chunk.prompt_progress.processed, chunk.prompt_progress.total)
                continue
            for event in chunk.events():
                if first_token is None:
                    first_token = time.monotonic() - began
                if isinstance(event, TextDelta) and prompt.schema is not None:
                    written.append(event.text)
                yield event
            reason = chunk.finish_reason or reason
            if chunk.usage is not None:
                usage = chunk.usage.usage
        if reason is None:
            raise await self._loaded().engine.loss()
        if prompt.schema is not None and reason == "stop":
            schema.obey("".join(written), prompt.schema, self._info.name)
        yield Done(usage, reason, {} if first_token is None else {"first_token_s": first_token})

    # ── prompts ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _prompt(self, request: Request, sampling: Sampling) -> _Prompt:
        wanted = schema.checked(sampling.json_schema) if sampling.json_schema is not None else None
        if wanted is not None and sampling.grammar is not None:
            raise InvalidRequest("Give either a JSON Schema or a grammar, not both.", param="grammar")
        with_tools = request.tools or any(turn.tool_calls or turn.role == "tool" for turn in request.messages)
        if request.skill == "chat" and (with_tools or self._template is None):
            return await self._chat_prompt(request, sampling, wanted)
        note = ""
        pieces: list[Piece] = []
        if request.infill is not None:
            sampling = replace(sampling, stop=(*sampling.stop, *self._family.stop))
            pieces, ids, note = await self._infill_prompt(request.infill, sampling)
        elif request.prompt is not None:
            ids = await self._ids([Piece(request.prompt)])
        else:
            assert self._template is not None
            pieces = self._template.render(request.messages)
            ids = await self._ids(pieces)
        body = native.completion_body(ids, sampling, self._budget(len(ids), sampling), wanted)
        if request.infill is not None:
            # Special tokens are written as nothing unless preserved, and would then pass the stop strings unseen.
            body["preserved_tokens"] = list(self._family.stop)
        thinking = None
        if request.skill == "chat" and wanted is None and sampling.grammar is None:
            thinking = ThinkSplitter(
                started=pieces[-1].special and pieces[-1].text.rstrip().endswith("<think>")
            )
        return _Prompt("/completion", body, len(ids), note, wanted, thinking, tuple(pieces))

    async def _chat_prompt(
        self, request: Request, sampling: Sampling, wanted: dict[str, Any] | None
    ) -> _Prompt:
        """Through the engine's own templates, with special tokens in the turns broken up beforehand."""
        turns = [replace(turn, content=self._tokens.defused(turn.content)) for turn in request.messages]
        self._check_length(sum(len(turn.content) for turn in turns), sampling)
        body: dict[str, Any] = {"messages": wire.messages_json(turns)}
        if request.tools:
            body["tools"] = list(request.tools)
            if request.tool_choice is not None:
                body["tool_choice"] = request.tool_choice
            if request.parallel_tools is not None:
                body["parallel_tool_calls"] = request.parallel_tools
        data = await self._loaded().ask(_CHAT_ROUTE + "/input_tokens", body)
        tokens = native.decode_count(data).input_tokens
        body |= native.sampling_fields(sampling) | {
            "max_tokens": self._budget(tokens, sampling),
            "stream": True,
            "return_progress": True,
            "cache_prompt": True,
            "stream_options": {"include_usage": True},
        }
        if sampling.logit_bias:
            body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
        if sampling.logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
        if wanted is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"schema": native.guided(wanted)},
            }
        return _Prompt(_CHAT_ROUTE, body, tokens, schema=wanted)

    async def _ids(self, pieces: list[Piece]) -> list[int]:
        self._check_length(sum(len(piece.text) for piece in pieces), None)
        return await self._tokens.of(pieces)

    async def _infill_prompt(self, infill: Infill, sampling: Sampling) -> tuple[list[Piece], list[int], str]:
        """The prompt, cut to what fits, and a note about what was left out.

        Of the code around the hole the nearest stays, of other files the first.
        """
        context = self._loaded().plan.context
        room = context - min(sampling.max_tokens or ANSWER_ROOM, int(context * holes.ANSWER_SHARE))
        neighbours = infill.neighbours
        kept = int(room * holes.NEIGHBOUR_SHARE) if neighbours else 0
        if sum(len(one.text) for one in neighbours) <= kept * self._tokens.longest:
            alone = Infill("", "", neighbours)
            kept = min(kept, len(await self._tokens.of(self._family.fim_prompt(alone))))
        hole, ids = await self._cut(replace(infill, neighbours=()), room - kept)
        while neighbours:
            pieces = self._family.fim_prompt(replace(hole, neighbours=neighbours))
            if sum(len(piece.text) for piece in pieces) <= room * self._tokens.longest:
                whole = await self._tokens.of(pieces)
                if len(whole) <= room:
                    ids = whole
                    break
            neighbours = neighbours[:-1]
        notes = []
        if left_out := len(infill.neighbours) - len(neighbours):
            notes.append(f"{left_out} of {len(infill.neighbours)} neighbouring files did not fit.")
        if (nearest := len(hole.prefix) + len(hole.suffix)) < len(infill.prefix) + len(infill.suffix):
            notes.append(f"Of the code around the hole, the nearest {nearest} characters fit.")
        return self._family.fim_prompt(replace(hole, neighbours=neighbours)), ids, " ".join(notes)

    async def _cut(self, hole: Infill, room: int) -> tuple[Infill, list[int]]:
        """As much of the code around a hole as fits `room` tokens, and its prompt."""
        characters = min(len(hole.prefix) + len(hole.suffix), room * self._tokens.longest)
        while True:
            hole = holes.cut(hole, characters)
            ids = await self._tokens.of(self._family.fim_prompt(hole))
            if len(ids) <= room or not characters:
                return hole, ids
            # Once more with what the last try says of the code's tokens, a little less for its unevenness.
            characters = int(characters * room / len(ids) * 0.95)

    def _room(self, sampling: Sampling | None) -> int:
        """Tokens that a prompt may take."""
        context = self._loaded().plan.context
        answer = sampling.max_tokens if sampling is not None and sampling.max_tokens else ANSWER_ROOM
        return context - min(ANSWER_ROOM, answer)

    def _budget(self, tokens: int, sampling: Sampling) -> int:
        """Tokens the answer may take. Raises `ContextOverflow` when the prompt leaves it no room."""
        context, room = self._loaded().plan.context, self._room(sampling)
        if tokens > room:
            raise self._overflow(f"{tokens}", tokens, room)
        return min(sampling.max_tokens or self._options.default_max_tokens, context - tokens)

    def _check_length(self, characters: int, sampling: Sampling | None) -> None:
        """Refuse what cannot possibly fit before it is tokenised."""
        at_least, room = characters // self._tokens.longest, self._room(sampling)
        if at_least > room:
            raise self._overflow(f"at least {at_least}", at_least, room)

    def _overflow(self, length: str, tokens: int, room: int) -> ContextOverflow:
        context = self._loaded().plan.context
        return ContextOverflow(
            f"The prompt is {length} tokens long; {room} fit (context {context}, minus {context - room} "
            f"kept for the answer).",
            fix="Shorten the prompt, or use a model with a longer context.",
            param="messages",
            details={"prompt_tokens": tokens, "context": context},
        )


def _decoded(line: bytes) -> native.CompletionEvent:
    """An event of the engine's own protocol. Raises what it says went wrong, and `EngineFailed` for no event."""
    try:
        event = native.decode_event(line)
    except wire.MALFORMED:
        raise _nonsense() from None
    if event.error is not None:
        raise refusal(500, line)
    return event


def _nonsense() -> EngineFailed:
    return EngineFailed(
        "The engine sent something that is not an event of an answer.",
        fix="Try again; if it goes on, check `engine.python` in the settings.",
    )


def _family_of(given: Family | str | None, label: str, header: GgufHeader) -> Family:
    if given is not None:
        return skills.named_family(given) if isinstance(given, str) else given
    return skills.family(label, frozenset(header.tokenizer.tokens))


def _skills_of(family: Family, label: str, header: GgufHeader) -> Skills:
    found = family.skills_of(label)
    template = header.chat_template or ""
    if "chat" in found and "tools" in template:
        return found | {"tools"}
    return found - {"tools"}


def _template(header: GgufHeader, family: Family) -> ChatTemplate | None:
    """The model's chat template; None leaves chat to the engine's own templating."""
    source = header.chat_template or family.chat_template
    if not source:
        return None
    tokens = header.tokenizer
    try:
        return ChatTemplate(
            source, bos=_token(tokens.tokens, tokens.bos), eos=_token(tokens.tokens, tokens.eos)
        )
    except jinja2.TemplateSyntaxError:
        return None


def _token(tokens: tuple[str, ...], number: int | None) -> str:
    return tokens[number] if number is not None and 0 <= number < len(tokens) else ""


def _timings(timings: native.Timings | None, first_token: float | None, read: _Reading) -> dict[str, float]:
    found: dict[str, float] = {}
    if first_token is not None:
        found["first_token_s"] = first_token
    if timings is not None:
        prompt_s = read.seconds + timings.prompt_ms / 1e3
        found |= {"prompt_s": prompt_s, "answer_s": timings.predicted_ms / 1e3}
        if timings.predicted_per_second:
            found["tokens_per_s"] = timings.predicted_per_second
        if prompt_s:
            fresh = timings.prompt_n + (timings.cache_n - read.cached if read.tokens else 0)
            found["prompt_tokens_per_s"] = fresh / prompt_s
    return found
