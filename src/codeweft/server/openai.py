"""OpenAI's protocol: chat completions, completions, embeddings, models."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from codeweft.errors import InvalidRequest, NotFound
from codeweft.models.skills import split_fill
from codeweft.server import emit, fields, lookup, wire
from codeweft.server.connections import WHOLE
from codeweft.server.emit import dumps
from codeweft.server.service import Service, caller, check_best_of, several
from codeweft.types import Caller, Infill, Model, ModelInfo, Neighbour, Request, Vectors

FILL = "<FILL>"
MAX_PROMPTS = 64
MAX_TEXTS = 2048
"""OpenAI's bound on the texts of one embeddings request."""


class OpenAI:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._limit = service.runtime.settings.limits.max_tokens

    def routes(self) -> list[Route]:
        return [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/embeddings", self.embeddings, methods=["POST"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/models/{name:path}", self.one_model, methods=["GET"]),
        ]

    # ── chat ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def chat(self, http: HTTPRequest) -> Response:
        body = wire.decode(await http.body(), wire.ChatBody, fields.CHAT)
        return await answer_chat(self._service, http, body, body.messages, self._service.model(body.model))

    # ── completions ──────────────────────────────────────────────────────────────────────────────────────────

    async def completions(self, http: HTTPRequest) -> Response:
        body = wire.decode(await http.body(), wire.CompletionBody, fields.COMPLETION)
        model = self._service.model(body.model)
        refuse_retrieval(model.info, body)
        check_best_of(body.best_of, body.n)
        if body.logprobs is not None and not 0 <= body.logprobs <= 20:
            raise InvalidRequest("`logprobs` must be between 0 and 20.", param="logprobs")
        prompts = wire.texts(body.prompt, "prompt")
        if len(prompts) > MAX_PROMPTS:
            raise InvalidRequest(
                f"`prompt` holds {len(prompts)} prompts; at most {MAX_PROMPTS}.", param="prompt"
            )
        if body.suffix and len(prompts) > 1:
            raise InvalidRequest("`suffix` goes with one prompt.", param="suffix")
        requests = [self._completion(model, body, prompt, caller(http)) for prompt in prompts]
        n = body.n or 1
        choices = [choice for request in requests for choice in several(request, n)]
        echoes = [prompt if body.echo else "" for prompt in prompts for _ in range(n)]
        logprobs = body.logprobs is not None
        name = model.info.name
        events = self._service.choices(model, choices)
        if body.stream:
            usage = body.stream_options is not None and bool(body.stream_options.include_usage)
            return await self._service.stream(
                http,
                events,
                lambda begun: emit.completion_chunks(
                    begun, name, echoes, len(prompts), logprobs=logprobs, include_usage=usage
                ),
            )
        async with self._service.answering(http, events):
            answers = await emit.fold(events, len(choices))
        return json(emit.completion(name, answers, echoes, len(prompts), logprobs=logprobs))

    def _completion(self, model: Model, body: wire.CompletionBody, prompt: str, who: Caller) -> Request:
        sampling = wire.sampling(body, body.max_tokens, body.logprobs, self._limit)
        infill = (
            Infill(prompt, body.suffix) if body.suffix else split_fill(prompt) if FILL in prompt else None
        )
        if infill is not None and body.neighbours:
            infill = replace(infill, neighbours=tuple(Neighbour(n.path, n.text) for n in body.neighbours))
        return Request(
            model=model.info.name,
            prompt=prompt if infill is None else None,
            infill=infill,
            sampling=sampling,
            retrieval=wire.retrieval(body),
            explain=bool(body.explain),
            whole=not body.stream,
            packed=bool(body.stream) and body.logprobs is None,
            caller=who,
        )

    # ── embeddings ───────────────────────────────────────────────────────────────────────────────────────────

    async def embeddings(self, http: HTTPRequest) -> Response:
        body = wire.decode(await http.body(), wire.EmbeddingBody, fields.EMBEDDING)
        wire.check_ranges(body)
        texts = wire.texts(body.input, "input")
        if len(texts) > MAX_TEXTS:
            raise InvalidRequest(f"`input` holds {len(texts)} texts; at most {MAX_TEXTS}.", param="input")
        if not all(texts):
            raise InvalidRequest("`input` holds an empty text, which has no embedding.", param="input")
        embedder = self._service.runtime.embedder(body.model)
        async with self._service.streams.attended(http.scope):
            made = await embedder.embed(texts)
        vectors = shortened(made.vectors, body.dimensions)
        as_base64 = body.encoding_format == "base64"
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(row.tobytes()).decode() if as_base64 else row.tolist(),
            }
            for index, row in enumerate(vectors)
        ]
        usage = {"prompt_tokens": made.usage.prompt_tokens, "total_tokens": made.usage.prompt_tokens}
        return json(dumps({"object": "list", "data": data, "model": embedder.info.name, "usage": usage}))

    # ── models ───────────────────────────────────────────────────────────────────────────────────────────────

    async def models(self, http: HTTPRequest) -> Response:
        infos = self._service.runtime.infos()
        return json(dumps({"object": "list", "data": [_model(info) for info in infos]}))

    async def one_model(self, http: HTTPRequest) -> Response:
        name = http.path_params["name"]
        infos = self._service.runtime.infos()
        for info in infos:
            if info.name == name:
                return json(dumps(_model(info)))
        raise NotFound(
            f"There is no model {name!r}.",
            fix=f"There are: {', '.join(info.name for info in infos)}.",
            param="model",
        )


