"""Archives: zip and tar, unpacked into a folder of ours. Nothing leaves that folder, and no size is believed."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import shutil
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from backports import zstd

from codeweft.errors import InvalidRequest, TooLarge
from codeweft.retrieval.documents.formats import format_of
from codeweft.retrieval.sources.access import Access
from codeweft.retrieval.sources.names import upload_path
from codeweft.retrieval.walk import LEFT_OUT, Exclusions, SkippedFile, excluded_part

_TARS: Final[dict[str, Any]] = {
    ".tar": Path.open,
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.bz2": bz2.open,
    ".tbz2": bz2.open,
    ".tar.xz": lzma.open,
    ".txz": lzma.open,
    ".tar.zst": zstd.open,
    ".tzst": zstd.open,
}
EXTENSIONS: Final = (".zip", *_TARS)
MOST_GROWTH: Final = 300
"""Times its own size that an archive may unpack to; the best packed sources reach about 30."""
FREE_GROWTH: Final = 50_000_000
"""Bytes that every archive may unpack to, however small it is."""
MOST_ENTRIES: Final = 1_000_000
"""Entries of an archive, folders and links included."""
MOST_NOTED: Final = 10_000
"""Files left out that are told one by one; of more, only their number."""
LARGEST_DIRECTORY: Final = 32 << 20
"""Bytes of a zip's table of contents, which is read as a whole: about 250,000 files with ordinary paths."""
LONGEST_HEADER: Final = 1 << 20
"""Bytes of a tar's header of variable length (a long name, a note), which is read as a whole."""
_COPY: Final = 1 << 18
_TAIL: Final = (1 << 16) + 22 + 20 + 56
_ROOT: Final = "unpacked.json"
_UPLOADED: Final = "archives.json"
_DAMAGED: Final = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, zstd.ZstdError),
    *(gzip.BadGzipFile, RecursionError, ValueError, NotImplementedError, OverflowError, struct.error),
)
"""What reading a damaged archive raises; a header that announces another is read within it, without end."""


@dataclass(frozen=True, slots=True)
class _Member:
    """A regular file in an archive, or why it is left out. `open` may be called before the next one is asked for."""

    name: str
    size: int
    refused: str = ""
    open: Callable[[], IO[bytes]] | None = None


def is_archive(name: str) -> bool:
    """Whether a file's name says that it is an archive which can be unpacked here."""
    return name.lower().endswith(EXTENSIONS)


def stem(name: str) -> str:
    """An archive's name without its extension."""
    extension = next(one for one in sorted(EXTENSIONS, key=len, reverse=True) if name.lower().endswith(one))
    return name[: -len(extension)]


