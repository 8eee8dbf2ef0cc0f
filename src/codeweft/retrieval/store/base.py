"""Where an index lives: the values that go in and come out, and what every store can do.

`Index` reads files and asks; a `Store` keeps chunks and finds candidates for a question. All stores promise the same:
one updater at a time, batches that are committed whole or not at all, and everything committed searchable at once.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from codeweft.retrieval.chunk import Piece
from codeweft.types import Filters, Vectors

if TYPE_CHECKING:
    from codeweft.retrieval.question import Question
    from codeweft.retrieval.store.pool import Pool

FORMAT: Final = 5
"""Of what is stored and of what is computed from a file (chunker, terms); another number means index again."""
KINDS: Final = ("section", "function", "method", "class", "interface", "enum", "module", "block")
KIND_NUMBERS: Final = {kind: number for number, kind in enumerate(KINDS)}
"""What a kind is stored as."""

FIELD_WEIGHTS: Final = {"name": 2.0, "path": 1.0, "doc": 0.5, "body": 1.0}
"""Weights of the lexical fields: a name says most in the fewest words; the body repeats the documentation."""
FILE_FIELDS: Final = {"body": 1.0, "path": 1.0}
"""The fields whose terms count for the file as a whole."""
CANDIDATES: Final = 100
"""Best chunks taken by words and by vector each; beyond, nothing that ranks in the first ten was found."""
SYMBOL_CANDIDATES: Final = 60
"""Chunks taken because they define a symbol of the question."""
DEPTH: Final = 400
"""Chunks whose scores are known: a chunk taken by vector has its BM25 too, and all near ones speak for their file."""
TERM_DEPTH: Final = 250
"""Chunks per term that count as evidence for their file."""
FILE_TERMS: Final = 24
"""Rarest terms of a long question (an issue, a stack trace) looked up one by one."""
FORM_WEIGHT: Final = 0.4
"""Weight of another form of a word (`routes` for `route`) beside the word itself."""
NEAR_CHUNKS: Final = 3
"""Nearest chunks of a file whose mean says how near the file is."""

Int8Rows = NDArray[np.int8]

_QUALIFIER: Final = re.compile(r"::|->|[.\\#]")
_FOLD: Final = re.compile(r"[\W_]+")


def fold(name: str) -> str:
    """A name for comparison: case, underscores and punctuation do not count."""
    return _FOLD.sub("", name).lower()


def last_segment(name: str) -> str:
    """The name itself without the module it is qualified by."""
    return _QUALIFIER.split(name)[-1]


# ── what goes in ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """A secret that was taken out of a file before anything of it was stored: the rule and the line (from 1)."""

    rule: str
    line: int


class NewChunk(NamedTuple):
    """A chunk about to be stored; `digest` identifies its text up to white space.

    `words` are the terms of its text joined by spaces, where they are known already.
    """

    piece: Piece
    text: str
    digest: int
    summary: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file about to be stored. `vectors` has one int8 row per chunk. `status` is indexed, skipped or failed."""

    path: str
    status: str
    reason: str
    digest: bytes
    size: int
    mtime_ns: int
    checked_ns: int
    language: str
    lines: int
    chunks: Sequence[NewChunk]
    vectors: Int8Rows
    secrets: tuple[FoundSecret, ...] = ()


# ── what comes out ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored file without its content. `status` is indexed, skipped or failed; the last four are counts."""

    id: int
    path: str
    status: str
    reason: str
    digest: bytes
    size: int
    mtime_ns: int
    checked_ns: int
    language: str
    lines: int
    chunks: int
    summarised: int
    secrets: int


class Row(NamedTuple):
    """A stored chunk with its file's path and language.

    Signature, docstring, text and summary are empty where the text was not asked for; ranking does without.
    """

    id: int
    file: int
    path: str
    language: str
    start_line: int
    end_line: int
    kind: str
    name: str
    scope: str
    signature: str
    docstring: str
    digest: int
    defined: str
    text: str = ""
    summary: str = ""

    @property
    def defines(self) -> tuple[str, ...]:
        """Further names the chunk defines."""
        return tuple(self.defined.split("\n")) if self.defined else ()

    @property
    def piece(self) -> Piece:
        """What the chunker said of it."""
        return Piece(
            self.start_line, self.end_line, self.kind, self.name, self.scope, self.signature, self.docstring, self.defines
        )  # fmt: skip


