"""Re-ranking endpoints and what they answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codeweft.errors import EngineFailed, UpstreamFailed
from codeweft.models.reranker import EmbeddedReranker, OpenAIReranker, read_scores
from tests.models.endpoint import refuse, running, status
from tests.models.tiny_gguf import write_tiny_gguf


def rows(**named: object) -> bytes:
    return json.dumps(named).encode()


@pytest.mark.parametrize("key", ["results", "data"])
def test_scores_come_back_in_the_order_of_the_texts(key: str) -> None:
    answer = rows(**{key: [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]})
    assert read_scores(answer, 2) == [0.1, 0.9]


def test_answers_that_do_not_score_every_text_are_no_answers() -> None:
    assert read_scores(rows(results=[{"index": 0, "score": 1.0}]), 2) is None
    assert read_scores(rows(results=[{"index": 5, "score": 1.0}]), 1) is None
    assert read_scores(b"<html>", 1) is None


async def test_the_endpoint_gets_question_and_texts() -> None:
    good = status(
        200,
        rows(results=[{"index": 0, "relevance_score": -3.5}, {"index": 1, "relevance_score": 2}]).decode(),
    )
    async with running(good) as endpoint:
        reranker = OpenAIReranker("r", f"{endpoint.url}/v1", api_key="secret", model="cross")
        assert await reranker.rerank("who", ["a", "b"]) == [-3.5, 2.0]
        assert await reranker.rerank("who", []) == ()
        await reranker.close()
    (path, body), *more = endpoint.asked
    assert path == "/v1/rerank" and not more
    assert body["query"] == "who" and body["documents"] == ["a", "b"] and body["model"] == "cross"
    assert endpoint.headers[0]["Authorization"] == "Bearer secret"


async def test_an_endpoint_without_reranking_says_what_to_check() -> None:
    async with running(refuse(404, "no such route"), status(200, "{}")) as endpoint:
        reranker = OpenAIReranker("r", endpoint.url, model="cross")
        with pytest.raises(UpstreamFailed, match="404"):
            await reranker.rerank("who", ["a"])
        with pytest.raises(UpstreamFailed, match="one score for each text"):
            await reranker.rerank("who", ["a"])
        await reranker.close()


async def test_a_file_that_is_no_model_is_said_at_each_call(tmp_path: Path) -> None:
    (tmp_path / "r.gguf").write_bytes(b"nothing")
    with pytest.raises(EngineFailed, match=r"r\.gguf"):
        await EmbeddedReranker("r", tmp_path / "r.gguf").rerank("who", ["a"])


async def test_the_engine_scores_every_text_in_order_and_cuts_what_is_too_long(tmp_path: Path) -> None:
    reranker = EmbeddedReranker("r", write_tiny_gguf(tmp_path / "tiny.gguf", context=512))
    try:
        texts = ["def sort(rows): ...", "class Point: ...", "x = 1\n" * 2000]
        scores = await reranker.rerank("who sorts", texts)
        turned = await reranker.rerank("who sorts", texts[::-1])
    finally:
        await reranker.close()
    assert len(scores) == 3
    assert list(turned) == pytest.approx(list(scores)[::-1], abs=0.05)
    assert len({round(score, 3) for score in scores}) == 3
