"""`codeweft grep`: lines of the indexed code that match a regular expression."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from codeweft.cli.options import (
    BranchOption,
    ConfigOption,
    JsonOption,
    LanguageOption,
    PathOption,
    RepositoryOption,
    filters,
    indexes,
)
from codeweft.cli.render import marked, note, out, print_json

if TYPE_CHECKING:
    from codeweft.retrieval.grep import Hit

EXAMPLES = """Examples:

- `codeweft grep "def test_\\w+_twice" --path "tests/**"`

- `codeweft grep todo -i -w --language python --context 2`

- `codeweft grep "a[0](" --fixed --json`"""


def grep(
    pattern: Annotated[str, typer.Argument(help="A regular expression in RE2's syntax.")],
    index: Annotated[
        str | None,
        typer.Option("--index", metavar="NAME", help="Index to search (default: the default one, or all)."),
    ] = None,
    path: PathOption = None,
    language: LanguageOption = None,
    repository: RepositoryOption = None,
    branch: BranchOption = None,
    ignore_case: Annotated[bool, typer.Option("--ignore-case", "-i", help="Case does not count.")] = False,
    whole_word: Annotated[bool, typer.Option("--word", "-w", help="Only whole words.")] = False,
    fixed: Annotated[bool, typer.Option("--fixed", "-F", help="The pattern is plain text.")] = False,
    context: Annotated[
        int, typer.Option("--context", "-C", min=0, max=1000, help="Lines shown on either side.")
    ] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", "-m", min=1, help="End after this many lines.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the indexed lines that match, as they are found. Exit code 1 when there is none."""
    from codeweft.retrieval.grep import Grep, Pattern

    asked = Pattern(pattern, ignore_case=ignore_case, whole_word=whole_word, fixed=fixed)
    narrowed = filters(path, language, None, repository, branch)
    found = Grep(indexes(config).searched(index, narrowed), asked, narrowed, context=context, limit=limit)
    count = _print_json(found) if as_json else _print(found, separated=context > 0)
    if found.more:
        note(f"There is more; --limit shows more than {limit}.")
    if not count:
        note("No line matches.")
        raise typer.Exit(1)


def _print_json(found: Iterable[Hit]) -> int:
    """Print hits one a line; how many there were."""
    count = 0
    for hit in found:
        count += 1
        print_json(asdict(hit))
    return count


def _print(found: Iterable[Hit], *, separated: bool) -> int:
    """Print hits that touch as one piece, with a line between pieces; how many hits there were."""
    count = 0
    for group in _touching(found):
        if separated and count:
            out.print("--", style="dim")
        count += len(group)
        lines = {number: Text(text, "dim") for hit in group for number, text in _around(hit)}
        lines.update({hit.number: marked(hit.text, hit.spans) for hit in group})
        matching = {hit.number for hit in group}
        for number in sorted(lines):
            mark = ":" if number in matching else "-"
            head = Text.assemble((group[0].path, "magenta"), mark, (str(number), "green"), mark)
            out.print(head + lines[number])
    return count


def _touching(found: Iterable[Hit]) -> Iterator[list[Hit]]:
    """Hits of one file whose lines and context meet."""
    group: list[Hit] = []
    for hit in found:
        if group:
            last = group[-1]
            apart = hit.number - len(hit.before) > last.number + len(last.after) + 1
            if apart or (hit.index, hit.path) != (last.index, last.path):
                yield group
                group = []
        group.append(hit)
    if group:
        yield group


def _around(hit: Hit) -> Iterator[tuple[int, str]]:
    yield from enumerate(hit.before, hit.number - len(hit.before))
    yield from enumerate(hit.after, hit.number + 1)
