"""Users, teams, limits, and who may read which index: what administrators edit."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from fastapi import APIRouter
from pydantic import Field

from codeweft.accounts import Limit, Period, Readers, Role, Status, SubjectKind, User
from codeweft.errors import InvalidRequest, NotFound
from codeweft.runtime.compose import Runtime
from codeweft.server.deps import NO_CONTENT, Admin, ByAdmin, Readable
from codeweft.server.session import EndedView
from codeweft.server.views import Body, Name, View


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

    @routes.delete("/users/{user}", tags=["people"], **NO_CONTENT)
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

    @routes.delete("/users/{user}/totp", tags=["people"], **NO_CONTENT)
    async def remove_user_totp(user: str, by: ByAdmin) -> None:
        """Take a second factor away from a user who lost it."""
        await accounts.signin.remove_totp(await people.user(user), actor=by)

    @routes.delete("/users/{user}/password", tags=["people"], **NO_CONTENT)
    async def remove_user_password(user: str, by: ByAdmin) -> None:
        """Take a user's password away and sign the user out everywhere; a new link lets them set another."""
        found = await people.user(user)
        await accounts.signin.remove_password(found, actor=by)
        await accounts.sessions.end_all(found.id)

    @routes.put("/users/{user}/identity", tags=["people"], **NO_CONTENT)
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

    @routes.delete("/teams/{team}", tags=["people"], **NO_CONTENT)
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

    @routes.put("/limits/{kind}/{subject}", tags=["people"], **NO_CONTENT)
    async def set_limit(kind: SubjectKind, subject: str, body: LimitBody, by: ByAdmin) -> None:
        """Set what a user, key or team may use (`everyone/all`: each user without a limit of its own)."""
        await people.set_limit(kind, subject, Limit(**body.model_dump()), actor=by)

    @routes.delete("/limits/{kind}/{subject}", tags=["people"], **NO_CONTENT)
    async def remove_limit(kind: SubjectKind, subject: str, by: ByAdmin) -> None:
        """Take a limit away."""
        await people.set_limit(kind, subject, None, actor=by)

    return routes
