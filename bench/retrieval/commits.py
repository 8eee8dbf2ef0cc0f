"""A set from a repository's own history: what people wrote about a change, and the source files it touched.

    python -m bench.retrieval.commits --clone REPO/.git --revision main --root src --checkout checkouts/NAME > set.jsonl

The questions are as real as issues and come in any language. The index holds the code after the changes, so figures
compare rankings with each other and say little alone.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WORDS = (4, 25)
"""Words of a subject that says something."""
FILES = 2
"""Source files that a change touches at most, so that the subject is about them."""
_IDLE = re.compile(
    r"^(?:merge|bump|release|revert|chore|ci\b|docs?\b|tests?\b|version|update (?:changelog|readme|dep)|lint|format|style|build"
    r"|upgrade|prepare|clean ?up)|typo|changelog|readme|copyright|licen[cs]e|lint|wip\b|pre-commit|translation",
    re.I,
)
_NOT_SOURCE = re.compile(
    r"(?:^|/)(?:tests?|__tests__|specs?|docs?|examples?|benchmarks?|fixtures?)/|test_|[._]test\.|\.spec\."
    r"|\.(?:md|rst|txt|json|ya?ml|toml|lock|cfg|cabal)$",
    re.I,
)
_DRESSING = re.compile(
    r"\s*\(?#\d+\)?\.?$|^(?:feat|fix|perf|refactor|improve|feature)(?:\([^)]*\))?!?:\s*|^\[[^\]]+\]\s*|^:\w+:\s*",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Change:
    """A commit: its id, its subject without dressing, and the source files it changed, relative to the root."""

    commit: str
    subject: str
    files: tuple[str, ...]


def changes(log: str, root: str) -> Iterator[Change]:
    """The telling changes of a log made by `history`."""
    prefix = root.rstrip("/") + "/" if root else ""
    seen: set[str] = set()
    for part in log.split("\x01")[1:]:
        head, _, names = part.partition("\n")
        commit, _, subject = head.partition("\x02")
        subject = _DRESSING.sub("", _DRESSING.sub("", subject)).strip()
        rows = [line.split("\t") for line in names.splitlines() if line.strip()]
        source = [row for row in rows if not _NOT_SOURCE.search(row[-1])]
        telling = WORDS[0] <= len(subject.split()) <= WORDS[1] and not _IDLE.search(subject)
        inside = all(row[0] == "M" and row[-1].startswith(prefix) for row in source)
        if telling and inside and 0 < len(source) <= FILES and subject.lower() not in seen:
            seen.add(subject.lower())
            yield Change(commit, subject, tuple(row[-1].removeprefix(prefix) for row in source))


def history(clone: Path, revision: str, root: str, commits: int) -> str:
    """Subjects and changed files of the last commits that touched `root`."""
    command = [
        "git",
        "--git-dir",
        str(clone),
        "log",
        revision,
        "--no-merges",
        "--format=%x01%H%x02%s",
        "--name-status",
    ]
    done = subprocess.run(
        [*command, "-n", str(commits), "--", root or "."],
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    return done.stdout


def main() -> None:
    """Print the rows of a set."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.retrieval.commits", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--clone", type=Path, required=True, help="the git directory")
    parser.add_argument("--revision", default="HEAD", help="where to begin")
    parser.add_argument("--root", default="", help="folder that is indexed")
    parser.add_argument(
        "--checkout", type=Path, required=True, help="the files at that revision; others are left out"
    )
    parser.add_argument("--language", default="", help="what the rows say the language is")
    parser.add_argument("--commits", type=int, default=2500, help="commits looked at")
    parser.add_argument("--questions", type=int, default=40, help="rows at most, drawn with a fixed seed")
    arguments = parser.parse_args()  # fmt: skip
    log = history(arguments.clone, arguments.revision, arguments.root, arguments.commits)
    folder = arguments.checkout / arguments.root
    found = [
        one for one in changes(log, arguments.root) if all((folder / file).is_file() for file in one.files)
    ]
    random.Random(1).shuffle(found)
    name = arguments.checkout.name
    for one in found[: arguments.questions]:
        row = {
            "id": f"{name}-{one.commit[:10]}", "repo": name, "root": arguments.root, "query": one.subject,
            "relevant": one.files, "category": "commit", "language": arguments.language,
        }  # fmt: skip
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
