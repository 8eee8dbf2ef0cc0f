"""What an editor knows beside the document at hand: the places edited lately, and what in other documents is alike."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

PLACES: Final = 8
"""Edited places that are remembered."""
SAME_PLACE: Final = 12
"""Lines within which a further edit continues the one before."""
AROUND: Final = 10
"""Lines shown above and below an edit."""
WINDOW: Final = 30
"""Lines compared at a time when looking for what is alike."""
NEAR: Final = 20
"""Lines before the current one that say what is being written. The current one is left out: what was found would change
with every key, and the model would read everything anew."""
_IDENTIFIER: Final = re.compile(r"[^\W\d]\w{2,}")


class Edits:
    """The places edited lately, the latest first."""

    def __init__(self) -> None:
        self._places: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._count = 0

    def note(self, document: str, line: int) -> None:
        """Line `line` (from 0) of a document was changed."""
        for place, at in list(self._places.items()):
            if place[0] == document and abs(at - line) <= SAME_PLACE:
                del self._places[place]
        self._count += 1
        self._places[document, self._count] = line
        while len(self._places) > PLACES:
            self._places.popitem(last=False)

    def forget(self, document: str) -> None:
        """The document was closed."""
        for place in [place for place in self._places if place[0] == document]:
            del self._places[place]

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Documents and lines."""
        return ((document, line) for (document, _), line in reversed(self._places.items()))


def part_around(text: str, line: int) -> tuple[int, str]:
    """The lines around line `line` (from 0), and the number of the first of them."""
    lines = text.split("\n")
    first = max(0, min(line, len(lines) - 1) - AROUND)
    return first, "\n".join(lines[first : line + AROUND + 1])


def most_alike(text: str, near: str) -> tuple[int, str]:
    """The part of `text` that shares most identifiers with `near`, and its first line; its beginning if none does.

    Jaccard's index of windows that overlap by half.
    """
    wanted = identifiers(near)
    lines = text.split("\n")
    best, place = 0.0, 0
    for first in range(0, max(1, len(lines) - WINDOW // 2), WINDOW // 2):
        held = identifiers("\n".join(lines[first : first + WINDOW]))
        alike = len(wanted & held) / max(1, len(wanted | held))
        if alike > best:
            best, place = alike, first
    return place, "\n".join(lines[place : place + WINDOW])


def near(prefix: str) -> str:
    """The lines before the current one that say what is being written."""
    return "\n".join(prefix.split("\n")[-NEAR - 1 : -1])


def identifiers(text: str) -> set[str]:
    """Names of at least three characters."""
    return set(_IDENTIFIER.findall(text))
