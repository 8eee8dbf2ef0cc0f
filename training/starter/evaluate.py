"""Scores a GGUF file on held-out packages and on HumanEval-Infilling, with llama.cpp as the product runs it.

    python -m training.starter.evaluate --model starter.gguf --work training/build/starter --benchmarks ../shared/data
    python -m training.starter.evaluate --weights RUN/weights.safetensors --model ... (adds loss and bits per byte)

Nothing that the model writes is executed: a text counts as good when it is equal, similar, or parses.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import gzip
import json
import math
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from training.starter import layout, repository
from training.starter.engine import Engine
from training.starter.export import REPETITION_PENALTY
from training.starter.model import Llama
from training.starter.parity import load
from training.starter.prepare import LANGUAGES, Text, read_texts

NEAR_ROOM = 700  # characters of code from elsewhere
ROOM = 600  # ids of a hole's surroundings
ANSWER = 160  # ids that a chat may answer with
# Chats are greedy but for the penalty that the file asks for (export.py).
CHAT_SAMPLING = {"samplers": ["penalties", "temperature"], "repeat_penalty": REPETITION_PENALTY}
Encode = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class Score:
    """One line of the report: a share (0 to 1) or a mean, over how many cases."""

    task: str
    measure: str
    value: float
    cases: int

    def __str__(self) -> str:
        return f"| {self.task} | {self.measure} | {self.value:.3f} | {self.cases} |"


def parses(text: str) -> bool:
    """Whether a text is Python."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def similarity(left: str, right: str) -> float:
    """Edit similarity of two texts without the blanks around them, 0 to 1."""
    return difflib.SequenceMatcher(None, left.strip(), right.strip(), autojunk=False).ratio()


def infill_prompt(hole: layout.Hole, encode: Encode) -> list[int]:
    """The ids of a hole without its middle, as the product lays them out."""
    empty = layout.Hole(hole.prefix, "", hole.suffix)
    tokens = layout.fim_tokens(empty, encode, ROOM)
    return (tokens or [])[:-1]


def infill(
    engine: Engine,
    encode: Encode,
    task: str,
    holes: Sequence[layout.Hole],
    count: int,
    python: bool = True,
) -> list[Score]:
    """Exact match, similarity, empty answers and, of Python, whether the file parses with the answer in it."""
    answers = engine.texts([infill_prompt(hole, encode) for hole in holes], count)
    pairs = list(zip(holes, answers, strict=True))
    whole = [hole.prefix + answer + hole.suffix for hole, answer in pairs]
    scores = [
        _mean(task, "exact match", [answer.strip() == hole.middle.strip() for hole, answer in pairs]),
        _mean(task, "first line exact", [_first(answer) == _first(hole.middle) for hole, answer in pairs]),
        _mean(task, "edit similarity", [similarity(answer, hole.middle) for hole, answer in pairs]),
        _mean(task, "empty answer", [not answer.strip() for answer in answers]),
    ]
    if python:
        one_line = [parses(_one_line(hole, answer)) for hole, answer in pairs]
        scores += [
            _mean(task, "file parses", [parses(text) for text in whole]),
            _mean(task, "file parses, first line only", one_line),
        ]
    return scores


def from_elsewhere(engine: Engine, encode: Encode, texts: Sequence[Text], cases: int) -> list[Score]:
    """Lines that need a name from elsewhere in a held-out package, with and without the code that holds it."""
    rng = random.Random(2)
    held_out = repository.packages((text.package, text.path, text.text, text.language) for text in texts)
    found = []
    for _ in range(20 * cases):
        hole = rng.choice(held_out).hole(rng, NEAR_ROOM)
        if hole and "\n" not in hole[0].middle:
            found.append(hole)
        if len(found) == cases:
            break
    scores = []
    for condition, shown in (("alone", False), ("with code from elsewhere", True)):
        prompts = []
        for hole, near in found:
            empty = layout.Hole(hole.prefix, "", hole.suffix)
            prompts.append((layout.fim_tokens(empty, encode, ROOM, near if shown else ()) or [])[:-1])
        answers = engine.texts(prompts, 48)
        lines = [_first(answer) for answer in answers]
        rights = [_first(hole.middle) for hole, _ in found]
        task = f"held-out line that needs another file, {condition}"
        scores += [
            _mean(task, "line exact", [line == right for line, right in zip(lines, rights, strict=True)]),
            _mean(task, "edit similarity", list(map(similarity, lines, rights))),
            _mean(task, "identifiers F1", list(map(_same_names, lines, rights))),
        ]
    return scores


