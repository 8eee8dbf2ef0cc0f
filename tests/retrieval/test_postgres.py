"""The PostgreSQL store where it differs from the others: errors, many vectors, other encoders."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from codeweft.errors import InvalidRequest, StorageFailed
from codeweft.retrieval.store.base import Store
from codeweft.retrieval.store.choose import open_stores
from codeweft.types import Filters

from .conformance import EVERYTHING, FILES, all_rows, ask, new_files
from .conftest import WordEncoder

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgres`)")


@pytest.fixture
def folder(tmp_path: Path, postgres_url: str) -> Iterator[Path]:
    path = tmp_path / f"test-{uuid.uuid4().hex[:12]}"
    yield path
    open_stores(postgres_url).delete(path)


@pytest.fixture
def store(postgres_url: str, folder: Path) -> Store:
    return open_stores(postgres_url).open(folder, 64)


def test_a_database_that_cannot_be_reached_says_so_without_the_password(tmp_path: Path) -> None:
    stores = open_stores("postgresql://ada:s3cret@127.0.0.1:1/code?connect_timeout=2")
    with pytest.raises(StorageFailed, match=r"127\.0\.0\.1:1/code: it cannot be reached") as failed:
        stores.names(tmp_path)
    assert "s3cret" not in str(failed.value) and failed.value.fix


def test_a_wrong_password_says_so_without_it(postgres_url: str, tmp_path: Path) -> None:
    head, _, host = postgres_url.partition("@")
    user = head.rpartition(":")[0]
    with pytest.raises(StorageFailed, match="password authentication failed") as failed:
        open_stores(f"{user}:s3cret@{host}").names(tmp_path)
    assert "s3cret" not in str(failed.value)


def test_a_wrong_address_is_refused_without_being_printed() -> None:
    with pytest.raises(InvalidRequest, match="address") as refused:
        open_stores("postgresql://ada:s3cret@host:notaport/x?colour=red")
    assert "s3cret" not in str(refused.value)


def test_many_vectors_get_a_graph_that_finds_the_same(
    store: Store, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {f"f{n}.py": f"def handler_{n}(event):\n    return '{n * 'ab '}'\n" for n in range(80)}
    with store.updating("shop"):
        store.write(new_files(tmp_path, {**FILES, **texts}))
    question = WordEncoder().encode(["fetch a page from the network"])[0]
    filters = Filters(paths=("f1*.py", "web/"))
    exact = [store.nearest(question, 5, EVERYTHING), store.nearest(question, 5, filters)]
    monkeypatch.setattr("codeweft.retrieval.store.postgres.GRAPH_ROWS", 10)
    with store.updating("shop"):
        store.write(new_files(tmp_path, {"f1.py": texts["f1.py"]}))
    with psycopg.connect(postgres_url) as connection:
        names = connection.execute(
            "SELECT count(*) FROM pg_indexes WHERE indexname = 'vectors_graph'"
        ).fetchone()
    assert names is not None and names[0] >= 1
    graph = [store.nearest(question, 5, EVERYTHING), store.nearest(question, 5, filters)]
    for by_graph, by_comparing in zip(graph, exact, strict=True):
        assert [round(score, 3) for _, score in by_graph] == [round(score, 3) for _, score in by_comparing]


def test_after_clearing_vectors_may_have_another_length(
    store: Store, postgres_url: str, folder: Path, tmp_path: Path
) -> None:
    with store.updating("shop"):
        store.write(new_files(tmp_path, FILES))
    other = open_stores(postgres_url).open(folder, 32)
    with pytest.raises(StorageFailed, match="does not fit"):
        other.nearest(np.ones(32, np.float32), 3, EVERYTHING)
    with other.updating("shop"):
        other.clear()
    assert other.nearest(np.ones(32, np.float32), 3, EVERYTHING) == []


def test_totals_stay_right_over_replacing_and_deleting(
    store: Store, postgres_url: str, tmp_path: Path
) -> None:
    """BM25 rests on them: after any history they are those of a store that was filled once."""
    with store.updating("shop"):
        store.write(new_files(tmp_path, FILES))
        store.write(new_files(tmp_path, {"store/cache.py": "def f(x):\n    return x\n", "n.py": "y = 2\n"}))
        store.write([], ["docs/notes.md"])
    fresh_folder = tmp_path / f"test-{uuid.uuid4().hex[:12]}"
    stores = open_stores(postgres_url)
    fresh = stores.open(fresh_folder, 64)
    texts = {
        "store/cache.py": "def f(x):\n    return x\n",
        "n.py": "y = 2\n",
        "web/loader.js": FILES["web/loader.js"],
    }
    with fresh.updating("shop"):
        fresh.write(new_files(tmp_path, texts))
    scores = [
        {one.row.name: round(one.lexical, 4) for one in ask(some, "return the cached page of an address")}
        for some in (store, fresh)
    ]
    stores.delete(fresh_folder)
    assert scores[0] == scores[1] and any(scores[0].values())


def test_an_index_of_another_layout_is_refused(store: Store, postgres_url: str, folder: Path) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE codeweft.indexes SET layout = 0 WHERE name = %s", (folder.name,))
    with pytest.raises(StorageFailed, match="another version"):
        open_stores(postgres_url).open(folder, 64)


def test_texts_that_the_database_would_refuse_are_stored_without_what_it_cannot_hold(
    store: Store, tmp_path: Path
) -> None:
    [new] = new_files(tmp_path, {"a.py": "def f():\n    return 1\n"})
    [chunk] = new.chunks
    broken = type(chunk)(chunk.piece, "a\0b \ud800 c", chunk.digest)
    with store.updating("shop"):
        store.write(
            [type(new)(*(getattr(new, f) if f != "chunks" else [broken] for f in new.__dataclass_fields__))]
        )
    [row] = all_rows(store).values()
    assert row.text == "a\N{REPLACEMENT CHARACTER}b ? c"