@dataclass(slots=True)
class Candidate:
    """A chunk that may answer. `lexical` is BM25, `vector` a cosine; `score` and `why` are filled by `rank`.

    The `file_` scores say what speaks for the chunk's file as a whole: the question's terms it holds, and how near
    its nearest chunks are. `home` is the index it comes from.
    """

    row: Row
    lexical: float = 0.0
    vector: float = 0.0
    file_terms: float = 0.0
    file_near: float = 0.0
    home: str = ""
    score: float = 0.0
    why: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Probe:
    """A question as a store is asked it: `vector` is (d,) of unit length, or zeros when no word of it is known.

    `filters.repositories` and `filters.branches` are the caller's business: a store holds one of each.
    """

    question: Question
    vector: Vectors
    k: int
    filters: Filters


# ── what a store does ────────────────────────────────────────────────────────────────────────────────────────


class Store(Protocol):
    """One index's data. Safe from any thread; what changes files is called by the one who holds `updating`."""

    def settings(self) -> dict[str, str]:
        """All settings by key."""
        ...

    def set(self, **values: str) -> None:
        """Store settings, all or none."""
        ...

    def updating(self, name: str) -> AbstractContextManager[None]:
        """Be the one updater of the index `name`. Raises `Conflict` naming the process that is."""
        ...

    def updater(self) -> int | None:
        """The process that updates: its id, -1 when it is not known, None when nobody does."""
        ...

    def files(self) -> list[StoredFile]:
        """All known files by path."""
        ...

    def file(self, path: str) -> StoredFile | None:
        """One file."""
        ...

    def chunks(self, path: str) -> list[Row]:
        """The chunks of one file in order, with text."""
        ...

    def rows(self, ids: Iterable[int], *, text: bool = False) -> list[Row]:
        """Chunks by id, in no particular order; ids that are gone are missing."""
        ...

    def write(self, files: Sequence[NewFile], gone: Sequence[str] = ()) -> None:
        """Replace `files` and remove the paths `gone`, all or nothing; searches see it when this returns.

        A store that keeps files of its own leaves nothing in them of what is gone once `updating` is left, or within a
        day where that is costly.
        """
        ...

    def touch(self, seen: Sequence[tuple[int, int, int, str]]) -> None:
        """Record (size, mtime_ns, checked_ns, path) of files whose content did not change."""
        ...

    def clear(self) -> None:
        """Forget all files; settings and summaries stay."""
        ...

    def repair(self) -> None:
        """Bring what is derived from the truth up to date with it; under `updating`."""
        ...

    def secrets(self) -> list[tuple[str, FoundSecret]]:
        """Paths with what was found in them, by path and line."""
        ...

    def summaries(self, digests: Sequence[int], language: str) -> dict[int, str]:
        """Known summaries in a language by chunk digest."""
        ...

    def put_summaries(self, language: str, model: str, texts: Mapping[int, str]) -> None:
        """Keep summaries by chunk digest; they survive re-indexing. `model` says who wrote them."""
        ...

    def candidates(self, probe: Probe) -> Pool:
        """Chunks that may answer, with their lexical and vector scores and the evidence of their files."""
        ...

    def nearest(self, vector: Vectors, k: int, filters: Filters) -> list[tuple[int, float]]:
        """Ids of the `k` chunks nearest to a unit vector with their cosine, best first."""
        ...

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """(n, d) float32 unit vectors in the order of `ids`; zeros for ids that are gone."""
        ...

    def defining(self, folded: Sequence[str], limit: int) -> list[int]:
        """Ids of chunks that define a name that folds to one of `folded`."""
        ...

    def holding(self, terms: Sequence[str], limit: int, filters: Filters) -> list[int]:
        """Ids of chunks whose body holds all of `terms`, the best match first."""
        ...

    def scan(self, literal: str, filters: Filters) -> Iterator[Row]:
        """Chunks (with text) whose text contains `literal`, in order of path and line; "" is in all."""
        ...

    def close(self) -> None:
        """Give back what is open."""
        ...


class Stores(Protocol):
    """The stores of all indexes of an installation. An index has the name of its folder."""

    def names(self, root: Path) -> list[str]:
        """Names of the stores there are; `root` holds the folders of the indexes."""
        ...

    def identity(self, folder: Path) -> Hashable | None:
        """What tells the store of an index from another that took its place; None when there is none."""
        ...

    def open(self, folder: Path, dimensions: int) -> Store:
        """The store of the index in `folder`, made when there is none. Vectors have `dimensions` components."""
        ...

    def delete(self, folder: Path) -> None:
        """Remove what lies outside `folder`, which is itself gone already."""
        ...
