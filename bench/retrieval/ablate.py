"""What each constant of the ranking is worth: the same candidates ranked again without it.

    python -m bench.retrieval.ablate --set semble --repos FOLDER
    python -m bench.retrieval.ablate --set swebench --repos FOLDER --change place=1 --change place=2.5,same_file=0.5

Candidates are found once and ranked once per row. Of a balanced set every second repository by name (the half that
constants may be chosen on) is reported apart from the others.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from bench.retrieval.measure import Scores, grouped, means, overall, score
from bench.retrieval.searchers import Hit
from bench.retrieval.sets import Question, QuestionSet, from_file, load
from codeweft.retrieval.encode import StaticEncoder
from codeweft.retrieval.index import Index
from codeweft.retrieval.question import Question as Asked
from codeweft.retrieval.question import read_question
from codeweft.retrieval.rank import PRIORITIES, Priorities, rank
from codeweft.retrieval.sources import Source
from codeweft.retrieval.store.pool import Pool

Found = tuple[Question, Asked, Pool]

WITHOUT = {
    "words only": "lexical=1,lexical_symbol=1,near=0,near_symbol=0",
    "vectors only in the fused score": "lexical=0,lexical_symbol=0",
    "without boosts for definitions": "definition=0,embedded_definition=0",
    "without the file's name matching a definition": "definition_stem=1",
    "without what a symbol is qualified by": "owner=1",
    "without names that are only passed on": "passed_on=0",
    "without places": "place=0",
    "without path words": "path=0",
    "without name words": "name=0",
    "without coherence": "coherence=0",
    "without the file's terms": "terms=0",
    "without the file's nearness": "near=0,near_symbol=0",
    "without the factor for further chunks of a file": "same_file=1",
    "without penalties for tests, examples, legacy": "test=1,example=1,legacy=1",
    "without the penalty for declarations": "declaration=1",
    "without the penalty for headers with their implementation": "header=1",
    "without the penalty for other projects' code": "vendored=1",
    "without the penalty for older versions": "older=1",
    "without the penalty for reduced editions": "edition=1",
    "without the penalty for other platforms": "platform=1",
    "without the penalty for prose": "prose=1",
}
"""One row for each constant that can be taken out, in the form of `--change`."""


def changed(change: str) -> Priorities:
    """The priorities with `name=value,...` put in. Ends the program for a name that is none."""
    values = {name: float(value) for name, _, value in (part.partition("=") for part in change.split(","))}
    if unknown := values.keys() - {one.name for one in fields(Priorities)}:
        raise SystemExit(f"No priority is called {', '.join(sorted(unknown))}.")
    return replace(PRIORITIES, **values)


def candidates(which: QuestionSet, scratch: Path) -> list[Found]:
    """Every question of a set with its candidates."""
    encoder = StaticEncoder.load()
    pools: list[Found] = []
    for number, corpus in enumerate(sorted({q.corpus for q in which.questions})):
        index = Index.create(scratch / f"index{number}", Source("folder", str(corpus)), encoder)
        index.update(workers=0)
        for question in (q for q in which.questions if q.corpus == corpus):
            asked = read_question(question.text, index.source.repository)
            vector = index.encode(asked.gist)
            # The index is closed before they are ranked, so their rows are read now.
            found = Pool.of(index.candidates(asked, vector, which.depth))
            pools.append((question, asked, found))
        index.close()
    return pools


def ranked(pools: Sequence[Found], which: QuestionSet, priorities: Priorities) -> dict[str, Scores]:
    """The scores of all questions with these priorities."""
    scores: dict[str, Scores] = {}
    for question, asked, found in pools:
        best = rank(asked, found, which.depth, priorities)
        hits = [Hit(c.row.path, c.row.start_line, c.row.end_line) for c in best]
        scores[question.id] = score(hits, question, fold=which.by_file)
    return scores


def row(scores: Mapping[str, Scores], which: QuestionSet) -> dict[str, float]:
    """The figures of one row: all, both halves where the set is balanced, each category where there are several."""
    figures = overall(scores, which)
    shown = {name: figures[name] for name in ("ndcg10", "mrr", "acc1", "acc5", "acc10")}
    repositories = sorted({q.repository for q in which.questions})
    if which.balanced and len(repositories) > 1:
        tuned = set(repositories[::2])
        for label, inside in (("tuned on", True), ("not tuned on", False)):
            half = replace(which, questions=[q for q in which.questions if (q.repository in tuned) == inside])
            shown[label] = overall(scores, half)["ndcg10"]
    groups = grouped(scores, which.questions, "category")
    if len(groups) > 1:
        shown |= {name: means(group)["ndcg10"] for name, group in groups.items()}
    return shown


def main() -> None:
    """Print one row of Markdown for each change."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.retrieval.ablate", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--set", default="semble", help="name of a set, or a file of questions (README.md)")
    parser.add_argument("--repos", type=Path, default=Path("checkouts"), help="folder with the checkouts")
    parser.add_argument(
        "--change", action="append", help="name=value,... instead of leaving each out in turn"
    )
    arguments = parser.parse_args()  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="codeweft-bench-") as folder:
        scratch = Path(folder)
        file = Path(arguments.set)
        which = (
            from_file(file, arguments.repos)
            if file.is_file()
            else load(arguments.set, arguments.repos, scratch)
        )
        which.questions[:] = [q for q in which.questions if q.corpus.is_dir()]
        if not which.questions:
            raise SystemExit(f"No repository of the set lies in {arguments.repos}.")
        pools = candidates(which, scratch)
    rows = {"as it is": PRIORITIES}
    rows |= (
        {change: changed(change) for change in arguments.change}
        if arguments.change
        else {name: changed(change) for name, change in WITHOUT.items()}
    )
    for number, (name, priorities) in enumerate(rows.items()):
        figures = row(ranked(pools, which, priorities), which)
        if number == 0:
            print(f"| {which.name} | " + " | ".join(figures) + " |\n" + "|---" * (len(figures) + 1) + "|")
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in figures.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
