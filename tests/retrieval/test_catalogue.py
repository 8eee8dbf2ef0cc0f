"""Many indexes under one roof, shared by several processes; and the sources they read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from codeweft.errors import Conflict, InvalidRequest, NotFound, UpstreamFailed
from codeweft.retrieval import Indexes, IndexRetriever
from codeweft.retrieval.sources import parse_source
from codeweft.types import Query

from .conftest import WordEncoder


def git(root: Path, *arguments: str) -> str:
    name = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *name, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def remote(tmp_path: Path, code: Path) -> Path:
    """A bare repository with a branch."""
    git(code, "init")
    git(code, "add", ".")
    git(code, "commit", "-m", "first")
    git(code, "checkout", "-b", "next")
    (code / "next.py").write_text("def on_the_branch():\n    return 1\n")
    git(code, "add", ".")
    git(code, "commit", "-m", "second")
    git(code, "checkout", "main")
    bare = tmp_path / "shop.git"
    git(tmp_path, "clone", "--bare", str(code), str(bare))
    return bare


def test_a_source_gets_a_name_and_the_same_source_the_same_index(indexes: Indexes, code: Path) -> None:
    index = indexes.add(str(code))
    assert index.name == "shop"
    assert indexes.add(str(code)) is index
    assert indexes.names() == ["shop"]


def test_a_name_belongs_to_one_source(indexes: Indexes, code: Path, tmp_path: Path) -> None:
    indexes.add(str(code), "main")
    with pytest.raises(Conflict, match="already exists"):
        indexes.add(str(tmp_path), "main")
    for bad in ("", "../x", "a/b", ".hidden", "x" * 65, "a b"):
        with pytest.raises(InvalidRequest):
            indexes.add(str(code), bad)


def test_folders_of_one_name_get_different_index_names(indexes: Indexes, tmp_path: Path) -> None:
    for parent in ("a", "b"):
        (tmp_path / parent / "api").mkdir(parents=True)
    made = [indexes.add(str(tmp_path / parent / "api")).name for parent in ("a", "b")]
    assert made == ["api", "api-2"]


def test_an_unknown_index_lists_the_known_ones(indexes: Indexes, code: Path) -> None:
    with pytest.raises(NotFound, match="codeweft index add"):
        indexes.search(Query("x"))
    indexes.add(str(code))
    with pytest.raises(NotFound, match="shop"):
        indexes.get("shpo")
    with pytest.raises(NotFound):
        indexes.get("../shop")


async def test_a_query_without_index_goes_to_the_default_or_to_all(
    indexes: Indexes, code: Path, tmp_path: Path, encoder: WordEncoder
) -> None:
    other = tmp_path / "bank"
    other.mkdir()
    (other / "money.py").write_text("def transfer_money(amount):\n    return amount\n")
    indexes.add(str(code)).update()
    retriever = IndexRetriever(indexes)
    assert (await retriever.search(Query("Router")))[0].chunk.name == "Router"
    indexes.add(str(other)).update()
    assert (await retriever.search(Query("transfer_money")))[0].chunk.repository == "bank"
    assert (await retriever.search(Query("Router")))[0].chunk.repository == "shop"
    scores = [r.score for r in await retriever.search(Query("sign out and close the session"))]
    assert scores == sorted(scores, reverse=True)
    assert (await retriever.search(Query("transfer money or open a session", k=1)))[0].score <= 1
    with_default = Indexes(indexes.root, encoder, default="bank")
    assert {r.chunk.repository for r in with_default.search(Query("Router session money"))} == {"bank"}


def test_deleting_removes_everything_and_other_processes_notice(
    indexes: Indexes, code: Path, encoder: WordEncoder
) -> None:
    indexes.add(str(code)).update()
    elsewhere = Indexes(indexes.root, encoder)
    assert elsewhere.search(Query("Router"))
    indexes.delete("shop")
    assert list(indexes.root.iterdir()) == []
    with pytest.raises(NotFound):
        elsewhere.search(Query("Router", index="shop"))
    indexes.add(str(code)).update()
    assert elsewhere.search(Query("Router", index="shop"))


def test_statuses_tell_of_every_index(indexes: Indexes, code: Path) -> None:
    indexes.add(str(code)).update()
    indexes.uploads("notes")
    assert [(s.name, s.state) for s in indexes.statuses()] == [("notes", "empty"), ("shop", "ready")]


def test_a_git_source_is_cloned_and_followed(indexes: Indexes, remote: Path, code: Path) -> None:
    index = indexes.add(f"file://{remote}")
    status = index.update()
    assert (index.name, status.state) == ("shop", "ready")
    assert status.commit == git(remote, "rev-parse", "main")
    assert indexes.search(Query("Router"))[0].chunk.commit == status.commit
    (code / "later.py").write_text("def added_later():\n    return 1\n")
    git(code, "add", ".")
    git(code, "commit", "-m", "later")
    git(code, "push", str(remote), "main")
    assert index.update().commit == git(remote, "rev-parse", "main") != status.commit
    assert indexes.search(Query("added_later"))[0].chunk.name == "added_later"


def test_a_branch_of_a_git_source_can_be_chosen(indexes: Indexes, remote: Path) -> None:
    index = indexes.add(f"file://{remote}#next", "next")
    index.update()
    assert indexes.search(Query("on_the_branch", index="next"))[0].chunk.name == "on_the_branch"
    with pytest.raises(UpstreamFailed, match="nowhere"):
        indexes.add(f"file://{remote}#nowhere", "bad").update()
    assert indexes.get("bad").status().state == "failed"


@pytest.mark.parametrize(
    "text",
    [
        "ext::sh -c touch% /tmp/x", "--upload-pack=touch", "-oProxyCommand=x", "ftp://host/x", "https://h/x#--upload-pack=x",
        "ssh://-oProxyCommand=x/y", "", "https://h/x\nfoo", "file:///etc",
    ],
)  # fmt: skip
def test_sources_that_are_tricks_are_refused(text: str) -> None:
    with pytest.raises((InvalidRequest, NotFound)):
        parse_source(text)


@pytest.mark.parametrize(
    ("text", "location", "ref", "repository"),
    [
        ("https://example.com/team/shop.git", "https://example.com/team/shop.git", "", "shop"),
        ("https://example.com/team/shop#v1.2", "https://example.com/team/shop", "v1.2", "shop"),
        ("https://example.com/team/shop@v1.2", "https://example.com/team/shop", "v1.2", "shop"),
        ("git@example.com:team/shop.git", "git@example.com:team/shop.git", "", "shop"),
        ("ssh://git@example.com:22/team/shop", "ssh://git@example.com:22/team/shop", "", "shop"),
    ],
)
def test_git_urls_are_read_with_their_branch(text: str, location: str, ref: str, repository: str) -> None:
    source = parse_source(text)
    assert (source.kind, source.location, source.ref, source.repository) == ("git", location, ref, repository)


def test_a_file_is_no_source(code: Path) -> None:
    with pytest.raises(InvalidRequest, match="is a file"):
        parse_source(str(code / "README.md"))
    with pytest.raises(NotFound):
        parse_source(str(code / "nope"))
