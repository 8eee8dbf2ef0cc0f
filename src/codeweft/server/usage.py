"""What was used and what it cost, and when a machine of one's own is cheaper. Everyone sees their own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from codeweft.accounts import Group, Total
from codeweft.errors import InvalidRequest
from codeweft.models.prices import Machine, break_even
from codeweft.runtime.compose import Runtime
from codeweft.server.admin import DAY
from codeweft.server.deps import AnIdentity, require_admin
from codeweft.server.views import Body, View
from codeweft.types import Price

DEFAULT_DAYS = 30


class UsageTotalView(View):
    group: str = Field(description="A day (UTC), a model or app by name, a user, key or team by id.")
    name: str = Field(description="What the group is called, as far as it still exists.")
    answers: int
    failed: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost: float = Field(description="USD, without the answers that have no price.")
    unpriced: int = Field(description="Answers whose price is not known.")


class UsageOfDayView(UsageTotalView):
    day: str


class BreakEvenBody(Body):
    """An API's price against a machine of one's own. Give a price per request, prices per million tokens, or a model."""

    machine_usd_per_hour: float = Field(gt=0)
    machine_tokens_per_second: float = Field(gt=0, description="Written, with all slots busy.")
    utilisation: float = Field(1.0, gt=0, le=1)
    prompt_tokens: float = Field(500, ge=0)
    completion_tokens: float = Field(300, gt=0)
    usd_per_request: float | None = Field(None, gt=0)
    input_usd: float | None = Field(None, ge=0, description="USD per million prompt tokens.")
    output_usd: float | None = Field(None, ge=0, description="USD per million tokens written.")
    model: str | None = Field(None, description="A provider's model, looked up in the bundled price table.")


class BreakEvenView(View):
    api_usd_per_request: float
    machine_usd_per_hour: float
    machine_usd_per_million_tokens: float
    requests_per_hour: float = Field(description="Above so many, the machine is cheaper.")
    capacity: float = Field(description="Requests an hour that the machine can serve.")
    reachable: bool = Field(description="Whether one machine can serve that many.")


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when (Unix seconds), and of whom (None: of everyone)."""

    since: float
    until: float
    user: str | None


def _span(
    identity: AnIdentity,
    days: Annotated[int, Query(ge=1, le=3660)] = DEFAULT_DAYS,
    who: Annotated[Literal["me", "everyone"], Query(description="`everyone` is for administrators.")] = "me",
) -> Span:
    if who == "everyone":
        require_admin(identity)
    now = time.time()
    return Span(now - days * DAY, now + 1, None if who == "everyone" else identity.user.id)


InSpan = Annotated[Span, Depends(_span)]


def usage_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["usage"])
    accounts = runtime.accounts

    async def names_of(by: Group) -> Mapping[str, str]:
        """Names by id of what is grouped by."""
        if by == "user":
            return {one.id: one.name for one in await accounts.people.users()}
        if by == "team":
            return {one.id: one.name for one in await accounts.people.teams()}
        return {one.id: one.name for one in await accounts.keys()} if by == "key" else {}

    @routes.get("/usage")
    async def get_usage(span: InSpan, by: Group = "day") -> list[UsageTotalView]:
        """What was used in the last days, and what it cost."""
        names = await names_of(by)
        totals = await accounts.ledger.totals(by, span.since, span.until, user_id=span.user)
        return [UsageTotalView(**_figures(total, names)) for total in totals]

    @routes.get("/usage/by-day")
    async def get_usage_by_day(span: InSpan, by: Group = "model") -> list[UsageOfDayView]:
        """The same for each day that has any, for charts."""
        names = await names_of(by)
        found = await accounts.ledger.by_day(by, span.since, span.until, user_id=span.user)
        return [UsageOfDayView(day=day, **_figures(total, names)) for day, total in found]

    @routes.post("/cost/break-even")
    def get_break_even(body: BreakEvenBody, _: AnIdentity) -> BreakEvenView:
        """From how many requests an hour a machine of one's own is cheaper than an API."""
        machine = Machine(body.machine_usd_per_hour, body.machine_tokens_per_second, body.utilisation)
        found = break_even(_per_request(runtime, body), machine, body.completion_tokens)
        return BreakEvenView(
            api_usd_per_request=found.api_usd_per_request,
            machine_usd_per_hour=found.machine_usd_per_hour,
            machine_usd_per_million_tokens=machine.price().output,
            requests_per_hour=found.requests_per_hour,
            capacity=found.capacity,
            reachable=found.reachable,
        )

    return routes


def _figures(total: Total, names: Mapping[str, str]) -> dict[str, Any]:
    return {**asdict(total), "name": names.get(total.group, total.group)}


def _per_request(runtime: Runtime, body: BreakEvenBody) -> float:
    """USD of a request at the API, from whichever of the three was given. Raises `InvalidRequest`."""
    if body.usd_per_request is not None:
        return body.usd_per_request
    price = None
    if body.input_usd is not None and body.output_usd is not None:
        price = Price(body.input_usd, body.output_usd)
    elif body.model is not None:
        runtime.prices.load()
        price = runtime.prices.listed(body.model)
        if price is None:
            raise InvalidRequest(
                f"The price of {body.model!r} is not known.",
                fix="Give `input_usd` and `output_usd`, in USD per million tokens.",
                param="model",
            )
    if price is None:
        raise InvalidRequest(
            "Give `usd_per_request`, `input_usd` and `output_usd`, or `model`.", param="model"
        )
    cost = price.of(body.prompt_tokens, body.completion_tokens)
    if cost <= 0:
        raise InvalidRequest("At that price a request costs nothing.", param="output_usd")
    return cost
