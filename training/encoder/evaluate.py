"""How well the encoder finds code, beside BM25 and fused with it.

    python -m training.encoder.evaluate [--encoder FILE] [--held-out PAIRS.jsonl] [--train PAIRS.jsonl] [--shared DIR] [--json]

Each set is queries with one relevant item in a corpus; MRR is over the whole corpus, R@10 beside it. The encoder's
and BM25's scores are fused per query after min-max normalisation, half each.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.tokens import weighted_terms, words

Scores = NDArray[np.float32]
K1, B = 1.5, 0.75  # BM25's usual constants, those of the baselines in the data's own notes


@dataclass(frozen=True)
class RetrievalSet:
    """Queries, the corpus, and for each query the row of its one relevant item."""

    name: str
    queries: list[str]
    corpus: list[str]
    relevant: list[int]


class Bm25:
    """Plain Okapi BM25 over the product's own terms."""

    def __init__(self, corpus: Sequence[str]) -> None:
        counts = [Counter(words(text)) for text in corpus]
        lengths = np.array([sum(count.values()) for count in counts], dtype=np.float32)
        norm = K1 * (1 - B + B * lengths / max(float(lengths.mean()), 1.0))
        rows: dict[str, list[int]] = defaultdict(list)
        tfs: dict[str, list[int]] = defaultdict(list)
        for row, count in enumerate(counts):
            for term, tf in count.items():
                rows[term].append(row)
                tfs[term].append(tf)
        self.size = len(corpus)
        self.postings = {}
        for term, term_rows in rows.items():
            at = np.array(term_rows)
            tf = np.array(tfs[term], dtype=np.float32)
            idf = math.log(1 + (self.size - len(at) + 0.5) / (len(at) + 0.5))
            self.postings[term] = at, (idf * tf * (K1 + 1) / (tf + norm[at])).astype(np.float32)

    def scores(self, query: str, terms: Callable[[str], Mapping[str, float]] = weighted_terms) -> Scores:
        total = np.zeros(self.size, dtype=np.float32)
        for term, weight in terms(query).items():
            if found := self.postings.get(term):
                total[found[0]] += weight * found[1]
        return total


def plain_terms(text: str) -> dict[str, float]:
    """A text's own terms, all alike: what a search without any knowledge of questions looks for."""
    return dict.fromkeys(words(text), 1.0)


def normalised(scores: Scores) -> Scores:
    low, high = float(scores.min()), float(scores.max())
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)


def _rank(scores: Scores, relevant: int) -> int:
    """1 + the items above the relevant one; ties count half, so that a constant score gains nothing."""
    mine = scores[relevant]
    return 1 + int((scores > mine).sum()) + (int((scores == mine).sum()) - 1) // 2


def evaluate(data: RetrievalSet, encoder: StaticEncoder) -> dict[str, dict[str, float]]:
    """MRR and R@10 of BM25, the encoder and both fused on `data`."""
    bm25 = Bm25(data.corpus)
    documents = encoder.encode(data.corpus)
    asked = encoder.encode_query(data.queries)
    ranks: dict[str, list[int]] = defaultdict(list)
    for query, vector, relevant in zip(data.queries, asked, data.relevant, strict=True):
        lexical, dense = bm25.scores(query), documents @ vector
        ranks["bm25, plain terms"].append(_rank(bm25.scores(query, plain_terms), relevant))
        ranks["bm25"].append(_rank(lexical, relevant))
        ranks["encoder"].append(_rank(dense, relevant))
        ranks["fused"].append(_rank(normalised(lexical) + normalised(dense), relevant))
    return {
        name: {
            "mrr": sum(1 / rank for rank in found) / len(found),
            "r10": sum(rank <= 10 for rank in found) / len(found),
        }
        for name, found in ranks.items()
    }


