"""Summaries of an index over HTTP: their cost, writing them, how far it is, deleting them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from codeweft.retrieval.index import Index
from codeweft.retrieval.summaries import Spent
from codeweft.retrieval.summarise import Estimate
from codeweft.retrieval.summary_run import LastRun
from codeweft.runtime.compose import Runtime
from codeweft.runtime.summaries import Choice
from codeweft.server.deps import Readable
from codeweft.server.emit import clean
from codeweft.server.views import Body, JobView, Name, View, iso


class SummariesBody(Body):
    """What to summarise; what is left out is the settings' choice."""

    language: str | None = Field(None, max_length=16, description="Language of the summaries, such as ko.")
    models: list[Annotated[str, Field(max_length=256)]] = Field(
        default_factory=list, max_length=16, description="Models that share the work."
    )
    limit: int | None = Field(None, ge=1, description="At most so many functions, the most useful first.")
    dry_run: bool = Field(False, description="Only say what it would cost.")


class EstimateView(View):
    """What the missing summaries would cost; `known` functions have theirs. `usd` is null without prices."""

    functions: int
    known: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None

    @classmethod
    def of(cls, found: Estimate) -> EstimateView:
        return cls(
            functions=found.functions,
            known=found.known,
            prompt_tokens=found.prompt_tokens,
            completion_tokens=found.completion_tokens,
            usd=found.usd,
        )


class SummaryFailureView(View):
    path: str
    name: str
    reason: str


class SpentView(View):
    """Progress and cost of a run; at most 200 failures are listed."""

    done: int
    failed: int
    total: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    left_s: float | None
    failures: list[SummaryFailureView]

    @classmethod
    def of(cls, spent: Spent) -> SpentView:
        return cls(
            done=spent.done,
            failed=spent.failed,
            total=spent.total,
            prompt_tokens=spent.prompt_tokens,
            completion_tokens=spent.completion_tokens,
            usd=spent.usd,
            left_s=spent.left_s,
            failures=[
                SummaryFailureView(path=clean(one.path), name=clean(one.name), reason=clean(one.reason))
                for one in spent.failures
            ],
        )


class LastRunView(View):
    language: str
    models: list[str]
    spent: SpentView
    ended_at: str
    error: str

    @classmethod
    def of(cls, last: LastRun) -> LastRunView:
        return cls(
            language=last.language,
            models=list(last.models),
            spent=SpentView.of(last.spent),
            ended_at=iso(last.ended_at),
            error=clean(last.error),
        )


class SummariesView(View):
    """Summaries of an index: `summarised` of `chunks` are searchable, `job` writes more."""

    index: str
    summarised: int
    chunks: int
    job: JobView | None
    running: SpentView | None
    last: LastRunView | None
    estimate: EstimateView | None = None


class ForgottenView(View):
    deleted: int


def summary_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["summaries"])

    def view(index: Index, estimate: Estimate | None = None) -> SummariesView:
        summaries = runtime.summaries
        status, job = index.status(), summaries.job(index)
        running, last = summaries.spent(index), summaries.last(index)
        return SummariesView(
            index=index.name,
            summarised=status.summarised,
            chunks=status.chunks,
            job=None if job is None else JobView.of(job),
            running=None if running is None else SpentView.of(running),
            last=None if last is None else LastRunView.of(last),
            estimate=None if estimate is None else EstimateView.of(estimate),
        )

    @routes.get("/indexes/{name}/summaries")
    def get_summaries(name: Name, indexes: Readable) -> SummariesView:
        """How many functions have a summary, and how far the run is that writes more."""
        return view(indexes.get(name))

    @routes.post("/indexes/{name}/summaries", status_code=202)
    def write_summaries(name: Name, body: SummariesBody, indexes: Readable) -> SummariesView:
        """Write the missing summaries in the background, or (`dry_run`) only say what that would cost."""
        index = indexes.get(name)
        choice = Choice(body.language, tuple(body.models), body.limit)
        estimate = runtime.summaries.estimate(index, choice)
        if not body.dry_run:
            runtime.summaries.start(index, choice)
        return view(index, estimate)

    @routes.delete("/indexes/{name}/summaries")
    def delete_summaries(
        name: Name,
        indexes: Readable,
        language: Annotated[str | None, Query(max_length=16, description="Only of this language.")] = None,
    ) -> ForgottenView:
        """Stop writing, and delete the summaries in a language (by default the settings')."""
        return ForgottenView(deleted=runtime.summaries.forget(indexes.get(name), language))

    return routes