def _same_names(left: str, right: str) -> float:
    ours, theirs = set(re.findall(r"[A-Za-z_]\w*", left)), set(re.findall(r"[A-Za-z_]\w*", right))
    return 2 * len(ours & theirs) / max(1, len(ours) + len(theirs))


def _first(text: str) -> str:
    return text.strip().split("\n")[0].strip()


def _one_line(hole: layout.Hole, answer: str) -> str:
    """The whole text with the first line of an answer in it, as an editor shows a one-line completion."""
    blank = re.match(r"\s*\n", answer)
    line = (blank[0] if blank else "") + answer[blank.end() if blank else 0 :].split("\n")[0]
    return hole.prefix + line + ("" if hole.suffix.startswith("\n") else "\n") + hole.suffix


def humaneval_infilling(folder: Path, cases: int) -> list[layout.Hole]:
    """The first holes of HumanEval-Infilling's single-line set, spread over its problems."""
    with gzip.open(
        folder / "humaneval-infilling" / "SingleLineInfilling.jsonl.gz", "rt", encoding="utf-8"
    ) as lines:
        rows = [json.loads(line) for line in lines]
    random.Random(0).shuffle(rows)
    return [layout.Hole(row["prompt"], row["canonical_solution"], row["suffix"]) for row in rows[:cases]]


def held_out_holes(texts: Iterable[Text], cases: int) -> list[layout.Hole]:
    """Holes in files of packages that were never trained on, cut as in training."""
    found = []
    for text in texts:
        rng = random.Random(text.path)
        if len(text.text) < 15_000 and (hole := layout.cut(text.text, rng)) and hole.suffix:
            found.append(hole)
    return found[:cases]


