"""A code base that keeps changing, and processes that work on its index. Everything here can be sent to a process."""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import blake2b
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np

from codeweft.retrieval.index import Index
from codeweft.retrieval.question import read_question
from codeweft.retrieval.sources import parse_source
from codeweft.types import Query, Vectors

DIMENSIONS = 64


class DigestEncoder:
    """A vector per text that only the same text has; costs nothing."""

    name = "digest"
    dimensions = DIMENSIONS

    def encode(self, texts: Sequence[str]) -> Vectors:
        digests = [blake2b(text.encode(errors="replace"), digest_size=DIMENSIONS).digest() for text in texts]
        rows = np.frombuffer(b"".join(digests), np.int8).reshape(-1, DIMENSIONS).astype(np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def processes() -> ForkServerContext:
    """Children of a server that has everything imported and no threads: quick to start, safe to kill."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["codeweft.retrieval.index", "tests.faults.parts"])
    return context


class Code:
    """A folder of Python files that remembers every version of every file."""

    def __init__(self, root: Path, files: int, seed: int) -> None:
        self.root = root
        self.random = random.Random(seed)
        self.versions: dict[str, set[str]] = {}
        self._count = 0
        root.mkdir()
        for _ in range(files):
            self.write(self._name())

    def _name(self) -> str:
        self._count += 1
        return f"part_{self._count % 7}/module_{self._count}.py"

    def write(self, path: str) -> None:
        number = self.random.randrange(10**9)
        text = "".join(
            f"def handle_{number}_{n}(request):\n    total = request.count + {n}\n    return total * {number}\n\n"
            for n in range(self.random.randrange(1, 6))
        )
        target = self.root / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
        self.versions.setdefault(path, set()).add(text)

    def now(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.root)): path.read_text() for path in sorted(self.root.rglob("*.py"))
        }

    def change(self, files: int) -> None:
        """Edit, add and delete."""
        there = sorted(self.now())
        for path in self.random.sample(there, min(files, len(there))):
            match self.random.randrange(4):
                case 0:
                    (self.root / path).unlink()
                    self.write(self._name())
                case _:
                    self.write(path)


def opened(folder: Path, root: Path) -> Index:
    """The index of `root` in `folder`, made when there is none."""
    if (folder / "index.sqlite").exists():
        return Index(folder, DigestEncoder())
    return Index.create(folder, parse_source(str(root)), DigestEncoder())


def update(folder: Path, root: Path, done: Connection) -> None:
    """What a process does that is going to be killed: one update, then word of it."""
    opened(folder, root).update(workers=0)
    done.send("done")


def stored(index: Index) -> dict[str, str]:
    """The text of every indexed file, put together from its chunks."""
    return {
        file.path: "\n".join(one.text for one in index.chunks(file.path)) + "\n"
        for file in index.files()
        if file.status == "indexed"
    }


def content(index: Index) -> list[object]:
    """All that an index holds, without ids and times."""
    found: list[object] = []
    for file in index.files():
        rows = index.store.chunks(file.path)
        vectors = index.store.vectors([row.id for row in rows])
        found.append((file.path, file.status, file.reason, file.digest, file.size, file.language, file.lines))
        found.append([(row.piece, row.text, row.digest, row.summary) for row in rows])
        found.append(vectors.tolist())
    return found


Evidence = dict[tuple[str, int], tuple[float, float, float, float]]


def evidence(index: Index, question: str) -> tuple[tuple[str, int], Evidence, list[float], list[float]]:
    """The best place, what speaks for each candidate by place, and the hundred best scores by words and by vector.

    Which of many equally good chunks become candidates depends on their ids; how good they are does not.
    """
    best = index.search(Query(question, k=1))[0].chunk
    asked = read_question(question, index.source.repository)
    found = {
        (one.row.path, one.row.start_line): tuple(
            round(value, 4) for value in (one.lexical, one.vector, one.file_terms, one.file_near)
        )
        for one in index.candidates(asked, DigestEncoder().encode([question])[0], 10)
    }
    words, vectors = (sorted((one[n] for one in found.values()), reverse=True)[:100] for n in (0, 1))
    return (best.path, best.start_line), found, words, vectors
