"""Many processes at one index: one updates, the others are told so; whoever reads never sees half a file."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from pathlib import Path

from codeweft.errors import Conflict
from codeweft.types import Query

from . import parts

SECONDS = 4.0


def updater(folder: Path, root: Path, until: float, told: Connection) -> None:
    """Update again and again; how often it worked, how often another one was at it, and what went wrong."""
    done = refused = 0
    wrong: list[str] = []
    index = parts.opened(folder, root)
    while time.time() < until:
        try:
            index.update(workers=0)
            done += 1
        except Conflict as error:
            if "process" not in error.message or not error.fix:
                wrong.append(str(error))
            refused += 1
        except Exception as error:
            wrong.append(repr(error))
        time.sleep(0.01)
    told.send((done, refused, wrong))


def reader(folder: Path, root: Path, until: float, told: Connection) -> None:
    """Search and read files; how often, and everything that was wrong with it."""
    index = parts.opened(folder, root)
    count = 0
    wrong: list[str] = []
    while time.time() < until:
        try:
            for result in index.search(Query("handle request total count", k=5)):
                if not result.chunk.text.startswith("def handle_"):
                    wrong.append(f"half a chunk: {result.chunk.text!r}")
            for file in index.files()[:5]:
                try:
                    lines = [line for one in index.chunks(file.path) for line in one.text.split("\n")]
                except Exception as error:
                    if "no file" not in str(error):
                        raise
                    continue
                numbers = {line.split("_")[1] for line in lines if line.startswith("def handle_")}
                if len(numbers) > 1:
                    wrong.append(f"two versions of {file.path}: {numbers}")
            status = index.status()
            if status.indexed > status.files or (status.indexed and not status.chunks):
                wrong.append(repr(status))
            count += 1
        except Exception as error:
            wrong.append(repr(error))
    told.send((count, wrong))


def test_one_updates_others_are_refused_and_readers_never_notice(tmp_path: Path) -> None:
    code = parts.Code(tmp_path / "code", 80, seed=9)
    folder = tmp_path / "index"
    parts.opened(folder, code.root).update(workers=0)
    context = parts.processes()
    until = time.time() + SECONDS
    running = []
    for work in (updater, updater, reader, reader):
        mine, theirs = context.Pipe(duplex=False)
        child = context.Process(target=work, args=(folder, code.root, until, theirs), daemon=True)
        child.start()
        running.append((work, child, mine))
    while time.time() < until:
        code.change(15)
        time.sleep(0.15)
    results = [(work, mine.recv()) for work, _, mine in running]
    for _, child, _ in running:
        child.join()
    updates = [told for work, told in results if work is updater]
    assert [wrong for *_, wrong in updates] == [[], []]
    assert sum(done for done, *_ in updates) > 0
    assert sum(refused for _, refused, _ in updates) > 0, "they never met, so this proves nothing"
    reads = [told for work, told in results if work is reader]
    assert [wrong for _, wrong in reads] == [[], []]
    assert all(count > 0 for count, _ in reads)
    index = parts.opened(folder, code.root)
    index.update(workers=0)
    assert parts.stored(index) == code.now()
