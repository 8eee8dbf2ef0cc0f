"""A real server on a free port, over scripted models and real indexes."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from argon2.profiles import CHEAPEST

from codeweft.accounts import Accounts, SignInPolicy
from codeweft.config import ServerSettings, Settings
from codeweft.errors import NotFound
from codeweft.jobs import Jobs
from codeweft.models.prices import Prices
from codeweft.models.scripted import ScriptedModel
from codeweft.retrieval.bridge import Bridge
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.redact import Redactor
from codeweft.runtime.summaries import Summaries
from codeweft.runtime.updates import Updates
from codeweft.server.run import serve
from codeweft.types import (
    Caller,
    Chunk,
    Cited,
    Done,
    Embeddings,
    Explained,
    Message,
    ModelInfo,
    Price,
    Retrieved,
    SearchResult,
    Started,
    TextDelta,
    Usage,
    Vectors,
)

CHUNK = Chunk(
    "shop", "cart.py", 3, 9, "python", "function", "total", "def total(): ...", "def total()", commit="abc"
)
RETRIEVED = Retrieved("total", (SearchResult(CHUNK, 0.75, {"name": 1.0}),), "shop")


EXPLAINED = [
    Started("explained"),
    RETRIEVED,
    TextDelta("Use [1] and [2]."),
    Cited((1,), (2,)),
    Explained("how?", "total", RETRIEVED.results, RETRIEVED.results, (Message("user", "how?"),)),
    Done(Usage(12, 4, 0), "stop"),
]
"""An answer that tells how it came about, with a citation that fails."""


class Letters:
    """An embedder: how often each letter occurs, at unit length."""

    info = ModelInfo("letters", "embedded", frozenset({"embeddings"}))

    async def embed(self, texts: Any) -> Embeddings:
        rows = np.array([[t.count(letter) + 0.01 for letter in "abcdefgh"] for t in texts], dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return Embeddings(rows, Usage(sum(len(text.split()) for text in texts)))


class Hashed:
    """An encoder that needs no training: words hashed into 64 directions."""

    name = "hashed"
    dimensions = 64

    def encode(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode("utf-8", "replace")) % self.dimensions] += 1
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(norms == 0, 1, norms)


@dataclass
class Composition:
    """What a runtime is to the server."""

    settings: Settings
    accounts: Accounts
    models: dict[str, Any]
    indexes: Indexes
    jobs: Jobs = field(default_factory=Jobs)
    default_model: str = "codegen"
    redactor: Redactor = field(default_factory=Redactor)
    apps: list[Any] = field(default_factory=list)
    sandbox: Any = None
    prices: Prices = field(default_factory=lambda: Prices({"paid": Price(2.0, 10.0)}, table=False))

    def __post_init__(self) -> None:
        bridge = Bridge(asyncio.get_running_loop())
        self.summaries = Summaries(self.settings, self.jobs, lambda name: self.model(name or "plain"), bridge)
        self.summaries.indexes = self.indexes
        self.updates = Updates(self.jobs, self.indexes, self.summaries.updated)

    def readable(self, caller: Caller) -> Indexes:
        return self.indexes.seen_by(partial(self.accounts.may_read, caller.user))

    def infos(self) -> list[ModelInfo]:
        return [model.info for model in self.models.values()] + [Letters.info]

    def model(self, name: str) -> Any:
        if name not in self.models:
            raise NotFound(
                f"There is no model {name!r}.", fix=f"There are: {', '.join(self.models)}.", param="model"
            )
        return self.models[name]

    def tasks(self) -> list[Any]:
        return self.apps

    def embedder(self, name: str | None) -> Letters:
        if name not in (None, "letters"):
            raise NotFound(f"There is no embedding model {name!r}.", param="model")
        return Letters()

    def writer_info(self, name: str) -> ModelInfo | None:
        return None if name not in self.models else self.models[name].info

    def engines(self) -> list[Any]:
        return []


def app_model(**options: Any) -> ScriptedModel:
    """An app that looks something up, then answers."""
    events = [
        Started("plain", "This is only a test."),
        RETRIEVED,
        TextDelta("Use `total` "),
        TextDelta("[1]."),
        Done(Usage(12, 4, 2), "stop", {"tokens_per_s": 9.0}),
    ]
    return ScriptedModel("codegen", events, **options)


@dataclass
class Server:
    """A running server, seen from outside and (for what only the inside tells) from inside."""

    url: str
    key: str
    home: Path
    composition: Composition
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None]
    thread: threading.Thread

    def run(self, awaitable: Any, timeout: float = 10) -> Any:
        """Run a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(awaitable, self.loop).result(timeout)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def client(self, **options: Any) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(self.url, headers=options.pop("headers", self.headers), **options)

    def stop(self) -> None:
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.task.cancel)
            self.thread.join(10)


def start(home: Path, models: dict[str, Any], settings: Settings | None = None) -> Server:
    settings = settings or Settings(server=ServerSettings(port=0, max_body_mb=1))
    ready = threading.Event()
    started: dict[str, Any] = {}

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[Composition]:
        chosen = settings.sign_in
        policy = SignInPolicy(
            chosen.registration, chosen.totp, chosen.session_days * 86400, password_cost=CHEAPEST
        )
        async with await Accounts.open(home / "accounts.db", policy=policy) as accounts:
            composition = Composition(
                settings, accounts, models, Indexes(home / "indexes", Hashed(), workers=0)
            )
            composition.indexes.on_found = composition.summaries.found
            started["key"] = await accounts.create_key("tests")
            yield composition
            composition.jobs.close()

    def announce(address: str, composition: Any) -> None:
        started.update(url=address, composition=composition, loop=asyncio.get_running_loop())
        ready.set()

    async def main() -> None:
        task = started["task"] = asyncio.create_task(serve(opened, settings, announce))
        try:
            await task
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            started["error"] = error
            ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(20)
    if "error" in started:
        raise started["error"]
    return Server(
        started["url"], started["key"], home, started["composition"], started["loop"], started["task"], thread
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for a module of tests that leave it as it was."""
    models = {
        "codegen": app_model(),
        "plain": ScriptedModel("plain", "Hello from the plain model"),
        "explained": ScriptedModel("explained", EXPLAINED),
        "coder": ScriptedModel("coder", "```python\ntotal = 1\n```\nor\n```go\ntotal := 1\n```\n"),
        "slow": ScriptedModel("slow", " ".join(["word"] * 2000), delay=0.01),
    }
    running = start(tmp_path_factory.mktemp("home"), models)
    yield running
    running.stop()


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers over the same home; they are stopped at the end."""
    running: list[Server] = []

    def begin(models: dict[str, Any], settings: Settings | None = None) -> Server:
        server = start(tmp_path, models, settings)
        running.append(server)
        return server

    yield begin
    for server in running:
        server.stop()
