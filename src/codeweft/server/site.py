"""What is neither API: the built web UI, signing in by link, health, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from codeweft.errors import CodeweftError, NotFound, NotSignedIn
from codeweft.server.auth import COOKIE
from codeweft.server.browser import base_address, set_session, visit
from codeweft.server.emit import dumps
from codeweft.server.health import ready
from codeweft.server.oidc import CALLBACK, START, Provider, Trip
from codeweft.server.service import Service

STATIC = Path(__file__).parent / "static"
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
_QUIET = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
TRIP_COOKIE = "codeweft_trip"
TRIP_SECONDS = 600
"""How long one may take at the single sign-on."""
_FOREVER = "public, max-age=31536000, immutable"
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Codeweft</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>body{{font:16px/1.5 system-ui,sans-serif;
max-width:36rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}}code{{font-family:ui-monospace,monospace}}
</style></head><body><h1>{title}</h1><p>{text}</p></body></html>"""


def create_site(service: Service, static: Path = STATIC) -> Sequence[BaseRoute]:
    runtime = service.runtime
    oidc = runtime.settings.sign_in.oidc
    provider = None if oidc is None else Provider(oidc)

    async def health(request: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def readiness(request: Request) -> Response:
        why = ready(runtime)
        body = {"status": "ready" if why is None else "not ready", "reason": why}
        return Response(dumps(body), 200 if why is None else 503, media_type="application/json")

    async def metrics(request: Request) -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    async def signin(request: Request) -> Response:
        if request.method == "HEAD":
            # Previews of a link must not use it up.
            return Response()
        try:
            session = await runtime.accounts.redeem(request.query_params.get("token", ""), visit(request))
        except NotSignedIn as error:
            text = escape(error.message) + " Run <code>codeweft signin</code> in a terminal for a new one."
            return _page("This link does not work", text, 401)
        return await entered(request, session, await first_page(session))

    async def first_page(session: str) -> str:
        """Where a link leads: an administrator of an installation that nobody has set up yet is shown how."""
        identity = runtime.accounts.known(session)
        if identity is None or identity.user.role != "admin" or runtime.indexes.names():
            return "/"
        factors = await runtime.accounts.signin.factors(identity.user)
        return "/" if factors.password or factors.issuers else "/welcome"

    async def entered(request: Request, session: str, path: str) -> Response:
        """Into the page, with a new session in place of the browser's last one."""
        if old := request.cookies.get(COOKIE):
            await runtime.accounts.sign_out(old)
        response = RedirectResponse(path, 303, _QUIET)
        set_session(response, request, runtime.settings, session)
        return response

    async def leave_for_provider(request: Request) -> Response:
        if provider is None:
            raise NotFound("There is no single sign-on here.")
        trip = Trip.begin()
        try:
            url = await provider.begin(base_address(request, runtime.settings), trip)
        except CodeweftError as error:
            return _page("Signing in did not work", escape(str(error)), error.status)
        response = RedirectResponse(url, 303, _QUIET)
        wanted = quote(_own_path(request.query_params.get("next", "/")), safe="")
        set_session(
            response, request, runtime.settings, f"{trip.secret}.{wanted}",
            name=TRIP_COOKIE, path=START, seconds=TRIP_SECONDS,
        )  # fmt: skip
        return response

    async def back_from_provider(request: Request) -> Response:
        if provider is None or oidc is None:
            raise NotFound("There is no single sign-on here.")
        secret, _, wanted = request.cookies.get(TRIP_COOKIE, "").partition(".")
        try:
            found = await provider.finish(
                base_address(request, runtime.settings), Trip(secret), request.query_params
            )
            session = await runtime.accounts.signin.with_identity(
                found.external, visit(request), approved=oidc.approve, role=found.role, team=found.team
            )
        except CodeweftError as error:
            return _page("Signing in did not work", escape(str(error)), error.status)
        response = await entered(request, session, _own_path(unquote(wanted)))
        response.delete_cookie(TRIP_COOKIE, path=START)
        return response

    async def ui(request: Request) -> Response:
        path = request.path_params["path"]
        file = _inside(static, path)
        if file is not None:
            cache = _FOREVER if path.startswith("assets/") else "no-cache"
            return FileResponse(file, headers={**_HEADERS, "Cache-Control": cache})
        # A page of the UI may have a dot in its address (names of indexes have); a browser that goes there wants HTML.
        page = "text/html" in request.headers.get("accept", "") or "." not in path.rpartition("/")[2]
        if path.startswith("assets/") or not page:
            raise NotFound(f"There is no file {path}.")
        index = static / "index.html"
        if not index.is_file():
            return _page(
                "Codeweft is running",
                "Its web UI is not built. Run <code>make web</code> in a checkout, or install a release. "
                "The API is at <code>/v1</code>.",
                200 if not path else 404,
            )
        return FileResponse(index, headers={**_HEADERS, "Cache-Control": "no-cache"})

    return [
        Route("/health", health),
        Route("/ready", readiness),
        Route("/metrics", metrics),
        Route("/signin", signin),
        Route(START, leave_for_provider),
        Route(CALLBACK, back_from_provider),
        Route("/{path:path}", ui),
    ]


def _inside(static: Path, path: str) -> Path | None:
    """The file at `path` in `static`; None when there is none, or it lies outside."""
    if not path or "\0" in path:
        return None
    root = static.resolve()
    try:
        file = (root / path).resolve()
        return file if file.is_relative_to(root) and file.is_file() else None
    except OSError:
        return None


def _page(title: str, text: str, status: int) -> HTMLResponse:
    return HTMLResponse(
        _PAGE.format(title=title, text=text), status, headers={**_HEADERS, "Cache-Control": "no-store"}
    )


def _own_path(wanted: str) -> str:
    """A path of this server to go to; anything that a browser might take for another host leads home."""
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if plain else "/"
