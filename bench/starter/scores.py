"""What the starter model can do, measured through the engine as the product runs it.

    python -m bench.starter.scores --model starter [--held-out heldout.jsonl] [--cases 100] [--only humaneval ...]

Programs that the model writes are run in the product's sandbox, and only there; without one those tasks are left out.
Cases are drawn with a fixed seed. `heldout.jsonl` is what `make -C training tokenizer` writes: files of packages that are
never trained on.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import math
import os
import random
import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.starter.layout import functions

from codeweft.models.embedded import EmbeddedModel
from codeweft.models.plan import EngineOptions
from codeweft.models.starter import STARTER, bundled
from codeweft.retrieval.encode import StaticEncoder
from codeweft.sandbox.bubblewrap import Bubblewrap
from codeweft.stream import fold
from codeweft.types import Infill, Limits, Message, Request, Sampling, replace

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("CODEWEFT_SHARED_DATA", ROOT.parent / "shared" / "data"))
SAMPLES = 10
"""Tries a problem for pass@10, at the temperature of Chen et al. 2021 for many tries."""
WARM = 0.8
LONGEST = 160
"""Tokens of a function; what the model has not said by then it will not say."""
LIMITS = Limits(seconds=20.0, cpu_seconds=5, memory_mb=512, processes=16)
T = TypeVar("T")
DESCRIBED = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "arguments": {"type": "array", "items": {"type": "string"}},
        "summary": {"type": "string"},
    },
    "required": ["name", "arguments", "summary"],
    "additionalProperties": False,
}
# None of these is among the questions that it is taught to turn down (training/starter/layout.py).
FACTS = (
    "What is the capital of Peru?", "Who wrote Moby Dick?", "When was Java released?", "Who painted the Mona Lisa?",
    "How tall is Mount Everest?", "What is the population of Busan?", "Who won the world cup in 2018?",
    "What did my boss write me yesterday?", "Which river flows through Paris?", "What is the newest version of Django?",
    "How far away is the sun?", "Who is the king of Sweden?", "What happened in 1492?", "Tell me about Italy.",
    "What does my file report.txt hold?", "What is the weather in Oslo?", "Who founded Microsoft?",
    "When did the Roman empire fall?", "What is the price of gold?", "Who invented the telephone?",
)  # fmt: skip
WISHES = (
    "Write a function that adds two numbers.", "Write a function that reverses a string.",
    "Write a Python function that reads a file.", "Write a function that counts the words of a text.",
    "I need a function that sorts a list of tuples.", "Write code for this: parse a date",
    "Write a function named clamp that limits a value to a range.", "Write a function that merges two dictionaries.",
    "Implement `is_even(number)`: return whether a number is even.", "how to join paths in python",
)  # fmt: skip
_OUTSIDE = re.compile(r"\n(?=[^\s#)\]}])")


@dataclass(frozen=True, slots=True)
class Score:
    """One line of the report."""

    task: str
    measure: str
    value: float
    cases: int

    def __str__(self) -> str:
        return f"| {self.task} | {self.measure} | {self.value:.3f} | {self.cases} |"


@dataclass(frozen=True, slots=True)
class Bench:
    """What every task needs."""

    model: EmbeddedModel
    sandbox: Bubblewrap
    cases: int
    held_out: Path | None

    async def write(self, request: Request, **sampling: Any) -> str:
        """The answer to one request, greedy unless `sampling` says otherwise."""
        wanted = Sampling(**{"max_tokens": LONGEST, "temperature": 0.0, **sampling})
        return (
            await fold(self.model.stream(replace(request, model=self.model.info.name, sampling=wanted)))
        ).text

    async def passes(self, program: str) -> bool:
        """Whether a program ends well in the sandbox."""
        return (await self.sandbox.run(("python3", "main.py"), {"main.py": program}, LIMITS)).ok

    def drawn(self, rows: Sequence[T]) -> list[T]:
        """As many rows as there are to be cases, drawn with a fixed seed."""
        return random.Random(0).sample(rows, min(self.cases, len(rows)))


def rows_of(name: str) -> list[dict[str, Any]]:
    """The rows of a benchmark set. Raises FileNotFoundError where it is not there."""
    with gzip.open(SHARED / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def body(text: str) -> str:
    """A function's body: up to the first line that stands at the margin."""
    return _OUTSIDE.split("\n" + text)[0][1:]


