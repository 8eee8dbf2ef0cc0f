"""Prometheus metrics of one server."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from codeweft.server.bill import Bill
from codeweft.server.megaservice import Megaservice

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""From a search to a long answer on a slow processor."""


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """The metrics of one model, looked up once: finding them by label costs more than counting."""

    running: Gauge
    first_token: Histogram
    prompt: Counter
    completion: Counter
    cached: Counter


class Metrics:
    def __init__(self) -> None:
        self._models: dict[str, ModelMetrics] = {}
        self._routes: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.registry = CollectorRegistry()
        self.megaservice = Megaservice()
        self.registry.register(self.megaservice)
        ProcessCollector(namespace="codeweft", registry=self.registry)
        self._requests = Counter(
            "codeweft_requests", "Requests answered.", ["route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "codeweft_request_seconds",
            "Time to the end of the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._first_token = Histogram(
            "codeweft_first_token_seconds",
            "Time until a model's first token.",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._running = Gauge(
            "codeweft_answers_running", "Answers being written.", ["model"], registry=self.registry
        )
        self._tokens = Counter(
            "codeweft_tokens", "Tokens by kind.", ["model", "kind"], registry=self.registry
        )
        citations = Counter(
            "codeweft_citations",
            "Reference numbers in answers: those the source bears out, those it does not.",
            ["outcome"],
            registry=self.registry,
        )
        self._verified, self._dropped = citations.labels("verified"), citations.labels("dropped")
        self._editor = Counter(
            "codeweft_editor_events",
            "Inline completions that editors showed, that were taken, that were dismissed.",
            ["type"],
            registry=self.registry,
        )

    def of_model(self, name: str) -> ModelMetrics:
        found = self._models.get(name)
        if found is None:
            kinds = [self._tokens.labels(name, kind) for kind in ("prompt", "completion", "cached")]
            found = ModelMetrics(self._running.labels(name), self._first_token.labels(name), *kinds)
            self._models[name] = found
        return found

    def answered(self, route: str, status: int, seconds: float) -> None:
        found = self._routes.get((route, status))
        if found is None:
            found = self._requests.labels(route, status), self._seconds.labels(route)
            self._routes[route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def count(self, model: str, bill: Bill) -> None:
        """Count an answer that has ended."""
        self.megaservice.ended(model, bill)
        found = self.of_model(model)
        if bill.first_token_s is not None:
            found.first_token.observe(bill.first_token_s)
        if bill.usage is not None:
            found.prompt.inc(bill.usage.prompt_tokens)
            found.completion.inc(bill.usage.completion_tokens)
            if bill.usage.cached_tokens:
                found.cached.inc(bill.usage.cached_tokens)
        if bill.cited.verified or bill.cited.dropped:
            self._verified.inc(len(bill.cited.verified))
            self._dropped.inc(len(bill.cited.dropped))

    def editor(self, kind: str) -> None:
        """Count what an editor did with a completion: view, select or dismiss."""
        self._editor.labels(kind).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
