"""OPEA's protocol, without its defects."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from codeweft.errors import CodeweftError, InvalidRequest, TooLarge, UpstreamFailed
from codeweft.retrieval.sources import fetch as links
from codeweft.retrieval.sources.guard import Guard
from tests.server.conftest import Server

CODE = b"def add_prices(cart):\n    return sum(item.price for item in cart)\n"


def form(index: str | None = None, files: dict[str, bytes] | None = None, **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False)
    for name, content in (files or {}).items():
        data.add_field("files", content, filename=name)
    if index is not None:
        data.add_field("index_name", index)
    for name, value in fields.items():
        data.add_field(name, value)
    return data


async def post(client: aiohttp.ClientSession, path: str, **options: Any) -> tuple[int, Any]:
    async with client.post(path, **options) as response:
        return response.status, json.loads(await response.text())


async def test_codegen_takes_a_bare_string_and_streams(server: Server) -> None:
    body = {"messages": "write a sum"}
    async with server.client() as client, client.post("/v1/codegen", json=body) as response:
        assert response.content_type == "text/event-stream"
        lines = (await response.text()).strip().split("\n\n")
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert {chunk["model"] for chunk in chunks} == {"codegen"}
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Use `total` [1]."
    request = server.composition.models["codegen"].requests[-1]
    assert request.messages[0].content == "write a sum"
    assert not request.retrieval.enabled and not request.retrieval.agent


async def test_codegen_without_streaming_is_a_whole_answer_with_true_usage(server: Server) -> None:
    body = {
        "messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "1"},
                     {"role": "user", "content": "two"}],
        "stream": False, "index_name": "shop", "agents_flag": "True", "temperature": 0, "stop": "END",
        "search_type": "similarity", "fetch_k": 20, "language": "auto",
    }  # fmt: skip
    async with server.client() as client:
        status, answer = await post(client, "/v1/codegen", json=body)
    assert status == 200 and answer["model"] == "codegen" and answer["object"] == "chat.completion"
    assert answer["usage"]["total_tokens"] == 16 and answer["choices"][0]["finish_reason"] == "stop"
    request = server.composition.models["codegen"].requests[-1]
    assert [turn.content for turn in request.messages] == ["one", "1", "two"]
    assert request.retrieval.index == "shop" and request.retrieval.agent and request.retrieval.enabled
    assert request.sampling.temperature == 0 and request.sampling.stop == ("END",)


async def test_files_are_ingested_listed_found_and_deleted(server: Server) -> None:
    async with server.client() as client:
        files = {"cart.py": CODE, "src/main.go": b"package main\n\nfunc Pay() int { return 3 }\n"}
        prepared = await post(client, "/v1/dataprep/ingest", data=form("shop", files, chunk_size="1500"))
        assert prepared == (200, {"status": 200, "message": "Data preparation succeeded"})
        status, found = await post(
            client, "/v1/search", json={"query": "add_prices", "index": "shop", "k": 3}
        )
        assert status == 200
        best = found["results"][0]
        assert set(best) == {
            "path", "start_line", "end_line", "name", "kind", "language", "score", "repository",
        }  # fmt: skip
        assert (best["path"], best["name"], best["start_line"], best["end_line"]) == (
            "cart.py",
            "add_prices",
            1,
            2,
        )
        status, listed = await post(client, "/v1/dataprep/get", json={"index_name": "shop"})
        assert listed == [
            {"name": path, "id": path, "type": "File", "parent": "", "index_name": "shop"}
            for path in ("cart.py", "src/main.go")
        ]
        assert "shop" in (await post(client, "/v1/dataprep/indices"))[1]
        status, refused = await post(client, "/v1/dataprep/ingest", data=form("shop", {"cart.py": CODE}))
        assert status == 400 and "cart.py" in refused["error"]["message"]
        assert await post(
            client, "/v1/dataprep/delete", json={"file_path": "cart.py", "index_name": "shop"}
        ) == (200, {"status": True})
        status, found = await post(client, "/v1/search", json={"query": "add_prices", "index": "shop"})
        assert "cart.py" not in [one["path"] for one in found["results"]]
        status, _ = await post(
            client, "/v1/dataprep/delete", json={"file_path": "cart.py", "index_name": "shop"}
        )
        assert status == 404
        await post(client, "/v1/dataprep/delete", json={"file_path": "all", "index_name": "shop"})
        assert "shop" not in (await post(client, "/v1/dataprep/indices"))[1]


async def test_an_index_without_a_name_is_the_default_one(server: Server) -> None:
    async with server.client() as client:
        assert await post(client, "/v1/dataprep/get") == (200, [])
        await post(client, "/v1/dataprep/ingest", data=form(files={"a.py": CODE}))
        _, listed = await post(client, "/v1/dataprep/get", json={"index_name": "all"})
        assert ("a.py", "default") in [(entry["name"], entry["index_name"]) for entry in listed]
        assert await post(client, "/v1/dataprep/delete", json={"file_path": "all", "index_name": "all"}) == (
            200,
            {"status": True},
        )
        assert "default" not in (await post(client, "/v1/dataprep/indices"))[1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: form("all", {"a.py": CODE}), "reserved"),
        (lambda: form("x"), "nothing to ingest"),
        (lambda: form("x", {"../a.py": CODE}), "not a file name"),
        (lambda: form("x/y", {"a.py": CODE}), "x/y"),
        (lambda: form("x", {"a.py": CODE}, chunk_size="many"), "chunk_size"),
        (lambda: form("x", {"a.py": CODE}, table_strategy="slow"), "table_strategy"),
        (lambda: form("x", link_list="http://example.com"), "JSON list"),
        (lambda: form("x", link_list='["file:///etc/passwd"]'), "http(s)"),
        (lambda: form("x", link_list='["http://127.0.0.1/"]'), "public internet"),
        (lambda: form("x", {"a.bin": b"\0\1\2" * 100}), "a.bin"),
    ],
)
async def test_bad_preparations_are_refused(server: Server, data: Any, message: str) -> None:
    async with server.client() as client:
        status, answer = await post(client, "/v1/dataprep/ingest", data=data())
        assert status == 400
        assert message in answer["error"]["message"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://10.0.0.8/", "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data", "http://0.0.0.0/", "http://2130706433/", "http://0x7f000001/",
        "http://127.1/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://100.64.0.1/",
        "ftp://example.com/", "file:///etc/passwd", "http:///x", "http://x:99999/", "gopher://x/",
    ],
)  # fmt: skip
async def test_private_addresses_are_not_fetched(url: str) -> None:
    with pytest.raises(InvalidRequest):
        await links.fetch(url, Guard())


async def test_a_public_page_must_not_redirect_inside() -> None:
    """The test's own server stands for the public internet; anything else on loopback stays private."""
    app = web.Application()

    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPFound(request.query["to"])

    async def page(request: web.Request) -> web.Response:
        text = "<html><head><title>t</title><script>evil()</script></head><body><h1>API</h1><p>Call &lt;it&gt;.</p>"
        return web.Response(text=text, content_type="text/html")

    async def big(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * (links.MAX_BYTES + 1))

    async def missing(request: web.Request) -> web.Response:
        raise web.HTTPNotFound

    for path, handler in (("/to", redirect), ("/page", page), ("/big", big), ("/missing", missing)):
        app.router.add_get(path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"

    only = Guard(["127.0.0.1"])
    try:
        text, name = await links.fetch(f"{base}/to?to={base}/page", only)
        assert text == "# API\n\nCall <it>.\n" and name == "127.0.0.1/page.md"
        cases: list[tuple[str, type[CodeweftError]]] = [
            (f"{base}/to?to=http://127.0.0.2:1/", InvalidRequest),
            (f"{base}/to?to=file:///etc/passwd", InvalidRequest),
            (f"{base}/to?to={base}/to", UpstreamFailed),
            (f"{base}/big", TooLarge),
            (f"{base}/missing", UpstreamFailed),
            ("http://127.0.0.1:1/", UpstreamFailed),
        ]
        for url, error in cases:
            with pytest.raises(error):
                await links.fetch(url, only)
    finally:
        await runner.cleanup()
