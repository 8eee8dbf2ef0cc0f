"""`codeweft search`: find code, for people and for programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from codeweft.cli.options import ConfigOption, IndexOption, JsonOption, indexes
from codeweft.cli.render import note, print_json, print_results
from codeweft.errors import InvalidRequest
from codeweft.types import Filters, Query

EXAMPLES = """Examples:

- `codeweft search "where are passwords hashed"`

- `codeweft search parse_config -k 5 --explain`

- `codeweft search "retry with backoff" --index api --language python --json`

- `codeweft search --queries questions.jsonl --index api > answers.jsonl`"""


def search(
    query: Annotated[
        str | None, typer.Argument(help="What to look for: words, a question, or a name.")
    ] = None,
    index: IndexOption = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many results.")] = 10,
    language: Annotated[
        list[str] | None, typer.Option("--language", "-l", help="Only this language (repeatable).")
    ] = None,
    path: Annotated[
        list[str] | None, typer.Option("--path", "-p", help="Only paths matching this glob (repeatable).")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only function, method, class, … (repeatable).")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show what each score is made of.")] = False,
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
    from codeweft.retrieval.record import record

    filters = Filters(tuple(path or ()), tuple(language or ()), tuple(kind or ()))
    opened = indexes(config)
    if queries is not None:
        for identity, text in _read(queries):
            try:
                answer: dict[str, Any] = {
                    "results": [record(r) for r in opened.search(Query(text, index, k, filters))]
                }
            except InvalidRequest as error:
                # One question that cannot be asked must not lose the answers to the others.
                answer = {"results": [], "error": str(error)}
            print_json({"id": identity} | answer)
        return
    assert query is not None
    found = opened.search(Query(query, index, k, filters))
    if as_json:
        print_json([record(result) | ({"why": dict(result.why)} if explain else {}) for result in found])
    elif found:
        print_results(found, code=code, explain=explain)
        if found[0].note:
            note(found[0].note, "yellow")
    else:
        note("Nothing was found. Try other words, or `codeweft index status` to see what is indexed.")


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
