"""What the first-run page and the settings page need: the machine, models that fit, an endpoint's test, clients."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, SecretStr
from starlette.requests import Request

from codeweft import config
from codeweft.config import Settings
from codeweft.errors import CodeweftError
from codeweft.models.catalogue import CATALOGUE, Entry
from codeweft.models.machine import this_machine
from codeweft.models.openai_compatible import OpenAICompatible
from codeweft.models.starter import STARTER
from codeweft.runtime.compose import Runtime
from codeweft.runtime.models import engine_options
from codeweft.server.browser import base_address
from codeweft.server.deps import Admin, AnIdentity
from codeweft.server.views import Body, Problem, View
from codeweft.stream import fold
from codeweft.types import Message, Sampling
from codeweft.types import Request as Asked

_MB: Final = 1_000_000
TEST_SECONDS: Final = 30
TEST_TOKENS: Final = 16
HIDDEN: Final = "••••"
_SECRET: Final = ("api_key", "client_secret", "database", "store")
"""Settings that are, or may hold, a password."""


class StepsView(View):
    """How far a new installation is."""

    password: bool = Field(description="You can come back without a link: a password or single sign-on.")
    model: bool = Field(description="Something better than the bundled starter writes.")
    index: bool = Field(description="Some code is indexed.")
    answer: bool = Field(description="Somebody got an answer in a conversation.")
    key: bool = Field(description="There is a key for an editor or agent.")


class HardwareView(View):
    cores: int = Field(description="Physical ones.")
    memory_mb: int = Field(description="Available now.")
    gpu: bool = Field(description="Whether the engine would use one.")


class FittingModelView(View):
    """A model of the catalogue, in the finest quantisation that fits this machine (else the smallest)."""

    name: str
    title: str
    licence: str
    parameters: float = Field(description="In billions.")
    context: int
    quantisation: str
    disk_mb: int
    memory_mb: int
    fits: bool
    command: str = Field(description="Fetches it.")

    @classmethod
    def of(cls, entry: Entry) -> FittingModelView:
        best = entry.best_fit()
        quantisation = best or entry.quantisations[0]
        return cls(
            name=entry.name,
            title=entry.title,
            licence=entry.licence,
            parameters=entry.parameters,
            context=entry.context,
            quantisation=quantisation,
            disk_mb=entry.disk(quantisation) // _MB,
            memory_mb=entry.memory(quantisation) // _MB,
            fits=best is not None,
            command=f"codeweft models pull {entry.name}:{quantisation}",
        )


class SetupView(View):
    steps: StepsView
    writer: str = Field(description="The model that writes now.")
    hardware: HardwareView
    models: list[FittingModelView] = Field(description="Those that fit first, the largest first.")


class EndpointBody(Body):
    base_url: str = Field(pattern=r"^https?://\S+$", max_length=2000)
    api_key: SecretStr | None = None
    model: str | None = Field(None, max_length=200, description="Asked for a few words, when it is given.")


class EndpointView(View):
    """What an endpoint answered. `lines` are what to put into the settings to use it."""

    ok: bool
    models: list[str]
    answer: str | None
    seconds: float
    error: Problem | None
    lines: str


class ClientView(View):
    """A program to connect: write `snippet` to `path` below the home folder, or run `command` there."""

    name: str
    title: str
    path: str
    format: str
    snippet: str
    command: str
    then: str = Field(description="What is left to do by hand.")


class SettingView(View):
    name: str
    value: Any
    default: Any
    changed: bool
    description: str


class SettingsView(View):
    path: str = Field(description="The file; the server reads it when it starts.")
    settings: list[SettingView]


def setup_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["setup"])
    accounts = runtime.accounts

    @routes.get("/setup")
    async def get_setup(admin: Admin) -> SetupView:
        """How far this installation is, what the machine can run, and which models fit. For administrators."""
        factors = await accounts.signin.factors(admin.user)
        options = engine_options(runtime.settings)
        machine = this_machine(options.python, options.gpu_layers)
        steps = StepsView(
            password=factors.password or bool(factors.issuers),
            model=runtime.default_writer != STARTER,
            index=bool(await asyncio.to_thread(runtime.indexes.names)),
            answer=await accounts.conversations.any_answer(),
            key=bool(await accounts.keys()),
        )
        models = [FittingModelView.of(entry) for entry in CATALOGUE]
        models.sort(key=lambda model: (not model.fits, -model.parameters if model.fits else model.parameters))
        return SetupView(
            steps=steps,
            writer=runtime.default_writer,
            hardware=HardwareView(cores=machine.cores, memory_mb=machine.memory // _MB, gpu=machine.gpu),
            models=models,
        )

    @routes.post("/setup/endpoint")
    async def test_endpoint(body: EndpointBody, _: Admin) -> EndpointView:
        """Ask an OpenAI-compatible endpoint what it offers and, of one model, a few words. Nothing is saved."""
        began = time.monotonic()
        key = body.api_key.get_secret_value() if body.api_key else None
        models: list[str] = []
        answer = error = None
        try:
            async with asyncio.timeout(TEST_SECONDS):
                models = [info.name for info in await OpenAICompatible.list_models(body.base_url, key)]
                if body.model is not None:
                    answer = await _few_words(body.base_url, key, body.model)
        except CodeweftError as failure:
            error = Problem.of(failure)
        except TimeoutError:
            error = Problem(message=f"It did not answer within {TEST_SECONDS} s.", fix="Check the address.")
        return EndpointView(
            ok=error is None,
            models=models[:1000],
            answer=answer,
            seconds=round(time.monotonic() - began, 3),
            error=error,
            lines=_lines(body),
        )

    @routes.get("/setup/clients")
    def list_clients(
        _: AnIdentity,
        request: Request,
        model: Annotated[str, Query(min_length=1, max_length=200)] = "codegen",
    ) -> list[ClientView]:
        """Settings of editors and agents for this server. Where `cw_…` stands belongs a key (`POST /api/keys`)."""
        # Its formats' libraries take memory that a server without this page does not need.
        from codeweft.server.clients import CLIENTS, Address, edited

        address = Address(base_address(request, runtime.settings), "cw_…", model)
        return [
            ClientView(
                name=client.name,
                title=client.title,
                path=f"~/{client.path}",
                format=client.format,
                snippet=edited(client, "", address),
                command=f"codeweft connect {client.name} --server {address.url} --key cw_…",
                then=client.then.format(key=address.key),
            )
            for client in CLIENTS
        ]

    @routes.get("/settings")
    def get_settings(_: Admin) -> SettingsView:
        """The settings in force, without passwords and keys. For administrators."""
        return SettingsView(
            path=str(config.home() / "codeweft.yaml"), settings=list(_settings(runtime.settings, Settings()))
        )

    return routes


async def _few_words(base_url: str, key: str | None, name: str) -> str:
    """What a model says. Raises what it fails with."""
    model = OpenAICompatible(name, base_url, api_key=key, model=name)
    try:
        asked = Asked(
            model=name,
            messages=(Message("user", "Say hello in three words."),),
            sampling=Sampling(max_tokens=TEST_TOKENS),
        )
        return (await fold(model.stream(asked))).text
    finally:
        await model.close()


def _lines(body: EndpointBody) -> str:
    lines = [f"base_url: {body.base_url}", f"model: {body.model or 'NAME'}"]
    if body.api_key is not None:
        lines.insert(1, "api_key: ${ENDPOINT_KEY}   # an environment variable of the server")
    return "\n".join(lines) + "\n"


def _settings(section: BaseModel, default: BaseModel | None, prefix: str = "") -> list[SettingView]:
    """Every setting by its dotted name; a list or table of sections is one value."""
    found: list[SettingView] = []
    for name, field in type(section).model_fields.items():
        value, usual = getattr(section, name), getattr(default, name, None)
        if isinstance(value, BaseModel):
            found += _settings(value, usual if isinstance(usual, BaseModel) else None, f"{prefix}{name}.")
            continue
        shown, plain = _shown(name, value), _shown(name, usual)
        found.append(
            SettingView(
                name=prefix + name,
                value=shown,
                default=plain,
                changed=value != usual,
                description=field.description or "",
            )
        )
    return found


def _shown(name: str, value: Any) -> Any:
    """A value as JSON, without what is secret in it."""
    if isinstance(value, BaseModel):
        return {key: _shown(key, getattr(value, key)) for key in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): _shown(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(name, item) for item in value]
    if value is not None and name in _SECRET:
        return HIDDEN
    return value if isinstance(value, bool | int | float | None) else str(value)
