"""What all nouns have in common: they do not change, another is made instead."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def replace(value: T, /, **changes: Any) -> T:
    """`value` with other fields, a dataclass or a struct: what `copy.replace` is in Python 3.13."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **changes)
    made: T = dataclasses.replace(value, **changes)  # type: ignore[type-var]
    return made
