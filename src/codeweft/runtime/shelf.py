"""The model files of this machine while the server runs: pulling them, putting them into use, taking them away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from codeweft.errors import CodeweftError, Conflict, NotFound
from codeweft.models import hub
from codeweft.models.embedded import EmbeddedModel
from codeweft.models.hub import InstalledModel, PullProgress

log = logging.getLogger(__name__)

PullState = Literal["running", "done", "failed", "cancelled"]
KEPT = 20
"""Pulls that have ended and are still told of."""
RATE_SECONDS = 1.0
"""No rate is told before: a connection's first moments say nothing about it."""


@dataclass(frozen=True, slots=True)
class Pull:
    """One download or import. `done` and `total` are bytes of its phase, `rate` bytes per second (None: not known yet)."""

    name: str
    reference: str
    state: PullState = "running"
    phase: str = "connecting"
    done: int = 0
    total: int | None = None
    rate: float | None = None
    error: CodeweftError | None = None

    @property
    def eta_s(self) -> float | None:
        if self.rate is None or self.total is None or self.rate <= 0:
            return None
        return (self.total - self.done) / self.rate


@dataclass
class _Running:
    task: asyncio.Task[None]
    began: float = 0.0
    begun_at: int = 0


class Shelf:
    """What is in the models folder, and what is on its way there. Every method belongs to the event loop."""

    def __init__(
        self,
        folder: Path,
        put: Callable[[InstalledModel], None],
        take: Callable[[str], EmbeddedModel | None],
        *,
        mirror: str | None = None,
        token: str | None = None,
    ) -> None:
        """`put` makes an installed model answer; `take` ends that and gives it back, or raises `Conflict`."""
        self._folder = folder
        self._put = put
        self._take = take
        self._mirror = mirror
        self._token = token
        self._pulls: dict[str, Pull] = {}
        self._running: dict[str, _Running] = {}

    def set_hub(self, mirror: str | None, token: str | None) -> None:
        """Where further models are pulled from."""
        self._mirror, self._token = mirror, token

    def installed(self) -> list[InstalledModel]:
        """The files in the folder, by name."""
        return hub.installed(self._folder)

    def pulls(self) -> list[Pull]:
        """Those at work, and the last that ended."""
        return list(self._pulls.values())

    def pull(self, reference: str) -> Pull:
        """Begin to bring a model in. Raises `InvalidRequest`, `NotFound`, or `Conflict` when it is there or on its way."""
        name = hub.locate(reference, mirror=self._mirror).name
        if name in self._running:
            raise Conflict(f"{name} is being pulled already.", fix="Wait until that is done, or cancel it.")
        if any(one.name == name for one in self.installed()):
            raise Conflict(f"The model {name} is installed already.", fix="Delete it first.")
        self._pulls.pop(name, None)
        self._pulls[name] = Pull(name, reference)
        for old in [one.name for one in self._pulls.values() if one.state != "running"][:-KEPT]:
            del self._pulls[old]
        task = asyncio.create_task(self._fetch(name, reference), name=f"pull-{name}")
        task.add_done_callback(partial(self._ended, name))
        self._running[name] = _Running(task)
        return self._pulls[name]

    async def cancel(self, name: str) -> None:
        """End a pull; what was downloaded stays, and the next pull goes on from there. Raises `NotFound`."""
        running = self._running.get(name)
        if running is None:
            raise NotFound(f"{name} is not being pulled.", fix="It may have ended a moment ago.")
        running.task.cancel()
        await asyncio.wait([running.task])

    async def delete(self, name: str) -> None:
        """End the model's engine and delete its file. Raises `NotFound`, or `Conflict` for one that is needed."""
        if name in self._running:
            raise Conflict(f"{name} is being pulled.", fix="Cancel that first.")
        if all(one.name != name for one in self.installed()):
            raise NotFound(
                f"There is no installed model {name!r}.",
                fix="Only models that were pulled can be deleted here.",
            )
        model = self._take(name)
        if model is not None:
            await model.close()
        await asyncio.to_thread(hub.remove, name, self._folder)
        self._pulls.pop(name, None)

    async def close(self) -> None:
        """End every pull."""
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, name: str, reference: str) -> None:
        loop = asyncio.get_running_loop()

        def report(progress: PullProgress) -> None:
            # Checking and copying report from their thread.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(partial(self._progressed, name, progress))

        try:
            found = await hub.pull(
                reference, self._folder, report=report, mirror=self._mirror, token=self._token
            )
            self._put(found)
            self._end(name, "done")
        except CodeweftError as error:
            self._end(name, "failed", error)
        except Exception:
            log.exception("pulling %s failed", reference)
            said = CodeweftError(f"{name} could not be pulled.", fix="The server's log has the details.")
            self._end(name, "failed", said)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        """Also for a task that was cancelled before it began."""
        self._running.pop(name, None)
        if task.cancelled():
            self._end(name, "cancelled")

    def _progressed(self, name: str, progress: PullProgress) -> None:
        pull, running = self._pulls.get(name), self._running.get(name)
        if pull is None or running is None:
            return
        now = time.monotonic()
        if progress.phase != pull.phase:
            running.began, running.begun_at = now, progress.done
        seconds = now - running.began
        rate = (progress.done - running.begun_at) / seconds if seconds >= RATE_SECONDS else None
        self._pulls[name] = replace(
            pull, phase=progress.phase, done=progress.done, total=progress.total, rate=rate
        )

    def _end(self, name: str, state: PullState, error: CodeweftError | None = None) -> None:
        self._pulls[name] = replace(self._pulls[name], state=state, error=error, rate=None)
