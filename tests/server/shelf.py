"""A small catalogue of indexes in memory, with the surface that the server uses of the real one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from codeweft.errors import Conflict, NotFound
from codeweft.types import Chunk, Query, SearchResult


@dataclass(frozen=True)
class Step:
    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class File:
    path: str
    language: str
    chunks: int
    lines: int
    status: str
    reason: str


@dataclass(frozen=True)
class Lines:
    path: str
    language: str
    start_line: int
    end_line: int
    total_lines: int
    text: str


@dataclass(frozen=True)
class Status:
    name: str
    source: str
    kind: str
    repository: str
    commit: str
    state: str
    files: int
    indexed: int
    chunks: int
    bytes: int
    languages: dict[str, int]
    failed: list[tuple[str, str]]
    skipped: list[tuple[str, str]]
    updated_at: float | None


@dataclass
class Shelved:
    name: str
    source: str
    kind: str
    waiting: dict[str, bytes] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    updated_at: float | None = None
    pause: float = 0.0

    def update(self, progress: Callable[[Any], None] | None = None) -> None:
        total = len(self.waiting)
        for done, (path, data) in enumerate(sorted(self.waiting.items())):
            time.sleep(self.pause)
            if progress is not None:
                progress(Step("reading", done, total))
            if b"\0" in data:
                self.skipped[path] = "it is binary"
            else:
                self.texts[path] = data.decode()
            del self.waiting[path]
        self.updated_at = time.time()

    def status(self) -> Status:
        return Status(
            self.name, self.source, self.kind, self.name, "", "ready" if self.updated_at else "empty",
            len(self.texts), len(self.texts), len(self.texts), sum(map(len, self.texts.values())),
            {"python": len(self.texts)}, [], list(self.skipped.items()), self.updated_at,
        )  # fmt: skip

    def files(self) -> list[File]:
        ready = [File(p, "python", 1, t.count("\n") + 1, "indexed", "") for p, t in sorted(self.texts.items())]
        return ready + [File(p, "", 0, 0, "skipped", why) for p, why in sorted(self.skipped.items())]

    def lines(self, path: str, start: int, end: int) -> Lines:
        if path not in self.texts:
            raise NotFound(f"There is no file {path}.")
        lines = self.texts[path].splitlines(keepends=True)
        return Lines(path, "python", start, min(end, len(lines)), len(lines), "".join(lines[start - 1 : end]))

    def put(self, path: str, data: bytes) -> None:
        self.waiting[path] = data

    def remove_file(self, path: str) -> None:
        for where in (self.waiting, self.texts, self.skipped):
            where.pop(path, None)


class Shelf:
    def __init__(self) -> None:
        self._indexes: dict[str, Shelved] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        return sorted(self._indexes)

    def add(self, source: str, name: str | None = None) -> Shelved:
        name = name or source.rstrip("/").rpartition("/")[2]
        return self._made(name, source, "folder")

    def uploads(self, name: str) -> Shelved:
        return self._made(name, "", "uploads")

    def _made(self, name: str, source: str, kind: str) -> Shelved:
        with self._lock:
            found = self._indexes.setdefault(name, Shelved(name, source, kind))
        if (found.kind, found.source) != (kind, source):
            raise Conflict(f"There is an index {name} already.", fix="Choose another name.")
        return found

    def get(self, name: str) -> Shelved:
        if name not in self._indexes:
            raise NotFound(f"There is no index {name!r}.", fix=f"There are: {', '.join(self.names())}.", param="index")
        return self._indexes[name]

    def delete(self, name: str) -> None:
        self.get(name)
        del self._indexes[name]

    def statuses(self) -> list[Status]:
        return [self._indexes[name].status() for name in self.names()]

    def search(self, query: Query) -> list[SearchResult]:
        shelves = [self.get(query.index)] if query.index else list(self._indexes.values())
        words = query.text.lower().split()
        found = []
        for shelf in shelves:
            for path, text in shelf.texts.items():
                score = sum(word in text.lower() for word in words) / max(1, len(words))
                if score:
                    chunk = Chunk(shelf.name, path, 1, text.count("\n") + 1, "python", "function", "f", text)
                    found.append(SearchResult(chunk, score, {"lexical": score}))
        return sorted(found, key=lambda result: -result.score)[: query.k]
