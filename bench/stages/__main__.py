"""What the optional stages of search gain: a transformer encoder, a re-ranker, a translation of the question.

    python -m bench.stages --repos FOLDER --url http://127.0.0.1:8901/v1 --variants plain,encoder,rerank:0.3 --only click,rack
    python -m bench.stages --repos FOLDER --set ko --variants plain,translated

`--url` is an endpoint with `/embeddings` and `/rerank`, such as `bench.stages.minilm`. `translated` takes the English
form of the same question as its translation: what a perfect translation would gain, and no less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.retrieval.measure import Scores, overall, paired_bootstrap, score
from bench.retrieval.searchers import Hit
from bench.retrieval.sets import QuestionSet, load
from codeweft.models.openai_compatible import OpenAIEmbedder
from codeweft.models.reranker import OpenAIReranker
from codeweft.retrieval.bridge import Bridge
from codeweft.retrieval.embedding import EmbedderEncoder
from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import Source
from codeweft.retrieval.stages import StageOptions, Stages
from codeweft.types import Encoder, Query, SearchResult

Search = Callable[[Query], list[SearchResult]]


class Known:
    """A translator that knows the translation of every question of a set. Satisfies `QueryExpander`."""

    name = "known"

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    async def expand(self, query: str) -> Sequence[str]:
        return (self._texts[query],)


def _indexed(root: Path, folder: Path, encoder: Encoder) -> Index:
    index = Index.create(folder, Source("folder", str(root)), encoder)
    index.update(workers=0)
    return index


def main() -> None:
    """Run and print; `--json` keeps the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__.split("\n")[0])
    parser.add_argument("--repos", type=Path, required=True, help="folder with one checkout per repository")
    parser.add_argument("--set", default="semble", help="a set of bench.retrieval")
    parser.add_argument(
        "--variants",
        default="plain",
        help="of plain, encoder, translated, translated-only, rerank:SHARE[:TOP]",
    )
    parser.add_argument("--url", default="http://127.0.0.1:8901/v1")
    parser.add_argument("--only", help="repositories, comma-separated")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()

    wanted = arguments.only.split(",") if arguments.only else None
    scratch = tempfile.TemporaryDirectory(prefix="codeweft-stages-")
    folder = Path(scratch.name)
    which = load(arguments.set, arguments.repos, folder)
    questions = [q for q in which.questions if wanted is None or q.repository in wanted]
    which = replace(which, questions=questions)
    english = {}
    if arguments.set in ("ko", "ja", "zh"):
        others = {q.id: q.text for q in load("ko-en", arguments.repos, folder).questions}
        english = {q.text: others[q.id] for q in questions}
    bridge = Bridge()
    static = StaticEncoder.load()
    remote = EmbedderEncoder(OpenAIEmbedder("bench", arguments.url, model="bench", timeout=600), bridge)
    patient = {"rerank_timeout": 600.0, "expand_timeout": 600.0}

    def stages(variant: str) -> Stages | None:
        name, *numbers = variant.split(":")
        if name == "rerank":
            options = StageOptions(
                share=float(numbers[0]), top=int(numbers[1]) if len(numbers) > 1 else 30, **patient
            )
            reranker = OpenAIReranker("bench", arguments.url, model="bench", timeout=600)
            return Stages(bridge, reranker=reranker, options=options)
        if name in ("translated", "translated-only"):
            options = StageOptions(expansion_only=name == "translated-only", **patient)
            return Stages(bridge, expander=Known(english), options=options)
        return None

    variants = arguments.variants.split(",")
    staged = {variant: stages(variant) for variant in variants}
    scores: dict[str, dict[str, Scores]] = {variant: {} for variant in variants}
    index_s: dict[str, list[float]] = {variant: [] for variant in variants}
    query_ms: dict[str, list[float]] = {variant: [] for variant in variants}
    for repository, corpus in sorted({(q.repository, q.corpus) for q in questions}):
        own = [q for q in questions if q.repository == repository]
        made: dict[str, Index] = {}
        for variant in variants:
            kind = "encoder" if variant == "encoder" else "plain"
            if kind not in made:
                began = time.perf_counter()
                made[kind] = _indexed(
                    corpus, folder / f"{repository}-{kind}", remote if kind == "encoder" else static
                )
                index_s[variant].append(time.perf_counter() - began)
            index, around = made[kind], staged[variant]
            for question in own:
                began = time.perf_counter()
                query = Query(question.text, k=10)
                found = around.search(query, index.search) if around else index.search(query)
                query_ms[variant].append((time.perf_counter() - began) * 1000)
                assert not (found and found[0].note), found[0].note
                hits = [Hit(r.chunk.path, r.chunk.start_line, r.chunk.end_line) for r in found]
                scores[variant][question.id] = score(hits, question, fold=which.by_file)
        here = {v: round(statistics.mean(scores[v][q.id].ndcg10 for q in own), 3) for v in variants}
        print(repository, here, flush=True)
    _report(arguments.json, which, scores, index_s, query_ms)


def _report(
    path: Path | None,
    which: QuestionSet,
    scores: dict[str, dict[str, Scores]],
    index_s: dict[str, list[float]],
    query_ms: dict[str, list[float]],
) -> None:
    report: dict[str, object] = {}
    base = next(iter(scores))
    for variant, found in scores.items():
        figures: dict[str, object] = {
            **{key: round(value, 4) for key, value in overall(found, which).items()},
            "query_ms_p50": round(statistics.median(query_ms[variant]), 1),
            "index_s": round(sum(index_s[variant]), 1),
        }
        if variant != base:
            difference = paired_bootstrap(
                [found[q.id].ndcg10 for q in which.questions],
                [scores[base][q.id].ndcg10 for q in which.questions],
            )
            figures[f"minus {base}"] = [round(value, 4) for value in difference]
        report[variant] = figures
        print(variant, json.dumps(figures))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