def unpack(archive: Path, name: str, folder: Path, access: Access) -> tuple[SkippedFile, ...]:
    """Unpack a file that is called `name` into the new folder `folder`; what was left out, with reasons.

    A folder that holds everything is left out of the paths.
    Links, devices and names that lead out of the folder are skipped, as are files above the limits. Raises
    `InvalidRequest` for a damaged archive, `TooLarge` for one that unpacks to far more than it could hold.
    """
    partial = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        skipped = tuple(_noted(_write(archive, name, partial, access)))
        within = _single_folder(partial)
        within.rename(folder)
        prefix = f"{within.name}/" if within != partial else ""
        return tuple(SkippedFile(one.path.removeprefix(prefix), one.reason) for one in skipped)
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk; what bz2 and gzip find wrong with a file has no number
        raise InvalidRequest(
            f"{name} is damaged or not an archive of its kind ({str(error) or type(error).__name__}).",
            fix="Make it again with zip or tar.",
            param="files",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def unpacked(source: Path, root: Path, access: Access) -> tuple[SkippedFile, ...]:
    """Make `root` hold what the archive or document `source` holds now; what was left out."""
    info = source.stat()
    stamp = [info.st_size, info.st_mtime_ns, info.st_ino]
    note = root.parent / _ROOT
    if root.is_dir() and (known := _read(note)).get("stamp") == stamp:
        return tuple(SkippedFile(*one) for one in known["skipped"])
    note.unlink(missing_ok=True)
    fresh = root.with_name("files.new")
    shutil.rmtree(fresh, ignore_errors=True)
    if is_archive(source.name):
        skipped = unpack(source, source.name, fresh, access)
    else:
        fresh.mkdir(parents=True)
        shutil.copyfile(source, fresh / source.name)
        skipped = ()
    shutil.rmtree(root, ignore_errors=True)
    fresh.rename(root)
    _save(note, {"stamp": stamp, "skipped": [[one.path, one.reason] for one in skipped]})
    return skipped


def put_archive(archive: Path, name: str, state: Path, access: Access) -> list[str]:
    """Unpack an upload of that name into a folder of its own, replacing what an earlier one left; paths, sorted."""
    target = state / "files" / stem(name)
    fresh = state / "incoming" / f"unpacked-{time.monotonic_ns()}"
    try:
        skipped = unpack(archive, name, fresh, access)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    note = state / _UPLOADED
    _save(note, _read(note) | {stem(name): [[one.path, one.reason] for one in skipped]})
    return sorted(str(path.relative_to(state / "files")) for path in target.rglob("*") if path.is_file())


def remove_upload(state: Path, path: str) -> None:
    """Delete an uploaded file, the folders that it leaves empty, and what was noted about their archive."""
    root = state / "files"
    target = root / path
    target.unlink(missing_ok=True)
    for folder in target.parents:
        if folder == root or not folder.is_dir() or any(folder.iterdir()):
            break
        folder.rmdir()
    noted = _read(state / _UPLOADED)
    if kept := {name: skipped for name, skipped in noted.items() if (root / name).is_dir()}:
        if kept != noted:
            _save(state / _UPLOADED, kept)
    else:
        (state / _UPLOADED).unlink(missing_ok=True)


def unpacked_uploads(state: Path) -> tuple[SkippedFile, ...]:
    """What was left out of the uploaded archives that are still there."""
    return tuple(
        SkippedFile(f"{folder}/{path}", reason)
        for folder, skipped in _read(state / _UPLOADED).items()
        for path, reason in skipped
    )


def _noted(skipped: Iterator[SkippedFile]) -> Iterator[SkippedFile]:
    more = 0
    for number, one in enumerate(skipped):
        if number < MOST_NOTED:
            yield one
        else:
            more += 1
    if more:
        yield SkippedFile("…", f"{more:,} more were left out")


def _write(archive: Path, name: str, folder: Path, access: Access) -> Iterator[SkippedFile]:
    budget = max(FREE_GROWTH, MOST_GROWTH * archive.stat().st_size)
    excluded = Exclusions()
    folders: set[str] = set()
    count = total = unpacked_to = 0
    with _members(archive, name, budget) as members:
        for member in members:
            unpacked_to += member.size
            if unpacked_to > budget:
                raise _no_code(name)
            shown = member.name.encode(errors="backslashreplace").decode()[:300]
            if member.refused or member.open is None:
                yield SkippedFile(shown, member.refused)
                continue
            if (
                part := excluded_part(member.name.removeprefix("./"), excluded)
                if shown == member.name
                else None
            ):
                if part not in folders:
                    folders.add(part)
                    yield SkippedFile(part, LEFT_OUT[part.endswith("/")])
                continue
            try:
                path = upload_path(member.name)
            except InvalidRequest:
                yield SkippedFile(shown, "its name leads out of the archive or cannot be a file's name")
                continue
            limit = access.max_bytes(document=format_of(path) is not None)
            if member.size > limit:
                yield SkippedFile(path, f"too large: {member.size:,} bytes, the limit is {limit:,}")
                continue
            if count >= access.max_files or total >= access.max_total_bytes:
                yield SkippedFile(
                    shown,
                    f"this and all that follows: more than {count:,} files of {total / 1e6:,.0f} MB together",
                )
                return
            written = _copy(member, folder / path, limit)
            if isinstance(written, str):
                yield SkippedFile(path, written)
                continue
            count, total = count + 1, total + written


def _copy(member: _Member, target: Path, limit: int) -> int | str:
    """Bytes written, or why it was not."""
    assert member.open is not None
    written = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file, member.open() as content:
            while part := content.read(_COPY):
                written += len(part)
                if written > limit:
                    break
                file.write(part)
    except (NotADirectoryError, IsADirectoryError, FileExistsError):
        return "another file of the archive has that name"
    except NotImplementedError:
        target.unlink(missing_ok=True)
        return "packed by a method that is not known here"
    if written > limit:
        target.unlink()
        return f"too large: more than {limit:,} bytes, whatever the archive says"
    return written


@contextmanager
def _members(archive: Path, name: str, budget: int) -> Iterator[Iterator[_Member]]:
    """The files of an archive of which no more than `budget` bytes are unpacked."""
    lowered = name.lower()
    if lowered.endswith(".zip"):
        if _directory_size(archive) > LARGEST_DIRECTORY:
            raise _too_many(name)
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened)
        return
    opener = next(one for extension, one in _TARS.items() if lowered.endswith(extension))
    with opener(archive, "rb") as stream:
        metered: Any = _Metered(stream, budget + _COPY, name)
        with tarfile.open(fileobj=metered, mode="r|", tarinfo=_Header) as tar:
            yield _tar_members(tar, name)


