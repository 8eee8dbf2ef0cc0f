"""From candidates to the best chunks: fusion of lexical and vector scores, then priorities. Pure, no I/O."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import heappop, heappush
from typing import Final, NamedTuple

import numpy as np

from codeweft.retrieval.chunk import PASSED_ON
from codeweft.retrieval.forms import Forms, heads
from codeweft.retrieval.paths import PathFacts, path_facts, roles_beside, shared_end, stem
from codeweft.retrieval.question import Place, Question
from codeweft.retrieval.store.base import Candidate, Row, fold, last_segment
from codeweft.retrieval.store.pool import Column, Pool
from codeweft.retrieval.tokens import terms_of_run


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
    other_case: float = 0.7
    """Factor when only case or underscores differ: `into_response` for `IntoResponse`."""
    owner: float = 1.3
    """Factor when the chunk stands in what the symbol is qualified by: in class or file `Store` for `Store.open`."""
    place: float = 1.5
    """The file is named in the question, or in a stack trace of it; less for each frame further out."""
    outer_place: float = 0.7
    """Factor per frame further out."""
    inner_definition: float = 0.8
    """Factor when the symbol is one of several things the chunk defines."""
    passed_on: float = 1.0
    """Factor when the chunk passes the symbol on (`pub use http::Request`) and nothing here defines it."""
    path: float = 1.25
    """Times the share of the question's words that the file's name and folder hold."""
    name: float = 0.3
    """Times the share of the name's words that the question holds."""
    coherence: float = 0.2
    """For the best chunk of the file that has the most and best candidates, others in proportion."""
    terms: float = 1.0
    """Times the share of the question's terms that the file holds: one file often holds what no chunk does."""
    near: float = 0.9
    """Times the nearness of the file's nearest chunks."""
    near_symbol: float = 0.6
    """The same for a bare symbol, for the reason that its vector counts less."""
    same_file: float = 0.3
    """Factor per chunk of the same file already chosen: the tenth place is worth more to another file."""
    test: float = 0.3
    example: float = 0.3
    legacy: float = 0.3
    declaration: float = 0.7
    older: float = 0.4
    """A folder `v3` beside candidates in a `v4` of the same parent."""
    edition: float = 0.7
    """A reduced edition (`mini/schemas`) beside candidates of the same name in a whole one."""
    header: float = 0.7
    """A C or C++ header beside candidates that implement it, when a question in words asks how something is done."""
    vendored: float = 0.3
    """Another project's code that is kept beside the team's own, and scripts that build tools copy."""
    platform: float = 0.75
    """Code for one of the rarer systems, when the question names none."""
    prose: float = 0.7
    """Documentation and data when code is asked for."""


PRIORITIES: Final = Priorities()
_AHEAD: Final = 2
"""Candidates read at once for each result. Most questions need five, for a file has several of them."""
_NONE: Final[frozenset[str]] = frozenset()
_ALWAYS_TOLD: Final = frozenset({"lexical", "vector", "file"})
"""Parts of a score that are shown when they are zero, too."""

_ASKS_FOR_PLATFORM: Final = re.compile(
    r"\b(?:windows?|win32|mac ?os|osx|darwin|apple|solaris|sunos|aix|zos|haiku|bsd|\w+bsd|wasm|wasi|plan9|platform\w*)\b|윈도우",
    re.I,
)
_PROSE_LANGUAGES: Final = frozenset(
    {
        "markdown",
        "rst",
        "text",
        "pdf",
        "word",
        "slides",
        "sheets",
        "json",
        "yaml",
        "toml",
        "ini",
        "html",
        "css",
    }
)
_ASKS_FOR_TESTS: Final = re.compile(
    r"\b(?:tests?|testing|specs?|fixtures?|mocks?|unittest|pytest|benchmarks?)\b|테스트", re.I
)
_ASKS_FOR_EXAMPLES: Final = re.compile(r"\b(?:examples?|samples?|demos?|tutorials?|usage)\b|예제", re.I)
_ASKS_FOR_PROSE: Final = re.compile(
    r"\b(?:readme|docs?|documentation|changelog|licen[cs]e|config(?:uration)? file|install(?:ation)?|guide"
    r"|(?:ya?ml|json|toml|css|html)(?= (?:files?|config\w*|settings))|dockerfile|makefile|workflow|ci)\b|문서",
    re.I,
)
"""A format alone is what code reads and writes: who asks about JSON seldom wants a JSON file."""
_ASKS_FOR_VENDORED: Final = re.compile(
    r"\b(?:vendored|bundled|third[ -]party|externals?|dependenc(?:y|ies))\b|외부", re.I
)
_ASKED: Final = {
    "vendored": _ASKS_FOR_VENDORED,
    "test": _ASKS_FOR_TESTS,
    "example": _ASKS_FOR_EXAMPLES,
    "platform": _ASKS_FOR_PLATFORM,
    "prose": _ASKS_FOR_PROSE,
}
"""What a question has to say for a penalty not to apply."""


