"""Archives bring their files, nothing else, and nowhere else."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from backports import zstd

from codeweft.errors import InvalidRequest, NotFound, TooLarge
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.sources import Access
from codeweft.retrieval.sources.unpack import unpack
from codeweft.types import Query

OPENERS = {
    ".tar": open,
    ".tar.gz": gzip.open,
    ".tar.bz2": bz2.open,
    ".tar.xz": lzma.open,
    ".tar.zst": zstd.open,
}


def zipped(path: Path, members: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in members.items():
            made.writestr(name, text)
    return path


def tarred(path: Path, members: Mapping[str, str | tarfile.TarInfo]) -> Path:
    extension = next(one for one in sorted(OPENERS, key=len, reverse=True) if path.name.endswith(one))
    with OPENERS[extension](path, "wb") as stream, tarfile.open(fileobj=stream, mode="w|") as made:  # type: ignore[operator]
        for name, text in members.items():
            info = text if isinstance(text, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = text.encode() if isinstance(text, str) else b""
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return path


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("extension", sorted(OPENERS))
def test_a_tar_of_any_packing_is_unpacked_without_its_outer_folder(tmp_path: Path, extension: str) -> None:
    archive = tarred(
        tmp_path / f"shop{extension}", {"./shop-1.0/a.py": "x = 1", "./shop-1.0/lib/b.py": "y = 2"}
    )
    assert unpack(archive, archive.name, tmp_path / "out", Access()) == ()
    assert below(tmp_path / "out") == ["a.py", "lib/b.py"]


def test_nothing_of_a_hostile_tar_leads_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    members = {
        "ok.py": "x = 1",
        "../evil.py": "x",
        "/tmp/evil.py": "x",
        "a/../../../evil.py": "x",
        "link": link("link", "/etc"),
        "link/passwd": "x",
        "hard": link("hard", "../../evil.py", tarfile.LNKTYPE),
        "pipe": link("pipe", "", tarfile.FIFOTYPE),
        ".git/hooks/post-checkout": "x",
        "node_modules/dep/index.js": "x",
    }
    skipped = unpack(tarred(tmp_path / "in" / "a.tar", members), "a.tar", tmp_path / "in" / "out", Access())
    assert below(tmp_path / "in" / "out") == ["link/passwd", "ok.py"]
    assert not (tmp_path / "in" / "out" / "link").is_symlink()
    assert below(tmp_path) == ["in/a.tar", "in/out/link/passwd", "in/out/ok.py"]
    reasons = {one.path: one.reason for one in skipped}
    assert all("leads out" in reasons[name] for name in ("../evil.py", "/tmp/evil.py", "a/../../../evil.py"))
    assert "link" in reasons["link"] and "link" in reasons["hard"] and "device" in reasons["pipe"]
    assert reasons[".git/"] == reasons["node_modules/"] == "folder left out by pattern"


def test_nothing_of_a_hostile_zip_leads_out(tmp_path: Path) -> None:
    linked = zipfile.ZipInfo("link")
    linked.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(linked, "/etc/passwd")
        made.writestr("../evil.py", "x")
        made.writestr("c:\\evil.py", "x")
        made.writestr("ok.py", "x = 1")
    skipped = unpack(tmp_path / "a.zip", "a.zip", tmp_path / "out", Access())
    assert below(tmp_path / "out") == ["ok.py"]
    assert {one.path for one in skipped} == {"link", "../evil.py", "c:/evil.py", "c:\\evil.py"} & {
        one.path for one in skipped
    }
    assert len(skipped) == 3


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "bomb.zip", {f"{n}.py": b"\0" * 990_000 for n in range(120)})
    with pytest.raises(TooLarge, match="300 times"):
        unpack(archive, "bomb.zip", tmp_path / "out", Access())
    assert below(tmp_path) == ["bomb.zip"]
    packed = tarred(tmp_path / "one.tar.gz", {"huge.txt": "a" * 60_000_000})
    with pytest.raises(TooLarge, match="300 times"):
        unpack(packed, "one.tar.gz", tmp_path / "out", Access())


def test_a_size_that_the_archive_lies_about_is_not_believed(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"big.py": "#" * 5000, "small.py": "x = 1"})
    data = archive.read_bytes().replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    archive.write_bytes(data)
    try:
        skipped = unpack(archive, "a.zip", tmp_path / "out", Access(max_file_bytes=1000))
    except InvalidRequest:
        return  # zipfile noticed by the checksum
    assert all(path.stat().st_size <= 1000 for path in (tmp_path / "out").rglob("*")), skipped


def test_limits_of_files_and_bytes_are_said(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {**{f"{n}.py": "x = 1" for n in range(5)}, "0big.py": "#" * 2000})
    skipped = unpack(archive, "a.zip", tmp_path / "out", Access(max_files=3, max_file_bytes=1000))
    assert len(below(tmp_path / "out")) == 3
    assert [one.path for one in skipped] == ["3.py"] and "all that follows" in skipped[0].reason
    skipped = unpack(archive, "a.zip", tmp_path / "more", Access(max_file_bytes=1000))
    assert [(one.path, one.reason) for one in skipped] == [
        ("0big.py", "too large: 2,000 bytes, the limit is 1,000")
    ]


@pytest.mark.parametrize(
    "name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz", "a.tar.zst"]
)
def test_a_damaged_archive_is_an_error_that_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 not what it says" * 50)
    with pytest.raises(InvalidRequest, match="damaged"):
        unpack(tmp_path / name, name, tmp_path / "out", Access())
    assert below(tmp_path) == [name]


def test_names_from_a_korean_windows_are_read(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"XXXX.py": "x = 1"})
    archive.write_bytes(archive.read_bytes().replace(b"XXXX", "한글".encode("cp949")))
    unpack(archive, "a.zip", tmp_path / "out", Access())
    assert below(tmp_path / "out") == ["한글.py"]


def test_an_archive_is_a_source_that_is_followed(tmp_path: Path, indexes: Indexes) -> None:
    archive = zipped(
        tmp_path / "shop.zip",
        {
            "shop/a.py": "def alpha_order():\n    pass\n",
            "shop/b.py": "def beta_order():\n    pass\n",
            "shop/l.png": b"\x89",
        },
    )
    index = indexes.add(str(archive))
    status = index.update()
    assert (status.source, status.indexed, dict(status.skipped)) == (
        f"file:{archive}",
        2,
        {"l.png": "binary file"},
    )
    kept = next(file.id for file in index.files() if file.path == "a.py")
    zipped(
        archive,
        {"shop/a.py": "def alpha_order():\n    pass\n", "shop/c.py": "def gamma_order():\n    pass\n"},
    )
    index.update()
    assert [file.path for file in index.files()] == ["a.py", "c.py"]
    assert next(file.id for file in index.files() if file.path == "a.py") == kept
    assert indexes.add(str(archive)) is index
    archive.unlink()
    with pytest.raises(NotFound, match="does not exist any more"):
        index.update()
    assert index.search(Query("gamma_order"))[0].chunk.path == "c.py"


def test_a_single_document_is_a_source(tmp_path: Path, indexes: Indexes) -> None:
    handbook = Path(__file__).parent / "documents" / "handbook.docx"
    index = indexes.add(str(handbook))
    assert index.update().indexed == 1
    (tmp_path / "one.py").write_text("x = 1")
    with pytest.raises(InvalidRequest, match="not a folder"):
        indexes.add(str(tmp_path / "one.py"))


def test_an_uploaded_archive_is_unpacked_replaced_and_deleted_as_one(
    tmp_path: Path, indexes: Indexes
) -> None:
    index = indexes.uploads("notes")
    first = zipped(
        tmp_path / "a.zip", {"a.py": "def one(): ...", "b.py": "def two(): ...", "c": "\0", "../x": ""}
    )
    assert index.put("team/lib.zip", first.read_bytes()) == ("team/lib/a.py", "team/lib/b.py", "team/lib/c")
    index.put("plain.py", b"def three(): ...")
    status = index.update()
    assert status.indexed == 3
    assert set(dict(status.skipped)) == {"team/lib/c", "team/lib/../x"}
    second = zipped(tmp_path / "b.zip", {"a.py": "def four(): ..."})
    index.put("team/lib.zip", second.read_bytes())
    index.update()
    assert [file.path for file in index.files()] == ["plain.py", "team/lib/a.py"]
    index.remove_file("team/lib.zip")
    assert [file.path for file in index.files()] == ["plain.py"]
    assert index.update().files == 1
    with pytest.raises(InvalidRequest, match="damaged"):
        index.put("bad.zip", b"PK")
    assert not any(os.scandir(index.folder / "incoming"))
