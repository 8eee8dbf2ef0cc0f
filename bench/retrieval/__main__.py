"""Compare searchers on questions with known answers.

    python -m bench.retrieval --set semble --repos FOLDER --searchers codeweft,bm25,ripgrep,semble

FOLDER holds the checkouts (see README.md, also for the format of a set of your own).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.retrieval.measure import Scores, grouped, means, overall, paired_bootstrap, score
from bench.retrieval.searchers import SEARCHERS, Searcher, available
from bench.retrieval.sets import QuestionSet, from_file, load
from codeweft.retrieval.encode import StaticEncoder

Make = Callable[[Path], Searcher]


def main() -> None:
    """Run and print; `--json` keeps the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=__doc__.split("\n")[0])
    parser.add_argument("--set", default="semble", help="name of a set, or a file of questions (README.md)")
    parser.add_argument("--repos", type=Path, default=Path("checkouts"), help="folder with the checkouts")
    parser.add_argument(
        "--repositories",
        type=Path,
        help="facts of the repositories, instead of the repos.json beside the file",
    )
    parser.add_argument(
        "--query-field", default="query", help="which field of the file's rows is the question"
    )
    parser.add_argument("--searchers", default="codeweft,bm25", help=f"of {', '.join(SEARCHERS)}")
    parser.add_argument("--encoder", type=Path, help="an encoder file instead of the bundled one")
    parser.add_argument(
        "--semble-model", type=Path, help="a model2vec model for semble (any will do with --semble-alpha 0)"
    )
    parser.add_argument("--semble-alpha", type=float, help="0 leaves semble's BM25 and ranking alone")
    parser.add_argument("--only", help="repositories, comma-separated")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="codeweft-bench-") as scratch:
        which = _set(arguments, Path(scratch))
        encoder = StaticEncoder.load(arguments.encoder)
        makers = {
            name: available(name, encoder, arguments.semble_model, arguments.semble_alpha)
            for name in arguments.searchers.split(",")
        }
        results = {name: _run(name, make, which) for name, make in makers.items() if make is not None}
    report = {
        "set": which.name,
        "questions": len(which.questions),
        "searchers": {name: figures for name, (_, figures) in results.items()},
        "differences": _differences({name: scores for name, (scores, _) in results.items()}, which),
    }
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def _set(arguments: argparse.Namespace, scratch: Path) -> QuestionSet:
    """The set that was asked for, without what has no checkout."""
    file = Path(arguments.set)
    if file.is_file():
        which = from_file(file, arguments.repos, arguments.repositories, arguments.query_field)
    else:
        which = load(arguments.set, arguments.repos, scratch)
    wanted = set(arguments.only.split(",")) if arguments.only else None
    missing = sorted({str(q.corpus) for q in which.questions if not q.corpus.is_dir()})
    if missing:
        print(f"left out, no checkout: {', '.join(missing)}")
    which.questions[:] = [
        q for q in which.questions if q.corpus.is_dir() and (wanted is None or q.repository in wanted)
    ]
    if not which.questions:
        raise SystemExit(f"No repository of the set lies in {arguments.repos}.")
    return which


def _run(name: str, make: Make, which: QuestionSet) -> tuple[dict[str, Scores], dict[str, object]]:
    scores: dict[str, Scores] = {}
    index_ms, query_ms = [], []
    for corpus in sorted({q.corpus for q in which.questions}):
        began = time.perf_counter()
        searcher = make(corpus)
        index_ms.append((time.perf_counter() - began) * 1000)
        for question in (q for q in which.questions if q.corpus == corpus):
            began = time.perf_counter()
            hits = searcher.search(question.text, which.depth)
            query_ms.append((time.perf_counter() - began) * 1000)
            scores[question.id] = score(hits, question, fold=which.by_file)
    figures: dict[str, object] = {
        **_rounded(overall(scores, which)),
        "index_ms_median": round(statistics.median(index_ms), 1),
        "query_ms_p50": round(statistics.median(query_ms), 2),
    }
    print(f"\n{name}: " + "  ".join(f"{figure} {value}" for figure, value in figures.items()))
    for attribute in ("category", "language", "repository"):
        groups = {
            key: {"questions": len(group), **_rounded(means(group))}
            for key, group in grouped(scores, which.questions, attribute).items()
        }
        figures[f"by_{attribute}"] = groups
        print(f"  by {attribute}: {'questions':>24} {'NDCG@10':>8} {'MRR':>8} {'recall@10':>9}")
        for key, row in groups.items():
            print(f"    {key:30} {row['questions']:>5} {row['ndcg10']:8.3f} {row['mrr']:8.3f} {row['recall10']:9.3f}")  # fmt: skip
    return scores, figures


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def _differences(
    results: dict[str, dict[str, Scores]], which: QuestionSet
) -> dict[str, dict[str, list[float]]]:
    """Paired-bootstrap intervals of the first searcher against each other one, over all questions and by category."""
    found: dict[str, dict[str, list[float]]] = {}
    first, *others = results
    categories = sorted({q.category for q in which.questions})
    for other in others:
        found[f"{first} - {other}"] = rows = {}
        for category in ("", *categories) if len(categories) > 1 else ("",):
            asked = [q.id for q in which.questions if category in ("", q.category)]
            for figure in ("ndcg10", "mrr"):
                ours, theirs = (
                    [getattr(results[name][id_], figure) for id_ in asked] for name in (first, other)
                )
                mean, low, high = paired_bootstrap(ours, theirs)
                rows[" ".join(filter(None, (category, figure)))] = [round(v, 4) for v in (mean, low, high)]
        print(f"\n{first} - {other} (95 % interval)")
        for label, (mean, low, high) in rows.items():
            print(f"    {label:24} {mean:+.3f} ({low:+.3f} to {high:+.3f})")
    return found


if __name__ == "__main__":
    main()
