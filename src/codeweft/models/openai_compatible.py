"""Any OpenAI-compatible endpoint as a model: vLLM, LMDeploy, Ollama, a provider, or another Codeweft server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
import numpy as np
from aiohttp import ClientResponse

from codeweft.errors import CodeweftError, InvalidRequest, UpstreamFailed
from codeweft.models import last_resort, schema, skills, wire
from codeweft.models.reading import Reading, in_one_piece
from codeweft.models.skills import Family
from codeweft.models.upstream import ATTEMPTS, Refused, Upstream
from codeweft.types import (
    Done,
    Embeddings,
    Event,
    Failed,
    Infill,
    ModelInfo,
    Prompted,
    PromptPiece,
    Request,
    Retrieval,
    Sampling,
    Selection,
    Skills,
    Started,
    Usage,
    replace,
)

InfillRoute = Literal["suffix", "kept", "tokens", "chat"]
"""The endpoint's own `suffix`; our prompt, with special tokens kept in the answer; our prompt alone; a chat."""
CHAT: Final = "/chat/completions"
COMPLETIONS: Final = "/completions"
NO_SUCH_ROUTE: Final = frozenset((404, 405, 501))
PATIENCE: Final = 5
"""How many times the longest silence an answer in one piece may take: ten minutes by default, as OpenAI's client waits."""
CHARACTERS_PER_TOKEN: Final = 3.5
"""For estimates only: source code has 3 to 4 characters a token in the usual vocabularies."""
_SUFFIX_HOSTS: Final = {"api.mistral.ai": "/fim/completions", "api.deepseek.com": COMPLETIONS}
"""Providers that document `suffix`, and where. Others accept the field and ignore it, which is worse than refusing."""
_SUFFIX_PORTS: Final = frozenset((11434,))
"""Ollama's: it puts its template around raw prompts, and knows each model's own way to fill in by `suffix`."""
_NEW_LIMIT_HOSTS: Final = frozenset(("api.openai.com",))
"""Where chat takes `max_completion_tokens` only."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One HTTP request that answers a `Request`, and what its answer must obey."""

    path: str
    body: dict[str, Any]
    note: str = ""
    schema: dict[str, Any] | None = None
    strip_fence: bool = False
    pieces: tuple[PromptPiece, ...] = ()


