"""Counting what happens for each request: plain numbers, told to Prometheus when it asks.

Its client's own counters take a lock and check their labels at each step, which costs a request as much as finding out
who asks. Here all counting is done on the event loop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector


class Histogram:
    """How many values there were up to each of `bounds`, and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(map(float, bounds))
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Prometheus' cumulative buckets, and the sum."""
        total, found = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found, self._sum


class OfModel:
    """What is counted for one model."""

    __slots__ = ("cached", "completion", "first_token", "prompt", "running")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.running = self.prompt = self.completion = self.cached = 0
        self.first_token = Histogram(bounds)


class Tally(Collector):
    """Requests by route and answers by model. `bounds` are seconds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._models: dict[str, OfModel] = {}
        self._requests: dict[tuple[str, int], int] = {}
        self._seconds: dict[str, Histogram] = {}

    def of_model(self, name: str) -> OfModel:
        found = self._models.get(name)
        if found is None:
            found = self._models[name] = OfModel(self._bounds)
        return found

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        self._requests[route, status] = self._requests.get((route, status), 0) + 1
        found = self._seconds.get(route)
        if found is None:
            found = self._seconds[route] = Histogram(self._bounds)
        found.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        requests = CounterMetricFamily("codeweft_requests", "Requests answered.", labels=["route", "status"])
        for (route, status), count in self._requests.items():
            requests.add_metric([route, str(status)], count)
        yield requests
        seconds = HistogramMetricFamily(
            "codeweft_request_seconds", "Time to the end of the answer.", labels=["route"]
        )
        for route, took in self._seconds.items():
            seconds.add_metric([route], *took.buckets())
        yield seconds
        first = HistogramMetricFamily(
            "codeweft_first_token_seconds", "Time until a model's first token.", labels=["model"]
        )
        running = GaugeMetricFamily("codeweft_answers_running", "Answers being written.", labels=["model"])
        tokens = CounterMetricFamily("codeweft_tokens", "Tokens by kind.", labels=["model", "kind"])
        for name, model in self._models.items():
            first.add_metric([name], *model.first_token.buckets())
            running.add_metric([name], model.running)
            for kind, count in (
                ("prompt", model.prompt),
                ("completion", model.completion),
                ("cached", model.cached),
            ):
                tokens.add_metric([name, kind], count)
        yield from (first, running, tokens)
