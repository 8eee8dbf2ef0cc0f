"""Git sources: branch, tag or commit, with a token that nobody sees."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeweft.errors import InvalidRequest, UpstreamFailed
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import parse_source, split_token
from codeweft.retrieval.sources.git import check_token

from .conftest import WordEncoder
from .site import Forge, forge

TOKEN = "glpat-Sup3rS3cretT0ken"


def git(root: Path, *arguments: str) -> str:
    name = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *name, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root: Path, name: str, text: str) -> str:
    (root / name).write_text(text)
    git(root, "add", ".")
    git(root, "commit", "-m", name)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[Forge, Path]]:
    """A forge with the repository `team/shop.git`, and its work tree."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init")
    commit(work, "one.py", "def first_thing():\n    return 'removed-marker-xyzzy'\n")
    bare = tmp_path / "forge" / "team" / "shop.git"
    bare.parent.mkdir(parents=True)
    git(tmp_path, "clone", "--bare", str(work), str(bare))
    git(work, "remote", "add", "origin", str(bare))
    with forge(tmp_path / "forge", TOKEN) as served:
        yield served, work


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def paths(index: Index) -> list[str]:
    return [file.path for file in index.files()]


def test_a_token_reads_a_private_repository_and_is_seen_nowhere(
    hub: tuple[Forge, Path], indexes: Indexes, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, _ = hub
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    index = indexes.add(f"{served.url}/team/shop.git", token="${SHOP_TOKEN}")
    status = index.update()
    assert (status.state, status.indexed) == ("ready", 1)
    assert served.commands and not [line for line in served.commands if TOKEN in line]
    assert TOKEN.encode() not in everything_in(index.folder)
    assert TOKEN not in repr(status) and TOKEN not in str(index.source)
    # Given as it is, it lies in one file that only this user reads, and not in git's configuration.
    index.set_token(TOKEN)
    index.update()
    holders = [
        path.name
        for path in index.folder.rglob("*")
        if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]
    assert holders == ["token"] and (index.folder / "token").stat().st_mode & 0o777 == 0o600
    assert not [line for line in served.commands if TOKEN in line]


def test_a_token_in_the_url_is_taken_out_of_it(hub: tuple[Forge, Path], indexes: Indexes) -> None:
    served, _ = hub
    index = indexes.add(f"{served.url.replace('//', f'//bot:{TOKEN}@')}/team/shop.git")
    assert str(index.source) == f"{served.url}/team/shop.git"
    assert index.update().indexed == 1
    assert served.users == {"bot"}
    assert TOKEN.encode() not in (index.folder / "index.sqlite").read_bytes()
    assert split_token("https://me@dev.azure.com/team/shop") == ("https://me@dev.azure.com/team/shop", "")


def test_a_wrong_token_is_an_error_without_the_token(hub: tuple[Forge, Path], indexes: Indexes) -> None:
    served, _ = hub
    index = indexes.add(f"{served.url}/team/shop.git", token="wrong-but-secret")
    with pytest.raises(UpstreamFailed, match="token is valid") as raised:
        index.update()
    assert "wrong-but-secret" not in str(raised.value)
    status = index.status()
    assert status.state == "failed" and "wrong-but-secret" not in repr(status)
    index.set_token("")
    with pytest.raises(UpstreamFailed, match=r"(?i)give a token"):
        index.update()
    index.set_token("${NOT_SET_ANYWHERE}")
    with pytest.raises(InvalidRequest, match="NOT_SET_ANYWHERE"):
        index.update()


@pytest.mark.parametrize(
    "url", ["http://git.example.org/a.git", "git://git.example.org/a.git", "git@example.org:a"]
)
def test_a_token_does_not_travel_in_the_clear(url: str) -> None:
    with pytest.raises(InvalidRequest, match="https only"):
        check_token(url, "secret")
    check_token("https://git.example.org/a.git", "secret")
    check_token("http://127.0.0.1:3000/a.git", "secret")


def test_branch_tag_and_commit_whole_or_short(
    tmp_path: Path, hub: tuple[Forge, Path], indexes: Indexes
) -> None:
    _, work = hub
    bare = tmp_path / "forge" / "team" / "shop.git"
    first = git(work, "rev-parse", "HEAD")
    git(work, "tag", "-a", "v1", "-m", "one")
    second = commit(work, "two.py", "def second_thing(): ...\n")
    git(work, "checkout", "-b", "next")
    commit(work, "three.py", "def third_thing(): ...\n")
    git(work, "push", "origin", "main", "next", "v1")
    for ref, found, files in [
        ("", second, 2),
        ("next", git(work, "rev-parse", "next"), 3),
        ("v1", first, 1),
        (first, first, 1),
        (second[:8], second, 2),
    ]:
        index = indexes.add(f"file://{bare}" + (f"#{ref}" if ref else ""), f"at-{ref or 'head'}"[:40])
        status = index.update()
        assert (status.commit, status.indexed) == (found, files), ref
    with pytest.raises(UpstreamFailed, match="commit 'abcdef12' exists"):
        indexes.add(f"file://{bare}#abcdef12", "none").update()


def test_what_a_repository_deleted_is_not_kept_in_its_clone(
    tmp_path: Path, hub: tuple[Forge, Path], indexes: Indexes
) -> None:
    _, work = hub
    index = indexes.add(f"file://{tmp_path / 'forge' / 'team' / 'shop.git'}")
    index.update()
    git(work, "rm", "one.py")
    commit(work, "two.py", "def second_thing(): ...\n")
    git(work, "push", "origin", "main")
    index.update()
    assert paths(index) == ["two.py"]
    objects = git(index.folder / "files", "cat-file", "--batch-all-objects", "--batch-check")
    blobs = [line.split()[0] for line in objects.splitlines() if " blob " in line]
    assert all("xyzzy" not in git(index.folder / "files", "cat-file", "-p", blob) for blob in blobs)


def test_a_clone_that_a_killed_fetch_left_is_made_good(
    tmp_path: Path, hub: tuple[Forge, Path], indexes: Indexes
) -> None:
    _, work = hub
    index = indexes.add(f"file://{tmp_path / 'forge' / 'team' / 'shop.git'}")
    index.update()
    commit(work, "two.py", "def second_thing(): ...\n")
    git(work, "push", "origin", "main")
    folder = index.folder / "files"
    (folder / ".git" / "index.lock").touch()
    (folder / ".git" / "shallow.lock").touch()
    (folder / "half.py").write_text("def half(): ...")
    index.update()
    assert paths(index) == ["one.py", "two.py"]
    commit(work, "three.py", "def third_thing(): ...\n")
    git(work, "push", "origin", "main")
    for broken in (folder / ".git" / "HEAD", folder / ".git" / "index"):
        broken.write_bytes(b"")
    index.update()
    assert paths(index) == ["one.py", "three.py", "two.py"]


def test_a_broken_clone_inside_another_repository_does_not_touch_that(
    tmp_path: Path, hub: tuple[Forge, Path], encoder: WordEncoder
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init")
    head = commit(outer, "mine.py", "x = 1\n")
    (outer / "mine.py").write_text("x = 'not committed'\n")
    indexes = Indexes(outer / "indexes", encoder)
    index = indexes.add(f"file://{tmp_path / 'forge' / 'team' / 'shop.git'}")
    index.update()
    (index.folder / "files" / ".git" / "HEAD").write_bytes(b"")
    index.update()
    assert paths(index) == ["one.py"]
    assert (outer / "mine.py").read_text() == "x = 'not committed'\n"
    assert git(outer, "rev-parse", "HEAD") == head


def test_an_address_that_is_no_repository_is_a_page(hub: tuple[Forge, Path]) -> None:
    served, _ = hub
    # The forge asks for a password first, so nothing says that this is no repository.
    assert parse_source(f"{served.url}/team/shop").kind == "git"
    assert parse_source(f"{served.url}/team/shop", web=True).kind == "web"
    assert parse_source("https://github.com/team/shop").kind == "git"
