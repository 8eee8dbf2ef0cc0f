"""How do searching, updating and memory grow with the number of chunks?

    python -m bench.scale --state FOLDER --chunks 10000,100000 --times 10 FOLDER...

Makes indexes of so many chunks of the FOLDERs' files, and one that is the last of them so many times over (kept in
--state for the next run), then asks each of them questions nobody asked it before: first lines of docstrings in it and
names defined in it. Each size is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from pathlib import Path

from bench.scale.corpus import multiple, real
from bench.scale.measure import measured
from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index


def main() -> None:
    """Build what is missing, measure, print as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.split("\n")[0])
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--chunks", default="10000,100000")
    parser.add_argument("--times", type=int, default=0, help="also the last size so many times over")
    parser.add_argument("--questions", type=int, default=150)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    encoder = StaticEncoder.load()
    sizes = [int(size) for size in arguments.chunks.split(",")]
    folders = [arguments.state / str(size) for size in sizes]
    for folder, size in zip(folders, sizes, strict=True):
        real(folder, arguments.folders, size, encoder).close()
    if arguments.times:
        folders.append(arguments.state / f"{sizes[-1]}x{arguments.times}")
        multiple(Index(folders[-2], encoder), folders[-1], arguments.times, encoder).close()
    report = []
    for folder in folders:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            report.append(pool.apply(measured, (folder, arguments.questions)))
        print(json.dumps(report[-1], indent=1), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
