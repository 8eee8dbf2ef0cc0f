"""Every part that settings describe, opened and tied together."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypedDict
from urllib.parse import urlsplit

from codeweft.accounts import Accounts
from codeweft.config import ModelSettings, Settings
from codeweft.errors import NotFound
from codeweft.flows import Flow, FlowSpec, Services, library
from codeweft.jobs import Jobs
from codeweft.models.anthropic import AnthropicModel
from codeweft.models.bedrock import BedrockModel
from codeweft.models.embedded import EmbeddedModel
from codeweft.models.embedder import EmbeddedEmbedder
from codeweft.models.hub import installed
from codeweft.models.loaded import EngineState
from codeweft.models.openai_compatible import OpenAICompatible, OpenAIEmbedder
from codeweft.models.plan import EngineOptions
from codeweft.models.pool import EndpointState, Member, Pool, PoolPolicy
from codeweft.models.starter import NOTE, STARTER, bundled
from codeweft.models.upstream import ATTEMPTS
from codeweft.retrieval.catalogue import Indexes, IndexRetriever
from codeweft.retrieval.encode import StaticEncoder
from codeweft.runtime.running import Server, announce, retract
from codeweft.runtime.state import models_folder, open_accounts, open_indexes
from codeweft.types import Embedder, Embeddings, Model, ModelInfo, Skills, Usage

DEFAULT_APP = "codegen"
ENCODER = "codeweft-encoder"


Single = EmbeddedModel | OpenAICompatible | AnthropicModel | BedrockModel
"""A model that is no pool."""


class Endpoint(TypedDict):
    """What all models behind an endpoint are made with."""

    api_key: str | None
    model: str
    skills: Skills | None
    context: int | None
    timeout: float
    attempts: int


def spoken_at(base_url: str) -> str:
    """The protocol of an endpoint by its address."""
    return "anthropic" if urlsplit(base_url).hostname == "api.anthropic.com" else "openai"


class LocalEmbedder:
    """The bundled static code encoder behind `/v1/embeddings`."""

    def __init__(self, encoder: StaticEncoder) -> None:
        self._encoder = encoder

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            ENCODER,
            "embedded",
            frozenset({"embeddings"}),
            f"Static code encoder, {self._encoder.dimensions} dimensions.",
        )

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        words = sum(len(text.split()) for text in texts)
        return Embeddings(self._encoder.encode(texts), Usage(prompt_tokens=words, estimated=True))


class Runtime:
    """Everything that answers, by name. Open with `open_runtime`."""

    def __init__(
        self, settings: Settings, accounts: Accounts, jobs: Jobs, indexes: Indexes, encoder: StaticEncoder
    ) -> None:
        self.settings = settings
        self.accounts = accounts
        self.jobs = jobs
        self.indexes = indexes
        self._models: dict[str, Single | Pool] = {}
        self._embedders: dict[str, Embedder] = {ENCODER: LocalEmbedder(encoder)}
        self._apps: dict[str, FlowSpec] = library()
        self._services = Services(self._writer, IndexRetriever(indexes))

    @property
    def default_model(self) -> str:
        """What answers when a request names no model."""
        return DEFAULT_APP

    @property
    def default_writer(self) -> str:
        """The model that apps write with: the chosen one, else the first configured, the last pulled, or the starter."""
        return self.settings.model or next(iter(self._models))

    def infos(self) -> list[ModelInfo]:
        """Apps first, then models, then embedders. With several models, each app is listed with each of them."""
        writers = [None, *(name for name in self._models if name != self.default_writer)]
        apps = [Flow(spec, self._services, writer).info for spec in self._apps.values() for writer in writers]
        return [*apps, *(m.info for m in self._models.values()), *(e.info for e in self._embedders.values())]

    def model(self, name: str | None) -> Model:
        """The app or model of that name; `app@model` is the app with that model. Raises `NotFound`."""
        name = name or self.default_model
        app, _, writer = name.partition("@")
        if app in self._apps and (not writer or writer in self._models):
            return Flow(self._apps[app], self._services, writer or None)
        if name in self._models:
            return self._models[name]
        raise NotFound(
            f"There is no model or app called {name!r}.",
            fix=f"There is: {', '.join([*self._apps, *self._models])}. `codeweft models pull NAME` fetches more.",
            param="model",
        )

    def embedder(self, name: str | None) -> Embedder:
        """The embedder of that name (None: the bundled encoder). Raises `NotFound`."""
        found = self._embedders.get(name or ENCODER)
        if found is None:
            raise NotFound(
                f"There is no embedding model called {name!r}.",
                fix=f"There is: {', '.join(self._embedders)}.",
                param="model",
            )
        return found

    def engines(self) -> list[EngineState]:
        """The embedded engines and how they are."""
        return [model.state for model in self._models.values() if isinstance(model, EmbeddedModel)]

    def pools(self) -> dict[str, list[EndpointState]]:
        """The endpoints of each pool and how they are."""
        return {name: model.states() for name, model in self._models.items() if isinstance(model, Pool)}

    async def announce(self, url: str, key: str | None) -> None:
        """Let commands of this user find the server at `url`, and admit `key` while it runs. Raises `StorageFailed`."""
        admin = await self.accounts.admin()
        announce(Server(url, os.getpid(), self.accounts.admit(admin)))
        if key is not None:
            self.accounts.admit(admin, key)

    async def start(self) -> None:
        """Load the default model, so that the first answer does not wait for it. Raises `EngineFailed`."""
        writer = self._models[self.default_writer]
        if isinstance(writer, EmbeddedModel):
            await writer.start()

    def local(self) -> Local:
        return Local(self)

    def _writer(self, name: str | None) -> Model:
        name = name or self.default_writer
        if name not in self._models:
            raise NotFound(f"There is no model called {name!r}.", fix=f"There is: {', '.join(self._models)}.")
        return self._models[name]

    async def open_models(self, stack: AsyncExitStack) -> None:
        """Make the models that settings and the models folder name; nothing is loaded yet.

        Raises `NotFound` when the settings choose a default model that there is not.
        """
        configured = self.settings.all_models()
        pooled = {member for entry in configured.values() for member in entry.pool or ()}
        for name, entry in configured.items():
            if entry.pool is not None:
                continue
            if entry.embeddings:
                self._embedders[name] = self._embedder_of(name, entry, stack)
            else:
                self._models[name] = self._model_of(name, entry, pooled=name in pooled)
        for found in sorted(installed(models_folder()), key=lambda model: -model.pulled):
            if found.name not in self._models:
                self._models[found.name] = EmbeddedModel(found.name, found.path, options=self._options())
        if STARTER not in self._models:
            self._models[STARTER] = EmbeddedModel(STARTER, bundled(), options=self._options(), note=NOTE)
        for model in self._models.values():
            if not isinstance(model, Pool):
                stack.push_async_callback(model.close)
        for name, entry in configured.items():
            if entry.pool is not None:
                self._models[name] = self._pool_of(name, entry, entry.pool)
        if self.settings.model is not None:
            self._writer(self.settings.model)

    def _pool_of(self, name: str, entry: ModelSettings, members: Sequence[str]) -> Pool:
        configured = self.settings.all_models()
        for fallback in entry.fallback:
            self._writer(fallback)
        return Pool(
            name,
            [
                Member(self._writer(one), configured[one].parallel if one in configured else None)
                for one in members
            ],
            fallbacks=[partial(self._writer, fallback) for fallback in entry.fallback],
            policy=PoolPolicy(
                entry.attempts, entry.cooldown_s, entry.first_token_s, self.settings.engine.queue
            ),
        )

    def _model_of(self, name: str, entry: ModelSettings, *, pooled: bool = False) -> Single:
        skills = frozenset(entry.skills) if entry.skills else None
        if entry.path is not None:
            return EmbeddedModel(
                name, entry.path, options=self._options(entry), family=entry.family, skills=skills
            )
        endpoint = Endpoint(
            api_key=entry.api_key,
            model=entry.model or name,
            skills=skills,
            context=entry.context,
            timeout=entry.timeout,
            # In a pool the next endpoint is asked rather than the same one again.
            attempts=1 if pooled else ATTEMPTS,
        )
        if entry.region is not None:
            return BedrockModel(name, region=entry.region, base_url=entry.base_url, **endpoint)
        assert entry.base_url is not None
        if (entry.protocol or spoken_at(entry.base_url)) == "anthropic":
            limit = self.settings.limits.default_max_tokens
            return AnthropicModel(name, entry.base_url, default_max_tokens=limit, **endpoint)
        return OpenAICompatible(name, entry.base_url, family=entry.family, **endpoint)

    def _embedder_of(self, name: str, entry: ModelSettings, stack: AsyncExitStack) -> Embedder:
        if entry.path is not None:
            local = EmbeddedEmbedder(name, entry.path, options=self._options(entry))
            stack.push_async_callback(local.close)
            return local
        assert entry.base_url is not None
        remote = OpenAIEmbedder(name, entry.base_url, api_key=entry.api_key, model=entry.model or name)
        stack.push_async_callback(remote.close)
        return remote

    def _options(self, entry: ModelSettings | None = None) -> EngineOptions:
        engine = self.settings.engine
        return EngineOptions(
            python=engine.python,
            threads=(entry and entry.threads) or engine.threads,
            parallel=(entry and entry.parallel) or engine.parallel,
            queue=engine.queue,
            context=(entry and entry.context) or engine.context,
            cache_mb=engine.cache_mb,
            idle_seconds=engine.idle_seconds,
            gpu_layers=entry.gpu_layers if entry else None,
            default_max_tokens=self.settings.limits.default_max_tokens,
        )


class Remote:
    """The models of a running server, over its own OpenAI protocol. Use as `async with`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Remote:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def model(self, name: str | None) -> Model:
        asked = name or DEFAULT_APP
        model = OpenAICompatible(
            asked, f"{self._server.url}/v1", api_key=self._server.key, model=asked, codeweft=True
        )
        self._stack.push_async_callback(model.close)
        return model

    async def infos(self) -> Sequence[ModelInfo]:
        return await OpenAICompatible.list_models(f"{self._server.url}/v1", self._server.key)


class Local:
    """The models of this process, as the command line asks for them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def model(self, name: str | None) -> Model:
        return self._runtime.model(name)

    async def infos(self) -> Sequence[ModelInfo]:
        return self._runtime.infos()


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Open everything that `settings` describe; leaving the block stops the engines and closes the rest."""
    async with AsyncExitStack() as stack:
        accounts = await stack.enter_async_context(open_accounts())
        encoder = StaticEncoder.load()
        jobs = Jobs()
        stack.callback(jobs.close)
        stack.callback(retract)
        runtime = Runtime(settings, accounts, jobs, open_indexes(settings, encoder), encoder)
        await runtime.open_models(stack)
        yield runtime
