"""The agent: it looks things up in steps, with tools or with JSON, and ends well whatever the model does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from codeweft.errors import InvalidRequest, UpstreamFailed
from codeweft.flows import Flow, Services, library, parse
from codeweft.flows.nodes.agent import ANSWER_NOW, REPEATED
from codeweft.flows.notebook import Notebook, choices, menu, read_choice, shortened
from codeweft.models import schema
from codeweft.models.embedded import EmbeddedModel
from codeweft.models.openai_compatible import OpenAICompatible
from codeweft.models.scripted import ScriptedModel, calling
from codeweft.models.starter import bundled
from codeweft.retrieval.catalogue import Indexes, IndexRetriever
from codeweft.retrieval.record import explanation
from codeweft.retrieval.toolbox import IndexTools
from codeweft.stream import Answer, fold
from codeweft.types import (
    Chunk,
    Cited,
    Done,
    Event,
    Failed,
    Filters,
    Message,
    Model,
    Piece,
    Query,
    Request,
    Retrieval,
    Retrieved,
    Sampling,
    SearchResult,
    Skills,
    TextDelta,
    ToolOutput,
    Usage,
)
from tests.models import endpoint
from tests.retrieval.conftest import SESSION, WordEncoder

AGENT = Retrieval(agent=True)
NO_TOOLS: Skills = frozenset({"chat", "completion"})
LIMITED = """
name: limited
nodes:
  - {id: retrieve, type: retriever, k: 2}
  - {id: agent, type: agent, LIMITS}
  - {id: prompt, type: prompt}
  - {id: answer, type: model}
  - {id: references, type: references}
