"""The same chunks in every store: how long they take to go in and to be asked, in one run.

    python -m bench.stores --code FOLDER --chunks 10000 100000 --store postgresql://user:password@host/db

Files are read and encoded once, before any clock runs. The embedded store always takes part. Ranking is compared by
the overlap of the first ten results with the embedded store's.
"""

from __future__ import annotations

import argparse
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.question import read_question
from codeweft.retrieval.rank import rank
from codeweft.retrieval.read import encoded_text, read_file
from codeweft.retrieval.store.base import NewFile, Probe, Store, Stores
from codeweft.retrieval.store.choose import open_stores
from codeweft.retrieval.store.vectors import quantise
from codeweft.retrieval.walk import walk
from codeweft.types import Filters

BATCH = 256
NAME = "bench-stores"


def filters_for(new: Sequence[NewFile]) -> dict[str, Filters]:
    """Nothing, a part, and most of these files."""
    folder = new[len(new) // 2].path.split("/")[0]
    return {
        "no filter": Filters(),
        "one folder": Filters(paths=(f"{folder}/",)),
        "one kind": Filters(kinds=("class",)),
        "one language": Filters(languages=("python",)),
    }


def files(root: Path, encoder: StaticEncoder, chunks: int) -> Iterator[NewFile]:
    """Files of a folder, read and encoded, until there are enough chunks."""
    for found in walk(root, git=False).files:
        read = read_file(root, None, found.path)
        if not read.chunks:
            continue
        vectors = quantise(encoder.encode([encoded_text(read.path, one) for one in read.chunks]))
        yield NewFile(
            read.path, read.status, read.reason, read.digest, read.size, found.mtime_ns, time.time_ns(), read.language,
            read.lines, read.chunks, vectors,
        )  # fmt: skip
        chunks -= len(read.chunks)
        if chunks <= 0:
            return


def questions(some: Sequence[NewFile], count: int) -> list[str]:
    """First sentences of docstrings, from all over the files, and names of what they document."""
    rng = np.random.default_rng(5)
    documented = [
        chunk.piece for file in some for chunk in file.chunks if len(chunk.piece.docstring.split()) > 4
    ]
    chosen = rng.choice(len(documented), min(count, len(documented)), replace=False)
    return [
        documented[at].name if number % 4 == 3 else " ".join(documented[at].docstring.split()[:12])
        for number, at in enumerate(chosen)
    ]


def measure(
    stores: Stores, folder: Path, encoder: StaticEncoder, new: Sequence[NewFile], ask: Sequence[str]
) -> dict[str, list[set[int]]]:
    """Print the figures of one store; the first ten of every question by filter, as digests of their texts."""
    store: Store = stores.open(folder, encoder.dimensions)
    cpu, began = time.process_time(), time.perf_counter()
    with store.updating(NAME):
        for low in range(0, len(new), BATCH):
            store.write(new[low : low + BATCH])
        written = time.perf_counter() - began
    print(
        f"  build {time.perf_counter() - began:.1f} s (written after {written:.1f} s;"
        f" {time.process_time() - cpu:.1f} s of CPU in this process)"
    )
    best: dict[str, list[set[int]]] = {}
    for title, filters in filters_for(new).items():
        times, best[title] = [], []
        for number, text in enumerate([*ask[:10], *ask]):
            began = time.perf_counter()
            question = read_question(text)
            found = store.candidates(Probe(question, encoder.encode_query([text])[0], 10, filters))
            ranked = rank(question, found, 10)
            if number >= 10:
                times.append(1000 * (time.perf_counter() - began))
                best[title].append({one.row.digest for one in ranked})
        times.sort()
        print(
            f"  hybrid, {title}: p50 {statistics.median(times):.1f} ms, p95 {times[int(0.95 * len(times))]:.1f} ms"
        )
    times = []
    with store.updating(NAME):
        for one in new[:20]:
            began = time.perf_counter()
            store.write([one])
            times.append(1000 * (time.perf_counter() - began))
    print(f"  one file written again: p50 {statistics.median(times):.1f} ms", flush=True)
    store.close()
    return best


def _prepared(path: Path | None) -> list[NewFile]:
    """What an earlier run of this program has kept."""
    return pickle.loads(path.read_bytes()) if path and path.exists() else []


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.stores")
    parser.add_argument("--code", type=Path, required=True, help="folder whose files are the chunks")
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--store", nargs="*", default=[], help="addresses as in index.store")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="keep the files as read and encoded here, for another run")
    options = parser.parse_args()
    encoder = StaticEncoder.load()
    everything = _prepared(options.keep) or list(files(options.code, encoder, max(options.chunks)))
    if options.keep and not options.keep.exists():
        options.keep.write_bytes(pickle.dumps(everything))
    for chunks in options.chunks:
        sums = np.cumsum([len(file.chunks) for file in everything])
        new = everything[: int(np.searchsorted(sums, chunks)) + 1]
        ask = questions(new, options.questions)
        print(
            f"{sum(len(file.chunks) for file in new):,} chunks of {len(new):,} files, load {os.getloadavg()[0]:.1f}"
        )
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            folder = Path(home) / NAME
            folder.mkdir()
            print(" embedded")
            expected = measure(open_stores(None), folder, encoder, new, ask)
            for url in options.store:
                stores = open_stores(url)
                stores.delete(folder)
                print(f" {url.partition(':')[0]}")
                found = measure(stores, folder, encoder, new, ask)
                for title, sets in found.items():
                    pairs = [(a, b) for a, b in zip(expected[title], sets, strict=True) if a]
                    overlap = statistics.mean(len(a & b) / len(a) for a, b in pairs)
                    print(f"  first ten as embedded, {title}: {overlap:.3f}", flush=True)
                stores.delete(folder)


if __name__ == "__main__":
    main()
