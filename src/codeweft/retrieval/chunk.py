"""A source file into chunks: functions and classes by syntax tree, sections between them, every line in one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice, pairwise
from typing import Final, NamedTuple

from codeweft.retrieval.languages import NAMES_ONLY, Language
from codeweft.retrieval.recognise import language_of
from codeweft.retrieval.reexports import passed_on
from codeweft.retrieval.syntax import Definition, definitions_in, parse, plain_comment

WHOLE_CLASS: Final = 24
"""Lines up to which a class stays one chunk: its methods say little without each other."""
WORTHY_NAME: Final = 8
"""Lines from which a named value (a table, a type alias) is a chunk of its own."""
LONGEST_CHUNK: Final = 160
"""Lines above which a definition is split; longer ones drown what a question is about."""
SPLIT_CHUNK: Final = 100
"""Lines that a part of a split definition has at most."""
LONGEST_SECTION: Final = 60
"""Lines of a section (imports, constants, prose) at most."""
SHORTEST_BLOCK: Final = 8
"""Lines below which neighbouring blocks or headings share a chunk."""
LONGEST_TEXT: Final = 16_000
"""Characters of a chunk at most, long lines apart."""

PASSED_ON: Final = "^"
"""Before a name in `defines` that the chunk only passes on from another module. Folded, it is the name itself."""

_HEADING: Final = re.compile(r"(?P<level>#{1,6})\s+(?P<name>.+?)\s*#*\s*$")
_FENCE: Final = re.compile(r"\s{0,3}(```|~~~)")
_UNDERLINE: Final = re.compile(r"([=\-~^\"'`#*+.])\1{2,}\s*$")
_DIRECTIVE: Final = re.compile(
    r"#!?\[|#\s*(?:include|define|undef|if|ifdef|ifndef|elif|else|endif|pragma|import|error)\b"
)
_CLOSING: Final = re.compile(r"\W*(?:(?:end|endif|fi|done|esac|endfunction)\b\W*)?$")
"""A line with nothing but brackets or the word that closes a block."""


class Piece(NamedTuple):
    """One chunk of a file before the file's own facts are added.

    `defines` are further names it defines, and behind `PASSED_ON` those that it passes on from another module. A tuple,
    because millions are made and sent between processes.
    """

    start_line: int
    end_line: int
    kind: str
    name: str = ""
    scope: str = ""
    signature: str = ""
    docstring: str = ""
    defines: tuple[str, ...] = ()

    @property
    def lines(self) -> int:
        return self.end_line - self.start_line + 1

    @property
    def own_names(self) -> tuple[str, ...]:
        """The name and the further ones that are defined here."""
        return (self.name, *(name for name in self.defines if not name.startswith(PASSED_ON)))

    def at(self, start: int, end: int) -> Piece:
        """The same of other lines."""
        if (start, end) == (self.start_line, self.end_line):
            return self
        return Piece(
            start, end, self.kind, self.name, self.scope, self.signature, self.docstring, self.defines
        )  # fmt: skip


def chunk(text: str, path: str) -> tuple[Language, list[Piece]]:
    """The language of a file and its pieces in order; together they cover every line exactly once. Never raises."""
    language = language_of(path, text)
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    if not lines:
        return language, []
    if language.grammar is not None:
        source = text.encode("utf-8", "replace")
        root = parse(source, language.grammar)
        found = definitions_in(root, source, language.grammar)
        found += [
            Definition(line, line, NAMES_ONLY, PASSED_ON + name, "")
            for line, name in passed_on(root, language.grammar, path)
        ]
        pieces = _flatten(found, Piece(1, len(lines), language.kind), lines)
        pieces[:1] = [_with_module_doc(piece, lines) for piece in pieces[:1]]
    elif language.prose:
        pieces = list(_prose(lines))
    elif language.block is not None:
        pieces = list(_blocks(lines, language.block, language.kind))
    else:
        pieces = [Piece(1, len(lines), language.kind)]
    ends = list(accumulate([len(line) + 1 for line in lines], initial=0))
    return language, [part for piece in _cover(pieces, lines) for part in _split(piece, lines, ends)]


def _flatten(found: Sequence[Definition], around: Piece, lines: Sequence[str]) -> list[Piece]:
    """Pieces of `around`: its definitions, and what lies between them as sections that look like `around`."""
    pieces: list[Piece] = []
    names = [one for one in found if not _is_chunk(one)]
    at = around.start_line
    for one in sorted((one for one in found if _is_chunk(one)), key=lambda one: (one.start, -one.end)):
        start = max(one.start, at)
        end = min(one.end, around.end_line)
        if end < start:
            if pieces:
                pieces[-1] = pieces[-1]._replace(defines=(*pieces[-1].defines, one.name))
            continue
        pieces.extend(_between(at, start - 1, around, names, first=not pieces))
        kind = one.kind or "block"
        piece = Piece(start, end, kind, one.name, one.scope, one.signature, one.docstring)
        members = [member for member in one.members if _is_chunk(member)]
        if members and (one.group or one.lines > WHOLE_CLASS):
            pieces.extend(_flatten(one.members, piece, lines))
        else:
            inner = tuple(dict.fromkeys(member.name for member in _all(one.members) if member.name))
            pieces.append(piece._replace(defines=inner) if inner else piece)
        at = end + 1
    pieces.extend(_between(at, around.end_line, around, names, first=not pieces))
    return pieces


def _is_chunk(one: Definition) -> bool:
    return one.kind != NAMES_ONLY or one.lines >= WORTHY_NAME


def _all(found: Iterable[Definition]) -> Iterator[Definition]:
    for one in found:
        yield one
        yield from _all(one.members)


def _between(
    start: int, end: int, around: Piece, names: Sequence[Definition], *, first: bool
) -> Iterator[Piece]:
    """The lines between two definitions; the first ones of a class are its head and carry its name."""
    if end < start:
        return
    inside = tuple(dict.fromkeys(one.name for one in names if start <= one.start <= end and one.name))
    if first:
        yield around._replace(start_line=start, end_line=end, defines=inside)
    else:
        scope = ".".join(filter(None, (around.scope, around.name)))
        yield Piece(start, end, "section", scope=scope, defines=inside)


def _cover(pieces: Sequence[Piece], lines: Sequence[str]) -> list[Piece]:
    """Join pieces without any word in them (blank lines, closing brackets) to the piece before, or else after."""
    kept: list[tuple[Piece, int]] = []
    last = 0
    """The last line of the last piece that is kept."""
    for piece in pieces:
        start, end = last + 1, piece.end_line
        while kept and start < end and not lines[start - 1].strip():
            start += 1
        if any(not _CLOSING.match(line) for line in islice(lines, start - 1, end)):
            kept.append((piece, start))
            last = end
        elif kept:
            last = end
        elif piece is pieces[-1]:
            kept.append((piece, start))
            last = end
    if not kept:
        return [Piece(1, len(lines), "section")]
    ends = [*(start - 1 for _, start in kept[1:]), len(lines)]
    return [piece.at(start, end) for (piece, start), end in zip(kept, ends, strict=True)]


def _split(piece: Piece, lines: Sequence[str], ends: Sequence[int]) -> Iterator[Piece]:
    """Parts of a long piece, cut where a blank or least indented line makes it natural.

    `ends` has how many characters the first 0, 1, 2... lines have.
    """
    definition = piece.kind in ("function", "method", "class", "interface", "enum") and piece.signature != ""
    longest, part = (LONGEST_CHUNK, SPLIT_CHUNK) if definition else (LONGEST_SECTION, LONGEST_SECTION)
    size = ends[piece.end_line] - ends[piece.start_line - 1]
    if piece.lines <= longest and size <= LONGEST_TEXT:
        yield piece
        return
    start = piece.start_line
    while start <= piece.end_line:
        last = min(start + part - 1, piece.end_line)
        budget = LONGEST_TEXT
        for line in range(start, last + 1):
            budget -= len(lines[line - 1]) + 1
            if budget < 0:
                last = max(start, line - 1)
                break
        end = last if last == piece.end_line else _best_cut(start + (last - start) // 2, last, lines)
        yield piece.at(start, end)
        start = end + 1


def _best_cut(earliest: int, latest: int, lines: Sequence[str]) -> int:
    """The line to end a part with: before the least indented line, a blank line before it counting as half a tab."""

    def cost(end: int) -> tuple[int, int]:
        following = lines[end] if end < len(lines) else ""
        indent = len(following) - len(following.lstrip()) if following.strip() else 99
        return indent * 2 - (4 if not lines[end - 1].strip() else 0), -end

    return min(range(earliest, latest + 1), key=cost)


def _blocks(lines: Sequence[str], begins: re.Pattern[str], kind: str) -> Iterator[Piece]:
    """Blocks that begin with a matching line; short neighbours share a piece, which then knows all their names."""
    starts = [(number, match) for number, line in enumerate(lines, 1) if (match := begins.match(line))]
    begin, names = 1, list[str]()
    for number, match in starts:
        if number - begin >= SHORTEST_BLOCK and (names or number > 1):
            yield _block(begin, number - 1, kind, names)
            begin, names = number, []
        if name := match.groupdict().get("name"):
            names.append(name.strip("\"'` "))
    yield _block(begin, len(lines), kind, names)


def _block(start: int, end: int, kind: str, names: Sequence[str]) -> Piece:
    unique = tuple(dict.fromkeys(names))[:50]
    return Piece(start, end, kind, unique[0] if unique else "", defines=unique[1:])


def _prose(lines: Sequence[str]) -> Iterator[Piece]:
    """Sections of Markdown, reStructuredText or plain text by their headings."""
    headings = list(_headings(lines))
    if not headings or headings[0][0] > 1:
        headings.insert(0, (1, 0, ""))
    begin, (_, level, name) = headings[0][0], headings[0]
    parents: list[tuple[int, str]] = [(level, name)]
    scope = ""
    for number, next_level, next_name in headings[1:]:
        if number - begin >= SHORTEST_BLOCK:
            yield Piece(begin, number - 1, "section", name, scope)
            begin, name = number, next_name
            while parents and parents[-1][0] >= next_level:
                parents.pop()
            scope = " › ".join(title for _, title in parents if title)
        parents.append((next_level, next_name))
    yield Piece(begin, len(lines), "section", name, scope)


def _headings(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Line number, level and title of each heading outside code fences."""
    fence = ""
    for number, line in enumerate(lines, 1):
        if mark := _FENCE.match(line):
            fence = "" if fence == mark.group(1) else fence or mark.group(1)
        elif not fence and (heading := _HEADING.match(line)):
            yield number, len(heading["level"]), heading["name"]
    for number, (title, underline) in enumerate(pairwise(lines), 1):
        underlined = _UNDERLINE.match(underline) and len(underline.rstrip()) >= len(title.rstrip()) * 0.8
        if underlined and title[:1].isalnum() and not any(mark in title for mark in "|#"):
            yield number, 1 if underline[0] == "=" else 2, title.strip()


def _with_module_doc(piece: Piece, lines: Sequence[str]) -> Piece:
    """A file's first section carries the comment or docstring that opens the file."""
    if piece.docstring or piece.kind not in ("section", "module"):
        return piece
    opening: list[str] = []
    for line in lines[piece.start_line - 1 : min(piece.end_line, 40)]:
        if not line.strip() and opening:
            break
        opening.append(line)
    text = "\n".join(opening).lstrip()
    if _DIRECTIVE.match(text) or not text.startswith(
        ("#", "//", "/*", '"""', "'''", "--", "{-", ";", 'r"""')
    ):
        return piece
    return piece._replace(docstring=plain_comment(text)[:600])