class OpenAICompatible:
    """A model behind an endpoint. Satisfies `Model`."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        api_key: str | None = None,
        model: str,
        family: Family | str | None = None,
        skills: Skills | None = None,
        context: int | None = None,
        timeout: float = 120,
        attempts: int = ATTEMPTS,
        note: str = "",
        description: str = "",
        codeweft: bool = False,
    ) -> None:
        """`model` is its name there; `codeweft` says that the endpoint is a Codeweft server, which takes more fields."""
        self._upstream = Upstream(name, base_url, api_key, timeout=timeout, attempts=attempts, ours=codeweft)
        self._model = model
        self._codeweft = codeweft
        self._family = _family(family, model)
        address = urlsplit(base_url)
        self._host = address.hostname or ""
        self._takes_suffix = self._host in _SUFFIX_HOSTS or address.port in _SUFFIX_PORTS
        self._routes: tuple[InfillRoute, ...] = self._infill_routes()
        self._server: str | None = None
        self._info = ModelInfo(
            name,
            "upstream",
            skills if skills is not None else _skills(self._family, model),
            description or f"{model} at {self._host}",
            note,
            context,
            self._family.name,
            served=model,
            host=self._host,
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    @staticmethod
    async def list_models(base_url: str, api_key: str | None = None) -> list[ModelInfo]:
        """What the endpoint offers. A Codeweft server tells kinds and skills. Raises `UpstreamFailed`."""
        upstream = Upstream(base_url, base_url, api_key, ours=True)
        try:
            data = await upstream.json("GET", "/models")
            listed = msgspec.json.decode(data, type=_ModelList).data
        except wire.MALFORMED:
            raise UpstreamFailed(
                f"{base_url}/models does not answer as an OpenAI-compatible endpoint does.",
                fix="Check `base_url`.",
            ) from None
        finally:
            await upstream.close()
        return [item.info for item in listed]

    async def stream(self, request: Request) -> AsyncGenerator[Event]:
        """Answer `request`; see `Model.stream`."""
        # One generator from the socket to the reader: each that a token passes through costs as much as decoding it.
        try:
            self._check(request)
            call, response = await self._asked(request)
            async with self._upstream.reading(response):
                yield Started(self._info.name, " ".join(filter(None, (self._info.note, call.note))))
                if request.explain and call.pieces:
                    yield Prompted(call.pieces)
                reading = Reading(
                    response.content_type,
                    self._decoded,
                    name=self._info.name,
                    query=_query(request) if self._codeweft else "",
                    fence=last_resort.FenceStripper() if call.strip_fence else None,
                    packed=request.packed,
                )
                while not reading.ended:
                    for event in reading.feed(await response.content.readany()):
                        yield event
                for event in reading.flush():
                    yield event
                yield self._done(reading, call)
        except CodeweftError as error:
            yield Failed(error)
        except UnicodeEncodeError as error:
            yield Failed(skills.not_unicode(error))

    # ── answering ───────────────────────────────────────────────────────────────────────────────────────────

    def _check(self, request: Request) -> None:
        """Raises `MissingSkill`, or `InvalidRequest` for what no such endpoint takes."""
        skills.require(request.skill, self._info.skills, self._info.name)
        if request.tools:
            skills.require("tools", self._info.skills, self._info.name)
        if request.sampling.grammar is not None:
            raise InvalidRequest(
                f"The endpoint of {self._info.name} takes no grammar.",
                fix="Use a JSON Schema, or a model of the embedded engine.",
                param="grammar",
            )

    async def _asked(self, request: Request) -> tuple[_Call, ClientResponse]:
        """The response to `request`, and what was asked. A hole is asked for in the first way that is not refused."""
        if request.infill is None:
            call = self._call(request)
            return call, await self._send(call, request)
        while True:
            call = self._infill_call(request, request.infill, self._routes[0])
            try:
                return call, await self._send(call, request)
            except Refused as refused:
                # The next way is tried, and kept for later requests.
                if len(self._routes) == 1 or not _no_such_way(refused, self._routes[0]):
                    raise
                self._routes = self._routes[1:]

    async def _send(self, call: _Call, request: Request) -> ClientResponse:
        whole = not self._codeweft and in_one_piece(request, self._server)
        body = call.body if whole else call.body | _STREAM
        response = await self._upstream.send("POST", call.path, body, patience=PATIENCE if whole else 1)
        self._server = response.headers.get("Server", "")
        return response

    def _done(self, reading: Reading, call: _Call) -> Done:
        """The end of an answer. Raises `UpstreamFailed` for one that is not whole, or not what was asked for."""
        if reading.reason is None:
            raise self._upstream.broken() if reading.chunks else self._no_stream()
        if call.schema is not None and reading.reason == "stop":
            schema.obey(reading.text, call.schema, self._info.name)
        first = reading.first_token_s
        usage = reading.usage or _estimate(call.body, reading.text)
        return Done(usage, reading.reason, {} if first is None else {"first_token_s": first})

    def _no_stream(self) -> UpstreamFailed:
        return UpstreamFailed(
            f"The endpoint of {self._info.name} did not answer with a stream of events.",
            fix="Check that `base_url` is an OpenAI-compatible address; it usually ends in /v1.",
        )

    def _decoded(self, line: bytes) -> wire.StreamChunk:
        try:
            chunk = wire.decode_chunk(line)
        except wire.MALFORMED:
            raise UpstreamFailed(
                f"The endpoint of {self._info.name} sent something that is not a chunk of an answer.",
                fix="Try again.",
            ) from None
        if chunk.error is not wire.NO_ERROR and chunk.failed:
            raise self._upstream.failure(500, line)
        return chunk

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────

    def _call(self, request: Request) -> _Call:
        sampling = request.sampling
        wanted = schema.checked(sampling.json_schema) if sampling.json_schema is not None else None
        if request.prompt is not None:
            sampling = skills.with_defaults(sampling, "completion")
            body = self._completion_body(request.prompt, sampling) | self._retrieval(request)
            return _Call(COMPLETIONS, body | _response_format(wanted), schema=wanted)
        body = self._chat_body(wire.messages_json(request.messages), sampling)
        body |= _response_format(wanted) | self._retrieval(request) | dict(request.forwarded)
        if request.tools:
            body["tools"] = list(request.tools)
            if request.tool_choice is not None:
                body["tool_choice"] = request.tool_choice
            if request.parallel_tools is not None:
                body["parallel_tool_calls"] = request.parallel_tools
        return _Call(CHAT, body, schema=wanted)

    def _infill_routes(self) -> tuple[InfillRoute, ...]:
        if self._codeweft:
            return ("suffix",)
        known: list[InfillRoute] = []
        if self._takes_suffix:
            known.append("suffix")
        if self._family.can_infill:
            known += ("kept", "tokens")
        return (*known, "chat")

    def _infill_call(self, request: Request, infill: Infill, route: InfillRoute) -> _Call:
        sampling = skills.with_defaults(request.sampling, "infilling")
        if route == "suffix":
            shown = infill.neighbours
            prefix = infill.prefix if self._codeweft else skills.commented(shown) + infill.prefix
            body = self._completion_body(prefix, sampling) | {"suffix": infill.suffix}
            if self._codeweft and shown:
                body["neighbours"] = [{"path": one.path, "text": one.text} for one in shown]
            fields = ("prompt", prefix), ("suffix", infill.suffix)
            return _Call(
                _SUFFIX_HOSTS.get(self._host, COMPLETIONS), body, pieces=last_resort.labelled(fields)
            )
        if route in ("kept", "tokens"):
            pieces = self._family.fim_prompt(self._family.harmless(infill))
            stops = (*sampling.stop, *self._family.stop)
            body = self._completion_body(skills.text_of(pieces), replace(sampling, stop=stops))
            # vLLM, SGLang and LMDeploy leave special tokens out of an answer, and then no stop string matches them.
            kept = {"skip_special_tokens": False} if route == "kept" else {}
            return _Call(COMPLETIONS, body | kept, pieces=tuple(pieces))
        asked = last_resort.ask(infill)
        body = self._chat_body(wire.messages_json(asked), request.sampling)
        return _Call(CHAT, body, note=last_resort.NOTE, strip_fence=True, pieces=last_resort.pieces(asked))

    def _completion_body(self, prompt: str, sampling: Sampling) -> dict[str, Any]:
        body = {"model": self._model, "prompt": prompt} | wire.sampling_json(sampling)
        if sampling.logprobs is not None:
            body["logprobs"] = sampling.logprobs
        return body

    def _chat_body(self, messages: list[dict[str, Any]], sampling: Sampling) -> dict[str, Any]:
        body = {"model": self._model, "messages": messages} | wire.sampling_json(sampling)
        if sampling.logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
        if self._host in _NEW_LIMIT_HOSTS and "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
        return body

    def _retrieval(self, request: Request) -> dict[str, Any]:
        """A Codeweft server's own fields for what to look up; other endpoints get none."""
        if not self._codeweft:
            return {}
        wanted = request.retrieval
        fields: dict[str, Any] = {}
        if not wanted.enabled:
            fields["index"] = ""
        elif wanted.index is not None:
            fields["index"] = wanted.index
        if wanted.k is not None:
            fields["k"] = wanted.k
        if wanted.agent:
            fields["agents_flag"] = True
        if request.explain:
            fields["explain"] = True
        if request.inputs:
            fields["inputs"] = dict(request.inputs)
        return fields | _narrowing(wanted)


