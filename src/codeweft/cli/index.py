"""`codeweft index`: the code that Codeweft knows."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codeweft.cli.options import ConfigOption, JsonOption, indexes
from codeweft.cli.render import note, out, print_json, progress, table
from codeweft.cli.summarise import summarise
from codeweft.errors import InvalidRequest

if TYPE_CHECKING:
    from codeweft.retrieval.index import Index, IndexStatus
    from codeweft.retrieval.update import Progress

app = typer.Typer(help="Index code, see what is indexed, remove it.", no_args_is_help=True)

SHOWN = 20
"""Lines about failed or skipped files; more are summed up by reason."""
NameOption = Annotated[str | None, typer.Option("--name", "-n", metavar="NAME", help="Name of the index.")]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Read and encode on a Ray cluster: `auto` for the one this machine belongs to, or its address.",
    ),
]
WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Return when it is searchable, or at once.")
]


@app.command(
    epilog="Examples: `codeweft index add .` · `codeweft index add https://github.com/pallets/flask#main --name flask` · "
    "`codeweft index add https://git.example.org/api --token '${GIT_TOKEN}'` · `codeweft index add release-2.1.tar.gz` · "
    "`codeweft index add https://docs.example.org/guide/ --web` · `codeweft index add ~/src/api --name api --wait --json`"
)
def add(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, a git URL (#branch, #tag or #commit behind it), a web page (all below it when its address "
            "ends in /), an archive (zip, tar) or a document (PDF, Office, notebook)."
        ),
    ],
    name: NameOption = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            help="Reads a private repository. '${NAME}' is looked up in the environment whenever it is needed.",
        ),
    ] = None,
    web: Annotated[
        bool | None, typer.Option("--web/--git", help="What an https address is (found out by default).")
    ] = None,
    refresh: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", min=0, help="How often the server fetches it again; 0 never."),
    ] = None,
    ray: RayOption = None,
    wait: WaitOption = True,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Index code or documentation. Doing it again reads only what changed."""
    index = indexes(config, ray=ray).add(source, name, token=token, web=web)
    if refresh is not None:
        index.set_refresh(refresh)
    _update(index, wait, as_json, config, ray)


@app.command(epilog="Example: `codeweft index update api`")
def update(
    name: Annotated[str, typer.Argument(help="Name of the index.")],
    ray: RayOption = None,
    wait: WaitOption = True,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read again what changed in the source of an index."""
    _update(indexes(config, ray=ray).get(name), wait, as_json, config, ray)


@app.command(epilog="Examples: `codeweft index status` · `codeweft index status --name api --json`")
def status(
    name: NameOption = None,
    skipped: Annotated[
        bool, typer.Option("--skipped", help="List every file that failed or was skipped, with the reason.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what is indexed, what failed and what was skipped, with reasons."""
    opened = indexes(config)
    if name is None and not skipped:
        _table(opened.statuses(), as_json)
        return
    chosen = opened.statuses() if name is None else [opened.get(name).status()]
    if as_json:
        records = [record(found) for found in chosen]
        print_json(records if name is None else records[0])
        return
    for found in chosen:
        _summary(found)
        if found.error:
            out.print(f"  {found.error}", markup=False)
        for title, places in (("failed", found.failed), ("skipped", found.skipped)):
            _reasons(title, places, whole=skipped)


@app.command("list")
def list_(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the indexes."""
    _table(indexes(config).statuses(), as_json)


@app.command(epilog="Examples: `codeweft index secrets api` · `codeweft index secrets api --json`")
def secrets(
    name: Annotated[str, typer.Argument(help="Name of the index.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the keys, tokens and passwords that were taken out before anything was stored: where, and of which kind."""
    found = indexes(config).get(name).secrets()
    if as_json:
        print_json([{"path": path, "line": one.line, "rule": one.rule} for path, one in found])
        return
    for path, one in found:
        out.print(f"{path}:{one.line}  {one.rule}", markup=False)
    files = len({path for path, _ in found})
    note(
        f"Hidden from the index: {len(found)}, in files: {files}. They are still in the source: rotate them."
        if found
        else f"No secrets were found in {name}."
    )


@app.command(epilog="Example: `codeweft index rm api`")
def rm(
    name: Annotated[str, typer.Argument(help="Name of the index.")],
    config: ConfigOption = None,
) -> None:
    """Delete an index. The source itself is not touched."""
    indexes(config).delete(name)
    note(f"The index {name} is deleted.")


app.command(
    epilog="Examples: `codeweft index summarise api --language ko --model big --dry-run` · `codeweft index summarise api -y`"
)(summarise)


def record(status: IndexStatus) -> dict[str, Any]:
    """An index as programs read it; the field names are stable. Counts, with the paths and reasons beside them."""
    fields = asdict(status)
    for key in ("failed", "skipped"):
        places = fields[key]
        fields[key] = len(places)
        fields[f"{key}_files"] = [{"path": path, "reason": reason} for path, reason in places]
    return fields


def _update(index: Index, wait: bool, as_json: bool, config: Path | None, ray: str | None) -> None:
    if not wait:
        options = ["--config", str(config)] if config else []
        options += ["--ray", ray] if ray else []
        subprocess.Popen(
            [sys.executable, "-m", "codeweft", "index", "update", index.name, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if as_json:
            print_json(record(index.status()))
        else:
            note(
                f"Indexing goes on in the background; `codeweft index status --name {index.name}` shows how far it is."
            )
        return
    with progress(as_json) as report:
        found = index.update(lambda step: report(_stage(step), step.done, step.total or None))
    if as_json:
        print_json(record(found))
    else:
        _summary(found)
    if found.state in ("empty", "failed"):
        raise InvalidRequest(
            f"Nothing in {found.source} could be indexed.",
            fix=f"`codeweft index status --name {found.name}` lists what was skipped and why.",
        )


def _stage(step: Progress) -> str:
    """What is being done, how fast."""
    if step.stage == "fetching":
        return step.detail
    return f"{step.stage}, {step.rate:,.0f} files/s" if step.rate else step.stage


def _reasons(title: str, places: Sequence[tuple[str, str]], *, whole: bool) -> None:
    """Paths with their reasons: all of them, or how often there is each reason and the first few."""
    if not whole and len(places) > SHOWN:
        for reason, count in Counter(reason for _, reason in places).most_common(SHOWN):
            out.print(f"  {title}: {count} × {reason}", markup=False)
        out.print("  (--skipped lists them all)", markup=False)
        return
    for path, reason in places:
        out.print(f"  {title}: {path}  ({reason})", markup=False)


def _summary(status: IndexStatus) -> None:
    summarised = f", {status.summarised} summarised" if status.summarised else ""
    skipped = f", {len(status.skipped)} skipped" if status.skipped else ""
    hidden = f", secrets hidden: {status.secrets}" if status.secrets else ""
    failed = f", [red]{len(status.failed)} failed[/]" if status.failed else ""
    out.print(
        f"[bold]{status.name}[/]  {status.state}: {status.indexed} of {status.files} files, {status.chunks} chunks"
        f"{summarised}{skipped}{failed}{hidden}  [dim]{status.source}[/]"
    )


def _table(statuses: list[IndexStatus], as_json: bool) -> None:
    if as_json:
        print_json([record(found) for found in statuses])
        return
    if not statuses:
        note("No index yet. Make one: codeweft index add PATH")
        return
    shown = table("Name", "State", "Files", "Chunks", "Skipped", "Failed", "Source")
    for found in statuses:
        counts = (found.indexed, found.chunks, len(found.skipped), len(found.failed))
        shown.add_row(found.name, found.state, *map(str, counts), found.source)
    out.print(shown)