class _Metered:
    """A stream that gives `budget` bytes: a tar is read through what is left out of it, too."""

    def __init__(self, stream: IO[bytes], budget: int, name: str) -> None:
        self._stream = stream
        self._left = budget
        self._name = name

    def read(self, size: int) -> bytes:
        """See `IO.read`. Raises `TooLarge`."""
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise _no_code(self._name)
        return data


class _Header(tarfile.TarInfo):
    """A header whose long names and notes are of a length that can be read at once."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        found = super().frombuf(buf, encoding, errors)
        if found.type in _READ_WHOLE and found.size > LONGEST_HEADER:
            raise TooLarge(
                f"The archive holds a header of {found.size:,} bytes, which no file's name needs.",
                fix="Make it again with tar.",
            )
        return found


_READ_WHOLE: Final = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE),
    tarfile.SOLARIS_XHDTYPE,
)


def _directory_size(archive: Path) -> int:
    """Bytes of a zip's table of contents as its last record says; 0 without such a record."""
    with archive.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        # The record is followed by a comment of at most 64 KB, and preceded by its form for large archives.
        file.seek(max(0, end - _TAIL))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 16 > len(tail):
        return 0
    (size,) = struct.unpack_from("<I", tail, at + 12)
    large = tail.rfind(b"PK\x06\x06", 0, at)
    if large >= 0 and large + 48 <= len(tail):
        (size,) = struct.unpack_from("<Q", tail, large + 40)
    return int(size)


def _no_code(name: str) -> TooLarge:
    return TooLarge(
        f"{name} unpacks to more than {MOST_GROWTH} times its size; that is no code.",
        fix="Pack the sources alone.",
    )


def _too_many(name: str) -> TooLarge:
    return TooLarge(f"{name} holds more files than a code base has.", fix="Pack the sources alone.")


def _zip_members(opened: zipfile.ZipFile) -> Iterator[_Member]:
    for info in opened.infolist():
        name = _zip_name(info)
        kind = info.external_attr >> 28
        if info.is_dir():
            continue
        if kind == 0o12:
            yield _Member(name, info.file_size, "symbolic link, not followed")
        elif info.flag_bits & 1:
            yield _Member(name, info.file_size, "encrypted")
        else:
            yield _Member(name, info.file_size, open=lambda info=info: opened.open(info))  # type: ignore[misc]


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Names without the UTF-8 mark are in whatever encoding their machine had; Python reads them as cp437."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    raw = info.filename.encode("cp437", "replace")
    for encoding in ("utf-8", "cp949"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return info.filename


def _tar_members(tar: tarfile.TarFile, name: str) -> Iterator[_Member]:
    for _ in range(MOST_ENTRIES):
        if (info := tar.next()) is None:
            return
        # It would keep every header until the end.
        tar.members.clear()  # type: ignore[attr-defined]
        if info.isdir():
            continue
        if info.issym() or info.islnk():
            yield _Member(info.name, 0, "link, not followed")
        elif not info.isreg():
            yield _Member(info.name, 0, "not a regular file (device or pipe)")
        else:
            yield _Member(info.name, info.size, open=lambda info=info: _content(tar, info))  # type: ignore[misc]
    raise _too_many(name)


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(info)
    assert found is not None
    return found


def _single_folder(folder: Path) -> Path:
    entries = list(os.scandir(folder))
    return Path(entries[0].path) if len(entries) == 1 and entries[0].is_dir() else folder


def _read(note: Path) -> dict[str, Any]:
    try:
        found = json.loads(note.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _save(note: Path, facts: dict[str, Any]) -> None:
    partial = note.with_suffix(".partial")
    partial.write_text(json.dumps(facts))
    partial.replace(note)
