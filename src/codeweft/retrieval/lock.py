"""One updater of an index at a time, across processes. The lock dies with its process, even by `kill -9`."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from codeweft.errors import Conflict

_PATIENCE_SECONDS: Final = 0.3
"""Whoever only asks for the holder takes the lock for microseconds; outlast that."""


@contextmanager
def updating(path: Path, name: str) -> Iterator[None]:
    """Hold the lock file `path`. Raises `Conflict` naming the process that holds it."""
    with path.open("a+") as file:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _try(file):
            if time.monotonic() > deadline:
                pid = _pid(file) or "another process"
                raise Conflict(
                    f"The index {name} is being updated by process {pid}.",
                    fix="Wait until it is done; what it has finished can be searched already.",
                    details={"pid": pid},
                )
            time.sleep(0.02)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def holder(path: Path) -> int | None:
    """The process that holds the lock file, or None when nobody does."""
    try:
        with path.open("r+") as file:
            return None if _try(file) else (_pid(file) or -1)
    except OSError:
        return None


def _try(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _pid(file: IO[str]) -> int | None:
    file.seek(0)
    text = file.read(20)
    return int(text) if text.isdigit() else None
