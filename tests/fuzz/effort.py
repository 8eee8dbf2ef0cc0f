"""How hard to try: little with every run of the tests, as much as wanted with CODEWEFT_FUZZ (`make fuzz`)."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings

TIMES = int(os.environ.get("CODEWEFT_FUZZ", "1"))
"""Multiplies every number of examples."""


def effort(examples: int) -> Any:
    """Settings for a test of servers: no deadline, and without `CODEWEFT_FUZZ` the same examples every time."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        database=None,
        # A failure is made small only when somebody looks for failures; it asks the server hundreds of times.
        phases=(Phase.explicit, Phase.generate, *((Phase.shrink,) if TIMES > 1 else ())),
        suppress_health_check=list(HealthCheck),
    )
