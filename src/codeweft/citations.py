"""The reference numbers, such as [2], in the text of an answer."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

_CITATION = re.compile(r"(?<![\w\])}\"'`/])\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\](?![(\[:])")
"""`[2]` or `[1, 3]`; not an index (`rows[2]`), a link (`[2](…)`, `[2][…]`) or a footnote's target (`[2]:`)."""
_FENCE = re.compile(r"^[ \t]{0,3}(```+|~~~+)")
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_COMMENT = re.compile(r"(?:^|\s)(?:#|//|--|/\*|\*|;|%|<!--)(?=\s).*$")
"""In code only a comment cites; anything else in brackets is the language's."""


def cited(text: str) -> tuple[int, ...]:
    """The numbers cited in `text`, each once, in the order of their first place."""
    return tuple(dict.fromkeys(number for match in _places(text) for number in _numbers(match)))


def without(text: str, dropped: Container[int]) -> str:
    """`text` with its citations of the numbers `dropped` taken away, and the space before them."""
    pieces: list[str] = []
    at = 0
    for match in _places(text):
        kept = [number for number in _numbers(match) if number not in dropped]
        if len(kept) == len(_numbers(match)):
            continue
        before = text[at : match.start()]
        pieces += [before, f"[{', '.join(map(str, kept))}]"] if kept else [before.rstrip(" ")]
        at = match.end()
    return "".join((*pieces, text[at:]))


def _numbers(match: re.Match[str]) -> list[int]:
    return [int(number) for number in match[1].split(",")]


def _places(text: str) -> Iterator[re.Match[str]]:
    """Citations outside code, and in its comments."""
    begin, fence = 0, ""
    for line in text.splitlines(keepends=True):
        end = begin + len(line.rstrip("\r\n"))
        mark = _FENCE.match(line)
        if mark is not None and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else mark[1]
        elif fence:
            comment = _COMMENT.search(text[begin:end])
            if comment is not None:
                yield from _CITATION.finditer(text, begin + comment.start(), end)
        else:
            code = [
                (begin + one.start(), begin + one.end()) for one in _INLINE_CODE.finditer(text[begin:end])
            ]
            for match in _CITATION.finditer(text, begin, end):
                if not any(low <= match.start() < high for low, high in code):
                    yield match
        begin += len(line)
