"""An OpenAI-compatible endpoint that writes known answers: slowly, or up to a place where it waits to be let go on."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

ANSWER = (
    """Here is a function that follows [1]:

```python
def add_lines(lines):
    total = 0
    for line in lines:
        total += line.amount
    return total
```

It adds every line once. """
    + "and more words follow. " * 200
)
HERE = "\v"
"""Where an answer waits: no model writes a vertical tab."""
LONGEST_WAIT_SECONDS = 60


class SlowEndpoint:
    """Streams an answer a word at a time. `open_streams` counts the answers being written."""

    def __init__(self, seconds_per_word: float) -> None:
        self.seconds_per_word = seconds_per_word
        self.open_streams = 0
        self.asked: list[dict[str, Any]] = []
        self.url = ""
        self._answer, self._reason = ANSWER, "stop"
        self._going_on = threading.Event()
        self._going_on.set()

    @contextmanager
    def saying(self, answer: str, reason: str = "stop") -> Iterator[None]:
        """Until the block ends, requests are answered so. At `HERE` an answer waits for `go_on`."""
        was = self._answer, self._reason
        self._answer, self._reason = answer, reason
        self._going_on.clear()
        try:
            yield
        finally:
            self._going_on.set()
            self._answer, self._reason = was

    def go_on(self) -> None:
        """Let answers go on that wait at `HERE`."""
        self._going_on.set()

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.open_streams += 1
        reason, parts = self._reason, self._answer.split(HERE)
        try:
            for at, part in enumerate(parts):
                if at > 0:
                    await asyncio.to_thread(self._going_on.wait, LONGEST_WAIT_SECONDS)
                for word in re.findall(r"\s*\S+\s*", part):
                    await response.write(_chunk({"content": word}, None))
                    await asyncio.sleep(self.seconds_per_word)
            await response.write(_chunk({}, reason))
            await response.write(b"data: [DONE]\n\n")
        finally:
            self.open_streams -= 1
        return response


def _chunk(delta: dict[str, str], reason: str | None) -> bytes:
    usage = {"prompt_tokens": 9, "completion_tokens": 99, "total_tokens": 108} if reason else None
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "slow", "usage": usage}
    return (
        b"data: "
        + json.dumps(body | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}).encode()
        + b"\n\n"
    )


@contextmanager
def serving(seconds_per_word: float = 0.02) -> Iterator[SlowEndpoint]:
    """The endpoint on a free port, in a thread of its own."""
    endpoint = SlowEndpoint(seconds_per_word)
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def run() -> web.AppRunner:
        application = web.Application()
        application.router.add_post("/v1/chat/completions", endpoint.chat)
        runner = web.AppRunner(application, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        endpoint.url = f"http://127.0.0.1:{port}/v1"
        return runner

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(run())
        started.set()
        loop.run_forever()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert started.wait(10)
    yield endpoint
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
