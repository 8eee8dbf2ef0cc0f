"""Finds training files that hold the answer to a benchmark problem."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

SHINGLE = 10  # words; shorter ones are idioms that any two programs share
SHARE = 0.5  # of the shingles of a problem; half of an answer is an answer
FEWEST = 4  # shingles that must be shared at least

# File under the benchmark folder -> the fields which are the answer or the question in words.
_SETS = {
    "humaneval/HumanEval.jsonl.gz": ("prompt", "canonical_solution"),
    "humanevalpack/humanevalpack-python.jsonl.gz": ("canonical_solution", "buggy_solution"),
    "humanevalpack/humanevalpack-js.jsonl.gz": ("canonical_solution", "buggy_solution"),
    "humanevalpack/humanevalpack-java.jsonl.gz": ("canonical_solution", "buggy_solution"),
    "mbxp/mbxp-javascript.jsonl.gz": ("canonical_solution",),
    "mbxp/mbxp-typescript.jsonl.gz": ("canonical_solution",),
    "mbxp/mbxp-go.jsonl.gz": ("canonical_solution",),
    "mbxp/mbxp-java.jsonl.gz": ("canonical_solution",),
    "mbpp-plus/MbppPlus-v0.1.0-shared.jsonl.gz": ("canonical_solution",),
    "bigcodebench/BigCodeBench-shared.jsonl.gz": ("prompt", "canonical_solution"),
    "repoeval-function/tasks.jsonl.gz": ("ground_truth",),
}


def problems(folder: Path) -> Iterator[str]:
    """The questions and answers of the benchmark sets under a folder; raises FileNotFoundError for a missing set."""
    for name, fields in _SETS.items():
        with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield from (row[field] for field in fields if row.get(field))


def shingles(text: str) -> set[int]:
    """Hashes of all runs of ``SHINGLE`` words or signs; comments and layout do not count."""
    words = re.findall(r"\w+|[^\w\s]", re.sub(r"#.*", "", text))
    return {hash(tuple(words[at : at + SHINGLE])) for at in range(len(words) - SHINGLE + 1)}


class Benchmarks:
    """An index of benchmark texts that says whether a file repeats one of them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._sizes: list[int] = []
        self._index: dict[int, list[int]] = {}
        for text in texts:
            found = shingles(text)
            for each in found:
                self._index.setdefault(each, []).append(len(self._sizes))
            self._sizes.append(len(found))

    def __len__(self) -> int:
        return len(self._sizes)

    def repeats(self, text: str) -> bool:
        """Whether a text shares half of the shingles of any one problem, exactly or nearly its answer."""
        hits: Counter[int] = Counter()
        for each in shingles(text) & self._index.keys():
            hits.update(self._index[each])
        return any(count >= max(FEWEST, SHARE * self._sizes[problem]) for problem, count in hits.items())
