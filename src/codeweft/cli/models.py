"""`codeweft models`: what answers here, what could, and getting it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from codeweft.cli.options import ConfigOption, JsonOption, settings
from codeweft.cli.render import note, out, print_json, progress, table

app = typer.Typer(help="List, fetch and remove models.")


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List, fetch and remove models; alone, it lists those of this machine."""
    if context.invoked_subcommand is None:
        list_(as_json=False, config=None)


@app.command("list")
def list_(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List apps and models that can be asked now."""
    from codeweft.runtime.compose import open_runtime

    async def work() -> list[dict[str, Any]]:
        async with open_runtime(settings(config)) as runtime:
            return [
                {
                    "name": info.name,
                    "kind": info.kind,
                    "skills": sorted(info.skills),
                    "context": info.context,
                    "description": info.description,
                    "note": info.note,
                    "default": info.name in (runtime.default_model, runtime.default_writer),
                }
                for info in runtime.infos()
            ]

    found = asyncio.run(work())
    if as_json:
        print_json(found)
        return
    shown = table("Name", "Kind", "Context", "Skills", "Description")
    for entry in found:
        context = f"{entry['context']:,}" if entry["context"] else ""
        name = f"{entry['name']} *" if entry["default"] else entry["name"]
        shown.add_row(
            name, entry["kind"], context, " ".join(entry["skills"]), entry["note"] or entry["description"]
        )
    out.print(shown)
    note("* answers when none is named. More models: `codeweft models catalogue`")


@app.command(epilog="Example: `codeweft models catalogue`")
def catalogue(as_json: JsonOption = False) -> None:
    """List code models worth fetching: licence, context, disk and memory, and what fits this machine."""
    from codeweft.models.catalogue import CATALOGUE
    from codeweft.models.hub import DEFAULT_QUANTISATION

    if as_json:
        print_json(
            [
                {
                    "name": entry.name,
                    "title": entry.title,
                    "repository": entry.repository,
                    "licence": entry.licence,
                    "context": entry.context,
                    "family": entry.family,
                    "quantisations": [
                        {
                            "name": q,
                            "disk_bytes": entry.disk(q),
                            "memory_bytes": entry.memory(q),
                            "fits": entry.fits(q),
                        }
                        for q in entry.quantisations
                    ],
                    "best_fit": entry.best_fit(),
                }
                for entry in CATALOGUE
            ]
        )
        return
    shown = table("Name", "Fits", "Quant", "Disk GB", "RAM GB", "Context", "Licence")
    for entry in CATALOGUE:
        best = entry.best_fit()
        quantisation = best or entry.quantisations[0]
        fits = "[green]yes[/]" if best else "[dim]no[/]"
        shown.add_row(
            entry.name,
            fits,
            quantisation,
            f"{entry.disk(quantisation) / 1e9:.1f}",
            f"{entry.memory(quantisation) / 1e9:.1f}",
            f"{entry.context >> 10}k",
            entry.licence,
        )
    out.print(shown)
    note(
        f"Fetch one: codeweft models pull NAME ({DEFAULT_QUANTISATION}) or NAME:QUANTISATION. Shown: the best that fits."
    )


@app.command(
    epilog="Examples: `codeweft models pull qwen2.5-coder-7b` · `codeweft models pull "
    "qwen2.5-coder-1.5b:Q8_0` · `codeweft models pull ./model.gguf` · "
    "`codeweft models pull NAME --mirror https://models.example.com`"
)
def pull(
    reference: Annotated[
        str, typer.Argument(help="A catalogue name, OWNER/REPOSITORY/FILE.gguf, a URL, or a local file.")
    ],
    mirror: Annotated[
        str | None, typer.Option("--mirror", help="Server with the hub's paths, used instead of it.")
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="Checksum that the file must have.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Fetch a model, or import a local GGUF file. An interrupted download goes on where it stopped."""
    from codeweft.models.hub import PullProgress
    from codeweft.models.hub import pull as fetch
    from codeweft.runtime.state import models_folder

    given = settings(config)
    with progress(as_json) as report:

        def show(step: PullProgress) -> None:
            report(f"{step.phase} (MB)", step.done >> 20, None if step.total is None else step.total >> 20)

        found = asyncio.run(
            fetch(
                reference,
                models_folder(),
                report=show,
                mirror=mirror or given.hub.mirror,
                sha256=sha256,
                token=given.hub.token,
            )
        )
    if as_json:
        print_json({"name": found.name, "path": str(found.path), "bytes": found.size, "sha256": found.sha256})
    else:
        note(
            f'{found.name} is ready ({_gb(found.size)}). Ask it: codeweft ask --model {found.name} "…"',
            style="",
        )


@app.command(epilog="Example: `codeweft models rm qwen2.5-coder-7b`")
def rm(name: Annotated[str, typer.Argument(help="Name of the installed model.")]) -> None:
    """Delete a fetched model."""
    from codeweft.models.hub import remove
    from codeweft.runtime.state import models_folder

    remove(name, models_folder())
    note(f"The model {name} is deleted.")


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
