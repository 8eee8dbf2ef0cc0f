"""Cutting the code around a hole to what a model's context takes: what is nearest to the hole stays. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from codeweft.types import Infill

SUFFIX_SHARE: Final = 0.25
"""Part of the room for the code after the hole; what comes before says more about it (llama.cpp's `/infill` shares alike)."""
NEIGHBOUR_SHARE: Final = 0.4
"""Part of the room that other files may keep from the code around the hole."""
ANSWER_SHARE: Final = 0.25
"""Part of the context that an answer may keep from the prompt."""


def cut(infill: Infill, characters: int) -> Infill:
    """`infill` with at most `characters` of the code around the hole, in whole lines where there are any."""
    before, after = infill.prefix, infill.suffix
    if len(before) + len(after) <= characters:
        return infill
    behind = min(len(after), max(int(characters * SUFFIX_SHARE), characters - len(before)))
    ahead = min(len(before), characters - behind)
    return replace(
        infill,
        prefix=before if ahead == len(before) else _whole_end(before[len(before) - ahead :]),
        suffix=after if behind == len(after) else _whole_beginning(after[:behind]),
    )


def _whole_end(text: str) -> str:
    first, line_break, rest = text.partition("\n")
    return rest if line_break and rest else first


def _whole_beginning(text: str) -> str:
    rest, line_break, last = text.rpartition("\n")
    return rest if line_break and rest else last
