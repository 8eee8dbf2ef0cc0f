"""How hard to try: little with every run of the tests, as much as wanted with CODEWEFT_FUZZ (`make fuzz`)."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("CODEWEFT_FUZZ", "1"))
"""Multiplies every number of examples."""


def effort(examples: int) -> Any:
    """Settings for a test of servers: no deadline, and without `CODEWEFT_FUZZ` the same examples every time."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
