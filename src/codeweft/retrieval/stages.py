"""Stronger stages around the plain search, each off unless configured: further queries before, re-ranking after.

A stage that fails or is slow never fails the search: the plain result stands, and says in its note what was missing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from codeweft.errors import CodeweftError
from codeweft.retrieval.bridge import Bridge
from codeweft.types import Chunk, Query, QueryExpander, Reranker, SearchResult

log = logging.getLogger(__name__)
T = TypeVar("T")

SHOWN_CHARACTERS: Final = 2000
"""Of each result, for a re-ranker: cross-encoders read about 512 tokens."""
REST_SECONDS: Final = 30.0
"""A stage that failed is left out for so long, so that not every search waits for it."""
FUSED: Final = 20
"""Results per query that are fused, at least."""
AGREED: Final = 0.2
"""Weight of a result's lesser score beside its better one."""


@dataclass(frozen=True, slots=True)
class StageOptions:
    """`top` results are re-ranked; `share` of their final score is the re-ranker's. Timeouts are in seconds.

    `expansion_only` asks what the expander says instead of the question rather than beside it.
    """

    top: int = 30
    share: float = 0.3
    rerank_timeout: float = 5.0
    expand_timeout: float = 5.0
    expansion_only: bool = False


class Stages:
    """The stages of one installation. Called from threads that search; the stages themselves run in an event loop."""

    def __init__(
        self,
        bridge: Bridge,
        *,
        reranker: Reranker | None = None,
        expander: QueryExpander | None = None,
        options: StageOptions | None = None,
    ) -> None:
        self._bridge = bridge
        self._reranker = reranker
        self._expander = expander
        self._options = options or StageOptions()
        self._resting: dict[str, float] = {}

    def search(self, query: Query, plain: Callable[[Query], list[SearchResult]]) -> list[SearchResult]:
        """What `plain` finds, better: the same contract, with a note where a stage could not do its part."""
        notes: list[str] = []
        wanted = query.k
        if self._reranker is not None:
            query = replace(query, k=max(query.k, self._options.top))
        found = self._expanded(query, plain, notes)
        if self._reranker is not None and len(found) > 1:
            found = self._reranked(query.text, found, self._reranker, notes)
        found = found[:wanted]
        if notes:
            note = " ".join(notes)
            found = [replace(result, note=f"{result.note} {note}".strip()) for result in found]
        return found

    def _expanded(
        self, query: Query, plain: Callable[[Query], list[SearchResult]], notes: list[str]
    ) -> list[SearchResult]:
        further: Sequence[str] = ()
        if (expander := self._expander) is not None:
            further = (
                self._tried(
                    f"The translation of the question by {expander.name}",
                    lambda: expander.expand(query.text),
                    self._options.expand_timeout,
                    notes,
                )
                or ()
            )
        if not further:
            return plain(query)
        deeper = replace(query, k=max(query.k, FUSED))
        texts = further if self._options.expansion_only else (query.text, *further)
        return fuse([plain(replace(deeper, text=text)) for text in texts])[: query.k]

    def _reranked(
        self, text: str, found: list[SearchResult], reranker: Reranker, notes: list[str]
    ) -> list[SearchResult]:
        head, tail = found[: self._options.top], found[self._options.top :]
        shown = [describe(result.chunk) for result in head]
        scores = self._tried(
            f"Re-ranking by {reranker.name}",
            lambda: reranker.rerank(text, shown),
            self._options.rerank_timeout,
            notes,
        )
        return found if scores is None else blend(head, scores, self._options.share) + tail

    def _tried(
        self, what: str, ask: Callable[[], Coroutine[Any, Any, T]], timeout: float, notes: list[str]
    ) -> T | None:
        """What a stage answers in time, or None and a note why there is nothing."""
        if time.monotonic() < self._resting.get(what, 0.0):
            notes.append(f"{what} is left out for a while because it failed.")
            return None
        try:
            return self._bridge.run(asyncio.wait_for(ask(), timeout))
        except TimeoutError:
            said = f"{what} took longer than {timeout:g} s and was left out."
        except CodeweftError as error:
            said = f"{what} failed and was left out: {error.message}"
        log.info("%s", said)
        self._resting[what] = time.monotonic() + REST_SECONDS
        notes.append(said)
        return None


def describe(chunk: Chunk) -> str:
    """A chunk as a re-ranker reads it: where it is, what it is called, what it says."""
    head = " ".join(filter(None, (chunk.path, chunk.qualified_name)))
    return "\n".join(filter(None, (head, chunk.summary, chunk.text)))[:SHOWN_CHARACTERS]


def blend(found: Sequence[SearchResult], scores: Sequence[float], share: float) -> list[SearchResult]:
    """Results in the order of both scores, each spread over 0..1; the share of the second is a reason in `why`."""
    first, second = _spread([result.score for result in found]), _spread(scores)
    both = [
        replace(
            result,
            score=round((1 - share) * a + share * b, 6),
            why={**result.why, "rerank": round(share * b, 6)},
        )
        for result, a, b in zip(found, first, second, strict=True)
    ]
    return sorted(both, key=lambda result: -result.score)


def _spread(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / ((high - low) or 1.0) for value in values]


def fuse(answers: Sequence[Sequence[SearchResult]]) -> list[SearchResult]:
    """One list of two answers to the same question: a result's better score, and a little for the other one.

    The mean would prefer what both half like over what one is sure of: the two say different words.
    """
    found: dict[tuple[str, str, int], list[SearchResult]] = defaultdict(list)
    for answer in answers:
        for result in answer:
            found[result.chunk.repository, result.chunk.path, result.chunk.start_line].append(result)
    fused = []
    for same in found.values():
        best, *others = sorted(same, key=lambda result: -result.score)
        score = (best.score + AGREED * sum(other.score for other in others)) / (1 + AGREED)
        fused.append(replace(best, score=round(score, 6)))
    return sorted(fused, key=lambda result: -result.score)
