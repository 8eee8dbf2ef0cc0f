"""Summaries as a service: what they would cost, writing them as jobs, lazily for what searches return."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from codeweft.config import Settings
from codeweft.errors import CodeweftError, NotFound
from codeweft.jobs import Job, Jobs, Progress
from codeweft.jobs import Report as JobReport
from codeweft.models.prices import Prices
from codeweft.retrieval.bridge import Bridge
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.index import Index
from codeweft.retrieval.read import text_digest
from codeweft.retrieval.summaries import Spent, Summariser
from codeweft.retrieval.summarise import TESTS, Estimate, estimate, language, left_out, worth
from codeweft.retrieval.summary_run import LastRun, Wanted, forget, last_run, missing, missing_of, run
from codeweft.runtime.models import prices_of
from codeweft.types import Chunk, Model, Price, SearchResult

KIND: Final = "summarise"
MOST_WAITING: Final = 1000
"""Functions of one index that wait in lazy mode; what is still searched then comes again."""
STOP_SECONDS: Final = 5.0
"""How long deleting waits for a run to notice; it looks up several times a second."""
REST_SECONDS: Final = 120.0
"""After a lazy run failed, searches start none for so long."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody asks for; None leaves it to the settings."""

    language: str | None = None
    models: tuple[str, ...] = ()
    limit: int | None = None


