"""Spreadsheets (.xlsx, .xlsb, .xls, .ods): each sheet below a heading with its name, rows as lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from codeweft.retrieval.documents.part import Part, Unreadable, limited

PATIENCE: Final = 300.0
"""Seconds for a process that may compute for a minute, on a machine that is busy."""
_CHILD: Final = Path(__file__).with_name("sheets_child.py")


def read(data: bytes) -> tuple[str, list[Part]]:
    """A part per sheet that holds anything. Raises `Unreadable` when a password is needed or the file is damaged."""
    told = _told(data)
    if "locked" in told:
        raise Unreadable("a password is needed")
    if "damaged" in told:
        raise Unreadable(f"damaged or not a spreadsheet ({told['damaged']})", failed=True)
    parts = [Part("\n".join([f"## {name}", "", *lines, ""])) for name, lines in told["sheets"] if lines]
    return "sheets", limited(parts)


def _told(data: bytes) -> dict[str, Any]:
    """What the process says that reads it. Raises `Unreadable` when it ends without a word."""
    try:
        # -P: the folder of the script is not looked through for what it imports.
        command = [sys.executable, "-P", str(_CHILD)]
        done = subprocess.run(command, input=data, capture_output=True, timeout=PATIENCE, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        raise Unreadable(
            "it takes more memory or time than a spreadsheet may, or is damaged", failed=True
        ) from None
    return found
