"""Sets whose corpus is a list of functions without a repository: each becomes one file of a folder to index."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.retrieval.sets import Question, QuestionSet, Target, rows_of

DEPTH = 100
"""Results looked at for the reciprocal rank."""


def _write(folder: Path, files: Iterable[tuple[str, str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, code in files:
        (folder / name).write_text(code + "\n", "utf-8", errors="replace")
    return folder


def cosqa(data: Path, scratch: Path) -> QuestionSet:
    """Web questions over Python functions, one of them right."""
    corpus = _write(
        scratch / "cosqa", ((f"{row['idx']}.py", row["code"]) for row in rows_of(data / "corpus.jsonl.gz"))
    )
    questions = [
        Question(row["id"], "cosqa", corpus, row["query"], (Target(f"{row['relevant_idx']}.py"),), "web", "python")
        for row in rows_of(data / "queries-dev-500.jsonl.gz")
    ]  # fmt: skip
    return QuestionSet("cosqa", questions, DEPTH, by_file=True)


def humaneval(data: Path, scratch: Path, field_name: str) -> QuestionSet:
    """The sentences of HumanEval's docstrings, in Korean or English, over functions without docstrings."""

    def file_of(task: str) -> str:
        return task.replace("/", "-").lower() + ".py"

    corpus = _write(
        scratch / "humaneval",
        ((file_of(row["task_id"]), row["code"]) for row in rows_of(data / "retrieval_corpus.jsonl.gz")),
    )
    category = "korean" if field_name == "query_ko" else "english"
    questions = [
        Question(row["task_id"], "humaneval", corpus, row[field_name], (Target(file_of(row["task_id"])),), category, "python")
        for row in rows_of(data / "retrieval_queries.jsonl.gz")
    ]  # fmt: skip
    return QuestionSet(f"kr-humaneval ({category})", questions, DEPTH, by_file=True)


def doc_code(data: Path, scratch: Path) -> QuestionSet:
    """Documentation over the functions of one language, tokens joined by spaces."""
    suffixes = {"python": "py", "java": "java", "javascript": "js", "go": "go", "php": "php", "ruby": "rb"}
    questions: list[Question] = []
    for path in sorted(data.glob("*.jsonl.gz")):
        language = path.name.partition(".")[0]
        rows: list[dict[str, Any]] = rows_of(path)
        files = {row["id"]: f"{row['id']}.{suffixes[language]}" for row in rows}
        corpus = _write(scratch / f"doc-code-{language}", ((files[row["id"]], row["code"]) for row in rows))
        questions += [
            Question(row["id"], language, corpus, row["doc"], (Target(files[row["id"]]),), "documentation", language)
            for row in rows
        ]  # fmt: skip
    return QuestionSet("doc-code", questions, DEPTH, by_file=True)
