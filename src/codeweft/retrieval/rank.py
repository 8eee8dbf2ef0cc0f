"""From candidates to the best chunks: fusion of lexical and vector scores, then priorities. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from codeweft.retrieval.store.embedded import Row, fold
from codeweft.retrieval.tokens import query_terms

LEXICAL_WEIGHT: Final = 0.55
FIELD_WEIGHTS: Final = {"name": 2.0, "path": 1.5, "doc": 1.0, "body": 1.0}

_SYMBOL: Final = re.compile(
    r"`(?P<quoted>[^`\s]{2,80})`"
    r"|(?P<qualified>[A-Za-z_$][\w$]*(?:(?:::|->|\.|\\|#)[A-Za-z_$][\w$]*[!?]?)+)(?:\(\))?"
    r"|(?P<plain>\b(?:_*[A-Za-z]+_\w+|_+[A-Za-z]\w*|[a-z]+[0-9]*[A-Z]\w*|[A-Z][a-z0-9]+[A-Z]\w*|[A-Z]{2,}[a-z]\w*)\b)"
    r"|(?P<called>\b[A-Za-z_]\w+)(?=\(\))"
)
_WORD: Final = re.compile(r"[A-Za-z_$][\w$]*[!?]?$")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, read once: terms with their weights, symbols named in it, and whether it is nothing but a symbol."""

    text: str
    terms: Mapping[str, float]
    symbols: tuple[str, ...]
    is_symbol: bool

    @property
    def folded_symbols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, map(fold, self.symbols))))


@dataclass(slots=True)
class Candidate:
    """A chunk that may answer. `lexical` is BM25, `vector` a cosine; both 0 when unknown."""

    row: Row
    lexical: float = 0.0
    vector: float = 0.0
    score: float = 0.0
    why: dict[str, float] = field(default_factory=dict)


def read_question(text: str) -> Question:
    """Split a question into terms and symbols."""
    stripped = text.strip()
    symbols: list[str] = []
    for match in _SYMBOL.finditer(stripped[:4000]):
        name = next(filter(None, match.groups()))
        symbols.append(name)
    is_symbol = bool(_WORD.match(stripped)) or (len(symbols) == 1 and symbols[0] == stripped.strip("`()"))
    if is_symbol and not symbols:
        symbols = [stripped]
    terms: dict[str, float] = defaultdict(float)
    for term in query_terms(stripped[:20_000]):
        terms[term] = 1.0
    parts = [part for symbol in symbols for part in re.split(r"::|->|[.\\#]", symbol) if part]
    return Question(
        stripped,
        dict(terms),
        tuple(dict.fromkeys([*parts[-1:], *parts])) if is_symbol else tuple(dict.fromkeys(parts)),
        is_symbol,
    )


def rank(question: Question, candidates: Iterable[Candidate], k: int) -> list[Candidate]:
    """The best `k`, best first, with `score` in 0..1 and `why` filled."""
    pool = list(candidates)
    if not pool:
        return []
    top_lexical = max((c.lexical for c in pool), default=0.0) or 1.0
    vectors = [c.vector for c in pool]
    low, high = min(vectors), max(vectors)
    spread = (high - low) or 1.0
    for c in pool:
        lexical = LEXICAL_WEIGHT * c.lexical / top_lexical
        vector = (1 - LEXICAL_WEIGHT) * (c.vector - low) / spread
        c.why = {"lexical": lexical, "vector": vector}
        c.score = lexical + vector
    pool.sort(key=lambda c: -c.score)
    return pool[:k]
