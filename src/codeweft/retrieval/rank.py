"""From candidates to the best chunks: fusion of lexical and vector scores, then priorities. Pure, no I/O."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from codeweft.retrieval.forms import akin
from codeweft.retrieval.store.embedded import Row, fold, last_segment
from codeweft.retrieval.tokens import query_terms, terms_of_run

FIELD_WEIGHTS: Final = {"name": 2.0, "path": 1.0, "doc": 0.5, "body": 1.0}
"""Weights of the lexical fields: a name says most in the fewest words; the body repeats the documentation."""
FILE_FIELDS: Final = {"body": 1.0, "path": 1.0}
"""The fields whose terms count for the file as a whole."""


@dataclass(frozen=True, slots=True)
class Priorities:
    """The constants of ranking. All additions are in units of the best fused score; penalties multiply."""

    lexical: float = 0.6
    """Share of BM25 in the fused score of a question in words; the rest is the vectors'."""
    lexical_symbol: float = 0.75
    """The same for a bare symbol, which has little meaning apart from its letters."""
    definition: float = 3.0
    """The chunk defines the symbol that is all of the question."""
    embedded_definition: float = 1.5
    """The chunk defines a symbol named in the question; it may be incidental."""
    definition_stem: float = 1.5
    """Factor on both when the file is named after the symbol: there is where it lives."""
    other_case: float = 0.4
    """Factor when only case or underscores differ: `into_response` for `IntoResponse`."""
    inner_definition: float = 0.8
    """Factor when the symbol is one of several things the chunk defines."""
    type_definition: float = 1.2
    """Factor on both for classes, interfaces and enums, against methods and constructors of the same name."""
    path: float = 1.0
    """Times the share of the question's words that the file's name and folder hold."""
    name: float = 0.3
    """Times the share of the name's words that the question holds."""
    coherence: float = 0.2
    """For the best chunk of the file that has the most and best candidates, others in proportion."""
    coherence_depth: int = 100
    """Candidates per file that count."""
    depth: float = 0.2
    """Times BM25 summed over the file's chunks."""
    terms: float = 0.8
    """Times the share of the question's terms that the file holds: one file often holds what no chunk does."""
    near: float = 0.3
    """Times the nearness of the file's nearest chunks."""
    same_file: float = 0.5
    """Factor per chunk of the same file already chosen: the tenth place is worth more to another file."""
    test: float = 0.3
    example: float = 0.3
    legacy: float = 0.3
    reexport: float = 0.5
    declaration: float = 0.7
    prose: float = 0.7
    """Documentation and data when code is asked for."""


PRIORITIES: Final = Priorities()

