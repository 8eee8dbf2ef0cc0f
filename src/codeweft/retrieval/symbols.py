"""Look a symbol up in an index: where it is defined, mentioned and called, and what it calls.

The index knows which chunks may hold a name; their files are then read as syntax trees, so that a word in a comment or
a string is no result. Types are not inferred: of a qualified name (`Store.open`) each place says whether it is certain
that this one is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from codeweft.errors import InvalidRequest
from codeweft.retrieval.index import Index
from codeweft.retrieval.mentions import Mention, Role, Source
from codeweft.retrieval.store.base import Row, fold, last_segment
from codeweft.retrieval.tokens import words
from codeweft.retrieval.walk import path_patterns
from codeweft.types import Filters

Wanted = Literal["definitions", "references", "callers", "callees"]
WANTED: Final[tuple[str, ...]] = get_args(Wanted)

DEFINING: Final = 1000
"""Chunks looked at that may define a name."""
HOLDING: Final = 5000
"""Chunks looked at that may mention a name."""
_QUALIFIER: Final = re.compile(r"::|->|[.\\#/]")
_SELF: Final = frozenset(("self", "this", "cls", "super", "Self", "static", "parent", "$this", "@", "base"))
"""Words by which code names the class it stands in."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name to look up: its last part, and the classes, modules or folders it is qualified by, outermost first."""

    name: str
    qualifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """One place in an index. `line` (from 1) and `column` (characters from 1) are those of the name.

    `name` is the qualified name of what is defined, calls or is called there, else the name itself. `within` is what
    the place stands in. `count` is how often a caller calls. `certain` is False where a qualified name was asked for
    and nothing in the file says that this one is meant.
    """

    index: str
    repository: str
    commit: str
    path: str
    language: str
    line: int
    column: int
    end_line: int
    role: Role
    name: str
    kind: str
    within: str
    text: str
    certain: bool = True
    count: int = 1


@dataclass(frozen=True, slots=True)
class Places:
    """What a look-up found, definitions by path, the rest by path and line; `more` means that it was cut."""

    places: tuple[Place, ...]
    more: bool = False


def read_symbol(text: str) -> Symbol:
    """A name as people write it (`Store.open`, `auth::Store::open`, `open()`). Raises `InvalidRequest` for none."""
    parts = [part for part in _QUALIFIER.split(text.strip().removesuffix("()")) if part]
    if not parts or not words(parts[-1]) or any(" " in part for part in parts):
        raise InvalidRequest(
            f"{text!r} is no name that can be looked up.",
            fix="Give one name, such as `parse_config`, `Store.open` or `auth::open`.",
            param="name",
        )
    return Symbol(parts[-1], tuple(parts[:-1]))


def look_up(
    indexes: Sequence[Index], name: str, wanted: Wanted, filters: Filters = Filters(), limit: int = 200
) -> Places:
    """What is asked of a name in `indexes`, at most `limit` places. Raises `InvalidRequest` for no name."""
    symbol = read_symbol(name)
    found: list[Place] = []
    for index in indexes:
        if not index.covers(filters):
            continue
        for place in _LOOK_UPS[wanted](_Reading(index, filters), symbol):
            if len(found) == limit:
                return Places(tuple(found), more=True)
            found.append(place)
    return Places(tuple(found))


class _Reading:
    """One index while it is looked through; every file is read and parsed once."""

    def __init__(self, index: Index, filters: Filters) -> None:
        self._index = index
        self.store = index.store
        self._filters = replace(filters, kinds=())
        self.kinds = filters.kinds
        settings = self.store.settings()
        self._repository = settings.get("repository", index.name)
        self._commit = settings.get("commit", "")
        self._globs = path_patterns(filters.paths) if filters.paths else None

    def defining(self, names: Iterable[str]) -> list[Row]:
        """Chunks that define one of some names, up to case and underscores."""
        folded = sorted({fold(name) for name in names} - {""})
        return [row for row in self.store.rows(self.store.defining(folded, DEFINING)) if self._allows(row)]

    def _allows(self, row: Row) -> bool:
        languages = self._filters.languages
        return (not languages or row.language in languages) and (
            self._globs is None or self._globs.match_file(row.path)
        )

    def holding(self, name: str) -> list[str]:
        """Paths of files with a chunk that may mention a name, in order."""
        terms = words(name)
        # The last term of a compound name is the name as a whole, the rarest.
        ids = self.store.holding(terms[-1:] if len(terms) > 1 else terms, HOLDING, self._filters)
        return sorted({row.path for row in self.store.rows(ids)})

    def source(self, path: str) -> tuple[Source, str, str]:
        """A file as a tree, its language and its text."""
        rows = self.store.chunks(path)
        text = "\n".join(row.text for row in rows)
        language = rows[0].language if rows else ""
        return Source(text, language), language, text

    def place(self, path: str, language: str, mention: Mention, name: str, *, certain: bool = True) -> Place:
        return Place(
            index=self._index.name,
            repository=self._repository,
            commit=self._commit,
            path=path,
            language=language,
            line=mention.line,
            column=mention.column,
            end_line=mention.end_line or mention.line,
            role=mention.role,
            name=name,
            kind=mention.kind,
            within=mention.within,
            text=mention.text,
            certain=certain,
        )


