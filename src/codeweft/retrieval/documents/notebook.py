"""Jupyter notebooks: code cells in their language, text cells as prose; outputs and metadata are left out."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from codeweft.retrieval.documents.part import Part, Unreadable, limited
from codeweft.retrieval.recognise import EXTENSIONS, language_of

_CELL_MAGIC: Final = re.compile(
    r"\s*%%(bash|sh|sql|html|javascript|js|perl|ruby|writefile\s+(?P<file>\S+))\b"
)
_EXTENSION_OF: Final = {language: extension for extension, language in reversed(EXTENSIONS.items())}


def read(data: bytes) -> tuple[str, list[Part]]:
    """The kernel's language, and a part per cell, marked `#%%`, `#%% [markdown]` or `#%% [raw]` as editors mark cells."""
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not a notebook: it is no JSON", failed=True) from error
    cells = _cells(notebook)
    if cells is None:
        raise Unreadable("not a notebook: it has no cells", failed=True)
    extension = _extension(notebook.get("metadata"))
    parts = [part for cell in cells if isinstance(cell, dict) for part in _part(cell, extension)]
    return language_of(f"cell.{extension}").name, limited(parts)


def _cells(notebook: Any) -> list[Any] | None:
    """The cells of format 4, or of the worksheets of format 3."""
    if not isinstance(notebook, dict):
        return None
    cells = notebook.get("cells")
    if cells is None and isinstance(sheets := notebook.get("worksheets"), list):
        cells = [cell for sheet in sheets if isinstance(sheet, dict) for cell in sheet.get("cells") or ()]
    return cells if isinstance(cells, list) else None


def _extension(metadata: Any) -> str:
    """The extension of the kernel's language; Python's when the notebook does not say."""
    facts = metadata if isinstance(metadata, dict) else {}
    about = facts.get("language_info")
    kernel = facts.get("kernelspec")
    extension = str((about or {}).get("file_extension", "")).lstrip(".") if isinstance(about, dict) else ""
    if extension in EXTENSIONS:
        return extension
    names = [one.get(key) for one, key in ((about, "name"), (kernel, "language")) if isinstance(one, dict)]
    return next(
        (_EXTENSION_OF[str(name).lower()] for name in names if str(name).lower() in _EXTENSION_OF), "py"
    )


def _part(cell: dict[str, Any], extension: str) -> list[Part]:
    source = cell.get("source", cell.get("input", ""))
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    if not text.strip():
        return []
    kind = str(cell.get("cell_type", "code"))
    if kind == "heading":
        text = f"{'#' * int(cell.get('level', 1))} {text}"
    if kind in ("markdown", "heading"):
        return [Part(text, "cell.md", "#%% [markdown]")]
    if kind != "code":
        return [Part(text, "cell.txt", f"#%% [{kind}]")]
    if magic := _CELL_MAGIC.match(text):
        name = {"bash": "sh", "javascript": "js", "perl": "pl", "ruby": "rb"}.get(magic[1], magic[1])
        return [Part(text, magic["file"] or f"cell.{name}", "#%%")]
    return [Part(text, f"cell.{extension}", "#%%")]
