"""Questions over whole repositories, in English and in Korean: NDCG@10 of files, beside BM25 and fused.

    python -m training.encoder.evaluate_repositories --checkouts DIR [--encoder FILE] [--shared DIR]

DIR holds one folder per repository of the `semble-bench` set, checked out at its revision. Files are cut into
overlapping windows of lines; a file counts by its best window. This measures the encoder, not the product's search,
which chunks by syntax and ranks with more than these two scores.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from codeweft.retrieval.encode import StaticEncoder
from training.encoder.evaluate import Bm25, Scores, normalised

WINDOW, STEP = 40, 25  # lines
SUFFIXES = frozenset(
    ".py .js .ts .tsx .go .rs .java .cs .kt .h .cc .c .php .rb .swift .ex .exs .lua .hs .scala .sh .zig".split()  # noqa: SIM905
)


def windows(root: Path) -> tuple[list[str], list[str]]:
    """(path of each window, its text with the path on top), over all source files below `root`."""
    paths, texts = [], []
    for file in sorted(root.rglob("*")):
        if file.suffix not in SUFFIXES or not file.is_file():
            continue
        lines = file.read_text("utf-8", "replace").splitlines()
        path = file.relative_to(root).as_posix()
        for start in range(0, max(1, len(lines) - (WINDOW - STEP)), STEP):
            paths.append(path)
            texts.append(path + "\n" + "\n".join(lines[start : start + WINDOW]))
    return paths, texts


def ndcg(ranked: Sequence[str], targets: Sequence[str]) -> float:
    """Binary NDCG@10; a target is found by a path that equals it or ends in it, either way round."""
    gain = 0.0
    for target in targets:
        for rank, path in enumerate(ranked[:10]):
            if path.endswith(target) or target.endswith(path):
                gain += 1 / math.log2(rank + 2)
                break
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(10, len(targets))))


def best_files(paths: Sequence[str], scores: Scores) -> list[str]:
    return list(dict.fromkeys(paths[at] for at in np.argsort(-scores, kind="stable")))[:10]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkouts", type=Path, required=True)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument(
        "--shared", type=Path, default=Path(os.environ.get("CODEWEFT_SHARED_DATA", "../shared/data"))
    )
    args = parser.parse_args()
    encoder = StaticEncoder.load(args.encoder)
    questions = []
    for name, field in (
        ("semble-bench", "query"),
        ("ko-repo-queries", "query_ko"),
        ("ko-repo-queries", "query_en"),
    ):
        with gzip.open(args.shared / name / "queries.jsonl.gz", "rt", encoding="utf-8") as lines:
            questions += [(f"{name} {field}", item, item[field]) for item in map(json.loads, lines)]
    results: dict[str, dict[str, dict[str, list[float]]]] = {}
    for repository in sorted({item["repo"] for _, item, _ in questions}):
        paths, texts = windows(args.checkouts / repository)
        if not texts:
            continue
        bm25, vectors = Bm25(texts), encoder.encode(texts)
        for name, item, question in questions:
            if item["repo"] != repository:
                continue
            targets = [t if isinstance(t, str) else t["path"] for t in item["relevant"] + item["secondary"]]
            lexical, dense = bm25.scores(question), vectors @ encoder.encode_query([question])[0]
            for how, scores in (
                ("bm25", lexical),
                ("encoder", dense),
                ("fused", normalised(lexical) + normalised(dense)),
            ):
                by_repository = results.setdefault(name, {}).setdefault(how, {})
                by_repository.setdefault(repository, []).append(ndcg(best_files(paths, scores), targets))
    mean: Callable[[list[float]], float] = lambda values: sum(values) / len(values)  # noqa: E731
    for name, hows in results.items():
        for how, repositories in hows.items():
            total = mean([mean(values) for values in repositories.values()])
            print(
                f"{name} | {how} | {total:.3f} |",
                " ".join(f"{r} {mean(v):.2f}" for r, v in repositories.items()),
            )


if __name__ == "__main__":
    main()
