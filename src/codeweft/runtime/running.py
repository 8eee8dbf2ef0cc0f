"""A running server, as commands of the same user find it."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from codeweft import config
from codeweft.errors import StorageFailed


@dataclass(frozen=True)
class Server:
    """A server that runs on this state folder; `key` lets commands of the same user in."""

    url: str
    pid: int
    key: str


def _announcement() -> Path:
    return config.home() / "server.json"


def announce(server: Server) -> None:
    """Leave word of a running server for commands of the same user (mode 0600). Raises `StorageFailed`."""
    path = _announcement()
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(server), file)
    except OSError as error:
        raise StorageFailed(
            f"{path} cannot be written: {error.strerror}.",
            fix="Free some space, or remove what stands there.",
        ) from None


def retract() -> None:
    """Take the word back, if it is ours."""
    with suppress(OSError, ValueError, TypeError):
        if Server(**json.loads(_announcement().read_text())).pid == os.getpid():
            _announcement().unlink()


def running() -> Server | None:
    """The server of this state folder that answers now, if any."""
    try:
        server = Server(**json.loads(_announcement().read_text()))
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname or "127.0.0.1", address.port or 80), timeout=1):
            os.kill(server.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return server
