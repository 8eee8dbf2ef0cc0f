"""What the tests of all stores share: files to store, questions to ask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codeweft.retrieval.question import read_question
from codeweft.retrieval.read import encoded_text, read_file
from codeweft.retrieval.store.base import Candidate, FoundSecret, NewFile, Probe, Row, Store
from codeweft.retrieval.store.vectors import quantise
from codeweft.types import Filters

from .conftest import WordEncoder

EVERYTHING = Filters()

CACHE = '''"""A cache with limits."""


class Cache:
    """Keeps values until they are too old."""

    def put(self, key: str, value: object) -> None:
        """Store a value under its key."""
        self._values[key] = value

    def evict_oldest(self) -> None:
        """Drop what was not used for longest, when memory is short."""
        self._values.pop(min(self._used, key=self._used.get))
'''
LOADER = """// Loads pages and keeps them.
export class PageLoader {
  /** Fetch a page from the network unless the cache has it. */
  async loadPage(address) {
    const cached = this.cache.get(address);
    return cached ?? (await fetch(address)).text();
  }
}

export function evictOldest(cache) {
  cache.delete(cache.keys().next().value);
}
"""
NOTES = """# Notes

The cache drops its oldest entries first. See `evict_oldest`.
"""
FILES = {"store/cache.py": CACHE, "web/loader.js": LOADER, "docs/notes.md": NOTES}


def new_files(
    folder: Path, texts: dict[str, str], secrets: Sequence[FoundSecret] = (), summary: str = ""
) -> list[NewFile]:
    """Files as an update hands them to a store: really read, chunked and encoded."""
    encoder, files = WordEncoder(), []
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
        read = read_file(folder, None, path)
        chunks = [one._replace(summary=summary) for one in read.chunks]
        vectors = quantise(encoder.encode([encoded_text(path, one) for one in chunks]))
        files.append(
            NewFile(path, read.status, read.reason, read.digest, read.size, 5_000_000_000, 7, read.language,
                    read.lines, chunks, vectors, tuple(secrets))
        )  # fmt: skip
    return files


def ask(store: Store, text: str, filters: Filters = EVERYTHING, k: int = 5) -> list[Candidate]:
    """Candidates for a question, the best by words first."""
    question = read_question(text)
    vector = WordEncoder().encode([text])[0]
    return sorted(store.candidates(Probe(question, vector, k, filters)), key=lambda one: -one.lexical)


def all_rows(store: Store) -> dict[str, Row]:
    """Every chunk by qualified name or kind."""
    rows = [row for file in store.files() for row in store.chunks(file.path)]
    return {row.name or f"{row.path}:{row.start_line}": row for row in rows}
