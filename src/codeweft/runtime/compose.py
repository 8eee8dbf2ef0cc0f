"""Every part that settings describe, opened and tied together."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial

from codeweft.accounts import Accounts
from codeweft.config import ModelSettings, Settings
from codeweft.errors import Conflict, NotFound
from codeweft.flows import Flow, FlowSpec, Services, library, rewriting
from codeweft.jobs import Jobs
from codeweft.models.embedded import EmbeddedModel
from codeweft.models.hub import InstalledModel, installed
from codeweft.models.loaded import EngineState
from codeweft.models.openai_compatible import OpenAICompatible
from codeweft.models.pool import EndpointState, Member, Pool, PoolPolicy
from codeweft.models.prices import Prices
from codeweft.models.starter import NOTE, STARTER, bundled
from codeweft.retrieval.bridge import Bridge
from codeweft.retrieval.catalogue import Indexes, IndexRetriever
from codeweft.retrieval.encode import BundledEncoder
from codeweft.retrieval.redact import Redactor
from codeweft.retrieval.toolbox import IndexTools
from codeweft.runtime.models import Single, embedder_of, engine_options, model_of, prices_of, reranker_of
from codeweft.runtime.redacting import Redacting
from codeweft.runtime.running import Server, announce, retract
from codeweft.runtime.searching import encoder_of, stages_of
from codeweft.runtime.settings_file import SettingsFile, in_force
from codeweft.runtime.shelf import Shelf
from codeweft.runtime.state import models_folder, open_accounts, open_indexes, sign_in_policy
from codeweft.runtime.summaries import Summaries
from codeweft.runtime.updates import Updates
from codeweft.runtime.yaml_edit import Change
from codeweft.sandbox import Bubblewrap
from codeweft.types import Caller, Embedder, Embeddings, Limits, Model, ModelInfo, Reranker, Sandbox, Usage

DEFAULT_APP = "codegen"
ENCODER = "codeweft-encoder"


class LocalEmbedder:
    """The bundled static code encoder behind `/v1/embeddings`."""

    def __init__(self, encoder: BundledEncoder) -> None:
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
        self,
        settings: Settings,
        accounts: Accounts,
        jobs: Jobs,
        encoder: BundledEncoder,
        bridge: Bridge,
        file: SettingsFile | None = None,
    ) -> None:
        """Models and indexes are opened by `open_models`, then `open_indexes`.

        `settings` are those in force, `wanted` what `file` says: what needs a restart differs until there is one.
        """
        self.settings = settings
        self.accounts = accounts
        self.jobs = jobs
        self._encoder = encoder
        self._bridge = bridge
        self.prices = Prices(prices_of(settings))
        self.shelf = Shelf(
            models_folder(), self._put, self._take, mirror=settings.hub.mirror, token=settings.hub.token
        )
        self.file = file
        self.wanted = settings
        self._changing = asyncio.Lock()
        self._retired: list[Single] = []
        self._models: dict[str, Single | Pool] = {}
        self._embedders: dict[str, Embedder] = {ENCODER: LocalEmbedder(encoder)}
        self._rerankers: dict[str, Reranker] = {}
        self._apps: dict[str, FlowSpec] = library()
        if settings.index.rewrite_questions:
            self._apps = {name: rewriting(spec) for name, spec in self._apps.items()}
        self.redactor = Redactor(settings.index.allow_secrets)
        self.sandbox: Sandbox | None = sandbox_of(settings)

    @property
    def default_model(self) -> str:
        """What answers when a request names no model."""
        return DEFAULT_APP

    @property
    def default_writer(self) -> str:
        """The model that apps write with: the chosen one, else the first configured, the last pulled, or the starter."""
        return self.settings.model or next(iter(self._models))

    def infos(self) -> list[ModelInfo]:
        """Apps first, then models, then embedders. With several models, each app is listed with each of them.

        Tasks are listed once, for they are many; they take `@model` as well.
        """
        others = [name for name in self._models if name != self.default_writer]
        apps = [
            Flow(spec, self._services, writer).info
            for spec in self._apps.values()
            for writer in (None, *(() if spec.inputs else others))
        ]
        return [*apps, *(m.info for m in self._models.values()), *(e.info for e in self._embedders.values())]

    def model(self, name: str | None) -> Model:
        """The app or model of that name; `app@model` is the app with that model. Raises `NotFound`."""
        name = name or self.default_model
        app, _, writer = name.partition("@")
        if app in self._apps and (not writer or writer in self._models):
            return Flow(self._apps[app], self._services, writer or None)
        if name in self._models:
            return self._guarded(self._models[name])
        raise NotFound(
            f"There is no model or app called {name!r}.",
            fix=f"There is: {', '.join([*self._apps, *self._models])}. `codeweft models pull NAME` fetches more.",
            param="model",
        )

    def writer_info(self, name: str) -> ModelInfo | None:
        """What the model that wrote an answer is; None when it is not one of ours."""
        model = self._models.get(name)
        return None if model is None else model.info

    def tasks(self) -> list[FlowSpec]:
        """The apps that take inputs beside a conversation."""
        return [spec for spec in self._apps.values() if spec.inputs]

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

    def reranker(self, name: str) -> Reranker:
        """The re-ranking model of that name. Raises `NotFound`."""
        found = self._rerankers.get(name)
        if found is None:
            raise NotFound(
                f"There is no re-ranking model called {name!r}.",
                fix=f"There is: {', '.join(self._rerankers) or 'none'}. Give one of `models` the line `reranks: true`.",
            )
        return found

    def writer(self, name: str | None) -> Model:
        """The model of that name, without an app around it (None: the one that apps write with). Raises `NotFound`."""
        return self._writer(name)

    def engines(self) -> list[EngineState]:
        """The embedded engines and how they are."""
        return [model.state for model in self._models.values() if isinstance(model, EmbeddedModel)]

    def engine(self, name: str) -> EmbeddedModel:
        """The embedded model of that name. Raises `NotFound`."""
        model = self._models.get(name)
        if not isinstance(model, EmbeddedModel):
            names = ", ".join(state.name for state in self.engines())
            raise NotFound(f"No engine on this machine runs {name!r}.", fix=f"There is: {names}.")
        return model

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

    def open_indexes(self) -> None:
        """Open the indexes with the encoder and the stages that settings choose. Raises `NotFound` for their models."""
        encoder = encoder_of(self.settings, self, self._bridge, self._encoder)
        stages = stages_of(self.settings, self, self._bridge)
        self.summaries = Summaries(self.settings, self.jobs, self.writer, self._bridge, self.prices)
        self.indexes = open_indexes(self.settings, encoder, stages, self.summaries.found)
        self.summaries.indexes = self.indexes
        self.updates = Updates(
            self.jobs,
            self.indexes,
            self.summaries.updated,
            watch=self.settings.index.watch,
            refresh_minutes=self.settings.index.refresh_minutes,
        )
        self._services = replace(self._services_over(self.indexes), narrowed=self._services_of)

    def readable(self, caller: Caller) -> Indexes:
        """The indexes that `caller` may read; the others do not exist there."""
        return self.indexes.seen_by(partial(self.accounts.may_read, caller.user))

    def _services_of(self, caller: Caller) -> Services:
        return self._services_over(self.readable(caller))

    def _services_over(self, indexes: Indexes) -> Services:
        retriever = IndexRetriever(indexes)
        return Services(self._writer, retriever, retriever, partial(IndexTools, indexes), self.sandbox)

    def _writer(self, name: str | None) -> Model:
        name = name or self.default_writer
        _existing(name, self._models)
        return self._guarded(self._models[name])

    def _guarded(self, model: Single | Pool, settings: Settings | None = None) -> Model:
        """The model, kept from the secrets in what it is asked if the settings say so. A pool's members are guarded."""
        wanted = (settings or self.settings).redact_prompts
        local = isinstance(model, EmbeddedModel) and wanted == "remote"
        if wanted == "never" or local or isinstance(model, Pool):
            return model
        return Redacting(model, self.redactor)

    async def open_models(self, stack: AsyncExitStack) -> None:
        """Make the models that settings and the models folder name; nothing is loaded yet.

        Raises `NotFound` when the settings choose a default model that there is not.
        """
        for name, entry in self.settings.all_models().items():
            if entry.embeddings:
                self._embedders[name] = embedder = embedder_of(self.settings, name, entry)
                stack.push_async_callback(embedder.close)
            elif entry.reranks:
                self._rerankers[name] = reranker = reranker_of(self.settings, name, entry)
                stack.push_async_callback(reranker.close)
        stack.push_async_callback(self._close_models)
        self._models = self._lined_up(self.settings)

    async def change_settings(self, changes: Sequence[Change]) -> None:
        """Write settings into the file, and put those in force that need no restart.

        All of it or, when it raises, nothing: `InvalidRequest`, `NotFound` for a model that is named and not there,
        `Conflict` for a file that cannot be changed, `StorageFailed`.
        """
        async with self._changing:
            if self.file is None:
                raise Conflict(
                    "This server was started without a settings file.", fix="Use `codeweft serve`."
                )
            edit = await asyncio.to_thread(self.file.edit, changes)
            settings = in_force(self.settings, edit.settings)
            self._lined_up(settings, self.settings)
            await asyncio.to_thread(self.file.write, edit)
            # Once more: meanwhile a model may have been pulled.
            before, self._models = self._models, self._lined_up(settings, self.settings)
            self.settings, self.wanted = settings, edit.settings
            for old in before.values():
                if isinstance(old, Pool) or old in self._models.values():
                    continue
                # An answer that is being written keeps its endpoint, which is closed with the server; an engine
                # would keep the machine's memory.
                self._retired.append(old)
                if isinstance(old, EmbeddedModel):
                    await old.close()
            self.prices.set_own(prices_of(settings))
            self.shelf.set_hub(settings.hub.mirror, settings.hub.token)
            await self.accounts.adopt(sign_in_policy(settings))

    def _lined_up(self, settings: Settings, before: Settings | None = None) -> dict[str, Single | Pool]:
        """The models of `settings`, those of the models folder, the starter and pools, in the order in which one of
        them is the default. What is as it was `before` is the one that is there already.

        Raises `NotFound` when a pool or the default names a model that there is not.
        """
        configured = settings.all_models()
        known = {} if before is None else before.all_models()
        pooled, was_pooled = _pooled(configured), _pooled(known)
        models: dict[str, Single | Pool] = {}
        for name, entry in configured.items():
            if entry.pool is None and not entry.embeddings and not entry.reranks:
                same = known.get(name) == entry and (name in pooled) == (name in was_pooled)
                models[name] = (
                    self._models[name] if same else model_of(settings, name, entry, pooled=name in pooled)
                )
        there = {name: model for name, model in self._models.items() if name not in known}
        for found in sorted(installed(models_folder()), key=lambda model: -model.pulled):
            models.setdefault(found.name, there.get(found.name) or self._pulled(found))
        if STARTER not in models:
            models[STARTER] = there.get(STARTER) or EmbeddedModel(
                STARTER, bundled(), options=engine_options(settings), note=NOTE
            )
        guarded = before is not None and before.redact_prompts == settings.redact_prompts
        for name, entry in configured.items():
            if entry.pool is None:
                continue
            for needed in (*entry.pool, *entry.fallback):
                _existing(needed, models)
            same = guarded and known.get(name) == entry
            if same and all(models[one] is self._models.get(one) for one in entry.pool):
                models[name] = self._models[name]
            else:
                models[name] = self._pool_of(name, entry, [models[one] for one in entry.pool], settings)
        if settings.model is not None:
            _existing(settings.model, models)
        return models

    async def _close_models(self) -> None:
        await self.shelf.close()
        for model in (*self._models.values(), *self._retired):
            if not isinstance(model, Pool):
                await model.close()

    def _pulled(self, found: InstalledModel) -> EmbeddedModel:
        return EmbeddedModel(found.name, found.path, options=engine_options(self.settings))

    def _put(self, found: InstalledModel) -> None:
        """Let a model answer that was pulled while the server runs: behind those that settings name, before the others."""
        if found.name in self._models:
            return
        configured = self.settings.all_models()
        first = {name: model for name, model in self._models.items() if name in configured}
        # Another thread may be going through the old ones.
        self._models = first | {found.name: self._pulled(found)} | self._models

    def _take(self, name: str) -> EmbeddedModel | None:
        """Let a pulled model answer no more. Raises `Conflict` for one that settings need."""
        configured = self.settings.all_models()
        needed = {self.settings.model, *configured}
        for entry in configured.values():
            needed.update((*(entry.pool or ()), *entry.fallback))
        if name in needed:
            raise Conflict(
                f"The settings use {name}.",
                fix="Take it out of codeweft.yaml and start again, then delete it.",
            )
        model = self._models.get(name)
        if not isinstance(model, EmbeddedModel):
            return None
        self._models = {other: one for other, one in self._models.items() if other != name}
        return model

    def _pool_of(
        self, name: str, entry: ModelSettings, members: Sequence[Single | Pool], settings: Settings
    ) -> Pool:
        configured = settings.all_models()
        named = zip(entry.pool or (), members, strict=True)
        return Pool(
            name,
            [
                Member(
                    self._guarded(model, settings), configured[one].parallel if one in configured else None
                )
                for one, model in named
            ],
            fallbacks=[partial(self._writer, fallback) for fallback in entry.fallback],
            policy=PoolPolicy(entry.attempts, entry.cooldown_s, entry.first_token_s, settings.engine.queue),
        )


