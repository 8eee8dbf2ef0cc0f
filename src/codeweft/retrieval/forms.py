"""Other forms of an English word: a question says `registered` where code says `register` and `registration`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

_ENDINGS: Final = (
    *(
        "izations",
        "ization",
        "ations",
        "ation",
        "ators",
        "ator",
        "ating",
        "ated",
        "ates",
        "ate",
        "ings",
        "ing",
    ),
    *("ions", "ion", "ies", "ied", "ers", "er", "ors", "or", "ment", "able", "ed", "es", "s", "e", "y"),
)
"""Longest first, so that the shortest plausible stem is left."""
_ADDED: Final = (
    "",
    "e",
    "s",
    "es",
    "ed",
    "ing",
    "er",
    "ers",
    "or",
    "ion",
    "ions",
    "ation",
    "ations",
    "ies",
    "y",
    "ment",
    "able",
)
_SHORTEST_STEM: Final = 3
_MOST_FORMS: Final = 5


@lru_cache(maxsize=4096)
def stems(word: str) -> frozenset[str]:
    """What is left of a word without an ending; the word itself is among them."""
    found = {word}
    if word.isascii() and word.isalpha():
        for ending in _ENDINGS:
            stem = word.removesuffix(ending)
            if stem != word and len(stem) >= _SHORTEST_STEM:
                # running → run
                undoubled = len(stem) > _SHORTEST_STEM and stem[-1] == stem[-2] and stem[-1] not in "aeiouls"
                found.add(stem[:-1] if undoubled else stem)
                break
    return frozenset(found)


def known_forms(word: str, frequency: Callable[[str], int]) -> tuple[str, ...]:
    """Other forms of a word that occur, the commonest first; `frequency` says how often a term occurs."""
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return ()
    forms = {stem + added for stem in stems(word) for added in _ADDED} - {word}
    occurring = [
        (count, form) for form in forms if len(form) >= _SHORTEST_STEM and (count := frequency(form))
    ]
    return tuple(form for _, form in sorted(occurring, reverse=True)[:_MOST_FORMS])


def akin(one: str, other: str) -> bool:
    """Whether two words are forms of one."""
    if one == other:
        return True
    if min(len(one), len(other)) < 3:
        return False
    return bool(stems(one) & stems(other)) or one.startswith(other) or other.startswith(one)
