"""What code around a hole is looked up by, and which of what was found helps to fill it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from codeweft.stream import BYTES_PER_TOKEN
from codeweft.types import Infill, SearchResult

QUERY_LINES = (12, 4)
"""Lines before and after the hole that say what is being written (before: the signature and comment above it)."""
QUERY_IMPORTS = 8
"""Import lines looked up with them: those that bring in a name used there say which file it is from."""
NEIGHBOURS = 4
"""Chunks shown to an infilling model; more delays the first token more than it helps."""
NEIGHBOUR_SHARE = 0.4
"""Part of the context for all of them: code that is far away must not push out what stands around the hole."""
KNOWN_SHARE = 0.7
"""A chunk with that part of its lines around the hole already is the code being edited."""

_IMPORT = re.compile(r"\s*(?:import|from|use|using|require|include|#\s*include|const\s.*require\()")
_NAME = re.compile(r"[A-Za-z_]\w{2,}")


def query(hole: Infill) -> str:
    """The lines around the hole, after those imports that bring in a name used there."""
    before, after = QUERY_LINES
    lines = hole.prefix.splitlines()
    around = lines[-before:] + hole.suffix.splitlines()[:after]
    used = set(_NAME.findall("\n".join(around)))
    imports = [line for line in lines[:-before] if _IMPORT.match(line) and used & set(_NAME.findall(line))]
    return "\n".join(imports[-QUERY_IMPORTS:] + around)


def neighbours(results: Sequence[SearchResult], hole: Infill, context: int) -> tuple[SearchResult, ...]:
    """The best few results that the code around the hole does not hold already, cut to their share of the context.

    `context` is in tokens. They are ordered by place, not by score: as long as typing finds the same code, the prompt
    begins the same, and the engine need not read it again.
    """
    known = {line.strip() for line in (hole.prefix + hole.suffix).splitlines()}
    new = [result for result in results if not _holds(known, result.chunk.text)][:NEIGHBOURS]
    if not new:
        return ()
    room = int(context * NEIGHBOUR_SHARE * BYTES_PER_TOKEN) // len(new)
    fitting = (replace(one, chunk=replace(one.chunk, text=_head(one.chunk.text, room))) for one in new)
    return tuple(sorted(fitting, key=lambda one: (one.chunk.path, one.chunk.start_line)))


def _holds(known: set[str], text: str) -> bool:
    lines = [line for line in map(str.strip, text.splitlines()) if len(line) > 3]
    return bool(lines) and sum(line in known for line in lines) >= KNOWN_SHARE * len(lines)


def _head(text: str, room: int) -> str:
    """As many first lines as `room` bytes hold."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= room else data[:room].decode("utf-8", "ignore").rsplit("\n", 1)[0]
