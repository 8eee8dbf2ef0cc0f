"""Korean, Japanese and Chinese words of a question in the English terms that code uses for them. Pure, offline.

A run without spaces is cut by a table of words so that as little as possible stays uncovered. What no table knows is
read by its sound where it may be an English word (인터프리터, インタプリタ → interpreter).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from codeweft.retrieval.terms.sound import english_by_sound

HANGUL: Final = r"\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"
KANA: Final = r"\u3041-\u3096\u309d-\u30fa\u30fc-\u30ff"
HAN: Final = r"\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"

_KANA: Final = re.compile(f"[{KANA}]")
_KATAKANA_RUN: Final = re.compile("[ァ-ヺー]+")
_SMALL_OR_LONG: Final = frozenset("ーッャュョァィゥェォヮン")
"""Kana that belong to the one before: no word begins with them."""

_UNCOVERED, _PIECE, _BY_SOUND = 1.0, 0.1, 0.6
"""Costs of a character without a word, of a word, and of a word read by its sound: cover most, in few pieces."""

Terms = tuple[str, ...]
"""English terms for one word, the likeliest first."""

_PARTICLE_LIST: Final = """
    은 는 이 가 을 를 의 에 와 과 도 로 만 나 랑 에서 에게 한테 으로 부터 까지 처럼 보다 마다 조차 밖에
    이나 이랑 에는 에도 에서는 에서도 으로는 으로부터 로부터 이라는 라는 이란 란 인지 이고 이며 이면
    하는 하고 하며 하면 하여 해서 해야 했던 했을 했다 한다 하기 하지 할 한 해 함 합니다 하나요 하려면
    되는 되고 되며 되면 되어 돼서 되나요 된다 되기 된 될 됨 됩니다 시키는 시킨 시켜 들 들을 들이 들의 들은
    입니다 인가요 인가 나요
"""
_PARTICLES: Final = tuple(sorted(_PARTICLE_LIST.split(), key=len, reverse=True))
"""Particles and the commonest light-verb endings, longest first."""


def strip_particle(word: str) -> str:
    """A Hangul word without its trailing particle or light-verb ending; at least two syllables stay."""
    for particle in _PARTICLES:
        if len(word) - len(particle) >= 2 and word.endswith(particle):
            return word[: -len(particle)]
    return word


@cache
def table(language: str) -> dict[str, Terms]:
    """English terms by word of `ko`, `ja` or `zh`, read once from the bundled file.

    A Korean entry that ends in `*` is a verb stem of one syllable, which counts before any ending.
    """
    entries: dict[str, Terms] = {}
    lines = (
        resources.files("codeweft.retrieval.terms")
        .joinpath(f"{language}.tsv")
        .read_text("utf-8")
        .splitlines()
    )
    for line in lines:
        if line and not line.startswith("#"):
            word, english = line.split("\t")
            entries[word] = tuple(english.split())
    return entries


@dataclass(frozen=True, slots=True)
class _Lexicon:
    entries: dict[str, Terms]
    longest: int


@cache
def _korean() -> _Lexicon:
    entries = table("ko")
    return _Lexicon(entries, max(map(len, entries)))


@cache
def _han_and_kana(japanese: bool) -> _Lexicon:
    """Both tables in one, for runs that may be either language; the likelier one decides where they differ."""
    japanese_entries: dict[str, Terms] = {}
    for word, english in table("ja").items():
        japanese_entries[word] = english
        # サーバ and サーバー are one word.
        if len(word) > 2 and _KATAKANA_RUN.fullmatch(word):
            japanese_entries.setdefault(word[:-1] if word.endswith("ー") else word + "ー", english)
    first, second = (japanese_entries, table("zh")) if japanese else (table("zh"), japanese_entries)
    entries = {**second, **first}
    return _Lexicon(entries, max(map(len, entries)))


def is_japanese(text: str) -> bool:
    """Whether a text holds kana; without any, Han characters are taken for Chinese."""
    return _KANA.search(text) is not None


@lru_cache(maxsize=4096)
def korean_terms(run: str) -> tuple[Terms, ...]:
    """The English terms of each word found in a Hangul run, in order."""
    lexicon = _korean()
    pieces = _cover(run, lexicon, _fits_korean)
    if not pieces and (english := lexicon.entries.get(run[0] + "*")):
        return (english,)
    stem = strip_particle(run)
    unknown = len(stem) - sum(size for _, size in pieces)
    if unknown >= 2 and len(stem) >= 3 and (spoken := english_by_sound(stem)):
        return ((spoken,),)
    return tuple(lexicon.entries[run[at : at + size]] for at, size in pieces)


def _fits_korean(run: str, start: int, end: int) -> bool:
    """One-syllable words (값, 키) would match inside unrelated words: only as a whole or before a particle."""
    return end - start > 1 or (start == 0 and (end == len(run) or run[end:] in _PARTICLES))


@lru_cache(maxsize=4096)
def han_and_kana_terms(run: str, japanese: bool) -> tuple[Terms, ...]:
    """The English terms of each word found in a run of Han characters and kana, in order."""
    lexicon = _han_and_kana(japanese)
    spoken = {
        match.group(): english
        for match in _KATAKANA_RUN.finditer(run)
        if len(match.group()) >= 3 and (english := english_by_sound(match.group()))
    }
    pieces = _cover(run, lexicon, _fits_han_or_kana, spoken)
    words = (run[at : at + size] for at, size in pieces)
    return tuple(lexicon.entries.get(word) or (spoken[word],) for word in words)


def _fits_han_or_kana(run: str, start: int, end: int) -> bool:
    """A word does not end before a long vowel or small kana; a single character stands apart from others of its kind."""
    before, after = run[start - 1 : start], run[end : end + 1]
    if after in _SMALL_OR_LONG and after:
        return False
    if end - start > 1:
        return True
    return not any(is_kana(neighbour) == is_kana(run[start]) for neighbour in (before, after) if neighbour)


def is_kana(character: str) -> bool:
    return _KANA.match(character) is not None


def _cover(
    run: str,
    lexicon: _Lexicon,
    fits: Callable[[str, int, int], bool],
    spoken: Mapping[str, str] = MappingProxyType({}),
) -> list[tuple[int, int]]:
    """(start, size) of the words that leave least of a run uncovered, in fewest pieces; found from the right."""
    best = [0.0] * (len(run) + 1)
    size_at = [0] * len(run)
    longest = max(lexicon.longest, *map(len, spoken)) if spoken else lexicon.longest
    for at in range(len(run) - 1, -1, -1):
        best[at] = _UNCOVERED + best[at + 1]
        for size in range(1, min(longest, len(run) - at) + 1):
            word = run[at : at + size]
            price = _PIECE if word in lexicon.entries else _BY_SOUND if word in spoken else None
            if price is not None and price + best[at + size] < best[at] and fits(run, at, at + size):
                best[at], size_at[at] = price + best[at + size], size
    pieces, at = [], 0
    while at < len(run):
        if size_at[at]:
            pieces.append((at, size_at[at]))
        at += size_at[at] or 1
    return pieces
