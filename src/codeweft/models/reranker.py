"""Cross-encoders: a `/rerank` endpoint (the shape of Jina, Cohere, vLLM, llama.cpp and Infinity), or a GGUF file in the engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from codeweft.errors import ContextOverflow, EngineFailed, UpstreamFailed
from codeweft.models.loaded import LoadedFile, OnFile
from codeweft.models.plan import EngineOptions, reranking_parameters
from codeweft.models.upstream import Upstream
from codeweft.models.wire import MALFORMED
from codeweft.types import ModelInfo

CHARACTERS_PER_TOKEN: Final = 3
"""Of source code, usually; a text must fit the model beside the question."""
SHORTEST: Final = 200
"""Characters of question and text that every model must be able to read."""


class _Row(msgspec.Struct, frozen=True):
    index: int
    relevance_score: float | None = None
    score: float | None = None


class _Answer(msgspec.Struct, frozen=True):
    results: list[_Row] | None = None
    data: list[_Row] | None = None


class OpenAIReranker:
    """An endpoint's `/rerank`. Satisfies `Reranker`."""

    def __init__(
        self, name: str, base_url: str, *, api_key: str | None = None, model: str, timeout: float = 120
    ) -> None:
        self._upstream = Upstream(name, base_url, api_key, timeout=timeout)
        self._model = model
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """See `Reranker.rerank`."""
        if not texts:
            return ()
        body = {"model": self._model, "query": query, "documents": list(texts), "top_n": len(texts)}
        scores = read_scores(await self._upstream.json("POST", "/rerank", body), len(texts))
        if scores is None:
            raise UpstreamFailed(
                f"The endpoint of {self._name} did not answer with one score for each text.",
                fix="Check that `base_url` has `/rerank` and that `model` is a re-ranker.",
            )
        return scores


class EmbeddedReranker(OnFile):
    """A re-ranking model file run by the embedded engine. Satisfies `Reranker`."""

    def __init__(self, name: str, path: Path, *, options: EngineOptions | None = None) -> None:
        self._path = path
        self._info = ModelInfo(name, "embedded", frozenset())
        try:
            self._file = LoadedFile(name, path, options or EngineOptions(), reranking_parameters)
        except EngineFailed as error:
            self._defect = error

    @property
    def name(self) -> str:
        return self._info.name

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """See `Reranker.rerank`. Question and text together are cut to what the model reads."""
        if not texts:
            return ()
        file = self._loaded()
        await file.engine.ready()
        room = file.plan.context * CHARACTERS_PER_TOKEN
        while True:
            asked = query[: room // 4]
            body = {"query": asked, "documents": [text[: room - len(asked)] or " " for text in texts]}
            try:
                async with file.turns.take("rerank"):
                    scores = read_scores(await file.ask("/v1/rerank", body), len(texts))
                break
            except ContextOverflow:
                if room <= SHORTEST:
                    raise
                room //= 2
        if scores is None:
            raise EngineFailed(f"{self.name} did not score every text.", fix="Check that it is a re-ranker.")
        return scores


def read_scores(data: bytes, count: int) -> list[float] | None:
    """One score per text, in their order; None when the answer is something else."""
    try:
        answer = msgspec.json.decode(data, type=_Answer)
    except MALFORMED:
        return None
    scores = [math.nan] * count
    for row in answer.results or answer.data or ():
        value = row.relevance_score if row.relevance_score is not None else row.score
        if value is None or not 0 <= row.index < count:
            return None
        scores[row.index] = value
    return None if any(map(math.isnan, scores)) else scores
