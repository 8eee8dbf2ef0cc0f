"""What code around a hole is looked up by, and which of what was found helps to fill it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from codeweft.stream import BYTES_PER_TOKEN
from codeweft.types import Infill, SearchResult

QUERY_LINES = (8, 4)
"""Lines before and after the hole that are looked up, beside the one that begins the function around it."""
FARTHEST_HEAD = 200
"""Lines above the hole within which that function must begin."""
LONGEST_HEAD = 400
"""Characters of a line that may begin a function; longer ones are data or minified code."""
NEIGHBOURS = 4
"""Chunks shown to an infilling model; more delays the first token more than it helps."""
NEIGHBOUR_SHARE = 0.4
"""Part of the context for all of them: code that is far away must not push out what stands around the hole."""
KNOWN_SHARE = 0.7
"""A chunk with that part of its lines around the hole already is the code being edited."""

_CLOSING = frozenset(")]}")
_FUNCTION = re.compile(
    r"\s*(?:[\w@*&<>\[\]]+\s+)*(?:def|fn|func|function|fun|sub|proc|defp|defmacro)\b"
    r"|(?!\s*(?:if|for|while|switch|catch|else|elif|match|with|try|return|do|case|unless)\b)[^;=]*\w\s*\([^;]*[{]\s*$"
    r"|.*(?:=>|\bfunction\s*\(.*\))\s*\{\s*$"
)


def query(hole: Infill) -> str:
    """The question that finds what belongs in a hole: the head of its function and the lines nearest to it.

    Lines above the function are left out, for they say what the function before does.
    """
    before, after = QUERY_LINES
    lines = [line for line in hole.prefix.splitlines() if line.strip()]
    head = _beginning(lines)
    near = lines[max(head + 1, len(lines) - before) :]
    return "\n".join([*lines[head : head + 1], *near, *hole.suffix.splitlines()[:after]])


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


def _beginning(lines: list[str]) -> int:
    """Where the function around the end of `lines` begins; -1 when the end is in none."""
    inside = _indent(lines[-1]) if lines else 0
    for number in range(len(lines) - 1, max(-1, len(lines) - FARTHEST_HEAD), -1):
        line = lines[number]
        if _indent(line) >= inside and number < len(lines) - 1:
            continue
        if len(line) <= LONGEST_HEAD and _FUNCTION.match(line):
            return number
        # A signature over several lines ends as far left as it begins.
        inside = _indent(line) + (line.lstrip()[:1] in _CLOSING)
    return -1


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
