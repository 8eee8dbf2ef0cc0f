"""Compare searchers on questions with known answers.

    python -m bench.retrieval --repos FOLDER --searchers codeweft,bm25,ripgrep,semble

FOLDER holds one checkout per repository of the set, at the revision that the set's `repos.json` pins.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from bench.retrieval.measure import Scores, mean_by, mean_of_repositories, paired_bootstrap, score
from bench.retrieval.searchers import available
from bench.retrieval.sets import Question, load
from codeweft.retrieval.encode import StaticEncoder


def main() -> None:
    """Run and print; `--json` keeps the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=__doc__.split("\n")[0])
    parser.add_argument("--repos", type=Path, required=True, help="folder with one checkout per repository")
    parser.add_argument("--set", default="semble", help="semble, ko or ko-en")
    parser.add_argument("--searchers", default="codeweft,bm25", help="of codeweft, bm25, ripgrep, semble")
    parser.add_argument("--encoder", type=Path, help="an encoder file instead of the bundled one")
    parser.add_argument(
        "--semble-model", type=Path, help="a model2vec model for semble (any will do with --semble-alpha 0)"
    )
    parser.add_argument("--semble-alpha", type=float, help="0 leaves semble's BM25 and ranking alone")
    parser.add_argument("--only", help="repositories, comma-separated")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()

    wanted = arguments.only.split(",") if arguments.only else None
    questions = [q for q in load(arguments.set) if wanted is None or q.repository in wanted]
    missing = sorted({q.repository for q in questions if not (arguments.repos / q.repository).is_dir()})
    if missing:
        print(f"left out, no checkout: {', '.join(missing)}")
        questions = [q for q in questions if q.repository not in missing]
    if not questions:
        raise SystemExit(f"No repository of the set lies in {arguments.repos}.")
    encoder = StaticEncoder.load(arguments.encoder)
    results: dict[str, dict[str, Scores]] = {}
    report: dict[str, object] = {"set": arguments.set, "questions": len(questions), "searchers": {}}
    for name in arguments.searchers.split(","):
        make = available(name, encoder, arguments.semble_model, arguments.semble_alpha)
        if make is None:
            continue
        scores, index_ms, query_ms = _run(make, questions, arguments.repos)
        results[name] = scores
        report["searchers"][name] = figures = {  # type: ignore[index]
            "ndcg10": round(mean_of_repositories(scores, questions), 4),
            "mrr": round(mean_of_repositories(scores, questions, "mrr"), 4),
            "recall5": round(mean_of_repositories(scores, questions, "recall5"), 4),
            "recall10": round(mean_of_repositories(scores, questions, "recall10"), 4),
            "index_ms_median": round(statistics.median(index_ms), 1),
            "query_ms_p50": round(statistics.median(query_ms), 2),
            **{
                f"by_{attribute}": {
                    key: round(value, 3) for key, value in mean_by(scores, questions, attribute).items()
                }
                for attribute in ("category", "language", "repository")
            },
        }
        print(f"\n{name}: " + json.dumps(figures, indent=1))
    report["differences"] = _differences(results, questions)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def _run(make, questions: list[Question], repos: Path) -> tuple[dict[str, Scores], list[float], list[float]]:  # type: ignore[no-untyped-def]
    scores: dict[str, Scores] = {}
    index_ms, query_ms = [], []
    for repository, root in sorted({(q.repository, q.root) for q in questions}):
        began = time.perf_counter()
        searcher = make(repos / repository / root)
        index_ms.append((time.perf_counter() - began) * 1000)
        for question in (q for q in questions if q.repository == repository):
            began = time.perf_counter()
            hits = searcher.search(question.text)
            query_ms.append((time.perf_counter() - began) * 1000)
            scores[question.id] = score(hits, question)
    return scores, index_ms, query_ms


def _differences(results: dict[str, dict[str, Scores]], questions: list[Question]) -> dict[str, list[float]]:
    """Paired-bootstrap intervals of the first searcher against each other one, over questions."""
    found: dict[str, list[float]] = {}
    first, *others = results
    for other in others:
        ours = [results[first][q.id].ndcg10 for q in questions]
        theirs = [results[other][q.id].ndcg10 for q in questions]
        mean, low, high = paired_bootstrap(ours, theirs)
        found[f"{first} - {other}"] = [round(mean, 4), round(low, 4), round(high, 4)]
        print(f"{first} - {other}: {mean:+.3f} NDCG@10 (95 % interval {low:+.3f} to {high:+.3f})")
    return found


if __name__ == "__main__":
    main()
