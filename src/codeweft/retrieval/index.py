"""One index: a source's files, chunked, stored and searchable while they change."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from itertools import islice
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import Final, Literal

import numpy as np

from codeweft.errors import CodeweftError, InvalidRequest, NotFound, NotReady
from codeweft.retrieval.lock import holder, updating
from codeweft.retrieval.rank import Candidate, Question, rank, read_question
from codeweft.retrieval.read import ReadFile, encoded_text, follow, read_file
from codeweft.retrieval.search import Searcher
from codeweft.retrieval.sources import Prepared, Source, upload_path
from codeweft.retrieval.store.embedded import (
    FORMAT,
    EmbeddedStore,
    NewFile,
    Row,
    StoredFile,
    storage_errors,
)
from codeweft.retrieval.store.vectors import quantise
from codeweft.retrieval.walk import FoundFile, walk
from codeweft.types import Chunk, Encoder, Filters, Query, SearchResult

State = Literal["empty", "indexing", "ready", "incomplete", "failed"]

MANY_FILES: Final = 400
"""Changed files from which starting worker processes pays."""
FIRST_BATCH, BATCH = 32, 256
"""Files per commit: the first is small so that searching can begin at once."""
BATCH_SECONDS: Final = 2.0
"""A batch is committed after this long, however few files it holds."""
RACY_NS: Final = 20_000_000
"""A file changed less than this before it was read may change again within one tick of its clock."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an update is. `stage` is fetching, reading or done; counts are files (percent while fetching)."""

    index: str
    stage: str
    done: int
    total: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """What an index holds, derived from the data. `updated_at` is Unix seconds, `bytes` of indexed source text.

    `incomplete` means an update was interrupted (the next one goes on), `failed` that the last one ended with `error`.
    """

    name: str
    source: str
    repository: str
    commit: str
    state: State
    files: int
    indexed: int
    chunks: int
    failed: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]
    languages: dict[str, int]
    bytes: int
    updated_at: float | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class IndexLimits:
    """What the owner of an index allows: file size in bytes, further exclude patterns, worker processes.

    `workers=None` uses as many as there are cores, 0 none.
    """

    max_file_bytes: int = 1_000_000
    exclude: tuple[str, ...] = ()
    workers: int | None = None


