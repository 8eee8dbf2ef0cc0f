"""How long prompts are read: in pieces short enough that nobody else waits for them. Decisions only.

The engine puts prompts into its batches slot by slot, the lowest slot first, so one long prompt keeps every prompt in a
higher slot waiting until its last token (measured: 12 s of 12.5), and each of its batches holds up running answers. A
prompt that is handed over piece by piece lets the others in between; what was read stays in its slot's cache.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

STALL: Final = 0.5
"""Seconds that a piece may take while others are served: half of the second that is promised, as speed is an estimate."""
ALONE: Final = 1.0
"""Seconds that a piece may take while nobody else is there: what the next one to come may have to wait."""
SHORTEST: Final = 16
"""Tokens. Shorter pieces are read at less than two thirds of the speed."""
UNKNOWN: Final = 32
"""Tokens of a piece while the speed is not known yet and others are served."""
REMEMBERED: Final = 24
"""Prompts that may still be in the engine's cache."""

Ids = npt.NDArray[np.int32]


class Prefill:
    """What one engine reads per second, and what it has read and probably still holds."""

    def __init__(self, batch: int) -> None:
        """`batch` is the engine's: tokens that it reads in one go."""
        self._batch = batch
        self._speed = 0.0
        self._read: deque[Ids] = deque(maxlen=REMEMBERED)
        self._process: int | None = None

    def begin(self, ids: Sequence[int], process: int | None) -> int:
        """How many of a prompt's first tokens the engine has read already. Another process has read nothing."""
        if process != self._process:
            self._process = process
            self._read.clear()
        prompt = np.asarray(ids, dtype=np.int32)
        known = max((_common(prompt, one) for one in self._read), default=0)
        self._read.append(prompt)
        return known

    def piece(self, shared: bool) -> int:
        """Tokens to read in one go; `shared` says that others are being served."""
        if not self._speed:
            return UNKNOWN if shared else self._batch
        if shared:
            return max(SHORTEST, int(self._speed * STALL))
        return max(self._batch, int(self._speed * ALONE))

    def took(self, tokens: int, seconds: float) -> None:
        """Learn from a piece. Recent ones count most: the deeper in a prompt, the slower, and the load changes."""
        if tokens < SHORTEST or seconds <= 0:
            return
        speed = tokens / seconds
        self._speed = speed if not self._speed else (self._speed + speed) / 2


def _common(one: Ids, other: Ids) -> int:
    """Length of the common beginning."""
    shorter = min(len(one), len(other))
    differs = np.flatnonzero(one[:shorter] != other[:shorter])
    return int(differs[0]) if len(differs) else shorter
