"""Pulling model files from a server of this machine, with everything that goes wrong on the way."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections import namedtuple
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from codeweft.errors import Conflict, EngineFailed, InvalidRequest, NotFound, StorageFailed, UpstreamFailed
from codeweft.models import hub
from codeweft.models.hub import PullProgress, installed, locate, pull, remove


class Shelf:
    """Serves one file in the way of the hub: a redirect that announces the checksum, then the bytes, with ranges."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.etag = hashlib.sha256(data).hexdigest()
        self.drop_after: list[int] = []
        self.ranges: list[str] = []
        self.paths: list[str] = []
        self.tokens: list[str] = []
        self.redirect = "/store/blob"
        self.url = ""

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        self.tokens.append(request.headers.get("Authorization", ""))
        raise web.HTTPFound(self.redirect, headers={"X-Linked-Etag": f'"{self.etag}"'})

    async def blob(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Range", "")
        self.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start >= len(self.data):
            return web.Response(status=416)
        rest = self.data[start:]
        response = web.StreamResponse(status=206 if start else 200, headers={"ETag": f'"{self.etag}"'})
        response.content_length = len(rest)
        await response.prepare(request)
        if self.drop_after:
            await response.write(rest[: self.drop_after.pop(0)])
            await asyncio.sleep(0.05)
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write(rest)
        return response


@asynccontextmanager
async def serving(shelf: Shelf) -> AsyncIterator[Shelf]:
    app = web.Application()
    app.router.add_get("/store/blob", shelf.blob)
    app.router.add_get("/gone/{rest:.*}", gone)
    app.router.add_get("/private/{rest:.*}", private)
    app.router.add_get("/elsewhere/{rest:.*}", elsewhere)
    app.router.add_get("/{path:.*}", shelf.resolve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    shelf.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
    try:
        yield shelf
    finally:
        await runner.cleanup()


async def gone(_: web.Request) -> web.Response:
    return web.Response(status=404)


async def private(_: web.Request) -> web.Response:
    return web.Response(status=403)


async def elsewhere(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "file:///etc/passwd"})


@pytest.fixture
async def shelf(tiny: Path) -> AsyncIterator[Shelf]:
    async with serving(Shelf(tiny.read_bytes())) as served:
        yield served


async def test_a_model_of_the_catalogue_is_pulled_from_a_mirror(shelf: Shelf, tmp_path: Path) -> None:
    seen: list[PullProgress] = []
    model = await pull("qwen2.5-coder-0.5b", tmp_path / "models", mirror=shelf.url, report=seen.append)
    assert shelf.paths == [
        "/bartowski/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf"
    ]
    assert model.path == tmp_path / "models" / "qwen2.5-coder-0.5b.gguf"
    assert model.path.read_bytes() == shelf.data
    assert (model.sha256, model.licence) == (shelf.etag, "Apache-2.0")
    assert installed(tmp_path / "models") == [model]
    downloads = [item for item in seen if item.phase == "downloading"]
    assert (downloads[0].done, downloads[-1].done, downloads[-1].total) == (
        0,
        len(shelf.data),
        len(shelf.data),
    )
    assert seen[-1].phase == "checking"
    assert [path.name for path in (tmp_path / "models").iterdir() if "part" in path.name] == []


async def test_a_broken_download_goes_on_where_it_stopped(shelf: Shelf, tmp_path: Path) -> None:
    shelf.drop_after = [50_000, 30_000]
    model = await pull(f"{shelf.url}/a/tiny.gguf", tmp_path)
    assert model.path.read_bytes() == shelf.data
    assert shelf.ranges == ["", "bytes=50000-", "bytes=80000-"]


async def test_an_abandoned_download_goes_on_at_the_next_pull(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "ATTEMPTS", 1)
    shelf.drop_after = [60_000]
    with pytest.raises(UpstreamFailed, match=r"0\.00 GB are kept"):
        await pull(f"{shelf.url}/a/tiny.gguf", tmp_path)
    assert installed(tmp_path) == []
    assert (await pull(f"{shelf.url}/a/tiny.gguf", tmp_path)).path.read_bytes() == shelf.data
    assert shelf.ranges == ["", "bytes=60000-"]


async def test_a_file_that_changed_in_between_starts_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.drop_after = [60_000]
    task = asyncio.create_task(pull(f"{shelf.url}/a/tiny.gguf", tmp_path))
    while not shelf.ranges or shelf.drop_after:  # noqa: ASYNC110  the server has no event to wait for
        await asyncio.sleep(0.005)
    shelf.data = shelf.data[:-4] + b"\0\0\0\1"
    shelf.etag = hashlib.sha256(shelf.data).hexdigest()
    assert (await task).path.read_bytes() == shelf.data


async def test_a_wrong_checksum_is_refused_and_the_file_deleted(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(UpstreamFailed, match="damaged"):
        await pull(f"{shelf.url}/a/tiny.gguf", tmp_path, sha256="0" * 64)
    assert installed(tmp_path) == []
    assert list(tmp_path.glob("*.part")) == []


async def test_bytes_damaged_on_the_way_are_noticed_by_the_announced_checksum(
    shelf: Shelf, tmp_path: Path
) -> None:
    shelf.data = shelf.data[:-1] + b"\xff"
    with pytest.raises(UpstreamFailed, match="damaged"):
        await pull(f"{shelf.url}/a/tiny.gguf", tmp_path)


async def test_what_is_no_model_is_not_kept(shelf: Shelf, tmp_path: Path) -> None:
    shelf.data = b"<html>log in first</html>"
    shelf.etag = hashlib.sha256(shelf.data).hexdigest()
    with pytest.raises(EngineFailed, match="a web page"):
        await pull(f"{shelf.url}/a/tiny.gguf", tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_too_little_disk_is_told_before_the_download(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 1 << 40, 1000))
    with pytest.raises(StorageFailed, match=r"needs 0\.00 GB, but only 0\.00 GB are free"):
        await pull(f"{shelf.url}/a/tiny.gguf", tmp_path)
    assert list(tmp_path.glob("*.gguf")) == []


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("gone/tiny.gguf", NotFound, "There is no file at"),
        ("private/tiny.gguf", UpstreamFailed, "without permission"),
        ("elsewhere/tiny.gguf", UpstreamFailed, "not an http"),
    ],
)
async def test_refusals_are_told_apart(
    shelf: Shelf, tmp_path: Path, path: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await pull(f"{shelf.url}/{path}", tmp_path)


async def test_without_network_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        await pull("starcoder2-3b", tmp_path, mirror="http://127.0.0.1:1")
    assert "--mirror" in caught.value.fix
    assert "local file" in caught.value.fix


async def test_a_local_file_is_imported_without_a_second_copy(tiny: Path, tmp_path: Path) -> None:
    source = tmp_path / "My Model (v1).gguf"
    shutil.copy(tiny, source)
    model = await pull(str(source), tmp_path / "models")
    assert model.name == "My-Model-v1"
    assert model.path.samefile(source)
    assert model.source == str(source)


async def test_a_local_file_that_is_no_model_is_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("notes")
    with pytest.raises(EngineFailed, match="not a usable GGUF"):
        await pull(str(path), tmp_path / "models")
    assert installed(tmp_path / "models") == []


async def test_nothing_is_overwritten(tiny: Path, tmp_path: Path) -> None:
    await pull(str(tiny), tmp_path)
    with pytest.raises(Conflict, match="installed already"):
        await pull(str(tiny), tmp_path)


async def test_two_pulls_of_one_model_do_not_meet_in_one_file(shelf: Shelf, tmp_path: Path) -> None:
    shelf.drop_after = [50_000]
    results = await asyncio.gather(
        *(pull(f"{shelf.url}/a/tiny.gguf", tmp_path) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "InstalledModel"]
    assert (tmp_path / "tiny.gguf").read_bytes() == shelf.data


async def test_removing_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    await pull(str(tiny), tmp_path)
    remove("tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotFound, match="no installed model 'tiny'"):
        remove("tiny", tmp_path)
    with pytest.raises(InvalidRequest):
        remove("../tiny", tmp_path)


async def test_a_token_is_for_the_hub_and_not_for_where_it_redirects(shelf: Shelf, tmp_path: Path) -> None:
    async with serving(Shelf(shelf.data)) as front:
        front.redirect = f"{shelf.url}/b/tiny.gguf"
        await pull(f"{front.url}/a/tiny.gguf", tmp_path, token="hf_secret")
    assert front.tokens == ["Bearer hf_secret"]
    assert shelf.tokens == [""]


@pytest.mark.parametrize(
    "reference",
    ["file:///etc/passwd", "ftp://host/x.gguf", "http:///x.gguf", "https://h/m-00001-of-00002.gguf"],
)
def test_other_addresses_are_refused(reference: str) -> None:
    with pytest.raises(InvalidRequest):
        locate(reference)


def test_names_with_a_quantisation_and_hub_paths_are_understood() -> None:
    fine = locate("qwen2.5-coder-7b:q8_0")
    assert fine.name == "qwen2.5-coder-7b-q8_0"
    assert fine.url.endswith("/Qwen2.5-Coder-7B-Instruct-Q8_0.gguf")
    path = locate("owner/repo-GGUF/sub/file.gguf", mirror="https://mirror.example/hf/")
    assert path.url == "https://mirror.example/hf/owner/repo-GGUF/resolve/main/sub/file.gguf"
    assert locate("Qwen2.5-Coder-0.5B-base").url.endswith("/qwen2.5-coder-0.5b-q8_0.gguf")


@pytest.mark.parametrize("reference", ["nonsense", "qwen2.5-coder-7b:q3_k_l", "./nothing.gguf"])
def test_what_does_not_exist_is_not_found(reference: str) -> None:
    with pytest.raises(NotFound):
        locate(reference)
