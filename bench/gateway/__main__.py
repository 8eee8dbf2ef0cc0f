"""`python -m bench.gateway`: what a gateway costs, beside LiteLLM's proxy, a bare pass-through and no gateway at all.

All servers run at once, one process each, over the same endpoints (`upstream.c`), and are loaded one after the other by
the same client (`load.c`); the order turns with every round. CPU is user plus system time of the server's processes:
the steadiest column on a machine that does other things too. Ratios are taken within a round; medians are told.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.gateway import servers
from bench.gateway.servers import EVENTS, Server

QUESTION = "Write a function that adds two numbers, and one that multiplies them. " * 7


@dataclass(frozen=True)
class Phase:
    """One kind of load. `size` is the question's, in characters."""

    name: str
    model: str
    connections: int
    stream: bool = False
    size: int = 500

    def body(self) -> bytes:
        text = (QUESTION * (self.size // len(QUESTION) + 1))[: self.size]
        asked: dict[str, Any] = {"model": self.model, "messages": [{"role": "user", "content": text}]}
        return json.dumps(asked | {"max_tokens": 256, "temperature": 0.2, "stream": self.stream}).encode()


PHASES = (
    Phase("plain, 1 connection", "burst", 1),
    Phase("plain, 32 connections", "burst", 32),
    Phase("plain, 64 KB, 8 connections", "burst", 8, size=64_000),
    Phase("events at once, 16 streams", "burst", 16, stream=True),
    Phase("an event every 2 ms, 48 streams", "paced", 48, stream=True),
    Phase("0.25 s to the first byte, 16 streams", "late", 16, stream=True),
    Phase("0.25 s to the first byte, 64 streams", "late", 64, stream=True),
    Phase("0.25 s to the first byte, 128 streams", "late", 128, stream=True),
)


@dataclass(frozen=True)
class Figures:
    """Of one server under one load: microseconds, or per second."""

    requests_s: float
    events_s: float
    cpu_request: float
    cpu_event: float
    p50: float
    p99: float
    first_p50: float
    errors: int


def measure(load: Path, server: Server, phase: Phase, body: Path, seconds: float) -> Figures:
    """Load one server; a short warm-up comes first."""
    command = [str(load), str(server.ports[phase.model]), str(body), str(phase.connections)]
    for wanted in (min(0.5, seconds), seconds):
        before = server.cpu_us()
        done = subprocess.run([*command, str(wanted), server.key], capture_output=True, check=True)
        spent = server.cpu_us() - before
    told = json.loads(done.stdout)
    if told["errors"]:
        print(
            f"  {server.name}, {phase.name}: {told['errors']} errors, the first: {told['said']}",
            file=sys.stderr,
        )
    requests, events = max(1, told["requests"]), told["events"]
    return Figures(
        told["requests"] / told["seconds"],
        events / told["seconds"],
        spent / requests,
        spent / events if events else 0.0,
        told["p50"],
        told["p99"],
        told["first_p50"],
        told["errors"],
    )


Measured = dict[tuple[str, str], list[Figures]]
"""By server and phase, one for each round."""


def rounds(options: argparse.Namespace, folder: Path, running: list[Server], phases: list[Phase]) -> Measured:
    load = servers.compiled(folder, "load")
    measured: Measured = {}
    for number in range(options.rounds):
        for phase in phases:
            body = folder / "body.json"
            body.write_bytes(phase.body())
            for server in running[number % len(running) :] + running[: number % len(running)]:
                figures = measure(load, server, phase, body, options.seconds)
                measured.setdefault((server.name, phase.name), []).append(figures)
        print(f"round {number + 1}: load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    return measured


def table(measured: Measured, names: list[str], phase: Phase) -> Iterator[str]:
    """One phase as a table; ratios are Codeweft's against the row's, in the same round."""
    columns = [
        "server",
        "requests/s",
        "events/s",
        "CPU us/request",
        "CPU us/event",
        "p50 us",
        "p99 us",
        "first event p50 us",
    ]
    yield f"\n{phase.name}\n\n| {' | '.join(columns)} | Codeweft's: throughput, CPU |\n{'|---' * (len(columns) + 1)}|"
    ours = measured.get(("codeweft", phase.name))
    for name in names:
        found = measured[name, phase.name]

        def middle(field: str, found: list[Figures] = found) -> float:
            return float(statistics.median(getattr(one, field) for one in found))

        values = [f"{middle(field):,.{digits}f}" for field, digits in (
            ("requests_s", 0), ("events_s", 0), ("cpu_request", 0), ("cpu_event", 1), ("p50", 0), ("p99", 0), ("first_p50", 0),
        )]  # fmt: skip
        ratio = ""
        if ours is not None:
            quicker = statistics.median(
                a.requests_s / max(b.requests_s, 1e-9) for a, b in zip(ours, found, strict=True)
            )
            ratio = f"{quicker:.2f}x"
            if name != "direct":
                dearer = statistics.median(
                    a.cpu_request / max(b.cpu_request, 1e-9) for a, b in zip(ours, found, strict=True)
                )
                ratio += f", {dearer:.2f}x" if dearer > 0.1 else f", 1/{1 / dearer:.0f}"
        yield f"| {name} | {' | '.join(values)} | {ratio} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="Of load, for each server and phase of a round."
    )
    parser.add_argument(
        "--litellm", type=Path, help="The `litellm` program of an environment with litellm[proxy]."
    )
    parser.add_argument("--only", default="", help="Only phases whose name holds one of these, between |.")
    parser.add_argument(
        "--without", default="", help="Leave out servers, comma-separated: direct, bare, litellm."
    )
    options = parser.parse_args()
    phases = [phase for phase in PHASES if any(part in phase.name for part in options.only.split("|"))]
    left_out = options.without.split(",")
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        direct = stack.enter_context(servers.upstreams(folder))
        running = [direct, stack.enter_context(servers.bare(direct))]
        home = folder / "home"
        home.mkdir()
        running.append(stack.enter_context(servers.codeweft(direct, home)))
        if options.litellm:
            running.append(stack.enter_context(servers.litellm(direct, folder, options.litellm)))
        running = [server for server in running if server.name not in left_out]
        before = {server.name: server.memory_mb() for server in running}
        measured = rounds(options, folder, running, phases)
        print(
            f"{options.rounds} rounds of {options.seconds:g} s, {EVENTS} deltas a stream, Python "
            f"{sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n\n"
            "| server | first answer after s | PSS MB before, after |\n|---|---|---|"
        )
        for server in running:
            if server.pid is not None:
                after = server.memory_mb()
                print(f"| {server.name} | {server.start_s:.2f} | {before[server.name]:.0f}, {after:.0f} |")
        for phase in phases:
            print("\n".join(table(measured, [server.name for server in running], phase)))


if __name__ == "__main__":
    main()
