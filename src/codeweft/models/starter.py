"""The starter model that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from codeweft.errors import NotFound

STARTER: Final = "starter"
NOTE: Final = "This is the starter model, for trying things offline; pull a real model for work."


def bundled() -> Path:
    """The starter's GGUF file. Raises `NotFound` when this installation lacks it."""
    path = Path(__file__).parent / "starter" / "starter.gguf"
    if not path.is_file():
        raise NotFound(
            "This installation does not hold the starter model.",
            fix="Reinstall Codeweft, or pull a model with `codeweft models pull NAME`.",
        )
    return path
