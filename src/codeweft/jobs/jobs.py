"""Background work in threads: one at a time per subject, with progress, cancelling and an estimate of the end.

Nothing here is durable: the truth about an index is the index, and whoever starts the server resumes what is
unfinished.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from typing import Literal

from codeweft.errors import CodeweftError, NotFound

log = logging.getLogger(__name__)

State = Literal["queued", "running", "done", "failed", "cancelled"]
KEPT = 200
"""Finished jobs that are remembered."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What work reports: `done` of `total` in this phase; total 0 means that it is not known yet."""

    phase: str
    done: int
    total: int
    message: str = ""


Report = Callable[[Progress], None]
Work = Callable[[Report], object]


@dataclass(frozen=True, slots=True)
class Job:
    """A snapshot. `eta_s` is in seconds and `rate` in parts of `total` per second, None when they cannot be told.

    `error` is set when it failed.
    """

    id: str
    kind: str
    subject: str
    state: State = "queued"
    phase: str = ""
    done: int = 0
    total: int = 0
    eta_s: float | None = None
    rate: float | None = None
    message: str = ""
    error: CodeweftError | None = None

    @property
    def finished(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


class _Cancelled(BaseException):
    """Unwinds work from inside its progress report; no `except Exception` may swallow it."""


class _Task:
    def __init__(self, job: Job, work: Work) -> None:
        self.job = job
        self.work = work
        self.cancelled = threading.Event()
        self.finished: Future[Job] = Future()
        self.phase_started = 0.0


class Jobs:
    """Runs work in at most `workers` threads at once and one per subject."""

    def __init__(self, workers: int = 2) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._tasks: dict[str, _Task] = {}
        self._queue: deque[_Task] = deque()
        self._running: set[str] = set()
        self._closed = False

    def submit(self, kind: str, subject: str, work: Work) -> Job:
        """Queue `work`. While the same subject is queued already, that job is answered instead.

        A subject that is running is queued once more, because what changed since it began must be seen too.
        """
        with self._lock:
            for task in self._queue:
                if task.job.subject == subject and task.job.kind == kind:
                    return task.job
            task = _Task(Job(str(next(self._ids)), kind, subject), work)
            self._tasks[task.job.id] = task
            if self._closed:
                self._finish(task, replace(task.job, state="cancelled"))
                return task.job
            self._queue.append(task)
            self._start_next()
            self._forget()
            return task.job

    def get(self, job_id: str) -> Job:
        """Raises `NotFound`."""
        return self._task(job_id).job

    def list(self) -> list[Job]:
        with self._lock:
            return [task.job for task in self._tasks.values()]

    def of(self, subject: str) -> Job | None:
        """The job of a subject that says most about it: the running one, else the queued one, else the last."""
        jobs = [job for job in self.list() if job.subject == subject]
        for state in ("running", "queued"):
            for job in jobs:
                if job.state == state:
                    return job
        return jobs[-1] if jobs else None

    def cancel(self, job_id: str) -> None:
        """Ask a job to end; work notices it at its next progress report."""
        task = self._task(job_id)
        with self._lock:
            task.cancelled.set()
            if task in self._queue:
                self._queue.remove(task)
                self._finish(task, replace(task.job, state="cancelled"))

    def cancel_all(self, subject: str) -> tuple[Job, ...]:
        """Cancel every job of a subject that has not finished; those jobs."""
        jobs = tuple(job for job in self.list() if job.subject == subject and not job.finished)
        for job in jobs:
            self.cancel(job.id)
        return jobs

    def future(self, job_id: str) -> Future[Job]:
        """Resolves to the finished job (also when it failed); `asyncio.wrap_future` awaits it."""
        return self._task(job_id).finished

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """The job once it finished, or as it is after `timeout` seconds."""
        try:
            return self.future(job_id).result(timeout)
        except FutureTimeout:
            return self.get(job_id)

    def close(self, timeout: float = 1.0) -> None:
        """Cancel everything and wait at most `timeout` seconds. Threads left over do not hold the process."""
        with self._lock:
            self._closed = True
            open_tasks = [task for task in self._tasks.values() if not task.job.finished]
        for task in open_tasks:
            self.cancel(task.job.id)
        end = time.monotonic() + timeout
        for task in open_tasks:
            self.wait(task.job.id, max(0.0, end - time.monotonic()))

    # ── inside (the lock is held unless said otherwise) ──────────────────────────────────────────────────────

    def _task(self, job_id: str) -> _Task:
        with self._lock:
            task = self._tasks.get(job_id)
        if task is None:
            raise NotFound(f"There is no job {job_id}.")
        return task

    def _start_next(self) -> None:
        for task in list(self._queue):
            if len(self._running) >= self._workers:
                return
            if task.job.subject in self._running:
                continue
            self._queue.remove(task)
            self._running.add(task.job.subject)
            task.job = replace(task.job, state="running")
            # Daemon threads: a parser deep in a big file must not keep a stopped server alive.
            threading.Thread(target=self._run, args=(task,), name=f"job-{task.job.id}", daemon=True).start()

    def _run(self, task: _Task) -> None:
        """The thread of one job; called without the lock."""
        task.phase_started = time.monotonic()
        state: State = "done"
        error: CodeweftError | None = None
        try:
            task.work(lambda progress: self._report(task, progress))
        except _Cancelled:
            state = "cancelled"
        except CodeweftError as raised:
            state, error = "failed", raised
        except BaseException as bug:
            log.exception("the job %s of %s failed", task.job.kind, task.job.subject)
            state = "failed"
            error = CodeweftError(
                f"Unexpected {type(bug).__name__} while working on {task.job.subject}.",
                fix="The server's log has the details; please report it.",
            )
        with self._lock:
            self._running.discard(task.job.subject)
            self._finish(task, replace(task.job, state=state, error=error, eta_s=None, rate=None))
            self._start_next()

    def _report(self, task: _Task, progress: Progress) -> None:
        """Called by work in its thread, without the lock. Raises to end cancelled work."""
        if task.cancelled.is_set():
            raise _Cancelled
        now = time.monotonic()
        if progress.phase != task.job.phase:
            task.phase_started = now
        eta = rate = None
        seconds = now - task.phase_started
        if 0 < progress.done <= progress.total and seconds > 0:
            rate = progress.done / seconds
            eta = (progress.total - progress.done) / rate
        with self._lock:
            task.job = replace(
                task.job,
                phase=progress.phase,
                done=progress.done,
                total=progress.total,
                eta_s=eta,
                rate=rate,
                message=progress.message,
            )

    def _finish(self, task: _Task, job: Job) -> None:
        task.job = job
        task.finished.set_result(job)

    def _forget(self) -> None:
        finished = [job_id for job_id, task in self._tasks.items() if task.job.finished]
        for job_id in finished[:-KEPT]:
            del self._tasks[job_id]
