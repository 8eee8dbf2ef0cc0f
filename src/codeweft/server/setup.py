"""What the first-run page needs: how far it is, the machine, models that fit, clients."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request

from codeweft.models.catalogue import CATALOGUE, Entry
from codeweft.models.machine import this_machine
from codeweft.models.starter import STARTER
from codeweft.runtime.compose import Runtime
from codeweft.runtime.models import engine_options
from codeweft.server.browser import base_address
from codeweft.server.deps import Admin, AnIdentity
from codeweft.server.views import View

_MB: Final = 1_000_000


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
    reference: str = Field(description="What to pull (`POST /api/models/pulls`).")

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
            reference=f"{entry.name}:{quantisation}",
        )


class SetupView(View):
    steps: StepsView
    writer: str = Field(description="The model that writes now.")
    hardware: HardwareView
    models: list[FittingModelView] = Field(description="Those that fit first, the largest first.")


class ClientView(View):
    """A program to connect: write `snippet` to `path` below the home folder, or run `command` there."""

    name: str
    title: str
    path: str
    format: str
    snippet: str
    command: str
    then: str = Field(description="What is left to do by hand.")


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

    return routes
