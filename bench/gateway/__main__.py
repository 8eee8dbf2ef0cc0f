"""`python -m bench.gateway`: CPU a request and a streamed event, with a scripted model, beside a bare ASGI echo.

Both servers are uvicorn with uvloop and httptools in one process each; CPU is user plus system time of that process.
The echo reads the body and sends as many bytes as Codeweft sends, without looking at them: the floor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import time
from typing import Any

import aiohttp
import psutil

from bench.gateway.servers import EVENTS, serve_bare, serve_codeweft

PLAIN = {"model": "plain", "messages": [{"role": "user", "content": "x" * 500}]}
STREAM = PLAIN | {"model": "stream", "stream": True}


async def load(url: str, key: str, body: dict[str, Any], requests: int, connections: int) -> None:
    """Send `requests` requests over `connections` connections, each waiting for its answer."""
    data = json.dumps(body).encode()
    left = iter(range(requests))
    connector = aiohttp.TCPConnector(limit=connections)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def worker() -> None:
            for _ in left:
                async with session.post(f"{url}/v1/chat/completions", data=data) as response:
                    await response.read()
                    assert response.status == 200, await response.text()

        await asyncio.gather(*[worker() for _ in range(connections)])


def cpu_us(process: psutil.Process) -> float:
    times = process.cpu_times()
    return (times.user + times.system) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    servers = {}
    for name, target in (("bare ASGI", serve_bare), ("codeweft", serve_codeweft)):
        ours, theirs = context.Pipe()
        process = context.Process(target=target, args=(theirs,), daemon=True)
        process.start()
        url, key = ours.recv()
        servers[name] = (process, psutil.Process(process.pid), url, key)
    measured: dict[tuple[str, str], list[float]] = {}
    try:
        for number in range(options.rounds + 1):
            order = list(servers.items())
            for name, (_, process, url, key) in order if number % 2 else reversed(order):
                for what, body, requests, parts in (
                    ("request", PLAIN, options.requests, 1),
                    ("event", STREAM, options.requests // 20, EVENTS),
                ):
                    before, began = cpu_us(process), time.perf_counter()
                    asyncio.run(load(url, key, body, requests, options.connections))
                    spent, wall = cpu_us(process) - before, time.perf_counter() - began
                    if number:  # the first round warms up
                        measured.setdefault((name, f"CPU us/{what}"), []).append(spent / requests / parts)
                        measured.setdefault((name, f"{what}s/s"), []).append(requests * parts / wall)
    finally:
        for process, *_ in servers.values():
            process.terminate()
    print(f"{options.rounds} rounds, {options.connections} connections, Python {sys.version.split()[0]}, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    for what in ("CPU us/request", "requests/s", "CPU us/event", "events/s"):
        values = {name: statistics.median(measured[name, what]) for name in servers}
        ratio = values["codeweft"] / values["bare ASGI"]
        print(
            f"{what:16}"
            + "".join(f"{name} {value:10.1f}   " for name, value in values.items())
            + f"ratio {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
