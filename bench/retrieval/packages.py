"""Fetch and unpack the packages that `questions/packages.jsonl` asks about, with their registries' own clients.

    python -m bench.retrieval.packages --repos packages
    python -m bench.retrieval --set bench/retrieval/questions/packages.jsonl --repos packages --searchers codeweft,bm25

`questions/packages.tsv` names them: folder, kind, package, version. What a registry no longer has is left out with a
line that says so; nothing of a package is executed. `debian` and `debian-source` need apt-get, the latter source
lists (`deb-src`).
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.retrieval.sets import QUESTIONS

TABLE: Final = QUESTIONS / "packages.tsv"


@dataclass(frozen=True, slots=True)
class Package:
    """One row of the table: the folder it is unpacked to, the kind of registry, its name there, its version."""

    folder: str
    kind: str
    name: str
    version: str


CLIENTS: Final[dict[str, Callable[[Package], list[str]]]] = {
    "pypi": lambda one: [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", f"{one.name}=={one.version}"
    ],
    "npm": lambda one: ["npm", "pack", "--silent", "--ignore-scripts", f"{one.name}@{one.version}"],
    "debian": lambda one: ["apt-get", "download", "-qq", f"{one.name}={one.version}"],
    "debian-source": lambda one: [
        "apt-get", "source", "-qq", "--download-only", "--only-source", f"{one.name}={one.version}"
    ],
}  # fmt: skip
"""The command that leaves a package's archive in the current folder."""


def packages(table: Path = TABLE) -> list[Package]:
    """The rows of the table."""
    with table.open(encoding="utf-8", newline="") as lines:
        return [Package(*row) for row in csv.reader(lines, delimiter="\t")]


def unpack(archive: Path, folder: Path) -> None:
    """The files of a wheel, a Debian package or a tar file whose contents lie in one folder."""
    folder.mkdir(parents=True)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
    elif archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter=_without_first_folder)


def _without_first_folder(member: tarfile.TarInfo, to: str) -> tarfile.TarInfo | None:
    _, _, rest = member.name.removeprefix("./").partition("/")
    return tarfile.data_filter(member.replace(name=rest), to) if rest and not member.islnk() else None


def _source(files: Sequence[Path]) -> Path | None:
    """The archive among what a client left: of a Debian source, not the patches."""
    archives = [one for one in files if one.suffix in (".whl", ".deb", ".tgz") or ".orig.tar" in one.name]
    return next((one for one in archives if one.suffix != ".asc"), None)


def main() -> None:
    """Fetch what is not there yet."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.retrieval.packages", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--repos", type=Path, default=Path("packages"), help="folder for the packages")
    arguments = parser.parse_args()  # fmt: skip
    for one in packages():
        if (arguments.repos / one.folder).exists():
            continue
        if shutil.which(CLIENTS[one.kind](one)[0]) is None:
            print(f"{one.folder}: {CLIENTS[one.kind](one)[0]} is not installed, left out")
            continue
        with tempfile.TemporaryDirectory(prefix="codeweft-bench-") as folder:
            done = subprocess.run(
                CLIENTS[one.kind](one), cwd=folder, capture_output=True, text=True, check=False
            )
            archive = _source(sorted(Path(folder).iterdir()))
            if archive is None:
                print(f"{one.folder}: {done.stderr.strip() or 'nothing came'}")
                continue
            unpack(archive, arguments.repos / one.folder)
            print(f"{one.folder}: ok")


if __name__ == "__main__":
    main()
