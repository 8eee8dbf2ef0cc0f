"""Finding code over HTTP: OPEA's retriever, search with reasons, symbols, regular expressions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.server.conftest import Hashed, Server

CART = '''class Cart:
    def add_prices(self, items):
        """Add the prices of items."""
        return sum(item.price for item in items)


def checkout(cart, items):
    # add_prices is called once
    return cart.add_prices(items)
'''
ROUTES = "export function add_route(path) {\n  return add_prices(path);\n}\n"


@pytest.fixture
def shop(server: Server, tmp_path: Path) -> str:
    root = tmp_path / "store"
    (root / "web").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "HEAD").write_text("ref: refs/heads/release\n")
    (root / "cart.py").write_text(CART)
    (root / "web" / "routes.js").write_text(ROUTES)
    name = f"store-{tmp_path.name.replace('_', '-')}"[:60]
    server.composition.indexes.add(str(root), name).update()
    return name


async def post(server: Server, path: str, body: Any, status: int = 200) -> Any:
    async with server.client() as client, client.post(path, json=body) as response:
        text = await response.text()
        assert response.status == status, text
        return json.loads(text)


async def get(server: Server, path: str, status: int = 200, **params: Any) -> Any:
    async with server.client() as client, client.get(path, params=params) as response:
        text = await response.text()
        assert response.status == status, text
        return json.loads(text)


# ── OPEA's retriever ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_question_is_answered_in_the_shape_of_embed_doc(server: Server, shop: str) -> None:
    body = {"text": "add the prices of items", "index_name": shop, "search_type": "similarity", "k": 2}
    answer = await post(server, "/v1/retrieval", body)
    assert set(answer) == {"id", "retrieved_docs", "initial_query", "top_n", "metadata"}
    assert answer["initial_query"] == "add the prices of items" and answer["top_n"] == 1
    assert [set(doc) for doc in answer["retrieved_docs"]] == [{"id", "text"}] * 2
    assert "add_prices" in answer["retrieved_docs"][0]["text"]
    assert len(answer["metadata"]) == 2 and answer["metadata"][0]["path"] == "cart.py"


async def test_an_input_and_a_chat_come_back_in_their_own_shapes(server: Server, shop: str) -> None:
    answer = await post(
        server, "/v1/retrieval", {"input": "add prices", "index_name": shop, "request_type": "retrieval"}
    )
    assert set(answer) == {"retrieved_docs"}
    assert set(answer["retrieved_docs"][0]) == {"text", "metadata"}
    chat = {
        "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "add prices"}],
        "model": "any", "temperature": 0.5, "index_name": shop, "k": 1, "top_n": 1,
    }  # fmt: skip
    answer = await post(server, "/v1/retrieval", chat)
    assert {name: answer[name] for name in chat} == chat
    assert (
        answer["documents"] == [doc["text"] for doc in answer["retrieved_docs"]]
        and len(answer["documents"]) == 1
    )


async def test_four_chunks_are_returned_unless_told(server: Server, tmp_path: Path) -> None:
    root = tmp_path / "many"
    root.mkdir()
    for n in range(8):
        (root / f"f{n}.py").write_text(f"def price_{n}():\n    return price({n})\n")
    server.composition.indexes.add(str(root), f"many-{tmp_path.name}"[:60]).update()
    answer = await post(
        server, "/v1/retrieval", {"text": "price", "index_name": f"many-{tmp_path.name}"[:60]}
    )
    assert len(answer["retrieved_docs"]) == 4


@pytest.mark.parametrize(
    "wrap", [lambda v: v, lambda v: [v], lambda v: {"data": [{"embedding": v, "index": 0}]}]
)
async def test_an_embedding_is_looked_for_instead_of_the_text(
    server: Server, shop: str, wrap: Callable[[list[float]], Any]
) -> None:
    vector = Hashed().encode(["export function add_route(path) {"])[0].tolist()
    body = {"text": "add the prices of items", "embedding": wrap(vector), "index_name": shop, "k": 1}
    answer = await post(server, "/v1/retrieval", body)
    assert answer["metadata"][0]["path"] == "web/routes.js"
    refused = await post(server, "/v1/retrieval", {**body, "embedding": [1.0, 2.0]}, 400)
    assert refused["error"]["param"] == "embedding" and "64" in refused["error"]["message"]


async def test_thresholds_leave_out_what_is_not_near_enough(server: Server, shop: str) -> None:
    body = {"text": "export function add_route(path) {", "index_name": shop, "k": 50}
    everything = await post(server, "/v1/retrieval", body)
    some = await post(
        server, "/v1/retrieval", {**body, "search_type": "similarity_score_threshold", "score_threshold": 0.4}
    )
    best = everything["metadata"][0]["score"]
    near = await post(
        server, "/v1/retrieval",
        {**body, "search_type": "similarity_distance_threshold", "distance_threshold": 1 - best + 1e-3},
    )  # fmt: skip
    assert 0 < len(some["metadata"]) < len(everything["metadata"])
    assert all(one["score"] >= 0.4 for one in some["metadata"])
    assert [one["path"] for one in near["metadata"]] == ["web/routes.js"]


async def test_mmr_prefers_what_differs(server: Server, tmp_path: Path) -> None:
    root = tmp_path / "mmr"
    root.mkdir()
    for n in range(3):
        (root / f"same{n}.py").write_text(f"def total(price tax):\n    return price tax price tax {n}\n")
    (root / "other.py").write_text("def total(price):\n    return shipping discount voucher\n")
    name = f"mmr-{tmp_path.name}"[:60]
    server.composition.indexes.add(str(root), name).update()
    body = {"text": "total price tax", "index_name": name, "k": 2, "fetch_k": 4}
    near = await post(server, "/v1/retrieval", {**body, "search_type": "similarity"})
    mixed = await post(server, "/v1/retrieval", {**body, "search_type": "mmr", "lambda_mult": 0.3})
    assert "other.py" not in [one["path"] for one in near["metadata"]]
    assert [one["path"] for one in mixed["metadata"]][1] == "other.py"


# ── search ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_search_explains_itself(server: Server, shop: str) -> None:
    body = {"query": "add price", "index": shop, "k": 3, "explain": True}
    answer = await post(server, "/v1/search", body)
    told = answer["explanation"]
    assert told["type"] == "hybrid" and told["indexes"] == [shop] and told["candidates"] >= 3
    assert "prices" in told["terms"]["price"]
    assert set(told["seconds"]) == {"encode", "candidates", "rank", "read"}
    assert answer["results"][0]["why"]["lexical"] > 0
    plain = await post(server, "/v1/search", {**body, "explain": False})
    assert "explanation" not in plain and "why" not in plain["results"][0]


async def test_search_is_narrowed_by_branch_and_repository(server: Server, shop: str) -> None:
    for path in ("/v1/search", "/api/search"):
        body = {"query": "prices", "index": shop}
        assert (await post(server, path, {**body, "branches": ["release"], "repositories": ["store"]}))[
            "results"
        ]
        refused = await post(server, path, {**body, "branches": ["main"]}, 404)
        assert "release" in json.dumps(refused)
        found = await post(server, path, {**body, "languages": ["javascript"]})
        assert {one["path"] for one in found["results"]} == {"web/routes.js"}


async def test_the_page_searches_by_type_and_sees_why(server: Server, shop: str) -> None:
    body = {"query": "add prices of items", "index": shop, "search_type": "similarity", "explain": True}
    answer = await post(server, "/api/search", body)
    assert answer["explanation"]["type"] == "similarity"
    assert answer["results"][0]["index"] == shop and set(answer["results"][0]["why"]) == {"vector"}
    refused = await post(server, "/api/search", {**body, "search_type": "similarity_distance_threshold"}, 400)
    assert refused["error"]["param"] == "distance_threshold"
    refused = await post(server, "/api/search", {**body, "kinds": ["struct"]}, 400)
    assert "interface" in refused["error"]["fix"]


# ── symbols and regular expressions ──────────────────────────────────────────────────────────────────────────


async def test_symbols_are_defined_used_and_called(server: Server, shop: str) -> None:
    asked = {"name": "add_prices", "index": shop}
    (found,) = (await get(server, "/api/symbols", **asked))["places"]
    assert (found["path"], found["line"], found["name"], found["role"]) == (
        "cart.py",
        2,
        "Cart.add_prices",
        "definition",
    )
    used = await get(server, "/api/symbols", find="references", **asked)
    assert [(one["path"], one["line"]) for one in used["places"]] == [("cart.py", 9), ("web/routes.js", 2)]
    callers = await get(server, "/api/symbols", find="callers", languages="python", **asked)
    assert [one["name"] for one in callers["places"]] == ["checkout"]
    callees = await get(server, "/api/symbols", find="callees", name="checkout", index=shop)
    assert [one["name"] for one in callees["places"]] == ["Cart.add_prices"]
    cut = await get(server, "/api/symbols", find="references", limit=1, **asked)
    assert cut["more"] and len(cut["places"]) == 1
    await get(server, "/api/symbols", 400, name="two words", index=shop)
    await get(server, "/api/symbols", 400, name="x", find="relatives", index=shop)


async def test_lines_are_matched_with_what_is_around_them(server: Server, shop: str) -> None:
    found = await get(server, "/api/grep", pattern=r"add_\w+\(", index=shop, context=1)
    assert [(hit["path"], hit["number"]) for hit in found["hits"]] == [
        ("cart.py", 2), ("cart.py", 9), ("web/routes.js", 1), ("web/routes.js", 2),
    ]  # fmt: skip
    assert found["hits"][0]["before"] == ["class Cart:"] and not found["more"]
    start, end = found["hits"][0]["spans"][0]
    assert found["hits"][0]["text"][start:end] == "add_prices("
    refused = await get(server, "/api/grep", 400, pattern="(?=x)", index=shop)
    assert "look-around" in refused["error"]["message"]


async def test_lines_are_streamed_when_asked(server: Server, shop: str) -> None:
    headers = {**server.headers, "Accept": "application/x-ndjson"}
    async with aiohttp.ClientSession(server.url, headers=headers) as client:
        asked = {"pattern": "prices", "index": shop, "limit": "3"}
        async with client.get("/api/grep", params=asked) as response:
            assert response.content_type == "application/x-ndjson"
            lines = [json.loads(line) async for line in response.content]
    assert [line["number"] for line in lines[:-1]] == [2, 3, 8] and lines[-1] == {"more": True}


async def test_what_is_not_indexed_is_said_not_searched(server: Server, shop: str) -> None:
    for path, asked in (("/api/symbols", {"name": "x"}), ("/api/grep", {"pattern": "x"})):
        refused = await get(server, path, 404, repositories="elsewhere", index=shop, **asked)
        assert "store" in refused["error"]["fix"]
        await get(server, path, 404, index="nowhere", **asked)
        await get(server, path, 400, index=shop, flavour="x", **asked)
