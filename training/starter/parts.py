"""Splits a file into numbered parts and joins them again, checked by SHA-256.

python -m training.starter.parts split weights.safetensors --out parts/
python -m training.starter.parts join parts/ --out weights.safetensors
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

PART_BYTES = 16_000_000


def split(path: Path, folder: Path, part_bytes: int = PART_BYTES) -> list[Path]:
    """Writes ``NAME.partNNN`` of at most ``part_bytes`` bytes each and ``NAME.sha256``; returns the parts in order."""
    folder.mkdir(parents=True, exist_ok=True)
    data = path.read_bytes()
    parts = []
    for number, start in enumerate(range(0, max(len(data), 1), part_bytes)):
        part = folder / f"{path.name}.part{number:03}"
        part.write_bytes(data[start : start + part_bytes])
        parts.append(part)
    (folder / f"{path.name}.sha256").write_text(f"{hashlib.sha256(data).hexdigest()}  {path.name}\n", "utf-8")
    return parts


def join(folder: Path, path: Path) -> None:
    """Joins the parts of the one file in a folder into ``path``.

    Raises FileNotFoundError where there are no parts, ValueError where their sum is not the file that was split.
    """
    sums = sorted(folder.glob("*.sha256"))
    if len(sums) != 1:
        raise FileNotFoundError(f"{folder} holds the parts of {len(sums)} files, not of one")
    expected, name = sums[0].read_text("utf-8").split()
    data = b"".join(part.read_bytes() for part in sorted(folder.glob(f"{name}.part*")))
    if hashlib.sha256(data).hexdigest() != expected:
        raise ValueError(f"the parts of {name} in {folder} are incomplete or damaged: SHA-256 differs")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def main(arguments: Sequence[str] | None = None) -> None:
    """Splits or joins."""
    parser = argparse.ArgumentParser(prog="python -m training.starter.parts", description=__doc__)
    parser.add_argument("command", choices=("split", "join"))
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.command == "split":
        parts = split(options.source, options.out)
        print(f"{len(parts)} parts in {options.out}")
    else:
        join(options.source, options.out)
        print(options.out)


if __name__ == "__main__":
    main()
