"""What code around a hole is looked up by, and which of what was found helps to fill it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
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
SMALLEST_NEIGHBOUR = 220
"""Bytes that each should have; a small context shows fewer of them instead."""
NEIGHBOUR_SHARE = 0.4
"""Part of the context for all of them: code that is far away must not push out what stands around the hole."""
FOLLOWING = 0.5
"""Of the runs of lines that are equally good, the one so far towards the end: 0 ends with the code alike, 1 begins with it."""
KNOWN_SHARE = 0.7
"""A chunk with that part of its lines around the hole already is the code being edited."""

_NAME = re.compile(r"[A-Za-z_]\w{2,}")
_COMMENT = re.compile(r"//|#(?:[\s#!]|$)")
_LONG_COMMENT = re.compile(r"""[rRbBuU]{0,2}(\"{3}|'{3})|(/\*)""")
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

    `context` is in tokens. Of a chunk that is too long, the code most like that around the hole is shown. They are
    ordered by place, not by score: as long as typing finds the same code, the prompt begins the same, and the engine
    need not read it again.
    """
    known = {line.strip() for line in (hole.prefix + hole.suffix).splitlines()}
    room = int(context * NEIGHBOUR_SHARE * BYTES_PER_TOKEN)
    count = max(1, min(NEIGHBOURS, room // SMALLEST_NEIGHBOUR))
    new = [result for result in results if not _holds(known, result.chunk.text)][:count]
    if not new:
        return ()
    names = _names(query(hole))
    fitting = (_cut(one, names, room // len(new)) for one in new)
    shown = (one for one in fitting if one.chunk.text)
    return tuple(sorted(shown, key=lambda one: (one.chunk.path, one.chunk.start_line)))


def _cut(result: SearchResult, names: Collection[str], room: int) -> SearchResult:
    """A result that shows at most `room` bytes of its chunk."""
    chunk = result.chunk
    text, first, last = excerpt(chunk.text, names, room)
    if text == chunk.text:
        return result
    start, end = chunk.start_line + first, chunk.start_line + last
    return replace(result, chunk=replace(chunk, text=text, start_line=start, end_line=end))


def excerpt(text: str, names: Collection[str], room: int) -> tuple[str, int, int]:
    """What of `text` is worth `room` bytes, and its first and last line, from 0.

    Where all of it does not fit, comments and blank lines are left out, and then all but the run of lines that holds most
    of `names`; a name counts the more the seldomer it is. Where no line holds any, the first lines are taken. The text is
    empty where not even one line fits.
    """
    lines = text.split("\n")
    if len(text.encode("utf-8", "replace")) <= room:
        return text, 0, len(lines) - 1
    rows = _telling(lines) or list(range(len(lines)))
    sizes = [len(lines[row].encode("utf-8", "replace")) + 1 for row in rows]
    held = [_names(lines[row]) & set(names) for row in rows]
    holders = Counter(name for some in held for name in some)
    best, equals = 0.0, [(0, 0)]
    inside: Counter[str] = Counter()
    used, stop = 0, 0
    for start in range(len(rows)):
        stop = max(stop, start)
        while stop < len(rows) and used + sizes[stop] - 1 <= room:
            used += sizes[stop]
            inside.update(held[stop])
            stop += 1
        worth = round(sum(1 / holders[name] for name, count in inside.items() if count), 9)
        if stop > start and (worth > best or equals == [(0, 0)]):
            best, equals = worth, [(start, stop)]
        elif stop > start and worth == best > 0:
            equals.append((start, stop))
        if stop == len(rows):
            break
        if stop > start:
            used -= sizes[start]
            inside.subtract(held[start])
    # What follows the code that is alike says more of what belongs in the hole than what comes before it.
    begin, end = equals[int(FOLLOWING * (len(equals) - 1))]
    taken = rows[begin:end]
    return ("\n".join(lines[row] for row in taken), taken[0], taken[-1]) if taken else ("", 0, 0)


def _telling(lines: Sequence[str]) -> list[int]:
    """The numbers of the lines that are neither blank nor comment nor docstring."""
    rows, closing = [], ""
    for number, line in enumerate(lines):
        code = line.strip()
        if closing:
            closing = "" if closing in code else closing
        elif opened := _LONG_COMMENT.match(code):
            mark = opened[1] or "*/"
            closing = "" if mark in code[opened.end() :] else mark
        elif code and not _COMMENT.match(code):
            rows.append(number)
    return rows


def _names(text: str) -> set[str]:
    return set(_NAME.findall(text))


def _holds(known: set[str], text: str) -> bool:
    lines = [line for line in map(str.strip, text.splitlines()) if len(line) > 3]
    return bool(lines) and sum(line in known for line in lines) >= KNOWN_SHARE * len(lines)


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
