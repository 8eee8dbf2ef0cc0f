"""Searching by type and by filters, in one index and in several, and what is said about it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from codeweft.errors import InvalidRequest, NotFound
from codeweft.retrieval.branch import checked_out_branch
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.index import Index
from codeweft.retrieval.search import search
from codeweft.types import Filters, Query, Selection
from tests.retrieval.conftest import WordEncoder


@pytest.fixture
def two(indexes: Indexes, code: Path, tmp_path: Path) -> Indexes:
    other = tmp_path / "other"
    other.mkdir()
    (other / "cookies.py").write_text("def parse_cookie_jar(header):\n    return header\n")
    for folder in (code, other):
        indexes.add(str(folder)).update()
    return indexes


def test_similarity_is_the_cosine_of_the_nearest_chunks_of_all_indexes(
    two: Indexes, encoder: WordEncoder
) -> None:
    found = two.search(Query("parse cookie header", k=3, selection=Selection("similarity")))
    assert {result.index for result in found} == {"shop", "other"}
    scores = [result.score for result in found]
    assert scores == sorted(scores, reverse=True) and 0 < scores[0] <= 1
    assert all(result.why == {"vector": pytest.approx(result.score, abs=1e-6)} for result in found)


def test_a_vector_is_enough(index: Index, encoder: WordEncoder) -> None:
    vector = tuple(encoder.encode(["registers a handler for a path"])[0].tolist())
    (best,) = index.search(Query("", k=1, selection=Selection("similarity", vector=vector)))
    assert best.chunk.path == "web/router.js"
    with pytest.raises(InvalidRequest, match="64"):
        index.search(Query("", selection=Selection("similarity", vector=(1.0,))))


def test_mmr_chooses_among_the_nearest_of_all_indexes(two: Indexes) -> None:
    near = two.search(Query("parse cookie header", k=2, selection=Selection("similarity")))
    same = two.search(Query("parse cookie header", k=2, selection=Selection("mmr", lambda_mult=1.0)))
    assert [r.chunk.path for r in same] == [r.chunk.path for r in near]
    mixed = two.search(Query("parse cookie header", k=2, selection=Selection("mmr", lambda_mult=0.0)))
    assert mixed[0].chunk.path == near[0].chunk.path and mixed[1].chunk.path != near[1].chunk.path


def test_a_question_of_unknown_words_is_refused_where_only_vectors_count(index: Index) -> None:
    with pytest.raises(InvalidRequest, match="hybrid"):
        index.search(Query("…", selection=Selection("similarity")))


def test_the_explanation_names_words_forms_symbols_and_times(two: Indexes) -> None:
    told = two.explained(Query("where does parse_cookie register session", k=5)).explanation
    assert told.indexes == ("other", "shop") and told.symbols == ("parse_cookie",)
    assert "sessions" in told.terms["session"] and "registers" in told.terms["register"]
    assert told.candidates >= 5 and set(told.seconds) == {"encode", "candidates", "rank", "read"}
    assert all(seconds >= 0 for seconds in told.seconds.values())


def test_a_search_in_what_is_not_indexed_says_what_is(two: Indexes) -> None:
    with pytest.raises(NotFound, match=r"other, shop"):
        two.search(Query("cookie", filters=Filters(repositories=("bank",))))
    (found,) = {r.index for r in two.search(Query("cookie", filters=Filters(repositories=("shop",))))}
    assert found == "shop"
    assert search([two.get("shop")], Query("cookie", filters=Filters(branches=("main",)))).results == []


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        (Filters(languages=("py",)), "Did you mean python"),
        (Filters(languages=("cobol",)), "There are: .*, zig"),
        (Filters(kinds=("func",)), "block, class, enum, function"),
        (Filters(paths=("",)), "empty"),
    ],
)
def test_a_wrong_filter_is_refused_with_the_right_ones(index: Index, filters: Filters, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        index.search(Query("cookie", filters=filters))


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_the_branch_of_an_index_is_the_one_checked_out_when_it_was_read(indexes: Indexes, code: Path) -> None:
    git(code, "init", "-q", "-b", "feature/login")
    git(code, "add", ".")
    git(code, "commit", "-qm", "all")
    index = indexes.add(str(code))
    index.update()
    query = Query("cookie", filters=Filters(branches=("feature/login",)))
    assert indexes.search(query)
    git(code, "checkout", "-qb", "next")
    index.update()
    with pytest.raises(NotFound, match="next"):
        indexes.search(query)


def test_two_branches_of_one_folder_are_told_apart_by_a_filter(indexes: Indexes, code: Path) -> None:
    git(code, "init", "-q", "-b", "main")
    git(code, "add", ".")
    git(code, "commit", "-qm", "all")
    git(code, "checkout", "-qb", "release")
    (code / "auth" / "released.py").write_text("def released_cookie():\n    return 1\n")
    git(code, "add", ".")
    git(code, "commit", "-qm", "more")
    git(code, "checkout", "-q", "main")
    for source in (str(code), f"{code}#release"):
        indexes.add(source).update()
    found = {
        branch: {
            r.chunk.path
            for r in indexes.search(Query("released cookie", filters=Filters(branches=(branch,))))
        }
        for branch in ("main", "release")
    }
    assert "auth/released.py" in found["release"] and found["main"]
    assert "auth/released.py" not in found["main"]
    assert checked_out_branch(code) == "main"


def test_a_name_that_a_package_passes_on_is_found_there_when_its_definition_is_elsewhere(
    indexes: Indexes, tmp_path: Path
) -> None:
    root = tmp_path / "wire"
    (root / "extract").mkdir(parents=True)
    (root / "extract" / "mod.rs").write_text(
        "mod form;\n\npub use wire_core::extract::{FromPart, FromRequest};\n"
    )
    (root / "extract" / "form.rs").write_text(
        "use super::FromRequest;\n\npub struct Form;\n\nimpl FromRequest for Form {\n"
        "    fn read(r: FromRequest) -> Form {\n        Form\n    }\n}\n"
    )
    index = indexes.add(str(root))
    index.update()
    assert index.search(Query("FromRequest"))[0].chunk.path == "extract/mod.rs"
    (root / "core.rs").write_text("pub trait FromRequest {\n    fn read();\n}\n")
    index.update()
    assert index.search(Query("FromRequest"))[0].chunk.path == "core.rs"


def test_a_linked_work_tree_has_its_own_branch(code: Path, tmp_path: Path) -> None:
    git(code, "init", "-q", "-b", "main")
    git(code, "add", ".")
    git(code, "commit", "-qm", "all")
    git(code, "worktree", "add", "-qb", "beside", str(tmp_path / "tree"))
    assert checked_out_branch(tmp_path / "tree" / "auth") == "beside"
    assert checked_out_branch(code / "web") == "main"
    git(code, "checkout", "-q", "--detach")
    assert checked_out_branch(code) == ""
