"""Archives and documents that are meant to hurt, or merely broken: refused with a reason, in bounded memory and time."""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import struct
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeweft.errors import CodeweftError, InvalidRequest, TooLarge
from codeweft.retrieval.documents import read_document
from codeweft.retrieval.documents.part import Unreadable
from codeweft.retrieval.sources import Access, unpack
from tests.fuzz.effort import effort

DOCUMENTS = Path(__file__).parents[1] / "retrieval" / "documents"


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, "/etc/passwd"
    return info.tobuf(tarfile.GNU_FORMAT)


def unpacked(tmp_path: Path, name: str, data: bytes) -> list[str]:
    """What is left out of an archive."""
    (tmp_path / name).write_bytes(data)
    return [one.reason for one in unpack.unpack(tmp_path / name, name, tmp_path / "out", Access())]


# ── archives ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.SYMTYPE], ids=["folders", "links"])
def test_what_an_archive_holds_besides_files_is_bounded_too(
    tmp_path: Path, kind: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "FREE_GROWTH", 100_000)
    many = lzma.compress(header("a", kind) * 2000)
    assert len(many) < 1000
    with pytest.raises(TooLarge, match="300 times"):
        unpacked(tmp_path, "a.tar.xz", many)


def test_an_archive_of_too_many_entries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MOST_ENTRIES", 1000)
    with pytest.raises(TooLarge, match="more files"):
        unpacked(tmp_path, "a.tar", header("a", tarfile.DIRTYPE) * 1001)


def test_of_many_files_left_out_some_are_told_and_the_rest_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "MOST_NOTED", 10)
    reasons = unpacked(tmp_path, "a.tar", header("a", tarfile.SYMTYPE) * 50 + bytes(1024))
    assert reasons == ["link, not followed"] * 10 + ["40 more were left out"]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_ten_gigabytes_is_not_read(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(TooLarge, match="a header of 8,589,934,591 bytes"):
        unpacked(tmp_path, "a.tar", header("a", kind, (8 << 30) - 1) + bytes(4096))


def test_headers_within_headers_without_end_are_damage(tmp_path: Path) -> None:
    chain = (header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 4) + b"a".ljust(512, b"\0")) * 3000
    with pytest.raises(InvalidRequest, match="damaged"):
        unpacked(tmp_path, "a.tar", chain)


@pytest.mark.parametrize("large", [False, True], ids=["zip", "zip64"])
def test_a_zip_with_millions_of_entries_is_refused_before_they_are_read(tmp_path: Path, large: bool) -> None:
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    entries = entry * 730_000
    size, end = len(entries), b""
    if large:
        end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 730_000, 730_000, size, 0)
        end += struct.pack("<4sLQL", b"PK\6\7", 0, size, 1)
        size = 0xFFFFFFFF
    end += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, size, 0, 0)
    began = time.process_time()
    with pytest.raises(TooLarge, match="more files"):
        unpacked(tmp_path, "a.zip", entries + end)
    assert time.process_time() - began < 1


def test_a_zip_of_many_small_files_is_still_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        for number in range(300):
            made.writestr(f"{number}.py", "x = 1")
    assert unpack.unpack(tmp_path / "a.zip", "a.zip", tmp_path / "out", Access()) == ()
    assert len(list((tmp_path / "out").iterdir())) == 300


def test_a_folder_nested_two_thousand_deep_is_left_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("a/" * 3000 + "x.py", "x = 1")
        made.writestr("ok.py", "x = 1")
    (left_out,) = unpack.unpack(tmp_path / "a.zip", "a.zip", tmp_path / "out", Access())
    assert "cannot be a file's name" in left_out.reason
    assert (tmp_path / "out" / "ok.py").exists()


def _zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a/one.py", "x = 1\n" * 50)
        made.writestr("a/두.py", "y = 2\n")
    return data.getvalue()


def _tar(format: int) -> Callable[[], bytes]:
    def made() -> bytes:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w", format=format) as tar:
            for name in ("a/one.py", "a/" + "long" * 40 + ".py", "a/두.py"):
                info = tarfile.TarInfo(name)
                info.size = 5
                tar.addfile(info, io.BytesIO(b"x = 1"))
        return data.getvalue()

    return made