class Index:
    """An index in a folder. Any number of threads and processes may search while one updates."""

    def __init__(self, folder: Path, encoder: Encoder, *, limits: IndexLimits | None = None) -> None:
        """Open the index in `folder` (see `create`)."""
        self.folder = folder
        self.name = folder.name
        self._encoder = encoder
        self._limits = limits or IndexLimits()
        self._store = EmbeddedStore(folder / "index.sqlite")
        self._searcher = Searcher(folder, self._store, encoder)

    @classmethod
    def create(
        cls, folder: Path, source: Source, encoder: Encoder, *, limits: IndexLimits | None = None
    ) -> Index:
        """Make a new, empty index of `source` in `folder`."""
        with storage_errors(folder.parent):
            folder.mkdir(parents=True, exist_ok=True)
            index = cls(folder, encoder, limits=limits)
            index._store.set(source=str(source))
        return index

    @property
    def source(self) -> Source:
        """Where the files come from. A folder that is gone still has its source."""
        text = self._store.settings().get("source", "uploads:")
        return _stored_source(text)

    # ── updating ─────────────────────────────────────────────────────────────────────────────────────────────

    def update(
        self, progress: Callable[[Progress], None] | None = None, workers: int | None = None
    ) -> IndexStatus:
        """Bring the index up to date with its source: only what changed is read.

        Work is committed in batches that can be searched at once; an interrupted update is resumed by the next.
        Raises `Conflict` while another update runs, `StorageFailed` (disk full), and what the source raises.
        """
        report = progress or (lambda _: None)
        with storage_errors(self.folder), updating(self.folder / "lock", self.name):
            self._store.set(update_started=repr(time.time()), update_finished="", error="")
            try:
                self._update(report, self._limits.workers if workers is None else workers)
            except CodeweftError as error:
                self._store.set(error=str(error))
                raise
            self._store.set(update_finished=repr(time.time()))
        status = self.status()
        report(Progress(self.name, "done", status.indexed, status.indexed))
        return status

    def _update(self, report: Callable[[Progress], None], workers: int | None) -> None:
        self._discard_other_format()
        self._searcher.sync_lexical()
        source = self.source
        ready = source.prepare(
            self.folder, lambda what, percent: report(Progress(self.name, "fetching", percent, 100, what))
        )
        found = walk(
            ready.root,
            max_bytes=self._limits.max_file_bytes,
            exclude=self._limits.exclude,
            git=source.kind != "uploads",
        )
        known = {file.path: file for file in self._store.files()}
        changed = [file for file in found.files if not _same(file, known.get(file.path))]
        skipped = [_skipped(one.path, one.reason, self._encoder.dimensions) for one in found.skipped]
        new_skips = [one for one in skipped if not _same_skip(one, known.get(one.path))]
        present = {file.path for file in found.files} | {one.path for one in found.skipped}
        gone = [path for path in known if path not in present]
        if gone or new_skips:
            self._commit(new_skips, gone)
        total, done = len(changed), 0
        report(Progress(self.name, "reading", 0, total))
        for batch in self._read(ready, changed, known, workers):
            self._store_batch(batch, known)
            done += len(batch)
            report(Progress(self.name, "reading", done, total, batch[-1][1].path))
        self._store.set(commit=ready.commit, repository=source.repository)

    def _read(
        self, ready: Prepared, changed: Sequence[FoundFile], known: dict[str, StoredFile], workers: int | None
    ) -> Iterator[list[tuple[FoundFile, ReadFile, int]]]:
        """Files with what was read and when (ns), in batches to commit."""
        digests = [known[file.path].digest if file.path in known else b"" for file in changed]
        paths = [file.path for file in changed]
        if len(changed) >= MANY_FILES and workers != 0:
            # A fresh interpreter per worker: forking a process with threads deadlocks.
            spawn = get_context("spawn")
            with ProcessPoolExecutor(workers, spawn, initializer=follow, initargs=(os.getpid(),)) as pool:
                reads = pool.map(partial(read_file, ready.root), paths, digests, chunksize=16)
                try:
                    yield from _batches(changed, reads)
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
        fresh = [(found, read, at) for found, read, at in batch if read.status not in ("unchanged", "gone")]
        texts = [encoded_text(read.path, one.piece, one.text) for _, read, _ in fresh for one in read.chunks]
        vectors = (
            quantise(self._encoder.encode(texts))
            if texts
            else np.zeros((0, self._encoder.dimensions), np.int8)
        )
        files: list[NewFile] = []
        at_row = 0
        for found, read, at in fresh:
            rows = vectors[at_row : at_row + len(read.chunks)]
            at_row += len(read.chunks)
            files.append(
                NewFile(
                    read.path, read.status, read.reason, read.digest, found.size, found.mtime_ns, at, read.language,
                    read.lines, read.chunks, rows,
                )
            )  # fmt: skip
        gone = [read.path for _, read, _ in batch if read.status == "gone" and read.path in known]
        if files or gone:
            self._commit(files, gone)

    def _commit(self, files: Sequence[NewFile], gone: Sequence[str]) -> None:
        generation, documents, replaced = self._store.write(files, gone)
        self._searcher.write_lexical(documents, replaced, generation)

    def _discard_other_format(self) -> None:
        """What another version or another encoder wrote cannot be compared with what this one would write."""
        settings = self._store.settings()
        here = {"format": str(FORMAT), "encoder": _fingerprint(self._encoder)}
        if any(settings.get(key) != value for key, value in here.items()):
            self._store.clear()
            self._store.set(**here)

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────

    def search(self, query: Query) -> list[SearchResult]:
        """The best `query.k` chunks, best first; empty when nothing matches. Raises `InvalidRequest` for no text."""
        check(query)
        with storage_errors(self.folder):
            question = read_question(query.text, self.source.repository)
            return self.results(rank(question, self.candidates(question, query.k, query.filters), query.k))

    def check_filled(self) -> None:
        """Raises `NotFound` when the index holds nothing, `NotReady` when it holds nothing yet."""
        status = self.status()
        if status.chunks:
            return
        if status.state == "indexing":
            raise NotReady(
                f"The index {self.name} is still being filled.", fix="Try again in a moment.", param="index"
            )
        raise NotFound(
            f"The index {self.name} is empty: nothing in {status.source} could be indexed.",
            fix=f"`codeweft index status --name {self.name}` says what was skipped, `codeweft index update {self.name}`"
            " reads it again.",
            param="index",
        )

    def candidates(self, question: Question, k: int, filters: Filters = Filters()) -> list[Candidate]:
        """Chunks that may answer, with their scores, before ranking."""
        names = (self.name, self._store.settings().get("repository", self.name))
        if filters.repositories and not set(names) & set(filters.repositories):
            return []
        return self._searcher.candidates(question, k, filters)

    def results(self, ranked: Sequence[Candidate]) -> list[SearchResult]:
        """Ranked candidates of this index with their text; what was removed meanwhile is missing."""
        settings = self._store.settings()
        full = {row.id: row for row in self._store.rows((c.row.id for c in ranked), text=True)}
        return [
            SearchResult(_trimmed(self._chunk(full[c.row.id], settings)), round(c.score, 6), c.why)
            for c in ranked
            if c.row.id in full
        ]

    def _chunk(self, row: Row, settings: dict[str, str]) -> Chunk:
        return Chunk(
            repository=settings.get("repository", self.name),
            path=row.path,
            start_line=row.start_line,
            end_line=row.end_line,
            language=row.language,
            kind=row.kind,
            name=row.name,
            text=row.text,
            signature=row.signature,
            scope=row.scope,
            docstring=row.docstring,
            commit=settings.get("commit", ""),
        )

    # ── inspecting and changing ──────────────────────────────────────────────────────────────────────────────

    def status(self) -> IndexStatus:
        """What is known, indexed, skipped and failed right now."""
        with storage_errors(self.folder):
            settings = self._store.settings()
            files = self._store.files()
        indexed = [file for file in files if file.status == "indexed"]
        finished, error = settings.get("update_finished", ""), settings.get("error", "")
        state: State = "ready" if indexed else "empty"
        if holder(self.folder / "lock") is not None:
            state = "indexing"
        elif error:
            state = "failed"
        elif settings.get("update_started") and not finished:
            state = "incomplete"
        source = _stored_source(settings.get("source", "uploads:"))
        return IndexStatus(
            name=self.name,
            source=str(source),
            repository=source.repository,
            commit=settings.get("commit", ""),
            state=state,
            files=len(files),
            indexed=len(indexed),
            chunks=sum(file.chunks for file in indexed),
            failed=tuple((file.path, file.reason) for file in files if file.status == "failed"),
            skipped=tuple((file.path, file.reason) for file in files if file.status == "skipped"),
            languages=dict(Counter(file.language for file in indexed).most_common()),
            bytes=sum(file.size for file in indexed),
            updated_at=float(finished) if finished else None,
            error=error,
        )

    def files(self) -> list[StoredFile]:
        """All files known, with status and reason, by path."""
        with storage_errors(self.folder):
            return self._store.files()

    def chunks(self, path: str) -> list[Chunk]:
        """The chunks of one file in order. Raises `NotFound`."""
        with storage_errors(self.folder):
            if self._store.file(path) is None:
                raise self._unknown(path)
            settings = self._store.settings()
            return [self._chunk(row, settings) for row in self._store.chunks(path)]

    def lines(self, path: str, start: int, end: int) -> str:
        """Lines `start` to `end` (from 1, inclusive) of a file as indexed. Raises `NotFound`."""
        chunks = self.chunks(path)
        lines = [line for one in chunks for line in one.text.split("\n")]
        return "\n".join(lines[max(start, 1) - 1 : max(end, 0)])

    def put(self, path: str, data: bytes) -> str:
        """Add or replace an uploaded file; the next update reads it. Returns its path. Raises `InvalidRequest`."""
        path = self._uploaded(path)
        with storage_errors(self.folder):
            target = self.folder / "files" / path
            partial_file = self.folder / "incoming" / f"{threading.get_ident()}-{time.monotonic_ns()}"
            partial_file.parent.mkdir(parents=True, exist_ok=True)
            try:
                partial_file.write_bytes(data)
                target.parent.mkdir(parents=True, exist_ok=True)
                partial_file.replace(target)
            except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
                raise InvalidRequest(
                    f"{path!r} is in the way of another file or folder.",
                    fix="Use another name.",
                    param="path",
                ) from error
            finally:
                partial_file.unlink(missing_ok=True)
        return path

    def remove_file(self, path: str) -> None:
        """Remove one file from the index; an uploaded file is deleted. Raises `NotFound`, `Conflict`.

        A file that is still in its folder or repository comes back with the next update.
        """
        with storage_errors(self.folder), updating(self.folder / "lock", self.name):
            if self._store.file(path) is None:
                raise self._unknown(path)
            self._searcher.sync_lexical()
            if self.source.kind == "uploads":
                (self.folder / "files" / self._uploaded(path)).unlink(missing_ok=True)
            self._commit((), [path])

    def close(self) -> None:
        """Give back what is open."""
        self._store.close()

    def _uploaded(self, path: str) -> str:
        if self.source.kind != "uploads":
            raise InvalidRequest(
                f"{self.name} is read from {self.source}; files cannot be put into it.",
                fix="Use an index for uploads.",
            )
        return upload_path(path)

    def _unknown(self, path: str) -> NotFound:
        name = PurePosixPath(path).name
        near = [file.path for file in self._store.files() if PurePosixPath(file.path).name == name][:3]
        fix = f"Did you mean {', '.join(near)}?" if near else "List its files to see what there is."
        return NotFound(f"The index {self.name} has no file {path!r}.", fix=fix, param="path")


