"""How long it takes until an edit is in the index: one file changed, everything looked through or only that file.

    python bench/retrieval/freshness.py FOLDER [--edits 20]

Prints medians in milliseconds of wall time and of this process's CPU time, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import parse_source


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds on the clock and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--edits", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "code"
        shutil.copytree(asked.folder, root, ignore=shutil.ignore_patterns("*.pyc", "__pycache__", "*.so"))
        index = Index.create(Path(scratch) / "index", parse_source(str(root)), StaticEncoder.load())
        first = timed(index.update)
        status = index.status()
        print(f"{status.indexed} files, {status.chunks} chunks, first update {first[0] / 1000:.1f} s")
        paths = [
            file.path for file in index.files() if file.status == "indexed" and file.path.endswith(".py")
        ]
        chance = random.Random(1)
        print(f"load {os.getloadavg()[0]:.1f}")
        print("update                  wall ms   CPU ms")
        for what in ("nothing changed", "one file, all looked at", "one file, only that"):
            times = []
            for number in range(asked.edits):
                path = chance.choice(paths)
                if what != "nothing changed":
                    with (root / path).open("a") as file:
                        file.write(f"\n\ndef added_{number}(value):\n    return value + {number}\n")
                only = [path] if what.endswith("only that") else None
                times.append(timed(lambda only=only: index.update(only=only)))  # type: ignore[misc]
            wall, cpu = (statistics.median(one[n] for one in times) for n in (0, 1))
            print(f"{what:<24}{wall:>7.0f}{cpu:>9.0f}")


if __name__ == "__main__":
    main()
