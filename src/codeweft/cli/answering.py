"""Who answers a command-line question (a running server, or models opened for this one command), and showing it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from rich.markup import escape
from rich.syntax import Syntax
from rich.text import Text

from codeweft.cli.render import err, note, out, place, progress
from codeweft.config import environment_key
from codeweft.stream import Answer, reading
from codeweft.types import (
    Checked,
    Explained,
    Model,
    ModelInfo,
    NodeStarted,
    PromptProgress,
    Request,
    Retrieved,
    Step,
    TextDelta,
)

if TYPE_CHECKING:
    from codeweft.config import Settings


class Connection(Protocol):
    """Models by name, here or on a server."""

    def model(self, name: str | None) -> Model: ...
    async def infos(self) -> Sequence[ModelInfo]: ...


@asynccontextmanager
async def answerer(settings: Settings, url: str | None) -> AsyncIterator[Connection]:
    """The server at `url`, or the one running here (its models are loaded already), or else our own models."""
    from codeweft.runtime.compose import Remote, open_runtime
    from codeweft.runtime.running import Server, running

    server = Server(url.rstrip("/"), 0, environment_key() or "") if url else running()
    if server is not None:
        async with Remote(server) as remote:
            yield remote
        return
    async with open_runtime(settings) as runtime:
        yield runtime.local()


async def show(model: Model, request: Request, quiet: bool = False) -> Answer:
    """Stream the answer to the terminal (or nowhere, if `quiet`) and return it folded.

    Until the first words arrive a progress line says what is going on.
    """
    answer = Answer()
    printer = _Printer(quiet)
    async with reading(model.stream(request)) as events:
        with progress(quiet) as report:
            report("Waiting for the model…", 0, None)
            async for event in events:
                answer.add(event)
                match event:
                    case TextDelta():
                        break
                    case PromptProgress():
                        report("Reading the prompt", event.done, event.total)
                    case NodeStarted(kind="retriever"):
                        report("Looking up references…", 0, None)
                    case Step():
                        if not quiet:
                            print_step(event)
                        report("Looking further…", 0, None)
                    case Retrieved():
                        report(f"Reading {len(event.results)} references…", 0, None)
                    case _:
                        pass
        printer.write(answer.text)
        async for event in events:
            answer.add(event)
            if isinstance(event, TextDelta):
                printer.write(event.text)
            elif isinstance(event, Step) and not quiet:
                print_step(event)
    printer.close()
    if answer.reason == "length" and not quiet:
        note("The answer was cut at its longest allowed length; --max-tokens allows more.")
    return answer


def print_step(step: Step) -> None:
    """One dim line about what an agent did."""
    given = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in step.arguments.items()
    )
    came = step.error or f"{step.results} results"
    note(f"{step.number}. {step.tool}({given})  {came}  {step.seconds:.2f} s")


def print_explanation(told: Explained) -> None:
    """What was searched for, what was found and why, what of it the model read, and all else that it read."""
    from codeweft.retrieval.record import explanation, said

    fields = explanation(told)
    err.print(Text.assemble(("Searched for: ", "bold"), " ".join(told.query.split())))
    for one in fields["candidates"]:
        why = ", ".join(f"{reason} {part:.2f}" for reason, part in one["why"].items())
        number = f"[{one['number']}]" if one["number"] else "   "
        where = f"{one['path']}:{one['start_line']}-{one['end_line']}"
        err.print(
            Text.assemble(
                (f"{number} ", "bold"), (where, "cyan"), f"  {one['score']:.2f}", (f"  {why}", "dim")
            )
        )
    err.print(Text("What the model read:", "bold"))
    for turn in told.prompt:
        err.print(Text.assemble((f"{turn.role}: ", "bold"), said(turn)))


def print_references(answer: Answer) -> None:
    """The numbered functions that the answer drew on, and which model wrote it."""
    gone = answer.cited.gone if answer.cited is not None else ()
    for number, result in enumerate(answer.results or (), 1):
        chunk = result.chunk
        err.print(
            Text.assemble(
                (f"[{number}] ", "bold"),
                (place(result), "cyan"),
                f"  {chunk.qualified_name}",
                (f"  {result.score:.2f}", "dim"),
                ("  changed since it was indexed" if number in gone else "", "red"),
            )
        )
    if answer.cited is not None and answer.cited.dropped:
        false = ", ".join(f"[{number}]" for number in answer.cited.dropped)
        note(f"The source does not bear out {false}; do not rely on what the answer says there.")
    if answer.checked is not None:
        print_check(answer.checked)
    if answer.results is not None and not answer.results:
        note(
            "Written without references: nothing in the index matches, or there is no index (`codeweft index add PATH`)."
        )
    rate = answer.timings.get("tokens_per_s")
    said = [
        answer.model,
        f"{answer.usage.completion_tokens} tokens",
        f"{rate:.0f} tokens/s" if rate else "",
        answer.note,
    ]
    note(" · ".join(part for part in said if part))


def print_check(checked: Checked) -> None:
    """Whether the answer's code stood its check."""
    verdict, style = ("Verified: ", "bold green") if checked.verified else ("Not verified: ", "bold yellow")
    mended = " (corrected once)" if checked.repaired else ""
    err.print(Text.assemble((verdict, style), f"{checked.message}{mended}."))


class _Printer:
    """Text to standard output as it comes; on a terminal, finished lines of code blocks are highlighted."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._fancy = out.is_terminal
        self._line = ""
        self._language: str | None = None
        """The fenced block we are in: its language, or None outside."""

    def write(self, text: str) -> None:
        if self._quiet:
            return
        if not self._fancy:
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        *whole, rest = (self._line + text).split("\n")
        for line in whole:
            self._erase()
            self._finish(line)
        self._erase()
        self._line = rest
        sys.stdout.write(rest)
        sys.stdout.flush()

    def close(self) -> None:
        if not self._quiet:
            sys.stdout.write("\n")
            sys.stdout.flush()

    def _erase(self) -> None:
        """Take back the unfinished line, to print it anew with its colours."""
        rows = Text(self._line).cell_len // max(out.width, 1)
        sys.stdout.write("\r" + "\x1b[1A" * rows + "\x1b[J")
        self._line = ""

    def _finish(self, line: str) -> None:
        if line.lstrip().startswith("```"):
            self._language = None if self._language is not None else line.strip("` ").split(" ")[0] or "text"
            out.print(Text(line, "dim"))
        elif self._language is not None:
            out.print(Syntax(line, self._language, background_color="default", theme="ansi_dark"))
        else:
            out.print(escape(line), markup=True)