def check(query: Query) -> None:
    """Raises `InvalidRequest` for a query that asks nothing."""
    if not query.text.strip():
        raise InvalidRequest("The query is empty.", fix="Say what to look for.", param="query")
    if query.k < 1:
        raise InvalidRequest(f"k is {query.k}, it must be at least 1.", fix="Ask for 1 or more.", param="k")


def _trimmed(chunk: Chunk) -> Chunk:
    """Without the blank lines at its end, which belong to it only so that every line belongs somewhere."""
    text = chunk.text.rstrip()
    blank = chunk.text.count("\n", len(text))
    return replace(chunk, end_line=chunk.end_line - blank, text=text) if text and blank else chunk


def _fingerprint(encoder: Encoder) -> str:
    """Which encoder this is, by what it does: vectors of two trainings of one name must never be compared.

    Coarse steps, so that another machine's arithmetic gives the same.
    """
    probe = np.rint(encoder.encode(["def parse_config(path): read settings from a file"]) * 8).astype(np.int8)
    return f"{encoder.name}/{encoder.dimensions}/{blake2b(probe.tobytes(), digest_size=4).hexdigest()}"


def _skipped(path: str, reason: str, dimensions: int) -> NewFile:
    """A file or folder that the walk left out."""
    return NewFile(path, "skipped", reason, b"", 0, 0, 0, "", 0, (), np.zeros((0, dimensions), np.int8))


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


def _stored_source(text: str) -> Source:
    """A source as an index recorded it; its folder may be gone by now."""
    location, _, ref = text.partition("#")
    if text.startswith("/"):
        return Source("folder", text)
    return Source("uploads", "") if text == "uploads:" else Source("git", location, ref)
