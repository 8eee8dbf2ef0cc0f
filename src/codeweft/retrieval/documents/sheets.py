"""Spreadsheets (.xlsx, .xlsb, .xls, .ods): each sheet below a heading with its name, rows as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from codeweft.retrieval.documents.part import Part, Unreadable, limited

MOST_ROWS: Final = 5_000
"""Rows of a sheet; beyond, it is data and not something to read."""
MOST_COLUMNS: Final = 100
Cell = int | float | str | bool | time | date | datetime | timedelta


def read(data: bytes) -> tuple[str, list[Part]]:
    """A part per sheet that holds anything. Raises `Unreadable` when a password is needed or the file is damaged."""
    try:
        book = CalamineWorkbook.from_filelike(BytesIO(data))
        parts = [
            part for name in book.sheet_names if (part := _sheet(book.get_sheet_by_name(name))) is not None
        ]
    except PasswordError as error:
        raise Unreadable("a password is needed") from error
    except CalamineError as error:
        raise Unreadable(f"damaged or not a spreadsheet ({error})", failed=True) from error
    return "sheets", limited(parts)


def _sheet(sheet: CalamineSheet) -> Part | None:
    lines = list(_rows(sheet))
    return Part("\n".join([f"## {sheet.name}", "", *lines, ""])) if lines else None


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
