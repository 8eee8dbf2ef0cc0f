"""The ASGI application: one door (who asks, how much may be sent, what went wrong), three rooms behind it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from importlib import import_module
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codeweft.errors import InvalidRequest, NotFound
from codeweft.runtime.compose import Runtime
from codeweft.server import auth, failures, socket
from codeweft.server.agents import Agents
from codeweft.server.anthropic import Anthropic
from codeweft.server.chat import Answers
from codeweft.server.connections import Body, too_large
from codeweft.server.described import describe
from codeweft.server.emit import dumps
from codeweft.server.later import Later
from codeweft.server.llamacpp import LlamaCpp
from codeweft.server.ollama import Ollama
from codeweft.server.opea import Opea
from codeweft.server.openai import OpenAI
from codeweft.server.responses import Responses
from codeweft.server.service import Service
from codeweft.server.site import create_site
from codeweft.server.streams import ClientGone
from codeweft.server.tabby import Tabby
from codeweft.types import Caller

Endpoint = Callable[[Request], Awaitable[Response]]


class Application:
    """The ASGI application. `stop` ends open streams so that a server can shut down without waiting for them."""

    def __init__(self, runtime: Runtime) -> None:
        self._service = Service(runtime)
        self._answers = Answers(runtime, self._service)
        self._accounts = runtime.accounts
        public = runtime.settings.server.public_url
        self._public_host = urlsplit(public).netloc if public else None
        self._max_body = int(runtime.settings.server.max_body_mb * 1_000_000)
        openai = OpenAI(self._service)
        protocols = (
            Tabby(self._service, otherwise=openai.completions),
            openai,
            Responses(self._service),
            Anthropic(self._service),
            LlamaCpp(self._service),
            Ollama(self._service),
            Opea(self._service),
        )
        v1 = [
            Route("/v1/openapi.json", _description, methods=["GET"]),
            *(route for protocol in protocols for route in protocol.routes()),
        ]
        self._v1: ASGIApp = Router(v1, default=_nothing, redirect_slashes=False)
        self._endpoints = _endpoints(v1)
        self._agents = Agents(self._service)
        self._socket = socket.ChatSocket(self._service, self._answers)
        self._runtime = runtime
        self._api = Later(self._create_api)
        self._site: ASGIApp = Router(
            create_site(self._service), redirect_slashes=False, lifespan=self._lifespan
        )
        self.on_started: Callable[[], object] = _do_nothing
        """Called once, when requests are going to be answered."""
        self._routes = frozenset(route.path for route in v1)

    async def stop(self) -> None:
        """End open streams, and save the answers that are being written."""
        await self._answers.stop()
        await self._agents.close()
        self._service.streams.stop()

    @asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[None]:
        await self._accounts.watch()
        await self._answers.recover()
        self.on_started()
        yield
        await self.stop()

    async def _create_api(self) -> ASGIApp:
        """The API of the page. FastAPI and its models take longer to load than all that programs ask for."""
        await asyncio.to_thread(import_module, "codeweft.server.api")
        from codeweft.server.api import create_api

        # On this thread: FastAPI changes which warnings are shown meanwhile, which all threads share.
        api = create_api(self._runtime, self._service, self._answers)
        # It stays: looking through it for garbage would stop every stream for tens of milliseconds.
        gc.freeze()
        return api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._site(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["path"] == socket.PATH:
            await self._socket(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000, "reason": "There is no web socket here."})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        started = time.monotonic()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if "status" in message:
                status = message["status"]
            await send(message)

        try:
            await self._serve(scope, receive, noting)
        except ClientGone:
            status = 499
        except Exception as error:
            told = failures.translate(error)
            if not status:
                await failures.response(told, path)(scope, receive, noting)
        self._service.metrics.answered(self._route(path), status, time.monotonic() - started)

    def _route(self, path: str) -> str:
        """A label for `path` of which there are few."""
        if path in self._routes:
            return path
        return "/v1" if path.startswith("/v1/") else "/api" if path.startswith("/api/") else "/"

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        given = auth.read_headers(scope["headers"])
        identity = await auth.identify(self._accounts, given, path, scope["method"], self._public_host)
        scope["app"] = self
        scope["codeweft.identity"] = identity
        scope["codeweft.secret"] = given.secret
        scope["codeweft.caller"] = Caller(identity.user.id, identity.key_id) if identity else Caller("nobody")
        if given.encoded is not None:
            raise InvalidRequest(
                f"Bodies encoded as {given.encoded!r} are not taken.",
                fix="Send it as it is.",
                param="Content-Encoding",
            )
        if given.length is not None and given.length > self._max_body:
            raise too_large(self._max_body)
        receive = Body(receive, self._max_body).receive
        endpoint = self._endpoints.get((scope["method"], path))
        if endpoint is None:
            await self._room(path)(scope, receive, send)
        else:
            response = await endpoint(Asked(scope, receive, send))
            await response(scope, receive, send)

    def _room(self, path: str) -> ASGIApp:
        if path.startswith("/v1/") or path in self._routes:
            return self._v1
        if path.startswith("/api/"):
            return self._api
        return self._agents if path == "/mcp" else self._site


class Asked(Request):
    """A request whose body is read without the generator that Starlette's takes."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            pieces: list[bytes] = []
            more = True
            while more:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                pieces.append(message.get("body", b""))
                more = message.get("more_body", False)
            self._body = b"".join(pieces)
        return self._body


def _endpoints(routes: Iterable[Route]) -> dict[tuple[str, str], Endpoint]:
    """The endpoints of plain addresses by method and path; asking each route in turn takes longer than answering."""
    found: dict[tuple[str, str], Endpoint] = {}
    for route in routes:
        if not route.param_convertors:
            for method in route.methods or ():
                found.setdefault((method, route.path), route.endpoint)
    return found


def _do_nothing() -> None:
    """Nobody waits for the start."""


def create_app(runtime: Runtime) -> Application:
    """The ASGI application over an opened runtime; its lifespan follows accounts and saves running answers."""
    return Application(runtime)


async def _description(http: Request) -> Response:
    return Response(dumps(describe()), media_type="application/json")


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound(f"There is nothing at {scope['path']}.", fix="docs/api.md lists the addresses.")
