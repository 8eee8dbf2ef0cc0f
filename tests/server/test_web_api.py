"""Indexes, models and the system, as the web UI sees them."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import aiohttp

from tests.server.conftest import Server

ROOT = Path(__file__).parents[2]


async def get(client: aiohttp.ClientSession, path: str, status: int = 200) -> Any:
    async with client.get(path) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def searchable(client: aiohttp.ClientSession, name: str) -> dict[str, Any]:
    for _ in range(200):
        index = await get(client, f"/api/indexes/{name}")
        if index["job"] is None or index["job"]["state"] not in ("queued", "running"):
            return index
        await asyncio.sleep(0.05)
    raise AssertionError("indexing did not end")


async def test_a_folder_is_indexed_read_searched_and_deleted(server: Server, tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "cart.py").write_text("import os\n\n\ndef add_prices(cart):\n    return sum(cart)\n")
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\0\0\0")
    async with server.client() as client:
        body = {"source": str(tmp_path), "name": "folder"}
        async with client.post("/api/indexes", json=body) as response:
            assert response.status == 202
            assert (await response.json())["job"]["kind"] == "index"
        index = await searchable(client, "folder")
        assert (index["state"], index["kind"], index["files"], index["indexed"]) == ("ready", "folder", 2, 1)
        assert index["languages"] == {"python": 1}
        assert index["skipped_count"] == 1 and index["skipped"][0]["path"] == "logo.png"
        assert index["updated_at"].startswith("20")
        assert index["job"]["state"] == "done" and index["job"]["error"] is None
        files = await get(client, "/api/indexes/folder/files?q=cart")
        assert files["total"] == 1 and files["files"][0]["lines"] >= 5
        source = await get(client, "/api/indexes/folder/source?path=pkg/cart.py&start=4&end=99")
        assert source["text"].startswith("def add_prices") and source["total_lines"] >= 5
        assert source["start_line"] == 4 and source["end_line"] == source["total_lines"]
        await get(client, "/api/indexes/folder/source?path=../../etc/passwd", 404)
        async with client.post("/api/search", json={"query": "add_prices", "index": "folder"}) as response:
            best = (await response.json())["results"][0]
        assert best["name"] == "add_prices" and best["number"] == 1 and best["why"]
        async with client.post("/api/indexes", json={**body, "source": str(tmp_path / "pkg")}) as response:
            assert response.status == 409
        async with client.post("/api/indexes/folder/update") as response:
            assert response.status == 202
        await searchable(client, "folder")
        async with client.delete("/api/indexes/folder") as response:
            assert response.status == 204 and await response.read() == b""
            assert "Content-Type" not in response.headers
        await get(client, "/api/indexes/folder", 404)
    assert (tmp_path / "pkg" / "cart.py").exists()


async def test_files_are_uploaded_and_removed(server: Server) -> None:
    async with server.client() as client:
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("files", b"def one(): return 1\n", filename="deep/one.py")
        form.add_field("files", b"def two(): return 2\n", filename="two.py")
        async with client.post("/api/indexes/uploaded/files", data=form) as response:
            assert response.status == 202, await response.text()
            assert (await response.json())["kind"] == "uploads"
        assert (await searchable(client, "uploaded"))["indexed"] == 2
        async with client.delete("/api/indexes/uploaded/files", params={"path": "deep/one.py"}) as response:
            assert response.status == 204
        await searchable(client, "uploaded")
        assert [file["path"] for file in (await get(client, "/api/indexes/uploaded/files"))["files"]] == [
            "two.py"
        ]
        await client.delete("/api/indexes/uploaded")


async def test_models_and_the_system_are_described(server: Server) -> None:
    async with server.client() as client:
        models = await get(client, "/api/models")
        assert [model["name"] for model in models if model["default"]] == ["codegen"]
        system = await get(client, "/api/system")
        assert system["models_ready"] is True and system["machine"]["cores"] >= 1
        assert system["machine"]["disk_free_mb"] > 0


def test_the_committed_description_is_current() -> None:
    spec = importlib.util.spec_from_file_location("openapi", ROOT / "scripts" / "openapi.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    committed = (ROOT / "web" / "openapi.json").read_text()
    assert script.text() == committed, "run `python scripts/openapi.py > web/openapi.json`"
