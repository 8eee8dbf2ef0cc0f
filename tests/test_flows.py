"""Flows: documents are checked, requests pass through the nodes, and the model's stream is the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from codeweft.errors import ContextOverflow, InvalidRequest, NotFound
from codeweft.flows import Flow, Services, library, parse
from codeweft.flows.nodes.prompt import block, fit
from codeweft.stream import fold, reading
from codeweft.types import (
    Chunk,
    Done,
    Event,
    Failed,
    Filters,
    Infill,
    Message,
    Model,
    ModelInfo,
    NodeFinished,
    NodeStarted,
    Query,
    Request,
    Retrieval,
    Sampling,
    SearchResult,
    Selection,
    Started,
    TextDelta,
    Usage,
)


class Writer:
    """A model that answers with `reply(request)` and remembers what it was asked."""

    def __init__(self, reply: str = "done", context: int | None = 4096) -> None:
        self.reply, self.context = reply, context
        self.asked: list[Request] = []
        self.closed = False

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            "writer", "scripted", frozenset({"chat", "infilling"}), note="a note", context=self.context
        )

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        self.asked.append(request)
        try:
            yield Started("writer")
            for word in self.reply.split(" "):
                yield TextDelta(word)
            yield Done(Usage(7, 3), "length")
        finally:
            self.closed = True


class Shelf:
    """A retriever over a fixed list."""

    def __init__(self, *results: SearchResult, error: Exception | None = None) -> None:
        self.results, self.error = list(results), error
        self.asked: list[Query] = []

    async def search(self, query: Query) -> list[SearchResult]:
        self.asked.append(query)
        if self.error is not None:
            raise self.error
        return self.results[: query.k]


def found(name: str, text: str = "def f():\n    pass\n") -> SearchResult:
    return SearchResult(Chunk("repo", f"{name}.py", 1, 2, "python", "function", name, text), 0.9)


def flow(writer: Writer, shelf: Shelf, document: str | None = None) -> Flow:
    def model(name: str | None) -> Model:
        if name not in (None, "writer"):
            raise NotFound(f"No model is called {name}.")
        return writer

    spec = parse(document) if document else library()["codegen"]
    return Flow(spec, Services(model, shelf))


def ask(text: str, **settings: object) -> Request:
    return Request("codegen", (Message("user", text),), **settings)  # type: ignore[arg-type]


async def events(stream: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in stream]


async def test_an_answer_passes_through_the_nodes_and_ends_with_one_done() -> None:
    writer, shelf = Writer("some words"), Shelf(found("alpha"), found("beta"))
    seen = await events(flow(writer, shelf).stream(ask("write alpha")))
    assert isinstance(seen[0], Started) and seen[0].note == "a note"
    assert [e.node for e in seen if isinstance(e, NodeStarted)] == [
        "retrieve",
        "prompt",
        "answer",
        "references",
    ]
    assert [e.node for e in seen if isinstance(e, NodeFinished)] == [
        "retrieve",
        "prompt",
        "answer",
        "references",
    ]
    assert sum(isinstance(e, Done | Failed) for e in seen) == 1
    assert seen[-1] == Done(Usage(7, 3), "length", {})
    assert "".join(e.text for e in seen if isinstance(e, TextDelta)) == "somewords"


async def test_references_are_numbered_in_front_of_the_last_question_and_turns_stay_turns() -> None:
    writer, shelf = Writer(), Shelf(found("alpha"), found("beta"))
    turns = (
        Message("user", "one question that is long enough"),
        Message("assistant", "an answer"),
        Message("user", "a second question that is long enough"),
    )
    answer = await fold(flow(writer, shelf).stream(Request("codegen", turns)))
    sent = writer.asked[0].messages
    assert [turn.role for turn in sent] == ["system", "user", "assistant", "user"]
    assert sent[1:3] == turns[:2]
    assert sent[3].content.startswith("Reference [1] alpha.py:1-2\n```python\ndef f():")
    assert "Reference [2] beta.py" in sent[3].content
    assert sent[3].content.endswith("Task: a second question that is long enough")
    assert answer.results == tuple(shelf.results)


async def test_the_caller_own_system_turn_is_kept() -> None:
    writer = Writer()
    await fold(
        flow(writer, Shelf()).stream(
            Request("codegen", (Message("system", "Speak Korean."), Message("user", "hi")))
        )
    )
    system = [turn for turn in writer.asked[0].messages if turn.role == "system"]
    assert len(system) == 1 and system[0].content.endswith("Speak Korean.")


async def test_a_short_follow_up_is_looked_up_with_the_question_before_it() -> None:
    shelf = Shelf()
    turns = (
        Message("user", "sort a list of paths"),
        Message("assistant", "ok"),
        Message("user", "and in Go?"),
    )
    await fold(flow(Writer(), shelf).stream(Request("codegen", turns)))
    assert shelf.asked[0].text == "sort a list of paths\nand in Go?"


async def test_a_named_index_that_does_not_exist_fails_but_no_index_at_all_answers_without_references() -> (
    None
):
    shelf = Shelf(error=NotFound("No index."))
    named = await events(flow(Writer(), shelf).stream(ask("x", retrieval=Retrieval(index="nope"))))
    assert isinstance(named[-1], Failed) and isinstance(named[-1].error, NotFound)
    answer = await fold(flow(Writer("fine"), shelf).stream(ask("x")))
    assert answer.text == "fine" and answer.results == ()


async def test_filters_and_search_type_reach_the_search_and_filters_that_match_nothing_fail() -> None:
    narrowed = Retrieval(filters=Filters(repositories=("bank",)), selection=Selection("mmr"))
    shelf = Shelf(found("alpha"))
    await fold(flow(Writer(), shelf).stream(ask("x", retrieval=narrowed)))
    assert (shelf.asked[0].filters, shelf.asked[0].selection) == (narrowed.filters, narrowed.selection)
    empty = Shelf(error=NotFound("Nothing is indexed of bank."))
    ended = await events(flow(Writer(), empty).stream(ask("x", retrieval=narrowed)))
    assert isinstance(ended[-1], Failed) and "bank" in ended[-1].error.message


async def test_retrieval_can_be_switched_off() -> None:
    shelf = Shelf(found("alpha"))
    answer = await fold(flow(Writer(), shelf).stream(ask("x", retrieval=Retrieval(enabled=False))))
    assert shelf.asked == [] and answer.results is None


async def test_an_agent_keeps_only_what_the_model_calls_relevant() -> None:
    class Picky(Writer):
        async def stream(self, request: Request) -> AsyncIterator[Event]:
            asked = request.messages[-1].content
            if asked.startswith("Does this code help"):
                yield TextDelta("Yes." if "beta.py" in asked else "no")
                yield Done(Usage(5, 1))
                return
            async for event in super().stream(request):
                yield event

    writer = Picky()
    answer = await fold(
        flow(writer, Shelf(found("alpha"), found("beta"))).stream(ask("x", retrieval=Retrieval(agent=True)))
    )
    assert [result.chunk.name for result in answer.results or ()] == ["beta"]
    assert "beta.py" in writer.asked[-1].messages[-1].content
    assert "alpha.py" not in writer.asked[-1].messages[-1].content
    assert answer.usage.total_tokens == 10 + 2 * 6


async def test_infilling_sees_similar_code_as_neighbours() -> None:
    writer, shelf = Writer("x"), Shelf(found("alpha"))
    request = Request("codegen", infill=Infill("def area(w, h):\n    ", "\n"))
    await fold(flow(writer, shelf).stream(request))
    assert "def area" in shelf.asked[0].text
    hole = writer.asked[0].infill
    assert hole is not None and [neighbour.path for neighbour in hole.neighbours] == ["alpha.py"]


async def test_a_failing_model_ends_the_flow_with_its_error() -> None:
    class Broken(Writer):
        async def stream(self, request: Request) -> AsyncIterator[Event]:
            yield TextDelta("half ")
            yield Failed(ContextOverflow("too long"))

    seen = await events(flow(Broken(), Shelf()).stream(ask("x")))
    assert isinstance(seen[-1], Failed) and isinstance(seen[-1].error, ContextOverflow)
    assert not any(isinstance(event, Done) for event in seen)


async def test_a_prompt_that_is_too_long_after_all_is_tried_again_with_fewer_references() -> None:
    class Narrow(Writer):
        async def stream(self, request: Request) -> AsyncIterator[Event]:
            if len(request.context) > 1:
                self.asked.append(request)
                yield Failed(ContextOverflow("too long"))
                return
            async for event in super().stream(request):
                yield event

    writer = Narrow("fits")
    answer = await fold(flow(writer, Shelf(found("a"), found("b"), found("c"), found("d"))).stream(ask("x")))
    assert answer.text == "fits"
    assert [result.chunk.name for result in answer.results or ()] == ["a"]
    assert [len(request.context) for request in writer.asked] == [4, 2, 1]
    assert "Reference [2]" not in writer.asked[-1].messages[-1].content


async def test_a_conversation_that_does_not_fit_loses_its_oldest_turns_and_says_so() -> None:
    class Narrow(Writer):
        async def stream(self, request: Request) -> AsyncIterator[Event]:
            if sum(len(turn.content) for turn in request.messages if turn.role != "system") > 60:
                yield Failed(ContextOverflow("too long"))
                return
            async for event in super().stream(request):
                yield event

    writer = Narrow("fits")
    same = "the very same words again"
    turns = [Message("user", same), Message("assistant", same)] * 2 + [Message("user", same)]
    answer = await fold(flow(writer, Shelf(found("a"))).stream(Request("codegen", tuple(turns))))
    assert [turn.role for turn in writer.asked[0].messages] == ["system", "user"]
    assert answer.text == "fits" and "4 oldest turns were left out" in answer.note
    lonely = await events(flow(writer, Shelf()).stream(ask("x" * 100)))
    assert isinstance(lonely[-1], Failed) and isinstance(lonely[-1].error, ContextOverflow)


async def test_a_hole_that_does_not_fit_with_its_neighbours_is_filled_with_fewer() -> None:
    class Narrow(Writer):
        async def stream(self, request: Request) -> AsyncIterator[Event]:
            if request.infill is not None and len(request.infill.neighbours) > 1:
                yield Failed(ContextOverflow("too long"))
                return
            async for event in super().stream(request):
                yield event

    writer = Narrow("x")
    shelf = Shelf(*map(found, "abcdef"))
    answer = await fold(flow(writer, shelf).stream(Request("codegen", infill=Infill("a", "b"))))
    hole = writer.asked[0].infill
    assert hole is not None and [one.path for one in hole.neighbours] == ["a.py"]
    assert [result.chunk.name for result in answer.results or ()] == ["a"]


async def test_closing_the_flow_closes_the_model() -> None:
    writer = Writer("a b c d e f")
    async with reading(flow(writer, Shelf()).stream(ask("x"))) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                break
    assert writer.closed


async def test_request_sampling_wins_over_the_document() -> None:
    document = "name: a\nnodes:\n  - {id: w, type: model, temperature: 0.7, max_tokens: 9}\n"
    writer = Writer()
    await fold(flow(writer, Shelf(), document).stream(ask("x", sampling=Sampling(temperature=0.0))))
    assert writer.asked[0].sampling.temperature == 0.0
    assert writer.asked[0].sampling.max_tokens == 9


async def test_an_app_without_a_model_node_says_so() -> None:
    seen = await events(
        flow(Writer(), Shelf(), "name: a\nnodes:\n  - {id: r, type: retriever}\n").stream(ask("x"))
    )
    assert isinstance(seen[-1], Failed) and "no node that answers" in str(seen[-1].error)


def test_long_references_are_cut_so_that_others_fit() -> None:
    long = found("long", "line\n" * 1000)
    shown = fit([long, found("short")], 2000)
    assert [result.chunk.name for result in shown] == ["long", "short"]
    assert shown[0].chunk.text.endswith("\n…")
    assert len(block(shown)) <= 2200


def test_nothing_is_shown_where_there_is_no_room() -> None:
    assert fit([found("alpha")], 100) == ()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("[", "not YAML"),
        ("- a", "must be a mapping"),
        ("name: a", "nodes"),
        ("name: Bad Name\nnodes: [{id: m, type: model}]", "name"),
        ("name: a\nnodes: [{id: m, type: nosuch}]", "nosuch"),
        ("name: a\nnodes: [{id: m, type: model}, {id: m, type: model}]", "two nodes"),
        ("name: a\nnodes: [{id: m, type: model, colour: red}]", "colour"),
        ("name: a\nnodes: [{id: p, type: prompt, user: '{{ oops'}]", "template"),
        ("name: a\nnodes: [{id: r, type: retriever, k: 0}]", "k"),
    ],
)
def test_a_wrong_document_is_refused_with_the_place_at_fault(document: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        parse(document)


async def test_a_template_cannot_reach_python() -> None:
    document = 'name: a\nnodes:\n  - {id: p, type: prompt, user: "{{ request.__class__.__mro__ }}"}\n  - {id: m, type: model}\n'
    seen = await events(flow(Writer(), Shelf(), document).stream(ask("x")))
    assert isinstance(seen[-1], Failed) and "template" in str(seen[-1].error)
