"""What does switching branches cost?

    python -m bench.index.branches FOLDER --differing 1,10,100

Indexes a copy of FOLDER under git, checks out branches that differ from it in so many files, and updates: how many
files were read, and how long it took beside an update that finds nothing changed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import Source
from codeweft.retrieval.update import Progress

IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "commit.gpgsign=false")


def git(root: Path, *arguments: str) -> None:
    """Run git in `root`, with a name to commit under."""
    subprocess.run(["git", "-C", str(root), *IDENTITY, *arguments], check=True, capture_output=True)


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Wall and processor time in ms."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return {
        "ms": round((time.perf_counter() - wall) * 1000, 1),
        "cpu_ms": round((time.process_time() - processor) * 1000, 1),
    }


def switched(index: Index, root: Path, branch: str) -> dict[str, float]:
    """Check out a branch and update: files read, and what that took in ms."""
    git(root, "checkout", "-q", branch)
    # A file as young as this would be read again by the next update, too.
    time.sleep(0.05)
    read = 0

    def told(progress: Progress) -> None:
        nonlocal read
        if progress.stage == "reading":
            read = progress.total

    times = timed(lambda: index.update(told))
    return {"files_read": read, **times}


def main() -> None:
    """Measure and print as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.index.branches", description=__doc__.split("\n")[0]
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--differing", default="1,10,100")
    arguments = parser.parse_args()
    encoder = StaticEncoder.load()
    encoder.encode(["warm"])
    with tempfile.TemporaryDirectory(prefix="codeweft-bench-") as state:
        root = Path(state) / "copy"
        shutil.copytree(arguments.folder, root, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "all")
        index = Index.create(Path(state) / "index", Source("folder", str(root)), encoder)
        report: dict[str, object] = {"cold": timed(index.update), "unchanged": timed(index.update)}
        code = [file.path for file in index.files() if file.status == "indexed" and file.chunks > 1]
        for count in map(int, arguments.differing.split(",")):
            branch = f"differs-in-{count}"
            git(root, "checkout", "-q", "-b", branch, "main")
            for path in Random(count).sample(code, min(count, len(code))):
                with (root / path).open("a") as file:
                    file.write("\n# of another branch\n")
            git(root, "commit", "-q", "-a", "-m", branch)
            git(root, "checkout", "-q", "main")
            index.update()
            report[f"to a branch that differs in {count}"] = switched(index, root, branch)
            report[f"back from it ({count})"] = switched(index, root, "main")
        report["files"] = index.status().indexed
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