def rouge_l(said: str, right: str) -> float:
    """F1 of the longest common subsequence of words (Lin 2004), without stemming."""
    ours, theirs = re.findall(r"\w+", said.lower()), re.findall(r"\w+", right.lower())
    row = [0] * (len(theirs) + 1)
    for word in ours:
        before = 0
        for at, other in enumerate(theirs, 1):
            before, row[at] = row[at], before + 1 if word == other else max(row[at], row[at - 1])
    return 2 * row[-1] / max(1, len(ours) + len(theirs))


async def _programs(
    bench: Bench, task: str, problems: Sequence[tuple[str, Callable[[str], str]]]
) -> list[Score]:
    """pass@1 (greedy) and pass@10 of (prompt, answer to program)."""
    once, ten = 0, 0
    for prompt, program in problems:
        request = Request("", prompt=prompt)
        once += await bench.passes(program(body(await bench.write(request))))
        tries = {body(await bench.write(request, temperature=WARM, seed=seed)) for seed in range(SAMPLES)}
        for one in tries:
            if await bench.passes(program(one)):
                ten += 1
                break
    return [
        Score(task, "pass@1", once / len(problems), len(problems)),
        Score(task, "pass@10", ten / len(problems), len(problems)),
    ]


async def humaneval(bench: Bench) -> list[Score]:
    """Functions from their signature and docstring."""

    def problem(row: dict[str, Any]) -> tuple[str, Callable[[str], str]]:
        return row[
            "prompt"
        ], lambda said: f"{row['prompt']}{said}\n{row['test']}\ncheck({row['entry_point']})\n"

    return await _programs(
        bench, "HumanEval", [problem(row) for row in bench.drawn(rows_of("humaneval/HumanEval.jsonl.gz"))]
    )


async def mbpp(bench: Bench) -> list[Score]:
    """Functions from a sentence and an example; the model is given the name, and decides the arguments."""

    def problem(row: dict[str, Any]) -> tuple[str, Callable[[str], str]]:
        prompt = f"{row['prompt']}\n\ndef {row['entry_point']}("
        return prompt, lambda said: f"{prompt}{said}\n{row['assertion']}\n"

    rows = rows_of("mbpp-plus/MbppPlus-v0.1.0-shared.jsonl.gz")
    return await _programs(bench, "MBPP", [problem(row) for row in bench.drawn(rows)])


def infilling(title: str, name: str) -> Callable[[Bench], Awaitable[list[Score]]]:
    """A set of HumanEval-Infilling (Bavarian et al. 2022): exact match, pass@1, and answers that did not end."""

    async def run(bench: Bench) -> list[Score]:
        exact, passed, endless = 0, 0, 0
        rows = bench.drawn(rows_of(f"humaneval-infilling/{name}.jsonl.gz"))
        for row in rows:
            hole, right = Infill(row["prompt"], row["suffix"]), row["canonical_solution"]
            length = len(right) // 2 + 16
            said = await bench.write(Request("", infill=hole), max_tokens=length)
            cut = await bench.write(Request("", infill=hole), max_tokens=4 * length)
            endless += said != cut
            exact += cut.strip() == right.strip()
            program = f"{row['prompt']}{cut}{row['suffix']}\n{row['test']}\ncheck({row['entry_point']})\n"
            passed += await bench.passes(program)
        task = f"HumanEval-Infilling, {title}"
        return [
            Score(task, "exact match", exact / len(rows), len(rows)),
            Score(task, "pass@1", passed / len(rows), len(rows)),
            Score(task, "longer than twice the right answer", endless / len(rows), len(rows)),
        ]

    return run


async def summaries(bench: Bench) -> list[Score]:
    """One-line summaries of held-out functions against the first sentence of their docstrings."""
    if bench.held_out is None:
        return []
    lines = bench.held_out.read_text("utf-8").splitlines()
    found = [
        one
        for row in map(json.loads, lines)
        for one in functions(row["text"], row["path"])
        if len(one.bare) < 900
    ]
    encoder = StaticEncoder.load()
    overlaps, cosines = [], []
    for function in bench.drawn(found):
        asked = Message("user", f"Explain this function in one line:\n\n```python\n{function.bare}\n```")
        said = await bench.write(Request("", messages=(asked,)), max_tokens=48)
        overlaps.append(rouge_l(said, function.summary))
        ours, theirs = encoder.encode([said, function.summary])
        cosines.append(float(ours @ theirs))
    return [
        Score("summary of held-out functions", "ROUGE-L", _mean(overlaps), len(overlaps)),
        Score("summary of held-out functions", "cosine of the code encoder", _mean(cosines), len(cosines)),
    ]


