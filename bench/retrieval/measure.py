"""Figures of ranked answers: NDCG@10 as semble computes it, MRR, recall, and whether a difference is real."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.retrieval.searchers import Hit
from bench.retrieval.sets import Question, Target


@dataclass(frozen=True, slots=True)
class Scores:
    """The figures of one answer."""

    ndcg10: float
    mrr: float
    recall5: float
    recall10: float


def _ranks(hits: Sequence[Hit], targets: Iterable[Target]) -> list[int]:
    """The first rank (from 1) of each target that was found."""
    found = (
        next(
            (rank for rank, hit in enumerate(hits, 1) if target.found_in(hit.path, hit.start, hit.end)), None
        )
        for target in targets
    )
    return [rank for rank in found if rank is not None]


def score(hits: Sequence[Hit], question: Question) -> Scores:
    """Binary NDCG@10 (ideal over min(10, targets)), reciprocal rank of the first target, recall at 5 and 10."""
    ranks = _ranks(hits[:10], question.targets)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(10, len(question.targets)) + 1))
    count = len(question.targets)
    return Scores(
        sum(1 / math.log2(rank + 1) for rank in ranks) / ideal,
        1 / min(ranks) if ranks else 0.0,
        sum(rank <= 5 for rank in ranks) / count,
        len(ranks) / count,
    )


def mean_by(scores: Mapping[str, Scores], questions: Sequence[Question], attribute: str) -> dict[str, float]:
    """Mean NDCG@10 of the questions by one of their attributes."""
    groups: dict[str, list[float]] = defaultdict(list)
    for question in questions:
        groups[getattr(question, attribute)].append(scores[question.id].ndcg10)
    return {name: sum(values) / len(values) for name, values in sorted(groups.items())}


def mean_of_repositories(
    scores: Mapping[str, Scores], questions: Sequence[Question], figure: str = "ndcg10"
) -> float:
    """The mean over repositories of the mean over their questions."""
    groups: dict[str, list[float]] = defaultdict(list)
    for question in questions:
        groups[question.repository].append(getattr(scores[question.id], figure))
    return sum(sum(values) / len(values) for values in groups.values()) / len(groups)


def paired_bootstrap(
    ours: Sequence[float], theirs: Sequence[float], rounds: int = 10_000
) -> tuple[float, float, float]:
    """Mean difference and its 95 % interval, questions resampled in pairs."""
    differences = np.array(ours) - np.array(theirs)
    picks = np.random.default_rng(0).integers(0, len(differences), (rounds, len(differences)))
    low, high = np.percentile(differences[picks].mean(axis=1), [2.5, 97.5])
    return float(differences.mean()), float(low), float(high)
