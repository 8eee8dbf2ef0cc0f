"""Bringing a store up to date with its source: what changed is read, chunked, encoded and written in batches."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from codeweft.errors import NotReady
from codeweft.retrieval.over_ray import read_over_ray
from codeweft.retrieval.read import ReadFile, encoded_text, file_digest, follow, read_file
from codeweft.retrieval.sources import Access, Prepared, Source
from codeweft.retrieval.store.base import FORMAT, NewChunk, NewFile, Store, StoredFile
from codeweft.retrieval.store.vectors import quantise
from codeweft.retrieval.walk import FoundFile, Walk, walk
from codeweft.types import Encoder

MANY_FILES: Final = 400
"""Changed files from which starting worker processes pays."""
FIRST_BATCH, BATCH = 32, 256
"""Files per commit: the first is small so that searching can begin at once."""
BATCH_SECONDS: Final = 2.0
"""A batch is committed after this long, however few files it holds."""
RACY_NS: Final = 20_000_000
"""A file changed less than this before it was read may change again within one tick of its clock."""
SUMMARY_LANGUAGE: Final = "summary_language"
"""The setting of an index that says which language's summaries are indexed; without it none are."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an update is. `stage` is fetching, reading or done; counts are files (percent while fetching).

    `seconds` have passed in this stage.
    """

    index: str
    stage: str
    done: int
    total: int
    detail: str = ""
    seconds: float = 0.0

    @property
    def rate(self) -> float | None:
        """Files (percent) per second; None while it cannot be told."""
        return self.done / self.seconds if self.done and self.seconds > 0 else None

    @property
    def eta_s(self) -> float | None:
        """Seconds that this stage still takes at this rate."""
        return (self.total - self.done) / self.rate if self.rate else None


@dataclass(frozen=True, slots=True)
class IndexLimits:
    """What the owner of an index allows: file size in bytes, further exclude patterns, worker processes.

    `workers=None` uses as many as there are cores, 0 none. Documents (PDF, Office, notebooks) have a size limit of
    their own. Web pages are read from the public internet and from `private_hosts`, at most `max_pages` of a site.
    `ray` is the cluster that reads many files instead: `auto` or an address.
    """

    max_file_bytes: int = 1_000_000
    exclude: tuple[str, ...] = ()
    workers: int | None = None
    max_document_bytes: int = 32_000_000
    max_pages: int = 2_000
    private_hosts: tuple[str, ...] = ()
    ray: str | None = None

    def access(self, token: str = "") -> Access:
        """What a source may do under these limits."""
        return Access(
            token,
            self.private_hosts,
            max_file_bytes=self.max_file_bytes,
            max_document_bytes=self.max_document_bytes,
            max_pages=self.max_pages,
        )


class Update:
    """One update of an index in `folder`, by the one that holds the store's `updating`."""

    def __init__(
        self,
        folder: Path,
        source: Source,
        store: Store,
        encoder: Encoder,
        limits: IndexLimits,
        token: str = "",
    ) -> None:
        self._folder = folder
        self._token = token
        self._source = source
        self._store = store
        self._encoder = encoder
        self._limits = limits

    def run(self, report: Callable[[Progress], None]) -> None:
        """Read what changed in the source; see `Index.update`."""
        self._discard_other_format()
        self._store.repair()
        name = self._folder.name
        began = time.monotonic()

        def fetching(what: str, percent: int) -> None:
            report(Progress(name, "fetching", percent, 100, what, time.monotonic() - began))

        ready = self._source.prepare(self._folder, fetching, self._limits.access(self._token))
        found = walked(self._source, ready.root, self._limits)
        known = {file.path: file for file in self._store.files()}
        changed = [file for file in found.files if not _same(file, known.get(file.path))]
        left_out = {one.path: one.reason for one in (*ready.skipped, *found.skipped)}
        for file in found.files:
            left_out.pop(file.path, None)
        skipped = [_skipped(path, reason, self._encoder.dimensions) for path, reason in left_out.items()]
        new_skips = [one for one in skipped if not _same_skip(one, known.get(one.path))]
        present = {file.path for file in found.files} | left_out.keys()
        gone = [path for path in known if path not in present]
        if gone or new_skips:
            self._store.write(new_skips, gone)
        total, done, began = len(changed), 0, time.monotonic()
        report(Progress(name, "reading", 0, total))
        for batch in self._read(ready, changed, known):
            self._store_batch(batch, known)
            done += len(batch)
            report(Progress(name, "reading", done, total, batch[-1][1].path, time.monotonic() - began))
        self._store.set(commit=ready.commit, repository=self._source.repository)

    def _read(
        self, ready: Prepared, changed: Sequence[FoundFile], known: dict[str, StoredFile]
    ) -> Iterator[list[tuple[FoundFile, ReadFile, int]]]:
        """Files with what was read and when (ns), in batches to commit."""
        digests = [known[file.path].digest if file.path in known else b"" for file in changed]
        paths = [file.path for file in changed]
        workers = self._limits.workers
        if len(changed) >= MANY_FILES and self._limits.ray:
            reads = read_over_ray(self._limits.ray, ready.root, paths, digests, self._encoder)
            yield from _batches(changed, reads)
        elif len(changed) >= MANY_FILES and workers != 0:
            # A fresh interpreter per worker: forking a process with threads deadlocks.
            spawn = get_context("spawn")
            with ProcessPoolExecutor(workers, spawn, initializer=follow, initargs=(os.getpid(),)) as pool:
                try:
                    yield from _batches(
                        changed, pool.map(partial(read_file, ready.root), paths, digests, chunksize=16)
                    )
                except BrokenProcessPool as error:
                    raise NotReady(
                        "A process that reads files was killed, perhaps for want of memory; what it had read is kept.",
                        fix="Run the update again, with `index.workers: 0` if it happens again.",
                    ) from error
        else:
            yield from _batches(changed, map(partial(read_file, ready.root), paths, digests))

    def _store_batch(
        self, batch: Sequence[tuple[FoundFile, ReadFile, int]], known: dict[str, StoredFile]
    ) -> None:
        unchanged = [
            (read.size, found.mtime_ns, at, read.path)
            for found, read, at in batch
            if read.status == "unchanged"
        ]
        if unchanged:
            self._store.touch(unchanged)
        fresh = [
            NewFile(
                read.path, read.status, read.reason, read.digest, found.size, found.mtime_ns, at, read.language,
                read.lines, read.chunks, _no_vectors(0) if read.vectors is None else read.vectors, read.secrets,
            )
            for found, read, at in batch
            if read.status not in ("unchanged", "gone")
        ]  # fmt: skip
        gone = [read.path for _, read, _ in batch if read.status == "gone" and read.path in known]
        if fresh or gone:
            self._store.write(completed(self._store, self._encoder, fresh), gone)

    def _discard_other_format(self) -> None:
        """What another version or another encoder wrote cannot be compared with what this one would write."""
        settings = self._store.settings()
        here = {"format": str(FORMAT), "encoder": _fingerprint(self._encoder)}
        if any(settings.get(key) != value for key, value in here.items()):
            self._store.clear()
            self._store.set(**here)


