"""One name, several endpoints: the least busy that is well answers; before the first word, another takes over.

What is tried again and what is not follows what the errors mean: a request that one endpoint calls wrong is wrong
everywhere, an endpoint that is full, broken or misconfigured says nothing about the next.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
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
from codeweft.models.turns import Turns
from codeweft.models.upstream import Refused, asked_to_wait, pause
from codeweft.stream import Deferred, Replayed, close, only
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
    replace,
)

_BEGUN: Final = (TextDelta, ReasoningDelta, ToolCallDelta, Done)
"""Events after which an answer belongs to its endpoint: a reader has seen part of it."""
_WRONG_EVERYWHERE: Final = frozenset({400, 405, 409, 413, 415, 422})
"""Statuses that speak of the request, not of the endpoint."""
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
        rest = max(cooldown * 2.0**self.failures, asked_to_wait(error))
        self.rests_until = time.monotonic() + min(LONGEST_COOLDOWN, rest)
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
        infos = tuple(member.model.info for member in self._members)
        self._told = infos, self._summed_up(infos)
        self._turns = Turns(sum(bounded), policy.queue) if len(bounded) == len(limits) else None

    @property
    def info(self) -> ModelInfo:
        told, summed_up = self._told
        for member, info in zip(self._members, told, strict=True):
            if member.model.info is not info:
                infos = tuple(member.model.info for member in self._members)
                self._told = infos, summed_up if infos == told else self._summed_up(infos)
                break
        return self._told[1]

    def _summed_up(self, infos: Sequence[ModelInfo]) -> ModelInfo:
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

    def stream(self, request: Request) -> AsyncIterator[Event]:
        """Answer `request`; see `Model.stream`."""
        return Deferred(partial(self._begun, request))

    async def _begun(self, request: Request) -> AsyncIterator[Event]:
        """The stream of whoever answers, or of the failure why nobody does."""
        if self._policy.first_token is not None:
            # An answer in one piece has no first word to wait for.
            request = replace(request, whole=False)
        try:
            return await self._in_turn(request)
        except CodeweftError as error:
            failure = error
        for fallback in self._fallbacks:
            if not _falls_back(failure):
                break
            try:
                return await _begin(fallback(), request, None)
            except CodeweftError as error:
                failure = error
        return only(Failed(failure))

    async def _in_turn(self, request: Request) -> AsyncIterator[Event]:
        """The stream of an endpoint that has begun to answer. Raises why none did."""
        skills.require(request.skill, self.info.skills, self._name)
        if self._turns is None:
            return self._followed(*await self._try_members(request), None)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._turns.take(request.caller.user))
            member, begun = await self._try_members(request)
            return self._followed(member, begun, stack.pop_all())

    async def _try_members(self, request: Request) -> tuple[Member, Replayed[Event]]:
        """The first endpoint that begins to answer, counted as running. Raises why none did."""
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
            member.running += 1
            try:
                return member, await _begin(member.model, request, self._policy.first_token)
            except CodeweftError as error:
                member.running -= 1
                failure = error
                if not _says_nothing_of_others(error):
                    break
                member.failed(error, self._policy.cooldown)
            except BaseException:
                member.running -= 1
                raise
        raise failure

    async def _followed(
        self, member: Member, events: Replayed[Event], held: AsyncExitStack | None
    ) -> AsyncGenerator[Event]:
        """The events of an endpoint to their end, and what they say about it."""
        try:
            async for event in events:
                if isinstance(event, Done):
                    member.worked()
                elif isinstance(event, Failed):
                    member.failed(event.error, self._policy.cooldown)
                yield event
        finally:
            member.running -= 1
            try:
                await events.aclose()
            finally:
                if held is not None:
                    await held.aclose()

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
            if len(well) == 1:
                return well[0]
            return min(well, key=lambda member: (member.running / (member.parallel or 1), random.random()))
        return min(able, key=lambda member: member.rests_until, default=None)


async def _begin(model: Model, request: Request, first_token: float | None) -> Replayed[Event]:
    """The events of `model` once it writes; nothing is told of an answer before its first word.

    Raises the error of a `Failed` that comes before, and `UpstreamFailed` when it takes too long.
    """
    stream = model.stream(replace(request, model=model.info.name))
    read: list[Event] = []
    try:
        if first_token is None:
            await _read_to_first(stream, read)
        else:
            async with asyncio.timeout(first_token):
                await _read_to_first(stream, read)
        return Replayed(read, stream)
    except BaseException as error:
        await close(stream)
        if isinstance(error, TimeoutError):
            raise UpstreamFailed(
                f"{model.info.name} wrote nothing within {first_token:g} s.",
                fix="Try again, or raise `first_token_s` of the pool in the settings.",
            ) from None
        raise


async def _read_to_first(stream: AsyncIterator[Event], read: list[Event]) -> None:
    async for event in stream:
        if isinstance(event, Failed):
            raise event.error
        read.append(event)
        if isinstance(event, _BEGUN):
            break


def _says_nothing_of_others(error: CodeweftError) -> bool:
    """Whether another endpoint may well answer what this one did not."""
    if isinstance(error, Refused):
        return error.answered not in _WRONG_EVERYWHERE
    return isinstance(error, UpstreamFailed | EngineFailed | NotReady | Overloaded)


def _falls_back(error: CodeweftError) -> bool:
    """Whether another model may do better: also with a prompt that was too long, or a skill that was missing."""
    return _says_nothing_of_others(error) or isinstance(error, ContextOverflow | MissingSkill)
