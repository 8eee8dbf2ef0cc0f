"""Streams end when their reader leaves, and when the server stops."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

import aiohttp
import pytest

from codeweft.errors import ContextOverflow, EngineFailed
from codeweft.models.scripted import ScriptedModel
from codeweft.types import (
    Done,
    Failed,
    PromptProgress,
    Started,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from tests.server.conftest import Server

HI = [{"role": "user", "content": "hi"}]


async def until(condition: Callable[[], bool], seconds: float = 3) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.01)
    return True


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("n", [1, 2])
async def test_leaving_cancels_the_model(server: Server, stream: bool, n: int) -> None:
    slow = server.composition.models["slow"]
    before, asked = slow.cancelled, len(slow.requests)
    body = {"model": "slow", "messages": HI, "stream": stream, "n": n}
    async with server.client() as client:
        request = asyncio.create_task(client.post("/v1/chat/completions", json=body))
        assert await until(lambda: len(slow.requests) == asked + n)
        if stream:
            response = await request
            await response.content.readany()
            response.close()
        else:
            await asyncio.sleep(0.05)
            request.cancel()
    assert await until(lambda: slow.cancelled == before + n)


async def test_a_slow_reader_slows_the_model_down(starting: Callable[..., Server]) -> None:
    taken = 0

    class Fast(ScriptedModel):
        async def stream(self, request):  # type: ignore[no-untyped-def]
            nonlocal taken
            yield Started("fast")
            for _ in range(3000):
                taken += 1
                yield TextDelta("x" * 10_000)
            yield Done(Usage())

    server = starting({"fast": Fast("fast")})
    host, port = server.url.removeprefix("http://").split(":")
    raw = socket.create_connection((host, int(port)))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    body = b'{"model":"fast","stream":true,"messages":[{"role":"user","content":"x"}]}'
    raw.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
        % (server.key.encode(), len(body), body)
    )
    await asyncio.sleep(1)
    stalled = taken
    await asyncio.sleep(0.5)
    raw.close()
    assert 0 < stalled < 2000
    assert taken == stalled


async def test_a_refusal_before_the_first_token_is_an_http_status(starting: Callable[..., Server]) -> None:
    error = ContextOverflow("The prompt is 9000 tokens long; 8192 fit.", details={"prompt_tokens": 9000})
    server = starting({"small": ScriptedModel("small", [Started("small"), Failed(error)])})
    async with server.client() as client:
        for stream in (True, False):
            body = {"model": "small", "messages": HI, "stream": stream}
            async with client.post("/v1/chat/completions", json=body) as response:
                assert response.status == 400
                told = (await response.json())["error"]
                assert told["code"] == "context_length_exceeded" and told["details"] == {
                    "prompt_tokens": 9000
                }


async def test_a_failure_in_the_middle_is_the_last_event(starting: Callable[..., Server]) -> None:
    events = [Started("m"), PromptProgress(1, 2), TextDelta("half"), Failed(EngineFailed("The engine died."))]
    server = starting({"m": ScriptedModel("m", events)})
    async with server.client() as client:
        async with client.post(
            "/v1/chat/completions", json={"model": "m", "messages": HI, "stream": True}
        ) as response:
            lines = [line for line in (await response.text()).split("\n\n") if line]
        assert "half" in lines[-2] and "The engine died." in lines[-1]
        assert "[DONE]" not in lines
        async with client.post("/v1/chat/completions", json={"model": "m", "messages": HI}) as response:
            assert response.status == 502


async def test_a_bug_is_told_by_number_only(starting: Callable[..., Server]) -> None:
    class Buggy(ScriptedModel):
        async def stream(self, request):  # type: ignore[no-untyped-def]
            yield Started("buggy")
            raise ZeroDivisionError("secret detail")

    server = starting({"buggy": Buggy("buggy")})
    body = {"model": "buggy", "messages": HI}
    async with server.client() as client, client.post("/v1/chat/completions", json=body) as response:
        assert response.status == 500
        text = await response.text()
        assert "secret" not in text and "log has the details" in text


async def test_tool_calls_and_logprobs_travel(starting: Callable[..., Server]) -> None:
    events = [
        Started("m"),
        TextDelta("a", (TokenLogprob("a", -0.5, (("a", -0.5), ("b", -1.5))),)),
        ToolCallDelta(0, '{"x"', "call_1", "look"),
        ToolCallDelta(0, ":1}"),
        Done(Usage(1, 2), "tool_calls"),
    ]
    server = starting({"m": ScriptedModel("m", events)})
    body = {
        "model": "m", "messages": HI, "logprobs": True, "top_logprobs": 2,
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}],
    }  # fmt: skip
    async with server.client() as client, client.post("/v1/chat/completions", json=body) as response:
        choice = (await response.json())["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}
    ]
    assert choice["logprobs"]["content"][0]["top_logprobs"][1] == {
        "token": "b",
        "logprob": -1.5,
        "bytes": [98],
    }


async def test_a_stopping_server_says_its_last_word_quickly(starting: Callable[..., Server]) -> None:
    server = starting({"slow": ScriptedModel("slow", "word " * 5000, delay=0.01)})
    async with server.client() as client:
        body = {"model": "slow", "messages": HI, "stream": True}
        async with client.post("/v1/chat/completions", json=body) as response:
            await response.content.readany()
            began = time.monotonic()
            server.loop.call_soon_threadsafe(server.task.cancel)
            text = await response.text()
            await asyncio.to_thread(server.thread.join, 10)
            assert time.monotonic() - began < 3
            assert "The server is stopping." in text
    assert server.composition.models["slow"].cancelled == 1


async def test_metrics_count_requests_and_tokens(server: Server) -> None:
    async with server.client() as client:
        await (await client.post("/v1/chat/completions", json={"model": "plain", "messages": HI})).read()
        async with client.get("/metrics") as response:
            text = await response.text()
    assert 'codeweft_requests_total{route="/v1/chat/completions",status="200"}' in text
    assert 'codeweft_tokens_total{kind="completion",model="plain"}' in text
    assert 'codeweft_first_token_seconds_count{model="plain"}' in text


async def test_half_a_character_in_an_answer_does_not_break_it(starting: Callable[..., Server]) -> None:
    server = starting({"m": ScriptedModel("m", [Started("m"), TextDelta("a\ud800b"), Done(Usage())])})
    async with server.client() as client:
        for stream in (True, False):
            body = {"model": "m", "messages": HI, "stream": stream}
            async with client.post("/v1/chat/completions", json=body) as response:
                assert "a?b" in await response.text()


async def test_web_sockets_are_declined(server: Server) -> None:
    async with server.client() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect("/v1/chat")