async def answer_chat(
    service: Service, http: HTTPRequest, body: wire.ChatBody, turns: list[wire.MessageBody], model: Model
) -> Response:
    """Answer a chat request of OpenAI's shape with `model`, streamed if it asks so."""
    info = model.info
    refuse_retrieval(info, body)
    if body.inputs and info.kind in ("embedded", "upstream"):
        raise InvalidRequest(
            f"`inputs` are for tasks, but {info.name!r} is a bare model.",
            fix="`GET /api/tasks` lists the tasks; name one as `model`.",
            param="inputs",
        )
    name = info.name
    logprobs = bool(body.logprobs)
    request = Request(
        model=name,
        messages=() if body.inputs and not turns else wire.messages(turns),
        inputs=body.inputs or {},
        sampling=wire.sampling(
            body,
            body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens,
            wire.chat_logprobs(body),
            service.runtime.settings.limits.max_tokens,
        ),
        tools=wire.tools(body),
        tool_choice=wire.tool_choice(body),
        parallel_tools=body.parallel_tool_calls,
        forwarded=wire.forwarded(body),
        retrieval=wire.retrieval(body),
        explain=bool(body.explain),
        whole=not body.stream,
        packed=bool(body.stream) and not logprobs,
        caller=caller(http),
    )
    n = body.n or 1
    events = service.choices(model, several(request, n))
    if body.stream:
        usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        return await service.stream(
            http,
            events,
            lambda begun: emit.chat_chunks(begun, name, n, logprobs=logprobs, include_usage=usage),
        )
    async with service.answering(http, events):
        answers = await emit.fold(events, n)
    return json(emit.chat_completion(name, answers, logprobs=logprobs))


def refuse_retrieval(info: ModelInfo, body: wire.SamplingBody) -> None:
    """A bare model looks nothing up; asking it to must not pass silently."""
    asked = lookup.asked(body)
    if asked is not None and info.kind in ("embedded", "upstream"):
        raise InvalidRequest(
            f"`{asked}` asks for retrieval, but {info.name!r} is a bare model.",
            fix='Use an app that looks things up, such as model "codegen".',
            param=asked,
        )


def shortened(vectors: Vectors, dimensions: int | None) -> Vectors:
    """(n, `dimensions`) rows of unit length. Raises `InvalidRequest` for more dimensions than there are."""
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    if dimensions is None or dimensions == rows.shape[1]:
        return rows
    if dimensions > rows.shape[1]:
        raise InvalidRequest(
            f"`dimensions` is {dimensions}; this model has {rows.shape[1]}.", param="dimensions"
        )
    rows = rows[:, :dimensions]
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(norms == 0, 1, norms), dtype="<f4")


def json(body: bytes) -> Response:
    return JSON(body)


class JSON(Response):
    """JSON that is encoded already."""

    media_type = "application/json"

    def __init__(self, body: bytes) -> None:
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": WHOLE, "status": 200, "headers": self.raw_headers, "body": self.body})


def _model(info: ModelInfo) -> dict[str, object]:
    return {
        "id": info.name,
        "object": "model",
        "created": info.created,
        "owned_by": "codeweft",
        "kind": info.kind,
        "description": info.description,
        "note": info.note,
        "skills": sorted(info.skills),
        "context": info.context,
    }
