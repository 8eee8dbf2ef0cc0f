"""The models of this machine over HTTP: what could be pulled, pulling, engines, pools of endpoints, deleting."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi import Path as InPath
from pydantic import Field

from codeweft.errors import CodeweftError
from codeweft.models import skills
from codeweft.models.catalogue import CATALOGUE, Entry
from codeweft.models.embedded import EmbeddedModel
from codeweft.models.hub import DEFAULT_QUANTISATION, InstalledModel
from codeweft.models.pool import EndpointState
from codeweft.runtime.compose import Runtime
from codeweft.runtime.shelf import Pull
from codeweft.server.deps import NO_CONTENT, ByAdmin, UserId
from codeweft.server.emit import clean
from codeweft.server.views import Body, EngineView, Problem, View

log = logging.getLogger(__name__)

Name = Annotated[str, InPath(max_length=200)]


class QuantisationView(View):
    name: str
    disk_bytes: int
    memory_bytes: int
    fits: bool = Field(description="Whether it runs in this machine's memory.")


class CatalogueView(View):
    """A model worth pulling. `best_fit` is the finest quantisation that this machine runs, null when none is."""

    name: str
    title: str
    licence: str
    context: int
    family: str
    skills: list[str]
    quantisations: list[QuantisationView]
    usual: str
    best_fit: str | None

    @classmethod
    def of(cls, entry: Entry) -> CatalogueView:
        usual = DEFAULT_QUANTISATION
        return cls(
            name=entry.name,
            title=entry.title,
            licence=entry.licence,
            context=entry.context,
            family=entry.family,
            skills=sorted(skills.named_family(entry.family).skills_of(entry.file)),
            quantisations=[
                QuantisationView(
                    name=one,
                    disk_bytes=entry.disk(one),
                    memory_bytes=entry.memory(one),
                    fits=entry.fits(one),
                )
                for one in entry.quantisations
            ],
            usual=usual if usual in entry.quantisations else entry.quantisations[0],
            best_fit=entry.best_fit(),
        )


class ModelFileView(View):
    name: str
    bytes: int
    source: str
    licence: str
    pulled_at: str | None

    @classmethod
    def of(cls, model: InstalledModel) -> ModelFileView:
        pulled = datetime.fromtimestamp(model.pulled, UTC).isoformat() if model.pulled else None
        return cls(
            name=model.name,
            bytes=model.size,
            source=clean(model.source),
            licence=model.licence,
            pulled_at=pulled,
        )


class PullView(View):
    """`done` and `total` are bytes of the phase: connecting, downloading, copying or checking."""

    name: str
    reference: str
    state: Literal["running", "done", "failed", "cancelled"]
    phase: str
    done: int
    total: int | None
    rate: float | None = Field(description="Bytes per second.")
    eta_s: float | None
    error: Problem | None

    @classmethod
    def of(cls, pull: Pull) -> PullView:
        return cls(
            name=pull.name,
            reference=clean(pull.reference),
            state=pull.state,
            phase=pull.phase,
            done=pull.done,
            total=pull.total,
            rate=pull.rate,
            eta_s=pull.eta_s,
            error=None if pull.error is None else Problem.of(pull.error),
        )


class ShelfView(View):
    files: list[ModelFileView]
    pulls: list[PullView]


class PullBody(Body):
    reference: str = Field(
        min_length=1,
        max_length=2000,
        description="NAME or NAME:QUANTISATION of the catalogue, OWNER/REPOSITORY/FILE.gguf, an address, or a path on "
        "the server.",
    )


class PoolEndpointView(View):
    """`resting_s` is how long it gets no requests after failures; `error` is the last of them."""

    name: str
    running: int
    parallel: int | None
    failures: int
    resting_s: float
    error: str

    @classmethod
    def of(cls, state: EndpointState) -> PoolEndpointView:
        return cls(
            name=state.name,
            running=state.running,
            parallel=state.parallel,
            failures=state.failures,
            resting_s=round(state.resting, 1),
            error=clean(state.error),
        )


class PoolView(View):
    name: str
    endpoints: list[PoolEndpointView]


def model_file_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["models"])
    note = runtime.accounts.people.note
    starting: set[asyncio.Task[None]] = set()

    def start(model: EmbeddedModel) -> None:
        task = asyncio.create_task(_start(model))
        starting.add(task)
        task.add_done_callback(starting.discard)

    @routes.get("/models/catalogue")
    def list_catalogue(user: UserId) -> list[CatalogueView]:
        """Code models worth pulling, and whether they fit this machine."""
        return [CatalogueView.of(entry) for entry in CATALOGUE]

    @routes.get("/models/files")
    async def list_model_files(user: UserId) -> ShelfView:
        """The model files that were pulled, and those on their way."""
        files = await asyncio.to_thread(runtime.shelf.installed)
        return ShelfView(
            files=[ModelFileView.of(one) for one in files],
            pulls=[PullView.of(one) for one in runtime.shelf.pulls()],
        )

    @routes.post("/models/pulls", status_code=202)
    async def pull_model(body: PullBody, by: ByAdmin) -> PullView:
        """Bring a model in, in the background; it answers as soon as it is there. For administrators."""
        pull = runtime.shelf.pull(body.reference.strip())
        await note(by, "model.pull", pull.name, reference=pull.reference)
        return PullView.of(pull)

    @routes.delete("/models/pulls/{name}", **NO_CONTENT)
    async def cancel_pull(name: Name, by: ByAdmin) -> None:
        """End a pull. What was downloaded stays, and the next pull goes on from there. For administrators."""
        await runtime.shelf.cancel(name)
        await note(by, "model.cancel", name)

    @routes.delete("/models/files/{name}", **NO_CONTENT)
    async def delete_model_file(name: Name, by: ByAdmin) -> None:
        """End the model's engine and delete its file. For administrators."""
        await runtime.shelf.delete(name)
        await note(by, "model.delete", name)

    @routes.post("/models/{name}/start", status_code=202)
    async def start_engine(name: Name, by: ByAdmin) -> EngineView:
        """Load an embedded model now instead of at its first request. For administrators."""
        model = runtime.engine(name)
        start(model)
        await note(by, "model.start", name)
        return EngineView.of(model.state)

    @routes.post("/models/{name}/stop", status_code=202)
    async def stop_engine(name: Name, by: ByAdmin) -> EngineView:
        """End an embedded model's engine; running answers fail, and the next request starts it again. For
        administrators."""
        model = runtime.engine(name)
        await model.close()
        await note(by, "model.stop", name)
        return EngineView.of(model.state)

    @routes.post("/models/{name}/restart", status_code=202)
    async def restart_engine(name: Name, by: ByAdmin) -> EngineView:
        """End an embedded model's engine and load it again; running answers fail. For administrators."""
        model = runtime.engine(name)
        await model.close()
        start(model)
        await note(by, "model.restart", name)
        return EngineView.of(model.state)

    @routes.get("/pools")
    async def list_pools(user: UserId) -> list[PoolView]:
        """Pools of endpoints, and how each endpoint is."""
        return [
            PoolView(name=name, endpoints=[PoolEndpointView.of(one) for one in states])
            for name, states in runtime.pools().items()
        ]

    return routes


async def _start(model: EmbeddedModel) -> None:
    """Load a model; why it failed is in its state, where everybody sees it."""
    try:
        await model.start()
    except CodeweftError as error:
        log.warning("%s", error)
