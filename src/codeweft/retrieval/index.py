"""One index: a source's files, chunked, stored and searchable while they change."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from codeweft.errors import CodeweftError, InvalidRequest, NotFound, NotReady
from codeweft.retrieval.question import Question
from codeweft.retrieval.read import file_digest, read_file
from codeweft.retrieval.search import search
from codeweft.retrieval.sources import Source, stored_source, upload_path
from codeweft.retrieval.sources.access import load_token, save_token
from codeweft.retrieval.sources.git import check_token
from codeweft.retrieval.sources.unpack import is_archive, put_archive, remove_upload, stem
from codeweft.retrieval.store.base import (
    FORMAT,
    Candidate,
    FoundSecret,
    Probe,
    Row,
    Store,
    StoredFile,
    Stores,
)
from codeweft.retrieval.store.embedded import EmbeddedStores
from codeweft.retrieval.store.failures import storage_errors
from codeweft.retrieval.store.pool import Pool
from codeweft.retrieval.update import (
    IndexLimits,
    Progress,
    Update,
    differing,
    signature,
    stored_again,
    walked,
)
from codeweft.types import Chunk, Encoder, Filters, Query, SearchResult, Vectors

TOKEN: Final = "token"
"""The file in an index's folder that holds the token of its source."""
State = Literal["empty", "indexing", "ready", "incomplete", "failed"]


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """What an index holds, derived from the data. `updated_at` is Unix seconds, `bytes` of indexed source text.

    `summarised` counts chunks with a summary, `secrets` what was taken out of files before they were stored.
    `incomplete` means an update was interrupted or the encoder was changed (the next one goes on), `failed` that the last one ended with `error`.
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
    summarised: int
    secrets: int
    error: str = ""


class Index:
    """An index of a source. Any number of threads and processes may search while one updates.

    `folder` holds what is fetched or uploaded, and the store if that is embedded.
    """

    def __init__(
        self,
        folder: Path,
        encoder: Encoder,
        *,
        limits: IndexLimits | None = None,
        stores: Stores = EmbeddedStores(),
    ) -> None:
        """Open the index in `folder` (see `create`)."""
        self.folder = folder
        self.name = folder.name
        self.store: Store = stores.open(folder, encoder.dimensions)
        self._encoder = encoder
        self._limits = limits or IndexLimits()

    @classmethod
    def create(
        cls,
        folder: Path,
        source: Source,
        encoder: Encoder,
        *,
        limits: IndexLimits | None = None,
        stores: Stores = EmbeddedStores(),
    ) -> Index:
        """Make a new, empty index of `source` in `folder`."""
        with storage_errors(folder.parent):
            folder.mkdir(parents=True, exist_ok=True)
            index = cls(folder, encoder, limits=limits, stores=stores)
            index.store.set(source=str(source))
        return index

    @property
    def source(self) -> Source:
        """Where the files come from. A folder that is gone still has its source."""
        text = self.store.settings().get("source", "uploads:")
        return stored_source(text)

    def set_token(self, token: str) -> None:
        """Keep the token that the next updates read the source with; "" forgets it. Raises `InvalidRequest`.

        `${NAME}` stands for an environment variable, looked up at each update.
        """
        if token and self.source.kind != "git":
            raise InvalidRequest(f"{self.source} is no git URL; a token is of no use there.", param="token")
        if not token.startswith("${"):
            check_token(self.source.location, token)
        with storage_errors(self.folder):
            save_token(self.folder / TOKEN, token)

    def set_refresh(self, minutes: float | None) -> None:
        """How often a server fetches this source again; 0 never, None as the server's settings say."""
        with storage_errors(self.folder):
            self.store.set(refresh_minutes="" if minutes is None else repr(minutes))

    def refresh_minutes(self, default: float) -> float:
        """See `set_refresh`."""
        with storage_errors(self.folder):
            own = self.store.settings().get("refresh_minutes", "")
        return float(own) if own else default

    @property
    def repository(self) -> str:
        """The name under which its chunks are known."""
        return self.store.settings().get("repository", self.name)

    # ── updating ─────────────────────────────────────────────────────────────────────────────────────────────

    def update(
        self,
        progress: Callable[[Progress], None] | None = None,
        workers: int | None = None,
        only: Sequence[str] | None = None,
    ) -> IndexStatus:
        """Bring the index up to date with its source: only what changed is read.

        `only` are paths of files and folders outside of which nothing changed since the last update; where that was
        not finished, everything is looked at nevertheless.

        Work is committed in batches that can be searched at once; an interrupted update is resumed by the next.
        Raises `Conflict` while another update runs, `StorageFailed` (disk full), and what the source raises.
        """
        report = progress or (lambda _: None)
        limits = self._limits if workers is None else replace(self._limits, workers=workers)
        with storage_errors(self.folder), self.updating():
            before = self.store.settings()
            if before.get("error") or not before.get("update_finished") or self.source.kind != "folder":
                only = None
            self.store.set(update_started=repr(time.time()), update_finished="", error="")
            try:
                token = load_token(self.folder / TOKEN)
                Update(self.folder, self.source, self.store, self._encoder, limits, token).run(report, only)
            except CodeweftError as error:
                self.store.set(error=str(error))
                raise
            self.store.set(update_finished=repr(time.time()))
        status = self.status()
        report(Progress(self.name, "done", status.indexed, status.indexed))
        return status

    def last_update(self) -> float:
        """When an update began last, in Unix seconds; 0 for never."""
        with storage_errors(self.folder):
            return float(self.store.settings().get("update_started") or 0)

    def updating(self) -> AbstractContextManager[None]:
        """Be the one that changes this index. Raises `Conflict` naming the process that does."""
        return self.store.updating(self.name)

    def restore(self, paths: Sequence[str]) -> None:
        """Store files anew from their stored chunks, with the summaries that came since. Raises `Conflict`."""
        with storage_errors(self.folder), self.updating():
            self.store.repair()
            stored_again(self.store, self._encoder, paths)

    def stale(self) -> list[str]:
        """Paths whose file is not as indexed (edited, new, gone). Nothing is fetched and nothing changes.

        Raises `NotFound` when the source's folder is gone.
        """
        with storage_errors(self.folder):
            source = self.source
            root = source.root(self.folder)
            if not root.is_dir():
                raise NotFound(
                    f"The folder {root} does not exist any more.",
                    fix="Restore it, or remove the index that reads it.",
                )
            known = {file.path: file for file in self.store.files()}
            return differing(walked(source, root, self._limits), root, known)

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────

    def search(self, query: Query) -> list[SearchResult]:
        """See `search.search`."""
        with storage_errors(self.folder):
            return search([self], query).results

    def check_filled(self) -> None:
        """Raises `NotFound` when the index holds nothing, `NotReady` when it holds nothing yet."""
        status = self.status()
        if status.chunks:
            return
        if status.state == "indexing":
            raise NotReady(
                f"The index {self.name} is still being filled.", fix="Try again in a moment.", param="index"
            )
        if self.store.settings().get("format", str(FORMAT)) != str(FORMAT):
            raise NotReady(
                f"The index {self.name} was made by another version of Codeweft and has to be read again.",
                fix=f"Run `codeweft index update {self.name}`.",
                param="index",
            )
        raise NotFound(
            f"The index {self.name} is empty: nothing in {status.source} could be indexed.",
            fix=f"`codeweft index status --name {self.name}` says what was skipped, `codeweft index update {self.name}`"
            " reads it again.",
            param="index",
        )

    def check_comparable(self) -> None:
        """Raises `NotReady` when the vectors were made by another encoder than the one that reads questions."""
        settings = self.store.settings()
        if self._of_another_encoder(settings):
            raise NotReady(
                f"The index {self.name} was made with the encoder {settings['encoder']} and has to be read again.",
                fix=f"Run `codeweft index update {self.name}`, or set `index.encoder` back.",
                param="index",
            )

    def _of_another_encoder(self, settings: Mapping[str, str]) -> bool:
        return settings.get("encoder") not in (None, signature(self._encoder))

    def covers(self, filters: Filters) -> bool:
        """Whether the index is of the repositories and branches that are asked for, if any are."""
        repositories, branches = set(filters.repositories), set(filters.branches)
        return (not repositories or not repositories.isdisjoint((self.name, self.repository))) and (
            not branches or not branches.isdisjoint(self.branches())
        )

    def branches(self) -> set[str]:
        """The branch, tag or commit that was asked for and the branch that is checked out, where known."""
        return {self.store.settings().get("branch", ""), self.source.ref} - {""}

    @property
    def dimensions(self) -> int:
        """Of the vectors of this index."""
        return self._encoder.dimensions

    def encode(self, question: str) -> Vectors:
        """A question as (d,) float32 of unit length, zeros when no word of it is known."""
        encode = getattr(self._encoder, "encode_query", self._encoder.encode)
        vector: Vectors = encode([question])[0]
        return vector

    def candidates(self, question: Question, vector: Vectors, k: int, filters: Filters = Filters()) -> Pool:
        """Chunks that may answer, with their scores, before ranking."""
        return self.store.candidates(Probe(question, vector, k, filters))

    def results(self, ranked: Sequence[Candidate]) -> list[tuple[int, SearchResult]]:
        """Ranked candidates of this index with their text, by chunk id; what was removed meanwhile is missing."""
        settings = self.store.settings()
        full = {row.id: row for row in self.store.rows((c.row.id for c in ranked), text=True)}
        return [
            (c.row.id, SearchResult(trimmed(self._chunk(full[c.row.id], settings)), round(c.score, 6), c.why, self.name))
            for c in ranked
            if c.row.id in full
        ]  # fmt: skip

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
            summary=row.summary,
        )

    # ── inspecting and changing ──────────────────────────────────────────────────────────────────────────────

    def status(self) -> IndexStatus:
        """What is known, indexed, skipped and failed right now."""
        with storage_errors(self.folder):
            settings = self.store.settings()
            files = self.store.files()
        indexed = [file for file in files if file.status == "indexed"]
        finished, error = settings.get("update_finished", ""), settings.get("error", "")
        state: State = "ready" if indexed else "empty"
        if self.store.updater() is not None:
            state = "indexing"
        elif error:
            state = "failed"
        elif (settings.get("update_started") and not finished) or self._of_another_encoder(settings):
            state = "incomplete"
        source = stored_source(settings.get("source", "uploads:"))
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
            summarised=sum(file.summarised for file in indexed),
            secrets=sum(file.secrets for file in files),
            error=error,
        )

    def files(self) -> list[StoredFile]:
        """All files known, with status and reason, by path."""
        with storage_errors(self.folder):
            return self.store.files()

    def secrets(self) -> list[tuple[str, FoundSecret]]:
        """Paths with what was taken out of them, by path and line."""
        with storage_errors(self.folder):
            return self.store.secrets()

    def chunks(self, path: str) -> list[Chunk]:
        """The chunks of one file in order. Raises `NotFound`."""
        with storage_errors(self.folder):
            if self.store.file(path) is None:
                raise self._unknown(path)
            settings = self.store.settings()
            return [self._chunk(row, settings) for row in self.store.chunks(path)]

    def lines(self, path: str, start: int, end: int) -> str:
        """Lines `start` to `end` (from 1, inclusive) of a file as indexed. Raises `NotFound`."""
        chunks = self.chunks(path)
        lines = [line for one in chunks for line in one.text.split("\n")]
        return "\n".join(lines[max(start, 1) - 1 : max(end, 0)])

    def stands(self, chunk: Chunk) -> bool:
        """Whether the source still says what `chunk` shows, at its lines. A text that was cut ends with a line `…`.

        A file that was edited since it was indexed is read again; one whose source is not on this machine is not.
        """
        with storage_errors(self.folder):
            known = self.store.file(chunk.path)
            root = self.source.root(self.folder)
            if not root.is_dir() and self.source.kind == "folder":
                return False
            if root.is_dir() and (known is None or file_digest(root / chunk.path) != known.digest):
                read = read_file(root, self._limits.redactor, chunk.path)
                texts = [one.text for one in read.chunks]
            else:
                texts = [one.text for one in self.store.chunks(chunk.path)]
        lines = [line for text in texts for line in text.split("\n")]
        now = "\n".join(lines[chunk.start_line - 1 : chunk.end_line])
        return bool(now) and now.startswith(chunk.text.removesuffix("\n…").rstrip())

    def put(self, path: str, data: bytes) -> tuple[str, ...]:
        """Add or replace an uploaded file, or unpack an archive; the next update reads it. Returns the paths.

        An archive's files come into a folder of its name, in place of those that an earlier one left there. Raises
        `InvalidRequest` for a bad path or archive, `TooLarge` for an archive that unpacks to far more than it is.
        """
        path = self._uploaded(path)
        with storage_errors(self.folder):
            target = self.folder / "files" / path
            partial_file = self.folder / "incoming" / f"{threading.get_ident()}-{time.monotonic_ns()}"
            partial_file.parent.mkdir(parents=True, exist_ok=True)
            try:
                partial_file.write_bytes(data)
                if is_archive(path):
                    return tuple(put_archive(partial_file, path, self.folder, self._limits.access()))
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
        return (path,)

    def held(self, path: str, paths: Sequence[str]) -> list[str]:
        """Which of `paths` a name stands for: that file, or what an uploaded archive of that name brought."""
        if path in paths:
            return [path]
        folder = f"{stem(path) if is_archive(path) else path.rstrip('/')}/"
        return [one for one in paths if one.startswith(folder)] if self.source.kind == "uploads" else []

    def remove_file(self, path: str) -> None:
        """Remove a file from the index; uploaded files, folders and archives are deleted. Raises `NotFound`, `Conflict`.

        A file that is still in its folder or repository comes back with the next update.
        """
        with storage_errors(self.folder), self.updating():
            held = self.held(path, [file.path for file in self.store.files()])
            if not held:
                raise self._unknown(path)
            self.store.repair()
            if self.source.kind == "uploads":
                for one in held:
                    remove_upload(self.folder, self._uploaded(one))
            self.store.write((), held)

    def close(self) -> None:
        """Give back what is open."""
        self.store.close()

    def _uploaded(self, path: str) -> str:
        if self.source.kind != "uploads":
            raise InvalidRequest(
                f"{self.name} is read from {self.source}; files cannot be put into it.",
                fix="Use an index for uploads.",
            )
        return upload_path(path)

    def _unknown(self, path: str) -> NotFound:
        name = PurePosixPath(path).name
        near = [file.path for file in self.store.files() if PurePosixPath(file.path).name == name][:3]
        fix = f"Did you mean {', '.join(near)}?" if near else "List its files to see what there is."
        return NotFound(f"The index {self.name} has no file {path!r}.", fix=fix, param="path")


def trimmed(chunk: Chunk) -> Chunk:
    """Without the blank lines at its end, which belong to it only so that every line belongs somewhere."""
    text = chunk.text.rstrip()
    blank = chunk.text.count("\n", len(text))
    return replace(chunk, end_line=chunk.end_line - blank, text=text) if text and blank else chunk
