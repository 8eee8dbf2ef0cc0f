"""What finding code takes and shows over the web API: searches with their reasons, symbols, matching lines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from codeweft.retrieval.grep import Hit
from codeweft.retrieval.narrow import check_filters
from codeweft.retrieval.similar import check_selection
from codeweft.retrieval.symbols import Place, Wanted
from codeweft.server.emit import clean
from codeweft.server.views import Body, ReferenceView, View
from codeweft.types import Explanation, Filters, SearchType, Selection

GREP_LIMIT = 10_000
"""Matching lines in one answer."""

Names = Annotated[list[str], Field(default_factory=list, max_length=100)]
OptionalName = Annotated[str | None, BeforeValidator(lambda given: given or None)]


class Narrow(Body):
    """Where to look. Empty means everywhere; of several names any may match."""

    index: OptionalName = Field(None, description="One index; without it the default, or all.")
    paths: Names = Field(description="Globs as in .gitignore, relative to the source's root.")
    languages: Names
    kinds: Names = Field(description="Kinds of chunks: function, method, class, …")
    repositories: Names
    branches: Names

    def filters(self) -> Filters:
        """Raises `InvalidRequest` for a language or kind that does not exist."""
        made = Filters(
            paths=tuple(self.paths),
            languages=tuple(self.languages),
            kinds=tuple(self.kinds),
            repositories=tuple(self.repositories),
            branches=tuple(self.branches),
        )
        check_filters(made)
        return made


class SearchBody(Narrow):
    query: str = Field(min_length=1, max_length=100_000)
    k: int = Field(10, ge=1, le=100)
    search_type: SearchType = "hybrid"
    fetch_k: int = Selection().fetch_k
    lambda_mult: float = Selection().lambda_mult
    distance_threshold: float | None = None
    score_threshold: float = Selection().score_threshold
    explain: bool = Field(False, description="Also say which words were looked up, and the time it took.")

    def selection(self) -> Selection:
        """Raises `InvalidRequest` for a parameter out of its range."""
        made = Selection(
            self.search_type,
            self.fetch_k,
            self.lambda_mult,
            self.distance_threshold,
            self.score_threshold,
        )
        check_selection(made)
        return made


class TermView(View):
    term: str
    forms: list[str]


class ExplanationView(View):
    type: SearchType
    indexes: list[str]
    terms: list[TermView]
    symbols: list[str]
    candidates: int
    seconds: dict[str, float]

    @classmethod
    def of(cls, explanation: Explanation) -> ExplanationView:
        return cls(
            type=explanation.type,
            indexes=list(explanation.indexes),
            terms=[
                TermView(term=clean(term), forms=list(map(clean, forms)))
                for term, forms in explanation.terms.items()
            ],
            symbols=list(map(clean, explanation.symbols)),
            candidates=explanation.candidates,
            seconds={stage: round(seconds, 6) for stage, seconds in explanation.seconds.items()},
        )


class SearchView(View):
    results: list[ReferenceView]
    explanation: ExplanationView | None = None
    note: str = Field("", description="What a reader must know about how they were found.")


class SymbolQuery(Narrow):
    name: str = Field(min_length=1, max_length=500)
    find: Wanted = "definitions"
    limit: int = Field(200, ge=1, le=2000)


class PlaceView(View):
    index: str
    repository: str
    commit: str
    path: str
    language: str
    line: int
    column: int
    end_line: int
    role: Literal["definition", "call", "import", "reference"]
    name: str
    kind: str
    within: str
    text: str
    certain: bool
    count: int

    @classmethod
    def of(cls, place: Place) -> PlaceView:
        return cls.model_validate({name: _clean(getattr(place, name)) for name in Place.__dataclass_fields__})


class PlacesView(View):
    places: list[PlaceView]
    more: bool = Field(description="There are further places than `limit`.")


class GrepQuery(Narrow):
    pattern: str = Field(min_length=1, max_length=1000)
    ignore_case: bool = False
    whole_word: bool = False
    fixed: bool = Field(False, description="The pattern is plain text.")
    context: int = Field(0, ge=0, le=20, description="Lines shown on either side.")
    limit: int = Field(500, ge=1, le=GREP_LIMIT)


class HitView(View):
    index: str
    repository: str
    commit: str
    path: str
    language: str
    number: int
    text: str
    spans: list[tuple[int, int]]
    before: list[str]
    after: list[str]

    @classmethod
    def of(cls, hit: Hit) -> HitView:
        return cls.model_validate({name: _clean(getattr(hit, name)) for name in Hit.__dataclass_fields__})


class HitsView(View):
    hits: list[HitView]
    more: bool = Field(description="There are, or may be, further lines than these.")


def _clean(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    return list(map(_clean, value)) if isinstance(value, tuple) else value
