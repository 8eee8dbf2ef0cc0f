"""Running the server: bind first, announce when ready, stop quickly."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import uvicorn
import uvloop

from codeweft.config import ServerSettings, Settings
from codeweft.errors import CodeweftError, Conflict, InvalidRequest, NotAllowed
from codeweft.runtime.compose import Runtime
from codeweft.runtime.garbage import settle
from codeweft.server.app import Application, create_app
from codeweft.server.connections import IDLE_SECONDS, Protocol

log = logging.getLogger("codeweft.server")

GRACE_SECONDS = 2
"""How long open answers get to say their last word when the server stops."""
BACKLOG = 512


class _Server(uvicorn.Server):
    """uvicorn, told to end open streams before it waits for them."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._application.stop()
        await super().shutdown(sockets)


def run(
    runtime_factory: Callable[[Settings], AbstractAsyncContextManager[Runtime]],
    settings: Settings,
    on_ready: Callable[[str, Runtime], object],
) -> None:
    """`serve` in an event loop of its own, the fast one."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(runtime_factory, settings, on_ready))


async def serve(
    runtime_factory: Callable[[Settings], AbstractAsyncContextManager[Runtime]],
    settings: Settings,
    on_ready: Callable[[str, Runtime], object],
) -> None:
    """Serve until SIGINT, SIGTERM or cancellation.

    `on_ready(address, runtime)` is called once requests are answered. Raises `Conflict` when the port is in use,
    `NotAllowed` when it may not be bound, `InvalidRequest` for an address that is not this machine's.
    """
    listening = bind(settings.server)
    try:
        async with runtime_factory(settings) as runtime:
            application = create_app(runtime)
            config = uvicorn.Config(
                application,
                http=Protocol,
                ws="websockets-sansio",
                ws_max_size=int(settings.server.max_body_mb * 1_000_000),
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=int(IDLE_SECONDS),
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
            server = _Server(config, application)
            application.on_started = lambda: _started(listening, settings, runtime, on_ready)
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            following = asyncio.create_task(runtime.updates.follow())
            try:
                await asyncio.shield(serving)
            except asyncio.CancelledError:
                # Whoever embeds the server stops it by cancelling: as gracefully as a signal does.
                server.should_exit = True
                await serving
                raise
            finally:
                following.cancel()
    finally:
        listening.close()


def _started(
    listening: socket.socket, settings: Settings, runtime: Runtime, on_ready: Callable[[str, Runtime], object]
) -> None:
    settle()
    # Looking through the indexes reads files; the first requests need not wait for it.
    threading.Thread(target=_resume, args=(runtime,), name="resume", daemon=True).start()
    if not is_loopback(settings.server.host):
        log.warning(
            "Listening on %s: other machines can reach this server. Everything needs signing in, but nothing is "
            "encrypted; put a proxy with TLS in front.",
            settings.server.host,
        )
    on_ready(settings.server.public_url or address(listening), runtime)


def _resume(runtime: Runtime) -> None:
    try:
        runtime.updates.resume()
    except CodeweftError as error:
        log.warning("Unfinished indexes were not resumed: %s", error)


def bind(settings: ServerSettings) -> socket.socket:
    """A bound socket, so that a port in use is found before models are loaded."""
    try:
        family, _, _, _, place = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise InvalidRequest(
            f"The host {settings.host!r} is not an address: {error.strerror}.",
            fix="Set server.host.",
            param="host",
        ) from None
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(place)
        # Listening at once, or a second server could bind the same port before the first one listens.
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise _unbound(error, settings) from None
    listening.setblocking(False)
    return listening


def _unbound(error: OSError, settings: ServerSettings) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return Conflict(
            f"Port {settings.port} of {settings.host} is in use by another program.",
            fix=f"Stop that program, or choose another port: `codeweft serve --port {settings.port + 1}`.",
            param="port",
        )
    if error.errno == errno.EACCES:
        return NotAllowed(
            f"Port {settings.port} needs administrator's rights.",
            fix="Choose a port above 1023.",
            param="port",
        )
    return InvalidRequest(
        f"{settings.host} is not an address of this machine: {error.strerror}.",
        fix="Set server.host.",
        param="host",
    )


def address(listening: socket.socket) -> str:
    """The address to open in a browser. A server on all addresses is also on loopback."""
    host, port = listening.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