def left_to_right(engine: Engine, texts: Iterable[Text], cases: int) -> list[Score]:
    """Whether functions begun by their signature and docstring go on as Python, up to the first line that is outside."""
    starts = []
    for text in texts:
        starts += [each for each in layout.functions(text.text, text.path) if not each.method][:2]
    starts = starts[:cases]
    prompts = []
    for function in starts:
        signature = function.bare.split(":\n", 1)[0] + ":"
        prompts.append(f'{signature}\n    """{function.summary}."""\n')
    answers = engine.texts(prompts, 96)
    bodies = [
        prompt + "\n".join(_indented(answer.split("\n")))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    return [_mean("continuation of held-out functions", "parses", [parses(body) for body in bodies])]


def _indented(lines: Sequence[str]) -> list[str]:
    """The lines of a body: up to the first that is not indented, without a last line that was cut off."""
    stop = next((at for at, line in enumerate(lines) if line and not line.startswith(" ")), len(lines) - 1)
    return list(lines[:stop])


def chats(engine: Engine, texts: Sequence[Text], cases: int) -> list[Score]:
    """Whether wishes are answered by code that parses, and references by the right one, named and repeated."""
    rng = random.Random(0)
    wishes, finds = [], []
    for text in texts:
        found = [
            each
            for each in layout.functions(text.text, text.path)
            if not each.method and len(each.code) < 700
        ]
        for function in found[:3]:
            wishes.append(layout.write_chat(function, rng))
            others = [each for each in found if each.name != function.name][:2]
            if others:
                finds.append(layout.find_chat(function, others, rng))
    return _wishes(engine, wishes[:cases]) + _references(engine, finds[:cases])


def _wishes(engine: Engine, chats: Sequence[Sequence[layout.Turn]]) -> list[Score]:
    answers = engine.texts([_opened(turns) for turns in chats], ANSWER, **CHAT_SAMPLING)
    codes = [fenced(answer) for answer in answers]
    return [
        _mean("wish", "answer has a closed code block", [code is not None for code in codes]),
        _mean("wish", "code parses", [code is not None and parses(code) for code in codes]),
        _mean(
            "wish",
            "code defines a function",
            [code is not None and parses(code) and "def " in code for code in codes],
        ),
    ]


def _references(engine: Engine, chats: Sequence[Sequence[layout.Turn]]) -> list[Score]:
    answers = engine.texts([_opened(turns) for turns in chats], 2 * ANSWER, **CHAT_SAMPLING)
    pairs = [(answer, turns[-1].content) for answer, turns in zip(answers, chats, strict=True)]
    return [
        _mean(
            "reference", "cites the right one", [_cited(answer) == _cited(wanted) for answer, wanted in pairs]
        ),
        _mean("reference", "cites any", [_cited(answer) is not None for answer, _ in pairs]),
        _mean("reference", "code similarity", [similarity(fenced(a) or a, fenced(w) or w) for a, w in pairs]),
        _mean("reference", "code parses", [parses(fenced(answer) or "(") for answer, _ in pairs]),
    ]


def _opened(turns: Sequence[layout.Turn]) -> str:
    return layout.chat_text(turns[:-1]) + f"{layout.TURN}assistant\n"


def fenced(answer: str) -> str | None:
    """The code of the first closed fence; None where there is none."""
    match = re.search(r"```(?:python)?\n(.*?)\n?```", answer, re.DOTALL)
    return match[1] if match else None


def _cited(answer: str) -> str | None:
    match = re.search(r"\[(\d+)\]", answer)
    return match[1] if match else None


def loss(
    model: Llama, texts: Sequence[Text], tokenizer: Tokenizer, limit: int = 512, task: str = "held-out files"
) -> list[Score]:
    """Cross-entropy of the first ``limit`` ids of files, in nats per token and bits per byte."""
    nats, tokens, size = 0.0, 0, 0
    for text in texts:
        ids = tokenizer.encode(layout.without_notice(text.text)).ids[: limit + 1]
        if len(ids) < 64:
            continue
        with torch.no_grad():
            each = float(model.loss(torch.tensor([ids[:-1]]), torch.tensor([ids[1:]])))
        nats += each * (len(ids) - 1)
        tokens += len(ids) - 1
        size += len(tokenizer.decode(ids[1:], skip_special_tokens=False).encode())
    return [
        Score(task, "nats per token", nats / max(1, tokens), tokens),
        Score(task, "bits per byte", nats / math.log(2) / max(1, size), size),
    ]


def _mean(task: str, measure: str, values: Sequence[float | bool]) -> Score:
    return Score(task, measure, sum(map(float, values)) / max(1, len(values)), len(values))


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a Markdown table of scores."""
    parser = argparse.ArgumentParser(prog="python -m training.starter.evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="GGUF file")
    parser.add_argument("--weights", type=Path, help="safetensors of the same model, for the loss")
    parser.add_argument(
        "--work", type=Path, required=True, help="folder with tokenizer.json and heldout.jsonl"
    )
    parser.add_argument("--benchmarks", type=Path, help="folder that holds humaneval-infilling/")
    parser.add_argument("--cases", type=int, default=120, help="cases a task")
    options = parser.parse_args(arguments)
    tokenizer = Tokenizer.from_file(str(options.work / "tokenizer.json"))
    every = read_texts(options.work / "heldout.jsonl")
    spoken = {language: [text for text in every if text.language == language] for language in LANGUAGES}
    for some in spoken.values():
        random.Random(1).shuffle(some)
    texts = spoken.pop("python")

    def encode(text: str) -> list[int]:
        return list(tokenizer.encode(text).ids)

    scores: list[Score] = []
    if options.weights:
        torch.set_num_threads(1)
        model = load(options.weights)
        scores += loss(model, texts[:60], tokenizer)
        for language, others in spoken.items():
            scores += loss(model, others[:60], tokenizer, task=f"held-out files in {language}")
    engine = Engine(options.model)
    scores += infill(engine, encode, "held-out holes", held_out_holes(texts, options.cases), 64)
    for language, others in spoken.items():
        holes = held_out_holes(others, options.cases)
        scores += infill(engine, encode, f"held-out holes in {language}", holes, 64, python=False)
    if options.benchmarks:
        cases = humaneval_infilling(options.benchmarks, options.cases)
        scores += infill(engine, encode, "HumanEval-Infilling, single line", cases, 48)
    scores += from_elsewhere(engine, encode, texts, 3 * options.cases)
    scores += left_to_right(engine, texts, options.cases)
    scores += chats(engine, texts, options.cases)
    print("| task | measure | value | cases |\n|---|---|---|---|")
    print(*scores, sep="\n")


if __name__ == "__main__":
    main()
