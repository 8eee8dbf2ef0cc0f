"""Real parts for the tests of this room: a small deterministic encoder and folders of code."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import parse_source
from codeweft.retrieval.tokens import query_terms
from codeweft.types import Vectors

from .servers import opensearch_double_url, opensearch_url, postgres_url  # noqa: F401  (fixtures)


class WordEncoder:
    """A bag of random word vectors: texts that share words are near. No training, no files."""

    name = "words"
    dimensions = 64

    def encode(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in set(query_terms(text)):
                row += np.random.default_rng(zlib.crc32(word.encode(errors="replace"))).standard_normal(64)
            row /= np.linalg.norm(row) or 1
        return rows


@pytest.fixture
def encoder() -> WordEncoder:
    return WordEncoder()


SESSION = '''"""Sessions of signed-in people."""

import secrets


class SessionStore:
    """Keeps sessions in memory."""

    def __init__(self) -> None:
        self._sessions: dict[str, str] = {}

    def open(self, user: str) -> str:
        """Open a session and return its token."""
        token = secrets.token_urlsafe()
        self._sessions[token] = user
        return token

    def close(self, token: str) -> None:
        """Sign out."""
        self._sessions.pop(token, None)

    def user_of(self, token: str) -> str | None:
        return self._sessions.get(token)


def parse_cookie(header: str) -> dict[str, str]:
    """Split a Cookie header into names and values."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, _, value in pairs}
'''
ROUTER = """// Routes of the web server.
export class Router {
  constructor() {
    this.routes = new Map();
  }

  // Registers a handler for a path.
  register(path, handler) {
    this.routes.set(path, handler);
  }
}

export const matchRoute = (routes, path) => {
  return routes.get(path) ?? null;
};
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A small code base in two languages."""
    root = tmp_path / "shop"
    (root / "auth").mkdir(parents=True)
    (root / "web").mkdir()
    (root / "auth" / "session.py").write_text(SESSION)
    (root / "web" / "router.js").write_text(ROUTER)
    (root / "README.md").write_text("# Shop\n\nA shop that sells books.\n")
    return root


@pytest.fixture
def index(tmp_path: Path, code: Path, encoder: WordEncoder) -> Index:
    """The code base, indexed."""
    made = Index.create(tmp_path / "indexes" / "shop", parse_source(str(code)), encoder)
    made.update()
    return made


@pytest.fixture
def indexes(tmp_path: Path, encoder: WordEncoder) -> Indexes:
    return Indexes(tmp_path / "home" / "indexes", encoder)
