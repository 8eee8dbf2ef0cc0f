"""`codeweft index summarise`: summaries of functions, with what they cost before and while they are written."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codeweft.cli.options import ConfigOption, JsonOption, settings
from codeweft.cli.render import err, note, out, print_json, progress
from codeweft.errors import InvalidRequest, NotReady

if TYPE_CHECKING:
    from codeweft.cli.answering import Connection
    from codeweft.config import Settings
    from codeweft.retrieval.summaries import Spent
    from codeweft.retrieval.summarise import Estimate


def summarise(
    name: Annotated[str, typer.Argument(help="Name of the index.")],
    language: Annotated[
        str | None, typer.Option("--language", "-l", help="en, ko, ja, zh, … (default: the settings').")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Model that writes (repeat to share the work).")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many functions, the most useful first.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it starts.")] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete the summaries in this language instead.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Have a model write what each function does, in your language, and search that too.

    What is written is kept by content: unchanged functions cost nothing again, and an interrupted run goes on.
    """
    asyncio.run(_summarise(name, language, tuple(model or ()), limit, dry_run, yes, delete, as_json, config))


async def _summarise(
    name: str,
    language: str | None,
    models: tuple[str, ...],
    limit: int | None,
    dry_run: bool,
    yes: bool,
    delete: bool,
    as_json: bool,
    config: Path | None,
) -> None:
    from codeweft.cli.answering import answerer
    from codeweft.jobs import Jobs
    from codeweft.jobs import Progress as Step
    from codeweft.retrieval.bridge import Bridge
    from codeweft.runtime.state import open_indexes
    from codeweft.runtime.summaries import Choice, Summaries

    chosen = settings(config)
    index = await asyncio.to_thread(lambda: open_indexes(chosen).get(name))
    async with answerer(chosen, None) as connection:
        default = None if delete else await _default_writer(chosen, connection)
        summaries = Summaries(
            chosen,
            Jobs(),
            lambda asked: connection.model(asked or default),
            Bridge(asyncio.get_running_loop()),
        )
        choice = Choice(language, models, limit)
        if delete:
            deleted = await asyncio.to_thread(summaries.forget, index, language)
            print_json({"deleted": deleted}) if as_json else note(f"{deleted} summaries are deleted.")
            return
        estimate = await asyncio.to_thread(summaries.estimate, index, choice)
        models_chosen = summaries.models(choice)
        writers = [writer.info.name for writer in models_chosen]
        if dry_run and as_json:
            print_json(asdict(estimate) | {"models": writers})
            return
        if not as_json:
            _announce(estimate, writers)
            for said in {writer.info.note for writer in models_chosen} - {""}:
                note(said, "yellow")
        if dry_run or not estimate.functions:
            return
        if err.is_terminal and not yes and not as_json:
            typer.confirm("Start?", abort=True, err=True)
        wanted = summaries.wanted(choice)
        with progress(as_json) as bar:

            def report(step: Step) -> None:
                bar(f"{step.phase}  {step.message}", step.done, step.total or None)

            spent = await asyncio.to_thread(summaries.work, index, wanted, models_chosen, report)
    if as_json:
        print_json(asdict(spent))
    else:
        _conclude(spent)
    if spent.failed and not spent.done:
        raise NotReady("No summary could be written.", fix=f"The first reason: {spent.failures[0].reason}.")


async def _default_writer(chosen: Settings, connection: Connection) -> str:
    """The model that writes when nobody chose one: a model itself, no app around it."""
    if chosen.summaries.models or chosen.model:
        return chosen.model or chosen.summaries.models[0]
    for info in await connection.infos():
        if info.kind != "app" and "chat" in info.skills:
            return info.name
    raise InvalidRequest("There is no model that can write summaries.", fix="Name one with `--model`.")


def _announce(estimate: Estimate, writers: list[str]) -> None:
    if estimate.known:
        note(f"{_functions(estimate.known)} summarised already; that costs nothing.")
    if not estimate.functions:
        note("Nothing is left to summarise.")
        return
    if estimate.usd is None:
        price = "unknown (set `prices` in the settings)"
    else:
        price = f"about ${estimate.usd:,.2f}" if estimate.usd else "none but this machine's work"
    out.print(
        f"{_functions(estimate.functions)} to summarise with {', '.join(writers)}: about"
        f" {estimate.prompt_tokens:,} tokens in, {estimate.completion_tokens:,} out; cost {price}.",
        markup=False,
    )


def _conclude(spent: Spent) -> None:
    from codeweft.runtime.summaries import said

    out.print(f"{_functions(spent.done)} summarised: {said(spent)}.", markup=False)
    for failure in spent.failures[:20]:
        note(f"  failed: {failure.path} {failure.name}: {failure.reason}")
    if spent.failed > 20:
        note(f"  … and {spent.failed - 20} more (--json lists them)")


def _functions(count: int) -> str:
    return f"{count:,} function{'' if count == 1 else 's'}"