def _pooled(models: Mapping[str, ModelSettings]) -> set[str]:
    """The models that answer under the name of a pool."""
    return {member for entry in models.values() for member in entry.pool or ()}


def _existing(name: str, models: Collection[str]) -> None:
    """Raises `NotFound` for a model that there is not."""
    if name not in models:
        raise NotFound(f"There is no model called {name!r}.", fix=f"There is: {', '.join(models)}.")


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


def sandbox_of(settings: Settings) -> Bubblewrap | None:
    """Where code of answers is checked; None when the settings say that none is."""
    wanted = settings.sandbox
    if not wanted.enabled:
        return None
    limits = Limits(
        seconds=wanted.seconds, cpu_seconds=math.ceil(wanted.seconds / 3), memory_mb=wanted.memory_mb
    )
    return Bubblewrap(parallel=wanted.parallel, folders=wanted.folders, limits=limits)


@asynccontextmanager
async def open_runtime(settings: Settings, file: SettingsFile | None = None) -> AsyncIterator[Runtime]:
    """Open everything that `settings` describe; leaving the block stops the engines and closes the rest.

    `file` is where they come from, and where changes of them are kept; without one they cannot be changed.
    """
    async with AsyncExitStack() as stack:
        accounts = await stack.enter_async_context(open_accounts(settings))
        encoder = BundledEncoder()
        jobs = Jobs()
        stack.callback(jobs.close)
        stack.callback(retract)
        runtime = Runtime(settings, accounts, jobs, encoder, Bridge(asyncio.get_running_loop()), file)
        await runtime.open_models(stack)
        runtime.open_indexes()
        yield runtime
