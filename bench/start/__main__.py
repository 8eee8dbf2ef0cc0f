"""From `codeweft serve` to ready, and from a question to its first token; first start and later ones.

python -m bench.start --code . --runs 3
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path


def once(home: Path, code: str) -> dict[str, float]:
    """Seconds of one start on the state folder `home`."""
    environment = {**os.environ, "CODEWEFT_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "codeweft", "serve", "--port", "0", "--code", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if match := re.search(r"Codeweft is ready at (http://\S+)", line):
                break
        else:
            raise SystemExit("the server ended before it was ready")
        ready = time.perf_counter() - began
        made = [sys.executable, "-m", "codeweft", "keys", "create", "--name", "bench"]
        key = subprocess.run(made, env=environment, capture_output=True, text=True, check=True).stdout.strip()
        return {"ready_s": ready, "first_token_s": first_token(match[1].rstrip("/"), key)}
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def first_token(url: str, key: str) -> float:
    """Seconds from asking `codegen` to the first piece of text."""
    body = {
        "model": "codegen",
        "stream": True,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Write a function that reads a file"}],
    }
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
    began = time.perf_counter()
    with urllib.request.urlopen(request) as response:
        for line in response:
            if line.startswith(b"data: {"):
                choices = json.loads(line[6:]).get("choices") or [{}]
                if choices[0].get("delta", {}).get("content"):
                    return time.perf_counter() - began
    raise SystemExit("the answer had no text")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--code", default=".", help="folder to index")
    parser.add_argument("--runs", type=int, default=3, help="fresh state folders, each started twice")
    arguments = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {"first start": [], "second start": []}
    for _ in range(arguments.runs):
        with tempfile.TemporaryDirectory() as folder:
            for name in rows:
                rows[name].append(once(Path(folder), arguments.code))
    print("| | ready (s) | question to first token (s) |\n|---|---|---|")
    for name, runs in rows.items():
        cells = (
            f"{statistics.median(run[figure] for run in runs):.2f}" for figure in ("ready_s", "first_token_s")
        )
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