async def objects(bench: Bench) -> list[Score]:
    """Held-out functions as JSON under a schema: valid by the grammar, but are the name and the arguments right?"""
    if bench.held_out is None:
        return []
    rows = map(json.loads, bench.held_out.read_text("utf-8").splitlines())
    found = [one for row in rows for one in functions(row["text"], row["path"]) if len(one.bare) < 900]
    valid, names, arguments = [], [], []
    for function in bench.drawn(found):
        wish = f"Give the name, the arguments and the summary of this function as JSON.\n\n```python\n{function.bare}\n```"
        said = await bench.write(Request("", messages=(Message("user", wish),)), json_schema=DESCRIBED)
        try:
            told = json.loads(said)
        except ValueError:
            told = {}
        valid.append(set(DESCRIBED["required"]) <= told.keys())
        names.append(told.get("name") == function.name)
        arguments.append(told.get("arguments") == [each for each in function.arguments.split(", ") if each])
    task = "held-out function as JSON, under a schema"
    return [
        Score(task, "valid", _mean(valid), len(valid)),
        Score(task, "right name", _mean(names), len(names)),
        Score(task, "right arguments", _mean(arguments), len(arguments)),
    ]


async def unknown(bench: Bench) -> list[Score]:
    """Questions of fact, which are to be turned down, and wishes for code, which are not."""

    async def turned_down(kind: str, questions: Sequence[str]) -> Score:
        answers = [
            await bench.write(Request("", messages=(Message("user", one),)), max_tokens=32)
            for one in questions
        ]
        return Score(kind, "turned down", _mean(["do not know" in said for said in answers]), len(answers))

    return [await turned_down("questions of fact", FACTS), await turned_down("wishes for code", WISHES)]


async def speed(bench: Bench) -> list[Score]:
    """Tokens a second of one stream, with its prompt of some 100 tokens, and the memory of the engine's process."""
    request = Request("", prompt="def mean(values):\n    return sum(values) / len(values)\n\n\n" * 5)
    rates = []
    for seed in range(5):
        began = time.monotonic()
        wanted = Sampling(max_tokens=256, temperature=1.0, seed=seed)
        answer = await fold(
            bench.model.stream(replace(request, model=bench.model.info.name, sampling=wanted))
        )
        if answer.usage is not None:
            rates.append(answer.usage.completion_tokens / (time.monotonic() - began))
    return [
        Score("speed, one stream", "tokens a second, best of five", max(rates, default=math.nan), len(rates)),
        Score("memory", "MB resident", _resident() / 1e6, 1),
    ]


TASKS: dict[str, Callable[[Bench], Awaitable[list[Score]]]] = {
    "humaneval": humaneval,
    "mbpp": mbpp,
    "single-line": infilling("single line", "SingleLineInfilling"),
    "multi-line": infilling("multi-line", "MultiLineInfilling"),
    "random-span": infilling("random span", "RandomSpanInfilling"),
    "summaries": summaries,
    "json": objects,
    "unknown": unknown,
    "speed": speed,
}


def _mean(values: Sequence[float | bool]) -> float:
    return sum(values) / len(values) if values else math.nan


def _resident() -> int:
    """Bytes of the largest child process."""
    children = ((task / "children").read_text().split() for task in Path("/proc/self/task").iterdir())
    page = os.sysconf("SC_PAGE_SIZE")
    return max(
        (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for some in children for pid in some),
        default=0,
    )


async def measure(bench: Bench, names: Sequence[str]) -> list[Score]:
    """Runs the tasks in their order, printing as they end."""
    if why := await bench.sandbox.missing():
        raise SystemExit(f"Nothing that the model writes can be run here: {why}")
    scores: list[Score] = []
    for name in names:
        for score in await TASKS[name](bench):
            print(score, flush=True)
            scores.append(score)
    await bench.model.close()
    return scores


def main() -> None:
    """Run and print a Markdown table; `--json` keeps the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.starter.scores", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--model", default=STARTER, help="`starter` or a GGUF file")
    parser.add_argument(
        "--held-out", type=Path, help="files never trained on; without it there are no summaries"
    )
    parser.add_argument("--cases", type=int, default=100, help="cases a task")
    parser.add_argument("--only", nargs="+", choices=sorted(TASKS), default=list(TASKS))
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    path = bundled() if options.model == STARTER else Path(options.model)
    model = EmbeddedModel(path.stem, path, options=EngineOptions(parallel=1, threads=1), family=STARTER)
    bench = Bench(model, Bubblewrap(parallel=1), options.cases, options.held_out)
    print("| task | measure | value | cases |\n|---|---|---|---|")
    scores = asyncio.run(measure(bench, options.only))
    if options.json:
        rows = [
            {"task": one.task, "measure": one.measure, "value": one.value, "cases": one.cases}
            for one in scores
        ]
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
