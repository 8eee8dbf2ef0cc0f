"""A running server's indexes follow their sources by themselves."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from codeweft.jobs import Jobs
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.index import Index
from codeweft.retrieval.lock import updating
from codeweft.runtime import updates
from codeweft.runtime.updates import Following, Updates, changed_paths, watched_folders
from codeweft.types import Query

from ..faults.parts import DigestEncoder

PATIENCE = 20.0
"""Seconds; a busy machine is no failure."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "src").mkdir(parents=True)
    (folder / "build_cache").mkdir()
    (folder / ".gitignore").write_text("build_cache/\n")
    (folder / "src" / "orders.py").write_text("def first_order():\n    return 1\n")
    (folder / "README.md").write_text("# Shop\n")
    return folder


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def indexes(tmp_path: Path, root: Path) -> Indexes:
    made = Indexes(tmp_path / "home", DigestEncoder(), workers=0)
    made.add(str(root), "shop").update()
    return made


@pytest.fixture
async def following(indexes: Indexes, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Updates]:
    monkeypatch.setattr(updates, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(updates, "SETTLE_MS", 50)
    made = Updates(jobs, indexes)
    task = asyncio.create_task(made.follow())
    await until(lambda: len(jobs.list()) >= 1 and all(job.finished for job in jobs.list()))
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    jobs.close()


async def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end, "it has not happened"
        await asyncio.sleep(0.05)


def paths(index: Index) -> list[str]:
    return [file.path for file in index.files() if file.status == "indexed"]


def found(index: Index, name: str) -> bool:
    return any(one.chunk.name == name for one in index.search(Query(name)))


async def test_an_edit_an_addition_and_a_deletion_are_seen(
    following: Updates, indexes: Indexes, root: Path
) -> None:
    index = indexes.get("shop")
    (root / "src" / "orders.py").write_text("def second_order():\n    return 2\n")
    await until(lambda: found(index, "second_order"))
    assert not found(index, "first_order")
    (root / "src" / "new.py").write_text("def brand_new():\n    return 3\n")
    await until(lambda: "src/new.py" in paths(index))
    (root / "src" / "orders.py").unlink()
    await until(lambda: "src/orders.py" not in paths(index))


async def test_a_new_folder_is_followed_too(following: Updates, indexes: Indexes, root: Path) -> None:
    index = indexes.get("shop")
    (root / "lib" / "deep").mkdir(parents=True)
    (root / "lib" / "deep" / "one.py").write_text("def deep_one():\n    return 1\n")
    await until(lambda: "lib/deep/one.py" in paths(index))
    await asyncio.sleep(0.5)
    (root / "lib" / "deep" / "one.py").write_text("def deeper_one():\n    return 1\n")
    await until(lambda: found(index, "deeper_one"))


async def test_what_is_ignored_starts_nothing(
    following: Updates, indexes: Indexes, root: Path, jobs: Jobs
) -> None:
    before = len(jobs.list())
    (root / "build_cache" / "out.py").write_text("def built():\n    return 1\n")
    (root / "src" / "orders.py.swp").write_text("x")
    await asyncio.sleep(1.0)
    assert len(jobs.list()) == before
    (root / "src" / "marker.py").write_text("def marker():\n    return 1\n")
    await until(lambda: found(indexes.get("shop"), "marker"))
    assert "build_cache/out.py" not in [file.path for file in indexes.get("shop").files()]


async def test_an_index_added_while_it_runs_is_followed(
    following: Updates, indexes: Indexes, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.py").write_text("def alpha():\n    return 1\n")
    index = indexes.add(str(other), "other")
    following.start(index)
    await until(lambda: "a.py" in paths(index))
    await asyncio.sleep(0.5)
    (other / "b.py").write_text("def beta():\n    return 1\n")
    await until(lambda: found(index, "beta"))


async def test_without_watches_a_folder_is_looked_through(
    indexes: Indexes,
    jobs: Jobs,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr(updates, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(updates, "POLL_SECONDS", 0.3)
    monkeypatch.setattr(updates, "awatch", exhausted)
    task = asyncio.create_task(Updates(jobs, indexes).follow())
    try:
        with caplog.at_level(logging.WARNING):
            await until(lambda: "max_user_watches" in caplog.text)
        (root / "src" / "late.py").write_text("def late():\n    return 1\n")
        await until(lambda: found(indexes.get("shop"), "late"))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_git_sources_are_fetched_when_it_is_time(
    indexes: Indexes, jobs: Jobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        name = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *name, *arguments], cwd=root, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    indexes.delete("shop")
    index = indexes.add(f"file://{root}", "shop")
    index.update()
    (root / "src" / "next.py").write_text("def next_thing():\n    return 1\n")
    git("add", ".")
    git("commit", "-m", "two")
    monkeypatch.setattr(updates, "LOOK_SECONDS", 0.1)
    task = asyncio.create_task(Updates(jobs, indexes, refresh_minutes=60).follow())
    try:
        await asyncio.sleep(0.5)
        assert jobs.list() == [] and "src/next.py" not in paths(index)
        index.set_refresh(0.001)
        await until(lambda: "src/next.py" in paths(index))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        jobs.close()


async def test_changes_that_met_another_updater_are_not_lost(
    following: Updates, indexes: Indexes, root: Path, jobs: Jobs
) -> None:
    index = indexes.get("shop")
    with updating(index.folder / "lock", "shop"):
        (root / "src" / "orders.py").write_text("def third_order():\n    return 3\n")
        await until(lambda: any(job.state == "failed" for job in jobs.list()))
    await until(lambda: found(index, "third_order"))


def test_only_folders_with_known_files_are_watched(root: Path) -> None:
    (root / ".git").mkdir()
    paths = ["README.md", "src/orders.py", "node_modules/", "gone/away.py"]
    assert watched_folders(root, paths) == {root, root / "src", root / ".git"}


def test_changes_become_the_paths_to_look_at(root: Path) -> None:
    assert changed_paths(root, [root / "src/b.py", root / "src/a.py"]) == ["src/a.py", "src/b.py"]
    assert changed_paths(root, [root / ".git/index"]) == []
    assert changed_paths(root, [root / ".git/HEAD", root / "a.py"]) is None
    assert changed_paths(root, [root / "src/.gitignore"]) is None


def test_an_update_of_single_files_leaves_the_rest_alone(indexes: Indexes, root: Path) -> None:
    index = indexes.get("shop")
    ids = {file.path: file.id for file in index.files()}
    (root / "src" / "orders.py").write_text("def second_order():\n    return 2\n")
    (root / "README.md").write_text("# Changed as well\n")
    index.update(only=["src"])
    after = {file.path: file.id for file in index.files()}
    assert found(index, "second_order") and after["README.md"] == ids["README.md"]
    (root / "src" / "orders.py").unlink()
    (root / "build_cache" / "x.py").write_text("x = 1")
    index.update(only=["src/orders.py", "build_cache/x.py", "never/was.py"])
    assert paths(index) == [".gitignore", "README.md"]
    assert index.stale() == ["README.md"]
    # What was not finished is looked at as a whole.
    index.store.set(update_finished="")
    index.update(only=["src"])
    assert index.stale() == []


def test_it_is_told_how_each_index_is_kept_fresh(indexes: Indexes, jobs: Jobs) -> None:
    site = indexes.add("https://docs.example.org/guide/", "site", web=True)
    notes = indexes.uploads("notes")
    made = Updates(jobs, indexes, refresh_minutes=30)
    assert made.following(indexes.get("shop")) == Following("watched")
    assert made.following(site) == Following("polled", 30)
    site.set_refresh(0)
    assert made.following(site) == Following("told")
    assert made.following(notes) == Following("told")
    assert Updates(jobs, indexes, watch=False).following(indexes.get("shop")) == Following("told")
