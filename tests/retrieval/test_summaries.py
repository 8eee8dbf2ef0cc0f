"""Many functions, several models, some of them unwell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from codeweft.errors import ContextOverflow, NotSignedIn, Overloaded, UpstreamFailed
from codeweft.models.scripted import ScriptedModel
from codeweft.retrieval import summaries
from codeweft.retrieval.summaries import Summariser
from codeweft.retrieval.summarise import Task, language
from codeweft.types import Done, Event, Failed, Price, Request, Started, TextDelta, Usage

ENGLISH = language("en")
SAID = "Adds up the prices of everything in a cart and returns the sum."


def tasks(count: int) -> list[Task]:
    return [
        Task(n, f"shop/m{n}.py", "python", "function", f"f{n}", "", f"def f{n}(): ...") for n in range(count)
    ]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(summaries, "LONGEST_PAUSE", 0.01)


class Behaving(ScriptedModel):
    """Answers as a function of the request's number says: a text, or an error."""

    def __init__(
        self, name: str, behave: Callable[[int, Request], str | Exception], delay: float = 0.0
    ) -> None:
        super().__init__(name)
        self._behaviour = behave
        self._wait = delay
        self.at_once = self.most_at_once = 0

    async def stream(self, request: Request) -> AsyncGenerator[Event]:
        number = len(self.requests)
        self.requests.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self._wait)
            said = self._behaviour(number, request)
            yield Started(self.info.name)
            if isinstance(said, Exception):
                yield Failed(said)  # type: ignore[arg-type]
                return
            yield TextDelta(said)
            yield Done(Usage(100, 20))
        finally:
            self.at_once -= 1


async def test_every_function_gets_its_summary_and_the_tokens_are_counted_and_paid() -> None:
    model = Behaving("a", lambda n, request: SAID, delay=0.002)
    run = Summariser(tasks(20), [model], ENGLISH, prices={"a": Price(1.0, 10.0)}, parallel=3)
    await run.run()
    assert sorted(one.task.digest for one in run.take()) == list(range(20))
    spent = run.spent
    assert (spent.done, spent.failed, spent.prompt_tokens, spent.completion_tokens) == (20, 0, 2000, 400)
    assert spent.usd == pytest.approx(2000 / 1e6 + 400 * 10 / 1e6)
    assert model.most_at_once == 3


async def test_work_is_shared_between_models() -> None:
    models = [Behaving(name, lambda n, request: SAID, delay=0.002) for name in ("a", "b")]
    run = Summariser(tasks(40), models, ENGLISH, parallel=2)
    await run.run()
    assert {one.model for one in run.take()} == {"a", "b"}
    assert min(len(model.requests) for model in models) >= 10
    assert run.spent.usd is None


async def test_a_dead_model_loses_nothing_while_another_lives() -> None:
    dead = Behaving("dead", lambda n, request: UpstreamFailed("It cannot be reached."))
    alive = Behaving("alive", lambda n, request: SAID, delay=0.001)
    run = Summariser(tasks(30), [dead, alive], ENGLISH, parallel=2)
    await run.run()
    assert len(run.take()) == 30
    assert run.spent.failed == 0
    assert len(dead.requests) <= summaries.GIVE_UP + 1


async def test_a_model_that_was_unwell_is_used_again() -> None:
    model = Behaving("a", lambda n, request: Overloaded("Too many requests.") if n < 5 else SAID)
    run = Summariser(tasks(6), [model], ENGLISH, parallel=2)
    await run.run()
    assert (run.spent.done, run.spent.failed) == (6, 0)


async def test_when_no_model_is_left_the_run_ends_with_the_reason_and_keeps_what_it_has() -> None:
    model = Behaving("a", lambda n, request: SAID if n < 4 else UpstreamFailed("It cannot be reached."))
    run = Summariser(tasks(10), [model], ENGLISH, parallel=1)
    with pytest.raises(UpstreamFailed, match="cannot be reached"):
        await run.run()
    assert len(run.take()) == 4
    assert run.spent.failed == 0


async def test_a_wrong_key_ends_the_model_at_once() -> None:
    model = Behaving("a", lambda n, request: NotSignedIn("That key is not known."))
    run = Summariser(tasks(10), [model], ENGLISH, parallel=1)
    with pytest.raises(NotSignedIn):
        await run.run()
    assert len(model.requests) == 1


async def test_a_slow_model_is_left_and_another_takes_its_function() -> None:
    slow = Behaving("slow", lambda n, request: SAID, delay=30)
    quick = Behaving("quick", lambda n, request: SAID)
    run = Summariser(tasks(4), [slow, quick], ENGLISH, parallel=1, timeout=0.05)
    await asyncio.wait_for(run.run(), 10)
    written = run.take()
    assert len(written) == 4
    assert {one.model for one in written} == {"quick"}


async def test_useless_answers_are_asked_for_again_and_then_counted_as_failures_with_their_reason() -> None:
    model = Behaving(
        "a", lambda n, request: "Sorry, I cannot." if "f3" in request.messages[0].content else SAID
    )
    run = Summariser(tasks(5), [model], ENGLISH, parallel=1)
    await run.run()
    assert (run.spent.done, run.spent.failed) == (4, 1)
    (failure,) = run.spent.failures
    assert failure.name == "f3"
    assert "refused" in failure.reason
    assert len(model.requests) == 4 + summaries.ATTEMPTS
    # Asking the same again greedily would give the same answer.
    assert {request.sampling.temperature for request in model.requests[-2:]} == {0.6}


async def test_code_that_does_not_fit_is_cut_until_it_does() -> None:
    def behave(n: int, request: Request) -> str | Exception:
        return ContextOverflow("Too long.") if len(request.messages[0].content) > 2500 else SAID

    long = Task(1, "a.py", "python", "function", "f", "", "def f():\n" + "    work()\n" * 600)
    run = Summariser([long], [Behaving("a", behave)], ENGLISH)
    await run.run()
    assert run.spent.done == 1


async def test_a_model_with_a_small_context_is_shown_less() -> None:
    model = ScriptedModel("small", SAID, context=1024)
    long = Task(1, "a.py", "python", "function", "f", "", "def f():\n" + "    work()\n" * 600)
    await Summariser([long], [model], ENGLISH).run()
    assert len(model.requests[0].messages[0].content) < 1024 * 3.5
