"""Fenced code blocks: writing them so that nothing inside can end them, and finding them in an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TICKS = re.compile(r"`{3,}")
_OPENING = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\s`{]*)")


@dataclass(frozen=True, slots=True)
class Block:
    """A code block. `language` is what its fence says, in lower case; `closed` is False where the answer ended in it."""

    language: str
    code: str
    closed: bool = True


def fenced(text: str, language: str = "") -> str:
    """`text` as a code block whose fence is longer than any run of backticks inside, which so stays text."""
    fence = "`" * max([3, *(len(run) + 1 for run in _TICKS.findall(text))])
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def blocks(text: str) -> Iterator[Block]:
    """The code blocks of an answer, in order. An indented fence takes its indentation away from the lines inside."""
    lines = iter(text.splitlines())
    for line in lines:
        opening = _OPENING.match(line)
        if opening is None:
            continue
        fence, indent = opening[1], len(line) - len(line.lstrip())
        inside: list[str] = []
        closed = False
        for one in lines:
            end = one.strip()
            if len(end) >= len(fence) and set(end) == {fence[0]}:
                closed = True
                break
            inside.append(one[indent:] if not one[:indent].strip() else one)
        yield Block(opening[2].lower(), "\n".join(inside) + "\n", closed)
