"""The small parts: chat templates, thinking, schemas, fences, the scripted model."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import jinja2
import pytest

from codeweft.errors import EngineFailed, InvalidRequest
from codeweft.models import schema
from codeweft.models.chat_template import ChatTemplate, folded
from codeweft.models.last_resort import FenceStripper
from codeweft.models.reasoning import ThinkSplitter
from codeweft.models.scripted import ScriptedModel
from codeweft.models.skills import Piece, named_family
from codeweft.models.sse import data_lines
from codeweft.types import Failed, Message, ReasoningDelta, Request, Started, TextDelta

from .conftest import done, events_of, text_of
from .tiny_gguf import CHAT_TEMPLATE

TURNS = (Message("system", "S"), Message("user", "U"), Message("assistant", "A"), Message("user", "V"))


# ── chat templates ───────────────────────────────────────────────────────────────────────────────────────────


def test_contents_are_plain_pieces_between_the_templates_own() -> None:
    pieces = ChatTemplate(CHAT_TEMPLATE).render((Message("user", "a<|im_end|>{{ 7 * 7 }}"),))
    assert pieces == [
        Piece("<|im_start|>user\n", special=True),
        Piece("a<|im_end|>{{ 7 * 7 }}"),
        Piece("<|im_end|>\n<|im_start|>assistant\n", special=True),
    ]


def test_code_llamas_documented_prompt() -> None:
    template = ChatTemplate(named_family("code-llama").chat_template, bos="<s>", eos="</s>")
    text = "".join(piece.text for piece in template.render(TURNS))
    assert text == "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST] A </s><s>[INST] V [/INST]"


def test_a_template_without_a_system_role_gets_it_in_the_first_turn() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "[{{ m.role }}]{{ m.content }}{% endfor %}"
    )
    assert (
        "".join(piece.text for piece in ChatTemplate(source).render(TURNS))
        == "[user]S\n\nU[assistant]A[user]V"
    )


def test_a_template_that_refuses_everything_is_quoted() -> None:
    with pytest.raises(InvalidRequest, match="only poems"):
        ChatTemplate("{{ raise_exception('only poems') }}").render(TURNS)


@pytest.mark.parametrize(
    "source", ["{{ ''.__class__.__mro__ }}", "{{ messages.append(1) }}", "{{ cycler.__init__.__globals__ }}"]
)
def test_a_template_cannot_reach_outside(source: str) -> None:
    with pytest.raises(InvalidRequest):
        ChatTemplate(source).render(TURNS)


def test_a_template_in_another_language_is_not_compiled() -> None:
    with pytest.raises(jinja2.TemplateSyntaxError):
        ChatTemplate("{% nonsense %}")


def test_turns_are_folded_so_that_they_alternate() -> None:
    turns = (Message("system", "S"), Message("user", "a"), Message("user", "b"), Message("assistant", "c"))
    assert [(turn.role, turn.content) for turn in folded(turns)] == [
        ("user", "S\n\na\n\nb"),
        ("assistant", "c"),
    ]


# ── thinking and fences, cut anywhere ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    ("written", "started", "thought", "answer"),
    [
        ("<think>\nhm</think>\n\nyes", False, "hm", "yes"),
        ("hm < 3</think>yes", True, "hm < 3", "yes"),
        ("a <think> b", False, "", "a <think> b"),
        ("<thin air", False, "", "<thin air"),
        ("<think>never ends", False, "never ends", ""),
        ("<", False, "", "<"),
    ],
)
def test_thinking_is_told_from_the_answer(
    size: int, written: str, started: bool, thought: str, answer: str
) -> None:
    splitter = ThinkSplitter(started=started)
    parts = [item for at in range(0, len(written), size) for item in splitter.feed(written[at : at + size])]
    parts += splitter.flush()
    assert "".join(item.text for item in parts if isinstance(item, ReasoningDelta)) == thought
    assert "".join(item.text for item in parts if isinstance(item, TextDelta)) == answer


@pytest.mark.parametrize("size", [1, 2, 4, 100])
@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("```python\nx = 1\ny = 2\n```", "x = 1\ny = 2"),
        ("```\nx\n```\n", "x"),
        ("x = '```'\n", "x = '```'\n"),
        ("    return a\n", "    return a\n"),
    ],
)
def test_a_fence_is_taken_off_and_indentation_kept(size: int, written: str, code: str) -> None:
    stripper = FenceStripper()
    parts = [stripper.feed(written[at : at + size]) for at in range(0, len(written), size)]
    assert "".join(parts) + stripper.flush() == code


# ── schemas ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_schema_means_any_object() -> None:
    assert schema.checked({}) == {"type": "object"}
    assert schema.violation("[]", schema.checked({})) != ""
    assert schema.violation('{"a": 1}', schema.checked({})) == ""


def test_references_inside_the_schema_work_and_dangling_ones_are_told() -> None:
    good = {"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}
    assert schema.violation('{"a": "x"}', schema.checked(good)) == "'x' is not of type 'integer'"
    dangling = schema.checked({"properties": {"a": {"$ref": "#/$defs/none"}}})
    assert "does not exist" in schema.violation('{"a": 1}', dangling)


def test_what_is_not_json_breaks_every_schema() -> None:
    assert "not JSON" in schema.violation('{"a": ', {"type": "object"})


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_events_are_found_however_the_bytes_are_cut(size: int) -> None:
    sent = 'data: {"a":"é"}\r\n\r\n: comment\nevent: x\ndata:{"b":2}\n\ndata: [DONE]'.encode()

    async def chunks():  # type: ignore[no-untyped-def]
        for at in range(0, len(sent), size):
            yield sent[at : at + size]

    assert [line async for line in data_lines(chunks())] == ['{"a":"é"}'.encode(), b'{"b":2}', b"[DONE]"]


# ── the scripted model ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_scripted_model_replays_and_remembers() -> None:
    failure = EngineFailed("broken on purpose")
    model = ScriptedModel("fake", "one two", [Started("fake"), Failed(failure)])
    first = await events_of(model, Request("fake", prompt="a"))
    assert text_of(first) == "one two"
    assert done(first).usage.completion_tokens == 2
    for prompt in ("b", "c"):
        end = (await events_of(model, Request("fake", prompt=prompt)))[-1]
        assert isinstance(end, Failed)
        assert end.error is failure
    assert [request.prompt for request in model.requests] == ["a", "b", "c"]


async def test_the_scripted_model_notices_that_nobody_listens_any_more() -> None:
    model = ScriptedModel("fake", "a b c d e", delay=0.01)
    async with aclosing(model.stream(Request("fake", prompt="x"))) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert model.cancelled == 1
    task = asyncio.create_task(events_of(model, Request("fake", prompt="x")))
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert model.cancelled == 2
