"""What the scale-out stores are made of: posting lists, queries and documents, addresses and errors. No server needed
beyond a stand-in on this machine."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codeweft import config
from codeweft.errors import Conflict, InvalidRequest, StorageFailed
from codeweft.retrieval.store import gather
from codeweft.retrieval.store import opensearch_queries as ask
from codeweft.retrieval.store.base import FIELD_WEIGHTS, FILE_FIELDS
from codeweft.retrieval.store.choose import open_stores
from codeweft.retrieval.store.lexical import LexicalDocument, LexicalIndex
from codeweft.retrieval.store.opensearch import OpenSearchStore, OpenSearchStores
from codeweft.retrieval.store.opensearch_lease import Lease
from codeweft.retrieval.store.opensearch_queries import Head
from codeweft.retrieval.store.postings import POSTING, PostingLists, Totals, packed
from codeweft.retrieval.store.process import process_id, process_name

from .conformance import FILES, new_files
from .conformance import ask as asked
from .opensearch_double import Double, serving

WORDS = ("cache", "evict", "oldest", "page", "fetch", "address", "memory", "value", "store", "key")


# ── posting lists ────────────────────────────────────────────────────────────────────────────────────────────


def many_documents() -> list[LexicalDocument]:
    """Chunks of ten files with words in skewed frequencies and lengths from none to hundreds."""
    rng = np.random.default_rng(3)

    def text(most: int) -> str:
        share = 1 / np.arange(1, len(WORDS) + 1)
        return " ".join(rng.choice(WORDS, rng.integers(0, most), p=share / share.sum()))

    return [
        LexicalDocument(
            gather.first_chunk(file) + place, file, place % 3, "python", text(4), text(5), text(30), text(400)
        )
        for file in range(1, 11)
        for place in range(12)
    ]


def lists_of(documents: list[LexicalDocument]) -> PostingLists:
    lists, lengths = packed(documents)
    joined: dict[str, bytes] = {}
    for one in lists:
        joined[one.term] = joined.get(one.term, b"") + one.postings
    # The embedded index counts the document that holds its generation as well.
    return PostingLists(joined, Totals(len(documents) + 1, 10, tuple(lengths.sum(axis=0).tolist())))


def test_posting_lists_score_as_the_embedded_index_does(tmp_path: Path) -> None:
    documents = many_documents()
    embedded, lists = LexicalIndex(tmp_path / "lexical"), lists_of(documents)
    embedded.write(documents, (), 1)
    embedded.finish()
    for terms in ({"cache": 1.0}, {"key": 1.0, "evict": 0.4, "nowhere": 1.0}, dict.fromkeys(WORDS, 0.7)):
        for weights in (FIELD_WEIGHTS, FILE_FIELDS):
            expected, scores = embedded.search(terms, weights, 50)
            found, ours = lists.search(terms, weights, 50)
            np.testing.assert_allclose(ours, scores[: len(ours)], rtol=1e-3)
            assert len(set(found.tolist()) & set(expected.tolist())) >= 49
    assert [lists.frequency(word) for word in WORDS] == [embedded.frequency(word) for word in WORDS]


def test_what_was_looked_up_for_a_word_is_forgotten_with_the_next_commit(tmp_path: Path) -> None:
    lexical = LexicalIndex(tmp_path / "lexical")

    def document(chunk: int, body: str) -> LexicalDocument:
        return LexicalDocument(chunk, chunk, 0, "python", "", "", "", body)

    lexical.write([document(1, "caches")], (), 1)
    assert lexical.forms("cache") == ("caches",)
    assert lexical.files(("cache", "caches"), 10)[0].tolist() == [1]
    lexical.write([document(2, "cached"), document(3, "cached")], (), 2)
    assert lexical.forms("cache") == ("cached", "caches")
    assert lexical.files(("cache", "caches", "cached"), 10)[0].tolist() == [1, 2, 3]


def test_postings_lie_by_term_and_file_with_kind_and_counts() -> None:
    document = LexicalDocument(gather.first_chunk(7) + 2, 7, 5, "python", "load", "a b", "", "load load x")
    lists, lengths = packed([document])
    by_term = {one.term: np.frombuffer(one.postings, POSTING) for one in lists}
    assert set(by_term) == {"load", "a", "b", "x"} and {one.file for one in lists} == {7}
    [load] = by_term["load"]
    assert (load["chunk"], load["kind"]) == (document.chunk, 5)
    assert load["count"].tolist() == [1, 0, 0, 2] and load["length"].tolist() == [1, 2, 0, 3]
    assert lengths.tolist() == [[1, 2, 0, 3]]
    assert packed([replace(document, name="", path="", body="")])[0] == []


def test_a_chunk_holds_its_file_in_its_id() -> None:
    ids = np.array([gather.first_chunk(3), gather.first_chunk(3) + 9, gather.first_chunk(2**31 - 1)])
    assert gather.files_of(ids).tolist() == [3, 3, 2**31 - 1]


def test_evidence_of_terms_prefers_files_with_rare_terms_often() -> None:
    rare, common = np.array([1, 1, 2]), np.array([1, 2, 3, 4, 4, 4])
    found = gather.term_evidence([(1.0, rare), (1.0, common)], 5)
    assert found[1] > found[2] > found[4] > found[3] > 0
    assert gather.term_evidence([(0.5, rare)], 5)[1] == pytest.approx(
        gather.term_evidence([(1.0, rare)], 5)[1] / 2
    )
    assert gather.term_evidence([], 5) == {}


def test_nearness_counts_the_nearest_three_chunks_of_a_file() -> None:
    files = np.array([1, 1, 2, 1, 1])
    found = gather.nearness(files, np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32))
    assert found == {1: pytest.approx(2.3), 2: pytest.approx(0.7)}


# ── what OpenSearch is asked ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["flask", "MyRepo", "a.B-c_D9", "X", "a__B_", "_"])
def test_names_survive_an_index_that_knows_no_capitals(name: str) -> None:
    index = ask.index_name(name)
    assert re.fullmatch(r"codeweft-[a-z0-9._-]+", index) and ask.our_name(index) == name


def test_only_what_is_committed_is_visible() -> None:
    query = ask.visible(Head(generation=4, floor=2, dead=(7, 9)), "chunk", {"term": {"kind": "class"}})[
        "bool"
    ]
    assert query["filter"] == [
        {"term": {"type": "chunk"}}, {"range": {"born": {"gt": 2, "lte": 4}}}, {"term": {"kind": "class"}},
    ]  # fmt: skip
    assert query["must_not"] == [{"terms": {"file": [7, 9]}}]
    assert "must_not" not in ask.visible(Head(), "file")["bool"]


def test_a_head_comes_back_as_it_was_stored() -> None:
    head = Head(5, 2, (1, 2), 9, 3, 30)
    assert Head.read(head.document()) == head


def test_documents_hold_what_is_searched_and_what_is_read_back(tmp_path: Path) -> None:
    [new] = new_files(tmp_path, {"web/loader.js": FILES["web/loader.js"]})
    documents = dict(ask.documents(Head(next_file=4, generation=8), [new], 64, nori=True))
    mapping = ask.creation(64, 1, nori=True)["mappings"]
    assert list(documents) == [
        "f4",
        *(f"c{gather.first_chunk(4) + place}" for place in range(len(new.chunks))),
    ]
    for document in documents.values():
        assert set(document) <= set(mapping["properties"]) and document["born"] == 9
    file = ask.stored_file(documents["f4"])
    assert (file.id, file.path, file.digest, file.chunks) == (4, new.path, new.digest, len(new.chunks))
    first = documents[f"c{gather.first_chunk(4)}"]
    row = ask.stored_row(first, text=True)
    assert (row.piece, row.text, row.digest) == (
        new.chunks[0].piece,
        new.chunks[0].text,
        new.chunks[0].digest,
    )
    assert "loadpage" in first["symbols"] and "cache" in first["body_terms"].split()
    assert base64.b64decode(first["code"]) == new.vectors[0].tobytes()
    np.testing.assert_allclose(np.linalg.norm(first["vector_64"]), 1, atol=1e-3)


def test_a_chunk_of_unknown_words_has_no_vector(tmp_path: Path) -> None:
    [new] = new_files(tmp_path, {"a.py": "x = 1\n"})
    silent = replace(new, vectors=np.zeros_like(new.vectors))
    documents = dict(ask.documents(Head(), [silent], 64, nori=False))
    assert all("vector_64" not in document and "korean" not in document for document in documents.values())


def test_a_query_has_no_more_clauses_than_a_node_takes() -> None:
    terms = {f"t{n}": 1.0 for n in range(900)}
    kept = ask.affordable(terms, {f"t{n}": n for n in range(900)})
    query = ask.lexical_query(Head(), kept, [], "질문 " + "long " * 5000, 100)
    assert len(query["query"]["bool"]["should"]) <= ask.MOST_CLAUSES and "t0" in kept and "t899" not in kept
    assert ask.lexical_query(Head(), {}, [], "?", 10)["query"] == {"match_none": {}}
    assert ask.near_query(Head(), np.zeros(8, np.float32), 10, [])["query"] == {"match_none": {}}


def test_only_hangul_is_put_to_nori() -> None:
    korean = json.dumps(ask.lexical_query(Head(), {"a": 1.0}, [], "세션을 연다", 9))
    assert "korean" in korean
    assert "korean" not in json.dumps(ask.lexical_query(Head(), {"a": 1.0}, [], "open a session", 9))


@pytest.mark.parametrize(
    ("literal", "terms"),
    [("cache", []), ("def parse_cookie(header", ["parse", "cookie", "parse_cookie"]), ("가 나 다", []), ("", [])],
)  # fmt: skip
def test_words_in_the_middle_of_a_literal_are_in_every_text_that_holds_it(
    literal: str, terms: list[str]
) -> None:
    assert ask.certain_terms(literal) == terms


def test_frequencies_are_read_from_term_vectors_that_leave_out_what_occurs_nowhere() -> None:
    terms = {"cache": {"term_freq": 1, "doc_freq": 3}, "zz": {"term_freq": 1}}
    answer = {"term_vectors": {"body_terms": {"terms": terms}}}
    assert ask.read_frequencies(answer) == {"cache": 3, "zz": 0} and ask.read_frequencies({}) == {}


# ── OpenSearch in trouble ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "security_exception", "does not know this user"),
        (403, "cluster_block_exception", "disk"),
        (429, "circuit_breaking_exception", "overloaded"),
        (503, "cluster_manager_not_discovered_exception", "not available"),
        (400, "parsing_exception", "refused"),
    ],
)
def test_what_a_node_answers_says_what_to_do_and_no_password(
    tmp_path: Path, status: int, kind: str, says: str
) -> None:
    double = Double()
    with serving(double) as url:
        stores = open_stores(url.replace("http://", "http://ada:s3cret@"))
        store = stores.open(tmp_path / "shop", 64)
        double.failing = ("_search", status, kind)
        with pytest.raises(StorageFailed, match=says) as failed:
            store.defining(["x"], 5)
        assert failed.value.fix and kind in failed.value.message and "s3cret" not in str(failed.value)


def test_a_node_that_is_not_there_says_so_without_the_password(tmp_path: Path) -> None:
    stores = OpenSearchStores("http://ada:s3cret@127.0.0.1:1")
    with pytest.raises(StorageFailed, match=r"127\.0\.0\.1:1: it cannot be reached") as failed:
        stores.names(tmp_path)
    assert "s3cret" not in str(failed.value)


def test_a_batch_whose_commit_fails_is_never_seen_and_the_next_one_starts_clean(tmp_path: Path) -> None:
    double = Double()
    with serving(double) as url:
        store = open_stores(url).open(tmp_path / "shop", 64)
        with store.updating("shop"):
            store.write(new_files(tmp_path, FILES))
            double.failing = ("_doc/head$", 503, "unavailable_shards_exception")
            with pytest.raises(StorageFailed):
                store.write(
                    new_files(tmp_path, {"new.py": "def zebra():\n    return 1\n"}), ["docs/notes.md"]
                )
            double.failing = None
            assert [file.path for file in store.files()] == sorted(FILES)
            assert store.defining(["zebra"], 5) == []
            store.write(new_files(tmp_path, {"other.py": "def okapi():\n    return 1\n"}))
        assert store.defining(["zebra"], 5) == [] and len(store.defining(["okapi"], 5)) == 1
        assert all(
            "zebra" not in json.dumps(source)
            for source, _ in double.indexes["codeweft-shop"].documents.values()
        )


def test_a_batch_committed_by_somebody_else_meanwhile_is_a_conflict(tmp_path: Path) -> None:
    with serving(Double()) as url:
        first, second = (open_stores(url).open(tmp_path / "shop", 64) for _ in range(2))
        assert isinstance(first, OpenSearchStore)
        head, stored = first._head()
        second.write(new_files(tmp_path, FILES))
        with pytest.raises(Conflict):
            first._commit(head.cleared(), stored)
        assert len(second.files()) == 3


def test_a_lease_that_ran_out_stops_the_writing_and_lets_others_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Double()) as url:
        slow, quick = (open_stores(url).open(tmp_path / "shop", 64) for _ in range(2))
        monkeypatch.setattr("codeweft.retrieval.store.opensearch_lease.LEASE_SECONDS", 0.2)
        monkeypatch.setattr(Lease, "_keep", lambda *_: None)
        with slow.updating("shop"):
            time.sleep(0.3)
            assert quick.updater() is None
            with quick.updating("shop"), pytest.raises(Conflict, match="ran out"):
                slow.write(new_files(tmp_path, FILES))


def test_with_the_nori_plugin_its_field_is_filled_and_asked(tmp_path: Path) -> None:
    double = Double(("opensearch-knn", "analysis-nori"))
    with serving(double) as url:
        store = open_stores(url).open(tmp_path / "shop", 64)
        with store.updating("shop"):
            store.write(new_files(tmp_path, {"a.py": 'def f():\n    """세션을 연다"""\n    return 1\n'}))
        assert double.indexes["codeweft-shop"].properties["korean"]["analyzer"] == "nori"
        assert asked(store, "세션을")[0].lexical > 0


# ── which store, and from where ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("url", ["mysql://host/db", "postgresql://", "nonsense", "sqlite:///x"])
def test_other_addresses_are_refused_without_being_printed(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"index\.store"):
        open_stores(
            url.replace("://", "://ada:s3cret@") if "@" not in url and url != "postgresql://" else url
        )


@pytest.mark.parametrize(
    "url", ["https://ada:s3cret@host:9200?colour=red", "https://:s3cret@", "http://h:notaport"]
)
def test_a_wrong_address_of_a_cluster_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        open_stores(url)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("postgresql://h/d", "psycopg", "postgres"), ("https://h:9200", "opensearchpy", "opensearch")],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    url: str, package: str, extra: str
) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from codeweft.retrieval.store.choose import open_stores\n"
        f"open_stores({url!r})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode and f"pip install 'codeweft[{extra}]'" in done.stderr


def test_settings_take_the_password_from_the_environment_and_never_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from codeweft.cli.config import app

    monkeypatch.setenv("DB_PASSWORD", "s3cret")
    settings = tmp_path / "team.yaml"
    settings.write_text("index:\n  store: postgresql://ada:${DB_PASSWORD}@db/code\n")
    assert config.load(settings).index.store == "postgresql://ada:s3cret@db/code"
    shown = CliRunner().invoke(app, ["show", "--config", str(settings)])
    assert "(hidden)@db/code" in shown.output and "s3cret" not in shown.output
    settings.write_text("index:\n  store: mysql://ada:${DB_PASSWORD}@db/code\n")
    with pytest.raises(InvalidRequest, match="must start with") as refused:
        config.load(settings)
    assert "s3cret" not in str(refused.value)


def test_an_updater_is_known_by_its_name_on_this_machine_only() -> None:
    assert process_id(process_name()) == os.getpid()
    assert process_id("codeweft 12 some-other-machine") == -1
    assert process_id(None) == process_id("psql") == -1


def test_an_index_of_another_layout_is_refused(tmp_path: Path) -> None:
    double = Double()
    with serving(double) as url:
        stores = open_stores(url)
        stores.open(tmp_path / "shop", 64)
        double.indexes["codeweft-shop"].mappings["_meta"]["codeweft"] = 0
        with pytest.raises(StorageFailed, match="another version"):
            stores.open(tmp_path / "shop", 64)
        double.indexes.clear()
        with pytest.raises(StorageFailed, match="removed"):
            OpenSearchStore(stores._cluster, "codeweft-shop", 64, False).files()  # type: ignore[attr-defined]
