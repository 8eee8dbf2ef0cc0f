"""Drops files that nearly repeat an earlier one, and files that hold a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from datasketch import MinHash, MinHashLSH

from codeweft.retrieval.secrets import Formats, Secrets

NEAR = (
    0.7  # share of the runs of words two files have in common, as in StarCoder (Li et al. 2023, section 3.3)
)
RUN = 5  # words, as there
HASHES = 128


class _HasText(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def text(self) -> str: ...


T = TypeVar("T", bound=_HasText)


class Repeats:
    """Says whether a text nearly repeats one that it was shown before (MinHash with locality-sensitive hashing)."""

    def __init__(self) -> None:
        self._index = MinHashLSH(threshold=NEAR, num_perm=HASHES)
        self._count = 0

    def seen(self, text: str) -> bool:
        """Whether an earlier text is nearly the same; remembers this one where none is."""
        words = re.findall(r"\w+|[^\w\s]", text)
        runs = {" ".join(words[at : at + RUN]).encode() for at in range(max(1, len(words) - RUN + 1))}
        sketch = MinHash(num_perm=HASHES, seed=1)
        sketch.update_batch(runs)
        if self._index.query(sketch):
            return True
        self._index.insert(self._count, sketch)
        self._count += 1
        return False


def clean(texts: Iterable[T]) -> Iterator[tuple[T, str | None]]:
    """Each text, and why it must not be learnt from where that is so."""
    repeats, secrets = Repeats(), Secrets(Formats())
    for one in texts:
        if secrets.find(one.text, one.path):
            yield one, "holds a secret"
        elif repeats.seen(one.text):
            yield one, "nearly repeats another"
        else:
            yield one, None
