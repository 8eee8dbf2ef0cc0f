"""Check out the revisions that a set pins, from clones that are there already.

    python -m bench.retrieval.checkout --clones '/clones/{owner}/{name}.git' --repos checkouts FILE...

FILE is a set's `repos.json`, or JSON Lines whose rows have `repo` and `revision` (or SWE-bench's `base_commit`). Each
revision lands in `REPOS/REVISION/NAME`, where the benchmark finds it.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from bench.retrieval.sets import REVISION_CHARACTERS, rows_of


def pinned(path: Path) -> Iterator[tuple[str, str, str]]:
    """Owner, name and revision of what a file pins."""
    rows = json.loads(path.read_text("utf-8")) if path.name.endswith(".json") else rows_of(path)
    for row in rows:
        owner, _, name = row.get("fetch", row.get("repo", "")).rpartition(":")[2].partition("/")
        if name and (revision := row.get("revision") or row.get("base_commit")):
            yield owner, name, revision


def check_out(clone: Path, revision: str, folder: Path) -> str:
    """Write a revision's files to `folder`; what went wrong, or nothing."""
    done = subprocess.run(
        ["git", "--git-dir", str(clone), "archive", revision], capture_output=True, check=False
    )
    if done.returncode:
        return done.stderr.decode(errors="replace").strip()
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return ""


def main() -> None:
    """Check out what is not there yet."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.retrieval.checkout", description=__doc__.split("\n")[0]
    )
    parser.add_argument("files", type=Path, nargs="+", help="repos.json or JSON Lines")
    parser.add_argument("--clones", required=True, help="where the clones are, with {owner} and {name}")
    parser.add_argument("--repos", type=Path, default=Path("checkouts"), help="folder for the checkouts")
    arguments = parser.parse_args()  # fmt: skip
    for owner, name, revision in sorted({one for file in arguments.files for one in pinned(file)}):
        folder = arguments.repos / revision[:REVISION_CHARACTERS] / name
        if folder.exists():
            continue
        clone = Path(arguments.clones.format(owner=owner, name=name))
        problem = check_out(clone, revision, folder)
        print(f"{owner}/{name} {revision[:REVISION_CHARACTERS]}: {problem or 'ok'}")


if __name__ == "__main__":
    main()
