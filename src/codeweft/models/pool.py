"""One name, several endpoints: the least busy that is well answers; before the first word, another takes over.

What is tried again and what is not follows what the errors mean: a request that one endpoint calls wrong is wrong
everywhere, an endpoint that is full, broken or misconfigured says nothing about the next.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from codeweft.errors import (
    CodeweftError,
    ContextOverflow,
    EngineFailed,
    MissingSkill,
    NotReady,
    Overloaded,
    UpstreamFailed,
)
from codeweft.models import skills
from codeweft.models.failing import told
from codeweft.models.turns import Turns
from codeweft.models.upstream import Refused, pause
from codeweft.types import (
    Done,
    Event,
    Failed,
    Model,
    ModelInfo,
    ReasoningDelta,
    Request,
    Skill,
    TextDelta,
    ToolCallDelta,
)

_BEGUN: Final = (TextDelta, ReasoningDelta, ToolCallDelta, Done)
"""Events after which an answer belongs to its endpoint: a reader has seen part of it."""
_WRONG_EVERYWHERE: Final = frozenset({400, 405, 409, 413, 415, 422})
"""Statuses that speak of the request, not of the endpoint."""
_Way = Callable[[Request], AsyncGenerator[Event | CodeweftError]]
LONGEST_COOLDOWN: Final = 600.0


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """`attempts` in all; an endpoint that failed rests `cooldown` seconds, doubled with each failure in a row.

    `first_token` is the longest wait in seconds for the first word (None: the endpoint's own). `queue` bounds how
    many requests wait when every endpoint has as many as it may have.
    """

    attempts: int = 4
    cooldown: float = 15.0
    first_token: float | None = None
    queue: int = 64


@dataclass(frozen=True, slots=True)
class EndpointState:
    """How an endpoint of a pool is doing. `resting` is in seconds from now."""

    name: str
    running: int
    parallel: int | None
    failures: int
    resting: float
    error: str


class Member:
    """An endpoint of a pool. `parallel` bounds the requests it gets at once."""

    def __init__(self, model: Model, parallel: int | None = None) -> None:
        self.model = model
        self.parallel = parallel
        self.running = 0
        self.failures = 0
        self.rests_until = 0.0
        self.error = ""

    @property
    def free(self) -> bool:
        return self.parallel is None or self.running < self.parallel

    def failed(self, error: CodeweftError, cooldown: float) -> None:
        """Note a failure, and rest."""
        self.error = str(error)
        self.rests_until = time.monotonic() + min(LONGEST_COOLDOWN, cooldown * 2.0**self.failures)
        self.failures += 1

    def worked(self) -> None:
        self.failures, self.rests_until, self.error = 0, 0.0, ""

    @property
    def state(self) -> EndpointState:
        resting = max(0.0, self.rests_until - time.monotonic())
        return EndpointState(
            self.model.info.name, self.running, self.parallel, self.failures, resting, self.error
        )


class Pool:
    """A model behind several endpoints. Satisfies `Model`."""

    def __init__(
        self,
        name: str,
        members: Sequence[Member],
        *,
        fallbacks: Sequence[Callable[[], Model]] = (),
        policy: PoolPolicy = PoolPolicy(),
        description: str = "",
    ) -> None:
        """`fallbacks` are tried in order when no endpoint could answer; a prompt too long goes to them at once."""
        self._name = name
        self._members = tuple(members)
        self._fallbacks = tuple(fallbacks)
        self._policy = policy
        self._description = description
        limits = [member.parallel for member in self._members]
        bounded = [limit for limit in limits if limit is not None]
        self._turns = Turns(sum(bounded), policy.queue) if len(bounded) == len(limits) else None

    @property
    def info(self) -> ModelInfo:
        infos = [member.model.info for member in self._members]
        known = [info.context for info in infos if info.context is not None]
        notes = dict.fromkeys(info.note for info in infos if info.note)
        return ModelInfo(
            self._name,
            "upstream",
            frozenset[Skill]().union(*(info.skills for info in infos)),
            self._description or f"Pool of {', '.join(info.name for info in infos)}",
            " ".join(notes),
            min(known, default=None),
            infos[0].family,
        )

    def states(self) -> list[EndpointState]:
        """The endpoints and how they are."""
        return [member.state for member in self._members]

    def stream(self, request: Request) -> AsyncGenerator[Event]:
        """Answer `request`; see `Model.stream`."""
        return told(self._answer(request))

    async def _answer(self, request: Request) -> AsyncGenerator[Event]:
        ways: list[_Way] = [self._in_turn, *(partial(_fall_back, model) for model in self._fallbacks)]
        failure: CodeweftError | None = None
        for way in ways:
            failure = None
            async with aclosing(way(request)) as events:
                async for item in events:
                    if isinstance(item, CodeweftError):
                        failure = item
                    else:
                        yield item
            if failure is None or not _falls_back(failure):
                break
        if failure is not None:
            raise failure

    async def _in_turn(self, request: Request) -> AsyncGenerator[Event | CodeweftError]:
        turn = self._turns.take(request.caller.user) if self._turns is not None else nullcontext()
        try:
            skills.require(request.skill, self.info.skills, self._name)
            async with turn, aclosing(self._try_members(request)) as events:
                async for item in events:
                    yield item
        except (Overloaded, MissingSkill) as error:
            yield error

    async def _try_members(self, request: Request) -> AsyncGenerator[Event | CodeweftError]:
        """The events of the first endpoint that begins to answer, or as the only item why none did."""
        tried: list[Member] = []
        failure: CodeweftError = NotReady(
            f"No endpoint of {self._name} is free.", fix="Try again in a moment."
        )
        for attempt in range(1, self._policy.attempts + 1):
            member = self._choose(request, tried)
            if member is None:
                # Everyone was tried once: wait a little, then ask again.
                await asyncio.sleep(pause(attempt))
                tried.clear()
                member = self._choose(request, tried)
                if member is None:
                    break
            tried.append(member)
            failed: CodeweftError | None = None
            async with (
                _using(member),
                aclosing(_until_begun(member.model, request, self._policy.first_token)) as events,
            ):
                async for item in events:
                    if isinstance(item, CodeweftError):
                        failed = item
                        continue
                    if isinstance(item, Done):
                        member.worked()
                    elif isinstance(item, Failed):
                        member.failed(item.error, self._policy.cooldown)
                    yield item
            if failed is None:
                return
            failure = failed
            if not _says_nothing_of_others(failed):
                break
            member.failed(failed, self._policy.cooldown)
        yield failure

    def _choose(self, request: Request, tried: Sequence[Member]) -> Member | None:
        """The least busy endpoint that can do it, is free and well; one that rests only when no other is left."""
        able = [
            member
            for member in self._members
            if member not in tried and member.free and request.skill in member.model.info.skills
        ]
        now = time.monotonic()
        well = [member for member in able if member.rests_until <= now]
        if well:
            return min(well, key=lambda member: (member.running / (member.parallel or 1), random.random()))
        return min(able, key=lambda member: member.rests_until, default=None)


async def _fall_back(model: Callable[[], Model], request: Request) -> AsyncGenerator[Event | CodeweftError]:
    async with aclosing(_until_begun(model(), request, None)) as events:
        async for item in events:
            yield item


@asynccontextmanager
async def _using(member: Member) -> AsyncIterator[None]:
    member.running += 1
    try:
        yield
    finally:
        member.running -= 1


async def _until_begun(
    model: Model, request: Request, first_token: float | None
) -> AsyncGenerator[Event | CodeweftError]:
    """The events of `model`; a failure before the first word comes as a bare error, and nothing before it."""
    held: list[Event] = []
    begun = False
    stream = model.stream(replace(request, model=model.info.name))
    async with aclosing(_timely(stream, first_token)) as events:
        try:
            async for event in events:
                if not begun and isinstance(event, Failed):
                    yield event.error
                    return
                if not begun and not isinstance(event, _BEGUN):
                    held.append(event)
                    continue
                if not begun:
                    begun = True
                    for early in held:
                        yield early
                yield event
        except TimeoutError:
            yield UpstreamFailed(
                f"{model.info.name} wrote nothing within {first_token:g} s.",
                fix="Try again, or raise `first_token_s` of the pool in the settings.",
            )


async def _timely(stream: AsyncIterator[Event], first_token: float | None) -> AsyncGenerator[Event]:
    """The events of `stream`. Raises TimeoutError when none of `_BEGUN` comes within `first_token` seconds."""
    deadline = None if first_token is None else asyncio.get_running_loop().time() + first_token
    try:
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    event = await anext(stream)
            except StopAsyncIteration:
                return
            if isinstance(event, _BEGUN):
                deadline = None
            yield event
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def _says_nothing_of_others(error: CodeweftError) -> bool:
    """Whether another endpoint may well answer what this one did not."""
    if isinstance(error, Refused):
        return error.answered not in _WRONG_EVERYWHERE
    return isinstance(error, UpstreamFailed | EngineFailed | NotReady | Overloaded)


def _falls_back(error: CodeweftError) -> bool:
    """Whether another model may do better: also with a prompt that was too long, or a skill that was missing."""
    return _says_nothing_of_others(error) or isinstance(error, ContextOverflow | MissingSkill)
