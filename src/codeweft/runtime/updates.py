"""Keeping indexes fresh while the server runs: what changed in folders, what is due to be fetched again.

Deciding is here, the work is a job's. Only folders with indexed files in them are watched, so that `.gitignore`d trees
cost nothing; where the system has no watches left, a folder is looked through now and then instead.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final, Literal

from watchfiles import Change, awatch

from codeweft.errors import CodeweftError, Conflict, NotFound
from codeweft.jobs import Job, Jobs, Progress, Report
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.index import Index

log = logging.getLogger(__name__)

INDEXING: Final = "index"
LOOK_SECONDS: Final = 5.0
"""How often it is looked for new and removed indexes, and for what is due."""
SETTLE_MS: Final = 300
"""Changes are collected for so long: an editor or git writes several files at once."""
POLL_SECONDS: Final = 30.0
"""How often a folder that cannot be watched is looked through."""
MANY_PATHS: Final = 200
"""Changed paths from which looking through everything is cheaper."""
_GIT_MARKS: Final = frozenset({"HEAD", "COMMIT_EDITMSG", "ORIG_HEAD", "FETCH_HEAD"})
"""Files of `.git` that change when another commit is checked out or made."""


@dataclass(frozen=True, slots=True)
class Following:
    """How an index learns of changes: as they happen, by looking every so many minutes, or when told to (0)."""

    how: Literal["watched", "polled", "told"]
    minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class _Folder:
    """A watched index: where it reads, which folders are watched, and the task that does."""

    root: Path
    folders: frozenset[Path]
    task: asyncio.Task[None]


class Updates:
    """Starts updates of indexes, and while `follow` runs finds out which are needed."""

    def __init__(
        self,
        jobs: Jobs,
        indexes: Indexes,
        updated: Callable[[Index], object] = lambda _: None,
        *,
        watch: bool = True,
        refresh_minutes: float = 30.0,
    ) -> None:
        """`updated` is called after each update. `refresh_minutes` is for indexes that say nothing else; 0 is never."""
        self._updated = updated
        self._jobs = jobs
        self._indexes = indexes
        self._watch = watch
        self._refresh = refresh_minutes
        self._lock = threading.Lock()
        self._changed: dict[str, set[str] | None] = {}
        self._polled: dict[str, float] = {}
        self._known: dict[str, tuple[float, frozenset[Path]]] = {}
        self._watched: dict[str, _Folder] = {}

    # ── starting ─────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, index: Index, only: Iterable[str] | None = None) -> Job:
        """Bring an index up to date in the background; with `only`, nothing else has changed since the last time."""
        with self._lock:
            waiting = self._changed.get(index.name, set())
            everything = only is None or waiting is None
            self._changed[index.name] = None if everything else (waiting or set()) | set(only or ())
        return self._jobs.submit(INDEXING, index.name, lambda report: self._update(index, report))

    def _update(self, index: Index, report: Report) -> None:
        with self._lock:
            paths = self._changed.pop(index.name, None)
        only = sorted(paths) if paths is not None and len(paths) <= MANY_PATHS else None
        try:
            index.update(
                lambda step: report(Progress(step.stage, step.done, step.total, step.detail)), only=only
            )
        except Conflict:
            # Another process is at it and may be past these files already: everything is looked at later.
            with self._lock:
                self._changed[index.name] = None
            raise
        self._updated(index)

    def resume(self) -> None:
        """Go on with the indexes that an earlier process left unfinished."""
        for index in self._every():
            if index.status().state in ("indexing", "incomplete"):
                self.start(index)

    def following(self, index: Index) -> Following:
        """How the server that follows keeps this index fresh."""
        if index.source.kind == "uploads" or (index.source.kind == "folder" and not self._watch):
            return Following("told")
        if index.source.kind == "folder":
            polled = index.name in self._polled
            return Following("polled", POLL_SECONDS / 60) if polled else Following("watched")
        minutes = index.refresh_minutes(self._refresh)
        return Following("polled", minutes) if minutes else Following("told")

    # ── following ────────────────────────────────────────────────────────────────────────────────────────────

    async def follow(self) -> None:
        """Watch folders and fetch what is due, until cancelled."""
        try:
            while True:
                try:
                    folders = await asyncio.to_thread(self._due)
                    self._watch_these(folders)
                except CodeweftError as error:
                    log.warning("Indexes are not followed right now: %s", error)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._watch_these({})

    def _due(self) -> dict[str, tuple[Path, frozenset[Path]]]:
        """Start what is due; the folders to watch by index."""
        watched: dict[str, tuple[Path, frozenset[Path]]] = {}
        now = time.time()
        for index in self._every():
            with self._lock:
                missed = self._changed.get(index.name, ()) is None
            job = self._jobs.of(index.name)
            running = job is not None and not job.finished
            if missed and not running:
                self.start(index)
            elif index.source.kind == "folder":
                if not self._watch:
                    continue
                polled = self._polled.get(index.name)
                if polled is not None and now - polled > POLL_SECONDS and not running:
                    self._polled[index.name] = now
                    self.start(index)
                if polled is None and (root := Path(index.source.location)).is_dir():
                    watched[index.name] = (root, self._folders(index, root))
            elif index.source.kind != "uploads" and not running:
                minutes = index.refresh_minutes(self._refresh)
                if minutes and now - index.last_update() >= 60 * minutes:
                    self.start(index)
        return watched

    def _folders(self, index: Index, root: Path) -> frozenset[Path]:
        """The folders to watch, found anew when the index was updated since."""
        at = index.last_update()
        known = self._known.get(index.name)
        if known is None or known[0] != at or root not in known[1]:
            known = (at, watched_folders(root, (file.path for file in index.files())))
            self._known[index.name] = known
        return known[1]

    def _watch_these(self, folders: dict[str, tuple[Path, frozenset[Path]]]) -> None:
        """Begin, renew and end watching."""
        for name, known in list(self._watched.items()):
            if folders.get(name) != (known.root, known.folders) or known.task.done():
                del self._watched[name]
                known.task.cancel()
        for name, (root, within) in folders.items():
            if name not in self._watched:
                task = asyncio.create_task(self._watch_one(name, root, within), name=f"watch-{name}")
                self._watched[name] = _Folder(root, within, task)

    async def _watch_one(self, name: str, root: Path, within: frozenset[Path]) -> None:
        """Start an update whenever something changes in these folders."""
        try:
            changes = awatch(
                *sorted(within), watch_filter=_any_change, recursive=False, debounce=4 * SETTLE_MS, step=SETTLE_MS,
                ignore_permission_denied=True,
            )  # fmt: skip
            # What changed before this watch began, also in folders that are new in it, is found by looking.
            asyncio.get_running_loop().call_later(SETTLE_MS / 1000, self._start_soon, name)
            async for found in changes:
                only = changed_paths(root, (Path(path) for _, path in found))
                if only is None or only:
                    await asyncio.to_thread(self._start_by_name, name, only)
        except (OSError, RuntimeError) as error:
            # RuntimeError is what watchfiles makes of a missing folder.
            log.warning(
                "%s cannot be watched (%s); it is looked through every %d s instead. On Linux, raising "
                "fs.inotify.max_user_watches helps.",
                root,
                error,
                POLL_SECONDS,
            )
            self._polled[name] = time.time()

    def _start_soon(self, name: str) -> None:
        if name in self._watched:
            asyncio.get_running_loop().run_in_executor(None, self._start_by_name, name, None)

    def _start_by_name(self, name: str, only: Sequence[str] | None) -> None:
        with suppress(NotFound):
            self.start(self._indexes.get(name), only)

    def _every(self) -> Iterator[Index]:
        """All indexes; one that another process deletes meanwhile is passed over."""
        for name in self._indexes.names():
            with suppress(NotFound):
                yield self._indexes.get(name)


def watched_folders(root: Path, paths: Iterable[str]) -> frozenset[Path]:
    """The folders to watch for an index of `root`: those with known files in them, and where git notes its commits."""
    found = {root}
    for path in paths:
        # A skipped folder ends in `/` and is not looked into.
        for folder in PurePath(path.rstrip("/")).parents:
            if (here := root / folder) in found:
                break
            found.add(here)
    if (root / ".git").is_dir():
        found.add(root / ".git")
    return frozenset(folder for folder in found if folder.is_dir())


def changed_paths(root: Path, paths: Iterable[Path]) -> list[str] | None:
    """What of `root` to look at after these changes, relative to it and sorted; None for everything."""
    found: set[str] = set()
    for path in paths:
        relative = path.relative_to(root)
        if relative.parts[:1] == (".git",):
            if len(relative.parts) == 2 and relative.name in _GIT_MARKS:
                return None
            continue
        if relative.name == ".gitignore" or not relative.parts:
            return None
        found.add(relative.as_posix())
    return sorted(found)


def _any_change(_: Change, path: str) -> bool:
    """Whether a change counts: what editors write for themselves does not."""
    name = PurePath(path).name
    return not name.endswith((".swp", ".swx", "~", ".lock")) and not name.startswith((".#", "4913"))
