"""The audit log over HTTP, filtered where it is kept. For administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from codeweft.accounts import AuditFilter
from codeweft.runtime.compose import Runtime
from codeweft.server.deps import Admin
from codeweft.server.views import View, iso


class ChangeView(View):
    id: str
    at: str
    actor: str
    address: str = Field(description="IP address; empty for what was done on the server's machine.")
    action: str
    target: str
    detail: dict[str, Any]


class AuditNamesView(View):
    """What the log can be filtered by."""

    actors: list[str]
    actions: list[str]


def audit_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["people"])
    people = runtime.accounts.people

    @routes.get("/audit")
    async def get_audit(
        _: Admin,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: Annotated[str | None, Query(description="`id` of the last one seen.", max_length=32)] = None,
        actor: Annotated[str | None, Query(description="Name of who did it.", max_length=200)] = None,
        action: Annotated[
            str | None, Query(description="Such as `key.create`, or `key` for all of keys.", max_length=100)
        ] = None,
        since: Annotated[AwareDatetime | None, Query(description="ISO 8601 with a time zone.")] = None,
        until: Annotated[AwareDatetime | None, Query(description="Up to, and without, this moment.")] = None,
        q: Annotated[
            str | None, Query(description="Part of who, what, to what, or from where.", max_length=200)
        ] = None,
    ) -> list[ChangeView]:
        """Who changed what and from where, newest first."""
        wanted = AuditFilter(
            actor or "",
            action or "",
            since.timestamp() if since else None,
            until.timestamp() if until else None,
            (q or "").strip(),
        )
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
            for change in await people.changes(limit, before, wanted)
        ]

    @routes.get("/audit/names")
    async def get_audit_names(_: Admin) -> AuditNamesView:
        """Who is in the log, and which actions are."""
        actors, actions = await people.audit_names()
        return AuditNamesView(actors=actors, actions=actions)

    return routes