def _definitions(reading: _Reading, symbol: Symbol) -> Iterator[Place]:
    """Definitions with the qualifiers as written; where there are none, up to case and underscores."""
    found = list(_named(reading, symbol))
    exact = [place for place in found if _is_qualified(symbol, place.name, place.path)]
    yield from exact or (
        place for place in found if _is_qualified(symbol, place.name, place.path, folded=True)
    )


def _named(reading: _Reading, symbol: Symbol) -> Iterator[Place]:
    """Definitions of the name alone."""
    rows = reading.defining([symbol.name])
    names = {name for row in rows for name in map(last_segment, (row.name, *row.defines))}
    alike = sorted(name for name in names if fold(name) == fold(symbol.name))
    for path in sorted({row.path for row in rows}):
        source, language, text = reading.source(path)
        if source.grammar is None:
            yield from _from_rows(reading, symbol, [row for row in rows if row.path == path], text)
            continue
        for name in [symbol.name] if symbol.name in names else alike:
            for mention in source.mentions(name):
                if mention.role == "definition" and (not reading.kinds or mention.kind in reading.kinds):
                    yield reading.place(path, language, mention, mention.defines)


def _from_rows(reading: _Reading, symbol: Symbol, rows: Sequence[Row], text: str) -> Iterator[Place]:
    """Definitions in a language without a grammar, by the lines that its blocks begin with."""
    lines = text.split("\n")
    for row in sorted(rows, key=lambda row: row.start_line):
        line = lines[row.start_line - 1] if row.start_line <= len(lines) else ""
        if fold(last_segment(row.name)) == fold(symbol.name):
            mention = Mention(
                row.start_line, 1, "definition", "", row.scope, 0, line, row.name, row.kind, row.end_line
            )
            if not reading.kinds or row.kind in reading.kinds:
                yield reading.place(row.path, row.language, mention, row.name)


def _references(reading: _Reading, symbol: Symbol) -> Iterator[Place]:
    for path, language, mention, certain in _mentions(reading, symbol):
        if mention.role != "definition":
            yield reading.place(path, language, mention, symbol.name, certain=certain)


def _callers(reading: _Reading, symbol: Symbol) -> Iterator[Place]:
    callers: dict[tuple[str, str, int], Place] = {}
    last_path = ""
    for path, language, mention, certain in _mentions(reading, symbol):
        if mention.role != "call":
            continue
        if path != last_path:
            yield from callers.values()
            callers, last_path = {}, path
        key = (path, mention.within, mention.within_line)
        known = callers.get(key)
        if known is None:
            callers[key] = reading.place(path, language, mention, mention.within, certain=certain)
        else:
            callers[key] = replace(known, count=known.count + 1, certain=known.certain or certain)
    yield from callers.values()


def _callees(reading: _Reading, symbol: Symbol) -> Iterator[Place]:
    """Definitions in the index of the names that the symbol's definitions call."""
    seen: set[tuple[str, int]] = set()
    for definition in list(_definitions(reading, symbol)):
        source, _, _ = reading.source(definition.path)
        called = source.calls(definition.line, definition.end_line)
        called.pop(symbol.name, None)
        rows = reading.defining(called)
        by_name: dict[str, set[str]] = {}
        for row in rows:
            for name in map(last_segment, (row.name, *row.defines)):
                if name in called:
                    by_name.setdefault(name, set()).add(row.path)
        for name in called:
            paths = sorted(by_name.get(name, ()))
            places = [place for path in paths for place in _defined_in(reading, path, name)]
            for place in places:
                if (place.path, place.line) not in seen:
                    seen.add((place.path, place.line))
                    yield replace(place, certain=len(places) == 1)


def _defined_in(reading: _Reading, path: str, name: str) -> Iterator[Place]:
    source, language, _ = reading.source(path)
    for mention in source.mentions(name):
        if mention.role == "definition" and mention.kind:
            yield reading.place(path, language, mention, mention.defines)


_LOOK_UPS: Final = {
    "definitions": _definitions,
    "references": _references,
    "callers": _callers,
    "callees": _callees,
}


# ── whose name it is ─────────────────────────────────────────────────────────────────────────────────────────


