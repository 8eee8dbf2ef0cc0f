"""What is deleted is gone: from answers, and from every file that an index keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeweft.errors import NotFound
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import Source, parse_source
from codeweft.retrieval.store import embedded
from codeweft.types import Query

from ..retrieval.conftest import WordEncoder

MARK = "zyxquat"
SECRET = f'def {MARK}_launch_code():\n    """The {MARK} code is 4711."""\n    return "{MARK}-4711"\n'


def holding(folder: Path, mark: str) -> list[str]:
    """Files below a folder whose name or content has the mark."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if mark in path.name or (path.is_file() and mark.encode() in path.read_bytes())
    )


def filled(root: Path, count: int = 120) -> None:
    for number in range(count):
        (root / f"module_{number}.py").write_text(
            f"def handler_{number}(request):\n    return request.value_{number % 7}\n" * 3
        )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    filled(folder)
    (folder / f"{MARK}.py").write_text(SECRET)
    return folder


def test_a_file_deleted_from_its_folder_leaves_nothing_behind(root: Path, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "index", parse_source(str(root)), WordEncoder())
    index.update(workers=0)
    digest = index.store.chunks(f"{MARK}.py")[0].digest
    index.store.put_summaries("English", "m", {digest: f"Returns the {MARK} code."})
    assert index.search(Query(MARK))
    assert holding(index.folder, MARK), "the test would prove nothing"
    (root / f"{MARK}.py").unlink()
    index.update(workers=0)
    assert holding(index.folder, MARK) == []
    assert not [one for one in index.search(Query(MARK)) if MARK in one.chunk.text]
    assert index.search(Query("handler_77"))[0].chunk.path == "module_77.py"


def test_an_uploaded_file_that_is_deleted_leaves_nothing_behind(tmp_path: Path) -> None:
    index = Index.create(tmp_path / "index", Source("uploads", ""), WordEncoder())
    index.put(f"{MARK}.py", SECRET.encode())
    index.put("other.py", b"def other_thing():\n    return 1\n")
    index.update(workers=0)
    assert index.search(Query(MARK))
    index.remove_file(f"{MARK}.py")
    assert holding(index.folder, MARK) == []
    with pytest.raises(NotFound):
        index.chunks(f"{MARK}.py")


def test_a_purge_that_was_interrupted_is_made_up_for(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index.create(tmp_path / "index", parse_source(str(root)), WordEncoder())
    index.update(workers=0)
    (root / f"{MARK}.py").unlink()
    with monkeypatch.context() as stopped:
        stopped.setattr(embedded.EmbeddedStore, "_purge", lambda self: None)
        index.update(workers=0)
    assert holding(index.folder, MARK), "the words are still in the lexical index"
    again = Index(tmp_path / "index", WordEncoder())
    again.update(workers=0)
    assert holding(index.folder, MARK) == []


def test_a_large_index_is_purged_when_it_pays_or_after_a_day(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "CHEAP_CHUNKS", 10)
    index = Index.create(tmp_path / "index", parse_source(str(root)), WordEncoder())
    index.update(workers=0)
    (root / f"{MARK}.py").unlink()
    index.update(workers=0)
    assert holding(index.folder, MARK), "one of 120 files does not pay yet"
    monkeypatch.setattr(embedded, "PURGED_SECONDS", 0.0)
    index.update(workers=0)
    assert holding(index.folder, MARK) == []
    (root / f"{MARK}.py").write_text(SECRET)
    index.update(workers=0)
    monkeypatch.setattr(embedded, "PURGED_SECONDS", 1e9)
    for path in [root / f"{MARK}.py", *sorted(root.glob("module_1*.py"))]:
        path.unlink()
    index.update(workers=0)
    assert holding(index.folder, MARK) == []
