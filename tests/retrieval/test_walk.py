"""What is indexed and what is left out, with the reason said."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from codeweft.retrieval.decode import decode
from codeweft.retrieval.walk import walk


def paths(root: Path, **options: object) -> list[str]:
    return [file.path for file in walk(root, **options).files]  # type: ignore[arg-type]


def reasons(root: Path, **options: object) -> dict[str, str]:
    return {one.path: one.reason for one in walk(root, **options).skipped}  # type: ignore[arg-type]


def git(root: Path, *arguments: str) -> None:
    name = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *name, *arguments], cwd=root, check=True, capture_output=True)


def test_gitignore_files_count_where_they_lie_and_the_innermost_decides(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / ".gitignore").write_text("*.log\n/only-top.py\nsecret/\n")
    (tmp_path / "a" / ".gitignore").write_text("!keep.log\n")
    for name in ("x.log", "only-top.py", "m.py", "a/keep.log", "a/only-top.py", "a/other.log"):
        (tmp_path / name).write_text("x\n")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "k.py").write_text("x\n")
    expected = [".gitignore", "a/.gitignore", "a/keep.log", "a/only-top.py", "m.py"]
    assert paths(tmp_path) == expected
    git(tmp_path, "init")
    assert paths(tmp_path) == expected


def test_git_and_the_walk_agree_on_a_repository(tmp_path: Path) -> None:
    for name in (
        "a.py",
        "b/c.js",
        "b/node_modules/d.js",
        "vendor/e.go",
        "build/f.o",
        "img.png",
        "pkg/target/g.rs",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    (tmp_path / "pkg" / "Cargo.toml").write_text("[package]\n")
    (tmp_path / ".gitignore").write_text("*.tmp\n")
    (tmp_path / "z.tmp").write_text("x")
    (tmp_path / "link").symlink_to("a.py")
    git(tmp_path, "init")
    git(tmp_path, "add", "a.py", "b/c.js")
    assert walk(tmp_path, git=True) == walk(tmp_path, git=False)
    assert paths(tmp_path) == [".gitignore", "a.py", "b/c.js", "pkg/Cargo.toml"]
    assert set(reasons(tmp_path)) == {
        "b/node_modules/",
        "build/f.o",
        "img.png",
        "link",
        "pkg/target/",
        "vendor/",
    }


def test_a_folder_that_an_outer_repository_ignores_is_read_all_the_same(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / ".gitignore").write_text("state/\n")
    inner = tmp_path / "state" / "files"
    inner.mkdir(parents=True)
    (inner / "a.py").write_text("x = 1\n")
    assert paths(inner) == ["a.py"]


def test_links_are_never_followed_so_loops_and_ways_out_do_no_harm(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.py").write_text("secret = 1\n")
    (root / "a.py").write_text("x = 1\n")
    (root / "loop").symlink_to(root)
    (root / "out.py").symlink_to(tmp_path / "outside.py")
    (root / "broken").symlink_to("nowhere")
    assert paths(root) == ["a.py"]
    assert set(reasons(root)) == {"loop", "out.py", "broken"}
    assert "not followed" in reasons(root)["loop"]


def test_sockets_and_pipes_are_named_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.py")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("sock.py")
        assert set(reasons(tmp_path)) == {"pipe.py", "sock.py"}


def test_large_and_binary_files_are_left_out_with_their_size(tmp_path: Path) -> None:
    (tmp_path / "big.py").write_bytes(b"x = 1\n" * 1000)
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    found = reasons(tmp_path, max_bytes=5000)
    assert found["big.py"] == "too large: 6,000 bytes, the limit is 5,000"
    assert found["logo.png"] == "binary file"


def test_the_users_patterns_leave_out_and_take_back(tmp_path: Path) -> None:
    for name in ("vendor/a.go", "gen/b.go", "c.go"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("package a\n")
    assert paths(tmp_path) == ["c.go", "gen/b.go"]
    assert paths(tmp_path, exclude=("gen/", "!vendor/")) == ["c.go", "vendor/a.go"]


def test_odd_file_names_are_kept_or_named(tmp_path: Path) -> None:
    (tmp_path / "new\nline.py").write_text("x = 1\n")
    (tmp_path / "한글 이름.py").write_text("x = 1\n")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.py")).write_text("x = 1\n")
    assert paths(tmp_path) == ["new\nline.py", "한글 이름.py"]
    assert list(reasons(tmp_path).values()) == ["the file name is not valid UTF-8"]
    git(tmp_path, "init")
    assert paths(tmp_path) == ["new\nline.py", "한글 이름.py"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert reasons(tmp_path) == {"closed/": "folder cannot be read"}


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        (b"a\0b", "x.py", "binary content"),
        (b"// Code generated by protoc. DO NOT EDIT.\n", "x.go", "generated file"),
        (b"#! /bin/sh\n# Generated by GNU Autoconf 2.69 for wire 1.0.\n", "configure", "generated file"),
        (b"# generated automatically by aclocal 1.16.1 -*- Autoconf -*-\n", "aclocal.m4", "generated file"),
        (b"# Makefile.in generated by automake 1.16.1 from Makefile.am.\n", "Makefile.in", "generated file"),
        (
            b"/* config.h.in.  Generated from configure.ac by autoheader.  */\n",
            "config.h.in",
            "generated file",
        ),
        (b"\xff\xfe\xfd\xfc" * 10, "x.py", "not text in any encoding that is known here"),
        (
            b"x = '" + b"a" * 30_000 + b"'\n",
            "x.py",
            "a line longer than 20,000 characters (data or minified)",
        ),
        ((b"var a=1;" * 100 + b"\n") * 5, "x.js", "minified"),
    ],
)
def test_content_that_is_no_code_is_refused_with_the_reason(data: bytes, path: str, reason: str) -> None:
    assert decode(data, path) == ("", reason)


def test_a_stray_byte_or_another_line_end_does_not_lose_a_file() -> None:
    assert decode(b"caf\xe9 = 1\r\n" + b"x = 1\n" * 20, "x.py")[0].startswith("café = 1\nx")
    assert (
        decode("x = 1\n".encode("utf-16"), "x.py") == ("\ufeffx = 1\n", "")
        or decode("x = 1\n".encode("utf-16"), "x.py")[1] == ""
    )
    assert decode(b"\xef\xbb\xbfx = 1\n", "x.py") == ("x = 1\n", "")
