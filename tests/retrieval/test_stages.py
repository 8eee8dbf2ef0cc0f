"""Stages around a search: better when they work, invisible but for a note when they do not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from codeweft.errors import UpstreamFailed
from codeweft.models.scripted import ScriptedModel
from codeweft.retrieval.bridge import Bridge
from codeweft.retrieval.by_model import ModelReranker, ModelTranslator, read_order, read_translation
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.stages import StageOptions, Stages, blend, fuse
from codeweft.types import Chunk, Done, Failed, Query, SearchResult, Selection, Usage

BRIDGE = Bridge()


def result(name: str, score: float) -> SearchResult:
    chunk = Chunk("shop", f"{name}.py", 1, 9, "python", "function", name, f"def {name}(): ...")
    return SearchResult(chunk, score, {"lexical": score})


class Plain:
    """A search that remembers what it was asked."""

    def __init__(self, *results: SearchResult, **by_text: Sequence[SearchResult]) -> None:
        self.results = results
        self.by_text = by_text
        self.asked: list[Query] = []

    def __call__(self, query: Query) -> list[SearchResult]:
        self.asked.append(query)
        return list(self.by_text.get(query.text, self.results))[: query.k]


class Liking:
    """A re-ranker that likes texts with a word."""

    name = "liking"

    def __init__(self, word: str, delay: float = 0.0, error: Exception | None = None) -> None:
        self.word, self.delay, self.error = word, delay, error
        self.asked: list[tuple[str, int]] = []

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        self.asked.append((query, len(texts)))
        await asyncio.sleep(self.delay)
        if self.error:
            raise self.error
        return [float(self.word in text) for text in texts]


def found_names(found: Sequence[SearchResult]) -> list[str]:
    return [one.chunk.name for one in found]


PLAIN = [result(name, 1 - place / 10) for place, name in enumerate(("one", "two", "three", "four"))]


def test_the_reranker_sees_more_than_was_asked_for_and_lifts_what_it_likes() -> None:
    plain, reranker = Plain(*PLAIN), Liking("three")
    stages = Stages(BRIDGE, reranker=reranker, options=StageOptions(top=4, share=0.8))
    found = stages.search(Query("q", k=2), plain)
    assert found_names(found) == ["three", "one"]
    assert plain.asked[0].k == 4
    assert reranker.asked == [("q", 4)]
    assert found[0].why["rerank"] == pytest.approx(0.8)
    assert not found[0].note


def test_what_lies_below_the_reranked_results_keeps_its_place() -> None:
    stages = Stages(BRIDGE, reranker=Liking("two"), options=StageOptions(top=2, share=0.9))
    assert found_names(stages.search(Query("q", k=4), Plain(*PLAIN))) == ["two", "one", "three", "four"]


@pytest.mark.parametrize(
    ("reranker", "said"),
    [
        (Liking("two", error=UpstreamFailed("It cannot be reached.")), "It cannot be reached."),
        (Liking("two", delay=5), "took longer than 0.05 s"),
    ],
)
def test_a_reranker_that_fails_or_is_slow_leaves_the_first_ranking_and_a_note(
    reranker: Liking, said: str
) -> None:
    stages = Stages(BRIDGE, reranker=reranker, options=StageOptions(rerank_timeout=0.05))
    found = stages.search(Query("q", k=3), Plain(*PLAIN))
    assert found_names(found) == ["one", "two", "three"]
    assert said in found[0].note and "liking" in found[0].note
    # It is not asked again at once: every search would wait for it.
    again = stages.search(Query("q", k=3), Plain(*PLAIN))
    assert "left out" in again[0].note
    assert len(reranker.asked) == 1


def test_a_reranker_with_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        Stages(BRIDGE, reranker=Liking("two", error=ZeroDivisionError())).search(Query("q"), Plain(*PLAIN))


class Saying:
    """An expander with one answer."""

    name = "saying"

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    async def expand(self, query: str) -> Sequence[str]:
        return self.texts


def test_a_further_question_finds_what_the_first_did_not() -> None:
    plain = Plain(세션=PLAIN[:2], session=[result("session", 1.0), result("one", 0.5)])
    stages = Stages(BRIDGE, expander=Saying("session"))
    assert found_names(stages.search(Query("세션", k=3), plain)) == ["one", "session", "two"]
    only = Stages(BRIDGE, expander=Saying("session"), options=StageOptions(expansion_only=True))
    assert found_names(only.search(Query("세션", k=3), plain)) == ["session", "one"]


def test_fusing_prefers_what_one_answer_is_sure_of_to_what_both_half_like() -> None:
    sure, half = result("sure", 1.0), result("half", 0.6)
    fused = fuse([[sure, half], [half]])
    assert found_names(fused) == ["sure", "half"]
    assert fused[0].score <= 1


def test_blending_ignores_the_scale_of_the_second_score() -> None:
    small = blend(PLAIN, [0.001, 0.002, 0.003, 0.009], 0.7)
    logits = blend(PLAIN, [-9.0, -8.0, -7.0, -1.0], 0.7)
    assert found_names(small) == found_names(logits)
    assert all(0 <= one.score <= 1 for one in logits)


async def test_a_chat_model_puts_results_in_order_and_may_leave_some_out() -> None:
    model = ScriptedModel("judge", '{"ranking": [3, 1]}')
    scores = await ModelReranker(model).rerank("q", ["a", "b", "c"])
    assert scores[2] > scores[0] > scores[1] == 0
    asked = model.requests[0]
    assert "[3] c" in asked.messages[0].content
    assert asked.sampling.json_schema is not None
    assert not asked.retrieval.enabled


async def test_an_answer_without_an_order_is_a_failure() -> None:
    with pytest.raises(UpstreamFailed, match="judge"):
        await ModelReranker(ScriptedModel("judge", "I like them all.")).rerank("q", ["a", "b"])


def test_orders_are_read_from_what_models_really_say() -> None:
    assert read_order('Sure! {"ranking": [2, 2, 9, 1]}', 3) == [1, 0]
    assert read_order('{"ranking": "all"}', 3) == []
    assert read_order('{"other": []}', 3) == []


async def test_only_questions_in_cjk_scripts_are_translated_and_each_once() -> None:
    model = ScriptedModel("translator", "Translation: where are sessions closed?")
    translator = ModelTranslator(model)
    assert await translator.expand("where are sessions closed") == ()
    assert model.requests == []
    for _ in range(2):
        assert await translator.expand("세션은 어디에서 닫나요") == ("where are sessions closed?",)
    assert len(model.requests) == 1


async def test_a_translation_that_is_none_is_a_failure() -> None:
    assert read_translation("세션은 어디에서 닫나요") == ""
    with pytest.raises(UpstreamFailed, match="did not translate"):
        await ModelTranslator(ScriptedModel("translator", "세션")).expand("세션은 어디에서 닫나요")


def test_stages_go_around_every_search_of_the_catalogue(tmp_path, code, encoder) -> None:  # type: ignore[no-untyped-def]
    seen: list[str] = []
    reranker = Liking("def parse_cookie")
    indexes = Indexes(
        tmp_path / "indexes",
        encoder,
        stages=Stages(BRIDGE, reranker=reranker, options=StageOptions(share=0.9)),
        on_found=lambda found: seen.extend(f"{one.index}:{one.chunk.name}" for one in found),
    )
    indexes.add(str(code), "shop").update()
    found = indexes.search(Query("session store", k=2))
    assert found[0].chunk.name == "parse_cookie"
    assert len(found) == 2
    assert seen[0] == "shop:parse_cookie"


def test_searches_of_other_types_keep_the_order_that_they_promise(tmp_path, code, encoder) -> None:  # type: ignore[no-untyped-def]
    reranker = Liking("def parse_cookie")
    indexes = Indexes(tmp_path / "indexes", encoder, stages=Stages(BRIDGE, reranker=reranker))
    indexes.add(str(code), "shop").update()
    indexes.search(Query("session store", selection=Selection("similarity")))
    assert reranker.asked == []


def test_a_translator_that_fails_leaves_the_question_as_it_is() -> None:
    failing = ScriptedModel("translator", [Failed(UpstreamFailed("It is gone.")), Done(Usage())])
    stages = Stages(BRIDGE, expander=ModelTranslator(failing))
    found = stages.search(Query("세션", k=2), Plain(*PLAIN))
    assert found_names(found) == ["one", "two"]
    assert "It is gone." in found[0].note


def test_the_bridge_refuses_to_wait_for_its_own_loop() -> None:
    async def crossing() -> None:
        bridge = Bridge(asyncio.get_running_loop())
        with pytest.raises(RuntimeError, match="bridge"):
            bridge.run(asyncio.sleep(0))

    asyncio.run(crossing())
    assert json.dumps(BRIDGE.run(asyncio.sleep(0, [1]))) == "[1]"
