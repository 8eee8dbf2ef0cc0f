"""Search by vectors alone: the nearest chunks, those within a threshold, or those that differ from each other. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

import numpy as np

from codeweft.errors import InvalidRequest
from codeweft.types import SearchType, Selection, Vectors

SEARCH_TYPES: Final[tuple[str, ...]] = get_args(SearchType)
MOST_FETCHED: Final = 10_000
"""Chunks among which `mmr` may choose; each further choice compares with all of them."""


def check_selection(selection: Selection) -> None:
    """Raises `InvalidRequest` for a search type that does not exist or a parameter out of its range."""
    if selection.type not in SEARCH_TYPES:
        raise InvalidRequest(
            f"There is no search type {selection.type!r}.",
            fix=f"There are: {', '.join(SEARCH_TYPES)}.",
            param="search_type",
        )
    _check_range("fetch_k", selection.fetch_k, 1, MOST_FETCHED)
    _check_range("lambda_mult", selection.lambda_mult, 0, 1)
    _check_range("score_threshold", selection.score_threshold, 0, 1)
    if selection.distance_threshold is not None:
        _check_range("distance_threshold", selection.distance_threshold, 0, 2)
    elif selection.type == "similarity_distance_threshold":
        raise InvalidRequest(
            "The search type similarity_distance_threshold needs `distance_threshold`.",
            fix="Send a cosine distance between 0 (the same) and 2 (opposite), for example 0.6.",
            param="distance_threshold",
        )


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidRequest(f"`{name}` is {value}; it must be between {low} and {high}.", param=name)


def unit_vector(given: Sequence[float], dimensions: int) -> Vectors:
    """A vector that a client sent, (d,) float32 at unit length. Raises `InvalidRequest` for one that cannot be compared."""
    vector = np.asarray(given, np.float32)
    if vector.shape != (dimensions,):
        raise InvalidRequest(
            f"`embedding` has {len(given)} numbers; the code is encoded with {dimensions}.",
            fix="Embed the question with `/v1/embeddings`, or send it as text alone.",
            param="embedding",
        )
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise InvalidRequest(
            "`embedding` has no direction.", fix="Send the question as text.", param="embedding"
        )
    unit: Vectors = vector / np.float32(length)
    return unit


def wanted(selection: Selection, k: int) -> int:
    """How many nearest chunks have to be looked at for `k` results."""
    return max(k, selection.fetch_k) if selection.type == "mmr" else k


def passing(selection: Selection, similarities: Sequence[float]) -> list[int]:
    """Positions of the cosines that the selection's threshold lets through, in the order given."""
    if selection.type == "similarity_score_threshold":
        return [at for at, cosine in enumerate(similarities) if cosine >= selection.score_threshold]
    if selection.type == "similarity_distance_threshold":
        limit = selection.distance_threshold or 0.0
        return [at for at, cosine in enumerate(similarities) if 1 - cosine <= limit]
    return list(range(len(similarities)))


def most_different(vectors: Vectors, similarities: Vectors, k: int, lambda_mult: float) -> list[int]:
    """Positions of `k` rows chosen one by one by maximal marginal relevance.

    Each next one is nearest to the question (`similarities`, (n,)) by `lambda_mult` and least like the chosen ones
    by the rest (Carbonell and Goldstein 1998). `vectors` (n, d) have unit length.
    """
    left = np.ones(len(vectors), bool)
    likeness = np.full(len(vectors), -1.0, np.float32)
    chosen: list[int] = []
    while len(chosen) < min(k, len(vectors)):
        value = lambda_mult * similarities - (1 - lambda_mult) * likeness if chosen else similarities
        best = int(np.argmax(np.where(left, value, -np.inf)))
        chosen.append(best)
        left[best] = False
        likeness = np.maximum(likeness, vectors @ vectors[best])
    return chosen
