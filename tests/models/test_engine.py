"""The engine's process: crashes, restarts, load failures, and whose child it is."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from codeweft.errors import EngineFailed, NotReady
from codeweft.models.engine import Engine, Health, back_off, explain
from codeweft.models.machine import Machine
from codeweft.types import Failed, Request, Sampling, TextDelta

from .conftest import MakeModel, done, endless, error_of, events_of


def prompt(text: str, tokens: int = 16) -> Request:
    return Request("tiny", prompt=text, sampling=Sampling(temperature=1.0, max_tokens=tokens, seed=1))


async def test_an_engine_killed_while_it_answers_fails_that_answer_and_serves_the_next(
    slow: Path, make_model: MakeModel
) -> None:
    model = make_model(slow)
    await model.start()
    pid = model._loaded().engine.state.pid
    assert pid is not None
    last = None
    async with aclosing(model.stream(Request("tiny", prompt="a =", sampling=endless(model)))) as events:
        async for event in events:
            last = event
            if isinstance(event, TextDelta) and psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)
    assert isinstance(last, Failed)
    assert isinstance(last.error, EngineFailed)
    assert "killed, most likely because memory ran out" in last.error.message
    assert "try again" in last.error.fix
    assert done(await events_of(model, prompt("b ="))).usage.completion_tokens == 16
    assert model.state.restarts == 1
    assert model.state.status == "ready"


async def test_a_request_that_waits_during_a_crash_is_answered_after_the_restart(
    slow: Path, make_model: MakeModel
) -> None:
    model = make_model(slow, parallel=1)
    await model.start()
    running = asyncio.create_task(events_of(model, Request("tiny", prompt="a =", sampling=endless(model))))
    await asyncio.sleep(0.3)
    waiting = asyncio.create_task(events_of(model, prompt("b =")))
    await asyncio.sleep(0.1)
    os.kill(model._loaded().engine.state.pid or 0, signal.SIGABRT)
    error = error_of(await running)
    assert "assertion" in str(error)
    assert done(await waiting).usage.completion_tokens == 16


async def test_a_request_right_after_a_crash_does_not_notice_it(tiny: Path, make_model: MakeModel) -> None:
    model = make_model(tiny)
    await model.start()
    os.kill(model._loaded().engine.state.pid or 0, signal.SIGKILL)
    assert done(await events_of(model, prompt("a"))).usage.completion_tokens == 16
    assert model.state.restarts == 1


async def test_a_hanging_engine_is_ended_and_started_again_with_the_reason_shown(
    slow: Path, make_model: MakeModel
) -> None:
    model = make_model(slow)
    engine = model._loaded().engine
    engine._health = Health(every=0.2, timeout=1, misses=2)
    await model.start()
    running = asyncio.create_task(events_of(model, Request("tiny", prompt="a =", sampling=endless(model))))
    await asyncio.sleep(0.3)
    hanging = engine.pid or 0
    os.kill(hanging, signal.SIGSTOP)
    error = error_of(await asyncio.wait_for(running, 20))
    # From here on a machine that is merely busy must not count as hanging.
    engine._health = Health()
    assert isinstance(error, EngineFailed)
    assert "does not answer" in error.message
    assert "does not answer" in model.state.reason or model.state.status == "ready"
    assert done(await events_of(model, prompt("b ="))).usage.completion_tokens == 16
    assert (model.state.restarts, psutil.pid_exists(hanging)) == (1, False)


async def test_the_loop_that_writes_is_watched_and_not_only_the_door(
    slow: Path, make_model: MakeModel
) -> None:
    model = make_model(slow)
    file = model._loaded()
    await model.start()
    assert file._probe() == "/health"
    running = asyncio.create_task(events_of(model, Request("tiny", prompt="a =", sampling=endless(model))))
    await asyncio.sleep(0.3)
    assert file._probe() == "/slots"
    assert await file.engine.get(file._probe())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    sleeper = make_model(slow, idle_seconds=60)._loaded()
    sleeper.turns.busy = 1
    assert sleeper._probe() == "/health", "asking for slots would keep it from sleeping"


async def test_after_it_ran_out_of_memory_the_engine_is_sized_for_what_is_left(
    slow: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(slow, parallel=4, context=4096)
    await model.start()
    assert (model._loaded().plan.slots, model.info.context) == (4, 4096)
    cache = model._loaded().header.kv_bytes_per_token
    left = int((model._loaded().header.size * 1.2 + 3000 * cache * 4 / 3) / 0.8)
    monkeypatch.setattr("codeweft.models.loaded.this_machine", lambda *_: Machine(1, left))
    os.kill(model._loaded().engine.pid or 0, signal.SIGKILL)
    assert done(await events_of(model, prompt("a ="))).usage.completion_tokens == 16
    assert model._loaded().plan.slots == model._loaded().turns.slots == 1
    assert model.info.context is not None
    assert 2048 <= model.info.context < 4096
    slots = await model._loaded().engine.get("/slots")
    assert [slot["n_ctx"] for slot in slots] == [model.info.context]


async def test_closing_ends_running_answers_at_once(slow: Path, make_model: MakeModel) -> None:
    model = make_model(slow)
    await model.start()
    request = Request("tiny", prompt="a =", sampling=endless(model))
    running = asyncio.create_task(events_of(model, request))
    await asyncio.sleep(0.3)
    began = time.monotonic()
    await model.close()
    assert "it was stopped" in str(error_of(await running))
    assert time.monotonic() - began < 3


async def test_the_engine_is_started_by_the_first_request_and_ended_by_close(
    tiny: Path, make_model: MakeModel
) -> None:
    model = make_model(tiny)
    assert model.state.status == "stopped"
    done(await events_of(model, prompt("a")))
    pid = model._loaded().engine.state.pid
    assert model.state.status == "ready"
    assert model.state.memory_mb > 10
    await model.close()
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert model.state.status == "stopped"
    done(await events_of(model, prompt("a")))


async def test_closing_while_requests_wait_for_the_start_fails_them(
    slow: Path, make_model: MakeModel
) -> None:
    model = make_model(slow)
    waiting = asyncio.create_task(events_of(model, prompt("a")))
    await asyncio.sleep(0.02)
    assert model.state.status == "starting"
    await model.close()
    assert isinstance(error_of(await waiting), NotReady)


async def test_many_first_requests_start_one_engine(tiny: Path, make_model: MakeModel) -> None:
    model = make_model(tiny)
    results = await asyncio.gather(*(events_of(model, prompt(f"a{n}")) for n in range(8)))
    assert all(done(events) for events in results)
    children = [child for child in psutil.Process().children() if "engine_child" in " ".join(child.cmdline())]
    assert len(children) == 1


async def test_a_model_the_engine_cannot_load_is_told_with_the_engines_words(
    tiny: Path, tmp_path: Path, make_model: MakeModel
) -> None:
    broken = tmp_path / "broken.gguf"
    # The header is whole, but the architecture is one that no engine knows.
    broken.write_bytes(tiny.read_bytes().replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0zlama", 1))
    model = make_model(broken)
    error = error_of(await events_of(model, prompt("a")))
    assert isinstance(error, EngineFailed)
    assert "zlama" in error.message
    assert model.state.status == "failed"
    began = time.monotonic()
    assert isinstance(error_of(await events_of(model, prompt("a"))), EngineFailed)
    assert time.monotonic() - began < 0.2, "a failed model is not loaded again at every request"


async def test_an_interpreter_that_is_not_there_is_an_error_with_a_fix() -> None:
    engine = Engine("tiny", dict, python="/nowhere/python")
    with pytest.raises(EngineFailed, match="/nowhere/python cannot be started: No such file") as caught:
        await engine.ready()
    assert caught.value.fix
    await engine.close()


async def test_the_engine_wants_its_key(tiny: Path, make_model: MakeModel) -> None:
    model = make_model(tiny)
    await model.start()
    engine = model._loaded().engine
    assert await engine.get("/slots")
    child = psutil.Process(engine.state.pid or 0)
    assert engine._key not in " ".join(child.cmdline())
    engine._key = "wrong"
    async with await engine.post("/tokenize", b'{"content":"a"}') as response:
        assert response.status == 401


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux only")
async def test_when_memory_runs_out_the_engine_goes_first(tiny: Path, make_model: MakeModel) -> None:
    model = make_model(tiny)
    await model.start()
    assert Path(f"/proc/{model._loaded().engine.state.pid}/oom_score_adj").read_text().strip() == "1000"


def test_the_engine_ends_when_its_parent_is_killed(tiny: Path) -> None:
    script = textwrap.dedent(
        f"""
        import asyncio
        from pathlib import Path
        from codeweft.models.embedded import EmbeddedModel
        async def main():
            model = EmbeddedModel("tiny", Path({str(tiny)!r}))
            await model.start()
            print(model._loaded().engine.state.pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the engine outlives its parent"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-signal.SIGKILL, "memory ran out"),
        (-signal.SIGILL, "lacks AVX2"),
        (-signal.SIGABRT, "assertion"),
        (134, "assertion"),
        (-signal.SIGSEGV, "segmentation fault"),
        (7, "ended with code 7"),
        (None, "does not answer"),
    ],
)
def test_a_return_code_is_put_into_words(code: int | None, words: str) -> None:
    assert words in explain(code, [])


def test_the_last_complaint_of_the_log_is_shown() -> None:
    log = ["0.00.1 I srv init: all is well", "0.00.2 E srv    load_model: failed to load model, 'x.gguf'"]
    assert "failed to load model, 'x.gguf'" in explain(1, log)


def test_a_failed_assertion_is_shown() -> None:
    assert "GGML_ASSERT(n > 0) failed" in explain(134, ["/src/ggml.c:12: GGML_ASSERT(n > 0) failed"])


def test_restarts_back_off() -> None:
    assert [back_off(crashes) for crashes in (1, 2, 3, 4)] == [0, 1, 2, 4]
    assert back_off(99) == 30