"""


@pytest.fixture
def indexes(tmp_path: Path) -> Indexes:
    """An index of a small code base."""
    root = tmp_path / "shop"
    (root / "auth").mkdir(parents=True)
    (root / "auth" / "session.py").write_text(SESSION)
    (root / "login.py").write_text(
        "from auth.session import SessionStore\n\n\ndef sign_in(store: SessionStore, user):\n"
        "    return store.open(user)\n"
    )
    (root / "notes.md").write_text("# Notes\n\nNothing about code.\n")
    made = Indexes(tmp_path / "indexes", WordEncoder(), workers=0)
    made.add(str(root), "shop").update()
    return made


def flow(model: Model, indexes: Indexes, limits: str | None = None) -> Flow:
    retriever = IndexRetriever(indexes)
    services = Services(lambda _: model, retriever, retriever, lambda scope: IndexTools(indexes, scope))
    spec = library()["codegen"] if limits is None else parse(LIMITED.replace("LIMITS", limits))
    return Flow(spec, services)


def ask(text: str = "How are sessions opened?", **settings: Any) -> Request:
    return Request("codegen", (Message("user", text),), **{"retrieval": AGENT, **settings})


async def seen(stream: Any) -> tuple[Answer, list[Event]]:
    answer, events = Answer(), []
    async for event in stream:
        events.append(event)
        answer.add(event)
    return answer, events


def last_turn(model: ScriptedModel, request: int) -> str:
    return model.requests[request].messages[-1].content


# ── models that call tools ───────────────────────────────────────────────────────────────────────────────────


async def test_the_model_searches_reads_and_answers_with_citations_that_are_checked(indexes: Indexes) -> None:
    model = ScriptedModel(
        "writer",
        calling(
            ("find_symbol", {"name": "sign_in"}), ("grep_code", {"pattern": r"\.open\("}), saying="Look."
        ),
        calling(("read_file", {"path": "login.py", "start_line": 1, "end_line": 5})),
        "Call `sign_in` [1], as login.py does, and never [99].",
    )
    answer, events = await seen(
        flow(model, indexes, "steps: 4").stream(
            ask("sign in", retrieval=Retrieval(agent=True, filters=Filters()))
        )
    )
    assert [(step.number, step.tool) for step in answer.steps] == [
        (1, "find_symbol"), (2, "grep_code"), (3, "read_file"),
    ]  # fmt: skip
    assert answer.steps[0].thought == "Look." and answer.steps[0].tokens == 15 and answer.steps[1].tokens == 0
    assert all(step.results >= 1 and not step.error for step in answer.steps)
    assert answer.text == "Call `sign_in` [1], as login.py does, and never."
    assert answer.cited == Cited(verified=(1,), dropped=(99,))
    read = [(one.chunk.path, one.chunk.start_line, one.chunk.end_line) for one in answer.results or ()]
    assert ("login.py", 1, 5) in read and len(set(read)) == len(read)
    # What was retrieved grows as it is read, and only the steps come between.
    grown = [len(event.results) for event in events if isinstance(event, Retrieved)]
    assert grown == sorted(grown) and grown[-1] > grown[0]
    assert answer.usage.completion_tokens == 5 + 5 + 9


async def test_what_tools_answer_stands_in_the_conversation_with_numbers(indexes: Indexes) -> None:
    model = ScriptedModel("writer", calling(("find_symbol", {"name": "parse_cookie"})), "Done [1].")
    await fold(flow(model, indexes).stream(ask("cookies")))
    first, second = (request.messages for request in model.requests)
    # The app's own search stands there as the model's first call.
    assert [turn.role for turn in first] == ["system", "user", "assistant", "tool"]
    assert first[2].tool_calls[0].name == "search_code" and first[3].content.startswith("[1] shop: ")
    assert second[4].tool_calls[0].id == second[5].tool_call_id
    assert "auth/session.py" in second[5].content and "definition parse_cookie" in second[5].content
    assert {tool["function"]["name"] for tool in model.requests[0].tools} == {
        "search_code", "find_symbol", "grep_code", "read_file",
    }  # fmt: skip
    assert model.requests[0].tool_choice == "auto"


async def test_a_model_that_answers_at_once_is_asked_once(indexes: Indexes) -> None:
    model = ScriptedModel("writer", "`SessionStore.open` does [1].")
    answer = await fold(flow(model, indexes).stream(ask()))
    assert len(model.requests) == 1 and answer.steps == []
    assert answer.text == "`SessionStore.open` does [1]." and answer.cited == Cited(verified=(1,))


async def test_a_long_answer_streams_and_an_announcement_does_not_become_content(indexes: Indexes) -> None:
    long = " ".join(f"word{number}" for number in range(200))
    model = ScriptedModel(
        "writer", calling(("search_code", {"query": "cookies"}), saying="I will look."), long
    )
    answer, events = await seen(flow(model, indexes).stream(ask()))
    assert answer.text == long
    assert sum(isinstance(event, TextDelta) for event in events) > 50
    assert answer.steps[0].thought == "I will look."


async def test_bad_calls_are_answered_with_the_error_so_that_the_model_can_mend_them(
    indexes: Indexes,
) -> None:
    model = ScriptedModel(
        "writer",
        calling(("find_symbol", '{"name": '), ("no_such_tool", {}), ("grep_code", {"regex": "x"})),
        calling(("read_file", {"path": "nope.py"}), ("grep_code", {"pattern": "(?=x)"})),
        calling(("find_symbol", {"name": "sign_in"})),
        "Mended.",
    )
    answer = await fold(flow(model, indexes).stream(ask()))
    said = [turn.content for turn in model.requests[2].messages if turn.role == "tool"][1:]
    assert [text.startswith("Error: ") for text in said] == [True] * 5
    assert "not JSON" in said[0] and "There are: search_code" in said[1] and "`pattern`" in said[2]
    assert "nope.py" in said[3] and "look-around" in said[4]
    assert answer.text == "Mended." and not answer.steps[-1].error


async def test_a_call_made_before_is_noticed_and_fruitless_turns_end_in_an_answer(indexes: Indexes) -> None:
    same = calling(("search_code", {"query": "cookies"}))
    model = ScriptedModel("writer", same, same, same, same, "Enough.", "unused")
    answer = await fold(flow(model, indexes).stream(ask()))
    assert [step.error for step in answer.steps] == ["", REPEATED, REPEATED, REPEATED]
    assert answer.text == "Enough." and model.requests[4].tool_choice == "none"


@pytest.mark.parametrize("limits", ["steps: 2", "steps: 50, tokens: 1000"])
async def test_at_every_limit_the_model_is_told_to_answer(indexes: Indexes, limits: str) -> None:
    rounds = [
        calling(("grep_code", {"pattern": f"word{number}"}), usage=Usage(400, 150)) for number in range(2)
    ]
    model = ScriptedModel("writer", *rounds, "The answer.")
    answer = await fold(flow(model, indexes, limits).stream(ask()))
    assert answer.text == "The answer." and len(answer.steps) == 2
    assert model.requests[-1].tool_choice == "none" and last_turn(model, -1).endswith(ANSWER_NOW)


async def test_a_model_that_thinks_until_the_time_is_over_is_told_to_answer(indexes: Indexes) -> None:
    model = ScriptedModel("writer", calling(("grep_code", {"pattern": "open"})), "The answer.", delay=0.2)
    answer = await fold(flow(model, indexes, "seconds: 0.3").stream(ask()))
    assert answer.text == "The answer." and answer.steps == [] and model.cancelled == 1
    assert model.requests[1].tool_choice == "none" and last_turn(model, 1).endswith(ANSWER_NOW)


async def test_a_model_that_only_calls_tools_still_gets_its_references_laid_out(indexes: Indexes) -> None:
    model = ScriptedModel(
        "writer",
        calling(("find_symbol", {"name": "sign_in"})),
        calling(("find_symbol", {"name": "parse_cookie"})),
        "From the references [1].",
    )
    answer = await fold(flow(model, indexes, "steps: 1").stream(ask()))
    # The second request was told to answer and called a tool instead: the app asks as it always does.
    assert model.requests[1].tool_choice == "none" and not model.requests[2].tools
    assert last_turn(model, 2).startswith("Reference [1] ")
    assert answer.text == "From the references [1]."


async def test_an_answer_with_constraints_is_written_apart_from_the_calls(indexes: Indexes) -> None:
    wanted = {"type": "object", "properties": {"name": {"type": "string"}}}
    model = ScriptedModel("writer", calling(("find_symbol", {"name": "sign_in"})), "I know.", '{"name": "x"}')
    sampling = Sampling(json_schema=wanted, stop=("END",), max_tokens=64)
    answer = await fold(flow(model, indexes).stream(ask(sampling=sampling)))
    assert [request.sampling.json_schema for request in model.requests] == [None, None, wanted]
    assert answer.text == '{"name": "x"}'
    # What was asked for by name is laid out before what the search ranked.
    assert last_turn(model, 2).startswith("Reference [1] login.py:4-5")


async def test_the_output_of_tools_is_capped_and_old_output_makes_room(
    indexes: Indexes, tmp_path: Path
) -> None:
    big = tmp_path / "shop" / "big.py"
    big.write_text("\n".join(f"VALUE_{number} = {number}" for number in range(3000)))
    indexes.get("shop").update()
    reads = [calling(("read_file", {"path": "big.py", "start_line": n * 500 + 1})) for n in range(5)]
    model = ScriptedModel("writer", *reads, "Done.", context=2048)
    await fold(flow(model, indexes).stream(ask()))
    last = model.requests[-1].messages
    assert all(len(turn.content) <= 2 * 2048 * 3 * 0.15 + 200 for turn in last)
    assert sum(len(turn.content) for turn in last) < 2048 * 3
    assert any("left out to make room" in turn.content for turn in last)
    assert last[-1].content.startswith("[") and "VALUE_2000" in last[-1].content


async def test_an_endpoint_that_takes_no_tools_is_asked_with_json(indexes: Indexes) -> None:
    refused = UpstreamFailed("does not support tools", details={"upstream_status": 400})
    model = ScriptedModel("writer", [Failed(refused)], '{"tool": "answer", "arguments": {}}', "yes")
    answer = await fold(flow(model, indexes).stream(ask()))
    assert model.requests[0].tools and model.requests[1].sampling.json_schema is not None
    assert answer.text == "yes" and "stopped early" not in answer.note


async def test_a_model_that_fails_on_the_way_answers_from_what_was_read_and_says_so(indexes: Indexes) -> None:
    model = ScriptedModel(
        "writer",
        calling(("find_symbol", {"name": "sign_in"})),
        [Failed(UpstreamFailed("The endpoint is gone."))],
        "From what there is [1].",
    )
    answer = await fold(flow(model, indexes).stream(ask()))
    assert answer.text == "From what there is [1]." and "The endpoint is gone." in answer.note
    assert "login.py" in last_turn(model, 2)


async def test_the_trace_is_part_of_the_explanation(indexes: Indexes) -> None:
    model = ScriptedModel("writer", calling(("find_symbol", {"name": "sign_in"})), "Done [1].")
    answer = await fold(flow(model, indexes).stream(ask(explain=True)))
    assert answer.explained is not None
    assert answer.explained.question == "How are sessions opened?"
    assert list(answer.explained.steps) == answer.steps
    assert [turn.role for turn in answer.explained.prompt][-2:] == ["assistant", "tool"]
    told = explanation(answer.explained)
    assert told["prompt"][-2]["content"] == 'find_symbol({"name": "sign_in"})'
    assert told["steps"][0]["tool"] == "find_symbol"


async def test_over_http_the_conversation_has_the_shape_that_endpoints_want(indexes: Indexes) -> None:
    def piece(**function: str) -> dict[str, Any]:
        call = {"index": 0, "function": function} | ({"id": "c1"} if "name" in function else {})
        return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}

    called = endpoint.stream(
        piece(name="find_symbol", arguments='{"na'),
        piece(arguments='me": "sign_in"}'),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    )
    answered = endpoint.stream(endpoint.said("As in [1]."), endpoint.FINISHED, endpoint.USAGE)
    async with endpoint.running(called, answered) as there:
        model = OpenAICompatible("m", there.url + "/v1", model="gpt-x")
        try:
            answer = await fold(flow(model, indexes).stream(ask()))
        finally:
            await model.close()
        (_, first), (_, second) = there.asked
    assert first["tool_choice"] == "auto" and first["tools"][0]["type"] == "function"
    assert "parallel_tool_calls" not in first
    call, result = second["messages"][-2:]
    assert call["content"] is None and call["tool_calls"] == [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "find_symbol", "arguments": '{"name": "sign_in"}'},
        }
    ]
    assert (result["role"], result["tool_call_id"]) == ("tool", "c1") and "sign_in" in result["content"]
    assert answer.text == "As in [1]." and answer.steps[0].arguments == {"name": "sign_in"}


async def test_nothing_is_looked_up_unless_an_agent_is_wanted(indexes: Indexes) -> None:
    model = ScriptedModel("writer", "Plain.")
    await fold(flow(model, indexes).stream(ask(retrieval=Retrieval())))
    assert not model.requests[0].tools
    await fold(flow(model, indexes, "always: true").stream(ask(retrieval=Retrieval())))
    assert model.requests[1].tools


async def test_closing_the_answer_closes_the_model(indexes: Indexes) -> None:
    model = ScriptedModel("writer", " ".join(["word"] * 500))
    stream = flow(model, indexes).stream(ask())
    async for event in stream:
        if isinstance(event, TextDelta):
            break
    await stream.aclose()  # type: ignore[attr-defined]
    assert model.cancelled == 1


# ── models that do not ───────────────────────────────────────────────────────────────────────────────────────


def chose(tool: str, **arguments: Any) -> str:
    return json.dumps({"tool": tool, "arguments": arguments})


async def test_a_model_without_tools_chooses_each_step_as_json(indexes: Indexes) -> None:
    model = ScriptedModel(
        "small",
        chose("find_symbol", name="sign_in"),
        chose("read_file", path="login.py", start_line=1, end_line=5),
        chose("answer"),
        *["yes"] * 3,
        "Use `sign_in` [1].",
        skills=NO_TOOLS,
    )
    answer = await fold(flow(model, indexes, "steps: 5").stream(ask()))
    assert [step.tool for step in answer.steps] == ["find_symbol", "read_file"]
    assert all(request.sampling.json_schema and not request.tools for request in model.requests[:3])
    assert 'find_symbol {"name": "sign_in"}: 1 results' in last_turn(model, 1)
    assert "definition sign_in" in last_turn(model, 1)
    assert (answer.results or ())[0].chunk.path == "login.py"


async def test_what_it_found_is_judged_before_the_answer(indexes: Indexes) -> None:
    model = ScriptedModel("small", chose("answer"), "no", skills=NO_TOOLS)
    answer = await fold(flow(model, indexes).stream(ask()))
    assert [step.tool for step in answer.steps] == ["judge"] and answer.steps[0].results == 0
    assert answer.steps[0].tokens > 0 and answer.results == ()


@pytest.mark.parametrize("said", ["no JSON at all", "[]", '{"tool": 3}', chose("no_such_tool"), ""])
async def test_a_choice_that_is_none_ends_the_search_well(indexes: Indexes, said: str) -> None:
    model = ScriptedModel("small", said, "The answer.", skills=NO_TOOLS)
    answer = await fold(flow(model, indexes, "steps: 5").stream(ask()))
    assert answer.text == "The answer." and answer.steps == []


async def test_a_model_that_repeats_itself_is_stopped(indexes: Indexes) -> None:
    model = ScriptedModel(
        "small",
        chose("grep_code", pattern="open"),
        chose("grep_code", pattern="open"),
        "Fine.",
        skills=NO_TOOLS,
    )
    answer = await fold(flow(model, indexes, "steps: 9").stream(ask()))
    assert [step.error for step in answer.steps] == ["", REPEATED]
    assert answer.text == "Fine." and len(model.requests) == 3


def test_the_schema_of_a_choice_is_one_and_accepts_exactly_the_tools(indexes: Indexes) -> None:
    tools = IndexTools(indexes).tools()
    wanted = schema.checked(choices(tools))
    valid = Draft202012Validator(wanted)
    assert valid.is_valid({"tool": "find_symbol", "arguments": {"name": "x", "find": "callers"}})
    assert valid.is_valid({"tool": "answer", "arguments": {}})
    assert not valid.is_valid({"tool": "find_symbol", "arguments": {"find": "callers"}})
    assert not valid.is_valid({"tool": "find_symbol", "arguments": {"name": "x", "find": "nonsense"}})
    assert not valid.is_valid({"tool": "rm", "arguments": {}})
    assert "find_symbol(name, find?): " in menu(tools) and menu(tools).count("\n") == len(tools)
    assert read_choice("x").tool == "answer"


async def test_the_starter_ends_well_with_an_agent(indexes: Indexes) -> None:
    model = EmbeddedModel("starter", bundled())
    try:
        answer, events = await seen(
            flow(model, indexes, "steps: 3").stream(ask("open a session", sampling=Sampling(max_tokens=24)))
        )
    finally:
        await model.close()
    assert isinstance(events[-1], Done) and answer.text
    assert len(answer.steps) <= 3 and "stopped early" not in answer.note
    assert all(set(step.arguments) for step in answer.steps)


# ── the tools and the notebook ───────────────────────────────────────────────────────────────────────────────


async def test_tools_stay_within_what_the_request_allows(indexes: Indexes) -> None:
    scope = Retrieval(index="shop", filters=Filters(paths=("auth/**",)))
    tools = IndexTools(indexes, scope)
    offered = {tool.name: set(tool.parameters["properties"]) for tool in tools.tools()}
    assert "list_indexes" not in offered
    assert all(not {"index", "paths"} & names for names in offered.values())
    found = await tools.call("grep_code", {"pattern": "SessionStore"})
    assert found.pieces and all("auth/session.py" in piece.text for piece in found.pieces)
    with pytest.raises(InvalidRequest, match="decided by the request"):
        await tools.call("grep_code", {"pattern": "x", "paths": ["**"]})
    with pytest.raises(Exception, match=r"login\.py"):
        await tools.call("read_file", {"path": "login.py"})


async def test_every_place_belongs_to_the_function_it_stands_in(indexes: Indexes) -> None:
    output = await IndexTools(indexes).call("grep_code", {"pattern": "token_urlsafe"})
    (piece,) = output.pieces
    assert piece.source is not None and piece.source.chunk.name == "SessionStore"
    results = [piece.source]
    assert await IndexRetriever(indexes).standing(results, "shop") == [True]
    read = await IndexTools(indexes).call("read_file", {"path": "login.py", "start_line": 2, "end_line": 4})
    sources = [one.source for one in read.pieces if one.source is not None]
    assert await IndexRetriever(indexes).standing(sources, None) == [True]
    found = await IndexRetriever(indexes).search(Query("sessions", "shop", 3))
    assert found


def test_without_an_index_there_are_no_tools(tmp_path: Path) -> None:
    assert IndexTools(Indexes(tmp_path / "none", WordEncoder())).tools() == ()


def piece(name: str, text: str) -> Piece:
    return Piece(text, SearchResult(Chunk("r", name, 1, 2, "python", "function", name, text), 1.0))


def test_a_source_keeps_its_number_and_what_does_not_fit_is_no_reference() -> None:
    book = Notebook()
    assert book.told(ToolOutput((piece("a", "one"), piece("b", "two"))), 100) == "[1] one\n[2] two"
    assert book.told(ToolOutput((piece("b", "two"), piece("c", "three"))), 100) == "[2] two\n[3] three"
    told = book.told(ToolOutput((piece("d", "x" * 50), piece("e", "y" * 100))), 80)
    assert told.startswith("[4] xxx") and "1 more that did not fit" in told
    assert len(book.sources) == 4


def test_the_oldest_output_is_left_out_first_and_the_newest_never() -> None:
    turns = [Message("user", "q"), *(Message("tool", letter * 1000, tool_call_id=letter) for letter in "abc")]
    kept = shortened(turns, 2500)
    assert [turn.content[:1] for turn in kept] == ["q", "(", "b", "c"]
    assert [turn.content[:1] for turn in shortened(turns, 10)] == ["q", "(", "(", "c"]
    assert shortened(turns, 10_000) == tuple(turns)
