"""Endpoints and pools of the settings over HTTP: listing, trying, saving, removing them. For administrators."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter
from fastapi import Path as InPath
from pydantic import Field, SecretStr

from codeweft import config
from codeweft.config import ModelSettings, PriceSettings, Settings
from codeweft.errors import CodeweftError, Conflict, InvalidRequest, NotFound
from codeweft.models.openai_compatible import OpenAICompatible
from codeweft.runtime.compose import Runtime
from codeweft.runtime.models import model_of, spoken_at
from codeweft.runtime.settings_file import is_live
from codeweft.runtime.yaml_edit import GONE, Change
from codeweft.server.deps import Admin, ByAdmin
from codeweft.server.settings import check_variables
from codeweft.server.views import Body, Name, Problem, View
from codeweft.stream import fold
from codeweft.types import Message, Request, Sampling, Skill

TEST_SECONDS: Final = 30
TEST_TOKENS: Final = 16
OWN_FIELDS: Final = (
    "protocol", "base_url", "region", "model", "context", "parallel", "timeout", "skills", "pool", "fallback",
    "attempts", "cooldown_s", "first_token_s",
)  # fmt: skip
"""What the form writes of an entry; what else is written there by hand stays."""
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)[^}]*\}")

Protocol = Literal["openai", "anthropic", "bedrock"]
Url = Annotated[str, Field(pattern=r"^https?://[^\s@${}]+$", max_length=2000)]


class PriceView(View):
    """USD per million tokens."""

    input: float
    output: float
    cached: float | None


class EndpointView(View):
    """An endpoint, or a pool of models, as the settings describe it. Its key is never told."""

    name: str
    kind: Literal["endpoint", "pool"]
    protocol: Protocol | None
    base_url: str | None
    region: str | None
    key: Literal["none", "saved", "environment"]
    key_variable: str = Field(description="The environment variable that the key is read from, or empty.")
    model: str | None = Field(description="Its name at the endpoint; null for the same as here.")
    context: int | None
    parallel: int | None
    timeout: float
    skills: list[Skill] | None
    pool: list[str] | None
    fallback: list[str]
    attempts: int
    cooldown_s: float
    first_token_s: float | None
    price: PriceView | None = Field(description="Own price; null when it is looked up.")
    default: bool = Field(description="Whether apps write with it, as the settings say.")
    used_by: list[str] = Field(description="Settings that name it, so that it cannot be removed.")


class EndpointsView(View):
    refusal: str = Field(description="Why none can be saved; empty when they can.")
    path: str
    models: list[str] = Field(description="What a pool may be made of.")
    endpoints: list[EndpointView]


class EndpointBody(Body):
    """What is not given is as it is by default."""

    protocol: Protocol | None = None
    base_url: Url | None = None
    region: str | None = Field(None, min_length=1, max_length=100)
    api_key: SecretStr | None = Field(
        None,
        description="null keeps the key that is saved, unless the address is another; empty takes it away.",
    )
    model: str | None = Field(None, min_length=1, max_length=300)
    context: int | None = Field(None, gt=0)
    parallel: int | None = Field(None, gt=0, le=256)
    timeout: float | None = Field(None, gt=0, description="Seconds to wait for the next bytes.")
    skills: list[Skill] | None = None
    pool: list[str] | None = Field(None, min_length=1, max_length=100)
    fallback: list[str] = Field(default_factory=list, max_length=100)
    attempts: int | None = Field(None, ge=1, le=20)
    cooldown_s: float | None = Field(None, ge=0)
    first_token_s: float | None = Field(None, gt=0)
    price: PriceSettings | None = None
    default: bool | None = Field(None, description="Whether apps write with it; null leaves that as it is.")


class TrialBody(Body):
    protocol: Protocol | None = None
    base_url: Url | None = None
    region: str | None = Field(None, min_length=1, max_length=100)
    api_key: SecretStr | None = None
    model: str | None = Field(None, max_length=300, description="Asked for a few words, when it is given.")
    saved: str | None = Field(
        None, max_length=200, description="An endpoint of the settings, whose key is used at its own address."
    )


class TrialView(View):
    """What an endpoint answered."""

    ok: bool
    models: list[str]
    answer: str | None
    seconds: float
    error: Problem | None


InName = Annotated[Name, InPath()]


def endpoint_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["endpoints"])

    def raw() -> dict[str, Any]:
        return runtime.file.raw() if runtime.file else {}

    def listed() -> EndpointsView:
        file, settings = runtime.file, runtime.settings
        written = raw()
        found = settings.all_models()
        return EndpointsView(
            refusal=file.refusal() if file else "This server was started without a settings file.",
            path=str(file.path if file else config.settings_path()),
            models=[info.name for info in runtime.infos() if info.kind in ("embedded", "upstream")
                    and not (info.name in found and found[info.name].pool)
                    and info.skills & {"chat", "completion"}],
            endpoints=[
                _view(name, entry, settings, _raw_entry(written, name))
                for name, entry in found.items()
                if is_live(entry)
            ],
        )  # fmt: skip

    @routes.get("/endpoints")
    def list_endpoints(_: Admin) -> EndpointsView:
        """The endpoints and pools of the settings. For administrators."""
        return listed()

    @routes.put("/endpoints/{name}")
    async def save_endpoint(name: InName, body: EndpointBody, by: ByAdmin) -> EndpointsView:
        """Add an endpoint or a pool, or change one; it answers at once. For administrators."""
        # What was written by hand since the start counts as well.
        now = await asyncio.to_thread(runtime.file.edit, ()) if runtime.file else None
        old = (now.settings if now else runtime.settings).all_models().get(name)
        _check_name(runtime, name, old)
        written = raw()
        changes = _changes(name, body, old, written)
        for change in changes:
            # A key that is kept stays with whom it was given to; `_key` sees to that.
            kept = change.path[-1] == "api_key" and body.api_key is None
            check_variables(runtime.settings, change.value, change.value if kept else None)
        await runtime.change_settings(changes)
        told = body.model_dump(mode="json", exclude_defaults=True, exclude={"api_key"})
        key = {} if body.api_key is None else {"api_key": "changed"}
        action = "endpoint.add" if old is None else "endpoint.change"
        await runtime.accounts.people.note(by, action, name, **told, **key)
        return listed()

    @routes.delete("/endpoints/{name}")
    async def remove_endpoint(name: str, by: ByAdmin) -> EndpointsView:
        """Take an endpoint or a pool out of the settings. For administrators."""
        settings = runtime.settings
        if not is_live(settings.all_models().get(name)):
            raise NotFound(f"There is no endpoint {name!r}.", fix="It may have been removed already.")
        if users := _used_by(settings, name):
            raise Conflict(f"{name} is used by {', '.join(users)}.", fix="Take it out there first.")
        changes = [Change(("models", name), GONE), Change(("prices", name), GONE)]
        if settings.base_url is not None and settings.model == name:
            changes += [Change((key,), GONE) for key in ("base_url", "api_key")]
        if settings.model == name:
            changes.append(Change(("model",), GONE))
        await runtime.change_settings(changes)
        await runtime.accounts.people.note(by, "endpoint.remove", name)
        return listed()

    @routes.post("/endpoints/test")
    async def test_endpoint(body: TrialBody, _: Admin) -> TrialView:
        """Ask an endpoint what it offers and, of one model, a few words. Nothing is saved. For administrators."""
        key = None
        if body.api_key is not None:
            check_variables(runtime.settings, body.api_key.get_secret_value())
            key = config.expand(body.api_key.get_secret_value().strip(), "The key") or None
        elif body.saved is not None:
            saved = runtime.settings.all_models().get(body.saved)
            if saved is not None and _same_place(saved, body.base_url, body.region):
                key = saved.api_key
        return await _tried(runtime.settings, body, key)

    return routes


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────


def _raw_entry(written: dict[str, Any], name: str) -> dict[str, Any]:
    """What the file says of a model, in its long form or its short one."""
    entry = (written.get("models") or {}).get(name)
    if isinstance(entry, dict):
        return entry
    return written if written.get("model") == name and written.get("base_url") else {}


def _view(name: str, entry: ModelSettings, settings: Settings, written: dict[str, Any]) -> EndpointView:
    variable = _VARIABLE.fullmatch(str(written.get("api_key") or ""))
    price = settings.prices.get(name)
    url = entry.base_url
    return EndpointView(
        name=name,
        kind="pool" if entry.pool else "endpoint",
        protocol=entry.protocol or (spoken_at(url) if url else None),
        base_url=url and re.sub(r"//[^/@]*@", "//", url),
        region=entry.region,
        key="none" if not entry.api_key else "environment" if variable else "saved",
        key_variable=variable[1] if variable else "",
        model=entry.model,
        context=entry.context,
        parallel=entry.parallel,
        timeout=entry.timeout,
        skills=entry.skills,
        pool=entry.pool,
        fallback=entry.fallback,
        attempts=entry.attempts,
        cooldown_s=entry.cooldown_s,
        first_token_s=entry.first_token_s,
        price=None if price is None else PriceView(**price.model_dump()),
        default=settings.model == name,
        used_by=_used_by(settings, name),
    )


def _used_by(settings: Settings, name: str) -> list[str]:
    """Settings beside `model` that name a model."""
    index = settings.index
    of_index = {
        "index.encoder": index.encoder,
        "index.reranker": index.reranker,
        "index.translate": index.translate,
    }
    return [
        *(f"models.{other}" for other, entry in settings.all_models().items()
          if name in (*(entry.pool or ()), *entry.fallback)),
        *(setting for setting, section in of_index.items() if section is not None and section.model == name),
        *(["summaries.models"] if name in settings.summaries.models else []),
    ]  # fmt: skip


# ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────


def _check_name(runtime: Runtime, name: str, old: ModelSettings | None) -> None:
    """Raises `Conflict` for a name that something else has."""
    if is_live(old):
        return
    if old is not None or any(info.name == name for info in runtime.infos()):
        raise Conflict(f"There is a model or app called {name!r} already.", fix="Choose another name.")


def _changes(
    name: str, body: EndpointBody, old: ModelSettings | None, written: dict[str, Any]
) -> list[Change]:
    """What saving this form changes in the file. Raises `InvalidRequest`."""
    if body.pool is not None and (body.base_url or body.region or body.api_key):
        raise InvalidRequest("A pool has no address and no key of its own.", param="pool")
    if not (body.pool or body.base_url or body.region):
        raise InvalidRequest("An endpoint needs an address.", fix="Give `base_url`, or a region of Bedrock.")
    told = body.model_dump(mode="json", exclude={"api_key", "price", "default"})
    usual = {
        field: info.get_default(call_default_factory=True)
        for field, info in ModelSettings.model_fields.items()
    }
    changes = [
        Change(("models", name, field), GONE if told[field] in (None, usual[field]) else told[field])
        for field in OWN_FIELDS
    ]  # fmt: skip
    key = _key(body, old, _raw_entry(written, name).get("api_key"))
    # What is there comes first, so that an entry never holds nothing on the way.
    changes.append(Change(("models", name, "api_key"), key))
    changes.sort(key=lambda change: change.value is GONE)
    if written.get("base_url") and written.get("model") == name:
        # The short form has no room for the rest.
        changes += [Change((top,), GONE) for top in ("base_url", "api_key")]
    price = None if body.price is None else body.price.model_dump(exclude_none=True)
    changes.append(Change(("prices", name), GONE if price is None else price))
    if body.default:
        changes.append(Change(("model",), name))
    elif body.default is False and written.get("model") == name:
        changes.append(Change(("model",), GONE))
    return changes


def _key(body: EndpointBody, old: ModelSettings | None, written: object) -> Any:
    """The key as it is to be written. Raises `InvalidRequest` when a saved one would go to another address."""
    if body.pool is not None:
        return GONE
    if body.api_key is not None:
        return body.api_key.get_secret_value().strip() or GONE
    if old is None or not written:
        return GONE
    if not _same_place(old, body.base_url, body.region):
        raise InvalidRequest(
            "The saved key belongs to the old address and is not sent to another.",
            fix="Enter the key for the new address, or leave it empty there.",
            param="api_key",
        )
    return written


def _same_place(old: ModelSettings, base_url: str | None, region: str | None) -> bool:
    """Whether a saved key stays with whom it was given to."""
    was, now = urlsplit(old.base_url or ""), urlsplit(base_url or "")
    return (was.scheme, was.hostname, was.port, old.region) == (now.scheme, now.hostname, now.port, region)


# ── trying ───────────────────────────────────────────────────────────────────────────────────────────────────


async def _tried(settings: Settings, body: TrialBody, key: str | None) -> TrialView:
    began = time.monotonic()
    models: list[str] = []
    answer = error = None
    try:
        entry = ModelSettings(
            protocol=body.protocol, base_url=body.base_url, region=body.region, api_key=key, model=body.model
        )
    except ValueError as failure:
        raise InvalidRequest(f"That is no endpoint: {failure}.", param="base_url") from None
    lists = body.base_url is not None and (body.protocol or spoken_at(body.base_url)) == "openai"
    try:
        async with asyncio.timeout(TEST_SECONDS):
            if lists:
                assert body.base_url is not None
                try:
                    models = [info.name for info in await OpenAICompatible.list_models(body.base_url, key)]
                except CodeweftError:
                    # Some endpoints have no list; then what the model says decides.
                    if not body.model:
                        raise
            if body.model:
                answer = await _few_words(settings, entry, body.model)
            elif not lists:
                error = Problem(message="Nothing was asked.", fix="Give the model's name at the endpoint.")
    except CodeweftError as failure:
        error = Problem.of(failure)
    except TimeoutError:
        error = Problem(message=f"It did not answer within {TEST_SECONDS} s.", fix="Check the address.")
    return TrialView(
        ok=error is None,
        models=models[:1000],
        answer=answer,
        seconds=round(time.monotonic() - began, 3),
        error=error,
    )


async def _few_words(settings: Settings, entry: ModelSettings, name: str) -> str:
    """What a model says. Raises what it fails with."""
    model = model_of(settings, name, entry, pooled=True)
    try:
        asked = Request(
            model=name,
            messages=(Message("user", "Say hello in three words."),),
            sampling=Sampling(max_tokens=TEST_TOKENS),
        )
        return (await fold(model.stream(asked))).text
    finally:
        await model.close()
