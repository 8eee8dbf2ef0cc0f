"""How fast is indexing and searching on this machine?

    python -m bench.index FOLDER [--encoder FILE]

Cold, unchanged and one-file updates of FOLDER (a copy is edited, the folder itself is left alone), and search times.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import Source
from codeweft.types import Query

QUESTIONS = (
    "how are requests routed to handlers", "parse the configuration file", "open a connection with a timeout",
    "error handling and retries", "write the response headers", "render a template", "validate user input",
    "cache of recent results", "register a plugin", "command line options", "convert a value to JSON", "main",
)  # fmt: skip


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure and print as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.index", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", type=Path, help="an encoder file instead of the bundled one")
    parser.add_argument("--workers", type=int, help="processes that parse large trees (0: none)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    encoder = StaticEncoder.load(arguments.encoder)
    encoder.encode(["warm"])
    with tempfile.TemporaryDirectory(prefix="codeweft-bench-") as state:
        root = Path(state) / "copy"
        shutil.copytree(arguments.folder, root, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        index = Index.create(Path(state) / "index", Source("folder", str(root)), encoder)
        cold = _milliseconds(lambda: index.update(workers=arguments.workers))
        status = index.status()
        unchanged = statistics.median(_milliseconds(index.update) for _ in range(5))
        code = next(file.path for file in index.files() if file.status == "indexed" and file.chunks > 1)
        edits = []
        for number in range(5):
            with (root / code).open("a") as file:
                file.write(f"\n# edit {number}\n")
            edits.append(_milliseconds(index.update))
        first = _milliseconds(lambda: Index(index.folder, encoder).search(Query(QUESTIONS[0])))
        for question in QUESTIONS:
            index.search(Query(question))
        times = sorted(
            _milliseconds(lambda q=question: index.search(Query(q))) for question in QUESTIONS * 10
        )  # type: ignore[misc]
        lines = sum(file.lines for file in index.files())
        report = {
            "files": status.indexed,
            "chunks": status.chunks,
            "lines": lines,
            "cores": os.cpu_count(),
            "load_1min": round(os.getloadavg()[0], 1),
            "cold_ms": round(cold, 1),
            "files_per_s": round(status.indexed / cold * 1000),
            "lines_per_s": round(lines / cold * 1000),
            "unchanged_ms": round(unchanged, 1),
            "one_file_ms": round(statistics.median(edits), 1),
            "first_search_of_a_process_ms": round(first, 1),
            "search_ms_p50": round(statistics.median(times), 2),
            "search_ms_p95": round(times[int(len(times) * 0.95)], 2),
            "index_mb": round(sum(f.stat().st_size for f in index.folder.rglob("*") if f.is_file()) / 1e6, 1),
        }
    print(json.dumps(report, indent=1))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