WHOLE = {
    "a.zip": _zip(),
    "gnu.tar": _tar(tarfile.GNU_FORMAT)(),
    "pax.tar": _tar(tarfile.PAX_FORMAT)(),
    "a.tar.gz": gzip.compress(_tar(tarfile.PAX_FORMAT)()),
}
CHANGES = st.lists(
    st.tuples(st.integers(0, 1 << 20), st.sampled_from([b"\0", b"\xff", b"9", b"PK", b"x"]) | st.binary(max_size=4)),
    min_size=1,
    max_size=6,
)  # fmt: skip


def changed(data: bytes, changes: list[tuple[int, bytes]], end: int) -> bytes:
    """`data` with some bytes replaced, perhaps cut off."""
    made = bytearray(data)
    for place, new in changes:
        at = place % len(made)
        made[at : at + len(new)] = new
    return bytes(made[: len(made) - end % len(made)] if end % 3 == 0 else made)


@pytest.mark.parametrize("name", WHOLE)
@effort(60)
@given(changes=CHANGES, end=st.integers(0, 5000))
def test_no_archive_is_too_broken(
    tmp_path: Path, name: str, changes: list[tuple[int, bytes]], end: int
) -> None:
    shutil.rmtree(tmp_path / "in", ignore_errors=True)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(changed(WHOLE[name], changes, end))
    try:
        unpack.unpack(tmp_path / "in" / name, name, tmp_path / "in" / "out", Access())
    except CodeweftError as error:
        assert error.message and error.fix
    assert {one.name for one in tmp_path.iterdir()} == {"in"}
    assert {one.name for one in (tmp_path / "in").iterdir()} <= {name, "out"}


# ── documents ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["handbook.docx", "runbook.pdf"])
@effort(25)
@given(changes=CHANGES, end=st.integers(0, 5000))
def test_no_document_is_too_broken(name: str, changes: list[tuple[int, bytes]], end: int) -> None:
    try:
        read_document(changed((DOCUMENTS / name).read_bytes(), changes, end), name)
    except Unreadable as error:
        assert error.reason


def sheet(*cells: str) -> bytes:
    """An .xlsx of one sheet with a 1 in each of some cells."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    related = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    packaged = "http://schemas.openxmlformats.org/package/2006"
    rows = "".join(
        f'<row r="{cell.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}"><c r="{cell}"><v>1</v></c></row>'
        for cell in cells
    )
    members = {
        "[Content_Types].xml": f'<Types xmlns="{packaged}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{packaged}/relationships"><Relationship Id="r1" '
        f'Type="{related}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{related}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{packaged}/relationships"><Relationship Id="r1" '
        f'Type="{related}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>',
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in members.items():
            made.writestr(name, '<?xml version="1.0"?>' + text)
    return data.getvalue()


def test_a_sheet_with_a_cell_in_its_last_corner_takes_neither_the_memory_nor_the_server() -> None:
    """Reading it in this process ends this process."""
    assert "| 1 |" in read_document(sheet("A1", "A2"), "ok.xlsx").text
    bomb = sheet("A1", "XFD1048576")
    assert len(bomb) < 2000
    with pytest.raises(Unreadable, match="more memory or time"):
        read_document(bomb, "bomb.xlsx")


def test_a_document_of_nothing_but_tags_is_not_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("word/document.xml", "<w>" + "<p/>" * 4_100_000 + "</w>")
    assert len(data.getvalue()) < 200_000
    with pytest.raises(Unreadable, match="4,000,000 tags"):
        read_document(data.getvalue(), "a.docx")


def test_a_document_nested_without_end_is_unreadable() -> None:
    deep = 50 * sys.getrecursionlimit()
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("word/document.xml", "<body>" + "<sdt>" * deep + "</sdt>" * deep + "</body>")
    with pytest.raises(Unreadable):
        read_document(data.getvalue(), "a.docx")
