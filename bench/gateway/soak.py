"""`python -m bench.gateway.soak`: whether the server's memory and open files stay where they are under load.

Plain requests and streams take turns; each turn ends by leaving what is still being answered. The slope is a
least-squares line through the second half of the samples, for caches fill in the first.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil

from bench.gateway import servers
from bench.gateway.__main__ import PHASES

EVERY = 15.0
"""Seconds between two samples."""
LOADS = ("plain, 32", "events at once", "every 2 ms")
"""Phases of the benchmark, one after the other and again."""


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """What the second of each pair grows by in an hour; the first is in seconds."""
    later = samples[len(samples) // 2 :]
    if len(later) < 2:
        return 0.0
    found = statistics.linear_regression([at for at, _ in later], [value for _, value in later])
    return found.slope * 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    # The servers are not to outlive whoever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    phases = [phase for phase in PHASES if any(part in phase.name for part in LOADS)]
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        direct = stack.enter_context(servers.upstreams(folder))
        home = folder / "home"
        home.mkdir()
        server = stack.enter_context(servers.codeweft(direct, home))
        load = servers.compiled(folder, "load")
        process = psutil.Process(server.pid)
        began = time.monotonic()
        samples: list[tuple[float, float, float]] = []
        number = 0
        print("| minutes | PSS MB | open files | load |\n|---|---|---|---|", flush=True)
        while (now := time.monotonic() - began) < options.minutes * 60:
            samples.append((now, server.memory_mb(), process.num_fds()))
            print(
                f"| {now / 60:.2f} | {samples[-1][1]:.1f} | {samples[-1][2]:.0f} | {os.getloadavg()[0]:.1f} |",
                flush=True,
            )
            phase = phases[number % len(phases)]
            number += 1
            body = folder / "body.json"
            body.write_bytes(phase.body())
            command = [str(load), str(server.ports[phase.model]), str(body), str(phase.connections)]
            told = subprocess.run([*command, str(EVERY), server.key], capture_output=True, check=True)
            if json.loads(told.stdout)["errors"]:
                print(f"{phase.name}: {told.stdout.decode()}", file=sys.stderr)
        memory = slope([(at, mb) for at, mb, _ in samples])
        files = slope([(at, count) for at, _, count in samples])
        print(
            f"\n{memory:+.1f} MB and {files:+.1f} open files an hour, by the second half of {len(samples)} samples."
        )


if __name__ == "__main__":
    main()
