"""Prometheus metrics of one server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.process_collector import ProcessCollector

from codeweft.server.bill import Bill
from codeweft.server.megaservice import Megaservice
from codeweft.server.tally import OfModel, Tally

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""From a search to a long answer on a slow processor."""


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.megaservice = Megaservice()
        self.registry.register(self.megaservice)
        ProcessCollector(namespace="codeweft", registry=self.registry)
        self._tally = Tally(_SECONDS)
        self.registry.register(self._tally)
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

    def of_model(self, name: str) -> OfModel:
        """The numbers of one model."""
        return self._tally.of_model(name)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        self._tally.answered(route, status, seconds)

    def count(self, model: str, bill: Bill) -> None:
        """Count an answer that has ended."""
        self.megaservice.ended(model, bill)
        found = self._tally.of_model(model)
        if bill.first_token_s is not None:
            found.first_token.observe(bill.first_token_s)
        used, cited = bill.usage, bill.cited
        if used is not None:
            found.prompt += used.prompt_tokens
            found.completion += used.completion_tokens
            found.cached += used.cached_tokens
        if cited.verified or cited.dropped:
            self._verified.inc(len(cited.verified))
            self._dropped.inc(len(cited.dropped))

    def editor(self, kind: str) -> None:
        """Count what an editor did with a completion: view, select or dismiss."""
        self._editor.labels(kind).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
