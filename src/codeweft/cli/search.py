"""`codeweft search`: find code, for people and for programs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from codeweft.cli.options import (
    BranchOption,
    ConfigOption,
    IndexOption,
    JsonOption,
    KindOption,
    LanguageOption,
    PathOption,
    RepositoryOption,
    filters,
    indexes,
)
from codeweft.cli.render import note, print_explanation, print_json, print_results
from codeweft.errors import InvalidRequest
from codeweft.types import Filters, Query, SearchType, Selection

EXAMPLES = """Examples:

- `codeweft search "where are passwords hashed"`

- `codeweft search parse_config -k 5 --explain`

- `codeweft search "retry with backoff" --index api --language python --json`

- `codeweft search "open a file" --type mmr --fetch-k 40 --lambda 0.3`

- `codeweft search --queries questions.jsonl --index api > answers.jsonl`"""


def search(
    query: Annotated[
        str | None, typer.Argument(help="What to look for: words, a question, or a name.")
    ] = None,
    index: IndexOption = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many results.")] = 10,
    language: LanguageOption = None,
    path: PathOption = None,
    kind: KindOption = None,
    repository: RepositoryOption = None,
    branch: BranchOption = None,
    search_type: Annotated[
        str,
        typer.Option(
            "--type",
            "-t",
            metavar="TYPE",
            help="hybrid, or by vectors alone: similarity, mmr, similarity_score_threshold,"
            " similarity_distance_threshold.",
        ),
    ] = "hybrid",
    fetch_k: Annotated[int, typer.Option(help="mmr: among how many of the nearest to choose.")] = 20,
    lambda_mult: Annotated[
        float, typer.Option("--lambda", help="mmr: 1 is nearness alone, 0 difference alone.")
    ] = 0.5,
    score_threshold: Annotated[
        float, typer.Option("--score", help="similarity_score_threshold: lowest cosine.")
    ] = 0.2,
    distance_threshold: Annotated[
        float | None, typer.Option("--distance", help="similarity_distance_threshold: largest distance.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show why each result is there, and how the search went.")
    ] = False,
    code: Annotated[
        bool, typer.Option("--code/--no-code", help="Show the first lines of each result.")
    ] = True,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries",
            metavar="FILE.jsonl",
            help='Many queries, one {"id", "query"} a line ("-": standard input).',
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Find the functions that matter for a question. Needs no model."""
    if (query is None) == (queries is None):
        raise InvalidRequest(
            "Say what to look for.", fix='codeweft search "…", or --queries FILE.jsonl for many.'
        )
    from codeweft.retrieval.record import explanation_record, record
    from codeweft.retrieval.search import check

    way = Selection(
        cast("SearchType", search_type), fetch_k, lambda_mult, distance_threshold, score_threshold
    )
    asked = Query(query or "", index, k, filters(path, language, kind, repository, branch), way)
    opened = indexes(config)
    if queries is not None:
        # What is wrong with all of them is one mistake, not one a line.
        check(replace(asked, text="anything"))
        for identity, text in _read(queries):
            try:
                answer: dict[str, Any] = {
                    "results": [record(r) for r in opened.search(replace(asked, text=text))]
                }
            except InvalidRequest as error:
                # One question that cannot be asked must not lose the answers to the others.
                answer = {"results": [], "error": str(error)}
            print_json({"id": identity} | answer)
        return
    found = opened.explained(asked)
    if as_json and explain:
        results = [record(result, why=True) for result in found.results]
        print_json({"results": results, "explanation": explanation_record(found.explanation)})
    elif as_json:
        print_json([record(result) for result in found.results])
    else:
        print_results(found.results, code=code)
        if found.results and found.results[0].note:
            note(found.results[0].note, "yellow")
        if explain:
            print_explanation(found.results, found.explanation)
        if not found.results:
            note(_nothing(asked))


def _nothing(asked: Query) -> str:
    if asked.selection.type in ("similarity_score_threshold", "similarity_distance_threshold"):
        return "Nothing is near enough. Loosen the threshold, or leave --type out."
    if asked.filters != Filters():
        return "Nothing was found there. Try other words, or look in more places."
    return "Nothing was found. Try other words, or `codeweft index status` to see what is indexed."


def _read(path: Path) -> list[tuple[Any, str]]:
    import json

    try:
        lines = (sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from None
    questions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            questions.append((entry["id"], str(entry["query"])))
        except (ValueError, KeyError, TypeError):
            raise InvalidRequest(
                f'{path}, line {number}: expected one JSON object with "id" and "query".'
            ) from None
    return questions