def walked(source: Source, root: Path, limits: IndexLimits) -> Walk:
    """The files of a source below `root`, and what was left out with the reason."""
    return walk(
        root,
        max_bytes=limits.max_file_bytes,
        max_document_bytes=limits.max_document_bytes,
        exclude=limits.exclude,
        git=source.kind in ("folder", "git"),
    )


def completed(store: Store, encoder: Encoder, files: Sequence[NewFile]) -> list[NewFile]:
    """The files with the summaries known for their chunks, and with vectors.

    Vectors that a file has are kept, unless there is a summary that they do not know of.
    """
    summarised = _with_summaries(store, files)
    encoded = [
        len(file.vectors) == len(file.chunks) > 0 and not any(chunk.summary for chunk in file.chunks)
        for file in summarised
    ]
    todo = [file for file, ready in zip(summarised, encoded, strict=True) if not ready]
    texts = [encoded_text(file.path, chunk) for file in todo for chunk in file.chunks]
    vectors = quantise(encoder.encode(texts)) if texts else _no_vectors(encoder.dimensions)
    done: list[NewFile] = []
    at_row = 0
    for file, ready in zip(summarised, encoded, strict=True):
        if ready:
            done.append(file)
            continue
        rows = vectors[at_row : at_row + len(file.chunks)]
        at_row += len(file.chunks)
        done.append(replace(file, vectors=rows))
    return done


