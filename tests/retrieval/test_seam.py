"""An index and its store: summaries, secrets, what is stale, and what another format means."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codeweft.errors import NotFound, NotReady
from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index
from codeweft.retrieval.question import read_question
from codeweft.retrieval.read import encoded_text
from codeweft.retrieval.sources import parse_source
from codeweft.retrieval.store.base import FoundSecret, NewFile, Probe
from codeweft.retrieval.store.embedded import EmbeddedStore, EmbeddedStores
from codeweft.retrieval.store.vectors import quantise
from codeweft.retrieval.tokens import words
from codeweft.retrieval.update import FIRST_FILES, MANY_FILES, IndexLimits, Progress
from codeweft.retrieval.workers import Reader
from codeweft.types import Filters, Query

from .conftest import WordEncoder


def cookie_digest(index: Index) -> int:
    row = next(row for row in index.store.chunks("auth/session.py") if row.name == "parse_cookie")
    return row.digest


def test_a_summary_makes_its_chunk_found_by_words_that_the_code_does_not_hold(index: Index) -> None:
    index.store.set(summary_language="ko")
    index.store.put_summaries("ko", "scribe", {cookie_digest(index): "쿠키 헤더를 zebrawise 나눈다"})
    assert index.search(Query("zebrawise"))[0].why["lexical"] == 0
    index.restore(["auth/session.py", "no/such/file.py"])
    best = index.search(Query("zebrawise"))[0]
    assert (best.chunk.name, best.chunk.summary) == ("parse_cookie", "쿠키 헤더를 zebrawise 나눈다")
    assert best.why["lexical"] > 0
    assert index.status().summarised == 1


def test_summaries_survive_a_change_of_the_file_and_of_the_encoder(index: Index, code: Path) -> None:
    index.store.set(summary_language="en")
    index.store.put_summaries("en", "scribe", {cookie_digest(index): "Reads a zebrawise header."})
    index.store.put_summaries("ko", "scribe", {cookie_digest(index): "unused"})
    source = (code / "auth" / "session.py").read_text()
    (code / "auth" / "session.py").write_text("# moved down\n" + source.replace("    ", "  "))
    index.update()
    assert index.search(Query("zebrawise"))[0].chunk.summary == "Reads a zebrawise header."

    class Other(WordEncoder):
        name = "other"

    again = Index(index.folder, Other())
    again.store.clear()
    assert again.status().chunks == 0
    again.update()
    assert again.search(Query("zebrawise"))[0].chunk.summary == "Reads a zebrawise header."


def test_restoring_changes_nothing_but_the_summaries(index: Index, code: Path) -> None:
    before = {file.path: replace(file, id=0) for file in index.files()}
    rows = [row._replace(id=0, file=0) for row in index.store.chunks("auth/session.py")]
    vectors = index.store.vectors([row.id for row in index.store.chunks("auth/session.py")])
    (code / "auth" / "session.py").write_text("gone = True\n")
    index.restore([file.path for file in index.files()])
    assert {file.path: replace(file, id=0) for file in index.files()} == before
    assert [row._replace(id=0, file=0) for row in index.store.chunks("auth/session.py")] == rows
    after = index.store.vectors([row.id for row in index.store.chunks("auth/session.py")])
    np.testing.assert_array_equal(vectors, after)


def test_secrets_found_in_a_file_are_listed_until_the_file_changes(index: Index, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    store = EmbeddedStore(tmp_path / "alone", 64)
    [stored] = [file for file in index.files() if file.path == "web/router.js"]
    new = NewFile(
        "a.py", "indexed", "", b"1", 1, 1, 1, "python", 9, (), np.zeros((0, 64), np.int8),
        (FoundSecret("private-key", 7), FoundSecret("aws-key", 3)),
    )  # fmt: skip
    store.write([new])
    assert store.secrets() == [("a.py", FoundSecret("aws-key", 3)), ("a.py", FoundSecret("private-key", 7))]
    assert [file.secrets for file in store.files()] == [2]
    store.write([replace(new, secrets=())])
    assert store.secrets() == []
    assert stored.secrets == 0


def test_stale_files_are_those_that_differ_and_asking_changes_nothing(index: Index, code: Path) -> None:
    assert index.stale() == []
    os.utime(code / "README.md")
    (code / "auth" / "session.py").write_text("one = 1\n")
    (code / "web" / "router.js").unlink()
    (code / "new.py").write_text("two = 2\n")
    before = index.files()
    assert index.stale() == ["auth/session.py", "new.py", "web/router.js"]
    assert index.files() == before
    index.update()
    assert index.stale() == []


def test_asking_what_is_stale_in_a_folder_that_is_gone_says_so(index: Index, code: Path) -> None:
    code.rename(code.with_name("elsewhere"))
    with pytest.raises(NotFound, match="does not exist"):
        index.stale()


def test_an_index_of_another_version_asks_to_be_read_again(index: Index) -> None:
    index.close()
    with sqlite3.connect(index.folder / "index.sqlite") as connection:
        connection.execute("PRAGMA user_version = 1")
        connection.execute("UPDATE settings SET value = '1' WHERE key = 'format'")
    connection.close()
    again = Index(index.folder, WordEncoder())
    assert again.search(Query("Router")) == []
    with pytest.raises(NotReady, match="another version"):
        again.check_filled()
    again.update()
    assert again.search(Query("Router"))[0].chunk.name == "Router"


def test_a_store_finds_chunks_by_their_words_their_vector_and_their_letters(index: Index) -> None:
    store = index.store
    names = {row.id: row.name for file in store.files() for row in store.chunks(file.path)}
    [cookie] = [number for number, name in names.items() if name == "parse_cookie"]
    everything = Filters()
    assert [names[one] for one in store.holding(["cookie", "header"], 5, everything)] == ["parse_cookie"]
    assert store.holding(["cookie", "routes"], 5, everything) == []
    assert store.holding(["header"], 5, Filters(languages=("javascript",))) == []
    nearest = store.nearest(store.vectors([cookie])[0], 2, everything)
    assert nearest[0][0] == cookie and nearest[0][1] == pytest.approx(1, abs=1e-3)
    assert store.nearest(store.vectors([cookie])[0], 2, Filters(paths=("*.md",)))[0][0] != cookie
    assert not store.vectors([10**9]).any()
    assert {row.path for row in store.scan("routes", everything)} == {"web/router.js"}
    assert len(list(store.scan("", everything))) == len(names)
    assert list(store.scan("routes", Filters(languages=("python",)))) == []
    question = read_question("split a cookie header")
    probe = Probe(question, WordEncoder().encode([question.text])[0], 3, everything)
    found = store.candidates(probe)
    best = max(found, key=lambda one: one.lexical)
    assert best.row.id == cookie and best.vector > 0.3 and best.file_terms > 0 and best.file_near > 0


def test_a_branch_that_is_not_the_index_s_own_finds_nothing(index: Index) -> None:
    index.store.set(branch="develop")
    assert index.search(Query("Router", filters=Filters(branches=("develop", "main"))))
    assert index.search(Query("Router", filters=Filters(branches=("main",)))) == []


def test_embedded_stores_are_the_folders_that_hold_one(index: Index) -> None:
    stores = EmbeddedStores()
    (index.folder.parent / "other").mkdir()
    assert stores.names(index.folder.parent) == ["shop"]
    assert stores.identity(index.folder) is not None
    assert stores.identity(index.folder.parent / "other") is None
    assert stores.names(index.folder.parent / "none") == []


def test_what_a_worker_prepares_is_what_one_process_would_store(code: Path, encoder: WordEncoder) -> None:
    jobs = [("auth/session.py", b""), ("README.md", b""), ("gone.py", b"")]
    plain, prepared = Reader(code, None).read(jobs), Reader(code, None, encoder).prepared(jobs)
    assert [file.status for file in prepared] == ["indexed", "indexed", "gone"]
    for one, other in zip(plain, prepared, strict=True):
        assert replace(other, vectors=None, chunks=()) == replace(one, chunks=())
        for chunk, ready in zip(one.chunks, other.chunks, strict=True):
            assert ready._replace(words="") == chunk
            assert ready.words.split() == words(chunk.text)
        texts = [encoded_text(one.path, chunk) for chunk in one.chunks]
        if texts:
            assert other.vectors is not None
            np.testing.assert_array_equal(other.vectors, quantise(encoder.encode(texts)))


def test_many_files_indexed_by_workers_are_found_as_if_indexed_by_one_process(tmp_path: Path) -> None:
    root = tmp_path / "large"
    root.mkdir()
    for n in range(MANY_FILES + 40):
        (root / f"m{n}.py").write_text(f"def work_{n}(order):\n    return order.total_{n}\n")
    encoder = StaticEncoder.load()
    found = []
    for name, workers in (("one", 0), ("two", 2)):
        index = Index.create(
            tmp_path / name,
            parse_source(str(root)),
            encoder,
            limits=IndexLimits(workers=workers, redactor=None),
        )
        told: list[Progress] = []
        index.update(told.append)
        if workers:
            committed = [step.done for step in told if step.stage == "reading"]
            assert 0 < committed[1] <= FIRST_FILES, (
                "the first files can be searched before workers have started"
            )
        # A file that goes away has the lexical index written anew: how often was committed shows in BM25's statistics.
        (root / "extra.py").write_text("def extra(): ...\n")
        index.update()
        (root / "extra.py").unlink()
        index.update()
        ids = {row.path: row.id for file in index.files() for row in index.store.chunks(file.path)}
        vectors = index.store.vectors([ids[path] for path in sorted(ids)])
        hits = [(r.chunk.path, r.score) for r in index.search(Query("the total of order 77", k=5))]
        found.append((sorted(ids), vectors.tobytes(), hits))
    assert found[0] == found[1]
    assert found[0][2][0][0] == "m77.py"
