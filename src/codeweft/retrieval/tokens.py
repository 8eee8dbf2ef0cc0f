"""From text to lexical terms, the same for code, prose and questions; shared by lexical search and encoder.

`words` is what an indexed text holds, `query_terms` what a question asks for. Everything is pure, accepts any
`str` (lone surrogates included) and never raises.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import chain
from typing import Final

from codeweft.retrieval.terms.translate import (
    HAN,
    HANGUL,
    KANA,
    Terms,
    han_and_kana_terms,
    is_japanese,
    korean_terms,
    strip_particle,
)

LONGEST_RUN: Final = 96
"""Characters of one unbroken run that are looked at; anything longer is data (base64, minified code), not a name."""

_RUN: Final = re.compile(r"\w+")
ASCII_SEPARATORS: Final = bytes(
    byte if byte < 128 and (chr(byte).isalnum() or chr(byte) == "_") else ord(" ") for byte in range(256)
)
"""A table for `bytes.translate` that leaves of ASCII text only the runs, with spaces between."""
_ASCII_PART: Final = re.compile(
    r"[A-Z]{2,}s(?![a-z])"  # plural acronyms: URLs, IDs
    r"|[A-Z]+(?=[A-Z][a-z])"  # the acronym before a word: HTTP in HTTPServer
    r"|[A-Z]?[a-z]+|[A-Z]+|[0-9]+"
)
_OTHER_PART: Final = re.compile(r"[^\W\d_]+|\d+")
_SCRIPT: Final = re.compile(
    rf"(?P<hangul>[{HANGUL}]+)|(?P<cjk>[{HAN}{KANA}]+)|(?P<name>[^\W{HANGUL}{HAN}{KANA}]+)"
)
_JOINING: Final = re.compile(r"[\u3041-\u309f][\u3041-\u30ff]|[\u3041-\u30ff]?[\u3041-\u309f]")

_QUESTION_WORD_LIST: Final = """
    a an and are be been can could did do does for how i if in is it its me my of on or please should show so that
    the their them there these they this those to us was we were what when where which who why will with would you
    your
"""
_QUESTION_WORDS: Final = frozenset(_QUESTION_WORD_LIST.split())
"""English words that say nothing about code in a question; dropped by `query_terms` unless nothing else is left."""

_ALTERNATIVES: Final = (1.0, 0.5, 0.35)
"""What the English terms for one word are worth: together hardly more than one word."""


def words(text: str) -> list[str]:
    """Lower-cased terms of code or prose, in order, repeats kept.

    A compound identifier gives its parts and then itself (`parseHTTPHeader` → parse, http, header,
    parsehttpheader); a Hangul word gives its stem without particles and the stem's syllable pairs; other CJK
    runs give their character pairs; numbers stay.
    """
    return list(chain.from_iterable(map(terms_of_run, runs(text))))


def joined_words(text: str) -> str:
    """`words` with spaces between them, in half the time."""
    if not text:
        return ""
    if len(_joined) >= _MOST_JOINED:
        _joined.clear()
    return " ".join(map(_joined.__getitem__, runs(text)))


class _Joined(dict[str, str]):
    """The terms of runs with spaces between them. A dictionary is looked up in half the time of an `lru_cache`."""

    def __missing__(self, run: str) -> str:
        joined = self[run] = " ".join(terms_of_run(run))
        return joined


_MOST_JOINED: Final = 1 << 17
_joined: Final = _Joined()


def runs(text: str) -> list[str]:
    """The unbroken runs of letters, digits and underscores in a text, before they are split into terms."""
    if text.isascii():
        # Three times faster than the pattern, and almost all code is ASCII.
        return text.encode("ascii").translate(ASCII_SEPARATORS).decode("ascii").split()
    # NFKC composes decomposed Hangul (macOS file names) and folds full-width letters.
    found: list[str] = _RUN.findall(unicodedata.normalize("NFKC", text))
    return found


@lru_cache(maxsize=1 << 16)
def terms_of_run(run: str) -> tuple[str, ...]:
    """The terms of one unbroken run of letters, digits and underscores. Identifiers repeat, so this is memoised."""
    if run.isascii():
        return _identifier_terms(run[:LONGEST_RUN])
    terms: list[str] = []
    for match in _SCRIPT.finditer(run[:LONGEST_RUN]):
        piece = match.group()
        match match.lastgroup:
            case "hangul":
                terms.extend(_hangul_terms(piece))
            case "cjk":
                terms.extend(_pairs(piece))
            case _:
                terms.extend(_identifier_terms(piece))
    return tuple(terms)


def _identifier_terms(name: str) -> tuple[str, ...]:
    parts: list[str] = (_ASCII_PART if name.isascii() else _OTHER_PART).findall(name)
    if len(parts) < 2:
        return tuple(part.lower() for part in parts)
    return (*(part.lower() for part in parts), name.strip("_").lower())


def _hangul_terms(run: str) -> tuple[str, ...]:
    stem = strip_particle(run)
    return (stem, *_pairs(stem)) if len(stem) > 2 else (stem,)


def _pairs(run: str) -> tuple[str, ...]:
    return tuple(run[i : i + 2] for i in range(len(run) - 1)) or (run,)


def query_terms(text: str) -> list[str]:
    """Terms to look for: `words` without English question words, and the English terms of Korean, Japanese and Chinese words.

    The words themselves stay in, so comments in those languages are found as well. A question of nothing but question
    words keeps them all.
    """
    return [term for term, _ in asked_terms(text)]


def weighted_terms(text: str) -> dict[str, float]:
    """The different terms of `query_terms`, in order, with what each is worth (0 to 1)."""
    weights: dict[str, float] = {}
    for term, weight in asked_terms(text):
        weights[term] = max(weight, weights.get(term, 0.0))
    return weights


def asked_terms(text: str) -> list[tuple[str, float]]:
    """`query_terms` with what each is worth: of several English terms for one word, the second less than the first."""
    japanese = not text.isascii() and is_japanese(text)
    terms = [found for run in runs(text) for found in _asked_terms_of_run(run, japanese)]
    return [one for one in terms if one[0] not in _QUESTION_WORDS] or terms


@lru_cache(maxsize=1 << 14)
def _asked_terms_of_run(run: str, japanese: bool) -> tuple[tuple[str, float], ...]:
    if run.isascii():
        return tuple((term, 1.0) for term in terms_of_run(run))
    terms: list[str] = []
    translated: list[tuple[str, float]] = []
    for match in _SCRIPT.finditer(run[:LONGEST_RUN]):
        piece, script = match.group(), match.lastgroup
        # What joins words would only be noise: pairs of a Japanese word have a Han character or are all katakana.
        terms.extend(t for t in terms_of_run(piece) if script != "cjk" or not _JOINING.fullmatch(t))
        for english in _english(piece, script, japanese):
            translated.extend(zip(english, _ALTERNATIVES, strict=False))
    return (*((term, 1.0) for term in terms), *translated)


def _english(piece: str, script: str | None, japanese: bool) -> tuple[Terms, ...]:
    if script == "hangul":
        return korean_terms(piece)
    return han_and_kana_terms(piece, japanese) if script == "cjk" else ()
