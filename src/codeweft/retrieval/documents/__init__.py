"""Documents that are no plain text: notebooks, PDF, Office files. Each format is one file with one function, `read`.

A document becomes text once, and lines of references count in that text: a notebook's cells in order, each below a
line `#%%` that says what it is; the pages, slides or sheets of the others, each below a heading.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Final

from codeweft.retrieval.chunk import LONGEST_SECTION, SHORTEST_BLOCK, Piece, chunk
from codeweft.retrieval.documents.formats import format_of
from codeweft.retrieval.documents.part import Part, Unreadable

JOINED_LINES: Final = LONGEST_SECTION // 2
"""Lines up to which neighbouring cells share a chunk: a line of code says little without the text above it."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as text, its language for filters (a notebook's is that of its code), and its chunks."""

    text: str
    language: str
    pieces: tuple[Piece, ...]


def read_document(data: bytes, path: str) -> Document:
    """Read a document (see `formats`). Raises `Unreadable` with the reason for one that is damaged, locked or without text."""
    name = format_of(path)
    assert name is not None, path
    reader: Callable[[bytes], tuple[str, list[Part]]] = import_module(f"{__name__}.{name}").read
    try:
        language, parts = reader(data)
    except Unreadable:
        raise
    except Exception as error:
        # Parsers of foreign formats raise whatever their author did not think of; no file may stop an update.
        raise Unreadable(f"damaged or not a {name} file ({type(error).__name__})", failed=True) from error
    if not any(part.text.strip() for part in parts):
        raise Unreadable("no text in it (perhaps scanned images)")
    return _put_together(language, [replace(part, text=_plain(part.text)) for part in parts])


def _plain(text: str) -> str:
    """Only `\\n` ends a line; no control characters and nothing that cannot be stored."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\v", "\n").replace("\f", "\n")
    text = "".join(one for one in text if one >= " " or one in "\n\t")
    return text.encode(errors="replace").decode()


def _put_together(language: str, parts: list[Part]) -> Document:
    pieces: list[Piece] = []
    lines = 0
    for part in parts:
        lines += bool(part.mark)
        _, found = chunk(part.text, part.path)
        pieces.extend(
            one._replace(start_line=one.start_line + lines, end_line=one.end_line + lines) for one in found
        )
        lines += part.text.count("\n") + 1
    text = "\n".join(line for part in parts for line in (part.mark, part.text) if line)
    return Document(text, language, tuple(_joined(_covering(pieces, lines))))


def _covering(pieces: list[Piece], lines: int) -> list[Piece]:
    """A mark belongs to the piece below it."""
    ends = [piece.end_line for piece in pieces[:-1]] + [lines]
    starts = [1, *(end + 1 for end in ends[:-1])]
    return [
        piece._replace(start_line=start, end_line=end)
        for piece, start, end in zip(pieces, starts, ends, strict=True)
    ]


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Short neighbouring sections as one; a heading begins a new one unless hardly anything stands before it."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.kind == piece.kind == "section"
            and last.lines + piece.lines <= JOINED_LINES
            and (not piece.name or last.lines < SHORTEST_BLOCK)
        ):
            names = tuple(filter(None, (*last.defines, piece.name if last.name else "", *piece.defines)))
            joined[-1] = last._replace(
                end_line=piece.end_line,
                name=last.name or piece.name,
                defines=tuple(dict.fromkeys(names)),
            )
        else:
            joined.append(piece)
    return joined