class Summaries:
    """Summaries of all indexes of an installation. Thread-safe."""

    indexes: Indexes

    def __init__(
        self,
        settings: Settings,
        jobs: Jobs,
        writer: Callable[[str | None], Model],
        bridge: Bridge,
        prices: Prices | None = None,
    ) -> None:
        self._settings = settings.summaries
        self._prices = prices or Prices(prices_of(settings))
        self._jobs = jobs
        self._writer = writer
        self._bridge = bridge
        self._lock = threading.Lock()
        self._waiting: dict[str, dict[str, Chunk]] = defaultdict(dict)
        self._hopeless: set[int] = set()
        """Digests of functions that got no usable answer: a search that finds them again asks for none."""
        self._left_out = (
            left_out(self.wanted(Choice()).exclude) if self._settings.when == "searched" else None
        )
        self._rested = 0.0
        self._running: dict[str, Summariser] = {}

    def estimate(self, index: Index, choice: Choice) -> Estimate:
        """What writing the missing summaries would cost. Raises `NotFound` for an unknown model, `InvalidRequest`."""
        wanted, models = self.wanted(choice), self.models(choice)
        tasks, known = missing(index, wanted)
        priced = self._priced(models)
        return estimate(
            tasks, known, wanted.language, list(priced.values()) if len(priced) == len(models) else []
        )

    def models(self, choice: Choice) -> list[Model]:
        """The models that a run would use. Raises `NotFound`."""
        names: Sequence[str | None] = choice.models or self._settings.models or [None]
        return [self._writer(name) for name in names]

    def wanted(self, choice: Choice) -> Wanted:
        """What a run would be about. Raises `InvalidRequest` for a language that there is not."""
        exclude = self._settings.exclude
        return Wanted(
            language(choice.language or self._settings.language),
            TESTS if exclude is None else tuple(exclude),
            choice.limit,
        )

    def start(self, index: Index, choice: Choice) -> Job:
        """Write the missing summaries of an index in the background. Raises `NotFound`, `InvalidRequest`."""
        wanted, models = self.wanted(choice), self.models(choice)
        return self._jobs.submit(
            KIND, subject(index.name), lambda report: self.work(index, wanted, models, report)
        )

    def work(
        self,
        index: Index,
        wanted: Wanted,
        models: Sequence[Model],
        report: JobReport,
        chunks: Sequence[Chunk] | None = None,
    ) -> Spent:
        """One run, in the thread of its job, over all that is missing or of these `chunks`. `report` may end it."""
        report(Progress("looking", 0, 0))
        tasks = missing(index, wanted)[0] if chunks is None else missing_of(index, wanted, chunks)
        summariser = Summariser(
            tasks,
            models,
            wanted.language,
            prices=self._priced(models),
            parallel=self._settings.parallel,
            timeout=self._settings.timeout,
        )
        self._running[index.name] = summariser
        try:
            return run(
                index,
                wanted,
                summariser,
                self._bridge,
                lambda spent: report(
                    Progress("summarising", spent.done + spent.failed, spent.total, said(spent))
                ),
                whole=chunks is None,
            )
        finally:
            self._hopeless |= {failure.digest for failure in summariser.spent.failures}
            self._running.pop(index.name, None)

    def _priced(self, models: Sequence[Model]) -> dict[str, Price]:
        """The prices that are known, by name."""
        self._prices.load()
        found = {model.info.name: self._prices.of(model.info) for model in models}
        return {name: price for name, price in found.items() if price is not None}

    def job(self, index: Index) -> Job | None:
        """The job that says most about an index's summaries."""
        return self._jobs.of(subject(index.name))

    def spent(self, index: Index) -> Spent | None:
        """How far the run is that is writing now."""
        summariser = self._running.get(index.name)
        return summariser.spent if summariser is not None else None

    def last(self, index: Index) -> LastRun | None:
        """What the last run did."""
        return last_run(index)

    def stop(self, index: Index) -> tuple[Job, ...]:
        """Cancel what is running or waiting, and say what that is; what is written stays."""
        with self._lock:
            self._waiting.pop(index.name, None)
        return self._jobs.cancel_all(subject(index.name))

    def forget(self, index: Index, code: str | None = None) -> int:
        """Stop, and delete the summaries in a language; how many. Raises `Conflict` while the index is updated."""
        wanted = language(code or self._settings.language)
        for job in self.stop(index):
            self._jobs.wait(job.id, STOP_SECONDS)
        return forget(index, wanted)

    # ── by themselves ────────────────────────────────────────────────────────────────────────────────────────

    def updated(self, index: Index) -> None:
        """An index was brought up to date."""
        if self._settings.when == "all":
            self.start(index, Choice())

    def found(self, results: Sequence[SearchResult]) -> None:
        """A search answered; in lazy mode its functions are summarised soon."""
        if self._left_out is None or time.monotonic() < self._rested:
            return
        for name in {result.index for result in results}:
            fresh = {
                one.text: one
                for one in (result.chunk for result in results if result.index == name)
                if not one.summary and worth(one.kind, one.text) and not self._left_out.match_file(one.path)
            }
            with self._lock:
                waiting = self._waiting[name]
                fresh = {
                    text: one
                    for text, one in fresh.items()
                    if text not in waiting and text_digest(text) not in self._hopeless
                }
                if not fresh or len(waiting) >= MOST_WAITING:
                    continue
                waiting.update(fresh)
            self._jobs.submit(KIND, subject(name), partial(self._lazily, name))

    def _lazily(self, name: str, report: JobReport) -> None:
        with self._lock:
            chunks = list(self._waiting.pop(name, {}).values())
        try:
            index = self.indexes.get(name)
            self.work(index, self.wanted(Choice()), self.models(Choice()), report, chunks)
        except NotFound:
            raise
        except CodeweftError:
            # Each search would wake a model that is not there.
            self._rested = time.monotonic() + REST_SECONDS
            raise


def subject(index: str) -> str:
    """Summaries are a subject of their own: they may take hours, and the index is updated meanwhile."""
    return f"summaries:{index}"


def said(spent: Spent) -> str:
    """Cost and failures of a run, in a line."""
    parts = [f"{spent.prompt_tokens + spent.completion_tokens:,} tokens"]
    if spent.usd:
        parts.append(f"${spent.usd:.4f}" if spent.usd < 1 else f"${spent.usd:,.2f}")
    if spent.failed:
        parts.append(f"{spent.failed} failed")
    return ", ".join(parts)
