"""What summaries gain: search over code whose documentation was taken out, with and without summaries in its place.

    python -m bench.summaries --repos FOLDER
    python -m bench.summaries --repos FOLDER --only click --starter

`as is` is the code with its documentation; `bare` the same code with documentation strings and comments blanked; `given`
is `bare` with each function's own documentation as its summary, which is what a very good model would write; `starter`
is `bare` with summaries by the bundled starter model, which is a very bad one. Line numbers stay as they were.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.retrieval.measure import Scores, overall, paired_bootstrap, score
from bench.retrieval.searchers import Hit
from bench.retrieval.sets import Question, QuestionSet, load
from codeweft.models.embedded import EmbeddedModel
from codeweft.models.starter import STARTER, bundled
from codeweft.retrieval.bridge import Bridge
from codeweft.retrieval.chunk import Piece, chunk
from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import Source
from codeweft.retrieval.summaries import Summariser
from codeweft.retrieval.summarise import KINDS, language, shorten
from codeweft.retrieval.summary_run import Wanted, make_searchable, missing, run
from codeweft.retrieval.update import SUMMARY_LANGUAGE
from codeweft.retrieval.walk import walk
from codeweft.types import Filters, Query

ENGLISH = language("en")
DEEPEST = 20
"""Results asked for; ranks below count as not found."""
Documented = dict[tuple[str, str, str, int], str]


def blanked(root: Path, target: Path) -> Documented:
    """Copy `root` without the documentation of its functions; what was taken out, by path, scope, name and line."""
    taken: Documented = {}
    for file in walk(root).files:
        text = (root / file.path).read_text("utf-8", "replace")
        _, pieces = chunk(text, file.path)
        lines = text.split("\n")
        for piece in pieces:
            if piece.docstring and piece.kind in KINDS:
                taken[file.path, piece.scope, piece.name, piece.start_line] = piece.docstring
                _blank(lines, piece)
        (target / file.path).parent.mkdir(parents=True, exist_ok=True)
        (target / file.path).write_text("\n".join(lines))
    return taken


def _blank(lines: list[str], piece: Piece) -> None:
    said = [line.strip() for line in piece.docstring.split("\n")]
    wanted = sorted({line for line in said if len(line) > 2}, key=len, reverse=True)
    for at in range(piece.start_line - 1, min(piece.end_line, len(lines))):
        for line in wanted:
            if line in lines[at]:
                lines[at] = lines[at].replace(line, "")
                break


def _indexed(root: Path, folder: Path, encoder: StaticEncoder) -> Index:
    index = Index.create(folder, Source("folder", str(root)), encoder)
    index.update(workers=0)
    return index


def give(index: Index, taken: Documented) -> int:
    """Store documentation as summaries; how many."""
    found = {
        row.digest: shorten(" ".join(doc.split()), ENGLISH)
        for row in index.store.scan("", Filters(kinds=tuple(KINDS)))
        if (doc := taken.get((row.path, row.scope, row.name, row.start_line)))
    }
    index.store.put_summaries("en", "given", found)
    index.store.set(**{SUMMARY_LANGUAGE: "en"})
    make_searchable(index, lambda: None)
    return len(found)


def by_starter(index: Index) -> int:
    """Have the starter write the summaries; how many there are."""
    bridge = Bridge()
    model = EmbeddedModel(STARTER, bundled())
    tasks, _ = missing(index, Wanted(ENGLISH))
    summariser = Summariser(tasks, [model], ENGLISH)
    spent = run(index, Wanted(ENGLISH), summariser, bridge, lambda spent: None)
    bridge.run(model.close())
    return spent.done


def _scores(index: Index, questions: Sequence[Question], which: QuestionSet) -> dict[str, Scores]:
    found = {}
    for question in questions:
        results = index.search(Query(question.text, k=min(which.depth, DEEPEST)))
        hits = [Hit(r.chunk.path, r.chunk.start_line, r.chunk.end_line) for r in results]
        found[question.id] = score(hits, question, fold=which.by_file)
    return found


def main() -> None:
    """Run and print; `--json` keeps the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.summaries", description=__doc__.split("\n")[0])
    parser.add_argument("--repos", type=Path, required=True, help="folder with one checkout per repository")
    parser.add_argument("--set", default="semble", help="a set of bench.retrieval")
    parser.add_argument("--only", help="repositories, comma-separated")
    parser.add_argument("--starter", action="store_true", help="also with summaries by the starter")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else None
    encoder = StaticEncoder.load()
    scores: dict[str, dict[str, Scores]] = {}
    with tempfile.TemporaryDirectory(prefix="codeweft-summaries-") as temporary:
        work = Path(temporary)
        which = load(arguments.set, arguments.repos, work)
        questions = [q for q in which.questions if wanted is None or q.repository in wanted]
        which = replace(which, questions=questions)
        for repository, corpus in sorted({(q.repository, q.corpus) for q in questions}):
            own = [q for q in questions if q.repository == repository]
            plain = _indexed(corpus, work / "plain", encoder)
            scores.setdefault("as is", {}).update(_scores(plain, own, which))
            taken = blanked(corpus, work / "code")
            index = _indexed(work / "code", work / "bare", encoder)
            scores.setdefault("bare", {}).update(_scores(index, own, which))
            count = give(index, taken)
            scores.setdefault("given", {}).update(_scores(index, own, which))
            if arguments.starter:
                index = _indexed(work / "code", work / "starter", encoder)
                written = by_starter(index)
                scores.setdefault("starter", {}).update(_scores(index, own, which))
                print(f"{repository}: {written} summaries by the starter")
            for folder in ("plain", "bare", "starter", "code"):
                shutil.rmtree(work / folder, ignore_errors=True)
            here = {name: sum(found[q.id].ndcg10 for q in own) / len(own) for name, found in scores.items()}
            print(
                repository,
                f"{count} documented",
                {name: round(mean, 3) for name, mean in here.items()},
                flush=True,
            )
    report = {}
    for name, found in scores.items():
        figures: dict[str, object] = {key: round(value, 4) for key, value in overall(found, which).items()}
        if name != "bare":
            for figure in ("ndcg10", "mrr"):
                ours, base = (
                    [getattr(one[q.id], figure) for q in questions] for one in (found, scores["bare"])
                )
                figures[f"{figure} minus bare"] = [round(value, 4) for value in paired_bootstrap(ours, base)]
        report[name] = figures
        print(name, json.dumps(figures))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