def _mentions(reading: _Reading, symbol: Symbol) -> Iterator[tuple[str, str, Mention, bool]]:
    """Mentions of a symbol by path and line, with whether it is certain that it is this one.

    What the file says is another thing of that name is left out.
    """
    alone = bool(symbol.qualifiers) and len(words(symbol.name)) > 1 and _is_only(reading, symbol)
    member = bool(symbol.qualifiers) and _is_member(reading, symbol)
    for path in reading.holding(symbol.name):
        source, language, text = reading.source(path)
        mentions = list(source.mentions(symbol.name))
        if not symbol.qualifiers or alone:
            yield from ((path, language, mention, True) for mention in mentions)
            continue
        whose = _Whose(symbol, path, text, mentions, member=member)
        for mention in mentions:
            verdict = whose.verdict(mention)
            if verdict != "another":
                yield path, language, mention, verdict == "this"


def _is_member(reading: _Reading, symbol: Symbol) -> bool:
    """Whether the symbol is defined, and inside something of its qualifier's name: then it is never used bare."""
    defined = list(_definitions(reading, symbol))
    return bool(defined) and all(symbol.qualifiers[-1] in place.within.split(".") for place in defined)


def _is_only(reading: _Reading, symbol: Symbol) -> bool:
    """Whether a name of several words is defined once: then every mention can only mean that."""
    rows = reading.defining([symbol.name])
    exact = [row for row in rows if symbol.name in map(last_segment, (row.name, *row.defines))]
    return len(exact) == 1


class _Whose:
    """What one file says about whose a name is."""

    def __init__(
        self, symbol: Symbol, path: str, text: str, mentions: Sequence[Mention], *, member: bool
    ) -> None:
        self._symbol = symbol
        self._owner = symbol.qualifiers[-1]
        self._path = path
        self._text = text
        self._member = member
        self._home = _is_qualified(Symbol(symbol.name, (self._owner,)), symbol.name, path)
        self._imported = any(one.role == "import" and _holds_word(one.text, self._owner) for one in mentions)
        self._typed: dict[str, bool] = {}
        self._foreign: dict[str, bool] = {}

    def verdict(self, mention: Mention) -> Literal["this", "another", "unknown"]:
        """Whether a mention is of the symbol that was asked for, by what the file itself says."""
        if mention.role == "definition":
            return "this" if _is_qualified(self._symbol, mention.defines, self._path) else "another"
        inside = self._owner in mention.within.split(".")
        qualifier = mention.qualifier
        if fold(qualifier) == fold(self._owner):
            return "this"
        if qualifier in _SELF:
            # Another class may have inherited it, if it names the owner at all.
            return "this" if inside else "unknown" if _holds_word(self._text, self._owner) else "another"
        if qualifier:
            return (
                "this" if self._is_of(qualifier) else "another" if self._is_foreign(qualifier) else "unknown"
            )
        if inside and mention.role != "import":
            return "this"
        if self._member:
            return "another"
        return "this" if self._home or self._imported else "unknown"

    def _is_of(self, variable: str) -> bool:
        """Whether the file declares or makes `variable` as the symbol's class."""
        if variable not in self._typed:
            owner, named = re.escape(self._owner), re.escape(variable)
            bound = rf"{named}\b\s*(?::=|:|=)\s*(?:&|\*|new\s+|await\s+|mut\s+)*(?:[\w.:]*[.:])?{owner}\b"
            declared = rf"\b{owner}\b(?:<[^<>\n]*>)?[\s*&?]+{named}\b"
            # Go says the type behind the name, with nothing between.
            behind = rf"{named}\s+[*&]?(?:\w+\.)?{owner}\b"
            said = re.search(rf"(?<!\w)(?:{bound}|{behind})|{declared}", self._text)
            self._typed[variable] = said is not None
        return self._typed[variable]

    def _is_foreign(self, qualifier: str) -> bool:
        """Whether a qualifier is a type, a constant or an imported module that is not the symbol's."""
        if qualifier not in self._foreign:
            head = qualifier.lstrip("_")
            imported = rf"(?m)^\s*(?:import|use|using|require)\b[^\n]*(?<!\w){re.escape(qualifier)}(?!\w)"
            self._foreign[qualifier] = head[:1].isupper() or re.search(imported, self._text) is not None
        return self._foreign[qualifier]


def _is_qualified(symbol: Symbol, qualified: str, path: str, *, folded: bool = False) -> bool:
    """Whether the qualifiers asked for are, in order, among the parts of a path and of a qualified name.

    With `folded` up to case and underscores.
    """
    have = [part.split(".")[0] for part in path.split("/")] + _QUALIFIER.split(qualified)[:-1]
    asked = list(symbol.qualifiers)
    if folded:
        have, asked = list(map(fold, have)), list(map(fold, asked))
    at = 0
    for qualifier in asked:
        try:
            at = have.index(qualifier, at) + 1
        except ValueError:
            return False
    return True


def _holds_word(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None
