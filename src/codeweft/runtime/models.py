"""Models as settings describe them, made one by one."""

from __future__ import annotations

from typing import Protocol, TypedDict, TypeVar
from urllib.parse import urlsplit

from codeweft.config import ModelSettings, Settings
from codeweft.errors import InvalidRequest, NotFound
from codeweft.models.anthropic import AnthropicModel
from codeweft.models.bedrock import BedrockModel
from codeweft.models.embedded import EmbeddedModel
from codeweft.models.embedder import EmbeddedEmbedder
from codeweft.models.openai_compatible import OpenAICompatible, OpenAIEmbedder
from codeweft.models.plan import EngineOptions
from codeweft.models.reranker import EmbeddedReranker, OpenAIReranker
from codeweft.models.upstream import ATTEMPTS
from codeweft.retrieval.redact import Redactor
from codeweft.runtime.redacting import Redacting
from codeweft.runtime.running import running
from codeweft.types import Embedder, Model, Price, Reranker, Skills

Single = EmbeddedModel | OpenAICompatible | AnthropicModel | BedrockModel
"""A model that is no pool."""


def prices_of(settings: Settings) -> dict[str, Price]:
    """Own prices by model name."""
    return {name: Price(one.input, one.output, one.cached) for name, one in settings.prices.items()}


def engine_options(settings: Settings, entry: ModelSettings | None = None) -> EngineOptions:
    """How the engine runs a model; its own entry wins over the engine's defaults."""
    engine = settings.engine
    return EngineOptions(
        python=engine.python,
        threads=(entry and entry.threads) or engine.threads,
        parallel=(entry and entry.parallel) or engine.parallel,
        queue=engine.queue,
        context=(entry and entry.context) or engine.context,
        cache_mb=engine.cache_mb,
        idle_seconds=engine.idle_seconds,
        gpu_layers=entry.gpu_layers if entry else None,
        default_max_tokens=settings.limits.default_max_tokens,
    )


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


def model_of(settings: Settings, name: str, entry: ModelSettings, *, pooled: bool = False) -> Single:
    """A model that writes. `pooled` says that it is one of several that answer under one name."""
    skills = frozenset(entry.skills) if entry.skills else None
    if entry.path is not None:
        options = engine_options(settings, entry)
        return EmbeddedModel(name, entry.path, options=options, family=entry.family, skills=skills)
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
        limit = settings.limits.default_max_tokens
        return AnthropicModel(name, entry.base_url, default_max_tokens=limit, **endpoint)
    return OpenAICompatible(name, entry.base_url, family=entry.family, **endpoint)


def embedder_of(settings: Settings, name: str, entry: ModelSettings) -> EmbeddedEmbedder | OpenAIEmbedder:
    """A model that makes embeddings."""
    if entry.path is not None:
        return EmbeddedEmbedder(name, entry.path, options=engine_options(settings, entry))
    assert entry.base_url is not None
    return OpenAIEmbedder(
        name, entry.base_url, api_key=entry.api_key, model=entry.model or name, timeout=entry.timeout
    )


def reranker_of(settings: Settings, name: str, entry: ModelSettings) -> EmbeddedReranker | OpenAIReranker:
    """A model that re-ranks."""
    if entry.path is not None:
        return EmbeddedReranker(name, entry.path, options=engine_options(settings, entry))
    assert entry.base_url is not None
    return OpenAIReranker(
        name, entry.base_url, api_key=entry.api_key, model=entry.model or name, timeout=entry.timeout
    )


class _Closable(Protocol):
    async def close(self) -> None: ...


_Opened = TypeVar("_Opened", bound=_Closable)


class Alone:
    """Models for a command that opens no runtime: those on files are asked of the running server, if there is one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server = running()
        self._opened: list[_Closable] = []

    def embedder(self, name: str) -> Embedder:
        """The embedding model of that name. Raises `NotFound`."""
        entry = self._entry(name)
        if entry.path is not None and self._server is not None:
            url = f"{self._server.url}/v1"
            return self._kept(OpenAIEmbedder(name, url, api_key=self._server.key, model=name))
        return self._kept(embedder_of(self._settings, name, entry))

    def reranker(self, name: str) -> Reranker:
        """The re-ranking model of that name. Raises `NotFound`."""
        return self._kept(reranker_of(self._settings, name, self._entry(name)))

    def writer(self, name: str | None) -> Model:
        """The chat model of that name. Raises `NotFound`."""
        assert name is not None
        if self._server is not None:
            url, key = f"{self._server.url}/v1", self._server.key
            return self._kept(OpenAICompatible(name, url, api_key=key, model=name, codeweft=True))
        entry = self._entry(name)
        if entry.pool is not None:
            raise InvalidRequest(
                f"The model {name!r} is a pool, which only a running server has.",
                fix="Start `codeweft serve`, or name one model of the pool for searching.",
            )
        model = self._kept(model_of(self._settings, name, entry))
        wanted = self._settings.redact_prompts
        if wanted == "never" or (isinstance(model, EmbeddedModel) and wanted == "remote"):
            return model
        return Redacting(model, Redactor(self._settings.index.allow_secrets))

    async def close(self) -> None:
        """Close connections and end engines."""
        for one in self._opened:
            await one.close()

    def _kept(self, opened: _Opened) -> _Opened:
        self._opened.append(opened)
        return opened

    def _entry(self, name: str) -> ModelSettings:
        entry = self._settings.all_models().get(name)
        if entry is None:
            raise NotFound(
                f"The settings name the model {name!r} for searching, and `models` has no such entry.",
                fix=f"Add it to `models`; there is: {', '.join(self._settings.all_models()) or 'none'}.",
            )
        return entry


def check_kinds(settings: Settings) -> None:
    """Raises `InvalidRequest` when a model for searching is not of the kind it is used as."""
    models, index = settings.all_models(), settings.index
    uses = (
        ("index.encoder", index.encoder and index.encoder.model, "embeddings"),
        (
            "index.reranker",
            index.reranker.model if index.reranker and index.reranker.kind == "cross" else None,
            "reranks",
        ),
    )
    for setting, name, flag in uses:
        entry = models.get(name) if name else None
        if entry is not None and not getattr(entry, flag):
            raise InvalidRequest(
                f"`{setting}` names the model {name!r}, which does not say `{flag}: true`.",
                fix=f"Add `{flag}: true` to `models.{name}`.",
            )
