"""Programs that other people wrote, as installed by `make clients`; each test is skipped where its program is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from codeweft.server.clients import CLIENTS, Address, edited
from tests.server.conftest import Server, server, starting  # noqa: F401

PROGRAMS = Path(__file__).parents[2] / ".cache" / "clients"
SECONDS = 120


def program(path: str) -> str:
    """The program at a path below the folder of installed clients. Skips where it is missing."""
    found = PROGRAMS / path
    if not found.exists():
        pytest.skip(f"{found.name} is not installed: run `make clients`")
    return str(found)


def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node is not installed")
    return found


def run(
    command: Sequence[str], home: Path, environment: Mapping[str, str] | None = None, given: str = ""
) -> str:
    """What a program wrote, run in an empty home. Fails with all of it when the program fails."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(
        command,
        cwd=home,
        env={**inherited, "HOME": str(home), "NO_COLOR": "1", **(environment or {})},
        input=given,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def connected(name: str, running: Server, home: Path, model: str = "codegen") -> Path:
    """The settings that `codeweft connect NAME` writes, in `home`."""
    client = next(client for client in CLIENTS if client.name == name)
    path = home / client.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(edited(client, "", Address(running.url, running.key, model)))
    return path
