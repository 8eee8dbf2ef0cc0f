"""Reference numbers in answers: found where they cite, checked against the source, dropped where they fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from codeweft.citations import cited, without
from codeweft.config import IndexSettings, Settings
from codeweft.errors import StorageFailed, UpstreamFailed
from codeweft.flows import Flow, Services, library, parse
from codeweft.models.scripted import ScriptedModel
from codeweft.retrieval.catalogue import Indexes, IndexRetriever
from codeweft.runtime.compose import open_runtime
from codeweft.stream import fold
from codeweft.types import (
    Chunk,
    Cited,
    Done,
    Event,
    Explained,
    Failed,
    Message,
    NodeFinished,
    Query,
    Request,
    Retrieval,
    Sampling,
    SearchResult,
    TextDelta,
    Usage,
    replace,
)
from tests.retrieval.conftest import WordEncoder

CODE = """\
Use `rows[1]` and [the page][2] as in [2], [1, 3] and [link](http://x/[9]).

```python
first = rows[7]
pair = [8]
total = add(pair)  # as in [4]
```

More in [2]. [5]: not this.
"""


def test_numbers_are_citations_in_prose_and_in_comments_only() -> None:
    assert cited(CODE) == (2, 1, 3, 4)


def test_dropped_citations_leave_the_rest_as_it_is() -> None:
    clean = without(CODE, {3, 4, 2})
    assert "as in, [1] and" in clean and "total = add(pair)  # as in\n" in clean and "More in." in clean
    assert "rows[7]" in clean and "[the page][2]" in clean
    assert without(CODE, set()) == CODE


# ── in an app, over a real index ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "cart.py").write_text(
        'def total(prices):\n    """The sum of a cart."""\n    return sum(prices)\n'
    )
    (root / "tax.py").write_text(
        'def tax(amount):\n    """Tax on the sum of a cart."""\n    return amount * 0.19\n'
    )
    return root


@pytest.fixture
def indexes(tmp_path: Path, shop: Path) -> Indexes:
    made = Indexes(tmp_path / "home", WordEncoder(), workers=0)
    made.add(str(shop)).update()
    return made


class Editing(ScriptedModel):
    """Somebody edits a file while the model writes."""

    def __init__(self, answer: str, path: Path, text: str | None) -> None:
        super().__init__("writer", answer)
        self.path, self.text = path, text

    async def stream(self, request: Request) -> AsyncIterator[Event]:  # type: ignore[override]
        if self.text is None:
            self.path.unlink()
        else:
            self.path.write_text(self.text)
        async for event in super().stream(request):
            yield event


def app(model: ScriptedModel, indexes: Indexes) -> Flow:
    retriever = IndexRetriever(indexes)
    return Flow(library()["codegen"], Services(lambda _: model, retriever, retriever))


def ask(text: str = "the sum of a cart", **settings: object) -> Request:
    return Request("codegen", (Message("user", text),), **settings)  # type: ignore[arg-type]


async def test_a_citation_without_a_reference_is_dropped_and_counted(indexes: Indexes) -> None:
    answer = await fold(app(ScriptedModel("writer", "Call `total` [1], see [7]."), indexes).stream(ask()))
    assert answer.cited == Cited(verified=(1,), dropped=(7,))
    assert answer.text == "Call `total` [1], see."


async def test_a_reference_whose_lines_changed_meanwhile_does_not_stand(indexes: Indexes, shop: Path) -> None:
    found = await IndexRetriever(indexes).search(Query("the sum of a cart"))
    stale = found[0].chunk.path
    model = Editing("As in [1] and [2].", shop / stale, "def other():\n    return 1\n")
    answer = await fold(app(model, indexes).stream(ask()))
    assert answer.cited == Cited(verified=(2,), dropped=(1,), gone=(1,))
    assert answer.text == "As in and [2]."
    assert len(answer.results or ()) == 2


async def test_lines_that_only_moved_do_not_stand_and_lines_behind_an_edit_do(
    indexes: Indexes, shop: Path
) -> None:
    before = (shop / "cart.py").read_text()
    chunk = indexes.search(Query("the sum of a cart", k=5))
    cart = next(one for one in chunk if one.chunk.path == "cart.py")
    retriever = IndexRetriever(indexes)
    (shop / "cart.py").write_text("\n" + before)
    assert await retriever.standing([cart], None) == [False]
    (shop / "cart.py").write_text(before + "\n\ndef more():\n    pass\n")
    assert await retriever.standing([cart], None) == [True]


async def test_a_file_or_an_index_that_is_gone_bears_nothing_out(indexes: Indexes, shop: Path) -> None:
    retriever = IndexRetriever(indexes)
    found = await retriever.search(Query("the sum of a cart"))
    assert await retriever.standing(found, "shop") == [True, True]
    (shop / found[1].chunk.path).unlink()
    assert await retriever.standing(found, "shop") == [True, False]
    indexes.delete("shop")
    assert await retriever.standing(found, "shop") == [False, False]


async def test_a_source_that_cannot_be_read_leaves_the_answer_unchecked(indexes: Indexes) -> None:
    class Broken(IndexRetriever):
        async def standing(self, results: Sequence[SearchResult], index: str | None) -> list[bool]:
            raise StorageFailed("The disk is gone.")

    model, retriever = ScriptedModel("writer", "See [1]."), Broken(indexes)
    flow = Flow(library()["codegen"], Services(lambda _: model, retriever, retriever))
    seen = [event async for event in flow.stream(ask())]
    assert isinstance(seen[-1], Done) and not any(isinstance(event, Cited) for event in seen)
    assert [e.detail for e in seen if isinstance(e, NodeFinished)][-1] == {"unchecked": "The disk is gone."}


async def test_an_answer_without_retrieval_is_left_alone(indexes: Indexes) -> None:
    model = ScriptedModel("writer", "A list [1] of one.")
    answer = await fold(app(model, indexes).stream(ask(retrieval=Retrieval(enabled=False))))
    assert answer.cited is None and answer.text == "A list [1] of one."


# ── what was retrieved and why ───────────────────────────────────────────────────────────────────────────────


async def test_an_explanation_tells_the_query_the_candidates_and_the_prompt(indexes: Indexes) -> None:
    model = ScriptedModel("writer", "Done.")
    asked = ask(explain=True, retrieval=Retrieval(k=1))
    seen = [event async for event in app(model, indexes).stream(asked)]
    told = next(event for event in seen if isinstance(event, Explained))
    assert isinstance(seen[-1], Done) and seen[-2] is told
    assert (told.question, told.query) == ("the sum of a cart", "the sum of a cart")
    assert len(told.shown) == 1 and len(told.candidates) == 2 and told.candidates[0].why
    assert told.prompt == model.requests[0].messages and "Reference [1]" in told.prompt[-1].content


async def test_nobody_is_told_who_does_not_ask(indexes: Indexes) -> None:
    seen = [event async for event in app(ScriptedModel("writer", "Done."), indexes).stream(ask())]
    assert not any(isinstance(event, Explained) for event in seen)


# ── a follow-up, rewritten ───────────────────────────────────────────────────────────────────────────────────

REWRITING = """
name: asking
nodes:
  - {id: retrieve, type: retriever, rewrite: model}
  - {id: prompt, type: prompt}
  - {id: answer, type: model}
"""
TURNS = (
    Message("user", "how is the sum of a cart made?"),
    Message("assistant", "By total() [1]."),
    Message("user", "and what does the one for taxes add to it?"),
)


class Shelf:
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def search(self, query: Query) -> list[SearchResult]:
        self.asked.append(query.text)
        return [
            SearchResult(Chunk("shop", "tax.py", 1, 3, "python", "function", "tax", "def tax(): ..."), 0.9)
        ]


async def _asked(model: ScriptedModel, *turns: Message) -> tuple[Shelf, str]:
    shelf = Shelf()
    flow = Flow(parse(REWRITING), Services(lambda _: model, shelf))
    answer = await fold(flow.stream(Request("asking", turns)))
    return shelf, answer.text


async def test_a_follow_up_is_searched_for_as_the_model_puts_it() -> None:
    model = ScriptedModel("writer", '"tax on the sum of a cart"\n\nHere you go', "Nineteen percent.")
    shelf, text = await _asked(model, *TURNS)
    assert shelf.asked == ["tax on the sum of a cart"] and text == "Nineteen percent."
    read = model.requests[0].messages[0].content
    assert "user: how is the sum of a cart made?" in read and "assistant: By total() [1]." in read
    assert model.requests[1].messages[-1].content.endswith(TURNS[-1].content)


async def test_a_setting_lets_every_app_rewrite_and_the_starter_model_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Path
) -> None:
    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path / "state"))
    settings = Settings(index=IndexSettings(rewrite_questions=True))
    async with open_runtime(settings) as runtime:
        runtime.indexes.add(str(shop)).update()
        request = Request("codegen", TURNS, sampling=Sampling(max_tokens=8))
        answer = await fold(runtime.model("codegen").stream(replace(request, explain=True)))
    assert answer.explained is not None
    assert answer.explained.query.strip() and "\n" not in answer.explained.query
    assert answer.usage.completion_tokens > 8


async def test_a_first_question_is_not_rewritten() -> None:
    model = ScriptedModel("writer", "By total().")
    shelf, _ = await _asked(model, TURNS[0])
    assert shelf.asked == [TURNS[0].content] and len(model.requests) == 1


async def test_a_model_that_fails_or_says_nothing_leaves_the_question_as_it_is() -> None:
    useless: list[list[Event]] = [[Failed(UpstreamFailed("gone"))], [TextDelta(" \n"), Done(Usage())]]
    for said in useless:
        model = ScriptedModel("writer", said, "Fine.")
        shelf, text = await _asked(model, *TURNS)
        assert shelf.asked == [TURNS[-1].content] and text == "Fine."
