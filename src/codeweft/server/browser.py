"""Where a browser comes from, and the session that it is given."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from codeweft.accounts import Visit
from codeweft.config import Settings
from codeweft.server.auth import COOKIE

DAY = 86400


def visit(request: Request) -> Visit:
    """Where a request comes from."""
    return Visit(request.client.host if request.client else "", request.headers.get("user-agent", ""))


def set_session(
    response: Response,
    request: Request,
    settings: Settings,
    token: str,
    *,
    name: str = COOKIE,
    path: str = "/",
    seconds: float | None = None,
) -> None:
    """Give the browser a session: not for scripts, not with other sites' forms, only over TLS where there is any."""
    public = settings.server.public_url or ""
    response.set_cookie(
        name,
        token,
        max_age=int(settings.sign_in.session_days * DAY if seconds is None else seconds),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https" or public.startswith("https://"),
        path=path,
    )


def base_address(request: Request, settings: Settings) -> str:
    """The address of this server as the browser knows it, without a slash at the end."""
    return (settings.server.public_url or str(request.base_url)).rstrip("/")
