"""Repository-level completion: does what is looked up hold what the answer needs, and does it help a model?

    python -m bench.retrieval.completion --repos FOLDER [--model starter] [--tasks 60] [--start name] [--lines 4]

Tasks are RepoEval's functions. Chunks that overlap the function to be written are left out of what was found. Without
a model only the recall of identifiers is measured: those of the right answer that the prompt lacks, in ten chunks. A
model writes lines of each function which need a name that the file up to there lacks: whole ones, or with
`--start name` from before that name on, as when somebody has typed so far. Scores are means over the lines of a function
first, so that functions are what is compared. They are also told apart by whether what was shown holds such a name.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
import keyword
import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.retrieval.measure import paired_bootstrap
from bench.retrieval.sets import SHARED, checkout_folder, rows_of
from codeweft.flows.infilling import neighbours, query
from codeweft.models.embedded import EmbeddedModel
from codeweft.models.plan import EngineOptions
from codeweft.models.starter import STARTER, bundled
from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import Source
from codeweft.stream import fold
from codeweft.types import Infill, Neighbour, Query, Request, Sampling, SearchResult

CHUNKS = 10
SUFFIX_LINES = 6
"""Lines after the function that belong to a task."""
SUFFIX_CHARACTERS = 400
"""Characters after the hole that the model is shown."""
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_KEYWORDS = frozenset(keyword.kwlist)


@dataclass(frozen=True, slots=True)
class Task:
    """A function to be written: the file up to its body, the body, and where it stands (lines from 1)."""

    repository: str
    path: str
    prompt: str
    answer: str
    suffix: str
    first: int
    last: int

    @property
    def missing(self) -> set[str]:
        """Identifiers of the answer that the prompt lacks."""
        return set(_IDENTIFIER.findall(self.answer)) - set(_IDENTIFIER.findall(self.prompt)) - _KEYWORDS


def _task(row: dict[str, Any], root: Path) -> Task:
    answer = row["ground_truth"].rstrip("\n")
    lines = (root / row["path"]).read_text("utf-8").split("\n")
    # `lineno` is that of the body's first line, counted from 0, but for blank lines around the docstring.
    for first in range(row["lineno"], row["lineno"] + 4):
        last = first + answer.count("\n")
        if "\n".join(lines[first - 1 : last]) == answer:
            break
    else:
        raise SystemExit(f"{root} is not at the task's revision: {row['path']}:{row['lineno']} differs.")
    suffix = "\n".join(["", *lines[last : last + SUFFIX_LINES]])
    # The set's prompts end without the line break before the body.
    return Task(row["repo"], row["path"], row["prompt"].rstrip("\n") + "\n", answer, suffix, first, last)


def found_for(task: Task, index: Index) -> list[SearchResult]:
    """What the product looks up for the hole, without the function that is to be written."""
    results = index.search(Query(query(Infill(task.prompt, "")), k=3 * CHUNKS))
    return [
        one
        for one in results
        if not (one.chunk.path == task.path and one.chunk.start_line <= task.last and one.chunk.end_line >= task.first)
    ][:CHUNKS]  # fmt: skip


def recall(task: Task, found: Sequence[SearchResult]) -> float:
    """The share of the missing identifiers that the chunks hold."""
    held = {name for one in found for name in _IDENTIFIER.findall(one.chunk.text)}
    return len(task.missing & held) / len(task.missing)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def lines_of(task: Task, start: str, count: int) -> list[Task]:
    """At most `count` lines of the body that need a name which the file up to there lacks, as tasks of their own.

    With `start` of `name` what stands before the first such name is given.
    """
    lines, found, missing = task.answer.split("\n"), [], task.missing
    for number, line in enumerate(lines):
        if len(found) == count:
            break
        code = line.strip()
        needed = [one for one in _IDENTIFIER.finditer(line) if one[0] in missing]
        if code.startswith("#") or not needed:
            continue
        column = needed[0].start() if start == "name" else len(line) - len(line.lstrip())
        before = "".join(one + "\n" for one in lines[:number]) + line[:column]
        after = "\n".join(["", *lines[number + 1 :]]) + task.suffix
        found.append(replace(task, prompt=task.prompt + before, answer=line[column:].strip(), suffix=after))
        missing = missing - {one[0] for one in needed}
    return found


async def complete(
    model: EmbeddedModel, task: Task, found: Sequence[SearchResult], room: int, tokens: int
) -> str:
    """The line that the model writes, knowing the last `room` characters of the prompt."""
    prefix = task.prompt[-room:].partition("\n")[2] if len(task.prompt) > room else task.prompt
    suffix = task.suffix[:SUFFIX_CHARACTERS]
    hole = Infill(prefix, suffix, tuple(Neighbour(one.chunk.path, one.chunk.text) for one in found))
    sampling = Sampling(max_tokens=tokens, temperature=0.0)
    text = (await fold(model.stream(Request(model.info.name, infill=hole, sampling=sampling)))).text
    return text.strip().partition("\n")[0].strip()


def scores(answer: str, right: str) -> dict[str, float]:
    """Exact match, whether it begins with the right name, edit similarity, and the F1 of the identifiers."""
    ours, theirs = set(_IDENTIFIER.findall(answer)) - _KEYWORDS, set(_IDENTIFIER.findall(right)) - _KEYWORDS
    named = _IDENTIFIER.match(right)
    begun = _IDENTIFIER.match(answer)
    return {
        "exact": float(answer == right),
        "first name": float(named is not None and begun is not None and named[0] == begun[0]),
        "similarity": difflib.SequenceMatcher(None, answer, right, autojunk=False).ratio(),
        "identifiers F1": 2 * len(ours & theirs) / max(1, len(ours) + len(theirs)),
    }


Scores = dict[str, dict[str, list[float]]]
"""Values of each task, by condition and measure."""


async def with_model(
    model: EmbeddedModel,
    tasks: Sequence[Task],
    found: dict[Task, list[SearchResult]],
    arguments: argparse.Namespace,
) -> tuple[Scores, list[bool]]:
    """Scores of each function, and whether what was shown for it holds a name that it needs.

    `file only` has the whole room for the file, `same file` as much of it as `retrieved`.
    """
    every: Scores = defaultdict(lambda: defaultdict(list))
    held = []
    room = arguments.room
    for whole in tasks:
        of_lines: Scores = defaultdict(lambda: defaultdict(list))
        holds = []
        for task in lines_of(whole, arguments.start, arguments.lines):
            hole = Infill(task.prompt[-room // 2 :], task.suffix[:SUFFIX_CHARACTERS])
            shown = neighbours(found[whole], hole, room // 3)
            names = {name for one in shown for name in _IDENTIFIER.findall(one.chunk.text)}
            holds.append(bool(names & whole.missing & set(_IDENTIFIER.findall(task.answer))))
            conditions = {
                "file only": ((), room),
                "same file": ((), room // 2),
                "retrieved": (shown, room // 2),
            }
            for condition, (context, characters) in conditions.items():
                answer = await complete(model, task, context, characters, arguments.tokens)
                for name, value in scores(answer, task.answer).items():
                    of_lines[condition][name].append(value)
        if holds:
            held.append(any(holds))
            for condition, measures in of_lines.items():
                for name, values in measures.items():
                    every[condition][name].append(_mean(values))
    await model.close()
    return every, held


def _report(every: Scores, kept: Sequence[bool]) -> dict[str, dict[str, float]]:
    """Prints the means and the gains over the tasks that are kept, and returns the means."""
    picked = {
        condition: {
            name: [value for value, keep in zip(values, kept, strict=True) if keep]
            for name, values in measures.items()
        }
        for condition, measures in every.items()
    }
    means = {c: {n: round(_mean(v), 4) for n, v in s.items()} for c, s in picked.items()}
    for condition, figures in means.items():
        print(f"{condition:12} " + "  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    for other in ("file only", "same file") if any(kept) else ():
        for name, values in picked["retrieved"].items():
            mean, low, high = paired_bootstrap(values, picked[other][name])
            print(f"retrieved - {other}: {name} {mean:+.4f} ({low:+.4f} to {high:+.4f})")
    return means


def main() -> None:
    """Run and print; `--json` keeps the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.retrieval.completion", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--repos", type=Path, default=Path("checkouts"), help="folder with the checkouts")
    parser.add_argument("--model", help="`starter` or a GGUF file; without it only recall is measured")
    parser.add_argument(
        "--tasks", type=int, default=0, help="tasks for the model, drawn with a fixed seed; 0 is all"
    )
    parser.add_argument(
        "--room", type=int, default=1700, help="characters of prompt that the model's context takes"
    )
    parser.add_argument("--tokens", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--lines", type=int, default=1, help="lines of a function at most")
    parser.add_argument("--start", choices=("line", "name"), default="line", help="where the model goes on")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()  # fmt: skip
    rows = rows_of(SHARED / "repoeval-function" / "tasks.jsonl.gz")
    encoder = StaticEncoder.load()
    found: dict[Task, list[SearchResult]] = {}
    with tempfile.TemporaryDirectory(prefix="codeweft-bench-") as scratch:
        for repository, revision in sorted({(row["repo"], row["revision"]) for row in rows}):
            root = checkout_folder(arguments.repos, repository, revision)
            if not root.is_dir():
                print(f"left out, no checkout: {repository} at {revision}")
                continue
            index = Index.create(Path(scratch) / root.name, Source("folder", str(root)), encoder)
            index.update(workers=0)
            found |= {task: found_for(task, index) for row in rows if row["repo"] == repository and (task := _task(row, root))}  # fmt: skip
            index.close()
    if not found:
        raise SystemExit(f"No repository of the set lies in {arguments.repos}.")
    by_repository: dict[str, list[float]] = defaultdict(list)
    for task, results in found.items():
        if task.missing:
            by_repository[task.repository].append(recall(task, results))
    every = [value for values in by_repository.values() for value in values]
    report: dict[str, Any] = {"identifier recall": round(_mean(every), 4), "tasks": len(every)}
    print(f"identifier recall in {CHUNKS} chunks: {_mean(every):.3f} of {len(every)} tasks")
    for repository, values in by_repository.items():
        print(f"    {repository:30} {_mean(values):.3f}")
    if arguments.model:
        path = bundled() if arguments.model == STARTER else Path(arguments.model)
        model = EmbeddedModel(path.stem, path, options=EngineOptions(parallel=1, threads=1))
        tasks = list(found)
        if arguments.tasks:
            tasks = random.Random(0).sample(tasks, min(arguments.tasks, len(tasks)))
        every_score, held = asyncio.run(with_model(model, tasks, found, arguments))
        print(f"all {len(held)} functions")
        report["model"] = _report(every_score, [True] * len(held))
        for holds in (True, False):
            kept = [one is holds for one in held]
            print(
                f"{sum(kept)} functions, what is shown {'holds' if holds else 'lacks'} a name that is needed"
            )
            report[f"shown {'holds' if holds else 'lacks'} a name"] = _report(every_score, kept)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
