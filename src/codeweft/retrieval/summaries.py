"""Writing summaries with several models at once: fail-over, retries, cost. Knows no index and stores nothing itself."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from codeweft.errors import (
    CodeweftError,
    ContextOverflow,
    InvalidRequest,
    MissingSkill,
    NotAllowed,
    NotFound,
    NotSignedIn,
    UpstreamFailed,
)
from codeweft.retrieval.summarise import (
    CHARACTERS_PER_TOKEN,
    LONGEST_SHOWN,
    Language,
    Task,
    messages,
    read_answer,
)
from codeweft.stream import fold
from codeweft.types import Caller, Model, Price, Request, Retrieval, Sampling, Usage

log = logging.getLogger(__name__)

ATTEMPTS: Final = 3
"""Answers that are asked for one function before it counts as failed."""
OUTAGES: Final = 6
"""Times that a function is handed to another model (or the same one, later) because a model was unwell."""
GIVE_UP: Final = 8
"""Failures of a model in a row after which it is asked no more in this run: more than a minute of pauses."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
LISTED_FAILURES: Final = 200
SHORTEST_SHOWN: Final = 300
_PROMPT_SHARE: Final = 0.6
"""Of a model's context, for the code; the task, the answer and dense code need the rest."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A function that got no summary, and why."""

    path: str
    name: str
    reason: str
    digest: int


@dataclass(frozen=True, slots=True)
class Spent:
    """How far a run is. `usd` is None when no price is known; `left_s` seconds until the end, when it can be told."""

    done: int = 0
    failed: int = 0
    total: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = None
    left_s: float | None = None
    failures: tuple[Failure, ...] = ()


