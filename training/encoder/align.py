"""Learns which English terms stand for a Korean, Japanese or Chinese word, from texts in both languages.

    python -m training.encoder.align --translations DIR --language ja --out learnt.tsv

Words of both sides are aligned by IBM model 1 in both directions; a pair counts when each side is likely given the
other. The result is read by people before it goes into `src/codeweft/retrieval/terms`.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codeweft.retrieval.forms import stems
from codeweft.retrieval.tokens import words
from training.encoder.parallel import LANGUAGES, translations

ROUNDS: Final = 6
FEWEST: Final = 3
"""Texts that a word must occur in."""
LIKELY: Final = 0.13
"""Least probability of an English term given the word, after the last round."""
BOTH_WAYS: Final = 0.10
"""Least geometric mean of both directions."""
MOST_TERMS: Final = 3

_STOP_LIST: Final = """
    a an and are as at be been being but by can cannot could did do does doing done don t s for from had has have having
    how if in into is it its itself may might must my no nor not of on or our out over please shall should so some such
    than that the their them then there these they this those through to too under until up upon us use used uses using
    very was we were what when where which while who will with within without would you your yours only also any all
    each other more most same new see e g i ll re ve one two via per able about after before because between both here
"""
_STOP: Final = frozenset(_STOP_LIST.split())
_HANGUL: Final = re.compile(r"[가-힣]+$")
_KANA_OR_HAN: Final = re.compile(r"[\u3041-\u30ff\u3400-\u9fff々ー]+$")
_HAN: Final = re.compile(r"[\u3400-\u9fff]+$")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is aligned (`lemma`) and as it stands in the text."""

    lemma: str
    surface: str


def korean(texts: Sequence[str]) -> Iterator[list[Word]]:
    from kiwipiepy import Kiwi

    for text, tokens in zip(texts, Kiwi(num_workers=1).tokenize(texts), strict=True):
        found = []
        for token in tokens:
            surface = text[token.start : token.start + token.len]
            if token.tag in ("NNG", "NNP", "XR", "VV", "VA", "MAG") and _HANGUL.match(surface):
                found.append(Word(token.form, surface))
        yield found


def japanese(texts: Sequence[str]) -> Iterator[list[Word]]:
    from sudachipy import Dictionary, SplitMode

    tokenizer = Dictionary(dict="core").tokenizer(mode=SplitMode.B)
    for text in texts:
        found = []
        for token in tokenizer.tokenize(text):
            kind = token.part_of_speech()[0]
            if kind in ("名詞", "動詞", "形容詞", "形状詞") and _KANA_OR_HAN.match(token.surface()):
                lemma = token.dictionary_form()
                surface = _shared(lemma, token.surface()) if kind in ("動詞", "形容詞") else lemma
                found.append(Word(lemma, surface))
        yield found


def chinese(texts: Sequence[str]) -> Iterator[list[Word]]:
    import jieba

    for text in texts:
        yield [Word(piece, piece) for piece in jieba.cut(text) if _HAN.match(piece)]


SEGMENTERS: Final[dict[str, Callable[[Sequence[str]], Iterator[list[Word]]]]] = {
    "ko": korean,
    "ja": japanese,
    "zh": chinese,
}


def _shared(one: str, other: str) -> str:
    """What two forms of a word begin with: the part that inflection leaves."""
    size = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    return one[:size]


def english_words(texts: Sequence[str]) -> list[list[str]]:
    """Terms of English texts in their base form: the shortest form of a word that is common enough here."""
    counts = Counter(
        term
        for text in texts
        for term in words(text)
        if term.isascii() and term.isalpha() and "_" not in term
    )
    base: dict[str, str] = {}
    for term, count in counts.items():
        forms = {stem + added for stem in stems(term) for added in ("", "e", "y")} & counts.keys()
        shorter = [form for form in forms if 3 <= len(form) < len(term) and 4 * counts[form] >= count]
        base[term] = max(shorter, key=lambda form: counts[form], default=term)
    return [
        [base[t] for t in dict.fromkeys(words(text)) if t in base and len(t) > 1 and t not in _STOP]
        for text in texts
    ]