_SYMBOL: Final = re.compile(
    r"`(?P<quoted>[^`\s]{2,80})`"
    r"|(?P<qualified>[A-Za-z_$][\w$]*(?:(?:::|->|\.|\\|#)[A-Za-z_$][\w$]*[!?]?)+)"
    r"|(?P<plain>\b(?:_*[A-Za-z]+_\w+|_+[A-Za-z]\w*|[a-z]+[0-9]*[A-Z]\w*|[A-Z][a-z0-9]+[A-Z]\w*|[A-Z]{2,}[a-z]\w*)\b)"
    r"|(?P<called>\b[A-Za-z_]\w+)(?=\(\))"
)
_BARE: Final = re.compile(r"[A-Za-z_$@][\w$]*[!?]?(?:\(\))?$")
_TEST: Final = re.compile(
    r"(?:^|/)(?:tests?|__tests__|specs?|testing|testdata|fixtures?|__mocks__|mocks?)/"
    r"|(?:^|/)(?:test_[^/]*|conftest)\.\w+$|[._-](?:test|tests|spec|bench)\.\w+$|_(?:test|tests|spec|unittest)\.\w+$"
    r"|(?:Tests?|Spec|Suite|IT)\.(?:java|kt|kts|swift|cs|scala|php|groovy)$"
)
_EXAMPLE: Final = re.compile(
    r"(?:^|/)(?:_?examples?|samples?|demos?|docs?_src|tutorials?|benchmarks?|bench|playground)/"
)
_LEGACY: Final = re.compile(r"(?:^|/)(?:_?compat|legacy|deprecated|archive|old)/")
_REEXPORT: Final = re.compile(
    r"(?:^|/)(?:__init__\.pyi?|package-info\.java|mod\.rs|lib\.rs|index\.[cm]?[jt]sx?)$"
)
_FOLDER_FILES: Final = frozenset({"__init__", "index", "mod", "init", "main", "lib"})
_DECLARATION: Final = re.compile(r"\.(?:d\.[mc]?ts|pyi)$")
_PROSE_LANGUAGES: Final = frozenset({"markdown", "rst", "text", "json", "yaml", "toml", "ini", "html", "css"})
_ASKS_FOR_TESTS: Final = re.compile(
    r"\b(?:tests?|testing|specs?|fixtures?|mocks?|unittest|pytest|benchmarks?)\b|테스트", re.I
)
_ASKS_FOR_EXAMPLES: Final = re.compile(r"\b(?:examples?|samples?|demos?|tutorials?|usage)\b|예제", re.I)
_ASKS_FOR_PROSE: Final = re.compile(
    r"\b(?:readme|docs?|documentation|changelog|licen[cs]e|config(?:uration)? file|install(?:ation)?|guide|ya?ml|json|toml|css|html"
    r"|dockerfile|makefile|workflow|ci)\b|문서",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, read once: terms with weights, words for paths and names, symbols, and whether it is only one."""

    text: str
    terms: Mapping[str, float]
    keywords: tuple[str, ...]
    symbols: tuple[str, ...]
    is_symbol: bool

    @property
    def folded_symbols(self) -> tuple[str, ...]:
        """The symbols in the form that definitions are looked up by."""
        return tuple(dict.fromkeys(filter(None, map(fold, self.symbols))))


@dataclass(slots=True)
class Candidate:
    """A chunk that may answer. `lexical` is BM25, `vector` a cosine; `score` and `why` are filled by `rank`.

    The `file_` scores, 0..1, say what speaks for the chunk's file as a whole: BM25 summed over its chunks, the
    question's terms it holds, and how near its nearest chunks are.
    """

    row: Row
    lexical: float = 0.0
    vector: float = 0.0
    file_depth: float = 0.0
    file_terms: float = 0.0
    file_near: float = 0.0
    score: float = 0.0
    why: dict[str, float] = field(default_factory=dict)


def read_question(text: str) -> Question:
    """Split a question into terms and symbols."""
    stripped = text.strip()
    found = [next(filter(None, match.groups())) for match in _SYMBOL.finditer(stripped[:4000])]
    bare = stripped.strip("`").removesuffix("()")
    if not found and _BARE.match(stripped):
        found = [bare]
    # A single lower-case word is as likely a topic as a name.
    is_symbol = len(found) == 1 and found[0] == bare and not (bare.isalpha() and bare.islower())
    # Of a qualified name the last part is what is defined; the others only say where.
    symbols = tuple(dict.fromkeys(last_segment(name) for name in found))
    terms = dict.fromkeys(query_terms(stripped[:20_000]), 1.0)
    keywords = tuple(term for term in terms if len(term) > 2)
    return Question(stripped, terms, keywords, symbols, is_symbol)


def rank(
    question: Question, candidates: Iterable[Candidate], k: int, priorities: Priorities = PRIORITIES
) -> list[Candidate]:
    """The best `k`, best first, with `score` in 0..1 and `why` filled (parts of the score before scaling)."""
    pool = list(candidates)
    if not pool:
        return []
    _fuse(question, pool, priorities)
    best = max(c.score for c in pool) or 1.0
    for c in pool:
        c.score /= best
    _add_coherence(pool, priorities)
    for c in pool:
        whole = (
            priorities.depth * c.file_depth + priorities.terms * c.file_terms + priorities.near * c.file_near
        )
        c.score += whole
        c.why["file"] = whole
        for reason, value in _additions(question, c.row, priorities):
            c.score += value
            c.why[reason] = value
        factor = _penalty(question, c.row, priorities)
        if factor != 1.0:
            c.why["penalty"] = c.score * (factor - 1)
            c.score *= factor
    chosen = _choose(pool, k, priorities)
    top = max((c.score for c in chosen), default=1.0)
    for c in chosen:
        c.score = c.score / top if top > 1 else c.score
    return chosen


def _fuse(question: Question, pool: Sequence[Candidate], priorities: Priorities) -> None:
    """Convex combination of both scores, each normalised over the candidates."""
    share = priorities.lexical_symbol if question.is_symbol else priorities.lexical
    top = max(c.lexical for c in pool) or 1.0
    low, high = min(c.vector for c in pool), max(c.vector for c in pool)
    spread = (high - low) or 1.0
    for c in pool:
        lexical = share * c.lexical / top
        vector = (1 - share) * (c.vector - low) / spread
        c.score = lexical + vector
        c.why = {"lexical": lexical, "vector": vector}


def _add_coherence(pool: Sequence[Candidate], priorities: Priorities) -> None:
    by_file: dict[tuple[str, int], list[Candidate]] = defaultdict(list)
    for c in pool:
        by_file[c.row.path, 0].append(c)
    sums = {}
    for file, members in by_file.items():
        members.sort(key=lambda c: -c.score)
        sums[file] = sum(c.score for c in members[: priorities.coherence_depth])
    most = max(sums.values()) or 1.0
    for file, members in by_file.items():
        value = priorities.coherence * sums[file] / most
        members[0].score += value
        members[0].why["coherence"] = value


def _additions(question: Question, row: Row, priorities: Priorities) -> Iterable[tuple[str, float]]:
    stem_words = _path_words(row.path)
    if question.symbols and (value := _definition(question, row, priorities)):
        yield "definition", value
    if question.is_symbol:
        return
    if hits := _matches(question.keywords, stem_words):
        yield "path", priorities.path * hits / len(question.keywords)
    name_words = terms_of_run(row.name)
    if name_words and row.kind != "section":
        share = _matches(name_words[:6], frozenset(question.keywords)) / len(name_words[:6])
        if share:
            yield "name", priorities.name * share


def _definition(question: Question, row: Row, priorities: Priorities) -> float:
    """What defining one of the question's symbols is worth: most with the same letters, in a file of that name."""
    best = 0.0
    own = last_segment(row.name)
    stem = fold(_stem(row.path))
    for symbol in question.symbols:
        folded = fold(symbol)
        if own == symbol:
            value = 1.0
        elif fold(own) == folded:
            value = priorities.other_case
        elif symbol in row.defines:
            value = priorities.inner_definition
        elif folded in map(fold, row.defines):
            value = priorities.inner_definition * priorities.other_case
        else:
            continue
        if row.kind in ("class", "interface", "enum", "module"):
            value *= priorities.type_definition
        if stem in (folded, folded + "s") or stem + "s" == folded:
            value *= priorities.definition_stem
        best = max(best, value)
    return best * (priorities.definition if question.is_symbol else priorities.embedded_definition)


def _stem(path: str) -> str:
    """What a file is named: `walk` for `src/walk.py`, the folder's name where the file only stands for it."""
    parts = path.split("/")
    stem = parts[-1].split(".")[0] or parts[-1]
    return parts[-2] if len(parts) > 1 and stem in _FOLDER_FILES else stem


@lru_cache(maxsize=65_536)
def _path_words(path: str) -> frozenset[str]:
    """Words of the file's name and of its folder."""
    parts = path.split("/")
    names = {_stem(path), *parts[-2:-1], *(parts[-3:-2] if parts[-1].split(".")[0] in _FOLDER_FILES else ())}
    return frozenset(word for name in names for word in terms_of_run(name.replace("-", "_")))


def _matches(keywords: Sequence[str], words: frozenset[str]) -> int:
    """How many keywords are among the words in some form."""
    return sum(1 for keyword in keywords if keyword in words or any(akin(keyword, word) for word in words))


@lru_cache(maxsize=65_536)
def _roles(path: str) -> frozenset[str]:
    """What kind of file a path names."""
    checks = {
        "test": _TEST,
        "example": _EXAMPLE,
        "legacy": _LEGACY,
        "reexport": _REEXPORT,
        "declaration": _DECLARATION,
    }
    return frozenset(role for role, pattern in checks.items() if pattern.search(path))


def _penalty(question: Question, row: Row, priorities: Priorities) -> float:
    factor = 1.0
    roles = _roles(row.path)
    if "test" in roles and not _ASKS_FOR_TESTS.search(question.text):
        factor *= priorities.test
    if "example" in roles and not _ASKS_FOR_EXAMPLES.search(question.text):
        factor *= priorities.example
    if "legacy" in roles:
        factor *= priorities.legacy
    if "reexport" in roles and row.kind in ("section", "module"):
        factor *= priorities.reexport
    if "declaration" in roles:
        factor *= priorities.declaration
    if row.language in _PROSE_LANGUAGES and not _ASKS_FOR_PROSE.search(question.text):
        factor *= priorities.prose
    return factor


def _choose(pool: Sequence[Candidate], k: int, priorities: Priorities) -> list[Candidate]:
    """Greedy choice: copies folded, further chunks of a file worth less each."""
    ordered = sorted(pool, key=lambda c: (-c.score, c.row.path, c.row.start_line))
    seen: set[int] = set()
    per_file: dict[str, int] = defaultdict(int)
    for c in ordered:
        if c.row.digest in seen:
            c.score = 0.0
            continue
        seen.add(c.row.digest)
        if earlier := per_file[c.row.path]:
            c.score *= priorities.same_file**earlier
        per_file[c.row.path] += 1
    ordered.sort(key=lambda c: -c.score)
    return [c for c in ordered[:k] if c.score > 0]
