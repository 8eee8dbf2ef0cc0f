"""Searchers side by side: each indexes a folder and answers questions with ranked places."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import Source
from codeweft.retrieval.tokens import words
from codeweft.retrieval.walk import walk
from codeweft.types import Query, Vectors

SEARCHERS: Final = ("codeweft", "bm25", "ripgrep", "semble", "semble-ours")


@dataclass(frozen=True, slots=True)
class Hit:
    """A place in a file, path relative to the indexed folder."""

    path: str
    start: int
    end: int


class Searcher(Protocol):
    def search(self, question: str, k: int) -> Sequence[Hit]:
        """The `k` best places."""
        ...


class Codeweft:
    """This project's own index."""

    def __init__(self, root: Path, encoder: StaticEncoder) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="codeweft-bench-")
        self._index = Index.create(Path(self._folder.name) / "index", Source("folder", str(root)), encoder)
        self._index.update(workers=0)

    def search(self, question: str, k: int) -> list[Hit]:
        results = self._index.search(Query(question, k=k))
        return [Hit(r.chunk.path, r.chunk.start_line, r.chunk.end_line) for r in results]


class PlainBM25:
    """BM25 (k1 1.5, b 0.75) over windows of 40 lines, identifiers split; no ranking of our own."""

    WINDOW = 40

    def __init__(self, root: Path) -> None:
        self._hits: list[Hit] = []
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._lengths: list[int] = []
        for file in walk(root).files:
            lines = (root / file.path).read_text("utf-8", "replace").split("\n")
            for start in range(0, len(lines), self.WINDOW):
                part = lines[start : start + self.WINDOW]
                counts = Counter(words("\n".join([file.path, *part])))
                for term, count in counts.items():
                    self._postings[term].append((len(self._hits), count))
                self._hits.append(Hit(file.path, start + 1, start + len(part)))
                self._lengths.append(sum(counts.values()))
        self._mean = sum(self._lengths) / max(1, len(self._lengths))

    def search(self, question: str, k: int) -> list[Hit]:
        scores: dict[int, float] = defaultdict(float)
        total = len(self._hits)
        for term in set(words(question)) & self._postings.keys():
            holding = self._postings[term]
            rarity = math.log(1 + (total - len(holding) + 0.5) / (len(holding) + 0.5))
            for number, count in holding:
                norm = 1.5 * (0.25 + 0.75 * self._lengths[number] / self._mean)
                scores[number] += rarity * count * 2.5 / (count + norm)
        return [self._hits[number] for number in sorted(scores, key=lambda n: -scores[n])[:k]]


class Ripgrep:
    """Files by how many lines match any word of the question, as a person would grep."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def search(self, question: str, k: int) -> list[Hit]:
        pattern = "|".join(re.escape(word) for word in re.findall(r"\w{3,}", question)) or re.escape(question)
        done = subprocess.run(
            ["rg", "--count", "--ignore-case", "--no-messages", "-e", pattern, "."],
            cwd=self._root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        counted = [line.rpartition(":") for line in done.stdout.splitlines()]
        ranked = sorted(counted, key=lambda row: -int(row[2]))
        return [Hit(path.removeprefix("./"), 1, 1 << 30) for path, _, _ in ranked[:k]]


class Semble:
    """MinishLab's semble with a local model2vec model; `alpha` 0 leaves its BM25 and ranking alone, None is its own choice."""

    def __init__(self, root: Path, model: Path, alpha: float | None) -> None:
        from semble import SembleIndex

        self._index = SembleIndex.from_path(str(root), model_path=str(model))
        self._alpha = alpha

    def search(self, question: str, k: int) -> list[Hit]:
        results = self._index.search(question, top_k=k, alpha=self._alpha)
        return [Hit(r.chunk.file_path, r.chunk.start_line, r.chunk.end_line) for r in results]


class _OurEncoder:
    """This project's encoder in the shape of a model2vec model: chunks by one side of it, questions by the other."""

    def __init__(self, encoder: StaticEncoder) -> None:
        self._encoder = encoder
        self.dim = encoder.dimensions

    def encode(self, texts: Sequence[str], **options: object) -> Vectors:
        # semble gives options with chunks and none with a question.
        return self._encoder.encode(texts) if options else self._encoder.encode_query(texts)


class SembleWithOurEncoder(Semble):
    """semble with the same vectors as ours: what is left of the difference is chunks and ranking."""

    def __init__(self, root: Path, encoder: StaticEncoder) -> None:
        from semble.index import index as module

        theirs, module.load_model = module.load_model, lambda name: (_OurEncoder(encoder), name)
        try:
            super().__init__(root, Path("codeweft-encoder"), None)
        finally:
            module.load_model = theirs


def available(
    name: str, encoder: StaticEncoder, semble_model: Path | None, semble_alpha: float | None
) -> Callable[[Path], Searcher] | None:
    """How to make a searcher for a folder; None, and a line that says so, when it is not installed."""
    match name:
        case "codeweft":
            return lambda root: Codeweft(root, encoder)
        case "bm25":
            return PlainBM25
        case "ripgrep" if shutil.which("rg"):
            return Ripgrep
        case "semble" if semble_model is not None and find_spec("semble"):
            return lambda root: Semble(root, semble_model, semble_alpha)
        case "semble-ours" if find_spec("semble"):
            return lambda root: SembleWithOurEncoder(root, encoder)
        case _ if name not in SEARCHERS:
            raise SystemExit(f"There is no searcher {name!r}; there are {', '.join(SEARCHERS)}.")
    print(f"{name}: not installed (semble also needs --semble-model), left out")
    return None
