"""What readers of documents hand over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LONGEST_DOCUMENT: Final = 5_000_000
"""Characters of one document that are read; a book of 1,500 pages has about that many."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a document. The extension of `path` says how it is cut (`cell.py`, `page.md`).

    `mark` is a line put above it, which belongs to its first chunk.
    """

    text: str
    path: str = "page.md"
    mark: str = ""


class Unreadable(Exception):
    """A document that cannot be read, and why. `failed` tells damage from what is merely not worth indexing."""

    def __init__(self, reason: str, *, failed: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.failed = failed


def limited(parts: list[Part]) -> list[Part]:
    """As many parts as `LONGEST_DOCUMENT` holds; a last line says that there is more."""
    size = 0
    for number, part in enumerate(parts):
        size += len(part.text)
        if size > LONGEST_DOCUMENT:
            rest = f"… {len(parts) - number} further parts of this document are not indexed."
            return [*parts[:number], Part(rest)]
    return parts
