"""What repository-level completion asks of a model."""

from __future__ import annotations

from pathlib import Path

from bench.retrieval.completion import Task, _task, lines_of, scores

ANSWER = (
    "    # count_all the names\n    first = start(values)\n    total = count_all(values)\n    return total"
)


def task_of(folder: Path) -> Task:
    head = 'def tally(values):\n    """Tally."""\n'
    (folder / "a.py").write_text(f"import os\n\n\n{head}{ANSWER}\n\n\nLAST = 1\n", "utf-8")
    row = {
        "repo": "shop",
        "path": "a.py",
        "prompt": f"import os\n\n\n{head}".rstrip("\n"),
        "ground_truth": f"{ANSWER}\n",
        "lineno": 6,
    }
    return _task(row, folder)


def test_a_task_goes_on_below_its_docstring_and_not_behind_it(tmp_path: Path) -> None:
    first = lines_of(task_of(tmp_path), "line", 1)[0]
    assert first.prompt.endswith('    """Tally."""\n    # count_all the names\n    ')
    assert first.answer == "first = start(values)"
    assert first.suffix.startswith("\n    total = count_all(values)\n    return total\n")


def test_from_a_name_on_the_line_is_given_up_to_the_name(tmp_path: Path) -> None:
    lines = lines_of(task_of(tmp_path), "name", 4)
    assert [one.answer for one in lines] == ["first = start(values)", "total = count_all(values)"]
    assert all(one.prompt.endswith("\n    ") for one in lines)
    whole = task_of(tmp_path)
    (known,) = lines_of(
        Task(whole.repository, whole.path, f"total = first = start\n{whole.prompt}", whole.answer, "", 6, 9),
        "name",
        1,
    )
    assert known.prompt.endswith("\n    total = ") and known.answer == "count_all(values)"


def test_an_answer_that_begins_with_the_right_name_is_told_from_one_that_only_holds_it() -> None:
    assert scores("count_all(x)", "count_all(values)")["first name"] == 1.0
    assert scores("len(count_all)", "count_all(values)")["first name"] == 0.0
    assert scores("", "count_all(values)") == {
        "exact": 0.0,
        "first name": 0.0,
        "similarity": 0.0,
        "identifiers F1": 0.0,
    }
