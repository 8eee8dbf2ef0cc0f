"""Users, teams, limits, usage, cost and the audit log, for administrators; everyone sees their own usage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from codeweft.accounts import Group, Identity, Limit, Period, Readers, Role, Status, SubjectKind, Total, User
from codeweft.errors import InvalidRequest, NotFound
from codeweft.models.prices import Machine, break_even
from codeweft.runtime.compose import Runtime
from codeweft.server.admin import DAY
from codeweft.server.deps import Admin, AnIdentity, ByAdmin, Readable, require_admin
from codeweft.server.session import EndedView
from codeweft.server.views import Body, Name, View, iso
from codeweft.types import Price

DEFAULT_DAYS = 30


class PersonView(View):
    id: str
    name: str
    role: str
    team: str = Field(description="Name of the team, or empty.")
    status: str


class NewPersonBody(Body):
    name: str = Field(min_length=1, max_length=200)
    role: Role = "member"
    team: str | None = None


class ChangePersonBody(Body):
    name: str | None = Field(None, min_length=1, max_length=200)
    role: Role | None = None
    team: str | None = Field(None, description="Name or id of the team; empty takes the user out of it.")
    status: Status | None = None


class SigninLinkView(View):
    path: str = Field(description="Append it to the server's address; it works once, for 15 minutes.")


class TeamView(View):
    id: str
    name: str


class TeamBody(Body):
    name: str = Field(min_length=1, max_length=200)


class LimitBody(Body):
    requests_per_minute: int | None = Field(None, ge=0)
    tokens_per_minute: int | None = Field(None, ge=0)
    parallel: int | None = Field(None, ge=0)
    budget_usd: float | None = Field(None, ge=0)
    budget_tokens: int | None = Field(None, ge=0)
    period: Period = "month"


class LimitView(LimitBody):
    kind: SubjectKind
    subject: str = Field(description="Id of the user, key or team; empty for everyone.")
    spent_usd: float
    spent_tokens: int


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


class ChangeView(View):
    id: str
    at: str
    actor: str
    address: str = Field(description="IP address; empty for what was done on the server's machine.")
    action: str
    target: str
    detail: dict[str, Any]


class IdentityBody(Body):
    subject: str = Field(min_length=1, max_length=255, description="The claim `sub`.")


class AccessBody(Body):
    open: bool = Field(description="Everybody may read it.")
    users: list[str] = Field(default_factory=list, max_length=1000, description="Names or ids.")
    teams: list[str] = Field(default_factory=list, max_length=1000, description="Names or ids.")


class AccessView(View):
    """Beside these, administrators may read every index."""

    open: bool
    users: list[str] = Field(description="Ids.")
    teams: list[str] = Field(description="Ids.")

    @classmethod
    def of(cls, readers: Readers | None) -> AccessView:
        if readers is None:
            return cls(open=True, users=[], teams=[])
        return cls(open=False, users=sorted(readers.users), teams=sorted(readers.teams))


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


def people_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter()
    accounts = runtime.accounts
    people = accounts.people

    async def person(user: User) -> PersonView:
        teams = {team.id: team.name for team in await people.teams()}
        return PersonView(
            id=user.id,
            name=user.name,
            role=user.role,
            team=teams.get(user.team_id, ""),
            status=user.status,
        )

    @routes.get("/users", tags=["people"])
    async def list_users(_: Admin) -> list[PersonView]:
        """All users."""
        return [await person(user) for user in await people.users()]

    @routes.post("/users", status_code=201, tags=["people"])
    async def add_user(body: NewPersonBody, by: ByAdmin) -> PersonView:
        """Make a user; `POST /users/{id}/signin` makes the link by which the user comes in."""
        return await person(await people.add_user(body.name, body.role, team=body.team, actor=by))

    @routes.patch("/users/{user}", tags=["people"])
    async def change_user(user: str, body: ChangePersonBody, by: ByAdmin) -> PersonView:
        """Change name, role, team or status. A disabled user's keys and sessions stop working at once."""
        changed = await people.change_user(
            user, actor=by, name=body.name, role=body.role, team=body.team, status=body.status
        )
        return await person(changed)

    @routes.delete("/users/{user}", status_code=204, tags=["people"])
    async def delete_user(user: str, by: ByAdmin) -> None:
        """Delete a user with keys, sessions and conversations."""
        await people.delete_user(user, actor=by)

    @routes.post("/users/{user}/signin", status_code=201, tags=["people"])
    async def make_signin_link(user: str, by: ByAdmin) -> SigninLinkView:
        """A one-time link that signs this user in."""
        found = await people.user(user)
        token = await accounts.signin_link(found)
        await people.note(by, "user.signin-link", found.name)
        return SigninLinkView(path=f"/signin?token={token}")

    @routes.delete("/users/{user}/sessions", tags=["people"])
    async def end_user_sessions(user: str, by: ByAdmin) -> EndedView:
        """Sign a user out everywhere."""
        found = await people.user(user)
        ended = await accounts.sessions.end_all(found.id)
        await people.note(by, "user.signout-everywhere", found.name, ended=ended)
        return EndedView(ended=ended)

    @routes.delete("/users/{user}/totp", status_code=204, tags=["people"])
    async def remove_user_totp(user: str, by: ByAdmin) -> None:
        """Take a second factor away from a user who lost it."""
        await accounts.signin.remove_totp(await people.user(user), actor=by)

    @routes.delete("/users/{user}/password", status_code=204, tags=["people"])
    async def remove_user_password(user: str, by: ByAdmin) -> None:
        """Take a user's password away and sign the user out everywhere; a new link lets them set another."""
        found = await people.user(user)
        await accounts.signin.remove_password(found, actor=by)
        await accounts.sessions.end_all(found.id)

    @routes.put("/users/{user}/identity", status_code=204, tags=["people"])
    async def link_user_identity(user: str, body: IdentityBody, by: ByAdmin) -> None:
        """Let a user in whom the single sign-on calls by this subject."""
        oidc = runtime.settings.sign_in.oidc
        if oidc is None:
            raise NotFound("There is no single sign-on here.", fix="Set `sign_in.oidc` in the settings.")
        await accounts.signin.link_identity(
            await people.user(user), oidc.issuer.rstrip("/"), body.subject, actor=by
        )

    @routes.get("/indexes/{name}/access", tags=["indexes"])
    def get_index_access(name: Name, indexes: Readable, _: Admin) -> AccessView:
        """Who may read an index. For administrators."""
        return AccessView.of(accounts.readers(indexes.get(name).name))

    @routes.put("/indexes/{name}/access", tags=["indexes"])
    async def set_index_access(name: Name, body: AccessBody, indexes: Readable, by: ByAdmin) -> AccessView:
        """Open an index to all users, or only to some users and teams. For whom may not read it, it does not exist.
        The permission belongs to the name, and stays when the index is deleted."""
        await asyncio.to_thread(indexes.get, name)
        if body.open:
            if body.users or body.teams:
                raise InvalidRequest("An open index is read by all.", fix="Send `open: false`.", param="open")
            await accounts.access.open(name, actor=by)
        else:
            await accounts.access.restrict(name, body.users, body.teams, actor=by)
        return AccessView.of(accounts.readers(name))

    @routes.get("/teams", tags=["people"])
    async def list_teams(_: Admin) -> list[TeamView]:
        """All teams."""
        return [TeamView(id=team.id, name=team.name) for team in await people.teams()]

    @routes.post("/teams", status_code=201, tags=["people"])
    async def add_team(body: TeamBody, by: ByAdmin) -> TeamView:
        """Make a team."""
        team = await people.add_team(body.name, actor=by)
        return TeamView(id=team.id, name=team.name)

    @routes.delete("/teams/{team}", status_code=204, tags=["people"])
    async def delete_team(team: str, by: ByAdmin) -> None:
        """Delete a team; its members stay."""
        await people.delete_team(team, actor=by)

    @routes.get("/limits", tags=["people"])
    async def list_limits(_: Admin) -> list[LimitView]:
        """All limits, with what of the budgets is spent."""
        found = []
        for (kind, subject), limit in (await people.limits()).items():
            usd, tokens = accounts.gate.spent((kind, subject), limit.period)
            found.append(
                LimitView(kind=kind, subject=subject, spent_usd=usd, spent_tokens=tokens, **asdict(limit))
            )
        return found

    @routes.put("/limits/{kind}/{subject}", status_code=204, tags=["people"])
    async def set_limit(kind: SubjectKind, subject: str, body: LimitBody, by: ByAdmin) -> None:
        """Set what a user, key or team may use (`everyone/all`: each user without a limit of its own)."""
        await people.set_limit(kind, subject, Limit(**body.model_dump()), actor=by)

    @routes.delete("/limits/{kind}/{subject}", status_code=204, tags=["people"])
    async def remove_limit(kind: SubjectKind, subject: str, by: ByAdmin) -> None:
        """Take a limit away."""
        await people.set_limit(kind, subject, None, actor=by)

    @routes.get("/usage", tags=["usage"])
    async def get_usage(
        identity: AnIdentity,
        by: Group = "day",
        days: Annotated[int, Query(ge=1, le=3660)] = DEFAULT_DAYS,
        who: Literal["me", "everyone"] = "me",
    ) -> list[UsageTotalView]:
        """What was used in the last days, and what it cost. `who=everyone` is for administrators."""
        since, until, user = _window(identity, days, who)
        names = await group_names(by)
        totals = await accounts.ledger.totals(by, since, until, user_id=user)
        return [UsageTotalView(**_figures(total, names)) for total in totals]

    @routes.get("/usage/by-day", tags=["usage"])
    async def get_usage_by_day(
        identity: AnIdentity,
        by: Group = "model",
        days: Annotated[int, Query(ge=1, le=3660)] = DEFAULT_DAYS,
        who: Literal["me", "everyone"] = "me",
    ) -> list[UsageOfDayView]:
        """The same for each day that has any, for charts."""
        since, until, user = _window(identity, days, who)
        names = await group_names(by)
        found = await accounts.ledger.by_day(by, since, until, user_id=user)
        return [UsageOfDayView(day=day, **_figures(total, names)) for day, total in found]

    async def group_names(by: Group) -> dict[str, str]:
        """Names by id of what is grouped by."""
        if by == "user":
            return {one.id: one.name for one in await people.users()}
        if by == "team":
            return {one.id: one.name for one in await people.teams()}
        return {one.id: one.name for one in await accounts.keys()} if by == "key" else {}

    @routes.get("/audit", tags=["people"])
    async def get_audit(
        _: Admin,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: Annotated[str | None, Query(description="`id` of the last one seen.", max_length=32)] = None,
    ) -> list[ChangeView]:
        """Who changed what and from where, newest first."""
        return [
            ChangeView(
                id=change.id,
                at=iso(change.at),
                actor=change.actor,
                address=change.address,
                action=change.action,
                target=change.target,
                detail=dict(change.detail),
            )
            for change in await people.changes(limit, before)
        ]

    @routes.post("/cost/break-even", tags=["usage"])
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


def _window(identity: Identity, days: int, who: Literal["me", "everyone"]) -> tuple[float, float, str | None]:
    """From when until when, and of whom. Raises `NotAllowed` for everyone's usage, except for administrators."""
    if who == "everyone":
        require_admin(identity)
    now = time.time()
    return now - days * DAY, now + 1, None if who == "everyone" else identity.user.id


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
