"""Embedding models as encoders: batches, lengths, prefixes, endpoints that come and go."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from codeweft.errors import InvalidRequest, NotReady, UpstreamFailed
from codeweft.retrieval import embedding
from codeweft.retrieval.bridge import Bridge
from codeweft.retrieval.embedding import EmbedderEncoder, Prefixes, known_prefixes
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import parse_source
from codeweft.retrieval.tokens import query_terms
from codeweft.retrieval.update import FIRST_FILES
from codeweft.types import Embeddings, ModelInfo, Query, Usage

BRIDGE = Bridge()


class Words:
    """An embedder that counts words; refuses texts above `longest` characters, and everything while `down`."""

    info = ModelInfo("words", "upstream", frozenset({"embeddings"}))

    def __init__(self, dimensions: int = 48, longest: int = 10**6) -> None:
        self.dimensions, self.longest = dimensions, longest
        self.down = False
        self.left: int | None = None
        self.batches: list[list[str]] = []
        self.at_once = self.most_at_once = 0

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        if self.down or self.left == 0:
            raise UpstreamFailed("It cannot be reached.")
        if any(len(text) > self.longest for text in texts):
            raise InvalidRequest("That text is too long.")
        if self.left is not None:
            self.left -= 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        self.batches.append(list(texts))
        rows = np.full((len(texts), self.dimensions), 1e-3, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in query_terms(text):
                row[zlib.crc32(word.encode()) % self.dimensions] += 3
        return Embeddings(rows, Usage())


def made(embedder: Words, **options: object) -> EmbedderEncoder:
    return EmbedderEncoder(embedder, BRIDGE, **options)  # type: ignore[arg-type]


def test_texts_go_out_in_batches_and_come_back_in_order_at_unit_length() -> None:
    words = Words()
    encoder = made(words)
    texts = [f"alpha{n} beta{n}" for n in range(150)]
    rows = encoder.encode(texts)
    assert rows.shape == (150, 48) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.allclose(rows[149], encoder.encode([texts[149]])[0])
    assert max(map(len, words.batches)) <= embedding.BATCH_TEXTS
    assert 1 < words.most_at_once <= embedding.PARALLEL


def test_an_empty_text_is_zeros_and_is_not_sent() -> None:
    words = Words()
    rows = made(words).encode(["", "alpha", "  "])
    assert not rows[0].any() and not rows[2].any() and rows[1].any()
    assert [text for batch in words.batches for text in batch if not text.strip()] == []


def test_a_text_that_the_model_finds_too_long_is_cut_and_the_others_are_not() -> None:
    words = Words(longest=600)
    made(words).encode(["short", "word " * 2000, "brief"])
    sent = [text for batch in words.batches for text in batch]
    assert "short" in sent and "brief" in sent
    assert any(200 < len(text) <= 600 for text in sent)


def test_a_model_that_refuses_everything_is_an_error() -> None:
    with pytest.raises(InvalidRequest):
        made(Words(longest=1)).encode(["alpha"])


def test_questions_and_documents_get_the_prefixes_that_the_model_knows() -> None:
    words = Words()
    encoder = made(words, prefixes=Prefixes("query: ", "passage: "))
    encoder.encode(["alpha"])
    encoder.encode_query(["beta"])
    sent = [text for batch in words.batches for text in batch]
    assert "passage: alpha" in sent and "query: beta" in sent
    assert encoder.name != made(words).name
    assert known_prefixes("nomic-ai/nomic-embed-text-v1.5").text == "search_document: "
    assert known_prefixes("intfloat/e5-small-v2").query == "query: "
    assert known_prefixes("something-else") == Prefixes()


def test_a_question_asked_again_is_not_sent_again() -> None:
    words = Words()
    encoder = made(words)
    encoder.encode_query(["alpha"])
    sent = len(words.batches)
    encoder.encode_query(["alpha"])
    assert len(words.batches) == sent


def test_dimensions_are_learnt_once_and_remembered_without_the_model(tmp_path: Path) -> None:
    memory = tmp_path / "encoders.json"
    assert made(Words(), memory=memory).dimensions == 48
    down = Words()
    down.down = True
    assert made(down, memory=memory).dimensions == 48
    with pytest.raises(UpstreamFailed):
        assert made(down).dimensions


def test_a_model_that_was_exchanged_for_another_is_noticed(tmp_path: Path) -> None:
    memory = tmp_path / "encoders.json"
    made(Words(48), memory=memory).encode(["alpha"])
    encoder = made(Words(32), memory=memory)
    with pytest.raises(UpstreamFailed, match="32 dimensions"):
        encoder.encode(["alpha"])
    assert encoder.encode(["alpha"]).shape == (1, 32)


# ── an index with an embedding model ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def many(tmp_path: Path) -> Path:
    root = tmp_path / "many"
    root.mkdir()
    for n in range(120):
        (root / f"m{n}.py").write_text(f"def topic{n}(value):\n    return value + {n}\n")
    return root


def test_an_update_that_loses_its_model_keeps_what_it_has_and_goes_on(
    tmp_path: Path, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine the time of the first batch may be over before it is full.
    monkeypatch.setattr("codeweft.retrieval.update.FIRST_SECONDS", 60.0)
    words = Words()
    encoder = made(words)
    index = Index.create(tmp_path / "ix" / "many", parse_source(str(many)), encoder)
    assert encoder.dimensions
    words.left = 3  # the probe, and two batches of files
    with pytest.raises(UpstreamFailed):
        index.update(workers=0)
    half = index.status()
    assert half.state == "failed" and "cannot be reached" in half.error
    assert half.indexed == 2 * FIRST_FILES
    words.left = None
    sent = sum(map(len, words.batches))
    assert index.update(workers=0).indexed == 120
    assert sum(map(len, words.batches)) - sent < 120 - half.indexed + 5
    assert index.search(Query("topic7", k=1))[0].chunk.name == "topic7"


def test_a_model_that_is_away_does_not_cost_the_index(tmp_path: Path, many: Path) -> None:
    words = Words()
    index = Index.create(tmp_path / "ix" / "many", parse_source(str(many)), made(words))
    index.update(workers=0)
    other = Words(32)
    changed = Index(index.folder, made(other, name="other"))
    other.down = True
    with pytest.raises(UpstreamFailed):
        changed.update(workers=0)
    assert index.status().indexed == 120


def test_another_encoder_makes_the_index_anew_and_until_then_says_so(
    tmp_path: Path, many: Path, encoder: object
) -> None:
    index = Index.create(tmp_path / "ix" / "many", parse_source(str(many)), encoder)  # type: ignore[arg-type]
    index.update(workers=0)
    index.close()
    changed = Index(index.folder, made(Words()))
    assert changed.status().state == "incomplete"
    with pytest.raises(NotReady, match="words"):
        changed.search(Query("topic7"))
    changed.update(workers=0)
    assert changed.status().state == "ready"
    assert changed.search(Query("topic7", k=1))[0].chunk.name == "topic7"


def test_small_differences_of_arithmetic_do_not_make_an_index_anew(tmp_path: Path, many: Path) -> None:
    class Noisy(Words):
        async def embed(self, texts: Sequence[str]) -> Embeddings:
            found = await super().embed(texts)
            noise = np.random.default_rng().normal(0, 0.01, found.vectors.shape).astype(np.float32)
            return Embeddings(found.vectors + noise, found.usage)

    noisy = Noisy()
    index = Index.create(tmp_path / "ix" / "many", parse_source(str(many)), made(noisy))
    index.update(workers=0)
    sent = len(noisy.batches)
    index.update(workers=0)
    assert len(noisy.batches) == sent + 1  # the probe
