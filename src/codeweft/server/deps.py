"""What endpoints of the web API take from a request."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from codeweft.accounts import Actor, Identity, Visit
from codeweft.errors import NotAllowed
from codeweft.retrieval.catalogue import Indexes
from codeweft.runtime.compose import Runtime
from codeweft.server.browser import visit

NO_CONTENT: Final[dict[str, Any]] = {"status_code": 204, "response_class": Response}
"""Of routes that answer nothing: without a body there is no type of it either."""


def _identity(request: Request) -> Identity | None:
    found: Identity | None = request.scope["codeweft.identity"]
    return found


def _signed_in(request: Request) -> Identity:
    found: Identity = request.scope["codeweft.identity"]
    return found


def _user(request: Request) -> str:
    return _signed_in(request).user.id


def require_admin(identity: Identity) -> Identity:
    """Raises `NotAllowed` for anybody else."""
    if identity.user.role != "admin":
        raise NotAllowed("This is for administrators.", fix="Ask one of them.")
    return identity


def _admin(request: Request) -> Identity:
    return require_admin(_signed_in(request))


def _readable(request: Request) -> Indexes:
    runtime: Runtime = request.app.state.runtime
    return runtime.readable(request.scope["codeweft.caller"])


def actor(identity: Identity, request: Request) -> Actor:
    """Who changes something, for the audit log."""
    return Actor(identity.user.name, visit(request).address)


def _by_admin(request: Request) -> Actor:
    return actor(_admin(request), request)


def _by_user(request: Request) -> Actor:
    return actor(_signed_in(request), request)


def _by_session(request: Request) -> Identity:
    """A key that leaked must not change how its user signs in."""
    found = _signed_in(request)
    if not found.session:
        raise NotAllowed("This needs a session; a key does not do.", fix="Sign in on the web page.")
    return found


Admin = Annotated[Identity, Depends(_admin)]
AnIdentity = Annotated[Identity, Depends(_signed_in)]
MaybeIdentity = Annotated[Identity | None, Depends(_identity)]
ByAdmin = Annotated[Actor, Depends(_by_admin)]
"""For changes that only administrators make: who it was."""
ByUser = Annotated[Actor, Depends(_by_user)]
BySession = Annotated[Identity, Depends(_by_session)]
FromWhere = Annotated[Visit, Depends(visit)]
Readable = Annotated[Indexes, Depends(_readable)]
"""The indexes that whoever asks may read: every endpoint that reads one takes it from here."""
UserId = Annotated[str, Depends(_user)]
