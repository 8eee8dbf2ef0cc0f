"""How an updating process is called where processes of several machines meet."""

from __future__ import annotations

import os
import socket
from typing import Final

_LONGEST: Final = 63
"""Characters that PostgreSQL keeps of an application's name."""


def process_name() -> str:
    """This process: its id and its machine."""
    return _name(os.getpid())


def process_id(name: str | None) -> int:
    """The id of the process of that name when it runs on this machine, else -1."""
    pid = (name or "").removeprefix("codeweft ").partition(" ")[0]
    return int(pid) if pid.isdigit() and name == _name(int(pid)) else -1


def _name(pid: int) -> str:
    return f"codeweft {pid} {socket.gethostname()}"[:_LONGEST]
