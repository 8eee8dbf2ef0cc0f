"""What the terminal shows: results as tables, progress as bars, errors as one message. Data goes to standard output,
everything said to the person goes to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len, set_cell_size
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
from codeweft.types import Explanation, SearchResult

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


def print_results(results: list[SearchResult], *, code: bool, lines: int = 12) -> None:
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
        if code:
            head = "\n".join(chunk.text.rstrip().splitlines()[:lines])
            out.print(Syntax(head, chunk.language or "text", line_numbers=True, start_line=chunk.start_line))


def print_explanation(results: list[SearchResult], explanation: Explanation) -> None:
    """What each result's score is made of, as a table; then the words looked up, what was considered, the time."""
    reasons = list(dict.fromkeys(reason for result in results for reason in result.why))
    rows = [["Result", "Score", *reasons]]
    for number, result in enumerate(results, 1):
        parts = (f"{result.why[reason]:+.3f}" if reason in result.why else "" for reason in reasons)
        rows.append([f"{number:>2}. {place(result)}", f"{result.score:.3f}", *parts])
    if results:
        out.print()
        _print_aligned(rows)
    out.print()
    words = (f"{term} ({', '.join(forms)})" if forms else term for term, forms in explanation.terms.items())
    told = {
        "Words": " ".join(words),
        "Symbols": " ".join(explanation.symbols),
        "Search": f"{explanation.type}, {explanation.candidates} candidates from {', '.join(explanation.indexes)}",
        "Time": " ".join(f"{stage} {1000 * s:.1f} ms" for stage, s in explanation.seconds.items()),
    }
    for title, text in told.items():
        if text:
            out.print(Text.assemble((f"{title:8}", "bold"), text))


def _print_aligned(rows: Sequence[Sequence[str]]) -> None:
    """Columns, the first to the left, figures to the right. A figure that is cut is worse than a long line."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for number, (first, *others) in enumerate(rows):
        cells = [set_cell_size(first, widths[0])]
        cells += [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        out.print(Text("  ".join(cells).rstrip(), "" if number else "bold"))


def marked(text: str, spans: Iterable[tuple[int, int]]) -> Text:
    """A line with its matches made visible."""
    line = Text(text)
    for start, end in spans:
        line.stylize("bold red", start, end)
    return line
