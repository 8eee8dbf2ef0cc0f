"""A full disk is an error that says so; what was indexed stays, and the next update goes on."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from codeweft.errors import StorageFailed
from codeweft.types import Query

from . import parts


def update_with_little_room(folder: Path, root: Path, limit: int, told: Connection) -> None:
    """An update in a process that may write no file larger than `limit` bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        parts.opened(folder, root).update(workers=0)
        told.send(("done", "", ""))
    except StorageFailed as error:
        told.send(("storage", error.message, error.fix))
    except Exception as error:
        told.send(("other", repr(error), ""))


def run(folder: Path, root: Path, limit: int) -> tuple[str, str, str]:
    context = parts.processes()
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=update_with_little_room, args=(folder, root, limit, theirs))
    child.start()
    told: tuple[str, str, str] = mine.recv()
    child.join()
    return told


@pytest.mark.parametrize("limit", [60_000, 150_000])
def test_no_room_to_write_loses_nothing(tmp_path: Path, limit: int) -> None:
    code = parts.Code(tmp_path / "code", 40, seed=3)
    folder = tmp_path / "index"
    first = parts.opened(folder, code.root)
    first.update(workers=0)
    before = parts.stored(first)
    first.close()
    for number in range(200):
        code.write(f"more/module_{number}.py")
    kind, message, fix = run(folder, code.root, limit)
    assert kind == "storage", message

    assert "what was indexed before is intact" in message and "space" in fix
    index = parts.opened(folder, code.root)
    held = parts.stored(index)
    assert index.status().state in ("failed", "incomplete")
    assert all(text in code.versions[path] for path, text in held.items())
    assert set(before) <= set(held) < set(code.now())
    assert index.search(Query(next(iter(before.values())).split("(")[0].removeprefix("def "), k=1))
    index.update(workers=0)
    assert parts.stored(index) == code.now() and index.status().state == "ready"


SCRIPT = """
import sys
from pathlib import Path
from codeweft.errors import StorageFailed
from tests.faults import parts
folder, root = map(Path, sys.argv[1:])
try:
    parts.opened(folder, root).update(workers=0)
except StorageFailed as error:
    print(error.message, error.fix)
"""


def test_a_disk_that_fills_up_is_named_and_forgiven(tmp_path: Path) -> None:
    """A file system of 0.6 MB, in a mount namespace of its own; what is on it is copied out before that ends."""
    code = parts.Code(tmp_path / "code", 400, seed=5)
    disk, saved = tmp_path / "disk", tmp_path / "saved"
    disk.mkdir()
    command = (
        f"mount -t tmpfs -o size=600k none '{disk}' && "
        f"'{sys.executable}' -c '{SCRIPT}' '{disk}/index' '{code.root}'; cp -r '{disk}' '{saved}'"
    )
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", command],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"this machine lets nobody mount a file system: {done.stderr.strip()}")
    assert "is full" in done.stdout and "Free some space" in done.stdout, done.stdout + done.stderr
    index = parts.opened(saved / "index", code.root)
    held = parts.stored(index)
    assert len(held) < 400 and all(text in code.versions[path] for path, text in held.items())
    assert index.status().state in ("failed", "incomplete", "empty")
    index.update(workers=0)
    assert parts.stored(index) == code.now()