Counts = NDArray[np.float64]


def align(
    foreign: Sequence[Sequence[str]], english: Sequence[Sequence[str]]
) -> dict[str, list[tuple[str, float]]]:
    """Word → (English term, geometric mean of both probabilities), the likeliest first."""
    f_ids, e_ids = _numbered(foreign), _numbered(english)
    together = [
        (number, f_ids[a], e_ids[b])
        for number, (these, those) in enumerate(zip(foreign, english, strict=True))
        for a in dict.fromkeys(these)
        for b in dict.fromkeys(those)
        if a in f_ids and b in e_ids
    ]
    sentence, f, e = np.array(together, dtype=np.int64).reshape(-1, 3).T
    link, at = np.unique(f * len(e_ids) + e, return_inverse=True)
    given_f = _model_one(sentence * len(e_ids) + e, at, link // len(e_ids))
    given_e = _model_one(sentence * len(f_ids) + f, at, link % len(e_ids))
    names_f, names_e = list(f_ids), list(e_ids)
    table: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for number, forward, backward in zip(link.tolist(), given_f.tolist(), given_e.tolist(), strict=True):
        both = (forward * backward) ** 0.5
        if forward >= LIKELY and both >= BOTH_WAYS:
            table[names_f[number // len(e_ids)]].append((names_e[number % len(e_ids)], both))
    return {word: sorted(found, key=lambda one: -one[1])[:MOST_TERMS] for word, found in table.items()}


def _model_one(target: NDArray[np.int64], link: NDArray[np.int64], source: NDArray[np.int64]) -> Counts:
    """Probability of each link's target given its source; `target` numbers the word explained by each occurrence."""
    _, slot = np.unique(target, return_inverse=True)
    probability: Counts = np.ones(len(source))
    for _ in range(ROUNDS):
        share = probability[link]
        share /= np.bincount(slot, share)[slot]
        counts = np.bincount(link, share, len(source))
        probability = counts / np.bincount(source, counts)[source]
    return probability


def _numbered(texts: Sequence[Sequence[str]]) -> dict[str, int]:
    counts = Counter(term for text in texts for term in set(text))
    return {term: number for number, term in enumerate(t for t, n in counts.items() if n >= FEWEST)}


@dataclass(frozen=True, slots=True)
class Learnt:
    """A word as it stands in texts, its English terms, how often it occurs and how sure its first term is (0 to 1)."""

    word: str
    terms: tuple[str, ...]
    count: int
    score: float


def learn(folder: Path, language: str) -> list[Learnt]:
    """All words that were aligned, the commonest first."""
    pairs = translations(folder, language)
    segmented = list(SEGMENTERS[language]([pair.foreign for pair in pairs]))
    found = align([[w.lemma for w in text] for text in segmented], english_words([p.english for p in pairs]))
    surfaces: dict[str, Counter[str]] = defaultdict(Counter)
    for text in segmented:
        for word in text:
            surfaces[word.lemma][word.surface] += 1
    learnt: dict[str, Learnt] = {}
    for lemma, terms in found.items():
        for surface, count in surfaces[lemma].items():
            known = learnt.get(surface)
            if surface and count >= 2 and (known is None or known.count < count):
                learnt[surface] = Learnt(surface, tuple(term for term, _ in terms), count, terms[0][1])
    return sorted(learnt.values(), key=lambda one: -one.count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--translations", type=Path, required=True, help="folder of the packages' archives")
    parser.add_argument("--language", choices=sorted(LANGUAGES), required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    found = learn(args.translations, args.language)
    lines = (f"{one.word}\t{' '.join(one.terms)}\t{one.count}\t{one.score:.3f}\n" for one in found)
    args.out.write_text("".join(lines), "utf-8")
    print(f"{args.language}: {len(found)} words")


if __name__ == "__main__":
    main()
