"""What the adapter costs: tokens per second and time to the first token through `EmbeddedModel` and without it.

"Bare" is llama.cpp's server from the same wheel in a process of its own, with nothing set but model, slots, context and
threads, asked by a socket that posts the same token ids and only counts bytes until the last event: the floor for any
client. Rounds alternate, figures are medians.

    python -m bench.engine.adapter [--model FILE.gguf] [--tokens 256] [--rounds 7] [--streams 1 4]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from codeweft.models.embedded import EmbeddedModel
from codeweft.models.engine import Engine
from codeweft.models.gguf import GgufHeader
from codeweft.models.loaded import LoadedFile
from codeweft.models.native import completion_body
from codeweft.models.plan import EngineOptions, EnginePlan
from codeweft.models.starter import bundled
from codeweft.types import Done, Failed, Request, Sampling, TextDelta

PROMPT = "def quicksort(values):\n    "


@dataclass(frozen=True)
class Round:
    """Seconds to the first token (mean over streams), tokens per second of all streams, CPU seconds of this process."""

    first: float
    rate: float
    cpu: float


def untouched(header: GgufHeader, options: EngineOptions, sized: EnginePlan) -> dict[str, Any]:
    """llama.cpp's own defaults but for what is compared alike."""
    return {
        "model.path": str(header.path),
        "n_parallel": sized.slots,
        "n_ctx": sized.context * sized.slots,
        "cpuparams.n_threads": sized.threads,
        "cpuparams_batch.n_threads": sized.threads,
    }


async def bare(engine: Engine, body: bytes) -> tuple[float, int]:
    """Post `body` on a plain socket. Returns when the first token came and how many there were."""
    address = urlsplit(engine._url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        f"POST /completion HTTP/1.1\r\nHost: engine\r\nAuthorization: Bearer {engine._key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    began, first, tokens, tail = time.perf_counter(), 0.0, 0, b""
    while chunk := await reader.read(1 << 16):
        tail = (tail + chunk)[-4096:]
        if not first and b'"tokens_predicted":1,' in chunk:
            first = time.perf_counter() - began
        if b'"stop":true' in tail:
            tokens = int(tail.rsplit(b'"tokens_predicted":', 1)[1].split(b",", 1)[0])
            break
    writer.close()
    return first, tokens


async def ours(model: EmbeddedModel, request: Request) -> tuple[float, int]:
    """Ask through the adapter."""
    began, first = time.perf_counter(), 0.0
    async with aclosing(model.stream(request)) as events:
        async for event in events:
            if isinstance(event, TextDelta) and not first:
                first = time.perf_counter() - began
            elif isinstance(event, Failed):
                raise SystemExit(str(event.error))
            elif isinstance(event, Done):
                return first, event.usage.completion_tokens
    raise AssertionError("an answer without end")


async def measure(streams: int, ask: Callable[[], Awaitable[tuple[float, int]]]) -> Round:
    process = psutil.Process()
    began, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
    results = await asyncio.gather(*(ask() for _ in range(streams)))
    elapsed = time.perf_counter() - began
    spent = sum(process.cpu_times()[:2]) - cpu
    return Round(
        statistics.mean(first for first, _ in results), sum(count for _, count in results) / elapsed, spent
    )


async def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    options = EngineOptions(parallel=max(arguments.streams), threads=arguments.threads)
    model = EmbeddedModel("bench", arguments.model or bundled(), options=options)
    await model.start()
    alone = LoadedFile("alone", arguments.model or bundled(), options, untouched).engine
    await alone.ready()
    header = model._loaded().header
    # Ruling the special tokens out keeps the answers equally long.
    bias = {
        number: -1e3
        for number, token in enumerate(header.tokenizer.tokens)
        if token in header.tokenizer.control
    }
    sampling = Sampling(temperature=1.0, seed=1, max_tokens=arguments.tokens, top_p=0.9, logit_bias=bias)
    request = Request("bench", prompt=PROMPT, sampling=sampling)
    ids = await model._tokens.of_text(PROMPT)
    body = json.dumps(completion_body(ids, sampling, arguments.tokens, None)).encode()
    try:
        print(f"{header.name}, {header.size / 1e6:.1f} MB, {arguments.tokens} tokens an answer")
        print(f"{'streams':>7} {'':>6} {'tokens/s':>9} {'first ms':>9} {'client CPU us/token':>20}")
        for streams in arguments.streams:
            await measure(streams, lambda: ours(model, request))
            rounds: dict[str, list[Round]] = {"bare": [], "ours": []}
            for number in range(arguments.rounds):
                for name in ("bare", "ours") if number % 2 else ("ours", "bare"):
                    ask = (lambda: bare(alone, body)) if name == "bare" else (lambda: ours(model, request))
                    rounds[name].append(await measure(streams, ask))
            for name, done in rounds.items():
                rate = statistics.median(item.rate for item in done)
                first = statistics.median(item.first for item in done) * 1e3
                cpu = statistics.median(item.cpu for item in done) / (streams * arguments.tokens) * 1e6
                print(f"{streams:>7} {name:>6} {rate:>9.0f} {first:>9.1f} {cpu:>20.0f}")
            pairs = zip(rounds["ours"], rounds["bare"], strict=True)
            ratio = statistics.median(mine.rate / floor.rate for mine, floor in pairs)
            print(f"{streams:>7} {'ratio':>6} {ratio:>9.3f}")
        print(f"load {os.getloadavg()[0]:.1f}")
    finally:
        await alone.close()
        await model.close()


if __name__ == "__main__":
    asyncio.run(main())
