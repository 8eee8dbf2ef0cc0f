"""What is compared: Codeweft as users start it, LiteLLM's proxy, a bare pass-through, and the endpoint itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MODELS: dict[str, tuple[int, int]] = {"burst": (0, 0), "paced": (2000, 0), "late": (2000, 250_000)}
"""Upstreams by name: microseconds between two events, and to the first byte."""
EVENTS = 64
"""Deltas of a streamed answer."""


@dataclass(frozen=True)
class Server:
    """A server that runs; `pid=None` is the upstream itself."""

    name: str
    ports: Mapping[str, int]
    """By model."""
    pid: int | None = None
    key: str = "sk-bench"
    start_s: float = 0.0

    def cpu_us(self) -> float:
        """Time on a processor of all threads of the process and its children so far, from the scheduler's own count."""
        return sum(
            int(thread.joinpath("schedstat").read_text().split()[0]) / 1e3
            for process in self._tree()
            for thread in Path(f"/proc/{process.pid}/task").iterdir()
        )

    def memory_mb(self) -> float:
        """Proportional set size of the process and its children, in MB."""
        return sum(process.memory_full_info().pss for process in self._tree()) / 1e6

    def _tree(self) -> list[psutil.Process]:
        if self.pid is None:
            return []
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
    return port


def compiled(folder: Path, name: str) -> Path:
    """The C program `name`, compiled into `folder`."""
    program = folder / name
    subprocess.run(["cc", "-O2", "-o", program, HERE / f"{name}.c"], check=True)
    return program


@contextmanager
def upstreams(folder: Path) -> Iterator[Server]:
    """The endpoints, also as the row that everything else is compared with."""
    program = compiled(folder, "upstream")
    ports = {name: free_port() for name in MODELS}
    running = [
        subprocess.Popen([program, str(ports[name]), str(EVENTS), str(tick), str(first)])
        for name, (tick, first) in MODELS.items()
    ]
    try:
        for port in ports.values():
            _until_open(port)
        yield Server("direct", ports)
    finally:
        for process in running:
            process.kill()
            process.wait()


@contextmanager
def bare(direct: Server) -> Iterator[Server]:
    """Raw ASGI and aiohttp under uvicorn, as Codeweft runs it."""
    known = ",".join(f"{name}=http://127.0.0.1:{port}/v1" for name, port in direct.ports.items())
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "bench.gateway.bare:app",
        "--port",
        str(port),
        "--loop",
        "uvloop",
    ]
    command += ["--http", "httptools", "--lifespan", "off", "--no-access-log", "--log-level", "error"]
    with _started("bare", command, port, "/", {"UPSTREAMS": known}, ROOT) as server:
        yield server


CODEWEFT = """
model: burst
models:
{models}
prices:
{prices}
"""


@contextmanager
def codeweft(direct: Server, folder: Path) -> Iterator[Server]:
    """`codeweft serve`: a key, limits and budgets in force, each model a pool of two endpoints with prices."""
    models, prices = [], []
    for name, port in direct.ports.items():
        members = [f"{name}-{number}" for number in (1, 2)]
        models.append(f"  {name}: {{pool: [{', '.join(members)}]}}")
        for member in members:
            models.append(f"  {member}: {{base_url: 'http://127.0.0.1:{port}/v1', api_key: sk-upstream, model: mock-model}}")  # fmt: skip
            prices.append(f"  {member}: {{input: 1, output: 2}}")
    (folder / "codeweft.yaml").write_text(
        CODEWEFT.format(models="\n".join(models), prices="\n".join(prices)), encoding="utf-8"
    )
    environment = {"CODEWEFT_HOME": str(folder), "PYTHONPATH": str(ROOT / "src"), "OPENBLAS_NUM_THREADS": "1"}
    cli = [sys.executable, "-m", "codeweft"]
    everything = {**os.environ, **environment}
    made = subprocess.run(
        [*cli, "keys", "create", "--name", "bench"], env=everything, capture_output=True, check=True
    )
    free = ["--requests", "100000000", "--tokens", "100000000000", "--parallel", "10000", "--usd", "1e9"]
    subprocess.run([*cli, "limits", "set", "everyone", *free], env=everything, check=True)
    subprocess.run([*cli, "limits", "set", "key", "bench", *free], env=everything, check=True)
    port = free_port()
    with _started("codeweft", [*cli, "serve", "--port", str(port)], port, "/health", environment) as server:
        yield Server(server.name, server.ports, server.pid, made.stdout.decode().strip(), server.start_s)


LITELLM = """
model_list:
{models}
general_settings: {{master_key: sk-bench}}
litellm_settings: {{callbacks: [], num_retries: 0, request_timeout: 60}}
router_settings: {{routing_strategy: simple-shuffle}}
"""


@contextmanager
def litellm(direct: Server, folder: Path, program: Path) -> Iterator[Server]:
    """LiteLLM's proxy, one worker, two priced deployments of each model, no database, no page: at its quickest."""
    models = [
        f"  - {{model_name: {name}, litellm_params: {{model: openai/gpt-4o-mini, api_base: 'http://127.0.0.1:{port}/v1', "
        f"api_key: sk-{number}, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}}}}"
        for name, port in direct.ports.items()
        for number in (1, 2)
    ]
    settings = folder / "litellm.yaml"
    settings.write_text(LITELLM.format(models="\n".join(models)), encoding="utf-8")
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "NO_DOCS": "True",
        "DISABLE_ADMIN_UI": "True",
    }
    port = free_port()
    command = [str(program), "--config", str(settings), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--num_workers", "1", "--telemetry", "False"]
    with _started("litellm", command, port, "/health/liveliness", environment) as server:
        yield server


@contextmanager
def _started(
    name: str,
    command: list[str],
    port: int,
    path: str,
    environment: Mapping[str, str],
    folder: Path | None = None,
) -> Iterator[Server]:
    began = time.perf_counter()
    with (Path(os.environ.get("TMPDIR", "/tmp")) / f"bench-gateway-{name}.log").open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        seconds = _until_answers(f"http://127.0.0.1:{port}{path}", process, began)
        yield Server(name, dict.fromkeys(MODELS, port), process.pid, start_s=seconds)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_open(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")


def _until_answers(url: str, process: subprocess.Popen[bytes], began: float) -> float:
    """Seconds until the first answer with status 200."""
    while time.perf_counter() - began < 600:
        if process.poll() is not None:
            raise RuntimeError(f"{url} ended with {process.returncode}; see its log in the temporary folder")
        with suppress(OSError):
            urllib.request.urlopen(url, timeout=1).read()
            return time.perf_counter() - began
        time.sleep(0.02)
    raise RuntimeError(f"{url} does not answer")
