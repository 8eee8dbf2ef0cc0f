"""From text to lexical terms, the same for code, prose and questions; shared by lexical search and encoder.

`words` is what an indexed text holds, `query_terms` what a question asks for. Everything is pure, accepts any
`str` (lone surrogates included) and never raises.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from importlib import resources
from itertools import chain
from typing import Final

LONGEST_RUN: Final = 96
"""Characters of one unbroken run that are looked at; anything longer is data (base64, minified code), not a name."""

_RUN: Final = re.compile(r"\w+")
_ASCII_SEPARATORS: Final = bytes(
    byte if byte < 128 and (chr(byte).isalnum() or chr(byte) == "_") else ord(" ") for byte in range(256)
)
_ASCII_PART: Final = re.compile(
    r"[A-Z]{2,}s(?![a-z])"  # plural acronyms: URLs, IDs
    r"|[A-Z]+(?=[A-Z][a-z])"  # the acronym before a word: HTTP in HTTPServer
    r"|[A-Z]?[a-z]+|[A-Z]+|[0-9]+"
)
_OTHER_PART: Final = re.compile(r"[^\W\d_]+|\d+")
_HANGUL: Final = r"\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"
_CJK: Final = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SCRIPT: Final = re.compile(rf"(?P<hangul>[{_HANGUL}]+)|(?P<cjk>[{_CJK}]+)|(?P<name>[^\W{_HANGUL}{_CJK}]+)")

_PARTICLE_LIST: Final = """
    은 는 이 가 을 를 의 에 와 과 도 로 만 나 랑 에서 에게 한테 으로 부터 까지 처럼 보다 마다 조차 밖에
    이나 이랑 에는 에도 에서는 에서도 으로는 으로부터 로부터 이라는 라는 이란 란 인지 이고 이며 이면
    하는 하고 하며 하면 하여 해서 해야 했던 했을 했다 한다 하기 하지 할 한 해 함 합니다 하나요 하려면
    되는 되고 되며 되면 되어 돼서 되나요 된다 되기 된 될 됨 됩니다 시키는 시킨 시켜 들 들을 들이 들의 들은
    입니다 인가요 인가 나요
"""
_PARTICLES: Final = tuple(sorted(_PARTICLE_LIST.split(), key=len, reverse=True))
"""Particles and the commonest light-verb endings, longest first."""

_QUESTION_WORD_LIST: Final = """
    a an and are be been can could did do does for how i if in is it its me my of on or please should show so that
    the their them there these they this those to us was we were what when where which who why will with would you
    your
"""
_QUESTION_WORDS: Final = frozenset(_QUESTION_WORD_LIST.split())
"""English words that say nothing about code in a question; dropped by `query_terms` unless nothing else is left."""


def words(text: str) -> list[str]:
    """Lower-cased terms of code or prose, in order, repeats kept.

    A compound identifier gives its parts and then itself (`parseHTTPHeader` → parse, http, header,
    parsehttpheader); a Hangul word gives its stem without particles and the stem's syllable pairs; other CJK
    runs give their character pairs; numbers stay.
    """
    return list(chain.from_iterable(map(terms_of_run, runs(text))))


def runs(text: str) -> list[str]:
    """The unbroken runs of letters, digits and underscores in a text, before they are split into terms."""
    if text.isascii():
        # Three times faster than the pattern, and almost all code is ASCII.
        return text.encode("ascii").translate(_ASCII_SEPARATORS).decode("ascii").split()
    # NFKC composes decomposed Hangul (macOS file names) and folds full-width letters.
    found: list[str] = _RUN.findall(unicodedata.normalize("NFKC", text))
    return found


@lru_cache(maxsize=1 << 16)
def terms_of_run(run: str) -> tuple[str, ...]:
    """The terms of one unbroken run of letters, digits and underscores. Identifiers repeat, so this is memoised."""
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


def strip_particle(word: str) -> str:
    """A Hangul word without its trailing particle or light-verb ending; at least two syllables stay."""
    for particle in _PARTICLES:
        if len(word) - len(particle) >= 2 and word.endswith(particle):
            return word[: -len(particle)]
    return word


def query_terms(text: str) -> list[str]:
    """Terms to look for: `words` without English question words, Hangul words followed by their English terms.

    The Hangul terms stay in, so Korean comments are found as well. A question of nothing but question words keeps
    them all.
    """
    terms = list(chain.from_iterable(map(_query_terms_of_run, runs(text))))
    return [term for term in terms if term not in _QUESTION_WORDS] or terms


def _query_terms_of_run(run: str) -> tuple[str, ...]:
    terms = terms_of_run(run)
    if run.isascii():
        return terms
    hangul = (m.group() for m in _SCRIPT.finditer(run[:LONGEST_RUN]) if m.lastgroup == "hangul")
    return (*terms, *chain.from_iterable(map(english_terms, hangul)))


@cache
def korean_terms() -> dict[str, tuple[str, ...]]:
    """Korean programming words and the English terms that code uses for them, read once from the bundled table."""
    table: dict[str, tuple[str, ...]] = {}
    lines = resources.files("codeweft.retrieval").joinpath("korean_terms.tsv").read_text("utf-8").splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            korean, english = line.split("\t")
            table[korean] = tuple(english.split())
    return table


@cache
def _longest_korean_term() -> int:
    return max(map(len, korean_terms()))


def english_terms(run: str) -> tuple[str, ...]:
    """English terms of a Hangul run by longest match from the left; syllables that no entry covers are skipped.

    One-syllable entries (값, 키) would match inside unrelated words, so they count only as a whole word or before
    a particle; entries that end in `*` are verb stems (찾*) and count before any ending, at the start of a word.
    """
    table = korean_terms()
    found: list[str] = []
    at = 0
    while at < len(run):
        for size in range(min(_longest_korean_term(), len(run) - at), 1, -1):
            if english := table.get(run[at : at + size]):
                found.extend(english)
                at += size
                break
        else:
            if at == 0:
                found.extend(_one_syllable(run))
            at += 1
    return tuple(found)


def _one_syllable(run: str) -> tuple[str, ...]:
    table = korean_terms()
    if verb := table.get(run[0] + "*"):
        return verb
    if run[1:] == "" or run[1:] in _PARTICLES:
        return table.get(run[0], ())
    return ()
