"""Model files while the server runs: pulled into use, refused, cancelled, deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from codeweft.errors import Conflict, NotFound
from codeweft.models.embedded import EmbeddedModel
from codeweft.models.hub import InstalledModel
from codeweft.models.starter import bundled
from codeweft.runtime.shelf import Shelf


class Models:
    """What answers, as the runtime keeps it."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def put(self, found: InstalledModel) -> None:
        self.names.append(found.name)

    def take(self, name: str) -> EmbeddedModel | None:
        self.names.remove(name)
        return None


async def ended(shelf: Shelf, name: str) -> str:
    for _ in range(200):
        state = next(pull.state for pull in shelf.pulls() if pull.name == name)
        if state != "running":
            return state
        await asyncio.sleep(0.05)
    raise AssertionError("the pull did not end")


async def test_a_local_file_is_pulled_into_use_and_deleted(tmp_path: Path) -> None:
    models = Models()
    shelf = Shelf(tmp_path / "models", models.put, models.take)
    pull = shelf.pull(str(bundled()))
    assert pull.state == "running"
    with pytest.raises(Conflict, match="being pulled already"):
        shelf.pull(str(bundled()))
    assert await ended(shelf, pull.name) == "done"
    assert models.names == [pull.name] == [one.name for one in shelf.installed()]
    with pytest.raises(Conflict, match="installed already"):
        shelf.pull(str(bundled()))
    await shelf.delete(pull.name)
    assert models.names == [] and shelf.installed() == []
    with pytest.raises(NotFound):
        await shelf.delete(pull.name)


async def test_a_file_that_is_no_model_fails_with_a_reason_and_is_not_used(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 64)
    models = Models()
    shelf = Shelf(tmp_path / "models", models.put, models.take)
    shelf.pull(str(broken))
    assert await ended(shelf, "broken") == "failed"
    (pull,) = shelf.pulls()
    assert pull.error is not None and pull.error.message and models.names == []


async def test_a_download_that_waits_is_cancelled_at_once_and_can_be_tried_again(tmp_path: Path) -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    shelf = Shelf(tmp_path, lambda found: None, lambda name: None, mirror=f"http://127.0.0.1:{port}")
    pull = shelf.pull("qwen2.5-coder-1.5b")
    await asyncio.sleep(0.1)
    await asyncio.wait_for(shelf.cancel(pull.name), 5)
    assert [one.state for one in shelf.pulls()] == ["cancelled"]
    with pytest.raises(NotFound):
        await shelf.cancel(pull.name)
    shelf.pull("qwen2.5-coder-1.5b")
    await shelf.close()
    assert [one.state for one in shelf.pulls()] == ["cancelled"]
    silent.close()


async def test_a_name_that_is_not_known_is_refused_at_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, lambda found: None, lambda name: None)
    with pytest.raises(NotFound):
        shelf.pull("no-such-model")
    assert shelf.pulls() == []
