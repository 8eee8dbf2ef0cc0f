"""What one line of settings does to searching, with endpoints on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from codeweft.config import Settings
from codeweft.errors import InvalidRequest, NotFound
from codeweft.runtime.compose import open_runtime
from codeweft.runtime.state import open_indexes
from codeweft.types import Query
from tests.runtime.endpoint import answering


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path / "home"))
    root = tmp_path / "ledger"
    root.mkdir()
    (root / "ledger.py").write_text(
        "def settle(rows):\n    return sum(row.amount for row in rows)\n\n\n"
        "def purge(rows):\n    return [row for row in rows if row.amount]\n"
    )
    return root


def with_models(url: str, **index: Any) -> Settings:
    models = {
        "vectors": {"base_url": url, "embeddings": True},
        "cross": {"base_url": url, "reranks": True},
        "chat": {"base_url": url, "model": "chat"},
    }
    return Settings.model_validate({"models": models, "index": index})


async def first_found(settings: Settings, code: Path, text: str) -> tuple[str, str]:
    """The best result in a whole runtime, as a server has it, and its note."""
    async with open_runtime(settings) as runtime:

        def search() -> tuple[str, str]:
            runtime.indexes.add(str(code), "ledger").update(workers=0)
            best = runtime.indexes.search(Query(text, k=1))[0]
            return best.chunk.name, best.note

        return await asyncio.to_thread(search)


async def test_an_embedding_model_takes_the_encoders_place(code: Path) -> None:
    async with answering() as endpoint:
        found = await first_found(with_models(endpoint.url, encoder="vectors"), code, "settle")
    assert found == ("settle", "")
    sent = [text for path, body in endpoint.asked if path.endswith("embeddings") for text in body["input"]]
    assert any("def purge" in text for text in sent)
    assert "settle" in sent


async def test_a_cross_encoder_reorders(code: Path) -> None:
    async with answering() as endpoint:
        settings = with_models(endpoint.url, reranker={"model": "cross", "share": 0.9})
        assert await first_found(settings, code, "settle") == ("purge", "")


async def test_a_chat_model_reorders(code: Path) -> None:
    async with answering('{"ranking": [2]}') as endpoint:
        settings = with_models(endpoint.url, reranker={"model": "chat", "kind": "llm", "share": 0.9})
        assert (await first_found(settings, code, "settle"))[0] == "purge"


async def test_a_korean_question_is_also_asked_in_english(code: Path) -> None:
    async with answering("purge rows") as endpoint:
        settings = with_models(endpoint.url, translate={"model": "chat", "instead": True})
        assert await first_found(settings, code, "지우기") == ("purge", "")
    assert "지우기" in endpoint.asked[0][1]["messages"][0]["content"]


async def test_an_endpoint_that_is_down_leaves_a_note_and_the_plain_result(code: Path) -> None:
    settings = with_models("http://127.0.0.1:9/v1", reranker={"model": "cross", "timeout": 0.2})
    name, note = await first_found(settings, code, "settle")
    assert name == "settle"
    assert "Re-ranking by cross" in note


async def test_commands_without_a_server_search_with_the_same_stages(code: Path) -> None:
    async with answering() as endpoint:
        settings = with_models(endpoint.url, encoder="vectors", reranker={"model": "cross", "share": 0.9})

        def command() -> str:
            indexes = open_indexes(settings)
            indexes.add(str(code), "ledger").update(workers=0)
            return indexes.search(Query("settle", k=1))[0].chunk.name

        assert await asyncio.to_thread(command) == "purge"


def test_models_that_are_missing_or_of_another_kind_are_named(code: Path) -> None:
    with pytest.raises(NotFound, match="nobody"):
        open_indexes(with_models("http://127.0.0.1:9/v1", encoder="nobody"))
    with pytest.raises(InvalidRequest, match="embeddings: true"):
        open_indexes(with_models("http://127.0.0.1:9/v1", encoder="chat"))
    with pytest.raises(InvalidRequest, match="reranks: true"):
        open_indexes(with_models("http://127.0.0.1:9/v1", reranker="chat"))
