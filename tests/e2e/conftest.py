"""The real thing: `codeweft serve` as a person starts it, with the real engine, on a folder of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from openai import OpenAI
from playwright.sync_api import Browser

if TYPE_CHECKING:
    from tests.e2e.team import Team

SAMPLE = Path(__file__).parent / "sample"
START_SECONDS = 120
OUTPUT = {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker("e2e")


def environment(home: Path, **more: str) -> dict[str, str]:
    """A clean environment: our state folder, nobody's key, and lines too long to be broken inside a path."""
    dropped = ("CODEWEFT_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "CODEWEFT_HOME": str(home), **OUTPUT, **more}


def codeweft(
    home: Path,
    *arguments: str,
    stdin: str | None = "",
    cwd: Path | None = None,
    timeout: float = 120,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "codeweft", *arguments],
        env=environment(home, **(env or {})),
        input=stdin,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout,
    )


@dataclass
class Server:
    """A running `codeweft serve`."""

    process: subprocess.Popen[str]
    home: Path
    lines: list[str] = field(default_factory=list)

    def wait_for(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """The first printed line that matches. Fails with everything that was printed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in list(self.lines):
                if match := re.search(pattern, line):
                    return match
            if self.process.poll() is not None:
                time.sleep(0.2)
                break
            time.sleep(0.05)
        raise AssertionError(f"no line like {pattern!r} in:\n" + "\n".join(self.lines))

    @property
    def url(self) -> str:
        return self.wait_for(r"Codeweft is ready at (http://\S+)")[1]

    def key(self) -> str:
        return codeweft(self.home, "keys", "create", "--name", "test").stdout.strip()

    def signin_link(self) -> str:
        return codeweft(self.home, "signin").stdout.strip()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def start(home: Path, *arguments: str, env: dict[str, str] | None = None) -> Server:
    process = subprocess.Popen(
        [sys.executable, "-m", "codeweft", "serve", "--port", "0", *arguments],
        env=environment(home, **(env or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(process, home)

    def follow() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            server.lines.append(line.rstrip("\n"))

    threading.Thread(target=follow, daemon=True).start()
    return server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the whole session, with the sample indexed as `sample`."""
    running = start(tmp_path_factory.mktemp("home"), "--code", str(SAMPLE))
    running.wait_for("Codeweft is ready at")
    yield running
    assert running.stop() == 0, "\n".join(running.lines[-20:])


@pytest.fixture(scope="session")
def key(server: Server) -> str:
    return server.key()


@pytest.fixture(scope="session")
def client(server: Server, key: str) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0, timeout=120)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for a module: while its program runs, no other event loop does."""
    from tests.e2e.browsing import chromium

    with chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Two people at one server, with the real engine."""
    from tests.e2e.team import two_people

    with two_people(tmp_path_factory.mktemp("team")) as made:
        yield made


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Servers that one test starts and may break."""
    started: list[Server] = []

    def make(*arguments: str, home: Path | None = None, env: dict[str, str] | None = None) -> Server:
        started.append(start(home or tmp_path / "home", *arguments, env=env))
        return started[-1]

    yield make
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
