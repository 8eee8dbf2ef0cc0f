"""The chat over a web socket: the same answers and events as over HTTP, with states, commands and resending.

A message is sent again with its `request_id` after a lost connection; it is asked once, and its events are told from
`after` on. docs/chat-socket.md describes the protocol.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from codeweft.accounts import Identity
from codeweft.errors import CodeweftError, InvalidRequest, NotAllowed, NotFound, NotSignedIn, Overloaded
from codeweft.server import auth, failures
from codeweft.server.answer import Published
from codeweft.server.chat import Answers
from codeweft.server.chat_views import MOST_ATTACHMENTS, AskBody, Id, SamplingBody
from codeweft.server.emit import dumps
from codeweft.server.service import Service
from codeweft.server.views import Body, Problem
from codeweft.stream import close

PATH: Final = "/api/chat/ws"
MOST_AT_ONCE: Final = 8
"""Answers that one connection follows at the same time; a page shows one."""
SESSION_OVER: Final = 4401
"""Close code: the key or session that the socket was opened with is not valid any more."""

RequestId = Annotated[str, Field(pattern=r"^[\w.:-]{1,64}$")]


class Ask(Body):
    """Ask something; without `conversation_id` in the conversation of this connection."""

    type: Literal["ask"]
    request_id: RequestId
    body: str = Field(min_length=1)
    conversation_id: Id | None = None
    model: str | None = Field(None, max_length=200)
    index: str | None = Field(None, max_length=200)
    sampling: SamplingBody = SamplingBody()
    explain: bool = False
    attachments: list[Id] = Field(default=[], max_length=MOST_ATTACHMENTS)
    after: int = Field(0, ge=0, le=1_000_000)


class Stop(Body):
    """Stop an answer; what was written stays."""

    type: Literal["stop"]
    request_id: RequestId


class Ping(Body):
    type: Literal["ping"]


class Command(Body):
    type: Literal["command"]
    request_id: RequestId
    name: Literal["list_models", "enable_references", "disable_references", "clear_memory"]


Said = Annotated[Ask | Stop | Ping | Command, Field(discriminator="type")]
_SAID: TypeAdapter[Ask | Stop | Ping | Command] = TypeAdapter(Said)


def read(text: str) -> Ask | Stop | Ping | Command:
    """What a client said. Raises `InvalidRequest` that names the field."""
    try:
        return _SAID.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        # The first part of a place in a union is which member it was taken for.
        place = ".".join(str(part) for part in first["loc"][1:])
        raise InvalidRequest(
            f"{f'`{place}`' if place else 'The message'}: {first['msg']}.", param=place or None
        ) from None


class ChatSocket:
    """The endpoint, an ASGI application for scopes of the type `websocket`."""

    def __init__(self, service: Service, answers: Answers) -> None:
        self._service = service
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        accounts = self._service.runtime.accounts
        given = auth.read_headers(scope["headers"])
        try:
            identity = await auth.identify(accounts, given, PATH, "GET")
            if given.by_cookie and not same_origin(socket.headers.get("origin"), socket.headers.get("host")):
                # Browsers open sockets for any page, with the cookies of this one.
                raise NotAllowed(
                    "A socket with a session is only for pages of this server.", fix="Use a key."
                )
        except CodeweftError as error:
            await socket.send_denial_response(failures.response(error, PATH))
            return
        assert identity is not None
        await socket.accept()
        with suppress(WebSocketDisconnect):
            await _Connection(socket, self._service, self._answers, identity, given.secret or "").serve()


def same_origin(origin: str | None, host: str | None) -> bool:
    """Whether a page of `origin` belongs to the server that was called `host`."""
    return bool(origin and host) and urlsplit(origin or "").netloc == host


class _Connection:
    """One client. Whether references are looked up, and its conversation, last as long as the connection."""

    def __init__(
        self, socket: WebSocket, service: Service, answers: Answers, identity: Identity, secret: str
    ) -> None:
        self._socket = socket
        self._service = service
        self._answers = answers
        self._user = identity.user.id
        self._secret = secret
        self._references = True
        self._conversation: str | None = None
        self._following: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Answer until the client leaves."""
        try:
            while True:
                text = await self._socket.receive_text()
                if text == "__ping__":
                    await self._socket.send_text("__pong__")
                elif not await self._valid():
                    await self._error(None, NotSignedIn("Your session has ended.", fix="Sign in again."))
                    await self._socket.close(SESSION_OVER)
                    return
                else:
                    await self._hear(text)
        finally:
            for task in self._following.values():
                task.cancel()
            await asyncio.gather(*self._following.values(), return_exceptions=True)

    async def _valid(self) -> bool:
        accounts = self._service.runtime.accounts
        identity = accounts.known(self._secret) or await accounts.identify(self._secret)
        return identity is not None and identity.user.id == self._user

    async def _hear(self, text: str) -> None:
        request_id = None
        try:
            said = read(text)
            request_id = getattr(said, "request_id", None)
            match said:
                case Ping():
                    await self._send({"type": "pong"})
                case Command():
                    await self._command(said)
                case Stop():
                    await self._answers.cancel(self._user, self._answer_id(said.request_id))
                    await self._send({"request_id": request_id, "status": "completed"})
                case Ask():
                    self._begin(said)
        except Exception as error:
            await self._error(request_id, failures.translate(error))

    async def _command(self, said: Command) -> None:
        told: dict[str, Any] = {}
        match said.name:
            case "list_models":
                told["models"] = [
                    {"name": info.name, "kind": info.kind, "description": info.description}
                    for info in self._service.runtime.infos()
                    if "chat" in info.skills or info.kind == "app"
                ]
            case "enable_references" | "disable_references":
                self._references = told["references"] = said.name == "enable_references"
            case "clear_memory":
                self._conversation = None
        await self._send({"request_id": said.request_id, "status": "completed", "data": told})

    def _begin(self, said: Ask) -> None:
        running = self._following.get(said.request_id)
        if running is not None and not running.done():
            # Sent again over the same connection: nothing was lost.
            return
        self._following = {key: task for key, task in self._following.items() if not task.done()}
        if len(self._following) >= MOST_AT_ONCE:
            raise Overloaded(
                f"This connection follows {MOST_AT_ONCE} answers already.", fix="Wait for one, or stop it."
            )
        self._following[said.request_id] = asyncio.create_task(self._answer(said))

    async def _answer(self, said: Ask) -> None:
        try:
            answer_id = self._answer_id(said.request_id)
            try:
                events = await self._answers.events(self._user, answer_id, said.after)
            except NotFound:
                await self._ask(said, answer_id)
                events = await self._answers.events(self._user, answer_id, said.after)
            where = {"conversation_id": self._conversation, "answer_id": answer_id}
            await self._send({"request_id": said.request_id, "status": "typing", **where})
            try:
                async for batch in events:
                    for event in batch:
                        await self._socket.send_text(told(said.request_id, event))
            finally:
                await close(events)
        except (WebSocketDisconnect, RuntimeError):
            # The client left while it was being told; the answer is written on.
            return
        except Exception as error:
            with suppress(WebSocketDisconnect, RuntimeError):
                await self._error(said.request_id, failures.translate(error))

    async def _ask(self, said: Ask, answer_id: str) -> None:
        conversations = self._service.runtime.accounts.conversations
        target = said.conversation_id or self._conversation
        if target is None:
            target = (await conversations.create(self._user)).id
        body = AskBody(
            content=said.body,
            model=said.model,
            index=said.index if self._references else "",
            sampling=said.sampling,
            explain=said.explain,
            attachments=said.attachments,
        )
        self._conversation = target
        # A client that leaves now must not leave a turn behind that nobody writes.
        await asyncio.shield(self._answers.ask(self._user, target, body, answer_id))

    def _answer_id(self, request_id: str) -> str:
        """The same for a request that is sent again, also after the server was started again."""
        return hashlib.sha256(f"{self._user}\n{request_id}".encode()).hexdigest()[:16]

    async def _error(self, request_id: str | None, error: CodeweftError) -> None:
        problem = Problem.of(error).model_dump()
        await self._send(
            {"request_id": request_id, "status": "error", "error": {**problem, "param": error.param}}
        )

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(dumps(message).decode())


def told(request_id: str, event: Published) -> str:
    """An event of an answer as a message with the state that it is in."""
    status = {"done": "completed", "failed": "error"}.get(event.kind, "proceeding")
    head = dumps({"request_id": request_id, "status": status, "id": event.number, "event": event.kind})
    return f'{head.decode()[:-1]},"data":{event.data.decode()}}}'
