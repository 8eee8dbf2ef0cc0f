"""Work runs in the background, one at a time per subject."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from codeweft.errors import NotFound, StorageFailed
from codeweft.jobs import Jobs, Progress, Report


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs(workers=2)
    yield made
    made.close()


def until(condition: object, seconds: float = 3) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


def test_progress_and_an_estimate_are_seen_while_it_runs(jobs: Jobs) -> None:
    go = threading.Event()

    def work(report: Report) -> None:
        report(Progress("reading", 0, 10))
        time.sleep(0.05)
        report(Progress("reading", 5, 10, "half"))
        go.wait(3)

    job = jobs.submit("index", "shop", work)
    until(lambda: jobs.get(job.id).done == 5)
    seen = jobs.get(job.id)
    assert (seen.state, seen.phase, seen.total, seen.message) == ("running", "reading", 10, "half")
    assert seen.eta_s is not None and 0.04 < seen.eta_s < 1
    go.set()
    assert jobs.wait(job.id, 3).state == "done"


def test_one_subject_is_worked_on_once_at_a_time_and_again_if_it_changed(jobs: Jobs) -> None:
    go, running, most, runs = threading.Event(), 0, 0, 0
    lock = threading.Lock()

    def work(report: Report) -> None:
        nonlocal running, most, runs
        with lock:
            running += 1
            runs += 1
            most = max(most, running)
        go.wait(3)
        with lock:
            running -= 1

    first = jobs.submit("index", "shop", work)
    until(lambda: jobs.get(first.id).state == "running")
    second = jobs.submit("index", "shop", work)
    third = jobs.submit("index", "shop", work)
    assert second.id == third.id != first.id
    assert jobs.of("shop") == jobs.get(first.id)
    go.set()
    assert jobs.wait(second.id, 3).state == "done"
    assert (most, runs) == (1, 2)


def test_no_more_than_the_workers_run_at_once(jobs: Jobs) -> None:
    go = threading.Event()
    submitted = [jobs.submit("index", str(number), lambda report: go.wait(3)) for number in range(5)]
    until(lambda: sum(job.state == "running" for job in jobs.list()) == 2)
    assert sum(job.state == "queued" for job in jobs.list()) == 3
    go.set()
    assert [jobs.wait(job.id, 3).state for job in submitted] == ["done"] * 5


def test_cancelled_work_ends_at_its_next_report(jobs: Jobs) -> None:
    reports = 0

    def work(report: Report) -> None:
        nonlocal reports
        while True:
            try:
                report(Progress("reading", 1, 2))
            except Exception:
                pass  # work that swallows errors must not swallow this
            reports += 1
            time.sleep(0.005)

    job = jobs.submit("index", "shop", work)
    until(lambda: reports > 0)
    queued = jobs.submit("index", "shop", work)
    assert len(jobs.cancel_all("shop")) == 2
    assert jobs.wait(job.id, 3).state == "cancelled"
    assert jobs.get(queued.id).state == "cancelled"


def test_an_error_is_kept_and_a_bug_is_not_told(jobs: Jobs) -> None:
    def full(report: Report) -> None:
        raise StorageFailed("The disk is full.")

    def buggy(report: Report) -> None:
        raise ZeroDivisionError("secret")

    failed = jobs.wait(jobs.submit("index", "a", full).id, 3)
    assert failed.state == "failed" and str(failed.error) == "The disk is full."
    broken = jobs.wait(jobs.submit("index", "b", buggy).id, 3)
    assert broken.state == "failed" and "secret" not in str(broken.error)


def test_an_unknown_job_is_not_found(jobs: Jobs) -> None:
    with pytest.raises(NotFound):
        jobs.get("77")


def test_closing_does_not_wait_for_deaf_work() -> None:
    jobs = Jobs(workers=1)
    go = threading.Event()
    jobs.submit("index", "deaf", lambda report: go.wait(30))
    waiting = jobs.submit("index", "waiting", lambda report: None)
    began = time.monotonic()
    jobs.close(timeout=0.2)
    assert time.monotonic() - began < 2
    assert jobs.get(waiting.id).state == "cancelled"
    assert jobs.submit("index", "late", lambda report: None).state == "cancelled"
    go.set()
