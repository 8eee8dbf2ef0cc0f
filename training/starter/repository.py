"""Holes that can only be filled with what stands elsewhere in the same package: what retrieval is good for.

A hole is cut into a line which uses a name that the file shown around it lacks, and that other functions of the package
use or define. Those come in front of the hole, among others that look alike, as the product lays them out
(``codeweft.flows.infilling.neighbours``: a few, of each the code most like that around the hole, ordered by place).
Python's functions are found by its parser; other languages are cut at blank lines.
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

from codeweft.flows.infilling import NEIGHBOURS, SMALLEST_NEIGHBOUR, excerpt, query
from codeweft.types import Infill
from training.starter.layout import Hole, Near

USEFUL = (
    0.85  # of the holes show a wanted name; with the rest, what is most alike does not help, as it often is
)
COMMON = 24  # a name in more functions of a package than that is no clue
LONGEST_CHUNK = 60  # lines
BLOCK = 12  # lines that a chunk of a language without a parser has at least, where its paragraphs allow
FEWEST_CHUNKS = 8  # of a package worth looking for one in
TRIES = 8  # lines of a function that are looked at
CONTEXT_BEFORE, CONTEXT_AFTER = 1800, 450  # characters around the hole that may be shown

_NAME = re.compile(r"[A-Za-z_]\w{2,}")
_WORDS = """abstract bool boolean break byte case catch char class const continue crate default double else enum error
export extends false final float float64 for func function goto if impl implements import in include int int32 int64
interface let long match mod module mut namespace new nil null number package private protected pub public range return
self short signed size_t static string struct super switch this throw throws true try type typedef typeof undefined
union unsafe unsigned use usize var void volatile where while yield async await from str u32 u64 i32 i64 u8"""
_KNOWN = frozenset({*keyword.kwlist, *dir(builtins), "self", "cls", "args", "kwargs", *_WORDS.split()})
_COMMENT = re.compile(r"\s*(//|/\*|\*|#|$)")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A function or method, or some paragraphs of code; lines count from 1."""

    path: str
    start: int
    end: int
    text: str
    names: frozenset[str]
    statements: tuple[int, ...]
    """Lines on which a statement begins that is no docstring or comment, sorted."""


class Package:
    """The functions of one package and which names they hold."""

    def __init__(self, files: Sequence[tuple[str, str]], language: str = "python") -> None:
        self.files, self.language = dict(files), language
        chunks = _chunks if language == "python" else _blocks
        self.chunks = [chunk for path, text in files for chunk in chunks(path, text)]
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
            cut = _cut(prefix, lines, row, indent, rest, wanted, rng)
            shown = self._shown(chunk, cut, wanted, room, rng)
            if shown is None:
                continue
            return cut, shown
        return None

    def _shown(
        self, chunk: Chunk, hole: Hole, wanted: set[str], room: int, rng: random.Random
    ) -> list[Near] | None:
        """The best holder of the wanted names and the chunks most like the code around the hole."""
        asked = set(_NAME.findall(query(Infill(hole.prefix, hole.suffix))))
        around = hole.prefix + hole.suffix
        scores: dict[Chunk, float] = defaultdict(float)
        for name in (asked | wanted) - _KNOWN:
            holders = self._holders[name]
            for one in holders if len(holders) <= 10 * COMMON else ():
                if one.text not in around and not (
                    one.path == chunk.path and abs(one.start - chunk.start) < 2
                ):
                    scores[one] += math.log(1 + len(self.chunks) / len(holders)) / math.sqrt(len(one.names))
        count = max(1, min(NEIGHBOURS, room // SMALLEST_NEIGHBOUR))
        ranked = sorted(scores, key=lambda one: -scores[one])[: 4 * NEIGHBOURS]
        texts = {one: excerpt(one.text, asked, room // count)[0] for one in ranked}
        ranked = [one for one in ranked if texts[one]]
        useful = [one for one in ranked if wanted & set(_NAME.findall(texts[one]))]
        if not useful:
            return None
        first = useful[:1] if rng.random() < USEFUL else []
        chosen = [*first, *[one for one in ranked if one not in first]][:count]
        chosen.sort(key=lambda one: (one.path, one.start))
        return [Near(one.path, texts[one]) for one in chosen]


def packages(files: Iterator[tuple[str, str, str, str]]) -> list[Package]:
    """Packages of (package, path, text, language) that have enough functions to find one in."""
    by_name: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for package, path, text, language in files:
        by_name[package, language].append((path, text))
    made = (Package(found, language) for (_, language), found in by_name.items())
    return [package for package in made if len(package.chunks) >= FEWEST_CHUNKS]


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


def _blocks(path: str, text: str) -> Iterator[Chunk]:
    """Paragraphs of code, several in one chunk where they are short."""
    lines = text.split("\n")
    start = 0
    for at in range(1, len(lines) + 1):
        size = at - start
        ends = at == len(lines) or (not lines[at].strip() and size >= BLOCK) or size >= LONGEST_CHUNK
        if not ends:
            continue
        if size >= 3:
            body = "\n".join(lines[start:at])
            statements = [
                row + 1 for row in range(start, at) if len(lines[row]) > 8 and not _COMMENT.match(lines[row])
            ]
            names = frozenset(_NAME.findall(body)) - _KNOWN
            yield Chunk(path, start + 1, at, body, names, tuple(statements))
        start = at


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _cut(
    prefix: str, lines: Sequence[str], row: int, indent: int, rest: str, wanted: set[str], rng: random.Random
) -> Hole:
    """The whole line, its end from before a wanted name, or a few lines."""
    line, draw = lines[row], rng.random()
    if draw < 0.45:
        first = min(match.start() for match in _NAME.finditer(line) if match[0] in wanted)
        start = first if draw < 0.25 else rng.randint(indent, first)
        return Hole(prefix + line[indent:start], line[start:], "\n" + rest)
    if draw < 0.88:
        return Hole(prefix, line[indent:], "\n" + rest)
    count = rng.randint(1, 3)
    after = rest.split("\n")
    taken = [line[indent:], *after[:count]]
    return Hole(prefix, "\n".join(taken).rstrip(), "\n" + "\n".join(after[count:]))
