"""What the terminal shows: results as tables, progress as bars, errors as one message. Data goes to standard output,
everything said to the person goes to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from codeweft.errors import CodeweftError
from codeweft.types import SearchResult

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)

Report = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is done, and of how much (None while unknown)."""


def complain(error: CodeweftError) -> None:
    """Say what went wrong and what to do about it."""
    err.print(Text.assemble(("Error: ", "bold red"), error.message))
    if error.fix:
        err.print(Text(error.fix))


def note(text: str, style: str = "dim") -> None:
    err.print(Text(text, style))


def print_json(value: Any) -> None:
    """One JSON document on standard output; lone surrogates in file names are escaped, not an error."""
    sys.stdout.write(
        json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() + "\n"
    )


@contextmanager
def progress(quiet: bool = False) -> Iterator[Report]:
    """A progress bar on standard error; silent when it is no terminal or `quiet`."""
    if quiet or not err.is_terminal:
        yield lambda phase, done, total: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        task = bars.add_task("Starting…", total=None)

        def report(phase: str, done: int, total: int | None) -> None:
            bars.update(task, description=phase, completed=done, total=total)

        yield report


def table(*columns: str) -> Table:
    """An empty table whose first column, the name one copies, is never cut."""
    made = Table(box=None, header_style="bold")
    for position, title in enumerate(columns):
        made.add_column(title, no_wrap=position == 0)
    return made


def place(result: SearchResult) -> str:
    """`path:start-end`, as editors and people write it."""
    chunk = result.chunk
    return f"{chunk.path}:{chunk.start_line}-{chunk.end_line}"


def print_results(results: list[SearchResult], *, code: bool, explain: bool, lines: int = 12) -> None:
    """Search results for a person: where, what, how well, and the first lines of the code."""
    for number, result in enumerate(results, 1):
        chunk = result.chunk
        what = f"{chunk.kind} {chunk.qualified_name}".strip()
        out.print(
            Text.assemble(
                (f"{number:>2}. ", "bold"),
                (place(result), "cyan"),
                f"  {what}  ",
                (f"{result.score:.3f}", "dim"),
            )
        )
        if explain and result.why:
            reasons = "  ".join(f"{reason} {value:+.3f}" for reason, value in result.why.items())
            out.print(Text(f"    {reasons}", "dim"))
        if code:
            head = "\n".join(chunk.text.rstrip().splitlines()[:lines])
            out.print(Syntax(head, chunk.language or "text", line_numbers=True, start_line=chunk.start_line))