def rank(question: Question, pool: Pool, k: int, priorities: Priorities = PRIORITIES) -> list[Candidate]:
    """The best `k`, best first, with `score` in 0..1 and `why` filled (parts of the score before scaling)."""
    if not len(pool):
        return []
    reading = _Reading(question, pool, priorities)
    best = _chosen(reading.best_first(_AHEAD * k), k, priorities)
    top = max(1.0, best[0].score) if best else 1.0
    return [reading.candidate(one, one.score / top) for one in best]


class _Scored(NamedTuple):
    """A row at its place in the pool, the place of its file, and what all that speaks for it comes to."""

    score: float
    place: int
    file: int
    row: Row


def _fused(question: Question, pool: Pool, priorities: Priorities) -> tuple[Column, Column, Column]:
    """The shares of words and vectors, each normalised over the candidates, and their sum, of which the best is 1."""
    share = priorities.lexical_symbol if question.is_symbol else priorities.lexical
    lexical = share * pool.lexical / (pool.lexical.max() or 1.0)
    low = pool.vector.min()
    vector = (1 - share) * (pool.vector - low) / ((pool.vector.max() - low) or 1.0)
    scores = lexical + vector
    return lexical, vector, scores / (scores.max() or 1.0)


def _coherence(pool: Pool, scores: Column, priorities: Priorities) -> Column:
    """For the best candidate of each file, by the sum of all of the file; zero for the others."""
    sums = np.bincount(pool.file_of, scores, len(pool.files))
    # Sorting is stable: of equals the first.
    order = np.lexsort((-scores, pool.file_of))
    files = pool.file_of[order]
    firsts = order[np.flatnonzero(np.diff(files, prepend=-1))]
    worth = np.zeros(len(scores))
    worth[firsts] = priorities.coherence * sums[pool.file_of[firsts]] / (sums.max() or 1.0)
    return worth


def _whole_file(question: Question, pool: Pool, priorities: Priorities) -> Column:
    near = priorities.near_symbol if question.is_symbol else priorities.near
    terms = priorities.terms * pool.file_terms / (pool.file_terms.max() or 1.0)
    whole: Column = terms + near * pool.file_near / (pool.file_near.max() or 1.0)
    return whole


