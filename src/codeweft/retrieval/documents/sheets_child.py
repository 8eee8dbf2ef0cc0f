"""The process that reads one spreadsheet: standard input is the file, standard output what is in it, as JSON.

A cell may stand in the last column of the millionth row, and the reader lays out every cell before it. A file of a
kilobyte can so take all memory there is, which ends the process; that must not be the one that serves.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

MEMORY: Final = 1 << 30
"""Bytes of address space."""
SECONDS: Final = 60
"""Of computing."""
MOST_ROWS: Final = 5_000
"""Rows of a sheet; beyond, it is data and not something to read."""
MOST_COLUMNS: Final = 100
Cell = int | float | str | bool | time | date | datetime | timedelta


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    try:
        book = CalamineWorkbook.from_filelike(BytesIO(sys.stdin.buffer.read()))
        sheets = [(name, list(_rows(book.get_sheet_by_name(name)))) for name in book.sheet_names]
        told: dict[str, object] = {"sheets": sheets}
    except PasswordError:
        told = {"locked": True}
    except CalamineError as error:
        told = {"damaged": str(error)}
    json.dump(told, sys.stdout)


def _rows(sheet: CalamineSheet) -> Iterator[str]:
    for number, row in enumerate(sheet.iter_rows()):
        if number >= MOST_ROWS:
            yield f"… {sheet.height - number:,} further rows of this sheet are not indexed."
            return
        cells = [_shown(cell) for cell in _trimmed(row)]
        if cells:
            yield f"| {' | '.join(cells)} |"


def _trimmed(row: Sequence[Cell]) -> Sequence[Cell]:
    """Without empty cells at the end."""
    end = len(row)
    while end and row[end - 1] == "":
        end -= 1
    return row[: min(end, MOST_COLUMNS)]


def _shown(cell: Cell) -> str:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return " ".join(str(cell).split())


if __name__ == "__main__":
    main()
