"""Figures of ranked answers: NDCG@10 as semble computes it, MRR, recall, accuracy, and whether a difference is real."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np

from bench.retrieval.searchers import Hit
from bench.retrieval.sets import Question, QuestionSet, Target


@dataclass(frozen=True, slots=True)
class Scores:
    """The figures of one answer. `accN` is 1 when all targets are among the first N; `parts10` is NaN without parts."""

    ndcg10: float
    mrr: float
    recall5: float
    recall10: float
    acc1: float
    acc5: float
    acc10: float
    parts10: float


FIGURES = tuple(one.name for one in fields(Scores))


def _ranks(hits: Sequence[Hit], targets: Iterable[Target]) -> list[float]:
    """The first rank (from 1) of each target, infinite when it was not found."""
    return [
        next(
            (rank for rank, hit in enumerate(hits, 1) if target.found_in(hit.path, hit.start, hit.end)),
            math.inf,
        )
        for target in targets
    ]


def by_file(hits: Iterable[Hit]) -> list[Hit]:
    """The first hit of each file, standing for all of it."""
    return [Hit(path, 1, 1 << 30) for path in dict.fromkeys(hit.path for hit in hits)]


def score(hits: Sequence[Hit], question: Question, *, fold: bool = False) -> Scores:
    """Binary NDCG@10 (ideal over min(10, targets)), reciprocal rank of the first target in all hits, and the rest."""
    ranks = _ranks(by_file(hits) if fold else hits, question.targets)
    parts = _ranks(hits, question.parts)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(10, len(ranks)) + 1))

    def share(of: Sequence[float], within: int) -> float:
        return sum(rank <= within for rank in of) / len(of) if of else math.nan

    def whole(within: int) -> float:
        return float(len(ranks) <= within and all(rank <= within for rank in ranks))

    return Scores(
        ndcg10=sum(1 / math.log2(rank + 1) for rank in ranks if rank <= 10) / ideal,
        mrr=1 / min(ranks),
        recall5=share(ranks, 5),
        recall10=share(ranks, 10),
        acc1=whole(1),
        acc5=whole(5),
        acc10=whole(10),
        parts10=share(parts, 10),
    )


def means(scores: Sequence[Scores]) -> dict[str, float]:
    """The mean of each figure over the answers that have it."""
    columns = {name: [asdict(one)[name] for one in scores] for name in FIGURES}
    known = {name: [v for v in values if not math.isnan(v)] for name, values in columns.items()}
    return {name: sum(values) / len(values) for name, values in known.items() if values}


def grouped(
    scores: Mapping[str, Scores], questions: Iterable[Question], attribute: str
) -> dict[str, list[Scores]]:
    """Answers by one attribute of their questions, groups in order of name."""
    groups: dict[str, list[Scores]] = defaultdict(list)
    for question in questions:
        groups[getattr(question, attribute)].append(scores[question.id])
    return dict(sorted(groups.items()))


def overall(scores: Mapping[str, Scores], which: QuestionSet) -> dict[str, float]:
    """Means over questions, or over repositories of the means over their questions where the set is balanced."""
    if not which.balanced:
        return means([scores[question.id] for question in which.questions])
    each = [means(group) for group in grouped(scores, which.questions, "repository").values()]
    names = [name for name in FIGURES if any(name in one for one in each)]
    return {
        name: sum(one[name] for one in each if name in one) / sum(name in one for one in each)
        for name in names
    }


def paired_bootstrap(
    ours: Sequence[float], theirs: Sequence[float], rounds: int = 10_000
) -> tuple[float, float, float]:
    """Mean difference and its 95 % interval, questions resampled in pairs."""
    differences = np.array(ours) - np.array(theirs)
    picks = np.random.default_rng(0).integers(0, len(differences), (rounds, len(differences)))
    low, high = np.percentile(differences[picks].mean(axis=1), [2.5, 97.5])
    return float(differences.mean()), float(low), float(high)
