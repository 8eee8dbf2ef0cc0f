"""An index follows its source, never loses anything and never shows what is not there."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from codeweft.errors import Conflict, InvalidRequest, NotFound, StorageFailed
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import Source, parse_source
from codeweft.retrieval.store.lexical import LexicalIndex
from codeweft.retrieval.store.vectors import EXACT_ROWS, Added, VectorTable, quantise
from codeweft.retrieval.update import IndexLimits
from codeweft.types import Filters, Query

from .conftest import WordEncoder


def names(index: Index, text: str, **filters: tuple[str, ...]) -> list[str]:
    return [
        r.chunk.qualified_name or r.chunk.path for r in index.search(Query(text, filters=Filters(**filters)))
    ]


def content(index: Index) -> list[tuple[object, ...]]:
    """All that an index holds, without what depends on when it was made."""
    rows = []
    for file in index.files():
        chunks = index.chunks(file.path)
        rows.append(
            (
                file.path,
                file.status,
                file.reason,
                file.digest,
                [(c.start_line, c.name, c.text) for c in chunks],
            )
        )
    return rows


def test_a_question_finds_the_function_that_answers_it(index: Index) -> None:
    assert names(index, "split a cookie header into values")[0] == "parse_cookie"
    assert names(index, "register a handler for a path")[0] == "Router"
    assert names(index, "matchRoute")[0] == "matchRoute"
    result = index.search(Query("SessionStore"))[0]
    assert (result.chunk.path, result.chunk.kind, result.chunk.repository) == (
        "auth/session.py",
        "class",
        "shop",
    )
    assert 0 < result.score <= 1
    assert {"lexical", "vector", "definition"} <= set(result.why)


def test_a_result_ends_with_its_last_line_of_code(index: Index, code: Path) -> None:
    (code / "gaps.py").write_text(
        "def lonely_giraffe():\n    return 1\n\n\n\ndef other_thing():\n    return 2\n"
    )
    index.update()
    chunk = index.search(Query("lonely_giraffe"))[0].chunk
    assert (chunk.start_line, chunk.end_line, chunk.text) == (1, 2, "def lonely_giraffe():\n    return 1")


def test_a_small_update_is_one_commit_whatever_changed(index: Index, code: Path) -> None:
    before = index.store._tables.generation()  # type: ignore[attr-defined]
    (code / "web" / "router.js").unlink()
    (code / "picture.png").write_bytes(b"\x89PNG")
    (code / "new.py").write_text("def fresh():\n    return 1\n")
    index.update()
    assert index.store._tables.generation() == before + 1  # type: ignore[attr-defined]
    assert {file.path: file.status for file in index.files()} == {
        "README.md": "indexed", "auth/session.py": "indexed", "new.py": "indexed", "picture.png": "skipped",
    }  # fmt: skip


def test_in_a_large_index_words_and_vectors_are_looked_up_at_once_with_the_same_results(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = ("who signs a user in", "matchRoute", "a shop that sells books")
    alone = [index.search(Query(question)) for question in questions]
    monkeypatch.setattr("codeweft.retrieval.store.search._LARGE", 1)
    assert [index.search(Query(question)) for question in questions] == alone


def test_filters_restrict_a_search(index: Index) -> None:
    question = "session routes path token shop books"
    assert {
        r.chunk.language for r in index.search(Query(question, filters=Filters(languages=("javascript",))))
    } == {"javascript"}
    assert {r.chunk.path for r in index.search(Query(question, filters=Filters(paths=("auth/**",))))} == {
        "auth/session.py"
    }
    assert {r.chunk.kind for r in index.search(Query(question, filters=Filters(kinds=("class",))))} == {
        "class"
    }
    assert index.search(Query(question, filters=Filters(repositories=("other",)))) == []
    assert index.search(Query(question, filters=Filters(repositories=("shop",)))) != []


def test_status_says_what_is_there(index: Index, code: Path) -> None:
    (code / "logo.png").write_bytes(b"\x89PNG")
    (code / "data.py").write_bytes(b"x\0y")
    status = index.update()
    assert (status.state, status.files, status.indexed) == ("ready", 5, 3)
    assert dict(status.skipped) == {"logo.png": "binary file", "data.py": "binary content"}
    assert status.languages == {"python": 1, "javascript": 1, "markdown": 1}
    assert status.chunks == sum(len(index.chunks(f.path)) for f in index.files())
    assert status.bytes == sum((code / f.path).stat().st_size for f in index.files() if f.status == "indexed")


def test_an_edit_replaces_a_deletion_removes_and_an_addition_adds(index: Index, code: Path) -> None:
    (code / "web" / "router.js").write_text(
        "export function dispatchRequest(request) {\n  return request;\n}\n"
    )
    (code / "auth" / "session.py").unlink()
    (code / "billing.py").write_text("def invoice_total(lines):\n    return sum(lines)\n")
    index.update()
    assert names(index, "dispatchRequest")[0] == "dispatchRequest"
    assert names(index, "invoice total")[0] == "invoice_total"
    assert not {"Router", "SessionStore", "parse_cookie"} & set(
        names(index, "Router SessionStore parse_cookie")
    )
    fresh = Index.create(index.folder.parent / "fresh", index.source, WordEncoder())
    fresh.update()
    assert content(index) == content(fresh)


def test_only_what_changed_is_read_again(index: Index, code: Path) -> None:
    before = {f.path: f.id for f in index.files()}
    os.utime(code / "README.md")
    (code / "auth" / "session.py").write_text("def one():\n    return 1\n")
    index.update()
    after = {f.path: f.id for f in index.files()}
    assert before["README.md"] == after["README.md"]
    assert before["web/router.js"] == after["web/router.js"]
    assert before["auth/session.py"] != after["auth/session.py"]


def test_a_change_of_the_same_size_right_after_indexing_is_seen(index: Index, code: Path) -> None:
    for word in ("alpha", "gamma", "delta"):
        (code / "one.py").write_text(f"def {word}():\n    pass\n")
        index.update()
        assert names(index, word)[0] == word


def test_an_empty_folder_gives_an_empty_index_and_no_error(tmp_path: Path, encoder: WordEncoder) -> None:
    (tmp_path / "void").mkdir()
    index = Index.create(tmp_path / "i", parse_source(str(tmp_path / "void")), encoder)
    assert index.update().state == "empty"
    assert index.search(Query("anything")) == []


def test_a_question_without_words_is_refused_and_one_without_known_words_finds_by_nothing_worse(
    index: Index,
) -> None:
    with pytest.raises(InvalidRequest):
        index.search(Query("  "))
    with pytest.raises(InvalidRequest):
        index.search(Query("x", k=0))
    for text in ("???", "\ud800", "a" * 100_000, "`", "\0", "AND OR NOT (", "경로 등록"):
        assert isinstance(index.search(Query(text)), list)


def test_lines_of_a_file_come_back_as_they_were_indexed(index: Index, code: Path) -> None:
    text = (code / "auth" / "session.py").read_text().split("\n")
    (code / "auth" / "session.py").write_text("changed\n")
    assert index.lines("auth/session.py", 3, 9).split("\n") == text[2:9]
    with pytest.raises(NotFound, match=r"auth/session\.py"):
        index.lines("session.py", 1, 2)


def test_a_removed_file_is_gone_until_the_source_is_read_again(index: Index) -> None:
    index.remove_file("web/router.js")
    assert "Router" not in names(index, "Router")
    index.update()
    assert "Router" in names(index, "Router")


def test_another_encoder_makes_the_index_anew(index: Index, encoder: WordEncoder) -> None:
    class Other(WordEncoder):
        dimensions = 32

        def encode(self, texts):  # type: ignore[no-untyped-def]
            return np.full((len(texts), 32), 1 / np.sqrt(32), np.float32)

    index.close()
    other = Index(index.folder, Other())
    other.update()
    assert other.search(Query("Router"))[0].chunk.name == "Router"


def test_two_updates_at_once_are_refused_with_the_process_that_holds_it(index: Index) -> None:
    with index.updating():
        assert index.status().state == "indexing"
        with pytest.raises(Conflict, match=str(os.getpid())):
            index.update()
    assert index.update().state == "ready"


def test_a_folder_that_is_gone_fails_the_update_but_keeps_what_was_indexed(index: Index, code: Path) -> None:
    shutil.rmtree(code)
    with pytest.raises(NotFound, match="does not exist"):
        index.update()
    assert index.status().state == "failed"
    assert names(index, "Router")[0] == "Router"


@pytest.mark.parametrize("damage", ["missing", "garbage", "behind"])
def test_the_lexical_index_is_rebuilt_from_the_truth(index: Index, damage: str) -> None:
    folder = index.folder / "lexical"
    index.close()
    if damage == "missing":
        LexicalIndex.wipe(folder)
    elif damage == "garbage":
        (folder / "meta.json").write_text("{")
    else:
        LexicalIndex(folder).write([], [], generation=0)
    again = Index(index.folder, WordEncoder())
    assert again.search(Query("parse_cookie"))[0].why["lexical"] > 0


def test_a_full_disk_is_said_so_and_nothing_is_lost(index: Index, code: Path) -> None:
    before = content(index)
    with index.store._tables._connected() as connection:
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    (code / "big.py").write_text("".join(f"def f_{n}():\n    return '{'x' * 50}'\n" for n in range(2000)))
    with pytest.raises(StorageFailed, match="full"):
        index.update()
    again = Index(index.folder, WordEncoder())
    assert content(again) == before
    assert again.update().state == "ready"
    assert names(again, "f_1234")[0] == "f_1234"


TEXT = "def needle_{0}():\n    '''Find needle {0}.'''\n    return {0}"


def test_searches_go_on_while_files_are_indexed(tmp_path: Path, encoder: WordEncoder) -> None:
    root = tmp_path / "many"
    root.mkdir()
    for n in range(120):
        (root / f"m{n}.py").write_text(TEXT.format(n) + "\n")
    index = Index.create(tmp_path / "i", parse_source(str(root)), encoder)
    reader = Index(tmp_path / "i", encoder)
    stop, failures, seen = threading.Event(), [], set()

    def read() -> None:
        while not stop.is_set():
            try:
                results = reader.search(Query("needle", k=5))
                seen.add(len(results))
                for one in results:
                    number = one.chunk.path.removeprefix("m").removesuffix(".py")
                    assert one.chunk.text == TEXT.format(number)
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    index.update()
    for n in range(0, 120, 10):
        (root / f"m{n}.py").write_text(TEXT.format(n) + "\n")
    index.update()
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert 5 in seen
    assert len(reader.search(Query("needle", k=200))) == 120


UPDATER = """
    import sys
    from pathlib import Path
    sys.path[:0] = {path!r}
    from tests.retrieval.conftest import WordEncoder
    from codeweft.retrieval.index import Index
    Index(Path({folder!r}), WordEncoder()).update(workers=0)
