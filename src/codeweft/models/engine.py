"""Starts the engine's process, watches it, restarts it after a crash, and speaks HTTP with it.

    stopped ──> starting ──> ready ──crash──> restarting ──> ready
                    └──────> failed <─────────────┘ (crashed too often, or the model cannot be loaded)

A failed engine is tried again by the first request after `RETRY_AFTER` seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
import psutil

from codeweft.errors import CodeweftError, EngineFailed, NotReady

Status = Literal["stopped", "starting", "ready", "failed", "restarting"]
RETRY_AFTER: Final = 10.0
CRASHES_IN_A_ROW: Final = 5
STABLE_AFTER: Final = 60.0
"""An engine that ran so many seconds has its earlier crashes forgiven."""
LOSS_KNOWN_FOR: Final = 5.0
"""Seconds within which a broken connection is put down to the last crash."""
TAIL_LINES: Final = 40
QUESTIONS: Final = 4
"""Connections for short questions. They stay open, and each keeps one of the engine's HTTP threads."""
QUESTION_IDLE: Final = 3.0
"""Seconds until such a connection is given up; the engine itself gives it up after 5."""
_COMPLAINT: Final = re.compile(r"(?:[\d.]+ )?E [^:]*: *(.+)|.*?(\S*ASSERT.*)")
_CHILD: Final = Path(__file__).with_name("engine_child.py")
_ENVIRONMENT: Final = {
    # Waiting threads sleep; spinning ones cost a factor of ten on a busy machine.
    "OMP_WAIT_POLICY": "passive",
    # A failed assertion would fork a debugger that never ends.
    "GGML_NO_BACKTRACE": "1",
    # The child's own folder must not shadow what the engine imports.
    "PYTHONSAFEPATH": "1",
}
_OURS: Final = ("PYTHONPATH", "PYTHONHOME")
_SIGNALS: Final = {
    signal.SIGKILL: "it was killed, most likely because memory ran out",
    signal.SIGILL: "this CPU lacks AVX2, which the engine's wheel needs",
    signal.SIGABRT: "an assertion in the engine failed",
    signal.SIGSEGV: "it crashed (segmentation fault)",
    signal.SIGTERM: "it was told to stop",
}


@dataclass(frozen=True, slots=True)
class Health:
    """How a hang is noticed: asked `every` so many seconds, `misses` answers in a row not within `timeout` seconds.

    A busy machine that swaps may take long to answer once; a process that hangs never does.
    """

    every: float = 10.0
    timeout: float = 20.0
    misses: int = 3


@dataclass(frozen=True, slots=True)
class ProcessState:
    """Where the process stands; `reason` says why it failed, restarts, or had to be started again."""

    status: Status
    reason: str = ""
    pid: int | None = None
    restarts: int = 0
    memory_mb: int = 0


def complaints(log: list[str]) -> list[str]:
    """The errors in lines of the engine's log, without time and place."""
    found = (_COMPLAINT.match(line) for line in log)
    return [(match[1] or match[2]).strip()[:300].rstrip(".") for match in found if match is not None]


def explain(returncode: int | None, log: list[str]) -> str:
    """Why the engine ended, from its return code and the last lines of its log."""
    number = -returncode if returncode is not None and returncode < 0 else (returncode or 0) - 128
    try:
        cause = _SIGNALS.get(signal.Signals(number), "")
    except ValueError:
        cause = ""
    if not cause:
        cause = f"it ended with code {returncode}" if returncode is not None else "it does not answer"
    said = complaints(log)
    if returncode == -signal.SIGKILL or not said:
        return cause
    return f"{cause}; its log says: {said[-1]}"


def load_failure(error: str, returncode: int, log: list[str]) -> str:
    """Why a model was not loaded: the first error in the log is the cause, `error` only says that there was one."""
    if returncode < 0:
        return explain(returncode, log)
    said = complaints(log)
    return said[0] if said else error.rstrip(".") or explain(returncode, log)


def back_off(crashes: int) -> float:
    """Seconds before restart number `crashes`: at once first, then doubling up to half a minute."""
    return 0.0 if crashes <= 1 else min(30.0, 0.5 * 2.0 ** (crashes - 1))


