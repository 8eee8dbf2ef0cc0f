"""Archives: zip and tar, unpacked into a folder of ours. Nothing leaves that folder, and no size is believed."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import shutil
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
_COPY: Final = 1 << 18
_ROOT: Final = "unpacked.json"
_UPLOADED: Final = "archives.json"
_DAMAGED: Final = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, zstd.ZstdError),
    gzip.BadGzipFile,
)


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
        skipped = tuple(_write(archive, name, partial, access))
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


def _write(archive: Path, name: str, folder: Path, access: Access) -> Iterator[SkippedFile]:
    budget = max(FREE_GROWTH, MOST_GROWTH * archive.stat().st_size)
    excluded = Exclusions()
    folders: set[str] = set()
    count = total = unpacked_to = 0
    with _members(archive, name) as members:
        for member in members:
            # A tar is read through what is left out of it, too.
            unpacked_to += member.size
            if unpacked_to > budget:
                raise TooLarge(
                    f"{name} unpacks to more than {MOST_GROWTH} times its size; that is no code.",
                    fix="Pack the sources alone.",
                )
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
def _members(archive: Path, name: str) -> Iterator[Iterator[_Member]]:
    name = name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened)
        return
    opener = next(one for extension, one in _TARS.items() if name.endswith(extension))
    with opener(archive, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        yield _tar_members(tar)


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


def _tar_members(tar: tarfile.TarFile) -> Iterator[_Member]:
    for info in tar:
        if info.isdir():
            continue
        if info.issym() or info.islnk():
            yield _Member(info.name, 0, "link, not followed")
        elif not info.isreg():
            yield _Member(info.name, 0, "not a regular file (device or pipe)")
        else:
            yield _Member(info.name, info.size, open=lambda info=info: _content(tar, info))  # type: ignore[misc]


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
