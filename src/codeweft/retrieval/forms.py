"""Other forms of an English word: a question says `registered` where code says `register` and `registration`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
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


@lru_cache(maxsize=65_536)
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


def possible_forms(word: str) -> frozenset[str]:
    """All that could be another form of a word, whether it occurs or not."""
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return frozenset()
    forms = {stem + added for stem in stems(word) for added in _ADDED} - {word}
    return frozenset(form for form in forms if len(form) >= _SHORTEST_STEM)


def known_forms(word: str, frequency: Callable[[str], int]) -> tuple[str, ...]:
    """Other forms of a word that occur, the commonest first; `frequency` says how often a term occurs."""
    occurring = [(count, form) for form in possible_forms(word) if (count := frequency(form))]
    return tuple(form for _, form in sorted(occurring, reverse=True)[:_MOST_FORMS])


def heads(words: Iterable[str]) -> frozenset[str]:
    """How words begin: all forms of a word begin alike."""
    return frozenset([word[:_SHORTEST_STEM] for word in words])


class Forms:
    """Which of some words other words are forms of: they share a stem, or one begins with the other."""

    def __init__(self, words: Iterable[str]) -> None:
        self._whole = frozenset(words)
        self.heads = heads(self._whole)
        """How the forms of these words begin; a word that begins otherwise is a form of none."""
        self._sizes = sorted({len(word) for word in self._whole if len(word) >= _SHORTEST_STEM})
        self._by_stem: dict[str, set[str]] = defaultdict(set)
        self._by_start: dict[str, set[str]] = defaultdict(set)
        for word in self._whole:
            for stem in stems(word):
                self._by_stem[stem].add(word)
            self._by_start[word].add(word)
            for size in range(_SHORTEST_STEM, len(word)):
                self._by_start[word[:size]].add(word)
        self._found: dict[str, frozenset[str]] = {}

    def of(self, word: str) -> frozenset[str]:
        """The words of which a word is a form."""
        found = self._found.get(word)
        if found is None:
            found = self._found[word] = self._find(word)
        return found

    def among(self, words: Iterable[str]) -> set[str]:
        """The words of which one of `words` is a form."""
        found: set[str] = set()
        for word in words:
            if word[:_SHORTEST_STEM] in self.heads:
                found |= self.of(word)
        return found

    def _find(self, word: str) -> frozenset[str]:
        if word[:_SHORTEST_STEM] not in self.heads:
            return frozenset()
        found = set(self._by_start.get(word, ()))
        if len(word) >= _SHORTEST_STEM:
            for stem in stems(word):
                found.update(self._by_stem.get(stem, ()))
            for size in self._sizes:
                if size >= len(word):
                    break
                if (start := word[:size]) in self._whole:
                    found.add(start)
        return frozenset(found)
