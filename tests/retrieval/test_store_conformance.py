"""What every store promises, asked of each: embedded, PostgreSQL, OpenSearch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codeweft.errors import Conflict, NotFound
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.store.base import FoundSecret, NewChunk, Store, Stores
from codeweft.retrieval.store.choose import open_stores
from codeweft.retrieval.store.embedded import EmbeddedStores
from codeweft.types import Filters, Query

from .conformance import CACHE, EVERYTHING, FILES, NOTES, all_rows, ask, new_files
from .conftest import WordEncoder

DIMENSIONS = WordEncoder.dimensions
KINDS_OF_STORES = ("embedded", "postgres", "opensearch_double", "opensearch")


@pytest.fixture(params=KINDS_OF_STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """The stores of an installation, of each kind."""
    if request.param == "embedded":
        yield EmbeddedStores()
        return
    made = open_stores(request.getfixturevalue(f"{request.param}_url"))
    yield made
    made.close()  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path, stores: Stores) -> Iterator[Path]:
    """The folder of an index whose name nobody else uses, and which is gone afterwards."""
    path = tmp_path / "indexes" / f"test-{uuid.uuid4().hex[:12]}"
    path.mkdir(parents=True)
    yield path
    stores.delete(path)


@pytest.fixture
def opened(stores: Stores, folder: Path) -> Callable[[], Store]:
    """Open the same store again and again, as different processes do."""
    return lambda: stores.open(folder, DIMENSIONS)


@pytest.fixture
def store(opened: Callable[[], Store], tmp_path: Path) -> Iterator[Store]:
    """A store with three files in it."""
    one = opened()
    with one.updating("shop"):
        one.write(new_files(tmp_path, FILES))
    yield one
    one.close()


def changed(store: Store, tmp_path: Path, texts: dict[str, str], gone: tuple[str, ...] = ()) -> None:
    with store.updating("shop"):
        store.write(new_files(tmp_path, texts), gone)


# ── what is stored ───────────────────────────────────────────────────────────────────────────────────────────


def test_settings_are_kept_and_replaced(store: Store, opened: Callable[[], Store]) -> None:
    store.set(source="/src", commit="abc")
    store.set(commit="def", note="한국어 100% 'quoted'")
    settings = opened().settings()
    assert {key: settings[key] for key in ("source", "commit", "note")} == {
        "source": "/src", "commit": "def", "note": "한국어 100% 'quoted'",
    }  # fmt: skip


def test_a_file_comes_back_as_it_was_written(store: Store, tmp_path: Path) -> None:
    [new] = new_files(tmp_path, {"store/cache.py": CACHE})
    stored = store.file("store/cache.py")
    assert stored is not None
    for field in (
        "path",
        "status",
        "reason",
        "digest",
        "size",
        "mtime_ns",
        "checked_ns",
        "language",
        "lines",
    ):
        assert getattr(stored, field) == getattr(new, field)
    assert (stored.chunks, stored.summarised, stored.secrets) == (len(new.chunks), 0, 0)
    assert [file.path for file in store.files()] == sorted(FILES)
    rows = store.chunks("store/cache.py")
    assert [(row.piece, row.text, row.digest) for row in rows] == [
        (chunk.piece, chunk.text, chunk.digest) for chunk in new.chunks
    ]
    assert {(row.path, row.language, row.file) for row in rows} == {("store/cache.py", "python", stored.id)}
    assert store.file("no/such.py") is None and store.chunks("no/such.py") == []


def test_rows_come_without_text_unless_it_is_asked_for(store: Store) -> None:
    row = all_rows(store)["Cache"]
    [short] = store.rows([row.id, 10**15])
    assert short == row._replace(text="", signature="", docstring="", summary="")
    [full] = store.rows([row.id], text=True)
    assert full == row and "memory is short" in full.text


def test_a_replaced_file_leaves_nothing_of_the_old_one(store: Store, tmp_path: Path) -> None:
    old = all_rows(store)
    changed(store, tmp_path, {"store/cache.py": "def forget(everything: bool) -> None:\n    ...\n"})
    ids = [row.id for row in old.values() if row.path == "store/cache.py"]
    assert store.rows(ids) == []
    assert not store.vectors(ids).any()
    assert all(
        row.row.path != "store/cache.py" for row in ask(store, "evict oldest memory") if row.lexical > 0
    )
    assert store.defining(["put"], 9) == [] and store.holding(["memory"], 9, EVERYTHING) == []
    assert list(store.scan("memory is short", EVERYTHING)) == []
    assert not set(ids) & {
        one for one, _ in store.nearest(WordEncoder().encode(["cache"])[0], 99, EVERYTHING)
    }
    assert [row.name for row in store.chunks("store/cache.py")] == ["forget"]
    assert ask(store, "forget everything")[0].row.name == "forget"


def test_deleting_really_deletes(store: Store, opened: Callable[[], Store], tmp_path: Path) -> None:
    changed(store, tmp_path, {}, ("store/cache.py", "docs/notes.md", "never/there.py"))
    for one in (store, opened()):
        assert [file.path for file in one.files()] == ["web/loader.js"]
        assert {row.path for row in one.scan("", EVERYTHING)} == {"web/loader.js"}
        assert {found.row.path for found in ask(one, "cache evict oldest")} == {"web/loader.js"}


def test_touching_changes_what_is_known_of_the_file_and_nothing_else(store: Store) -> None:
    before = {file.path: file for file in store.files()}
    store.touch([(11, 12, 13, "docs/notes.md")])
    after = {file.path: file for file in store.files()}
    expected = replace(before["docs/notes.md"], size=11, mtime_ns=12, checked_ns=13)
    assert after == {**before, "docs/notes.md": expected}


def test_clearing_forgets_files_and_keeps_settings_and_summaries(store: Store, tmp_path: Path) -> None:
    store.set(source="/src")
    store.put_summaries("en", "scribe", {-5: "Says something."})
    with store.updating("shop"):
        store.clear()
    assert store.files() == [] and list(store.scan("", EVERYTHING)) == [] and ask(store, "cache") == []
    assert store.settings()["source"] == "/src" and store.summaries([-5], "en") == {-5: "Says something."}
    changed(store, tmp_path, {"docs/notes.md": NOTES})
    assert ask(store, "oldest entries")[0].row.path == "docs/notes.md"


def test_secrets_are_listed_by_path_and_line_until_their_file_goes(store: Store, tmp_path: Path) -> None:
    found = (FoundSecret("private-key", 7), FoundSecret("aws-key", 3))
    with store.updating("shop"):
        store.write(new_files(tmp_path, {"b.py": "b = 1\n", "a.py": "a = 1\n"}, found))
    listed = [(path, secret) for path in ("a.py", "b.py") for secret in reversed(found)]
    assert store.secrets() == listed
    assert store.file("a.py").secrets == 2  # type: ignore[union-attr]
    changed(store, tmp_path, {}, ("a.py",))
    assert store.secrets() == listed[2:]


def test_summaries_are_kept_by_digest_and_language(store: Store) -> None:
    store.put_summaries("en", "scribe", {1: "one", -(2**63): "least", 2**63 - 1: "most"})
    store.put_summaries("ko", "scribe", {1: "하나"})
    store.put_summaries("en", "better", {1: "the one"})
    assert store.summaries([1, 2, -(2**63), 2**63 - 1], "en") == {
        1: "the one", -(2**63): "least", 2**63 - 1: "most",
    }  # fmt: skip
    assert store.summaries([1], "ko") == {1: "하나"} and store.summaries([], "en") == {}


def test_a_summary_is_stored_and_searched_with_its_chunk(store: Store, tmp_path: Path) -> None:
    with store.updating("shop"):
        store.write(new_files(tmp_path, {"a.py": "def f():\n    return 1\n"}, summary="Counts zebras."))
    best = ask(store, "zebras")[0]
    assert best.row.path == "a.py" and best.lexical > 0
    assert store.rows([best.row.id], text=True)[0].summary == "Counts zebras."
    assert store.file("a.py").summarised == 1  # type: ignore[union-attr]


def test_files_without_chunks_are_known_with_their_reason(store: Store, tmp_path: Path) -> None:
    [new] = new_files(tmp_path, {"x.py": "x = 1\n"})
    none = np.zeros((0, DIMENSIONS), np.int8)
    skipped = replace(
        new, path="x.bin", status="skipped", reason="binary", chunks=(), vectors=none, digest=b""
    )
    with store.updating("shop"):
        store.write([skipped])
    stored = store.file("x.bin")
    assert stored is not None and (stored.status, stored.reason, stored.chunks) == ("skipped", "binary", 0)
    changed(store, tmp_path, {}, ("x.bin",))
    assert store.file("x.bin") is None


def test_text_of_all_kinds_is_stored_and_found(store: Store, tmp_path: Path) -> None:
    text = "def 인사():\n    return '안녕\\t😀 %_\\\\ \"quoted\" \\x00'\n"
    changed(store, tmp_path, {"폴더/파일 이름%.py": text})
    [row] = store.chunks("폴더/파일 이름%.py")
    assert row.text.rstrip("\n") == text.rstrip("\n")
    assert [one.id for one in store.scan("😀 %_\\\\", EVERYTHING)] == [row.id]
    assert list(store.scan("😀 x_", EVERYTHING)) == []
    assert ask(store, "인사")[0].row.id == row.id


# ── what is found ────────────────────────────────────────────────────────────────────────────────────────────


def test_candidates_have_the_evidence_of_words_vectors_and_files(store: Store) -> None:
    found = ask(store, "drop what was not used for longest when memory is short")
    best = found[0]
    assert best.row.name == "Cache" and best.row.text == ""
    assert best.lexical > 0 and best.vector > 0.4 and best.file_terms > 0 and best.file_near > 0
    by_path = {one.row.path: one for one in found}
    assert by_path["web/loader.js"].file_terms < best.file_terms
    assert all(-1.001 <= one.vector <= 1.001 for one in found)


def test_other_forms_of_a_word_count_less_than_the_word(store: Store) -> None:
    same, form = ask(store, "entries")[0], ask(store, "evicts")[0]
    assert same.row.path == "docs/notes.md"
    assert 0 < form.lexical < ask(store, "evict")[0].lexical


def test_a_definition_is_a_candidate_however_it_is_written(store: Store) -> None:
    names = {one.row.name for one in ask(store, "EvictOldest")}
    assert {"Cache", "evictOldest"} <= names


def test_a_question_of_unknown_words_finds_nothing_by_words_and_does_not_fail(store: Store) -> None:
    question_only = [one for one in ask(store, "zzqx") if one.lexical > 0]
    assert question_only == []
    silent = store.nearest(np.zeros(DIMENSIONS, np.float32), 5, EVERYTHING)
    assert silent == []


@pytest.mark.parametrize(
    ("filters", "paths"),
    [
        (Filters(paths=("*.py",)), {"store/cache.py"}),
        (Filters(paths=("store/", "docs/**")), {"store/cache.py", "docs/notes.md"}),
        (Filters(paths=("*", "!*.md")), {"store/cache.py", "web/loader.js"}),
        (Filters(languages=("javascript", "python")), {"store/cache.py", "web/loader.js"}),
        (Filters(languages=("python",), paths=("web/",)), set()),
        (Filters(kinds=("function",)), {"web/loader.js"}),
        (Filters(kinds=("no such kind",)), set()),
    ],
)
def test_filters_hold_for_every_way_of_finding(store: Store, filters: Filters, paths: set[str]) -> None:
    rows = {row.id: row for row in all_rows(store).values()}
    assert {one.row.path for one in ask(store, "evict oldest cache entries", filters)} == paths
    near = store.nearest(WordEncoder().encode(["cache"])[0], 50, filters)
    assert {rows[one].path for one, _ in near} == paths
    assert {rows[one].path for one in store.holding(["cache"], 50, filters)} <= paths
    assert {row.path for row in store.scan("", filters)} == paths


def test_nearest_are_the_nearest_in_order(store: Store) -> None:
    ids = [row.id for row in all_rows(store).values()]
    vectors = store.vectors(ids)
    question = WordEncoder().encode(["fetch a page from the network"])[0]
    expected = dict(zip(ids, (vectors @ question).tolist(), strict=True))
    found = store.nearest(question, 3, EVERYTHING)
    assert [one for one, _ in found] == sorted(expected, key=lambda one: -expected[one])[:3]
    for one, cosine in found:
        assert cosine == pytest.approx(expected[one], abs=2e-3)


def test_vectors_come_in_the_order_asked_with_zeros_for_what_is_gone(store: Store) -> None:
    ids = [row.id for row in all_rows(store).values()][:3]
    forward, backward = store.vectors([*ids, 10**14]), store.vectors([10**14, *reversed(ids)])
    assert forward.shape == (4, DIMENSIONS) and forward.dtype == np.float32
    np.testing.assert_allclose(forward[:3], backward[:0:-1], atol=1e-6)
    assert not forward[3].any()
    np.testing.assert_allclose(np.linalg.norm(forward[:3], axis=1), 1, atol=2e-3)


def test_definitions_are_looked_up_by_folded_name_and_limited(store: Store) -> None:
    rows = {row.id: row.name for row in all_rows(store).values()}
    assert {rows[one] for one in store.defining(["evictoldest"], 9)} == {"Cache", "evictOldest"}
    assert len(store.defining(["evictoldest", "put"], 2)) == 2
    assert store.defining([], 9) == [] and store.defining(["nosuch"], 9) == []


def test_holding_wants_all_terms_in_one_body(store: Store) -> None:
    rows = {row.id: row.path for row in all_rows(store).values()}
    assert {rows[one] for one in store.holding(["cache"], 50, EVERYTHING)} == set(FILES)
    assert [rows[one] for one in store.holding(["fetch", "address"], 50, EVERYTHING)] == ["web/loader.js"]
    assert store.holding(["fetch", "memory"], 50, EVERYTHING) == []
    assert store.holding(["nosuchterm", "cache"], 50, EVERYTHING) == []
    assert len(store.holding(["cache"], 1, EVERYTHING)) == 1


def test_scanning_goes_by_path_and_line(store: Store) -> None:
    rows = list(store.scan("cache", EVERYTHING))
    assert [(row.path, row.start_line) for row in rows] == sorted((row.path, row.start_line) for row in rows)
    assert all("cache" in row.text for row in rows) and len({row.path for row in rows}) == 3
    assert len(list(store.scan("", EVERYTHING))) == len(all_rows(store))


# ── who may write, and when it is seen ───────────────────────────────────────────────────────────────────────


def test_only_one_may_update(store: Store, opened: Callable[[], Store]) -> None:
    other = opened()
    assert other.updater() is None
    with store.updating("shop"):
        assert other.updater() == os.getpid()
        with pytest.raises(Conflict, match="shop") as refused, other.updating("shop"):
            raise AssertionError("two updaters")
        assert refused.value.details["pid"] == os.getpid()
    assert other.updater() is None
    with other.updating("shop"):
        pass


def test_an_updater_that_fails_lets_the_next_one_in(store: Store, opened: Callable[[], Store]) -> None:
    with pytest.raises(RuntimeError), store.updating("shop"):
        raise RuntimeError
    with opened().updating("shop"):
        pass


class Torn(list[NewChunk]):
    """Chunks that cannot be read to their end."""

    def __iter__(self) -> Iterator[NewChunk]:
        yield self[0]
        raise RuntimeError


def test_a_batch_that_fails_in_the_middle_leaves_everything_as_it_was(store: Store, tmp_path: Path) -> None:
    before = list(store.scan("", EVERYTHING))
    good, bad = new_files(tmp_path, {"store/cache.py": "x = 1\n", "z.py": "def z():\n    return 2\n"})
    with pytest.raises(RuntimeError), store.updating("shop"):
        store.write([good, replace(bad, chunks=Torn(bad.chunks))], ["docs/notes.md"])
    assert list(store.scan("", EVERYTHING)) == before
    assert [file.path for file in store.files()] == sorted(FILES)
    changed(store, tmp_path, {"store/cache.py": "x = 1\n"})
    assert {file.path for file in store.files()} == set(FILES)
    assert [row.text.strip() for row in store.chunks("store/cache.py")] == ["x = 1"]


def test_a_reader_sees_whole_batches(store: Store, opened: Callable[[], Store], tmp_path: Path) -> None:
    """Every batch gives two files the same number; no reader may ever see two."""
    reader, stop, seen, failures = opened(), threading.Event(), set(), []

    def read() -> None:
        while not stop.is_set():
            numbers = {row.text.strip() for row in reader.scan("number = ", EVERYTHING)}
            seen.update(numbers)
            found = {file.lines for file in reader.files() if file.path in ("one.py", "two.py")}
            if len(found) > 1:
                failures.append(found)

    changed(store, tmp_path, {"one.py": "number = 0\n", "two.py": "number = 0\n"})
    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(1, 8):
            text = f"number = {number}\n" + "\n" * number
            changed(store, tmp_path, {"one.py": text, "two.py": text})
            assert {row.text.strip() for row in store.scan("number = ", EVERYTHING)} == {f"number = {number}"}
    finally:
        stop.set()
        thread.join()
    assert failures == [] and len(seen) >= 1


_KILLED = """
import sys
from pathlib import Path
from tests.retrieval.conformance import new_files
from codeweft.retrieval.store.choose import open_stores
stores = open_stores(sys.argv[2] or None)
store = stores.open(Path(sys.argv[1]), 64)
with store.updating("shop"):
    print("ready", flush=True)
    for round in range(10_000):
        store.write(new_files(Path(sys.argv[3]), {f"f{n}.py": f"def f{n}():\\n    return {round}\\n" for n in range(8)}))