def _narrowing(wanted: Retrieval) -> dict[str, Any]:
    """Filters and search type in the fields of Codeweft's API; what is as it is by default is left out."""
    names = asdict(wanted.filters)
    fields: dict[str, Any] = {name: list(given) for name, given in names.items() if given}
    chosen, usual = wanted.selection, Selection()
    if chosen.type != usual.type:
        fields["search_type"] = chosen.type
    for name in ("fetch_k", "lambda_mult", "score_threshold", "distance_threshold"):
        if getattr(chosen, name) != getattr(usual, name):
            fields[name] = getattr(chosen, name)
    return fields


class OpenAIEmbedder:
    """An endpoint's `/embeddings`. Satisfies `Embedder`."""

    def __init__(
        self, name: str, base_url: str, *, api_key: str | None = None, model: str, timeout: float = 120
    ) -> None:
        self._upstream = Upstream(name, base_url, api_key, timeout=timeout)
        self._model = model
        host = urlsplit(base_url).hostname
        self._info = ModelInfo(name, "upstream", frozenset({"embeddings"}), f"{model} at {host}")

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """(n, d) float32 rows in the order of `texts`; see `Embedder.embed`."""
        if not texts:
            return Embeddings(np.zeros((0, 0), np.float32), Usage())
        body = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        data = await self._upstream.json("POST", "/embeddings", body)
        try:
            answer = msgspec.json.decode(data, type=_EmbeddingAnswer)
            rows = sorted(answer.data, key=lambda row: row.index)
            vectors = np.array([row.embedding for row in rows], dtype=np.float32)
        except (*wire.MALFORMED, ValueError):
            vectors = np.zeros((0, 0), np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise UpstreamFailed(
                f"The endpoint of {self._info.name} did not answer with one vector for each text.",
                fix="Check that `model` is an embedding model.",
            )
        if answer.usage is None:
            return Embeddings(vectors, Usage(prompt_tokens=sum(map(_tokens, texts)), estimated=True))
        return Embeddings(vectors, answer.usage.usage)


class _EmbeddingRow(msgspec.Struct, frozen=True):
    embedding: list[float]
    index: int = 0


class _EmbeddingAnswer(msgspec.Struct, frozen=True):
    data: list[_EmbeddingRow]
    usage: wire.UsagePart | None = None


class _ListedModel(msgspec.Struct, frozen=True):
    """An entry of `/models`; the fields after `created` are a Codeweft server's."""

    id: str
    created: int = 0
    kind: Literal["embedded", "upstream", "app", "scripted"] = "upstream"
    skills: list[str] = []
    description: str = ""
    note: str = ""
    context: int | None = None
    family: str = ""

    @property
    def info(self) -> ModelInfo:
        able = frozenset(self.skills)
        return ModelInfo(
            self.id,
            self.kind,
            able,  # type: ignore[arg-type]  # a newer server may know skills that we do not
            self.description,
            self.note,
            self.context,
            self.family,
            self.created,
        )


class _ModelList(msgspec.Struct, frozen=True):
    data: list[_ListedModel]


_STREAM: Final[dict[str, Any]] = {"stream": True, "stream_options": {"include_usage": True}}


def _family(given: Family | str | None, model: str) -> Family:
    if given is None:
        return skills.family(model)
    return skills.named_family(given) if isinstance(given, str) else given


def _skills(family: Family, model: str) -> Skills:
    """What a served model can do: nearly every endpoint chats with tools, and infilling finds some way."""
    served: Skills = frozenset({"completion", "chat", "tools", "infilling"})
    return served | family.skills_of(model)


def _no_such_way(refused: Refused, route: InfillRoute) -> bool:
    if refused.answered in NO_SUCH_ROUTE:
        return True
    said = _SAID_OF.get(route, ())
    return refused.answered in (400, 422) and any(word in refused.words.lower() for word in said)


_SAID_OF: Final[dict[InfillRoute, tuple[str, ...]]] = {
    # Ollama says that a model "does not support insert".
    "suffix": ("suffix", "insert"),
    "kept": ("skip_special_tokens", "extra", "unrecognized", "unknown", "unsupported", "not permitted"),
}
"""Words of a refusal that mean the way and not the request."""


def _response_format(wanted: dict[str, Any] | None) -> dict[str, Any]:
    if wanted is None:
        return {}
    if wanted == {"type": "object"}:
        return {"response_format": {"type": "json_object"}}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": wanted, "strict": True}}
    return {"response_format": form}


def _query(request: Request) -> str:
    return next(
        (turn.content for turn in reversed(request.messages) if turn.role == "user"), request.prompt or ""
    )


def _estimate(body: dict[str, Any], text: str) -> Usage:
    asked = (
        body["prompt"] if "prompt" in body else "".join(turn["content"] or "" for turn in body["messages"])
    )
    return Usage(_tokens(asked), _tokens(text), estimated=True)


def _tokens(text: str) -> int:
    return round(len(text) / CHARACTERS_PER_TOKEN)
