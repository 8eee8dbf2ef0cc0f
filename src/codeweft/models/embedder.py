"""Vectors from a GGUF embedding model run by the embedded engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from codeweft.errors import EngineFailed, InvalidRequest
from codeweft.models.loaded import LoadedFile, OnFile
from codeweft.models.plan import EngineOptions, embedding_parameters
from codeweft.models.skills import family
from codeweft.models.tokens import PromptTokens
from codeweft.types import Embeddings, ModelInfo, Usage, Vectors

BATCH: Final = 32
"""Texts of one request; many at once are four times as fast as one by one, more than this brings nothing."""


class _Row(msgspec.Struct, frozen=True):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct, frozen=True):
    data: list[_Row]


_decode = msgspec.json.Decoder(_Answer).decode


class EmbeddedEmbedder(OnFile):
    """A model file that turns texts into vectors of unit length. Satisfies `Embedder`.

    Like `EmbeddedModel`, it is constructed even when the file is unusable, and then says so at every call.
    """

    def __init__(
        self, name: str, path: Path, *, options: EngineOptions | None = None, description: str = ""
    ) -> None:
        self._path = path
        try:
            self._file = LoadedFile(name, path, options or EngineOptions(), embedding_parameters)
        except EngineFailed as error:
            self._defect = error
            self._info = ModelInfo(name, "embedded", frozenset({"embeddings"}), description)
            return
        header = self._file.header
        self._tokens = PromptTokens(header.tokenizer, family(header.name), self._file.encode)
        self._info = ModelInfo(
            name,
            "embedded",
            frozenset({"embeddings"}),
            description or header.name,
            context=self._file.plan.context,
            family=header.architecture,
            created=int(path.stat().st_mtime),
        )

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """(n, d) float32 rows of unit length, in the order of `texts`; see `Embedder.embed`."""
        file = self._loaded()
        await file.engine.ready()
        prompts = [await self._ids(text, number) for number, text in enumerate(texts)]
        rows: list[Vectors] = []
        for start in range(0, len(prompts), BATCH):
            async with file.turns.take("embed"):
                body = {"input": prompts[start : start + BATCH], "encoding_format": "float"}
                answer = _decode(await file.ask("/v1/embeddings", body))
            ordered = sorted(answer.data, key=lambda row: row.index)
            rows.append(np.array([row.embedding for row in ordered], dtype=np.float32))
        vectors = np.concatenate(rows) if rows else np.zeros((0, file.header.dimensions), np.float32)
        return Embeddings(vectors, Usage(prompt_tokens=sum(map(len, prompts))))

    async def _ids(self, text: str, number: int) -> list[int]:
        if not text:
            raise InvalidRequest(f"Text {number + 1} is empty.", fix="Leave empty texts out.", param="input")
        room = self._loaded().plan.context
        at_least = len(text) // self._tokens.longest
        ids = await self._tokens.of_text(text) if at_least <= room else None
        if ids is None or len(ids) > room:
            length = f"at least {at_least}" if ids is None else str(len(ids))
            raise InvalidRequest(
                f"Text {number + 1} is {length} tokens long; {room} fit.",
                fix="Cut it into parts.",
                param="input",
            )
        return ids
