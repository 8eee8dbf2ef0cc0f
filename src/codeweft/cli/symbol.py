"""`codeweft symbol`: where a name is defined, used and called, and what it calls."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

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
from codeweft.cli.render import note, out, print_json
from codeweft.errors import InvalidRequest

if TYPE_CHECKING:
    from codeweft.retrieval.symbols import Place, Wanted

EXAMPLES = """Examples:

- `codeweft symbol parse_config`

- `codeweft symbol SessionStore.open --references`

- `codeweft symbol auth::login --callers --language rust --json`"""


def symbol(
    name: Annotated[str, typer.Argument(help="A name, also qualified: `Store.open`, `auth::open`.")],
    references: Annotated[bool, typer.Option("--references", help="Where it is used.")] = False,
    callers: Annotated[bool, typer.Option("--callers", help="Which functions call it.")] = False,
    callees: Annotated[bool, typer.Option("--callees", help="Which functions here it calls.")] = False,
    index: IndexOption = None,
    language: LanguageOption = None,
    path: PathOption = None,
    kind: KindOption = None,
    repository: RepositoryOption = None,
    branch: BranchOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many places.")] = 200,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show where a name is defined, or used, by syntax: comments and strings do not count."""
    from codeweft.retrieval.symbols import look_up

    if references + callers + callees > 1:
        raise InvalidRequest("Ask for one of --references, --callers and --callees.")
    wanted: Wanted = (
        "references" if references else "callers" if callers else "callees" if callees else "definitions"
    )
    narrowed = filters(path, language, kind, repository, branch)
    found = look_up(indexes(config).searched(index, narrowed), name, wanted, narrowed, limit)
    if as_json:
        print_json({"places": [asdict(place) for place in found.places], "more": found.more})
        return
    for line in dict.fromkeys(_line(place, wanted).markup for place in found.places):
        out.print(Text.from_markup(line))
    if not found.places:
        note(f"No {wanted} of {name} in what is indexed.")
    if any(not place.certain for place in found.places):
        note("? Another thing of that name may be meant.")
    if found.more:
        note(f"There is more; --limit shows more than {limit}.")


def _line(place: Place, wanted: Wanted) -> Text:
    mark = "" if place.certain else " ?"
    where = Text(f"{place.path}:{place.line}", "cyan")
    if wanted in ("definitions", "callees"):
        what = f"  {place.kind or 'name'} {place.name}{mark}  "
    elif wanted == "callers":
        often = f" ×{place.count}" if place.count > 1 else ""
        what = f"  {place.name or '(top level)'}{often}{mark}  "
    else:
        what = f"  {place.role}{mark}  "
    return Text.assemble(where, what, (place.text.strip(), "dim"))
