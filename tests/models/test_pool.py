"""One name, several endpoints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from codeweft.config import ModelSettings, Settings
from codeweft.errors import (
    CodeweftError,
    ContextOverflow,
    InvalidRequest,
    MissingSkill,
    Overloaded,
    UpstreamFailed,
)
from codeweft.models.openai_compatible import OpenAICompatible
from codeweft.models.pool import Member, Pool, PoolPolicy
from codeweft.models.scripted import ScriptedModel
from codeweft.stream import fold
from codeweft.types import Done, Event, Failed, Infill, Message, Request, Started, TextDelta, Usage
from tests.models import endpoint

ASKED = Request("pool", (Message("user", "hello"),))
NO_REST = PoolPolicy(cooldown=0.0)


def failing(name: str, error: CodeweftError) -> ScriptedModel:
    return ScriptedModel(name, [Started(name), Failed(error)])


def down(name: str) -> ScriptedModel:
    return failing(name, UpstreamFailed(f"{name} is down."))


async def test_the_next_endpoint_answers_when_one_fails_before_its_first_word() -> None:
    bad, good = down("bad"), ScriptedModel("good", "fine")
    pool = Pool("pool", [Member(bad), Member(good)])
    for _ in range(4):
        answer = await fold(pool.stream(ASKED))
        assert (answer.text, answer.model) == ("fine", "good")
    # After its first failure the broken one rests.
    assert len(bad.requests) <= 1
    assert good.requests[0].model == "good"


async def test_a_failure_in_the_middle_is_told_and_not_repaired() -> None:
    half = ScriptedModel("half", [Started("half"), TextDelta("par"), Failed(UpstreamFailed("Broke off."))])
    other = ScriptedModel("other", "fine")
    pool = Pool("pool", [Member(half)], fallbacks=[lambda: other])
    events = [event async for event in pool.stream(ASKED)]
    assert isinstance(events[-1], Failed)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["par"]
    assert other.requests == []
    assert pool.states()[0].failures == 1


async def test_a_request_that_is_wrong_is_wrong_everywhere() -> None:
    first, second = (failing(name, InvalidRequest("Too many stops.")) for name in ("first", "second"))
    pool = Pool("pool", [Member(first), Member(second)], fallbacks=[lambda: ScriptedModel("other", "x")])
    with pytest.raises(InvalidRequest, match="Too many stops"):
        await fold(pool.stream(ASKED))
    assert len(first.requests) + len(second.requests) == 1


async def test_the_fallback_answers_when_nobody_else_can() -> None:
    other = ScriptedModel("other", "fine")
    pool = Pool("pool", [Member(down("a")), Member(down("b"))], fallbacks=[lambda: down("c"), lambda: other])
    answer = await fold(pool.stream(ASKED))
    assert (answer.text, answer.model) == ("fine", "other")


async def test_a_prompt_that_is_too_long_goes_to_the_fallback_at_once() -> None:
    short = failing("short", ContextOverflow("9000 tokens do not fit."))
    other = ScriptedModel("other", "fine")
    pool = Pool("pool", [Member(short), Member(short)], fallbacks=[lambda: other])
    assert (await fold(pool.stream(ASKED))).text == "fine"
    assert len(short.requests) == 1
    assert pool.states()[0].failures == 0


async def test_only_endpoints_with_the_skill_are_asked() -> None:
    chatty = ScriptedModel("chatty", "no", skills=frozenset({"chat"}))
    filler = ScriptedModel("filler", "yes", skills=frozenset({"infilling"}))
    pool = Pool("pool", [Member(chatty), Member(filler)])
    asked = Request("pool", infill=Infill("a", "b"))
    for _ in range(3):
        assert (await fold(pool.stream(asked))).text == "yes"
    with pytest.raises(MissingSkill, match="completion"):
        await fold(pool.stream(Request("pool", prompt="x")))


async def test_the_least_busy_endpoint_is_chosen() -> None:
    one, two = (ScriptedModel(name, "a b c", delay=0.05) for name in ("one", "two"))
    pool = Pool("pool", [Member(one), Member(two)])
    await asyncio.gather(*(fold(pool.stream(ASKED)) for _ in range(6)))
    assert (len(one.requests), len(two.requests)) == (3, 3)
    assert [state.running for state in pool.states()] == [0, 0]


async def test_an_endpoint_gets_no_more_at_once_than_it_may_have() -> None:
    most = 0

    class Counted(ScriptedModel):
        running = 0

        async def stream(self, request: Request) -> AsyncGenerator[Event]:
            nonlocal most
            Counted.running += 1
            most = max(most, Counted.running)
            try:
                async for event in super().stream(request):
                    yield event
            finally:
                Counted.running -= 1

    pool = Pool("pool", [Member(Counted("one", "a b", delay=0.02), 2)])
    answers = await asyncio.gather(*(fold(pool.stream(ASKED)) for _ in range(7)))
    assert [answer.text for answer in answers] == ["a b"] * 7
    assert most == 2


async def test_a_full_queue_is_refused_at_once() -> None:
    slow = ScriptedModel("slow", "a b c", delay=0.2)
    pool = Pool("pool", [Member(slow, 1)], policy=PoolPolicy(queue=1))
    running = [asyncio.create_task(fold(pool.stream(ASKED))) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded):
        await fold(pool.stream(ASKED))
    assert [answer.text for answer in await asyncio.gather(*running)] == ["a b c"] * 2


async def test_a_slow_first_word_is_given_up_and_its_endpoint_left() -> None:
    slow, quick = ScriptedModel("slow", "late", delay=5), ScriptedModel("quick", "fine")
    pool = Pool("pool", [Member(slow, 4), Member(quick, 1)], policy=PoolPolicy(first_token=0.1))
    pool._members[1].rests_until = time.monotonic() + 0.05
    answer = await fold(pool.stream(ASKED))
    assert answer.text == "fine"
    assert slow.cancelled == 1


async def test_an_endpoint_recovers_after_its_rest() -> None:
    moody = ScriptedModel("moody", [Failed(UpstreamFailed("Busy."))], "fine")
    pool = Pool("pool", [Member(moody)], policy=PoolPolicy(attempts=1, cooldown=0.01))
    with pytest.raises(UpstreamFailed):
        await fold(pool.stream(ASKED))
    state = pool.states()[0]
    assert (state.failures, state.error) == (1, "Busy.")
    assert state.resting > 0
    # Resting, but the only one there is.
    assert (await fold(pool.stream(ASKED))).text == "fine"
    assert pool.states()[0].failures == 0


async def test_the_same_endpoint_is_asked_again_after_a_pause() -> None:
    moody = ScriptedModel("moody", [Failed(UpstreamFailed("Busy."))], [TextDelta("ok"), Done(Usage(1, 1))])
    pool = Pool("pool", [Member(moody)], policy=NO_REST)
    assert (await fold(pool.stream(ASKED))).text == "ok"
    assert len(moody.requests) == 2


async def test_leaving_cancels_the_endpoint_behind_it() -> None:
    slow = ScriptedModel("slow", "word " * 100, delay=0.01)
    pool = Pool("pool", [Member(slow)])
    async with aclosing(pool.stream(ASKED)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert slow.cancelled == 1
    assert pool.states()[0].running == 0


@pytest.mark.parametrize(
    ("code", "others_asked"), [(500, True), (429, True), (401, True), (400, False), (422, False)]
)
async def test_statuses_decide_whether_another_endpoint_is_asked(code: int, others_asked: bool) -> None:
    async with endpoint.running(endpoint.status(code, '{"error": {"message": "no"}}')) as bad:
        good = ScriptedModel("good", "fine")
        upstream = OpenAICompatible("bad", bad.url, model="m", attempts=1)
        pool = Pool("pool", [Member(upstream, 9), Member(good, 1)])
        pool._members[1].rests_until = time.monotonic() + 0.05
        try:
            answer = await fold(pool.stream(ASKED))
            assert others_asked and answer.text == "fine"
        except UpstreamFailed:
            assert not others_asked
        finally:
            await upstream.close()
        assert len(bad.asked) == 1


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ({"p": {"pool": ["p"]}}, "p is no single model"),
        ({"p": {"pool": ["a"], "path": "x.gguf"}}, "give one of"),
        ({"a": {"path": "x.gguf", "fallback": ["b"]}}, "belongs to a `pool`"),
        ({"p": {"pool": []}}, "at least 1"),
        ({"q": {"pool": ["a"]}, "p": {"pool": ["q"]}}, "q is no single model"),
    ],
)
def test_settings_that_make_no_pool_are_refused(models: dict[str, dict[str, object]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Settings.model_validate({"models": models})


def names(members: Sequence[str]) -> ModelSettings:
    return ModelSettings(pool=list(members))


async def test_a_pool_in_the_settings_answers_under_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    from codeweft.runtime.compose import open_runtime

    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path))
    chunk = '{"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}'
    stream = endpoint.status(200, f"data: {chunk}\n\ndata: [DONE]\n\n", kind="text/event-stream")
    async with endpoint.running(endpoint.status(503, "down")) as bad, endpoint.running(stream) as good:
        settings = Settings(
            models={
                "a": ModelSettings(base_url=bad.url, parallel=8),
                "b": ModelSettings(base_url=good.url, parallel=1),
                "team": names(["a", "b"]),
            }
        )
        async with open_runtime(settings) as runtime:
            answer = await fold(runtime.model("team").stream(ASKED))
            assert answer.text == "hi"
            assert {state.name for state in runtime.pools()["team"]} == {"a", "b"}
