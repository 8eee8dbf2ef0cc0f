"""Sets of questions with known answers, and where their data lies. The format of a set's file is in README.md."""

from __future__ import annotations

import ast
import gzip
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
QUESTIONS: Final = Path(__file__).with_name("questions")
SHARED: Final = Path(os.environ.get("CODEWEFT_SHARED_DATA", ROOT.parent / "shared" / "data"))
REVISION_CHARACTERS: Final = 12
"""How much of a revision names a checkout's folder."""


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
    """One question over the files below `corpus`; `parts` are the functions to find where the set knows them."""

    id: str
    repository: str
    corpus: Path
    text: str
    targets: tuple[Target, ...]
    category: str = "all"
    language: str = ""
    parts: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions and how their answers are judged.

    `depth` results are asked for; `by_file` folds them to files first; `balanced` gives each repository the same
    weight in the mean, otherwise each question has it.
    """

    name: str
    questions: list[Question] = field(default_factory=list)
    depth: int = 10
    by_file: bool = False
    balanced: bool = False


def rows_of(path: Path) -> list[dict[str, Any]]:
    """JSON Lines, gzipped or not."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def checkout_folder(repos: Path, repository: str, revision: str = "") -> Path:
    """`REPOS/REVISION/NAME` where that exists (several revisions of one repository), else `REPOS/NAME`."""
    name = repository.rpartition("/")[2]
    pinned = repos / revision[:REVISION_CHARACTERS] / name
    return pinned if revision and pinned.is_dir() else repos / name


def from_file(
    path: Path, repos: Path, repositories: Path | None = None, field_name: str = "query"
) -> QuestionSet:
    """A set in one file (README.md). Facts of repositories come from `repositories` or a `repos.json` beside it."""
    beside = repositories or path.parent / "repos.json"
    known = {one["name"]: one for one in json.loads(beside.read_text("utf-8"))} if beside.is_file() else {}
    return QuestionSet(
        path.name.partition(".")[0],
        [_question(row, repos, known.get(row["repo"], {}), field_name) for row in rows_of(path)],
        balanced=True,
    )


def translated(file: str, language: str, original: Path, repos: Path) -> QuestionSet:
    """Questions of `original` in another language (questions/README.md), with the same answers; `query` is English."""
    asked = {row["id"]: row for row in rows_of(QUESTIONS / file)}
    known = {
        one["name"]: one for one in json.loads((SHARED / "semble-bench" / "repos.json").read_text("utf-8"))
    }
    questions = [
        _question(row | asked[row["id"]], repos, known[row["repo"]], language)
        for row in rows_of(original)
        if row["id"] in asked
    ]
    return QuestionSet(language, questions, balanced=True)


def _question(row: Mapping[str, Any], repos: Path, known: Mapping[str, Any], field_name: str) -> Question:
    facts = {**known, **row}
    folder = checkout_folder(repos, row["repo"], facts.get("revision") or "")
    return Question(
        str(row["id"]),
        row["repo"],
        folder / (facts.get("root") or ""),
        row[field_name],
        tuple(_targets([*row["relevant"], *row.get("secondary", ())])),
        row.get("category", "all"),
        facts.get("language", ""),
    )


def _targets(values: Iterable[str | dict[str, Any]]) -> Iterator[Target]:
    for value in values:
        if isinstance(value, str):
            yield Target(value)
        else:
            yield Target(value["path"], value.get("start_line"), value.get("end_line"))


def issues(path: Path, repos: Path) -> QuestionSet:
    """SWE-bench: the text of an issue, the files and functions that its fix touched, at the commit before it."""
    questions = []
    for row in rows_of(path):
        folder = checkout_folder(repos, row["repo"], row["base_commit"])
        questions.append(
            Question(
                row["instance_id"],
                row["repo"].rpartition("/")[2],
                folder,
                row["problem_statement"],
                tuple(map(Target, row["ground_truth_files"])),
                "issue",
                "python",
                tuple(_functions(folder, row["edit_functions"])),
            )
        )
    return QuestionSet("swebench", questions, depth=100, by_file=True)


def _functions(folder: Path, names: Iterable[str]) -> Iterator[Target]:
    """`file.py:Class.method` as the lines it has in a checkout; what is not there (new functions) is left out."""
    for one in names:
        path, _, qualified = one.partition(":")
        source = folder / path
        if not source.is_file():
            continue
        at: list[ast.stmt] = ast.parse(source.read_text("utf-8")).body
        found: ast.stmt | None = None
        for name in qualified.split("."):
            found = next((node for node in at if getattr(node, "name", None) == name), None)
            at = getattr(found, "body", [])
        if found is not None and found.end_lineno is not None:
            yield Target(path, found.lineno, found.end_lineno)


def load(name: str, repos: Path, scratch: Path) -> QuestionSet:
    """A set by its name, its data read from the shared folder. Functions without a repository go to `scratch`."""
    from bench.retrieval import snippets

    semble = SHARED / "semble-bench"
    korean = SHARED / "ko-repo-queries" / "queries.jsonl.gz"
    made = {
        "semble": lambda: from_file(semble / "queries.jsonl.gz", repos),
        "ko": lambda: from_file(korean, repos, semble / "repos.json", "query_ko"),
        "ko-en": lambda: from_file(korean, repos, semble / "repos.json", "query_en"),
        "ja": lambda: translated("ja.jsonl", "query", korean, repos),
        "zh": lambda: translated("zh.jsonl", "query", korean, repos),
        "wide-en": lambda: translated("wide.jsonl", "query", semble / "queries.jsonl.gz", repos),
        "wide-ko": lambda: translated("wide.jsonl", "ko", semble / "queries.jsonl.gz", repos),
        "wide-ja": lambda: translated("wide.jsonl", "ja", semble / "queries.jsonl.gz", repos),
        "wide-zh": lambda: translated("wide.jsonl", "zh", semble / "queries.jsonl.gz", repos),
        "swebench": lambda: issues(SHARED / "swebench-lite-localisation" / "instances.jsonl.gz", repos),
        "cosqa": lambda: snippets.cosqa(SHARED / "cosqa", scratch),
        "kr-humaneval": lambda: snippets.humaneval(SHARED / "kr-humaneval", scratch, "query_ko"),
        "kr-humaneval-en": lambda: snippets.humaneval(SHARED / "kr-humaneval", scratch, "query_en"),
        "doc-code": lambda: snippets.doc_code(SHARED / "codexglue-doc-code", scratch),
    }
    if name not in made:
        raise SystemExit(f"There is no set {name!r}; there are {', '.join(made)}, or a file.")
    return made[name]()