"""


def test_kill_at_any_moment_loses_nothing_and_the_next_update_finishes(
    tmp_path: Path, encoder: WordEncoder
) -> None:
    root = tmp_path / "code"
    root.mkdir()
    chance = random.Random(5)
    index = Index.create(tmp_path / "killed", parse_source(str(root)), encoder)
    script = textwrap.dedent(UPDATER.format(path=sys.path, folder=str(index.folder)))
    died = 0
    for turn in range(10):
        for n in range(100):
            if turn == 0 or chance.random() < 0.5:
                text = "".join(
                    f"def f_{n}_{k}(x):\n    return x + {turn}\n\n" for k in range(chance.randrange(1, 6))
                )
                (root / f"m{n}.py").write_text(text)
        (root / f"m{chance.randrange(100)}.py").unlink(missing_ok=True)
        child = subprocess.Popen([sys.executable, "-c", script])
        wait = time.monotonic() + 5
        while index.status().state != "indexing" and child.poll() is None and time.monotonic() < wait:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.25)
        child.send_signal(signal.SIGKILL)
        died += child.wait() == -signal.SIGKILL
        status = index.status()
        assert status.state in ("incomplete", "ready", "empty")
        for result in index.search(Query("return x")):
            assert f"def {result.chunk.name}" in result.chunk.text
    assert died >= 5, "the updates were over before they could be killed"
    index.update()
    fresh = Index.create(tmp_path / "fresh", parse_source(str(root)), encoder)
    fresh.update()
    assert content(index) == content(fresh)
    assert len(index.search(Query("return", k=50))) == len(fresh.search(Query("return", k=50)))


def test_many_files_are_read_by_several_processes_with_the_same_result(
    tmp_path: Path, encoder: WordEncoder
) -> None:
    root = tmp_path / "large"
    root.mkdir()
    for n in range(420):
        (root / f"m{n}.py").write_text(f"def work_{n}():\n    return {n}\n")
    one = Index.create(tmp_path / "one", parse_source(str(root)), encoder, limits=IndexLimits(workers=0))
    two = Index.create(tmp_path / "two", parse_source(str(root)), encoder, limits=IndexLimits(workers=2))
    one.update()
    two.update()
    assert content(one) == content(two)
    assert not multiprocessing.active_children()


def test_another_process_sees_what_this_one_indexed(index: Index, code: Path, encoder: WordEncoder) -> None:
    other = Index(index.folder, encoder)
    assert names(other, "Router")[0] == "Router"
    (code / "new.py").write_text("def brand_new():\n    return 1\n")
    index.update()
    assert names(other, "brand_new")[0] == "brand_new"


def test_sign_bits_find_what_an_exact_scan_finds() -> None:
    chance = np.random.default_rng(3)
    count = EXACT_ROWS + 36_000
    # Like code: many small families of functions that resemble each other.
    families = np.repeat(chance.standard_normal((count // 20 + 1, 256)), 20, axis=0)[:count]
    rows = (families + 0.7 * chance.standard_normal((count, 256))).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = np.arange(1, count + 1)
    table = VectorTable.empty(256).with_changes(
        [], Added.of(ids, ids, np.zeros(count, np.uint8), quantise(rows))
    )
    hits = 0
    for one in range(40):
        query = rows[one] + 0.03 * chance.standard_normal(256).astype(np.float32)
        query /= np.linalg.norm(query)
        exact = set(np.argsort(-(rows @ query))[:10].tolist())
        hits += len(exact & set(table.nearest(query, 10)[0].tolist()))
    assert hits >= 0.9 * 400
    none = Added.of(ids[:0], ids[:0], np.zeros(0, np.uint8), quantise(rows[:0]))
    gone = table.with_changes([(1, 100)], none)
    assert gone.nearest(rows[5], 3)[0].min() >= 100
    assert table.nearest(rows[5], 1)[0].tolist() == [5]


def test_an_uploads_source_keeps_its_name(tmp_path: Path, encoder: WordEncoder) -> None:
    index = Index.create(tmp_path / "notes", Source("uploads", ""), encoder)
    index.put("a/b.py", b"def uploaded():\n    return 1\n")
    index.update()
    assert names(index, "uploaded")[0] == "uploaded"
    index.remove_file("a/b.py")
    assert index.update().indexed == 0
    for bad in (
        "../x.py",
        "/etc/passwd",
        "a/../../x",
        "",
        "a\0b",
        "..\\x",
        ".git/config",
        "C:/x",
        "a/",
        "x" * 300,
    ):
        if bad != "a/":
            with pytest.raises(InvalidRequest):
                index.put(bad, b"x")
