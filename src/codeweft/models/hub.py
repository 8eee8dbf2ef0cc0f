"""Getting model files: from the hub, a mirror, any URL or a local file. Interrupted downloads go on where they stopped."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp
import msgspec

from codeweft.errors import (
    CodeweftError,
    Conflict,
    EngineFailed,
    InvalidRequest,
    NotFound,
    StorageFailed,
    UpstreamFailed,
)
from codeweft.models import catalogue
from codeweft.models.gguf import read_header

HUB: Final = "https://huggingface.co"
DEFAULT_QUANTISATION: Final = "Q4_K_M"
SPARE_DISK: Final = 256 << 20
"""Bytes that a download must leave free."""
BLOCK: Final = 4 << 20
ATTEMPTS: Final = 6
ATTEMPTS_TO_CONNECT: Final = 2
REDIRECTS: Final = 5
CONNECT_TIMEOUT: Final = 15.0
SILENCE_TIMEOUT: Final = 60.0
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HUB_FILE: Final = re.compile(r"(?:hf:)?([\w.-]+/[\w.-]+)/([\w./-]+\.gguf)")
_SPLIT: Final = re.compile(r"-\d{5}-of-\d{5}$")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PART: Final = ".part"
_NOTE: Final = ".json"

Phase = Literal["downloading", "copying", "checking"]


@dataclass(frozen=True, slots=True)
class PullProgress:
    """Bytes done of a total (None: unknown) in one phase."""

    phase: Phase
    done: int
    total: int | None


Report = Callable[[PullProgress], None]


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model file in the models folder and where it came from. `pulled` is Unix seconds, 0 when it was put there."""

    name: str
    path: Path
    size: int
    source: str = ""
    licence: str = ""
    sha256: str = ""
    pulled: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """What a name, URL or path stands for: exactly one of `url` and `file` is set."""

    name: str
    url: str = ""
    file: Path | None = None
    licence: str = ""


class _Note(msgspec.Struct):
    """What is kept beside a model file, and beside a part to know whether it can be continued."""

    source: str
    sha256: str = ""
    licence: str = ""
    etag: str = ""
    pulled: int = 0


def locate(reference: str, *, mirror: str | None = None) -> Source:
    """Tell what `reference` is: NAME, NAME:QUANTISATION, OWNER/REPOSITORY/FILE.gguf, an http(s) URL or a local file.

    `mirror` stands in for the hub. Raises `InvalidRequest` or `NotFound`.
    """
    base = (mirror or HUB).rstrip("/")
    if urlsplit(base).scheme not in ("http", "https"):
        raise InvalidRequest(
            f"The mirror {base} is not an http(s) address.", fix="Give one such as https://host/path."
        )
    if "://" in reference:
        address = urlsplit(reference)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise InvalidRequest(
                f"{reference} is not an http(s) address.", fix="Give a local file as a plain path instead."
            )
        return Source(_name_of(unquote(address.path)), url=reference)
    if (match := _HUB_FILE.fullmatch(reference)) and not Path(reference).exists():
        return Source(_name_of(match[2]), url=f"{base}/{match[1]}/resolve/main/{match[2]}")
    if reference.endswith(".gguf") or os.sep in reference:
        file = Path(reference).expanduser().absolute()
        if not file.is_file():
            raise NotFound(f"There is no file {file}.", fix="Check the path.")
        return Source(_name_of(file.name), file=file)
    name, _, quantisation = reference.partition(":")
    entry = catalogue.entry(name)
    default = DEFAULT_QUANTISATION if DEFAULT_QUANTISATION in entry.quantisations else entry.quantisations[0]
    chosen = (quantisation or default).upper()
    local = entry.name if chosen == default else f"{entry.name}-{chosen.lower()}"
    url = f"{base}/{entry.repository}/resolve/main/{entry.file_of(chosen)}"
    return Source(local, url=url, licence=entry.licence)


def _name_of(path: str) -> str:
    stem = path.rsplit("/", 1)[-1].removesuffix(".gguf")
    if _SPLIT.search(stem):
        raise InvalidRequest(
            f"{stem}.gguf is one part of a split model.",
            fix="Pull a single-file version, or join the parts first.",
        )
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64]
    if not name:
        raise InvalidRequest(f"{path} gives no usable model name.", fix="Name a .gguf file.")
    return name