def stored_again(store: Store, encoder: Encoder, paths: Sequence[str]) -> None:
    """Write files anew from their stored chunks, with the summaries known by now; unknown paths are left out."""
    secrets = store.secrets()
    files = [
        NewFile(
            file.path, file.status, file.reason, file.digest, file.size, file.mtime_ns, file.checked_ns, file.language,
            file.lines, [NewChunk(row.piece, row.text, row.digest) for row in store.chunks(file.path)], _no_vectors(0),
            tuple(secret for path, secret in secrets if path == file.path),
        )
        for file in map(store.file, dict.fromkeys(paths))
        if file is not None
    ]  # fmt: skip
    for low in range(0, len(files), BATCH):
        store.write(completed(store, encoder, files[low : low + BATCH]))


def differing(found: Walk, root: Path, known: dict[str, StoredFile]) -> list[str]:
    """Paths of files below `root` that are not as they were indexed, and of indexed files that are gone, sorted."""
    changed = {
        file.path
        for file in found.files
        if not _same(file, stored := known.get(file.path))
        and (stored is None or file_digest(root / file.path) != stored.digest)
    }
    present = {file.path for file in found.files}
    gone = {path for path, file in known.items() if file.status == "indexed" and path not in present}
    return sorted(changed | gone)


def _with_summaries(store: Store, files: Sequence[NewFile]) -> Sequence[NewFile]:
    language = store.settings().get(SUMMARY_LANGUAGE, "")
    if not language:
        return files
    known = store.summaries(list({chunk.digest for file in files for chunk in file.chunks}), language)
    return [
        replace(
            file, chunks=[replace(chunk, summary=known.get(chunk.digest, "")) for chunk in file.chunks]
        )
        for file in files
    ]  # fmt: skip


def _no_vectors(dimensions: int) -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    return np.zeros((0, dimensions), np.int8)


def _fingerprint(encoder: Encoder) -> str:
    """Which encoder this is, by what it does: vectors of two trainings of one name must never be compared.

    Coarse steps, so that another machine's arithmetic gives the same.
    """
    probe = np.rint(encoder.encode(["def parse_config(path): read settings from a file"]) * 8).astype(np.int8)
    return f"{encoder.name}/{encoder.dimensions}/{blake2b(probe.tobytes(), digest_size=4).hexdigest()}"


def _skipped(path: str, reason: str, dimensions: int) -> NewFile:
    """A file or folder that the walk left out."""
    return NewFile(path, "skipped", reason, b"", 0, 0, 0, "", 0, (), _no_vectors(dimensions))


def _same(found: FoundFile, known: StoredFile | None) -> bool:
    """Whether a file is as it was when it was read, by size and time; too young a file may have changed since."""
    if (
        known is None
        or known.status == "failed"
        or (known.size, known.mtime_ns) != (found.size, found.mtime_ns)
    ):
        return False
    return bool(known.checked_ns) and known.mtime_ns + RACY_NS < known.checked_ns


def _same_skip(new: NewFile, known: StoredFile | None) -> bool:
    return known is not None and (known.status, known.reason) == (new.status, new.reason)


def _batches(
    changed: Sequence[FoundFile], reads: Iterable[ReadFile]
) -> Iterator[list[tuple[FoundFile, ReadFile, int]]]:
    pairs = iter(zip(changed, reads, strict=True))
    size = FIRST_BATCH
    while batch := _batch(pairs, size):
        yield batch
        size = BATCH


def _batch(pairs: Iterator[tuple[FoundFile, ReadFile]], size: int) -> list[tuple[FoundFile, ReadFile, int]]:
    until = time.monotonic() + BATCH_SECONDS
    batch: list[tuple[FoundFile, ReadFile, int]] = []
    at = time.time_ns()
    for found, read in islice(pairs, size):
        batch.append((found, read, at))
        if time.monotonic() > until:
            break
        at = time.time_ns()
    return batch
