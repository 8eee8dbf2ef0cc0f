"""Prometheus metrics of one server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from codeweft.types import Usage

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""From a search to a long answer on a slow processor."""


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="codeweft", registry=self.registry)
        self.requests = Counter(
            "codeweft_requests", "Requests answered.", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "codeweft_request_seconds",
            "Time to the end of the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.first_token = Histogram(
            "codeweft_first_token_seconds",
            "Time until a model's first token.",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.running = Gauge(
            "codeweft_answers_running", "Answers being written.", ["model"], registry=self.registry
        )
        self._tokens = Counter(
            "codeweft_tokens", "Tokens by kind.", ["model", "kind"], registry=self.registry
        )

    def tokens(self, model: str, used: Usage) -> None:
        self._tokens.labels(model, "prompt").inc(used.prompt_tokens)
        self._tokens.labels(model, "completion").inc(used.completion_tokens)
        self._tokens.labels(model, "cached").inc(used.cached_tokens)

    def text(self) -> bytes:
        return generate_latest(self.registry)
