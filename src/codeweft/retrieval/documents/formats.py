"""Which files are documents."""

from __future__ import annotations

from typing import Final

FORMATS: Final = {
    "ipynb": "notebook",
    "pdf": "pdf",
    "docx": "word",
    "docm": "word",
    "pptx": "slides",
    "pptm": "slides",
    "xlsx": "sheets",
    "xlsm": "sheets",
    "xlsb": "sheets",
    "xls": "sheets",
    "ods": "sheets",
}
"""File extensions to the module of this package that reads them."""


def format_of(path: str) -> str | None:
    """The module that reads the document `path`; None for everything that is no document."""
    return FORMATS.get(path.rpartition(".")[2].lower())