async def pull(
    reference: str,
    folder: Path,
    *,
    report: Report = lambda progress: None,
    mirror: str | None = None,
    sha256: str | None = None,
    token: str | None = None,
) -> InstalledModel:
    """Bring a model into `folder` and check it; see `locate` for what `reference` may be.

    `token` is sent to the hub itself only. Raises `StorageFailed` for a full disk, `UpstreamFailed` when the hub cannot
    be reached or the checksum is wrong, `EngineFailed` for a file that is no model, `Conflict` when it is there already.
    """
    source = locate(reference, mirror=mirror)
    target = folder / f"{source.name}.gguf"
    if target.exists():
        raise Conflict(
            f"The model {source.name} is installed already.",
            fix=f"Remove it first: `codeweft models rm {source.name}`.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if source.file is not None:
                digest = await asyncio.to_thread(_import, source.file, target, sha256, report)
            else:
                digest = await _Download(source, target, report, sha256, token).run()
        note = _Note(str(source.file or source.url), digest, source.licence, pulled=int(time.time()))
        _note_path(target).write_bytes(msgspec.json.encode(note))
    except OSError as error:
        raise StorageFailed(
            f"The model cannot be written to {folder}: {error.strerror or error}.",
            fix="Free some space or choose another folder (CODEWEFT_HOME).",
        ) from None
    return _installed(target, note)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep other pulls of the same model out, also those of other processes. Raises `Conflict`."""
    path = target.with_name(f".{target.name}.lock")
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"{target.stem} is being pulled already.", fix="Wait until that is done."
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def installed(folder: Path) -> list[InstalledModel]:
    """The models in `folder`, by name. Files are not opened; a broken one shows when it is used."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.glob("*.gguf")):
        found.append(_installed(path, _read_note(_note_path(path)) or _Note("")))
    return found


def _installed(path: Path, note: _Note) -> InstalledModel:
    size = path.stat().st_size
    return InstalledModel(path.stem, path, size, note.source, note.licence, note.sha256, note.pulled)


def remove(name: str, folder: Path) -> None:
    """Delete an installed model (or what was downloaded of one). Raises `NotFound`."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"{name!r} is not a model name.")
    path = folder / f"{name}.gguf"
    leftovers = [path, _note_path(path), _part_path(path), _note_path(_part_path(path))]
    if not any(item.exists() for item in leftovers):
        names = ", ".join(item.name for item in installed(folder)) or "no model"
        raise NotFound(f"There is no installed model {name!r}.", fix=f"Installed: {names}.")
    for item in leftovers:
        item.unlink(missing_ok=True)


def _note_path(path: Path) -> Path:
    return path.with_name(path.name + _NOTE)


def _part_path(path: Path) -> Path:
    return path.with_name(path.name + _PART)


def _read_note(path: Path) -> _Note | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Note)
    except (OSError, msgspec.MsgspecError):
        return None


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_DISK:
        raise StorageFailed(
            f"The model needs {_gigabytes(needed)}, but only {_gigabytes(free)} are free in {folder}.",
            fix="Free some space, choose a smaller quantisation, or set CODEWEFT_HOME to a larger disk.",
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def _digest(path: Path, report: Report) -> str:
    total, done, digest = path.stat().st_size, 0, hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            report(PullProgress("checking", done, total))
    return digest.hexdigest()


def _check_digest(path: Path, wanted: str | None, report: Report) -> str:
    found = _digest(path, report)
    if wanted is not None and wanted.lower() != found:
        raise UpstreamFailed(
            f"The file is damaged: its SHA-256 is {found[:16]}…, not {wanted[:16]}…. It was deleted.",
            fix="Pull again.",
        )
    return found


def _import(file: Path, target: Path, sha256: str | None, report: Report) -> str:
    """Link `file` to `target`, or copy it when it lies on another disk. Returns its SHA-256."""
    read_header(file)
    digest = _digest(file, report)
    if sha256 is not None and sha256.lower() != digest:
        raise InvalidRequest(f"The SHA-256 of {file} is {digest}, not {sha256}.", fix="Check the file.")
    part = _part_path(target)
    part.unlink(missing_ok=True)
    try:
        part.hardlink_to(file.resolve())
    except OSError:
        _check_space(target.parent, file.stat().st_size)
        _copy(file, part, report)
    part.replace(target)
    return digest


def _copy(file: Path, part: Path, report: Report) -> None:
    total, done = file.stat().st_size, 0
    try:
        with file.open("rb") as reader, part.open("wb") as writer:
            while block := reader.read(BLOCK):
                writer.write(block)
                done += len(block)
                report(PullProgress("copying", done, total))
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class _Download:
    """One file from one address, over as many connections as it takes."""

    def __init__(
        self, source: Source, target: Path, report: Report, sha256: str | None, token: str | None
    ) -> None:
        self._source = source
        self._target = target
        self._part = _part_path(target)
        self._report = report
        self._sha256 = sha256
        self._token = token
        self._announced: str | None = None

    async def run(self) -> str:
        """Download, check, and put in place. Returns the SHA-256."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=SILENCE_TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True, auto_decompress=False) as session:
            failures = 0
            while True:
                before = self._have()
                try:
                    await self._fetch(session)
                    break
                except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                    # A connection that brought something was worth its while.
                    failures = 1 if self._have() > before else failures + 1
                    absent = isinstance(error, aiohttp.ClientConnectorError | aiohttp.InvalidURL)
                    if failures >= (ATTEMPTS_TO_CONNECT if absent else ATTEMPTS):
                        raise self._unreachable(error) from None
                    await asyncio.sleep(min(8.0, 0.25 * 2.0**failures))
        try:
            wanted = self._sha256 or self._announced
            digest = await asyncio.to_thread(_check_digest, self._part, wanted, self._report)
            await asyncio.to_thread(read_header, self._part)
        except (UpstreamFailed, EngineFailed):
            self._forget()
            raise
        self._part.replace(self._target)
        _note_path(self._part).unlink(missing_ok=True)
        return digest

    def _have(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        _note_path(self._part).unlink(missing_ok=True)

    async def _fetch(self, session: aiohttp.ClientSession) -> None:
        """Get what is missing. Returns when the part is complete."""
        note = _read_note(_note_path(self._part))
        have = self._have() if note is not None and note.source == self._source.url and note.etag else 0
        response, linked = await self._get(session, have, note.etag if note is not None else "")
        async with response:
            if response.status == 416 and have:
                self._forget()
                raise aiohttp.ClientPayloadError("the part does not belong to this file")
            if response.status not in (200, 206):
                raise await self._refused(response)
            etag = linked or response.headers.get("ETag", "").strip('"')
            if response.status == 200:
                have = 0
            elif note is not None and etag != note.etag:
                self._forget()
                raise aiohttp.ClientPayloadError("the file changed at its source")
            self._announced = linked if _SHA256.fullmatch(linked) else None
            total = None if response.content_length is None else have + response.content_length
            if total is not None:
                _check_space(self._target.parent, total - have)
            _note_path(self._part).write_bytes(msgspec.json.encode(_Note(self._source.url, etag=etag)))
            await self._receive(response, have, total)

    async def _receive(self, response: aiohttp.ClientResponse, have: int, total: int | None) -> None:
        with self._part.open("ab" if have else "wb") as file:
            self._report(PullProgress("downloading", have, total))
            async for block in response.content.iter_chunked(BLOCK):
                await asyncio.to_thread(file.write, block)
                have += len(block)
                self._report(PullProgress("downloading", have, total))

    async def _get(
        self, session: aiohttp.ClientSession, have: int, etag: str
    ) -> tuple[aiohttp.ClientResponse, str]:
        """The response after redirects, and the checksum that the hub announces before them."""
        url, linked = self._source.url, ""
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        for _ in range(REDIRECTS + 1):
            response = await session.get(url, headers=headers, allow_redirects=False)
            linked = linked or response.headers.get("X-Linked-Etag", "").strip('"')
            if response.status not in (301, 302, 303, 307, 308):
                return response, linked
            target = urljoin(url, response.headers.get("Location", ""))
            response.close()
            if urlsplit(target).scheme not in ("http", "https"):
                raise UpstreamFailed(f"{url} redirects to {target}, which is not an http(s) address.")
            if urlsplit(target).netloc != urlsplit(url).netloc:
                headers.pop("Authorization", None)
            url = target
        raise UpstreamFailed(f"{self._source.url} redirects too often.", fix="Check the address.")

    async def _refused(self, response: aiohttp.ClientResponse) -> CodeweftError:
        status, url = response.status, self._source.url
        if status == 404:
            return NotFound(
                f"There is no file at {url}.", fix="Check the name; another quantisation may exist."
            )
        if status in (401, 403):
            return UpstreamFailed(
                f"{urlsplit(url).hostname} does not give out {url} without permission (status {status}).",
                fix="Accept its licence on the model's page and give an access token.",
            )
        if status == 429 or status >= 500:
            with suppress(aiohttp.ClientError):
                await response.read()
            raise aiohttp.ClientPayloadError(f"the server answered with status {status}")
        return UpstreamFailed(f"{url} answered with status {status}.", fix="Check the address.")

    def _unreachable(self, error: BaseException) -> UpstreamFailed:
        host = urlsplit(self._source.url).hostname
        kept = self._have()
        said = str(error) or type(error).__name__
        return UpstreamFailed(
            f"{self._source.url} cannot be downloaded: {said}."
            + (f" {_gigabytes(kept)} are kept." if kept else ""),
            fix=(
                f"Check that {host} can be reached and pull again to go on. Without network, name a mirror "
                "(`--mirror URL`) or a local file (`codeweft models pull FILE.gguf`)."
            ),
        )
