"""What is known of the code, and how it is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Filters:
    """Restrict a search. Globs match paths relative to the source's root; empty means everything."""

    paths: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()


SearchType = Literal[
    "hybrid", "similarity", "similarity_distance_threshold", "similarity_score_threshold", "mmr"
]


@dataclass(frozen=True, slots=True)
class Selection:
    """How chunks are chosen; the fields and their defaults are OPEA's, but for `hybrid`.

    `hybrid` fuses words, vectors and what else speaks for a chunk. The others look at vectors only: the nearest
    (`similarity`), the nearest within a cosine distance (0..2) or above a cosine (0..1), or of the `fetch_k` nearest
    those that differ most from each other (`mmr`; `lambda_mult` 1 is nearness alone, 0 difference alone). `vector`
    is looked for instead of the text's own.
    """

    type: SearchType = "hybrid"
    fetch_k: int = 20
    lambda_mult: float = 0.5
    distance_threshold: float | None = None
    score_threshold: float = 0.2
    vector: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for. `index=None` searches the default index, or all when none is the default."""

    text: str
    index: str | None = None
    k: int = 10
    filters: Filters = Filters()
    selection: Selection = Selection()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a source file: a function, method, class head, or the lines between them.

    `start_line` and `end_line` count from 1 and are inclusive; `path` is relative to the source's root with `/`.
    `kind` is one of function, method, class, interface, enum, module, section, block. `scope` is the enclosing
    class or namespace, dotted. `commit` is the git commit of the file, or empty outside git. `summary` says
    in words what the chunk does, where somebody had summaries written.
    """

    repository: str
    path: str
    start_line: int
    end_line: int
    language: str
    kind: str
    name: str
    text: str
    signature: str = ""
    scope: str = ""
    docstring: str = ""
    commit: str = ""
    summary: str = ""

    @property
    def qualified_name(self) -> str:
        return f"{self.scope}.{self.name}" if self.scope and self.name else self.name


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A chunk that matched. `score` is in 0..1 and comparable within one answer; `why` maps reasons to parts of it.

    In an answer, the position in the list plus one is the reference's number. `index` names the index it is from.
    `note` is what a reader must know about how it was found, such as that the re-ranker did not answer; it is the same
    in all results of one answer.
    """

    chunk: Chunk
    score: float
    why: Mapping[str, float] = field(default_factory=dict)
    index: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the results of a search came about.

    `terms` maps each word that was looked up to its other forms that the results hold. `candidates` were scored.
    `seconds` are by stage: encode, candidates, rank, read, and stages where there are any around the search.
    """

    type: SearchType
    indexes: tuple[str, ...]
    terms: Mapping[str, tuple[str, ...]]
    symbols: tuple[str, ...]
    candidates: int
    seconds: Mapping[str, float]
