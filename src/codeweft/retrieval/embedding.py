"""An embedding model as the index's encoder: any `Embedder` behind the synchronous `Encoder` protocol."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from codeweft.errors import CodeweftError, InvalidRequest, UpstreamFailed
from codeweft.retrieval.bridge import Bridge
from codeweft.types import Embedder, Embeddings, Vectors

BATCH_TEXTS: Final = 64
"""Texts of one request: endpoints take at least 64, and more gains little."""
BATCH_CHARACTERS: Final = 60_000
"""Characters of one request, which keeps its answer within an endpoint's patience."""
PARALLEL: Final = 4
"""Requests under way at once."""
LONGEST: Final = 4000
"""Characters of a text that are sent; most models read 256 to 512 tokens of it."""
CHARACTERS_PER_TOKEN: Final = 3
"""Of source code, at least, in the usual vocabularies."""
SHORTEST: Final = 200
"""A text that is refused at this length is not refused for its length."""
QUERIES_KEPT: Final = 2000


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What a model was trained to see before a question and before a document."""

    query: str = ""
    text: str = ""


KNOWN_PREFIXES: Final = (
    (r"coderankembed", Prefixes("Represent this query for searching relevant code: ")),
    (r"nomic-embed-code", Prefixes("Represent this query for searching relevant code: ")),
    (r"nomic-embed", Prefixes("search_query: ", "search_document: ")),
    (r"embeddinggemma", Prefixes("task: search result | query: ", "title: none | text: ")),
    (
        r"qwen3-embedding",
        Prefixes("Instruct: Given a question about code, retrieve the code that answers it\nQuery: "),
    ),
    (
        r"(?:^|/)bge-(?:small|base|large)-en|mxbai-embed|snowflake-arctic-embed",
        Prefixes("Represent this sentence for searching relevant passages: "),
    ),
    (r"(?:^|[/-])e5-(?:mistral|large-instruct)", Prefixes("Instruct: Retrieve relevant code\nQuery: ")),
    (r"(?:^|[/-])e5-", Prefixes("query: ", "passage: ")),
)
"""By a pattern of the model's name, first match wins; from the models' cards."""


def known_prefixes(model: str) -> Prefixes:
    """The prefixes of a model known by its name; none for others."""
    return next(
        (prefixes for pattern, prefixes in KNOWN_PREFIXES if re.search(pattern, model.lower())), Prefixes()
    )


class EmbedderEncoder:
    """Implements `codeweft.types.Encoder` over an `Embedder`; `encode_query` is for the asking side.

    Its number of dimensions is learnt from the model once and kept in `memory`, so that opening an index needs no
    model. A batch that fails raises, so what is half encoded is never stored and the update goes on there next time.
    """

    slow: Final = True
    """What it encodes is worth a commit of its own."""

    def __init__(
        self,
        embedder: Embedder,
        bridge: Bridge,
        *,
        name: str | None = None,
        prefixes: Prefixes | None = None,
        memory: Path | None = None,
    ) -> None:
        """`name` identifies model and endpoint; an index made with another name is made anew."""
        self._embedder = embedder
        self._bridge = bridge
        self._name = name or embedder.info.name
        self._prefixes = prefixes or known_prefixes(self._name)
        self._memory = memory
        self._dimensions: int | None = None
        self._lock = threading.Lock()
        context = embedder.info.context
        self._longest = LONGEST if context is None else min(LONGEST, context * CHARACTERS_PER_TOKEN)
        self._queries = lru_cache(QUERIES_KEPT)(self._encode_query)

    @property
    def name(self) -> str:
        """The model, and what it is told before texts: vectors of other prefixes cannot be compared."""
        told = f"+{self._prefixes.query}|{self._prefixes.text}" if self._prefixes != Prefixes() else ""
        return self._name + told

    @property
    def dimensions(self) -> int:
        """Raises what the model raises when it was never reached and cannot be reached now."""
        with self._lock:
            if self._dimensions is None:
                self._dimensions = self._remembered() or self._ask_dimensions()
            return self._dimensions

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32 rows of unit length; zeros for an empty text. Raises `UpstreamFailed`, `EngineFailed`."""
        full = [number for number, text in enumerate(texts) if text.strip()]
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        if full:
            prepared = [self._prefixes.text + texts[number] for number in full]
            rows[full] = self._checked(self._bridge.run(self._embedded(prepared)))
        return rows

    def encode_query(self, texts: Sequence[str]) -> Vectors:
        """Like `encode`, for questions; questions asked lately are not sent again."""
        return np.stack([self._queries(text) for text in texts])

    def _encode_query(self, text: str) -> Vectors:
        if not text.strip():
            return np.zeros(self.dimensions, np.float32)
        found = self._bridge.run(self._embedded([self._prefixes.query + text]))
        row: Vectors = self._checked(found)[0]
        return row

    def _checked(self, vectors: Vectors) -> Vectors:
        if vectors.shape[1] != self.dimensions:
            self._forget()
            raise UpstreamFailed(
                f"The model {self._name} now answers vectors of {vectors.shape[1]} dimensions; it had {self.dimensions}.",
                fix="If the model was changed, update the index: it is made anew.",
            )
        return vectors

    # ── asking the model ─────────────────────────────────────────────────────────────────────────────────────

    async def _embedded(self, texts: Sequence[str]) -> Vectors:
        """Unit rows for `texts`, in batches, a few of them at once."""
        gate = asyncio.Semaphore(PARALLEL)

        async def one(batch: Sequence[str]) -> Vectors:
            async with gate:
                return await self._batch(batch)

        try:
            async with asyncio.TaskGroup() as group:
                found = [group.create_task(one(batch)) for batch in _batches(texts)]
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        return _unit(np.concatenate([task.result() for task in found]))

    async def _batch(self, texts: Sequence[str]) -> Vectors:
        """One request; texts that are too long for the model are cut in half until they fit."""
        longest = self._longest
        while True:
            try:
                answer: Embeddings = await self._embedder.embed([text[:longest] for text in texts])
                return answer.vectors
            except CodeweftError as error:
                if not _too_long(error) or longest <= SHORTEST:
                    raise
                longest //= 2
                if len(texts) > 1:
                    # Only the long ones of a batch are cut.
                    rows = [await self._batch([text]) for text in texts]
                    return np.concatenate(rows)

    # ── dimensions ───────────────────────────────────────────────────────────────────────────────────────────

    def _ask_dimensions(self) -> int:
        vectors = self._bridge.run(self._embedded([self._prefixes.text + "def dimensions():"]))
        found = int(vectors.shape[1])
        if self._memory is not None:
            with suppress(OSError):
                known = _read(self._memory) | {self._name: found}
                self._memory.write_text(json.dumps(known))
        return found

    def _remembered(self) -> int | None:
        return _read(self._memory).get(self._name) if self._memory is not None else None

    def _forget(self) -> None:
        with self._lock, suppress(OSError):
            self._dimensions = None
            if self._memory is not None:
                known = _read(self._memory)
                known.pop(self._name, None)
                self._memory.write_text(json.dumps(known))


def _read(path: Path) -> dict[str, int]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): int(size) for name, size in found.items()} if isinstance(found, dict) else {}


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    batches: list[list[str]] = [[]]
    size = 0
    for text in texts:
        length = min(len(text), LONGEST)
        if batches[-1] and (len(batches[-1]) >= BATCH_TEXTS or size + length > BATCH_CHARACTERS):
            batches.append([])
            size = 0
        batches[-1].append(text)
        size += length
    return list(batches)


def _too_long(error: CodeweftError) -> bool:
    """Whether a model may have refused a text for its length: it said the request is bad, not that it is unwell."""
    if isinstance(error, InvalidRequest):
        return True
    return isinstance(error, UpstreamFailed) and error.details.get("upstream_status") in (400, 413, 422, 500)


def _unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