class _Reading:
    """A question compared with names and paths; every path is looked at once."""

    def __init__(self, question: Question, pool: Pool, priorities: Priorities) -> None:
        self._question = question
        self._pool = pool
        self._priorities = priorities
        self._forms = Forms(question.keywords)
        self._asked = max(1, question.asked)
        self._worded = bool(question.keywords) and not question.is_symbol
        # What a report says in passing (an example, a test that fails) is not what it asks for.
        # A question in another language says it in its words' English terms.
        said = question.gist if question.gist.isascii() else " ".join((question.gist, *question.keywords))
        self._excused = {role for role, asked in _ASKED.items() if asked.search(said)}
        if not self._worded:
            # Of a bare name the declaration is wanted as much.
            self._excused.add("header")
        lexical, vector, scores = _fused(question, pool, priorities)
        coherence = _coherence(pool, scores, priorities)
        whole = _whole_file(question, pool, priorities)
        definitions = self._definitions() if question.symbols else np.zeros(len(pool))
        places, paths, factors = (column[pool.file_of] for column in self._of_files())
        self._parts = {
            "lexical": lexical, "vector": vector, "coherence": coherence, "file": whole, "definition": definitions,
            "place": places, "path": paths,
        }  # fmt: skip
        self._scores = scores + coherence + whole + definitions + places + paths
        self._factors = factors
        """What follows on all of that, for the kind of file."""

    def best_first(self, ahead: int) -> Iterator[_Scored]:
        """The candidates in order, with what speaks for their names and the factor of their kind.

        A candidate is read only when no other can come before its own, and then `ahead` at once: most never are.
        """
        most = self._priorities.name if self._worded else 0.0
        reach = (self._scores + most) * self._factors
        order = np.argsort(-reach, kind="stable").tolist()
        reachable = reach[order].tolist()
        scores, factors, files = self._scores.tolist(), self._factors.tolist(), self._pool.file_of.tolist()
        ready: list[tuple[float, str, int, int, Row]] = []
        at = 0
        while ready or at < len(order):
            # What can still gain comes before its equals, for it may turn out better than they are.
            while at < len(order) and (not ready or reachable[at] >= -ready[0][0]):
                some = order[at : at + ahead]
                at += ahead
                for place, row in zip(some, self._pool.read(some), strict=True):
                    if row is not None:
                        score = (scores[place] + self._of_name(row)) * factors[place]
                        heappush(ready, (-score, row.path, row.start_line, place, row))
            if ready:
                score, _, _, place, row = heappop(ready)
                yield _Scored(-score, place, files[place], row)

    def candidate(self, one: _Scored, score: float) -> Candidate:
        """A candidate with its final score and what speaks for it."""
        place, row = one.place, one.row
        why = {part: float(column[place]) for part, column in self._parts.items()}
        why["name"] = self._of_name(row)
        raw, factor = float(self._scores[place]) + why["name"], float(self._factors[place])
        why["penalty"] = raw * (factor - 1)
        kept = {part: value for part, value in why.items() if value or part in _ALWAYS_TOLD}
        return replace(self._pool.candidate(place, row), score=score, why=kept)

    def _of_name(self, row: Row) -> float:
        if not self._worded or row.kind == "section":
            return 0.0
        name, own = _name_facts(row.name)
        if self._forms.heads.isdisjoint(own):
            return 0.0
        return self._priorities.name * len(list(filter(self._forms.of, name))) / len(name)

    def _definitions(self) -> Column:
        """What defining a symbol of the question is worth for each candidate."""
        pool = self._pool
        symbols = frozenset(self._question.folded_symbols)
        places = np.flatnonzero(pool.defining).tolist()
        defining = [
            (place, row)
            for place, row in zip(places, pool.read(places), strict=True)
            if row is not None and not symbols.isdisjoint(_defined(row.name, row.defined))
        ]
        rarity = {}
        if not self._question.is_symbol:
            rows = [(pool.homes[pool.file_of[place]], row) for place, row in defining]
            rarity = _rarity(self._question.symbols, rows)
        elsewhere = {name for _, row in defining for name in (last_segment(row.name), *row.defines)}
        worth = np.zeros(len(pool))
        for place, row in defining:
            worth[place] = self._definition(row, rarity, elsewhere)
        return worth

    def _of_files(self) -> tuple[Column, Column, Column]:
        """For each file: what being named in the question and its path's words are worth, and the factor of its kind."""
        question, priorities, files = self._question, self._priorities, self._pool.files
        facts = {path: path_facts(path) for path, _ in files}
        beside = roles_beside(facts, question.terms)
        placed = _placed(question.places, facts, priorities) if question.places else {}
        prose = 1.0 if "prose" in self._excused else priorities.prose
        found = [
            (
                placed.get(path, 0.0),
                priorities.path * self._share(facts[path]),
                self._path_penalty(facts[path].roles | beside.get(path, _NONE))
                * (prose if language in _PROSE_LANGUAGES else 1.0),
            )
            for path, language in files
        ]
        places, shares, factors = np.array(found).T
        return places, shares, factors

    def _share(self, facts: PathFacts) -> float:
        if not self._worded or self._forms.heads.isdisjoint(facts.heads):
            return 0.0
        hits = self._forms.among(facts.words)
        return min(1.0, sum([self._question.terms[word] for word in hits]) / self._asked)

    def _path_penalty(self, roles: frozenset[str]) -> float:
        factor = 1.0
        for role in roles - self._excused if roles else ():
            factor *= getattr(self._priorities, role)
        return factor

    def _definition(self, row: Row, rarity: Mapping[str, float], defined: Container[str]) -> float:
        """What defining one of the question's symbols is worth: most with the same letters, in a file of that name.

        `defined` are names that some candidate defines: who passes one of them on is not who is looked for.
        """
        question, priorities = self._question, self._priorities
        best = 0.0
        own = last_segment(row.name)
        file = fold(stem(row.path))
        for symbol in question.symbols:
            folded = fold(symbol)
            if own == symbol:
                value = 1.0
            elif fold(own) == folded:
                value = priorities.other_case
            elif symbol in row.defines:
                value = priorities.inner_definition
            elif PASSED_ON + symbol in row.defines and symbol not in defined:
                value = priorities.passed_on
            elif row.defined and any(fold(name) == folded for name in row.defines if name[0] != PASSED_ON):
                value = priorities.inner_definition * priorities.other_case
            else:
                continue
            if file in (folded, folded + "s") or file + "s" == folded:
                value *= priorities.definition_stem
            if question.owners.get(symbol) in (file, fold(last_segment(row.scope))):
                value *= priorities.owner
            best = max(best, value * rarity.get(symbol, 1.0))
        return best * (priorities.definition if question.is_symbol else priorities.embedded_definition)


