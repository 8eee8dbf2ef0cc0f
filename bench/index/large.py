"""How soon does a large repository answer, and what does it cost to keep it fresh?

    python -m bench.index.large FOLDER... [--files 10000] [--within]

Makes a git repository of so many source files out of those below the folders, indexes it with the command (or, with
`--within`, in a thread of the process that searches, as the server does) and asks all the while. Then one file is
edited, and a branch is checked out that differs in ten.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from bench.index.branches import git, switched, timed
from codeweft.errors import CodeweftError
from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index
from codeweft.retrieval.recognise import SOURCE_SUFFIXES
from codeweft.retrieval.sources import Source
from codeweft.types import Query

QUESTIONS = (
    "parse the configuration file", "open a connection with a timeout", "write the response headers",
    "render a template", "validate user input", "convert a value to JSON",
)  # fmt: skip
DIFFERING = 10


def gathered(folders: Sequence[Path], count: int, root: Path) -> int:
    """Copy `count` source files of the folders into `root`, each folder's into one of its own; returns how many."""
    found = sorted(
        (folder, path.relative_to(folder))
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in SOURCE_SUFFIXES and ".git" not in path.parts and path.is_file() and not path.is_symlink()
    )  # fmt: skip
    chosen = Random(7).sample(found, min(count, len(found)))
    for folder, path in chosen:
        # Not under the name of the folder: what lies in `site-packages` is not the team's code.
        target = root / f"part{folders.index(folder)}" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / path, target)
    return len(chosen)


def commanded(root: Path, state: Path) -> Callable[[], bool]:
    """Begin to index with the command; what is returned says whether it is still at it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "codeweft", "index", "add", str(root), "--name", "large", "--json"],
        env=os.environ | {"CODEWEFT_HOME": str(state)},
        stdout=subprocess.DEVNULL,
    )
    return lambda: process.poll() is None


def within(root: Path, state: Path, encoder: StaticEncoder) -> Callable[[], bool]:
    """The same in a thread of this process."""
    index = Index.create(state / "indexes" / "large", Source("folder", str(root)), encoder)
    thread = threading.Thread(target=index.update)
    thread.start()
    return thread.is_alive


def answers(
    folder: Path, encoder: StaticEncoder, busy: Callable[[], bool]
) -> Iterator[tuple[float, float, int]]:
    """Ask ten times a second while it is `busy`: (when, for how long, how many results), times in seconds."""
    began = time.perf_counter()
    index: Index | None = None
    while busy():
        time.sleep(0.1)
        if index is None and not (folder / "index.sqlite").exists():
            continue
        for question in QUESTIONS:
            asked = time.perf_counter()
            try:
                index = index or Index(folder, encoder)
                found = len(index.search(Query(question)))
            except CodeweftError:
                break
            now = time.perf_counter()
            yield now - began, now - asked, found


def main() -> None:
    """Measure and print as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.index.large", description=__doc__.split("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--within", action="store_true")
    arguments = parser.parse_args()
    encoder = StaticEncoder.load()
    encoder.encode_query(["warm"])
    with tempfile.TemporaryDirectory(prefix="codeweft-bench-") as scratch:
        root, state = Path(scratch) / "copy", Path(scratch) / "state"
        count = gathered(arguments.folders, arguments.files, root)
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "all")
        folder = state / "indexes" / "large"
        report: dict[str, object] = {"files": count, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
        began = time.perf_counter()
        busy = within(root, state, encoder) if arguments.within else commanded(root, state)
        asked = list(answers(folder, encoder, busy))
        report["indexed_s"] = round(time.perf_counter() - began, 1)
        first = next((when for when, _, found in asked if found), None)
        took = sorted(seconds * 1000 for _, seconds, found in asked if found)
        report["first_answer_s"] = first and round(first, 2)
        report["searches_meanwhile"] = len(took)
        if took:
            report["search_meanwhile_ms_p50"] = round(statistics.median(took), 1)
            report["search_meanwhile_ms_p95"] = round(took[int(len(took) * 0.95)], 1)
        index = Index(folder, encoder)
        status = index.status()
        report["indexed"], report["chunks"] = status.indexed, status.chunks
        report["lines"] = sum(file.lines for file in index.files())
        code = [file.path for file in index.files() if file.status == "indexed" and file.chunks > 1]
        edits = []
        for number in range(5):
            with (root / code[0]).open("a") as file:
                file.write(f"\n# edit {number}\n")
            edits.append(timed(lambda: index.update(only=code[:1])))
        report["one_file_edited"] = {
            unit: statistics.median(one[unit] for one in edits) for unit in ("ms", "cpu_ms")
        }
        git(root, "commit", "-q", "-a", "-m", "edited")
        git(root, "checkout", "-q", "-b", "other")
        for path in Random(7).sample(code, DIFFERING):
            with (root / path).open("a") as file:
                file.write("\n# of another branch\n")
        git(root, "commit", "-q", "-a", "-m", "other")
        git(root, "checkout", "-q", "main")
        index.update()
        report["nothing_changed"] = switched(index, root, "main")
        report[f"branch_that_differs_in_{DIFFERING}"] = switched(index, root, "other")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