class Engine:
    """One managed engine process. Every method must be called from the same event loop."""

    def __init__(
        self,
        subject: str,
        parameters: Callable[[], Mapping[str, Any]],
        *,
        python: str | None = None,
        start_timeout: float = 600,
        probe: Callable[[], str] = lambda: "/health",
        health: Health = Health(),
    ) -> None:
        """`subject` names the model in messages; `parameters` gives llama.cpp's, as dotted names, at each start.

        `probe` names the route that must answer for the process to count as alive.
        """
        self._subject = subject
        self._parameters = parameters
        self._probe = probe
        self._health = health
        self._python = python or sys.executable
        self._start_timeout = start_timeout
        self._state = ProcessState("stopped")
        self._failed_at = 0.0
        self._crash = ""
        self._crashed_at = -LOSS_KNOWN_FOR
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._life: asyncio.Task[None] | None = None
        self._up: asyncio.Future[None] | None = None
        self._down = asyncio.Event()
        self._child: asyncio.subprocess.Process | None = None
        self._log: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._questions: aiohttp.ClientSession | None = None
        self._url = ""
        self._key = ""

    @property
    def state(self) -> ProcessState:
        state = self._state
        if state.pid is None:
            return state
        try:
            return replace(state, memory_mb=psutil.Process(state.pid).memory_info().rss >> 20)
        except psutil.Error:
            return state

    @property
    def pid(self) -> int | None:
        return self._state.pid

    async def ready(self) -> None:
        """Return when requests can be sent; start the process if need be. Raises `EngineFailed`."""
        if self._state.status == "failed" and time.monotonic() - self._failed_at < RETRY_AFTER:
            raise self._failure()
        if self._life is None or self._life.done():
            self._up = None
            self._set("starting")
            self._life = asyncio.create_task(self._live())
            self._life.add_done_callback(self._ended)
        await asyncio.shield(self._awaited())

    async def post(self, path: str, body: bytes, *, question: bool = False) -> aiohttp.ClientResponse:
        """POST JSON; the caller closes the response. Raises aiohttp's errors when the process is gone.

        When it dies before it answered anything, its restart is waited for and the request sent once more.
        A `question` is answered at once, over a connection that stays open: opening one takes the engine longer.
        """
        try:
            return await self._post(path, body, question)
        except (aiohttp.ClientError, ConnectionError):
            failure = await self.loss()
            if self._state.status == "stopped":
                raise failure from None
            await self.ready()
            return await self._post(path, body, question)

    async def _post(self, path: str, body: bytes, question: bool) -> aiohttp.ClientResponse:
        session = self._questions if question else self._session
        if session is None or session.closed:
            raise self._failure()
        return await session.post(
            self._url + path,
            data=body,
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"},
        )

    async def get(self, path: str) -> Any:
        """GET JSON. Raises aiohttp's errors and `TimeoutError`."""
        assert self._session is not None, "ready() comes first"
        async with self._session.get(
            self._url + path,
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=aiohttp.ClientTimeout(total=self._health.timeout),
        ) as response:
            response.raise_for_status()
            return await response.json()

    async def loss(self) -> EngineFailed:
        """The error for a request whose connection broke: waits a moment for the process to be known dead."""
        if time.monotonic() - self._crashed_at > LOSS_KNOWN_FOR and self._state.status != "stopped":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._down.wait(), LOSS_KNOWN_FOR)
        return self._failure()

    async def close(self) -> None:
        """End the process. It can be started again by `ready()`."""
        life, self._life = self._life, None
        self._set("stopped", "it was stopped")
        self._down.set()
        if life is not None:
            life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life
        if self._up is not None and not self._up.done():
            self._resign(NotReady(f"The engine of {self._subject} was stopped.", fix="Start Codeweft again."))

    # ── the life of the process ─────────────────────────────────────────────────────────────────────────────

    async def _live(self) -> None:
        crashes = 0
        # One connection per answer: leaving an answer closes it.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        kept = aiohttp.TCPConnector(limit=QUESTIONS, keepalive_timeout=QUESTION_IDLE)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as self._session,
            aiohttp.ClientSession(connector=kept, timeout=timeout) as self._questions,
        ):
            while True:
                try:
                    reason = await self._start()
                    if reason is not None:
                        self._fail(reason)
                        return
                    began = time.monotonic()
                    reason = await self._watch()
                    self._crash, self._crashed_at = reason, time.monotonic()
                    # Who comes while the process is being ended waits for the next one.
                    self._up = None
                    self._set("restarting", reason)
                finally:
                    await self._kill()
                crashes = 1 if time.monotonic() - began > STABLE_AFTER else crashes + 1
                if crashes > CRASHES_IN_A_ROW:
                    self._fail(f"it crashed {crashes} times in a row; the last time, {reason}")
                    return
                self._state = replace(self._state, restarts=self._state.restarts + 1)
                self._down.set()
                await asyncio.sleep(back_off(crashes))

    async def _start(self) -> str | None:
        """Start the process and wait until the model is loaded. Returns what went wrong, if anything did."""
        self._tail.clear()
        self._key = secrets.token_urlsafe(24)
        inherited = dict(os.environ)
        if self._python != sys.executable:
            # These speak of this interpreter's packages, not of the other's.
            inherited = {name: value for name, value in inherited.items() if name not in _OURS}
        try:
            child = await asyncio.create_subprocess_exec(
                self._python,
                str(_CHILD),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=inherited | _ENVIRONMENT,
            )
        except OSError as error:
            return f"{self._python} cannot be started: {error.strerror}"
        self._child = child
        self._state = replace(self._state, pid=child.pid)
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        self._log = asyncio.create_task(self._read_log(child.stderr))
        fixed = {
            "hostnames": ["127.0.0.1"],
            "port": 0,
            "api_keys": [self._key],
            "ui": False,
            "offline": True,
            "endpoint_metrics": True,
            "endpoint_slots": True,
            "verbosity": 1,
        }
        try:
            child.stdin.write(json.dumps(fixed | dict(self._parameters())).encode() + b"\n")
            await child.stdin.drain()
            line = await asyncio.wait_for(child.stdout.readline(), self._start_timeout)
        except TimeoutError:
            return f"it did not load within {self._start_timeout:.0f} s"
        except ConnectionError:
            line = b""
        answer = json.loads(line) if line.strip() else {}
        if "url" not in answer:
            code = await child.wait()
            await self._log
            return load_failure(answer.get("error", ""), code, list(self._tail))
        self._url = answer["url"]
        self._down.clear()
        restarts = self._state.restarts
        self._state = ProcessState("ready", self._crash if restarts else "", child.pid, restarts)
        self._awaited().set_result(None)
        return None

    async def _watch(self) -> str:
        """Return why the process is no longer there, or why it must be ended."""
        assert self._child is not None
        gone = asyncio.create_task(self._child.wait())
        misses = 0
        try:
            while misses < self._health.misses:
                done, _ = await asyncio.wait({gone}, timeout=self._health.every)
                if done:
                    return explain(self._child.returncode, list(self._tail))
                try:
                    await self.get(self._probe())
                    misses = 0
                except (aiohttp.ClientError, TimeoutError, ValueError):
                    misses += 1
            return explain(None, list(self._tail))
        finally:
            gone.cancel()

    async def _kill(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        await child.wait()

    async def _read_log(self, stderr: asyncio.StreamReader) -> None:
        while line := await _line(stderr):
            self._tail.append(line)

    # ── state ───────────────────────────────────────────────────────────────────────────────────────────────

    def _awaited(self) -> asyncio.Future[None]:
        if self._up is None:
            self._up = asyncio.get_running_loop().create_future()
        return self._up

    def _set(self, status: Status, reason: str = "") -> None:
        self._state = ProcessState(status, reason, restarts=self._state.restarts)

    def _ended(self, life: asyncio.Task[None]) -> None:
        """A bug here must not leave requests waiting for ever."""
        if not life.cancelled() and (error := life.exception()) is not None:
            self._fail(f"unexpectedly, {error!r}")

    def _fail(self, reason: str) -> None:
        self._set("failed", reason)
        self._failed_at = time.monotonic()
        self._down.set()
        if not self._awaited().done():
            self._resign(self._failure())

    def _resign(self, error: CodeweftError) -> None:
        waiting = self._awaited()
        waiting.set_exception(error)
        # Nobody may be waiting, which is no reason to log a traceback.
        waiting.exception()

    def _failure(self) -> EngineFailed:
        reason = self._state.reason or self._crash or "the connection to it broke"
        restarting = self._state.status != "failed"
        return EngineFailed(
            f"The engine of {self._subject} failed: {reason}.",
            fix="It restarts by itself; try again."
            if restarting
            else "Check the model file and the memory this machine has free (`codeweft models`).",
        )


async def _line(stream: asyncio.StreamReader) -> str:
    """The next line of a log, overlong ones in pieces; empty at the end."""
    try:
        raw = await stream.readline()
    except ValueError:
        return "(overlong line)"
    return raw.decode("utf-8", "replace").rstrip("\n") or ("\0" if raw else "")
