"""Latencies under the names that OPEA's dashboards and scripts read: `/v1/statistics` and `megaservice_*` metrics.

https://github.com/opea-project/GenAIComps, `comps/cores/mega/base_statistics.py` and `orchestrator.py`
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from codeweft.server.bill import Bill
from codeweft.server.tally import Histogram

KEPT: Final = 1000
"""Answers of each model that the percentiles are of: the latest."""
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Those of prometheus_client, which OPEA's histograms have."""


class Megaservice(Collector):
    """Counts answers of all models. Tokens of one answer count as evenly spaced: looking at each would slow it down."""

    def __init__(self) -> None:
        self.pending = 0
        self._first, self._inter, self._whole = (Histogram(_BUCKETS) for _ in range(3))
        self._kept: dict[str, tuple[deque[float], deque[float]]] = {}

    def ended(self, model: str, bill: Bill) -> None:
        """Count an answer; one that failed or was left has no latency."""
        if bill.usage is None:
            return
        seconds, first = bill.seconds, bill.first_token_s
        wholes, firsts = self._kept.setdefault(model, (deque(maxlen=KEPT), deque(maxlen=KEPT)))
        wholes.append(seconds)
        self._whole.observe(seconds)
        if first is not None:
            firsts.append(first)
            self._first.observe(first)
            if bill.written > 1:
                self._inter.observe((seconds - first) / (bill.written - 1), bill.written - 1)

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        for name, text, histogram in (
            ("first_token_latency", "First token latency", self._first),
            ("inter_token_latency", "Inter-token latency", self._inter),
            ("request_latency", "Whole request/reply latency", self._whole),
        ):
            buckets, total = histogram.buckets()
            yield HistogramMetricFamily(
                f"megaservice_{name}", f"{text} (histogram)", buckets=buckets, sum_value=total
            )
        yield GaugeMetricFamily(
            "megaservice_request_pending", "Count of currently pending requests (gauge)", value=self.pending
        )

    def statistics(self) -> dict[str, dict[str, float | None]]:
        """Seconds by model; None where nothing was measured."""
        return {
            model: _told(wholes, "latency") | _told(firsts, "latency_first_token")
            for model, (wholes, firsts) in self._kept.items()
        }


def _told(seconds: Sequence[float], suffix: str) -> dict[str, Any]:
    names = (f"p50_{suffix}", f"p99_{suffix}", f"average_{suffix}")
    if not seconds:
        return dict.fromkeys(names)
    p50, p99 = np.percentile(seconds, (50, 99))
    return dict(zip(names, (float(p50), float(p99), float(np.mean(seconds))), strict=True))
