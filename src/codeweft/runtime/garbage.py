"""Python's garbage collector in a process that answers for hours."""

from __future__ import annotations

import gc
from typing import Final

THRESHOLDS: Final = (10_000, 20, 20)
"""When young objects are looked through: a request makes hundreds that are gone by themselves when it ends."""


def settle() -> None:
    """To be called when everything is opened.

    What was made until now stays: looking through it for garbage would stop every stream for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
