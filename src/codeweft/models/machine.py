"""What this machine lends a process: cores and memory, less what a container or a service's limits take away."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

CGROUPS: Final = Path("/sys/fs/cgroup")
OWN_CGROUP: Final = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Machine:
    """`cores` are physical; `memory` is what is available now, in bytes."""

    cores: int
    memory: int
    gpu: bool = False


def this_machine(python: str | None = None, gpu_layers: int | None = None) -> Machine:
    """Cores and memory here. A GPU is assumed where the engine's build can have one (own interpreter, macOS)."""
    other_build = python is not None and python != sys.executable
    gpu = gpu_layers != 0 and (other_build or sys.platform == "darwin")
    limited = limits(CGROUPS, OWN_CGROUP)
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    return Machine(
        cores=max(1, min(cores, limited.cores)),
        memory=min(psutil.virtual_memory().available, limited.memory),
        gpu=gpu,
    )


def limits(root: Path, own: Path) -> Machine:
    """What control groups (version 2, mounted at `root`) leave this process, whose group `own` names.

    Every group around it limits it too. Where there is no limit the figure is larger than any machine.
    """
    cores, memory = 1 << 20, 1 << 60
    named = next((line[3:] for line in _lines(own) if line.startswith("0::")), "/")
    group = root / named.strip("/")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(root):
            break
        if (highest := _number(folder / "memory.max")) is not None:
            memory = min(memory, max(0, highest - _used(folder)))
        quota = (_lines(folder / "cpu.max") or [""])[0].split()
        if len(quota) == 2 and quota[0].isdecimal():
            cores = min(cores, max(1, int(quota[0]) // int(quota[1])))
    return Machine(cores, memory)


def _used(folder: Path) -> int:
    """Bytes in use, without files that are only cached."""
    cached = (line.split()[1] for line in _lines(folder / "memory.stat") if line.startswith("inactive_file "))
    return (_number(folder / "memory.current") or 0) - int(next(cached, "0"))


def _number(path: Path) -> int | None:
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