@dataclass(slots=True)
class _Endpoint:
    """A model and how it has been lately. While it is unwell only one request at a time tries it."""

    place: int
    model: Model
    price: Price | None
    failures: int = 0
    rested: float = 0.0
    last: CodeweftError | None = None
    probing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def out(self) -> bool:
        """Whether it is asked no more."""
        return self.failures >= GIVE_UP

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until the model may be asked."""
        if not self.failures:
            yield
            return
        async with self.probing:
            if self.failures and not self.out():
                await asyncio.sleep(max(0.0, self.rested - time.monotonic()))
            yield

    def failed(self, error: CodeweftError) -> None:
        self.failures += 1
        self.last = error
        wait = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (self.failures - 1)) * random.uniform(0.5, 1.0)
        self.rested = time.monotonic() + wait


@dataclass(slots=True)
class _Job:
    """A task on its way, with what was tried."""

    task: Task
    longest: int = LONGEST_SHOWN
    attempts: int = 0
    outages: int = 0
    tried: set[int] = field(default_factory=set)
    """Models (by position) that could not do it; others come first."""


@dataclass(frozen=True, slots=True)
class Written:
    """A finished summary and the model that wrote it."""

    task: Task
    model: str
    text: str


class Summariser:
    """One run over many functions. `run` works in an event loop; `take` and `spent` may be called from any thread."""

    def __init__(
        self,
        tasks: Sequence[Task],
        models: Sequence[Model],
        language: Language,
        *,
        prices: Mapping[str, Price] | None = None,
        parallel: int = 4,
        timeout: float = 120,
    ) -> None:
        """`parallel` requests at once for each model; a function that takes longer than `timeout` seconds is retried."""
        prices = prices or {}
        self._language = language
        self._parallel = parallel
        self._timeout = timeout
        self._endpoints = [
            _Endpoint(place, model, prices.get(model.info.name)) for place, model in enumerate(models)
        ]
        self._queue = deque(map(_Job, tasks))
        self._open = len(tasks)
        self._finished: deque[Written] = deque()
        self._began = time.monotonic()
        priced = all(endpoint.price is not None for endpoint in self._endpoints)
        self._spent = Spent(total=len(tasks), usd=0.0 if priced else None)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models that write."""
        return tuple(endpoint.model.info.name for endpoint in self._endpoints)

    def take(self) -> list[Written]:
        """What was finished since the last call."""
        taken: list[Written] = []
        while self._finished:
            taken.append(self._finished.popleft())
        return taken

    @property
    def spent(self) -> Spent:
        """Progress and cost until now."""
        spent = self._spent
        ended = spent.done + spent.failed
        if not ended:
            return spent
        rate = ended / max(time.monotonic() - self._began, 1e-6)
        return replace(spent, left_s=(spent.total - ended) / rate)

    async def run(self) -> None:
        """Summarise everything. Raises the last error of a model when none is left that can be asked."""
        async with asyncio.TaskGroup() as group:
            for endpoint in self._endpoints:
                for _ in range(self._parallel):
                    group.create_task(self._work(endpoint))
        if self._open:
            raise next(one.last for one in self._endpoints if one.last is not None)

    async def _work(self, endpoint: _Endpoint) -> None:
        while self._open and not endpoint.out():
            async with endpoint.turn():
                if endpoint.out():
                    return
                job = self._next(endpoint)
                if job is None:
                    # What others hold may come back.
                    await asyncio.sleep(0.02)
                    continue
                try:
                    await self._one(endpoint, job)
                except asyncio.CancelledError:
                    self._queue.appendleft(job)
                    raise

    def _next(self, endpoint: _Endpoint) -> _Job | None:
        """The next function for this model: one that it has failed at only when all others have, too."""
        live = {one.place for one in self._endpoints if not one.out()}
        for at, job in enumerate(self._queue):
            if endpoint.place not in job.tried or live <= job.tried:
                del self._queue[at]
                return job
        return None

    async def _one(self, endpoint: _Endpoint, job: _Job) -> None:
        """Ask once; the function is then finished, failed, or queued again."""
        model = endpoint.model
        longest = min(job.longest, _room(model, self._language))
        request = Request(
            model=model.info.name,
            messages=messages(job.task, self._language, longest),
            # The first answer is the likeliest one; only another is worth asking for again.
            sampling=Sampling(
                max_tokens=self._language.tokens,
                temperature=0.0 if not job.attempts else 0.6,
                seed=job.attempts,
            ),
            retrieval=Retrieval(enabled=False),
            caller=Caller("summaries"),
        )
        try:
            answer = await asyncio.wait_for(fold(model.stream(request)), self._timeout)
        except TimeoutError:
            said = f"{model.info.name} did not answer within {self._timeout:g} s."
            endpoint.failed(UpstreamFailed(said, fix="Raise `summaries.timeout`, or choose a faster model."))
            self._again(endpoint, job, said)
        except CodeweftError as error:
            self._refused(endpoint, job, longest, error)
        else:
            endpoint.failures = 0
            self._count(endpoint, answer.usage, request, answer.text)
            text, reason = read_answer(answer.text, self._language)
            if text:
                self._finished.append(Written(job.task, model.info.name, text))
                self._open -= 1
                self._spent = replace(self._spent, done=self._spent.done + 1)
            else:
                self._again(endpoint, job, reason)

    def _refused(self, endpoint: _Endpoint, job: _Job, shown: int, error: CodeweftError) -> None:
        match _fault(error):
            case "length" if shown // 2 >= SHORTEST_SHOWN:
                job.longest = shown // 2
                self._queue.appendleft(job)
            case "length" | "text":
                self._again(endpoint, job, error.message)
            case "model":
                # It would say the same about every function.
                endpoint.failures, endpoint.last = GIVE_UP, error
                self._queue.appendleft(job)
            case "outage":
                endpoint.failed(error)
                job.tried.add(endpoint.place)
                job.outages += 1
                if job.outages < OUTAGES * len(self._endpoints):
                    # To the end: a function that upsets every model must not look like a model that is gone.
                    self._queue.append(job)
                else:
                    self._give_up(job, error.message)

    def _again(self, endpoint: _Endpoint, job: _Job, reason: str) -> None:
        job.attempts += 1
        job.tried.add(endpoint.place)
        if job.attempts < ATTEMPTS:
            self._queue.append(job)
        else:
            self._give_up(job, reason)

    def _give_up(self, job: _Job, reason: str) -> None:
        spent = self._spent
        failure = Failure(job.task.path, job.task.name, reason, job.task.digest)
        self._open -= 1
        self._spent = replace(
            spent, failed=spent.failed + 1, failures=(*spent.failures, failure)[:LISTED_FAILURES]
        )

    def _count(self, endpoint: _Endpoint, usage: Usage, request: Request, text: str) -> None:
        prompt, completion = usage.prompt_tokens, usage.completion_tokens
        if not usage.total_tokens:
            prompt = round(len(request.messages[0].content) / CHARACTERS_PER_TOKEN)
            completion = round(len(text) / CHARACTERS_PER_TOKEN)
        spent = self._spent
        price = endpoint.price or Price()
        self._spent = replace(
            spent,
            prompt_tokens=spent.prompt_tokens + prompt,
            completion_tokens=spent.completion_tokens + completion,
            usd=None if spent.usd is None else spent.usd + price.of(prompt, completion, usage.cached_tokens),
        )


def _room(model: Model, wanted: Language) -> int:
    """Characters of code that fit a model's context beside the task and the answer."""
    context = model.info.context
    if context is None:
        return LONGEST_SHOWN
    return max(SHORTEST_SHOWN, int((context - wanted.tokens) * _PROMPT_SHARE * CHARACTERS_PER_TOKEN))


def _fault(error: CodeweftError) -> Literal["length", "text", "model", "outage"]:
    """Whose fault an error is: the text's length, the text, the model as such, or a passing trouble of the model."""
    status = error.details.get("upstream_status")
    if isinstance(error, ContextOverflow) or status in (400, 413, 422):
        return "length"
    if isinstance(error, MissingSkill | NotAllowed | NotSignedIn | NotFound) or status in (
        401,
        403,
        404,
        405,
    ):
        return "model"
    return "text" if isinstance(error, InvalidRequest) else "outage"
