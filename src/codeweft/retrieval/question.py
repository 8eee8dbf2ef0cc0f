"""A question read once: its terms, the words that may name paths, the symbols and the places in it. Pure, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from codeweft.retrieval.recognise import SOURCE_SUFFIXES
from codeweft.retrieval.store.base import fold, last_segment
from codeweft.retrieval.tokens import query_terms, weighted_terms

CODE_WEIGHT: Final = 0.25
"""Weight of a term that only the code, output and stack traces of a report have."""
REPORT_TERMS: Final = 128
"""Terms of a report that are looked for, those of its title and description first."""
REPORT_CHARACTERS: Final = 300
"""A text of several lines is read as a report (title, description, code, stack trace) from this length."""
TITLE_TERMS: Final = 3
"""Terms that a title has at least; "How do I fix this?" leaves it to the rest to say what is wanted."""
LONGEST_QUESTION: Final = 20_000
"""Characters that are read; what follows in a longer report is output."""

_SYMBOL: Final = re.compile(
    r"`(?P<quoted>[^`\s]{2,80})`"
    r"|(?P<qualified>[A-Za-z_$][\w$]*(?:(?:::|->|\.|\\|#)[A-Za-z_$][\w$]*[!?]?)+)"
    r"|(?P<plain>\b(?:_*[A-Za-z]+_\w+|_+[A-Za-z]\w*|[a-z]+[0-9]*[A-Z]\w*|[A-Z][a-z0-9]+[A-Z]\w*|[A-Z]{2,}[a-z]\w*)\b)"
    r"|(?P<called>\b[A-Za-z_]\w+)(?=\(\))"
)
_BARE: Final = re.compile(r"[A-Za-z_$@][\w$]*[!?]?(?:\(\))?$")
_PLACE: Final = re.compile(
    r"File \"(?P<python>[^\"\n]+)\", line \d+(?:, in (?P<within>[\w<>.]+))?"
    r"|\bat (?:(?P<caller>[\w$.<>\[\] ]+?) ?)?\(?(?P<frame>[\w@~./\\:-]+\.\w{1,5}):\d+(?::\d+)?\)?"
    r"|(?<![\w/\\.:@-])(?P<path>(?:[\w.@~-]*[/\\])+[\w.-]+\.[A-Za-z]\w{0,5}\b|[\w-]+\.(?P<suffix>[a-z]\w{1,4})\b(?![.\w(]))"
)
_FENCE: Final = re.compile(r"\s*(?:```|~~~)")
_CODE_LINE: Final = re.compile(
    r"(?: {4}|\t|\s*(?:>>>|\.\.\.|\$|In \[|Out\[|File \"|Traceback |at \S+ ?\(|-->))"
)
_HTML_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
_ADDRESS: Final = re.compile(r"https?://\S+")
_HEADING: Final = re.compile(r"\s*(?:#+\s.*|\*\*[^*]+\*\*:?|<[^>]+>(?:[\w ]+</\w+>)?)\s*$")
_FACT: Final = re.compile(r"[\w() -]{1,30}:\s*\S*$")
"""A line of a list of versions (`numpy: 1.17.3`)."""
_TITLE: Final = re.compile(
    r"(?=(?:\S+\s+){2})(?!\"\"\"|'''|[rbf]?[\"'][^\"']*$)[^\s#/*@<>{}()].*[^\s{}(;:,=\[\\]$"
)


class Place(NamedTuple):
    """A file that the question names, with the function where a stack trace says it."""

    path: str
    function: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, read once: terms with weights, words for paths and names, symbols, and whether it is only one.

    `gist` is what of it says what is wanted: the title of a report, else all. `places` come innermost first.
    """

    text: str
    terms: Mapping[str, float]
    keywords: tuple[str, ...]
    symbols: tuple[str, ...]
    is_symbol: bool
    gist: str = ""
    places: tuple[Place, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    """What symbols are qualified by, folded: `store` of `Store.open` by `open`."""

    @property
    def asked(self) -> int:
        """How many words the question asks for, several English terms for one Korean word counted once."""
        return sum(self.terms.get(word, 1.0) == 1.0 for word in self.keywords)

    @property
    def folded_symbols(self) -> tuple[str, ...]:
        """The symbols in the form that definitions are looked up by."""
        return tuple(dict.fromkeys(filter(None, map(fold, self.symbols))))


@dataclass(slots=True)
class _Report:
    """The parts of a text of several lines."""

    title: str
    prose: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)


