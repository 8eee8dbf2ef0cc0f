"""Code in Markdown: putting a file into a question, and taking an answer's code out."""

from __future__ import annotations

import re

from codeweft.server.chat_views import LONGEST_SNIPPET

_OPENING = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^`]*$")
MOST_BLOCKS = 50
"""Blocks of one answer that are kept; more are a broken model repeating itself."""


def code_blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a Markdown text as (language, code); one that was cut off counts, an empty one does not."""
    found: list[tuple[str, str]] = []
    fence, language, lines = "", "", list[str]()
    for line in [*text.split("\n"), None]:
        if not fence:
            opening = _OPENING.match(line) if line is not None else None
            if opening:
                fence, language, lines = opening[1], opening[2].lower(), []
        elif line is None or _closes(line, fence):
            code = "\n".join(lines).rstrip("\n")
            if code.strip() and len(code) <= LONGEST_SNIPPET:
                found.append((language, code))
            fence = ""
        else:
            lines.append(line)
    return found[:MOST_BLOCKS]


def _closes(line: str, fence: str) -> bool:
    mark = line.strip()
    return len(mark) >= len(fence) and not mark.strip(fence[0]) and len(line) - len(line.lstrip(" ")) < 4


def enclosed(name: str, language: str, text: str) -> str:
    """A file as a question holds it: data in a fence that nothing in it can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"Attached file {name}:\n{fence}{language}\n{text.rstrip()}\n{fence}\n\n"
