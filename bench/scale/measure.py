"""The figures of one index."""

from __future__ import annotations

import gc
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import psutil

from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index
from codeweft.retrieval.store.base import NewChunk, NewFile
from codeweft.retrieval.update import completed
from codeweft.types import Filters, Query

_NO_VECTORS: Final = np.zeros((0, 1), np.int8)
FILTERS: Final = {
    "": Filters(),
    "language": Filters(languages=("python",)),
    "kind": Filters(kinds=("class",)),
    "folder": Filters(paths=("**/asyncio/**",)),
}


def measured(folder: Path, count: int) -> dict[str, object]:
    """All figures of one index, milliseconds and megabytes."""
    encoder = StaticEncoder.load()
    encoder.encode_query(["warm"])
    gc.collect()
    gc.freeze()
    before = psutil.Process().memory_info().rss
    index = Index(folder, encoder)
    questions = _questions(index, count * (len(FILTERS) + 1))
    opened = Index(folder, encoder)
    index.close()
    first = _milliseconds(lambda: opened.search(Query("open a connection with a timeout")))
    found: dict[str, object] = {
        "chunks": opened.status().chunks,
        "files": opened.status().indexed,
        "load_1min": round(os.getloadavg()[0], 1),
        "first_search_ms": round(first, 1),
    }
    shares = [questions[low : low + count] for low in range(0, len(questions), count)]
    for (name, filters), some in zip(FILTERS.items(), shares, strict=False):
        # What passes a filter is remembered; the first question pays for it and is shown apart.
        remembering = _milliseconds(lambda f=filters: opened.search(Query("warm", filters=f)))  # type: ignore[misc]
        found[f"search {name}".strip()] = _asked(opened, some, filters) | {"first_ms": round(remembering, 1)}
    found["one file written ms"] = round(_one_file(opened, encoder), 1)
    found["search while files are written"] = _while_writing(opened, encoder, shares[-1])
    found["memory_mb"] = round((psutil.Process().memory_info().rss - before) / 1e6)
    found["disk_mb"] = round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6)
    return found


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _questions(index: Index, count: int) -> list[str]:
    """First lines of docstrings and, every fifth, a name; none twice."""
    chance = Random(7)
    last = max(file.id for file in index.files())
    found: dict[str, None] = {}
    while len(found) < count:
        rows = index.store.rows([chance.randrange(1, last * 20) for _ in range(200)], text=True)
        for number, row in enumerate(rows):
            line = row.docstring.strip().split("\n")[0]
            if number % 5 == 0 and row.name:
                found[row.name] = None
            elif 3 < len(line.split()) < 20:
                found[line] = None
    return list(found)[:count]


def _asked(index: Index, questions: Sequence[str], filters: Filters) -> dict[str, float]:
    """Wall time and this thread's processor time of the questions, one after the other."""
    wall, processor = [], []
    for question in questions:
        began = time.thread_time()
        wall.append(_milliseconds(lambda q=question: index.search(Query(q, filters=filters))))  # type: ignore[misc]
        processor.append((time.thread_time() - began) * 1000)
    return {
        "p50": round(statistics.median(wall), 2),
        "p95": round(sorted(wall)[int(len(wall) * 0.95)], 2),
        "cpu_p50": round(statistics.median(processor), 2),
        "cpu_p95": round(sorted(processor)[int(len(processor) * 0.95)], 2),
    }


def _copies(index: Index, count: int) -> list[NewFile]:
    """New files with the chunks of files there are."""
    files = [file for file in index.files() if 5 < file.chunks < 60][:count]
    return [
        NewFile(
            f"new/{file.path}", "indexed", "", file.digest, file.size, 1, 2, file.language, file.lines,
            [NewChunk(row.piece, row.text, row.digest) for row in index.store.chunks(file.path)], _NO_VECTORS,
        )
        for file in files
    ]  # fmt: skip


def _one_file(index: Index, encoder: StaticEncoder) -> float:
    """Median of replacing one file, with its vectors and everything that is derived from it."""
    [file] = _copies(index, 1)
    times = []
    for number in range(5):
        changed = replace(file, digest=bytes([number]))
        with index.updating():
            times.append(
                _milliseconds(lambda one=changed: index.store.write(completed(index.store, encoder, [one])))  # type: ignore[misc]
            )
    with index.updating():
        index.store.write([], [file.path])
    return statistics.median(times)


def _while_writing(index: Index, encoder: StaticEncoder, questions: Sequence[str]) -> dict[str, float]:
    """Searches in this thread while another one replaces batches of 20 files without pause."""
    files = _copies(index, 100)
    stop = threading.Event()
    written = [0]

    def write() -> None:
        with index.updating():
            while not stop.is_set():
                for low in range(0, len(files), 20):
                    some = files[low : low + 20]
                    index.store.write(completed(index.store, encoder, some))
                    written[0] += sum(len(file.chunks) for file in some)
                    if stop.is_set():
                        break
            index.store.write([], [file.path for file in files])

    writer = threading.Thread(target=write)
    writer.start()
    began = time.perf_counter()
    times = _asked(index, questions, Filters())
    seconds = time.perf_counter() - began
    stop.set()
    writer.join()
    return times | {"chunks_written_per_s": round(written[0] / seconds)}