def read_question(text: str, repository: str = "") -> Question:
    """Split a question into terms, symbols and places. In a sentence the repository's own name is no symbol."""
    stripped = text.strip()[:LONGEST_QUESTION]
    report = _report(stripped)
    if report is not None:
        return _of_report(stripped, report, repository)
    found = list(_symbols(stripped[:4000]))
    bare = stripped.strip("`").removesuffix("()")
    if not found and _BARE.match(stripped):
        found = [bare]
    # A single lower-case word is as likely a topic as a name.
    is_symbol = len(found) == 1 and found[0] == bare and not (bare.isalpha() and bare.islower())
    symbols = _unqualified(found, "" if is_symbol else repository)
    terms = weighted_terms(stripped)
    keywords, places = _keywords(terms), _places(stripped)
    return Question(stripped, terms, keywords, symbols, is_symbol, stripped, places, _owners(found))


def _of_report(text: str, report: _Report, repository: str) -> Question:
    said, code = "\n".join((report.title, *report.prose)), "\n".join(report.code)
    quoted = {term: weight * CODE_WEIGHT for term, weight in weighted_terms(code).items()}
    terms = quoted | weighted_terms(said)
    most = sorted(terms.items(), key=lambda item: -item[1])[:REPORT_TERMS]
    found = (*_symbols(said[:4000]), *_symbols(code[:4000]))
    symbols = _unqualified(found, repository)
    keywords = _keywords(weighted_terms(report.title))
    places = _places(_ADDRESS.sub(" ", text))
    return Question(text, dict(most), keywords, symbols, False, report.title, places, _owners(found))


def _symbols(text: str) -> Iterator[str]:
    for match in _SYMBOL.finditer(text):
        if not (match["qualified"] and "." + match["qualified"].rpartition(".")[2] in SOURCE_SUFFIXES):
            yield next(filter(None, match.groups()))


def _unqualified(names: Iterable[str], repository: str) -> tuple[str, ...]:
    """Of a qualified name the last part is what is defined; the others only say where."""
    symbols = dict.fromkeys(map(last_segment, names))
    return tuple(symbol for symbol in symbols if not repository or fold(symbol) != fold(repository))


def _owners(names: Iterable[str]) -> dict[str, str]:
    """What each name was first qualified by; a name that stands alone has none."""
    owners: dict[str, str] = {}
    for name in names:
        symbol = last_segment(name)
        if owner := fold(last_segment(name[: -len(symbol)].rstrip(":->.\\#"))):
            owners.setdefault(symbol, owner)
    return owners


def _keywords(terms: Iterable[str]) -> tuple[str, ...]:
    """Paths and names are written in Latin letters: a Korean word counts by its English terms."""
    long = [term for term in terms if len(term) > 2]
    return tuple(filter(str.isascii, long)) or tuple(long)


def _report(text: str) -> _Report | None:
    """The parts of a report; None for a question and for a piece of code."""
    title, _, rest = text.partition("\n")
    title = title.strip()
    if len(text) < REPORT_CHARACTERS or not rest.strip() or not _TITLE.match(title):
        return None
    if len(query_terms(title)) < TITLE_TERMS:
        return None
    report = _Report(title)
    fenced = False
    for line in _ADDRESS.sub(" ", _HTML_COMMENT.sub(" ", rest)).splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif fenced or _CODE_LINE.match(line):
            report.code.append(line)
        elif not _HEADING.match(line) and not _FACT.match(line):
            report.prose.append(line)
    return report


def _places(text: str) -> tuple[Place, ...]:
    """Files that a text names. Python's stack traces end with the innermost frame, others begin with it."""
    python: list[Place] = []
    others: list[Place] = []
    for match in _PLACE.finditer(text):
        if path := match["python"]:
            python.append(Place(path, match["within"] or ""))
        else:
            path = match["frame"] or match["path"]
            if match["suffix"] and f".{match['suffix']}" not in SOURCE_SUFFIXES:
                continue
            others.append(Place(path, last_segment((match["caller"] or "").strip())))
    return tuple(dict.fromkeys((*reversed(python), *others)))
