"""Regular expressions over indexed text, line by line as grep does.

The engine is RE2: its time is linear in the text whatever the pattern, so nothing that is typed into a search box can
hold the server up. Look-around and back references, which cannot be had at that price, are refused.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import re2

from codeweft.errors import InvalidRequest
from codeweft.retrieval.narrow import check_filters
from codeweft.types import Filters

if TYPE_CHECKING:
    from codeweft.retrieval.index import Index
    from codeweft.retrieval.store.base import Row

LONGEST_PATTERN: Final = 1000
"""Characters of a pattern."""
GREP_SECONDS: Final = 20.0
"""How long one request to a server may read; what was found until then is answered."""
_MAX_MEMORY: Final = 8 << 20
"""Bytes that a compiled pattern and its automata may take; RE2's own limit of a pattern's size."""
_SPECIAL: Final = frozenset(r"\.+*?()|[]{}^$")
_LITERAL_ESCAPE: Final = re.compile(r"[^\w\s]")
_COUNTED: Final = re.compile(r"\{\d+(?:,\d*)?\}")
_LOOKING: Final = re.compile(r"\(\?<?[=!]|\\[1-9]")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that matches: its number from 1, its text, and the character spans (from 0) of the matches in it."""

    number: int
    text: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A matching line in an index, with the lines around it that were asked for. `number` counts from 1."""

    index: str
    repository: str
    commit: str
    path: str
    language: str
    number: int
    text: str
    spans: tuple[tuple[int, int], ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class Pattern:
    """A pattern, ready to be looked for in texts. Raises `InvalidRequest` saying what is wrong with it."""

    def __init__(
        self, pattern: str, *, ignore_case: bool = False, whole_word: bool = False, fixed: bool = False
    ) -> None:
        if not pattern:
            raise InvalidRequest("The pattern is empty.", fix="Say what to look for.", param="pattern")
        if len(pattern) > LONGEST_PATTERN:
            raise InvalidRequest(
                f"The pattern has {len(pattern)} characters; at most {LONGEST_PATTERN} are taken.",
                param="pattern",
            )
        if "\n" in pattern:
            raise InvalidRequest(
                "The pattern holds a line break; lines are searched one by one.", param="pattern"
            )
        self.literal = "" if ignore_case else pattern if fixed else literal_of(pattern)
        text = re2.escape(pattern) if fixed else pattern
        if whole_word:
            text = rf"\b(?:{text})\b"
        options = re2.Options()
        options.log_errors = False
        options.case_sensitive = not ignore_case
        options.max_mem = _MAX_MEMORY
        encoded = text.encode("utf-8", "surrogatepass")
        try:
            self._line = re2.compile(encoded, options)
            # Where a line begins inside a text that holds many.
            self._text = re2.compile(b"(?m)" + encoded, options)
        except re2.error as error:
            raise _refused(pattern, error) from None

    def lines(self, text: str) -> Iterator[Line]:
        """The lines of a text that match, in order."""
        data = text.encode("utf-8", "surrogatepass")
        at, number = 0, 1
        while at <= len(data):
            # The whole text first: most of it holds no match, and that is found out in one call.
            found = self._text.search(data, at)
            if found is None:
                return
            start = data.rfind(b"\n", 0, found.start()) + 1
            end = data.find(b"\n", found.start())
            end = len(data) if end < 0 else end
            number += data.count(b"\n", at, start)
            line = data[start:end].removesuffix(b"\r")
            if spans := _spans(self._line, line):
                yield Line(number, line.decode("utf-8", "surrogatepass"), spans)
            at, number = end + 1, number + 1


class Grep:
    """The lines of `indexes` that match, by path and line, found while they are iterated.

    Ends after `limit` hits or `seconds`; `more` then says that there may be more. `context` is how many lines come
    with a hit on either side.
    """

    def __init__(
        self,
        indexes: Sequence[Index],
        pattern: Pattern,
        filters: Filters = Filters(),
        *,
        context: int = 0,
        limit: int | None = None,
        seconds: float | None = None,
    ) -> None:
        check_filters(filters)
        self.more = False
        self._indexes = indexes
        self._pattern = pattern
        self._filters = filters
        self._context = context
        self._limit = limit
        self._seconds = seconds

    def __iter__(self) -> Iterator[Hit]:
        until = None if self._seconds is None else time.monotonic() + self._seconds
        found = 0
        for index in self._indexes:
            if not index.covers(self._filters):
                continue
            settings = index.store.settings()
            repository, commit = settings.get("repository", index.name), settings.get("commit", "")
            around = _Around(index, self._context)
            for row in index.store.scan(self._pattern.literal, self._filters):
                if until is not None and time.monotonic() > until:
                    self.more = True
                    return
                for line in self._pattern.lines(row.text):
                    if found == self._limit:
                        self.more = True
                        return
                    found += 1
                    number = row.start_line + line.number - 1
                    before, after = around.lines(row, number)
                    yield Hit(
                        index.name, repository, commit, row.path, row.language, number, line.text, line.spans,
                        before, after,
                    )  # fmt: skip


class _Around:
    """The lines around hits; the file that is being read is kept."""

    def __init__(self, index: Index, context: int) -> None:
        self._index = index
        self._context = context
        self._path = ""
        self._lines: list[str] = []

    def lines(self, row: Row, number: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if not self._context:
            return (), ()
        if row.path != self._path:
            chunks = self._index.store.chunks(row.path)
            self._path = row.path
            self._lines = [line for chunk in chunks for line in chunk.text.split("\n")]
        low = max(0, number - 1 - self._context)
        return tuple(self._lines[low : number - 1]), tuple(self._lines[number : number + self._context])


def _spans(pattern: re2._Regexp, line: bytes) -> tuple[tuple[int, int], ...]:
    ascii_only = line.isascii()
    found = []
    for match in pattern.finditer(line):
        start, end = match.span()
        if not ascii_only:
            start, end = (
                len(line[:start].decode("utf-8", "replace")),
                len(line[:end].decode("utf-8", "replace")),
            )
        found.append((start, end))
    return tuple(found)


def literal_of(pattern: str) -> str:
    """The longest text that every match of a pattern holds, "" when that cannot be told simply.

    Looked for in what stands outside groups and classes; a pattern with alternatives at the top has none.
    """
    best, run = "", ""
    at, depth = 0, 0
    if "(?" in pattern and re.search(r"\(\?[a-zA-Z-]*i", pattern):
        return ""
    while at < len(pattern):
        char = pattern[at]
        taken = ""
        if char == "\\":
            escaped = pattern[at + 1 : at + 2]
            if escaped == "Q":
                return ""
            taken = escaped if _LITERAL_ESCAPE.match(escaped) else ""
            at += 2
            # The rest of an escape such as \x41 or \pL is no text to look for.
            if not taken and escaped in "xpP":
                return best
        elif char == "[":
            at = _after_class(pattern, at)
        elif char in "()":
            depth += 1 if char == "(" else -1
            at += 1
        elif char == "|" and depth == 0:
            return ""
        else:
            taken = "" if char in _SPECIAL else char
            at += 1
        if depth or not taken:
            best, run = max(best, run, key=len), ""
            continue
        following = pattern[at : at + 1]
        if following in ("*", "?") or (following == "{" and _COUNTED.match(pattern, at)):
            # What may be missing is not in every match.
            best, run = max(best, run, key=len), ""
        elif following == "+":
            best, run = max(best, run + taken, key=len), ""
        else:
            run += taken
    return max(best, run, key=len)


def _after_class(pattern: str, at: int) -> int:
    """Behind the class that begins at `at`."""
    at += 1
    if pattern[at : at + 1] == "^":
        at += 1
    if pattern[at : at + 1] == "]":
        at += 1
    while at < len(pattern) and pattern[at] != "]":
        if pattern.startswith("[:", at) and (end := pattern.find(":]", at)) > 0:
            at = end + 2
            continue
        at += 2 if pattern[at] == "\\" else 1
    return at + 1


def _refused(pattern: str, error: Exception) -> InvalidRequest:
    reason = error.args[0]
    reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    if _LOOKING.search(pattern):
        return InvalidRequest(
            f"The pattern {pattern!r} uses look-around or a back reference, which are not supported.",
            fix="Match the whole text instead: what is found is shown with its line.",
            param="pattern",
        )
    return InvalidRequest(
        f"The pattern {pattern!r} is no regular expression: {reason}.",
        fix="Correct it, or look for it as it stands (fixed text).",
        param="pattern",
    )