@lru_cache(maxsize=65_536)
def _defined(name: str, defined: str) -> frozenset[str]:
    """The names that a chunk defines, in the form that they are compared in; `defined` as in a `Row`."""
    return frozenset((fold(last_segment(name)), *(map(fold, defined.split("\n")) if defined else ())))


def _rarity(symbols: Sequence[str], defining: Iterable[tuple[str, Row]]) -> dict[str, float]:
    """The weight of each of several symbols, shared by the files that define it: `__init__` says little.

    `defining` are rows that define or pass on one, each with its index.
    """
    if len(symbols) < 2:
        return {}
    files: dict[str, set[tuple[str, str]]] = {fold(symbol): set() for symbol in symbols}
    for home, row in defining:
        for name in files.keys() & set(map(fold, map(last_segment, row.piece.own_names))):
            files[name].add((home, row.path))
    return {symbol: 1 / max(1, len(files[fold(symbol)])) for symbol in symbols}


def _placed(places: Sequence[Place], paths: Iterable[str], priorities: Priorities) -> dict[str, float]:
    """What being named in the question is worth, by path: the innermost of the named files most."""
    named: dict[str, float] = {}
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        by_name[path.rpartition("/")[2]].append(path)
    worth = priorities.place
    for place in places:
        parts = [part for part in place.path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        found = by_name.get(parts[-1], ()) if parts else ()
        shared = {path: shared_end(parts, path.split("/")) for path in found}
        most = max(shared.values(), default=0)
        # A bare file name says which file only where there is one of that name.
        if most < 2 and (len(parts) > 1 or len(found) > 1):
            continue
        fresh = [path for path, count in shared.items() if count == most and path not in named]
        named.update(dict.fromkeys(fresh, worth))
        worth *= priorities.outer_place if fresh else 1.0
    return named


@lru_cache(maxsize=65_536)
def _name_facts(name: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """The first words of a chunk's name, and how they begin."""
    words = terms_of_run(name)[:6]
    return words, heads(words)


def _chosen(ordered: Iterable[_Scored], k: int, priorities: Priorities) -> list[_Scored]:
    """Greedy choice from the best first: copies folded, further chunks of a file worth less each."""
    seen: set[int] = set()
    per_file: dict[int, int] = defaultdict(int)
    chosen: list[_Scored] = []
    for one in ordered:
        # A file's first chunk keeps its score: with `k` of them, nothing that comes later is better than all.
        if one.score <= 0 or len(per_file) >= k:
            break
        if one.row.digest in seen:
            continue
        seen.add(one.row.digest)
        earlier = per_file[one.file]
        per_file[one.file] += 1
        chosen.append(one._replace(score=one.score * priorities.same_file**earlier) if earlier else one)
    chosen.sort(key=lambda one: -one.score)
    return chosen[:k]