def _lines(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def cosqa(shared: Path) -> RetrievalSet:
    corpus = _lines(shared / "cosqa/corpus.jsonl.gz")
    row = {item["idx"]: i for i, item in enumerate(corpus)}
    queries = _lines(shared / "cosqa/queries-dev-500.jsonl.gz")
    return RetrievalSet(
        "cosqa dev",
        [item["query"] for item in queries],
        [item["code"] for item in corpus],
        [row[item["relevant_idx"]] for item in queries],
    )


def doc_code(shared: Path, language: str) -> RetrievalSet:
    items = _lines(shared / f"codexglue-doc-code/{language}.jsonl.gz")
    return RetrievalSet(
        f"doc-code {language}",
        [item["doc"] for item in items],
        [item["code"] for item in items],
        list(range(len(items))),
    )


def kr_humaneval(shared: Path, language: str) -> RetrievalSet:
    corpus = _lines(shared / "kr-humaneval/retrieval_corpus.jsonl.gz")
    row = {item["task_id"]: i for i, item in enumerate(corpus)}
    queries = _lines(shared / "kr-humaneval/retrieval_queries.jsonl.gz")
    return RetrievalSet(
        f"kr-humaneval {language}",
        [item[f"query_{language}"] for item in queries],
        [item["code"] for item in corpus],
        [row[item["task_id"]] for item in queries],
    )


def held_out(path: Path, queries: int = 2000) -> RetrievalSet:
    """Documented functions of packages that training never saw: all are the corpus, every n-th text is a query."""
    with path.open(encoding="utf-8") as lines:
        pairs = [pair for pair in map(json.loads, lines) if pair["kind"] == "doc"]
    asked = range(0, len(pairs), max(1, len(pairs) // queries))
    return RetrievalSet(
        "held-out packages",
        [pairs[i]["text"] for i in asked],
        [pair["code"] for pair in pairs],
        list(asked),
    )


def opening(text: str) -> str:
    """The first 60 characters of a text's words: equal openings are taken for the same documentation."""
    return " ".join(words(text))[:60]


def unseen(data: RetrievalSet, trained: frozenset[str]) -> RetrievalSet:
    """`data` without the queries that training has seen; the corpus stays whole."""
    kept = [i for i, query in enumerate(data.queries) if opening(query) not in trained]
    return RetrievalSet(
        data.name, [data.queries[i] for i in kept], data.corpus, [data.relevant[i] for i in kept]
    )


def trained_openings(pairs: Path | None) -> frozenset[str]:
    """Openings of all texts of the training pairs; nothing when there are none to read."""
    if pairs is None:
        return frozenset()
    with pairs.open(encoding="utf-8") as lines:
        return frozenset(opening(json.loads(line)["text"]) for line in lines)


def sets(shared: Path, pairs: Path | None = None) -> Iterator[RetrievalSet]:
    if pairs is not None:
        yield held_out(pairs)
    yield cosqa(shared)
    for language in ("python", "java"):
        yield doc_code(shared, language)
    for language in ("ko", "en"):
        yield kr_humaneval(shared, language)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path, help="an encoder file; default the bundled one")
    parser.add_argument("--held-out", type=Path, help="pairs of held-out packages, as pairs.py writes them")
    parser.add_argument("--train", type=Path, help="training pairs: queries that stand in them are left out")
    parser.add_argument(
        "--shared", type=Path, default=Path(os.environ.get("CODEWEFT_SHARED_DATA", "../shared/data"))
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    encoder = StaticEncoder.load(args.encoder)
    trained = trained_openings(args.train)
    results = {
        data.name: evaluate(unseen(data, trained), encoder) for data in sets(args.shared, args.held_out)
    }
    if args.json:
        print(json.dumps(results, indent=1))
        return
    for name, scores in results.items():
        print(name, *(f"{how} {s['mrr']:.3f} (R@10 {s['r10']:.3f})" for how, s in scores.items()), sep=" | ")


if __name__ == "__main__":
    main()
