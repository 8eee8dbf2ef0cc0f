"""Bringing a store up to date with its source: what changed is read, chunked, encoded and written in batches."""

from __future__ import annotations

import os
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from codeweft.retrieval.branch import checked_out_branch
from codeweft.retrieval.documents.formats import format_of
from codeweft.retrieval.over_ray import read_over_ray
from codeweft.retrieval.read import ReadFile, encoded_text, file_digest, read_file
from codeweft.retrieval.redact import Redactor
from codeweft.retrieval.sources import Access, Prepared, Source
from codeweft.retrieval.store.base import FORMAT, NewChunk, NewFile, Store, StoredFile
from codeweft.retrieval.store.vectors import quantise
from codeweft.retrieval.walk import FoundFile, Walk, walk
from codeweft.retrieval.workers import Reader, in_parallel
from codeweft.types import Encoder, Vectors

MANY_FILES: Final = 400
"""Changed files from which starting worker processes pays."""
FIRST_FILES: Final = 32
"""Files that are read and committed here before worker processes start, and files of a commit where encoding is slow."""
BATCH: Final = 1024
"""Files per commit at most."""
FIRST_SECONDS: Final = 0.3
BATCH_SECONDS: Final = 2.0
"""A batch is committed after this long, however few files it holds; the first one sooner, so that searching can begin."""
RACY_NS: Final = 20_000_000
"""A file changed less than this before it was read may change again within one tick of its clock."""
_PROBE: Final = "def parse_config(path): read settings from a file"
_SAME_ENCODER: Final = 0.98
"""Cosine of two vectors of one text from one encoder; 8-bit weights beside 16-bit ones give 0.99 and more."""
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
    Without a `redactor`, secrets are indexed like anything. `ray` is the cluster that reads many files instead of
    worker processes: `auto` or an address.
    """

    max_file_bytes: int = 1_000_000
    exclude: tuple[str, ...] = ()
    workers: int | None = None
    max_document_bytes: int = 32_000_000
    max_pages: int = 2_000
    private_hosts: tuple[str, ...] = ()
    redactor: Redactor | None = field(default_factory=Redactor)
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
        # What a slow model has encoded is committed soon: it costs more than a commit.
        self._most = FIRST_FILES if getattr(encoder, "slow", False) else BATCH

    def run(self, report: Callable[[Progress], None], only: Sequence[str] | None = None) -> None:
        """Read what changed in the source, or of it `only` these files and folders; see `Index.update`."""
        if self._discard_other_format():
            only = None
        self._store.repair()
        name = self._folder.name
        began = time.monotonic()

        def fetching(what: str, percent: int) -> None:
            report(Progress(name, "fetching", percent, 100, what, time.monotonic() - began))

        ready = self._source.prepare(self._folder, fetching, self._limits.access(self._token))
        found = walked(self._source, ready.root, self._limits, only)
        known = {file.path: file for file in self._store.files() if only is None or _within(file.path, only)}
        changed = [file for file in found.files if not _same(file, known.get(file.path))]
        left_out = {one.path: one.reason for one in (*ready.skipped, *found.skipped)}
        for file in found.files:
            left_out.pop(file.path, None)
        skipped = [_skipped(path, reason, self._encoder.dimensions) for path, reason in left_out.items()]
        new_skips = [one for one in skipped if not _same_skip(one, known.get(one.path))]
        present = {file.path for file in found.files} | left_out.keys()
        gone = [path for path in known if path not in present]
        total, done, began = len(changed), 0, time.monotonic()
        report(Progress(name, "reading", 0, total))
        for batch in self._read(ready, changed, known):
            if self._source.kind == "uploads":
                batch = [_rewritten(ready.root, *one) for one in batch]
            self._store_batch(batch, known, new_skips, gone)
            new_skips, gone = [], []
            done += len(batch)
            report(Progress(name, "reading", done, total, batch[-1][1].path, time.monotonic() - began))
        if gone or new_skips:
            self._store.write(new_skips, gone)
        branch = checked_out_branch(ready.root) if self._source.kind in ("folder", "git") else ""
        self._store.set(commit=ready.commit, branch=branch, repository=self._source.repository)

    def _read(
        self, ready: Prepared, changed: Sequence[FoundFile], known: dict[str, StoredFile]
    ) -> Iterator[list[tuple[FoundFile, ReadFile, int]]]:
        """Files with what was read and when (ns), in batches to commit; last those that wait for the redactor."""
        redactor = self._limits.redactor
        if redactor is not None and len(changed) > FIRST_FILES:
            redactor.begin()
        held: list[FoundFile] = []
        for batch in self._read_at_once(ready, changed, known):
            held.extend(found for found, read, _ in batch if read.status == "held")
            rest = [one for one in batch if one[1].status != "held"]
            if rest:
                yield rest
        read = partial(read_file, ready.root, redactor)
        yield from _batches(held, map(read, (file.path for file in held), _digests(held, known)), self._most)

    def _read_at_once(
        self, ready: Prepared, changed: Sequence[FoundFile], known: dict[str, StoredFile]
    ) -> Iterator[list[tuple[FoundFile, ReadFile, int]]]:
        jobs = list(zip([file.path for file in changed], _digests(changed, known), strict=True))
        workers = self._limits.workers
        portable = self._encoder if getattr(self._encoder, "portable", False) else None
        reader = Reader(ready.root, self._limits.redactor, portable)
        if len(changed) >= MANY_FILES and self._limits.ray:
            return _batches(changed, read_over_ray(self._limits.ray, reader, jobs), self._most)
        if len(changed) < MANY_FILES or workers == 0:
            return _batches(changed, (file for job in jobs for file in reader.read([job])), self._most)
        reads = in_parallel(reader, jobs, FIRST_FILES, workers)
        return _batches(changed, reads, self._most, first=FIRST_FILES)

    def _store_batch(
        self,
        batch: Sequence[tuple[FoundFile, ReadFile, int]],
        known: dict[str, StoredFile],
        skips: Sequence[NewFile],
        gone: Sequence[str],
    ) -> None:
        """Commit what was read, with what the walk left out and did not find again."""
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
        gone = [*gone, *(read.path for _, read, _ in batch if read.status == "gone" and read.path in known)]
        if fresh or skips or gone:
            self._store.write([*completed(self._store, self._encoder, fresh), *skips], gone)

    def _discard_other_format(self) -> bool:
        """Whether the index begins anew. What another version, encoder or redactor wrote cannot stand beside what this one would write."""
        settings = self._store.settings()
        redactor = self._limits.redactor
        here = {
            "format": str(FORMAT),
            "encoder": signature(self._encoder),
            "redacted": "no" if redactor is None else "\n".join(("yes", *redactor.allow)),
        }
        # Before anything is cleared: a model that does not answer must not cost the index.
        probe = self._encoder.encode([_PROBE])[0]
        known = all(settings.get(key) == value for key, value in here.items())
        if not (known and _near(probe, settings.get("encoder_probe", ""))):
            self._store.clear()
            self._store.set(**here, encoder_probe=b64encode(probe.astype("<f4").tobytes()).decode())
            return True
        return False


def walked(source: Source, root: Path, limits: IndexLimits, only: Sequence[str] | None = None) -> Walk:
    """The files of a source below `root` (or of them `only` some), and what was left out with the reason."""
    return walk(
        root,
        max_bytes=limits.max_file_bytes,
        max_document_bytes=limits.max_document_bytes,
        exclude=limits.exclude,
        git=source.kind in ("folder", "git"),
        only=only,
    )


def completed(store: Store, encoder: Encoder, files: Sequence[NewFile]) -> list[NewFile]:
    """The files with the summaries known for their chunks, and with vectors."""
    summarised = _with_summaries(store, files)
    without = [file for file in summarised if _needs_vectors(file)]
    texts = [encoded_text(file.path, chunk) for file in without for chunk in file.chunks]
    ends = np.cumsum([len(file.chunks) for file in without])[:-1]
    vectors = np.split(quantise(encoder.encode(texts)), ends) if texts else []
    encoded = {file.path: own for file, own in zip(without, vectors, strict=False)}
    none = _no_vectors(encoder.dimensions)
    return [
        replace(file, vectors=encoded.get(file.path, file.vectors) if file.chunks else none)
        for file in summarised
    ]


def _needs_vectors(file: NewFile) -> bool:
    """Vectors that came with a file know nothing of summaries."""
    return len(file.vectors) != len(file.chunks) or any(chunk.summary for chunk in file.chunks)


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
            file, chunks=[chunk._replace(summary=known.get(chunk.digest, "")) for chunk in file.chunks]
        )
        for file in files
    ]  # fmt: skip


def _no_vectors(dimensions: int) -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    return np.zeros((0, dimensions), np.int8)


def signature(encoder: Encoder) -> str:
    """Which encoder an index needs, by name."""
    return f"{encoder.name}/{encoder.dimensions}"


def _near(probe: Vectors, stored: str) -> bool:
    """Whether an encoder still gives the vector it gave: two trainings of one name must never be compared.

    Not exactly the same, because another machine, or another batch on a GPU, computes slightly differently.
    """
    known = np.frombuffer(b64decode(stored), "<f4")
    return known.shape == probe.shape and float(known @ probe) > _SAME_ENCODER


def _skipped(path: str, reason: str, dimensions: int) -> NewFile:
    """A file or folder that the walk left out."""
    return NewFile(path, "skipped", reason, b"", 0, 0, 0, "", 0, (), _no_vectors(dimensions))


def _within(path: str, only: Sequence[str]) -> bool:
    """Whether a path is one of those files, or lies in one of those folders."""
    return any(path.rstrip("/") == one or path.startswith(f"{one}/") for one in only)


def _rewritten(root: Path, found: FoundFile, read: ReadFile, at: int) -> tuple[FoundFile, ReadFile, int]:
    """An uploaded text that held secrets is kept without them: it lies in our own folder, where none may be stored."""
    if not read.secrets or read.status != "indexed" or format_of(read.path):
        return found, read, at
    path = root / read.path
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text("\n".join(one.text for one in read.chunks) + "\n", encoding="utf-8", newline="")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    info = path.stat()
    kept = replace(found, size=info.st_size, mtime_ns=info.st_mtime_ns)
    return kept, replace(read, digest=file_digest(path)), time.time_ns()


def _digests(files: Sequence[FoundFile], known: dict[str, StoredFile]) -> list[bytes]:
    return [known[file.path].digest if file.path in known else b"" for file in files]


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
    changed: Sequence[FoundFile], reads: Iterable[ReadFile], most: int, first: int | None = None
) -> Iterator[list[tuple[FoundFile, ReadFile, int]]]:
    """Of `most` files each, the first of `first`, or of fewer when they take long to read."""
    pairs = iter(zip(changed, reads, strict=True))
    size, seconds = first or most, FIRST_SECONDS
    while batch := _batch(pairs, size, seconds):
        yield batch
        size, seconds = most, BATCH_SECONDS


def _batch(
    pairs: Iterator[tuple[FoundFile, ReadFile]], size: int, seconds: float
) -> list[tuple[FoundFile, ReadFile, int]]:
    until = time.monotonic() + seconds
    batch: list[tuple[FoundFile, ReadFile, int]] = []
    at = time.time_ns()
    for found, read in islice(pairs, size):
        batch.append((found, read, at))
        if time.monotonic() > until:
            break
        at = time.time_ns()
    return batch
