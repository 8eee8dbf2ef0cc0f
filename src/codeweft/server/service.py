"""What the endpoints share: the program they serve, its streams, its metrics."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack

from starlette.requests import Request as HTTPRequest

from codeweft.errors import InvalidRequest, MissingSkill
from codeweft.runtime.compose import Runtime
from codeweft.server.bill import Bill
from codeweft.server.emit import dumps
from codeweft.server.failures import openai_shape, translate
from codeweft.server.metrics import Metrics
from codeweft.server.streams import Choices, EventStream, Streams, accepted, merge
from codeweft.stream import close
from codeweft.types import Caller, Event, Model, ModelInfo, Request, Skill, replace

LastWord = Callable[[Exception], bytes]


class Service:
    """Endpoints call models through this, so that every answer is measured and cancelled in one place."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.streams = Streams()
        self.metrics = Metrics()

    def model(self, name: str | None) -> Model:
        """The model of that name, or the default. Raises `NotFound`."""
        return self.runtime.model(name or self.runtime.default_model)

    async def measured(
        self, model: Model, request: Request, choice: int = 0, info: ModelInfo | None = None
    ) -> AsyncGenerator[tuple[int, Event]]:
        """The events of `model`, counted and paid for. Raises `RateLimited` or `BudgetSpent` instead of the first.

        `info` is the model's, where it was asked already.
        """
        accounts, caller, info = self.runtime.accounts, request.caller, info or model.info
        subjects = accounts.subjects(caller.user, caller.key)
        with accounts.gate.admitted(subjects):
            bill = Bill(info, caller)
            counted = self.metrics.of_model(info.name)
            counted.running += 1
            self.metrics.megaservice.pending += 1
            events = model.stream(request)
            try:
                async for event in events:
                    bill.add(event)
                    yield choice, event
            finally:
                try:
                    await close(events)
                finally:
                    counted.running -= 1
                    self.metrics.megaservice.pending -= 1
                    self.metrics.count(info.name, bill)
                    accounts.spend(bill.entry(self.runtime.writer_info, self.runtime.prices))

    def choices(self, model: Model, requests: Sequence[Request]) -> Choices:
        """The events of several requests to one model. Raises `MissingSkill` that names a model that has the skill."""
        info = model.info
        for request in requests:
            self._require(info, request)
        streams = [self.measured(model, request, choice, info) for choice, request in enumerate(requests)]
        return streams[0] if len(streams) == 1 else merge(streams)

    def _require(self, info: ModelInfo, request: Request) -> None:
        wanted: tuple[Skill, ...] = (request.skill, "tools") if request.tools else (request.skill,)
        for skill in wanted:
            if skill in info.skills:
                continue
            able = [other.name for other in self.runtime.infos() if skill in other.skills]
            fix = (
                f"{able[0]} can; ask for that model."
                if able
                else f"No model here can; `codeweft models catalogue` lists models with the skill {skill}."
            )
            raise MissingSkill(f"The model {info.name} cannot do {skill}.", fix=fix, param="model")

    def answering(self, http: HTTPRequest, events: Choices) -> Answering:
        """For a plain answer: work ends when the client leaves."""
        return Answering(self.streams, http, events)

    async def stream(
        self,
        http: HTTPRequest,
        events: Choices,
        chunks: Callable[[Choices], AsyncIterator[bytes]],
        last_word: LastWord | None = None,
        media_type: str = "text/event-stream",
    ) -> EventStream:
        """For a streamed answer. `last_word` tells an error in the middle of it, by default in OpenAI's shape.

        Raises what the model refused the request with.
        """
        async with AsyncExitStack() as attended:
            await attended.enter_async_context(self.streams.attended(http.scope))
            begun = await accepted(events)
            return EventStream(
                chunks(begun),
                self.streams,
                last_word or _last_word,
                begun,
                media_type=media_type,
                attended=attended.pop_all(),
            )


class Answering:
    """See `Service.answering`. A class, for the loop keeps account of each generator."""

    def __init__(self, streams: Streams, http: HTTPRequest, events: Choices) -> None:
        self._streams = streams
        self._http = http
        self._events = events

    async def __aenter__(self) -> None:
        try:
            self._attended = self._streams.attended(self._http.scope)
            await self._attended.__aenter__()
        except BaseException:
            await close(self._events)
            raise

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            await self._attended.__aexit__(kind, *rest)
        finally:
            await close(self._events)


def _last_word(error: Exception) -> bytes:
    """An error in the middle of a stream, as OpenAI's SDK expects it. No `[DONE]`: the answer is not whole."""
    return b"data: " + dumps(openai_shape(translate(error))) + b"\n\n"


def several(request: Request, n: int) -> list[Request]:
    """`request` as n choices; a given seed is counted up, or all would be the same."""
    seed = request.sampling.seed
    if n == 1 or seed is None:
        return [request] * n
    return [replace(request, sampling=replace(request.sampling, seed=seed + i)) for i in range(n)]


def caller(http: HTTPRequest) -> Caller:
    """Who asks, as the application found out."""
    found: Caller = http.scope["codeweft.caller"]
    return found


def check_best_of(best_of: int | None, n: int | None) -> None:
    if best_of is not None and best_of != (n or 1):
        raise InvalidRequest(
            f"`best_of` is {best_of} and `n` is {n or 1}; choosing among answers is not supported.",
            fix="Leave `best_of` out.",
            param="best_of",
        )
