"""A question read once: its terms, the words that may name paths, and the symbols in it. Pure, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from codeweft.retrieval.store.base import fold, last_segment
from codeweft.retrieval.tokens import weighted_terms

_SYMBOL: Final = re.compile(
    r"`(?P<quoted>[^`\s]{2,80})`"
    r"|(?P<qualified>[A-Za-z_$][\w$]*(?:(?:::|->|\.|\\|#)[A-Za-z_$][\w$]*[!?]?)+)"
    r"|(?P<plain>\b(?:_*[A-Za-z]+_\w+|_+[A-Za-z]\w*|[a-z]+[0-9]*[A-Z]\w*|[A-Z][a-z0-9]+[A-Z]\w*|[A-Z]{2,}[a-z]\w*)\b)"
    r"|(?P<called>\b[A-Za-z_]\w+)(?=\(\))"
)
_BARE: Final = re.compile(r"[A-Za-z_$@][\w$]*[!?]?(?:\(\))?$")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, read once: terms with weights, words for paths and names, symbols, and whether it is only one."""

    text: str
    terms: Mapping[str, float]
    keywords: tuple[str, ...]
    symbols: tuple[str, ...]
    is_symbol: bool

    @property
    def asked(self) -> int:
        """How many words the question asks for, several English terms for one Korean word counted once."""
        return sum(self.terms[word] == 1.0 for word in self.keywords)

    @property
    def folded_symbols(self) -> tuple[str, ...]:
        """The symbols in the form that definitions are looked up by."""
        return tuple(dict.fromkeys(filter(None, map(fold, self.symbols))))


def read_question(text: str, repository: str = "") -> Question:
    """Split a question into terms and symbols. In a sentence the name of the repository itself is no symbol."""
    stripped = text.strip()
    found = [next(filter(None, match.groups())) for match in _SYMBOL.finditer(stripped[:4000])]
    bare = stripped.strip("`").removesuffix("()")
    if not found and _BARE.match(stripped):
        found = [bare]
    # A single lower-case word is as likely a topic as a name.
    is_symbol = len(found) == 1 and found[0] == bare and not (bare.isalpha() and bare.islower())
    # Of a qualified name the last part is what is defined; the others only say where.
    symbols = tuple(dict.fromkeys(last_segment(name) for name in found))
    if not is_symbol:
        symbols = tuple(symbol for symbol in symbols if fold(symbol) != fold(repository))
    terms = weighted_terms(stripped[:20_000])
    long = [term for term in terms if len(term) > 2]
    # Paths and names are written in Latin letters: a Korean word counts by its English terms.
    keywords = tuple(filter(str.isascii, long)) or tuple(long)
    return Question(stripped, terms, keywords, symbols, is_symbol)
