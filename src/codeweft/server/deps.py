"""What endpoints of the web API take from a request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from codeweft.accounts import Identity
from codeweft.errors import NotAllowed


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


Admin = Annotated[Identity, Depends(_admin)]
AnIdentity = Annotated[Identity, Depends(_signed_in)]
MaybeIdentity = Annotated[Identity | None, Depends(_identity)]
UserId = Annotated[str, Depends(_user)]
