"""Summaries of one index: what lacks one, a run that writes them, and what the last run did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from codeweft.errors import CodeweftError, Conflict
from codeweft.retrieval.bridge import Bridge
from codeweft.retrieval.index import Index
from codeweft.retrieval.read import text_digest
from codeweft.retrieval.store.base import Row
from codeweft.retrieval.store.failures import storage_errors
from codeweft.retrieval.summaries import Spent, Summariser
from codeweft.retrieval.summarise import KINDS, Language, Task, left_out, worth
from codeweft.retrieval.update import SUMMARY_LANGUAGE
from codeweft.types import Chunk, Filters

LAST_RUN: Final = "summaries_last"
"""The setting of an index that holds the record of its last run, as JSON."""
SEARCHABLE_SECONDS: Final = 30.0
"""Finished summaries become searchable this often: each time, their files are stored anew."""
PATIENCE_SECONDS: Final = 600.0
"""How long a finished run waits for an update of the index before it leaves its last summaries to the next run."""
_AT_ONCE: Final = 500

Report = Callable[[Spent], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is about. `exclude` are patterns of paths to leave out."""

    language: Language
    exclude: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class LastRun:
    """What the last run of an index did, as it is kept. `ended_at` is Unix seconds; `error` says why it broke off."""

    language: str
    models: tuple[str, ...]
    spent: Spent
    ended_at: float
    error: str = ""


def missing(index: Index, wanted: Wanted) -> tuple[list[Task], int]:
    """Functions without a summary, each text once, most useful first; and how many have one already.

    A function that documents itself comes after those that do not.
    """
    skipped = left_out(wanted.exclude)
    tasks: dict[int, Task] = {}
    documented: set[int] = set()
    with storage_errors(index.folder):
        for row in _rows(index):
            if row.digest in tasks or not worth(row.kind, row.text) or skipped.match_file(row.path):
                continue
            tasks[row.digest] = Task(
                row.digest, row.path, row.language, row.kind, row.name, row.scope, row.text
            )
            if row.docstring:
                documented.add(row.digest)
        known = _known(index, wanted.language, list(tasks))
    open_tasks = [task for digest, task in tasks.items() if digest not in known]
    open_tasks.sort(key=lambda task: (task.digest in documented, task.path))
    return open_tasks[: wanted.limit], len(known)


def missing_of(index: Index, wanted: Wanted, chunks: Sequence[Chunk]) -> list[Task]:
    """Those of `chunks` that want a summary and have none; nothing else of the index is looked at."""
    tasks = {
        digest: Task(digest, one.path, one.language, one.kind, one.name, one.scope, one.text)
        for one in chunks
        for digest in (text_digest(one.text),)
    }
    with storage_errors(index.folder):
        known = _known(index, wanted.language, list(tasks))
    return [task for digest, task in tasks.items() if digest not in known]


def run(
    index: Index,
    wanted: Wanted,
    summariser: Summariser,
    bridge: Bridge,
    report: Report,
    *,
    whole: bool = True,
) -> Spent:
    """Write the summaries of a run and make them searchable; what is done is kept whenever this ends.

    `report` is called in this thread; what it raises ends the run. `whole` also looks for what earlier runs could
    not make searchable. Raises what the models raise when none is left.
    """
    whole = whole or index.store.settings().get(SUMMARY_LANGUAGE) != wanted.language.code
    index.store.set(**{SUMMARY_LANGUAGE: wanted.language.code})
    waiting: set[str] = set()
    written: set[str] = set()
    searchable_at = time.monotonic() + SEARCHABLE_SECONDS

    def keep() -> None:
        nonlocal searchable_at
        finished = summariser.take()
        for model in {one.model for one in finished}:
            texts = {one.task.digest: one.text for one in finished if one.model == model}
            index.store.put_summaries(wanted.language.code, model, texts)
        waiting.update(one.task.path for one in finished)
        written.update(one.task.path for one in finished)
        if waiting and time.monotonic() > searchable_at:
            with suppress(Conflict):
                index.restore(sorted(waiting))
                waiting.clear()
            searchable_at = time.monotonic() + SEARCHABLE_SECONDS

    def tick() -> None:
        keep()
        report(summariser.spent)

    error = ""
    try:
        bridge.run(summariser.run(), tick)
    except CodeweftError as failed:
        error = str(failed)
        raise
    finally:
        # Also when it was cancelled: what was paid for is kept.
        keep()
        last = LastRun(wanted.language.code, summariser.models, summariser.spent, time.time(), error)
        index.store.set(**{LAST_RUN: msgspec.json.encode(last).decode()})
    report(summariser.spent)
    make_searchable(index, lambda: report(summariser.spent), None if whole else sorted(written))
    return summariser.spent


def make_searchable(index: Index, tick: Callable[[], None], among: Sequence[str] | None = None) -> None:
    """Store files anew whose chunks are stored with other summaries than are known, when nobody updates the index."""
    until = time.monotonic() + PATIENCE_SECONDS
    while paths := outdated(index, among):
        try:
            index.restore(paths)
            return
        except Conflict:
            if time.monotonic() > until:
                return
            tick()
            time.sleep(1)


def outdated(index: Index, among: Sequence[str] | None = None) -> list[str]:
    """Paths (of all files, or `among` these) that hold a chunk whose stored summary is not the one that is known."""
    with storage_errors(index.folder):
        code = index.store.settings().get(SUMMARY_LANGUAGE, "")
        rows = _rows(index) if among is None else (row for path in among for row in index.store.chunks(path))
        stored = [(row.path, row.digest, row.summary) for row in rows]
        known: dict[int, str] = {}
        for some in _some(list({digest for _, digest, _ in stored})) if code else ():
            known |= index.store.summaries(some, code)
    return sorted({path for path, digest, summary in stored if summary != known.get(digest, "")})


def forget(index: Index, language: Language) -> int:
    """Delete all summaries in a language; how many there were. Raises `Conflict` while the index is updated."""
    with storage_errors(index.folder):
        known = _known(index, language, list({row.digest for row in _rows(index)}))
        index.store.put_summaries(language.code, "", dict.fromkeys(known, ""))
        if index.store.settings().get(SUMMARY_LANGUAGE) == language.code:
            index.store.set(**{SUMMARY_LANGUAGE: "", LAST_RUN: ""})
    index.restore(outdated(index))
    return len(known)


def last_run(index: Index) -> LastRun | None:
    """What the last run did; None when there was none."""
    text = index.store.settings().get(LAST_RUN, "")
    return msgspec.json.decode(text, type=LastRun) if text else None


def _known(index: Index, language: Language, digests: Sequence[int]) -> set[int]:
    """Those of `digests` that have a summary."""
    return {
        digest
        for some in _some(digests)
        for digest, text in index.store.summaries(some, language.code).items()
        if text
    }


def _rows(index: Index) -> Iterator[Row]:
    return index.store.scan("", Filters(kinds=tuple(sorted(KINDS))))


def _some(digests: Sequence[int]) -> Iterator[Sequence[int]]:
    return (digests[low : low + _AT_ONCE] for low in range(0, len(digests), _AT_ONCE))
