"""Sets of (repository, question, relevant files) and where their data lies."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = Path(__file__).with_name("questions")
SHARED = Path(os.environ.get("CODEWEFT_SHARED_DATA", ROOT.parent / "shared" / "data"))


@dataclass(frozen=True, slots=True)
class Target:
    """A relevant file, with lines where only a part of it is."""

    path: str
    start: int | None = None
    end: int | None = None

    def found_in(self, path: str, start: int, end: int) -> bool:
        """Whether a result is this target: the paths are equal or one ends with the other, and lines overlap."""
        same = path == self.path or path.endswith("/" + self.path) or self.path.endswith("/" + path)
        if not same or self.start is None or self.end is None:
            return same
        return start <= self.end and end >= self.start


@dataclass(frozen=True, slots=True)
class Question:
    """One question over one repository; `repository` names a folder below the repositories' folder."""

    id: str
    repository: str
    root: str
    text: str
    targets: tuple[Target, ...]
    category: str
    language: str


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _target(value: str | dict[str, Any]) -> Target:
    if isinstance(value, str):
        return Target(value)
    return Target(value["path"], value.get("start_line"), value.get("end_line"))


def _questions(rows: list[dict[str, Any]], field: str, category: str | None = None) -> Iterator[Question]:
    repositories = {
        one["name"]: one for one in json.loads((SHARED / "semble-bench" / "repos.json").read_text())
    }
    for row in rows:
        repository = repositories[row["repo"]]
        targets = tuple(map(_target, [*row["relevant"], *row["secondary"]]))
        yield Question(
            row["id"], row["repo"], repository["root"] or "", row[field], targets, category or row["category"], repository["language"]
        )  # fmt: skip


def load(name: str) -> list[Question]:
    """The questions of a set: `semble`, or `ko`, `ko-en`, `ja`, `zh` (the same questions in Korean, English, Japanese and Chinese)."""
    match name:
        case "semble":
            return list(_questions(_rows(SHARED / "semble-bench" / "queries.jsonl.gz"), "query"))
        case "ja" | "zh":
            asked = {
                row["id"]: row["query"]
                for row in map(json.loads, QUESTIONS.joinpath(f"{name}.jsonl").read_text("utf-8").splitlines())
            }
            rows = _rows(SHARED / "ko-repo-queries" / "queries.jsonl.gz")
            return list(_questions([row | {"query": asked[row["id"]]} for row in rows], "query"))
        case "ko" | "ko-en":
            rows = _rows(SHARED / "ko-repo-queries" / "queries.jsonl.gz")
            return list(_questions(rows, "query_ko" if name == "ko" else "query_en"))
    raise SystemExit(f"There is no set {name!r}; there are semble, ko, ko-en, ja and zh.")
