"""One answer of a conversation: its numbered events, and the turn that grows from them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from codeweft.accounts import Turn
from codeweft.citations import without
from codeweft.errors import CodeweftError
from codeweft.retrieval.record import explanation, step_record
from codeweft.server.chat_views import TurnView, UsageView
from codeweft.server.emit import check_record, dumps, plain
from codeweft.server.views import Problem, ReferenceView
from codeweft.types import (
    Checked,
    Cited,
    Done,
    Event,
    Explained,
    NodeFinished,
    NodeStarted,
    PromptProgress,
    ReasoningDelta,
    Retrieved,
    Started,
    Step,
    TextDelta,
    Withdrawn,
)

HEARTBEAT_SECONDS = 15
"""A sign of life after so long without events keeps proxies from closing the connection."""


class Published(NamedTuple):
    """One event as readers get it. `number` counts from 1."""

    number: int
    kind: str
    data: bytes

    def sse(self) -> bytes:
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.number, self.kind.encode(), self.data)


class Answer:
    """One answer that is being written, or was a moment ago."""

    def __init__(self, turn: Turn, user: str, *, begins: int = 0) -> None:
        """`begins` is how many events went before those that are known here."""
        self.turn = turn
        self.begins = begins
        self.user = user
        self.events: list[Published] = []
        self.explanation: Mapping[str, Any] | None = None
        self.finished = False
        self.ending: Literal["stopped", "server"] = "stopped"
        self.task: asyncio.Task[None] | None = None
        self._text: list[str] = []
        self._grown = asyncio.Condition()
        self._started = time.monotonic()
        self._first: float | None = None

    def snapshot(self) -> Turn:
        return replace(self.turn, content="".join(self._text))

    async def publish(self, kind: str, data: dict[str, Any]) -> None:
        event = Published(self.begins + len(self.events) + 1, kind, dumps(data))
        async with self._grown:
            self.events.append(event)
            self.finished = self.finished or kind in ("done", "failed")
            self._grown.notify_all()

    async def follow(self, after: int) -> AsyncIterator[Sequence[Published]]:
        """The events after number `after`, then those to come, then nothing. An empty batch is a sign of life."""
        at = max(0, after - self.begins)
        while True:
            if at < len(self.events):
                fresh = self.events[at:]
                at += len(fresh)
                yield fresh
            elif self.finished:
                return
            else:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS), self._grown:
                        if at >= len(self.events) and not self.finished:
                            await self._grown.wait()
                except TimeoutError:
                    yield ()

    async def refer(self, found: Retrieved) -> None:
        """Take in what was looked up."""
        shown = [view.model_dump() for view in ReferenceView.all(found.results)]
        self.turn = replace(self.turn, references=shown)
        await self.publish("retrieved", {"query": found.query, "index": found.index, "results": shown})

    async def take(self, event: Event) -> None:
        """Grow by one other event of the model, except its end."""
        match event:
            case Started():
                self.turn = replace(self.turn, model=event.model, note=event.note)
                await self.publish("started", {"model": event.model, "note": event.note})
            case PromptProgress():
                await self.publish("progress", {"done": event.done, "total": event.total})
            case TextDelta() if event.text:
                self._first = self._first or time.monotonic()
                self._text.append(event.text)
                await self.publish("text", {"text": event.text})
            case ReasoningDelta():
                self._first = self._first or time.monotonic()
                await self.publish("reasoning", {"text": event.text})
            case Cited():
                await self._check(event)
            case Explained():
                told = explanation(event)
                # Whoever may not read one of them any more is not shown what it says.
                self.explanation = {**told, "indexes": sorted({one.index for one in event.candidates})}
                self.turn = replace(self.turn, explained=True)
                await self.publish("explained", told)
            case Step():
                step = plain(step_record(event))
                self.turn = replace(self.turn, steps=(*self.turn.steps, step))
                await self.publish("step", step)
            case Withdrawn():
                await self._withdraw()
            case Checked():
                checked = plain(check_record(event))
                self.turn = replace(self.turn, checked=checked)
                await self.publish("checked", checked)
            case NodeStarted():
                await self.publish("node", {"node": event.node, "kind": event.kind, "state": "started"})
            case NodeFinished():
                await self.publish(
                    "node",
                    {"node": event.node, "kind": event.kind, "state": "finished", "seconds": event.seconds},
                )

    async def _withdraw(self) -> None:
        """Begin the text anew; what was written is kept beside it."""
        draft = "".join(self._text).strip()
        self._text.clear()
        if draft:
            self.turn = replace(self.turn, withdrawn=(*self.turn.withdrawn, draft))
        await self.publish("withdrawn", {})

    async def _check(self, cited: Cited) -> None:
        """Mark the references that stand, and take the citations away that do not."""
        marked = [{**one, "verified": one["number"] not in cited.gone} for one in self.turn.references]
        self.turn = replace(self.turn, references=marked, dropped=tuple(cited.dropped))
        if cited.dropped:
            self._text = [without("".join(self._text), cited.dropped)]
        await self.publish(
            "cited", {"verified": cited.verified, "dropped": cited.dropped, "gone": cited.gone}
        )

    def conclude(
        self, reason: str, done: Done | None, error: CodeweftError | None, cost: float | None
    ) -> None:
        """Fix what the turn says from now on."""
        timings = {"total_s": round(time.monotonic() - self._started, 3)}
        if self._first is not None:
            timings["first_token_s"] = round(self._first - self._started, 3)
        if done is not None:
            timings |= done.timings
        self.turn = replace(
            self.snapshot(),
            reason=reason,
            usage=UsageView.of(done.usage).model_dump() if done is not None else None,
            timings=timings,
            cost=cost,
            error=None if error is None else Problem.of(error).model_dump(),
        )

    async def farewell(self) -> None:
        """The last event, which carries the whole turn."""
        turn = TurnView.of(self.turn).model_dump()
        if self.turn.reason == "failed":
            await self.publish("failed", {"error": turn["error"], "turn": turn})
        else:
            done = {"reason": self.turn.reason, "usage": turn["usage"], "timings": turn["timings"]}
            await self.publish("done", {**done, "turn": turn})
