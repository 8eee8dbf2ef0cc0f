"""Answer a query from one index or several, and say how: the words looked up, what was considered, the time it took."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from codeweft.errors import InvalidRequest, NotFound
from codeweft.retrieval.forms import Forms
from codeweft.retrieval.narrow import check_filters
from codeweft.retrieval.question import Question, read_question
from codeweft.retrieval.rank import rank
from codeweft.retrieval.similar import check_selection, most_different, passing, unit_vector, wanted
from codeweft.retrieval.store.base import Candidate
from codeweft.retrieval.store.pool import Pool
from codeweft.retrieval.tokens import words
from codeweft.types import Explanation, Filters, Query, SearchResult, Vectors

if TYPE_CHECKING:
    from codeweft.retrieval.index import Index


@dataclass(frozen=True, slots=True)
class Found:
    """The results of a search, best first, and how they came about."""

    results: list[SearchResult]
    explanation: Explanation


@dataclass(slots=True)
class _Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - begun


def check(query: Query) -> None:
    """Raises `InvalidRequest` for a query that asks nothing or asks for what does not exist."""
    if not query.text.strip() and query.selection.vector is None:
        raise InvalidRequest("The query is empty.", fix="Say what to look for.", param="query")
    if query.k < 1:
        raise InvalidRequest(f"k is {query.k}, it must be at least 1.", fix="Ask for 1 or more.", param="k")
    check_filters(query.filters)
    check_selection(query.selection)


def search(indexes: Sequence[Index], query: Query) -> Found:
    """The best `query.k` chunks of `indexes`, ranked against each other; empty when nothing matches.

    The explanation has no terms yet (`with_terms`): reading every result for them costs as much as the search.

    Raises `InvalidRequest` as `check` does, and for a question of which the encoder knows no word where only vectors
    are compared.
    """
    check(query)
    asked = [index for index in indexes if index.covers(query.filters)]
    clock = _Clock()
    if not asked:
        return Found([], Explanation(query.selection.type, (), {}, (), 0, {}))
    question = read_question(query.text, asked[0].source.repository if len(asked) == 1 else "")
    with clock.stage("encode"):
        vector = _vector(asked, query, question)
    choose = _hybrid if query.selection.type == "hybrid" else _similar
    chosen, considered = choose(asked, query, question, vector, clock)
    with clock.stage("read"):
        results = _read(asked, chosen)
    return Found(
        results,
        Explanation(
            type=query.selection.type,
            indexes=tuple(index.name for index in asked),
            terms={},
            symbols=question.symbols if query.selection.type == "hybrid" else (),
            candidates=considered,
            seconds=dict(clock.seconds),
        ),
    )


def check_covered(indexes: Sequence[Index], filters: Filters) -> None:
    """Raises `NotFound` naming what there is when no index is of the repositories and branches asked for."""
    if any(index.covers(filters) for index in indexes):
        return
    names = sorted({index.source.repository or index.name for index in indexes})
    branches = sorted({branch for index in indexes for branch in index.branches()})
    raise NotFound(
        f"Nothing is indexed of {', '.join((*filters.repositories, *filters.branches))}.",
        fix=f"Repositories: {', '.join(names)}. Branches: {', '.join(branches) or 'none known'}.",
        param="repositories" if filters.repositories else "branches",
    )


def _vector(indexes: Sequence[Index], query: Query, question: Question) -> Vectors:
    """What is looked for, (d,) at unit length; zeros where only words count and none is known."""
    for one in indexes:
        one.check_comparable()
    index = indexes[0]
    if query.selection.vector is not None:
        return unit_vector(query.selection.vector, index.dimensions)
    vector = index.encode(question.gist)
    if query.selection.type != "hybrid" and not vector.any():
        raise InvalidRequest(
            f"The encoder knows no word of {query.text[:80]!r}, so nothing can be similar to it.",
            fix="Use other words, or the search type hybrid, which looks the words up as they are.",
            param="query",
        )
    return vector


def _hybrid(
    indexes: Sequence[Index], query: Query, question: Question, vector: Vectors, clock: _Clock
) -> tuple[list[Candidate], int]:
    with clock.stage("candidates"):
        pool = Pool.joined(
            {index.name: index.candidates(question, vector, query.k, query.filters) for index in indexes}
        )
    with clock.stage("rank"):
        return rank(question, pool, query.k), len(pool)


def _similar(
    indexes: Sequence[Index], query: Query, question: Question, vector: Vectors, clock: _Clock
) -> tuple[list[Candidate], int]:
    selection = query.selection
    with clock.stage("candidates"):
        fetched = wanted(selection, query.k)
        near = [
            (cosine, index, chunk)
            for index in indexes
            for chunk, cosine in index.store.nearest(vector, fetched, query.filters)
        ]
        near.sort(key=lambda one: -one[0])
        near = near[:fetched]
    with clock.stage("rank"):
        if selection.type == "mmr":
            rows = _vectors_of(near, len(vector))
            cosines = np.array([cosine for cosine, *_ in near], np.float32)
            picked = most_different(rows, cosines, query.k, selection.lambda_mult)
        else:
            picked = passing(selection, [cosine for cosine, *_ in near])[: query.k]
        chosen = []
        for at in picked:
            cosine, index, chunk = near[at]
            row = index.store.rows([chunk])
            chosen += [
                Candidate(one, vector=cosine, home=index.name, score=min(1.0, max(0.0, cosine)), why={"vector": cosine})
                for one in row
            ]  # fmt: skip
    return chosen, len(near)


def _vectors_of(near: Sequence[tuple[float, Index, int]], dimensions: int) -> Vectors:
    """(n, d) vectors of the chunks, each from its own index."""
    rows = np.zeros((len(near), dimensions), np.float32)
    places: dict[str, list[int]] = defaultdict(list)
    for at, (_, index, _) in enumerate(near):
        places[index.name].append(at)
    for positions in places.values():
        store = near[positions[0]][1].store
        rows[positions] = store.vectors([near[at][2] for at in positions])
    return rows


def _read(indexes: Sequence[Index], ranked: Sequence[Candidate]) -> list[SearchResult]:
    """Ranked candidates with their text, in order; what was removed meanwhile is missing."""
    found = {}
    for index in indexes:
        own = [one for one in ranked if one.home == index.name]
        found.update({(index.name, chunk): result for chunk, result in index.results(own)})
    return [found[one.home, one.row.id] for one in ranked if (one.home, one.row.id) in found]


def with_terms(found: Found, query: Query) -> Found:
    """`found` with the words that were looked up in its explanation; vectors know no words."""
    if query.selection.type != "hybrid":
        return found
    terms = _forms_found(read_question(query.text), found.results)
    return replace(found, explanation=replace(found.explanation, terms=terms))


def _forms_found(question: Question, results: Sequence[SearchResult]) -> dict[str, tuple[str, ...]]:
    """The words that were looked up, with their other forms that the results hold, the commonest first."""
    forms = Forms(question.terms)
    counts: dict[str, dict[str, int]] = {term: defaultdict(int) for term in question.terms}
    for result in results:
        chunk = result.chunk
        for word in set(words(f"{chunk.path} {chunk.qualified_name} {chunk.text}")):
            for term in forms.of(word):
                if word != term:
                    counts[term][word] += 1
    return {
        term: tuple(sorted(found, key=lambda word: (-found[word], word))[:5])
        for term, found in counts.items()
    }
