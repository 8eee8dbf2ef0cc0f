"""Whatever is sent, the answer is a clear refusal and never a 500."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.conftest import Server

CHAT, COMPLETE, EMBED = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
HI = [{"role": "user", "content": "hi"}]


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "plain", "messages": HI, **fields}


def complete(**fields: Any) -> dict[str, Any]:
    return {"model": "plain", "prompt": "x", **fields}


BAD: list[tuple[str, Any, int, str]] = [
    # path, body (bytes or JSON), status, part of the message
    (CHAT, b"", 400, "line 1, column 1"),
    (CHAT, b"{", 400, "line 1, column 2"),
    (CHAT, b'{"messages": [}', 400, "column 15"),
    (CHAT, b"[]", 400, "Expected"),
    (CHAT, b'{"model":"\xff"}', 400, "byte 10 is not UTF-8"),
    (CHAT, b"\xff\xfe{\x00}\x00", 400, "byte 0 is not UTF-8"),
    (CHAT, b'{"messages":[{"role":"user","content":"\\ud800"}]}', 400, "surrogate"),
    (CHAT, b'{"a":' + b"[" * 100_000, 400, "not valid JSON"),
    (CHAT, b'{"messages":[],"temperature":NaN}', 400, "not valid JSON"),
    (CHAT, {}, 400, "`messages` is missing"),
    (CHAT, chat(messages=[]), 400, "`messages` is empty"),
    (CHAT, chat(messages="hi"), 400, "`messages` is wrong"),
    (CHAT, chat(messages=[1]), 400, "messages[0]"),
    (CHAT, chat(messages=[{"role": "user"}]), 400, "`messages[0].content` is missing"),
    (CHAT, chat(messages=[{"role": "wizard", "content": "x"}]), 400, "messages[0].role"),
    (CHAT, chat(messages=[{"role": "function", "content": "x"}]), 400, "tool_calls"),
    (CHAT, chat(messages=[{"role": "tool", "content": "x"}]), 400, "tool_call_id"),
    (CHAT, chat(messages=[{"role": "user", "content": "x", "mood": 1}]), 400, "mood"),
    (
        CHAT,
        chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
        400,
        "text only",
    ),
    (CHAT, chat(model="missing"), 404, "There are: codegen"),
    (CHAT, chat(model=5), 400, "`model` is wrong"),
    (CHAT, chat(temperature="hot"), 400, "`temperature` is wrong"),
    (CHAT, chat(temperature=9), 400, "between 0 and 2"),
    (CHAT, chat(top_p=-1), 400, "`top_p`"),
    (CHAT, chat(max_tokens=0), 400, "`max_tokens`"),
    (CHAT, chat(max_tokens=10**9), 400, "at most 32768"),
    (CHAT, chat(max_completion_tokens=1.5), 400, "max_completion_tokens"),
    (CHAT, chat(n=99), 400, "`n` is 99"),
    (CHAT, chat(stop=["a"] * 40), 400, "at most 32"),
    (CHAT, chat(stop=[""]), 400, "empty string"),
    (CHAT, chat(top_logprobs=3), 400, "logprobs: true"),
    (CHAT, chat(logit_bias={"cat": 1}), 400, "no token id"),
    (CHAT, chat(logit_bias={"5": 1000}), 400, "between -100 and 100"),
    (CHAT, chat(response_format={"type": "xml"}), 400, "response_format.type"),
    (CHAT, chat(response_format={"type": "json_schema"}), 400, "json_schema.schema"),
    (
        CHAT,
        chat(
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "nonsense"}},
            }
        ),
        400,
        "not a JSON Schema",
    ),
    (CHAT, chat(tools=[{"type": "retrieval"}]), 400, "tools[0]"),
    (CHAT, chat(tools=[{"type": "function", "function": {"name": "a b"}}]), 400, "tools[0].function.name"),
    (CHAT, chat(tool_choice="required"), 400, "needs `tools`"),
    (CHAT, chat(functions=[{"name": "f"}]), 400, "replaced by `tools`"),
    (CHAT, chat(audio={"voice": "x"}), 400, "`audio` cannot be used"),
    (CHAT, chat(modalities=["text", "audio"]), 400, "answers are text"),
    (CHAT, chat(parallel_tool_calls="no"), 400, "parallel_tool_calls"),
    (CHAT, chat(web_search_options={}), 400, "web_search_options"),
    (CHAT, chat(temperatur=1), 400, "`temperatur` is not known"),
    (CHAT, chat(index="a", index_name="b"), 400, "two indexes"),
    (CHAT, chat(agents_flag="maybe"), 400, "agents_flag"),
    (CHAT, chat(k=0), 400, "`k` is 0"),
    (CHAT, chat(seed=2**70), 400, "`seed`"),
    (COMPLETE, {"model": "plain"}, 400, "`prompt` is missing"),
    (COMPLETE, complete(prompt=[]), 400, "`prompt` is empty"),
    (COMPLETE, complete(prompt=[1, 2]), 400, "token ids"),
    (COMPLETE, complete(prompt=[[1, 2]]), 400, "token ids"),
    (COMPLETE, complete(prompt="<FILL> and <FILL>"), 400, "2 times"),
    (COMPLETE, complete(prompt=["a", "b"], suffix="c"), 400, "one prompt"),
    (COMPLETE, complete(best_of=3), 400, "best_of"),
    (COMPLETE, complete(logprobs=50), 400, "between 0 and 20"),
    (EMBED, {"model": "letters"}, 400, "`input` is missing"),
    (EMBED, {"input": []}, 400, "`input` is empty"),
    (EMBED, {"input": [""]}, 400, "empty text"),
    (EMBED, {"input": [[1]]}, 400, "token ids"),
    (EMBED, {"input": "x", "dimensions": 99}, 400, "has 8"),
    (EMBED, {"input": "x", "encoding_format": "hex"}, 400, "encoding_format"),
    (EMBED, {"input": "x", "model": "gpt"}, 404, "no embedding model"),
    ("/v1/search", {}, 400, "`query` is missing"),
    ("/v1/search", {"query": " "}, 400, "empty"),
    ("/v1/search", {"query": "x", "index": "nowhere"}, 404, "nowhere"),
    ("/v1/codegen", {"messages": ""}, 200, ""),
    ("/v1/codegen", {"messages": "x", "search_type": "nearest"}, 400, "hybrid, similarity"),
    (CHAT, chat(languages=["pyhton"]), 400, "Did you mean python?"),
    (CHAT, chat(languages=["ts"]), 400, "Did you mean typescript?"),
    (CHAT, chat(kinds=["lambda"]), 400, "There are: block, class"),
    (CHAT, chat(paths=[" "]), 400, "empty"),
    ("/v1/search", {"query": "x", "search_type": "similarity_distance_threshold"}, 400, "distance_threshold"),
    ("/v1/search", {"query": "x", "lambda_mult": 2}, 400, "between 0 and 1"),
    ("/v1/search", {"query": "x", "index": "a", "index_name": "b"}, 400, "two indexes"),
    ("/v1/retrieval", {}, 400, "`text`, `input` and `messages`"),
    ("/v1/retrieval", {"text": "x", "messages": "y"}, 400, "Exactly one"),
    ("/v1/retrieval", {"text": ["x", "y"]}, 400, "2 questions"),
    ("/v1/retrieval", {"text": "x", "embedding": ["a"]}, 400, "list of numbers"),
    ("/v1/retrieval", {"text": "x", "embedding": {"data": []}}, 400, "list of numbers"),
    ("/v1/retrieval", {"text": "x", "search_type": "best"}, 400, "similarity_score_threshold, mmr"),
    (
        "/v1/retrieval",
        {"text": "x", "search_type": "similarity_distance_threshold"},
        400,
        "needs `distance_threshold`",
    ),
    ("/v1/retrieval", {"text": "x", "k": 0}, 400, "`k` is 0"),
    ("/v1/retrieval", {"text": "x", "graph_name": "g"}, 400, "graph"),
    ("/v1/retrieval", {"text": "x", "constraints": {"a": 1}}, 400, "narrow by"),
    ("/v1/retrieval", {"text": "x", "wanted": 1}, 400, "`wanted` is not known"),
    ("/v1/retrieval", {"messages": [{"role": "assistant", "content": "x"}]}, 400, "no turn of a user"),
    ("/v1/retrieval", {"text": "x", "index_name": "nowhere"}, 404, "nowhere"),
    ("/v1/codegen", {"messages": "x", "documents": ["d"]}, 400, "documents"),
    ("/v1/dataprep/get", {"index_name": 5}, 400, "index_name"),
    ("/v1/dataprep/delete", {}, 400, "`file_path` is missing"),
    ("/v1/dataprep/ingest", {}, 400, "must be a form"),
    ("/v1/nothing", {}, 404, "/v1/nothing"),
]


def test_there_are_enough_cases() -> None:
    assert len(BAD) >= 60


@pytest.mark.parametrize(("path", "body", "status", "message"), BAD)
async def test_bad_input_is_refused_by_name(
    server: Server, path: str, body: Any, status: int, message: str
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with server.client() as client, client.post(path, data=data) as response:
        text = await response.text()
        assert response.status == status, text
        if status >= 400:
            error = json.loads(text)["error"]
            assert message in error["message"]
            assert set(error) == {"message", "type", "param", "code"}


async def test_the_field_at_fault_is_the_param(server: Server) -> None:
    async with server.client() as client:
        for body, param in (
            (chat(messages=[{"role": "user", "content": 5}]), "messages[0].content"),
            (chat(temperature=3), "temperature"),
            (chat(tools=[{"type": "x"}]), "tools[0]"),
        ):
            async with client.post(CHAT, json=body) as response:
                assert (await response.json())["error"]["param"] == param


async def test_a_wrong_method_names_the_right_one(server: Server) -> None:
    async with server.client() as client, client.get(CHAT) as response:
        assert response.status == 405
        assert "POST" in (await response.json())["error"]["message"]


async def test_a_body_above_the_limit_is_refused_before_it_is_read(server: Server) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 200_000_000:
            sent += 65536
            yield b" " * 65536

    async with server.client() as client:
        async with client.post(CHAT, data=b" " * 1_000_001) as response:
            assert response.status == 413
            assert "larger than 1 MB" in (await response.json())["error"]["message"]
        # A server that closes early may reach the client as a reset instead of an answer.
        try:
            async with client.post(CHAT, data=endless()) as response:
                assert response.status == 413
        except aiohttp.ClientError:
            pass
    assert sent < 50_000_000


async def test_compressed_bodies_are_not_unpacked(server: Server) -> None:
    headers = {"Content-Encoding": "gzip"}
    async with server.client() as client, client.post(CHAT, data=b"\x1f\x8b", headers=headers) as response:
        assert response.status == 400
        assert "gzip" in (await response.json())["error"]["message"]


API_BAD: list[tuple[str, str, Any, int]] = [
    ("POST", "/api/indexes", b"{", 400),
    ("POST", "/api/indexes", b"\xff", 400),
    ("POST", "/api/indexes", {}, 400),
    ("POST", "/api/indexes", {"source": 5}, 400),
    ("POST", "/api/indexes", {"source": "/no/such/folder", "name": "x"}, 404),
    ("POST", "/api/indexes", {"source": "/tmp", "name": "../x"}, 400),
    ("POST", "/api/indexes", {"source": "ext::sh -c id", "name": "x"}, 400),
    ("GET", "/api/indexes/none", None, 404),
    ("GET", "/api/indexes/none/source?path=x&start=5&end=1", None, 400),
    ("GET", "/api/indexes/none/files?limit=x", None, 400),
    ("POST", "/api/search", {"query": ""}, 400),
    ("POST", "/api/search", {"query": "x", "k": 1000}, 400),
    ("POST", "/api/search", {"query": "x", "kk": 1}, 400),
    ("POST", "/api/search", {"query": "x", "index": "none"}, 404),
    ("POST", "/api/search", b'{"query": "\\ud800"}', 400),
    ("GET", "/api/conversations/none", None, 404),
    ("GET", "/api/conversations?before=yesterday", None, 400),
    ("POST", "/api/conversations/none/answers", {"content": "x"}, 404),
    ("POST", "/api/conversations/none/answers", {"content": "x", "regenerate": True}, 400),
    ("POST", "/api/conversations/none/answers", {"content": "x", "sampling": {"temperature": 7}}, 400),
    ("GET", "/api/answers/none/events", None, 404),
    ("PUT", "/api/turns/none/rating", {"rating": "superb"}, 400),
    ("PUT", "/api/turns/none/rating", {"rating": "good"}, 404),
    ("POST", "/api/keys", {"name": ""}, 400),
    ("DELETE", "/api/keys/none", None, 404),
    ("GET", "/api/nothing", None, 404),
    ("PATCH", "/api/keys", {}, 405),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), API_BAD)
async def test_bad_input_to_the_web_api_is_refused(
    server: Server, method: str, path: str, body: Any, status: int
) -> None:
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    async with (
        server.client() as client,
        client.request(method, path, data=data, headers=headers) as response,
    ):
        assert response.status == status, await response.text()
        assert set((await response.json())["error"]) == {"message", "fix", "code", "param"}


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["messages", "prompt", "input", "model", "temperature", "stop", "n", "tools", "tool_choice", "response_format",
     "logit_bias", "stream", "stream_options", "k", "index", "agents_flag", "query", "suffix", "logprobs",
     "metadata", "seed", "max_tokens", "content", "regenerate", "sampling", "name", "index_name"]
)  # fmt: skip
PATHS = st.sampled_from(
    [CHAT, COMPLETE, EMBED, "/v1/search", "/v1/codegen", "/v1/dataprep/get", "/v1/dataprep/delete", "/api/search",
     "/api/indexes", "/api/conversations", "/api/conversations/x/answers", "/api/keys", "/api/indexes/x/update"]
)  # fmt: skip


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    path=PATHS,
    body=st.binary(max_size=60)
    | st.dictionaries(FIELDS, ANYTHING, max_size=5).map(lambda b: json.dumps(b).encode()),
)
def test_no_body_makes_the_server_fail(server: Server, path: str, body: bytes) -> None:
    async def send() -> None:
        headers = {"Content-Type": "application/json"}
        async with server.client() as client, client.post(path, data=body, headers=headers) as response:
            assert response.status < 500, await response.text()
            await response.read()

    server.run(send())
