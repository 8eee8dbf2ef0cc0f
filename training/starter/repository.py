"""Holes that can only be filled with what stands elsewhere in the same package: what retrieval is good for.

A hole is cut into a line which uses a name that the file shown around it lacks, and that other functions of the package
use or define. Those come in front of the hole, among others that look alike, as the product lays them out
(``codeweft.flows.infilling.neighbours``: up to four, each cut to its share of bytes, ordered by place).
"""

from __future__ import annotations

import ast
import builtins
import keyword
import math
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.starter.layout import Hole, Near

NEIGHBOURS = (1, 2, 3, 4, 4)  # how many are shown, drawn evenly
COMMON = 24  # a name in more functions of a package than that is no clue
LONGEST_CHUNK = 60  # lines
TRIES = 8  # lines of a function that are looked at
CONTEXT_BEFORE, CONTEXT_AFTER = 1800, 450  # characters around the hole that may be shown

_NAME = re.compile(r"[A-Za-z_]\w{2,}")
_KNOWN = frozenset({*keyword.kwlist, *dir(builtins), "self", "cls", "args", "kwargs"})


@dataclass(frozen=True, slots=True)
class Chunk:
    """A function or method; lines count from 1."""

    path: str
    start: int
    end: int
    text: str
    names: frozenset[str]
    statements: tuple[int, ...]
    """Lines on which a statement begins that is no docstring, sorted."""


class Package:
    """The functions of one package and which names they hold."""

    def __init__(self, files: Sequence[tuple[str, str]]) -> None:
        self.files = dict(files)
        self.chunks = [chunk for path, text in files for chunk in _chunks(path, text)]
        self._holders: dict[str, list[Chunk]] = defaultdict(list)
        for chunk in self.chunks:
            for name in chunk.names:
                self._holders[name].append(chunk)

    def hole(self, rng: random.Random, room: int) -> tuple[Hole, list[Near]] | None:
        """A hole in a drawn function and what is shown in front of it, in ``room`` characters; None where none is found."""
        chunk = rng.choice(self.chunks)
        lines = self.files[chunk.path].split("\n")
        for row in rng.sample(chunk.statements, min(TRIES, len(chunk.statements))):
            row -= 1
            line = lines[row]
            indent = len(line) - len(line.lstrip())
            names = set(_NAME.findall(line)) - _KNOWN
            start = sum(len(each) + 1 for each in lines[:row]) + indent
            text = self.files[chunk.path]
            prefix = text[max(0, start - CONTEXT_BEFORE) : start]
            rest = "\n".join(lines[row + 1 :])[:CONTEXT_AFTER]
            here = set(_NAME.findall(prefix)) | set(_NAME.findall(rest))
            wanted = {name for name in names - here if 1 < len(self._holders[name]) <= COMMON}
            if not wanted:
                continue
            shown = self._shown(chunk, row, lines, prefix + rest, wanted, room, rng)
            if shown is None:
                continue
            return _cut(prefix, lines, row, indent, rest, wanted, rng), shown
        return None

    def _shown(
        self,
        chunk: Chunk,
        row: int,
        lines: Sequence[str],
        around: str,
        wanted: set[str],
        room: int,
        rng: random.Random,
    ) -> list[Near] | None:
        """The best holder of the wanted names and the chunks most like the code around the hole."""
        asked = set(
            _NAME.findall(
                "\n".join([lines[chunk.start - 1], *lines[max(0, row - 8) : row], *lines[row + 1 : row + 5]])
            )
        )
        scores: dict[Chunk, float] = defaultdict(float)
        for name in (asked | wanted) - _KNOWN:
            holders = self._holders[name]
            for one in holders if len(holders) <= 10 * COMMON else ():
                if one.text not in around and not (
                    one.path == chunk.path and abs(one.start - chunk.start) < 2
                ):
                    scores[one] += math.log(1 + len(self.chunks) / len(holders)) / math.sqrt(len(one.names))
        count = rng.choice(NEIGHBOURS)
        size = room // count
        ranked = sorted(scores, key=lambda one: -scores[one])
        useful = [one for one in ranked if wanted & set(_NAME.findall(_head(one.text, size)))]
        if not useful:
            return None
        chosen = [useful[0], *[one for one in ranked if one is not useful[0]]][:count]
        chosen.sort(key=lambda one: (one.path, one.start))
        return [Near(one.path, _head(one.text, size)) for one in chosen]


def packages(files: Iterator[tuple[str, str, str]]) -> list[Package]:
    """Packages of (package, path, text) that have enough functions to find one in."""
    by_name: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for package, path, text in files:
        by_name[package].append((path, text))
    made = (Package(found) for found in by_name.values())
    return [package for package in made if len(package.chunks) >= 8]


def _chunks(path: str, text: str) -> Iterator[Chunk]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    lines = text.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            end = node.end_lineno or node.lineno
            if 3 <= end - start + 1 <= LONGEST_CHUNK:
                body = "\n".join(lines[start - 1 : end])
                names = frozenset(_NAME.findall(body)) - _KNOWN
                statements = {
                    each.lineno
                    for each in ast.walk(node)
                    if isinstance(each, ast.stmt) and each is not node and not _is_text(each)
                }
                yield Chunk(path, start, end, body, names, tuple(sorted(statements)))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _cut(
    prefix: str, lines: Sequence[str], row: int, indent: int, rest: str, wanted: set[str], rng: random.Random
) -> Hole:
    """The whole line, its end from before a wanted name, or a few lines."""
    line, draw = lines[row], rng.random()
    if draw < 0.35:
        first = min(match.start() for match in _NAME.finditer(line) if match[0] in wanted)
        start = rng.randint(indent, first)
        return Hole(prefix + line[indent:start], line[start:], "\n" + rest)
    if draw < 0.85:
        return Hole(prefix, line[indent:], "\n" + rest)
    count = rng.randint(1, 3)
    after = rest.split("\n")
    taken = [line[indent:], *after[:count]]
    return Hole(prefix, "\n".join(taken).rstrip(), "\n" + "\n".join(after[count:]))


def _head(text: str, room: int) -> str:
    return text if len(text) <= room else text[:room].rsplit("\n", 1)[0]
