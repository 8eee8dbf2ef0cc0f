"""Regular expressions over an index beside ripgrep over the same folder, and symbols from the same index.

python -m bench.grep FOLDER [--state STATE]

Prints, per pattern, lines found and median time of both in alternating runs. Counts differ where the index leaves files
out (generated, vendored, linked). ripgrep reads the files anew and in parallel, the index its own copy in one thread.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.grep import Grep, Pattern
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import parse_source
from codeweft.retrieval.symbols import look_up

PATTERNS = (
    r"parse_config",
    r"def \w+_error\(",
    r"self\.[a-z_]+ = None",
    r"(?i)todo",
    r"\bimport (os|sys|re)\b",
    r"zzz_nothing",
)
RUNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--state", type=Path, help="where the index lies, or is made")
    parser.add_argument("--symbol", action="append", default=[], help="a name to look up as well")
    given = parser.parse_args()
    state = given.state or Path(tempfile.mkdtemp())
    at = state / given.folder.resolve().name
    encoder = StaticEncoder.load()
    index = Index(at, encoder) if at.exists() else Index.create(at, parse_source(str(given.folder)), encoder)
    status = index.update(workers=0)
    print(f"{status.indexed} files, {status.chunks} chunks, {status.bytes / 1e6:.1f} MB")
    for pattern in PATTERNS:
        ours, theirs = [], []
        for _ in range(RUNS):
            ours.append(timed(lambda p=pattern: sum(1 for _ in Grep([index], Pattern(p)))))
            theirs.append(timed(lambda p=pattern: ripgrep(p, given.folder)))
        (found, ms), (lines, rg_ms) = median(ours), median(theirs)
        print(f"{pattern:26} {found:6} {ms:8.1f} ms   rg {lines:6} {rg_ms:8.1f} ms   ratio {ms / rg_ms:.2f}")
    for name in given.symbol:
        for wanted in ("definitions", "references", "callers"):
            found, ms = median(
                [timed(lambda n=name, w=wanted: len(look_up([index], n, w).places)) for _ in range(RUNS)]
            )
            print(f"{name} {wanted}: {found} in {ms:.0f} ms")


def timed(work: Callable[[], int]) -> tuple[int, float]:
    """What `work` returns, and milliseconds."""
    begun = time.perf_counter()
    found = work()
    return found, (time.perf_counter() - begun) * 1000


def median(runs: list[tuple[int, float]]) -> tuple[int, float]:
    return runs[0][0], statistics.median(ms for _, ms in runs)


def ripgrep(pattern: str, folder: Path) -> int:
    shown = subprocess.run(
        ["rg", "--line-number", "--no-heading", "--sort", "path", pattern, str(folder)],
        capture_output=True,
        check=False,
    )
    return shown.stdout.count(b"\n")


if __name__ == "__main__":
    main()
