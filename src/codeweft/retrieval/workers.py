"""Reading many files in several processes: what takes long (parse, split into terms, encode) is done there."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from codeweft.errors import NotReady
from codeweft.retrieval.read import ReadFile, encoded_text, follow, read_file
from codeweft.retrieval.redact import Redactor
from codeweft.retrieval.store.vectors import quantise
from codeweft.retrieval.tokens import joined_words
from codeweft.types import Encoder

Job = tuple[str, bytes]
"""A path and the digest that its content had when it was indexed (b"" for a new file)."""
_JOBS: Final = 16
"""Files that a worker reads at once: enough that handing them over costs little."""
_AHEAD: Final = 6
"""Portions per worker that are read ahead of what is stored; more would only take memory."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What reading takes. `encoder` is None where encoding is left to who stores."""

    root: Path
    redactor: Redactor | None
    encoder: Encoder | None = None

    def read(self, jobs: Sequence[Job]) -> list[ReadFile]:
        """The files in order; a file that would wait for the redactor is `held`."""
        return [read_file(self.root, self.redactor, *job, wait=False) for job in jobs]

    def prepared(self, jobs: Sequence[Job]) -> list[ReadFile]:
        """As `read`, with the terms and the vectors of the chunks."""
        files = [
            replace(
                file, chunks=tuple(one._replace(words=joined_words(one.text)) for one in file.chunks)
            )
            for file in self.read(jobs)
        ]  # fmt: skip
        texts = [encoded_text(file.path, chunk) for file in files for chunk in file.chunks]
        if self.encoder is None or not texts:
            return files
        ends = np.cumsum([len(file.chunks) for file in files])[:-1]
        vectors = np.split(quantise(self.encoder.encode(texts)), ends)
        return [replace(file, vectors=own) for file, own in zip(files, vectors, strict=True)]


def in_parallel(reader: Reader, jobs: Sequence[Job], first: int, workers: int | None) -> Iterator[ReadFile]:
    """The files in order. The `first` are read here, before the workers start: what is handed out can be searched soon.

    Raises `NotReady` when a worker is killed.
    """
    for job in jobs[:first]:
        yield from reader.read([job])
    count = workers or os.cpu_count() or 1
    # A fresh interpreter per worker: forking a process with threads deadlocks.
    pool = ProcessPoolExecutor(
        count, get_context("spawn"), initializer=_begin, initargs=(os.getpid(), reader)
    )
    portions = (jobs[low : low + _JOBS] for low in range(first, len(jobs), _JOBS))
    try:
        waiting: deque[Future[list[ReadFile]]] = deque(
            pool.submit(_read, portion) for portion in islice(portions, count * _AHEAD)
        )
        while waiting:
            yield from waiting.popleft().result()
            waiting.extend(pool.submit(_read, portion) for portion in islice(portions, 1))
    except BrokenProcessPool as error:
        raise NotReady(
            "A process that reads files was killed, perhaps for want of memory; what it had read is kept.",
            fix="Run the update again, with `index.workers: 0` if it happens again.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_here: list[Reader] = []
"""The reader of this worker process; sent once, because its encoder is large."""


def _begin(parent: int, reader: Reader) -> None:
    follow(parent, reader.redactor)
    _here[:] = [reader]


def _read(jobs: Sequence[Job]) -> list[ReadFile]:
    return _here[0].prepared(jobs)