"""


def test_a_killed_updater_leaves_whole_batches_and_no_lock(
    store: Store,
    opened: Callable[[], Store],
    folder: Path,
    tmp_path: Path,
    stores: Stores,
    request: pytest.FixtureRequest,
) -> None:
    kind = request.node.callspec.params["stores"]
    url = "" if kind == "embedded" else request.getfixturevalue(f"{kind}_url")
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    for delay in (0.02, 0.23):
        process = subprocess.Popen(
            [sys.executable, "-c", _KILLED, folder, url, tmp_path], stdout=subprocess.PIPE, env=environment
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        reader = opened()
        numbers = {
            row.text.strip().rpartition(" ")[2] for row in reader.scan("return ", Filters(paths=("f*.py",)))
        }
        assert len(numbers) <= 1
        until = time.monotonic() + 20
        while reader.updater() is not None and time.monotonic() < until:
            time.sleep(0.1)
        with reader.updating("shop"):
            reader.repair()
            reader.write(new_files(tmp_path, {"f0.py": "def f0():\n    return 'again'\n"}))
        assert [row.text.strip() for row in reader.chunks("f0.py")] == ["def f0():\n    return 'again'"]
        assert len([one for one in ask(reader, "f0") if one.row.path == "f0.py"]) == 1
        with reader.updating("shop"):
            reader.write([], [f"f{n}.py" for n in range(8)])
        reader.close()


# ── all of them together ─────────────────────────────────────────────────────────────────────────────────────


def test_stores_are_named_told_apart_and_deleted(stores: Stores, store: Store, folder: Path) -> None:
    root = folder.parent
    assert folder.name in stores.names(root)
    store.set(source="/src")
    first = stores.identity(folder)
    assert first is not None and stores.identity(root / "nobody") is None
    stores.delete(folder)
    if isinstance(stores, EmbeddedStores):
        for file in folder.rglob("*"):
            if file.is_file():
                file.unlink()
    assert folder.name not in stores.names(root) and stores.identity(folder) is None
    folder.mkdir(exist_ok=True)
    again = stores.open(folder, DIMENSIONS)
    assert stores.identity(folder) not in (None, first) or isinstance(stores, EmbeddedStores)
    assert again.files() == [] and "source" not in again.settings()


def test_a_deleted_index_is_not_found_even_by_who_has_it_open(
    stores: Stores, tmp_path: Path, code: Path
) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    first, second = (Indexes(tmp_path / "home", WordEncoder(), workers=0, stores=stores) for _ in range(2))
    index = first.add(str(code), name)
    index.update()
    assert second.search(Query("Router", index=name))[0].chunk.name == "Router"
    assert second.get(name).status().state == "ready"
    first.delete(name)
    assert name not in second.names()
    with pytest.raises(NotFound):
        second.search(Query("Router", index=name))


QUESTIONS = (
    "how are vectors quantised", "EmbeddedStore", "which process holds the lock", "terms of a chunk by field",
    "commit a batch of files", "nearest vectors", "errors when the disk is full", "other forms of a word",
    "rebuild the lexical index", "lexical.write",
)  # fmt: skip


def test_ranking_agrees_with_the_embedded_store(stores: Stores, tmp_path: Path) -> None:
    from codeweft.retrieval.encode import StaticEncoder

    encoder = StaticEncoder.load()
    source = Path(__file__).resolve().parents[2] / "src" / "codeweft" / "retrieval" / "store"
    name = f"test-{uuid.uuid4().hex[:12]}"
    found = []
    here = Indexes(tmp_path / "embedded", encoder, workers=0)
    there = Indexes(tmp_path / "there", encoder, workers=0, stores=stores)
    try:
        for indexes in (here, there):
            indexes.add(str(source), name).update()
            found.append(
                [
                    {(one.chunk.path, one.chunk.start_line) for one in indexes.search(Query(question, name))}
                    for question in QUESTIONS
                ]
            )
        overlap = [len(a & b) / len(a) for a, b in zip(*found, strict=True)]
        assert np.mean(overlap) >= 0.97 and min(overlap) >= 0.8
    finally:
        if name in there.names():
            there.delete(name)
