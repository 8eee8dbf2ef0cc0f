"""PDF: the text of each page below a heading with its number, and what the outline calls it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from codeweft.retrieval.documents.part import LONGEST_DOCUMENT, Part, Unreadable

MOST_SECONDS: Final = 120.0
"""A document whose pages take longer is cut short; drawings can hold millions of glyphs."""
_HYPHEN: Final = re.compile(r"(?<=[a-z])-\n(?=[a-z])")

# It warns about every oddity of every file; what matters is whether text comes out.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def read(data: bytes) -> tuple[str, list[Part]]:
    """A part per page. Raises `Unreadable` when a password is needed or the file is damaged."""
    try:
        reader = PdfReader(BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("a password is needed")
        titles = dict(_titles(reader))
        return "pdf", list(_pages(reader, titles))
    except PyPdfError as error:
        raise Unreadable(f"damaged or not a PDF ({error})", failed=True) from error


def _pages(reader: PdfReader, titles: dict[int, str]) -> Iterator[Part]:
    until = time.monotonic() + MOST_SECONDS
    size = 0
    for number, page in enumerate(reader.pages, 1):
        text = _HYPHEN.sub("", page.extract_text()).strip()
        size += len(text)
        if text:
            title = f"{titles[number]} (page {number})" if number in titles else f"Page {number}"
            yield Part(f"## {title}\n\n{text}\n")
        if size > LONGEST_DOCUMENT or time.monotonic() > until:
            yield Part(f"… the pages after {number} of {len(reader.pages)} are not indexed.")
            return


def _titles(reader: PdfReader) -> Iterator[tuple[int, str]]:
    """Page numbers and what the outline calls them; a page without an entry has the one before it."""
    named: dict[int, str] = {}
    try:
        for entry in _flat(reader.outline):
            page = reader.get_destination_page_number(entry)
            if page is not None and entry.title:
                named.setdefault(page + 1, " ".join(str(entry.title).split()))
    except Exception:
        # Outlines are often broken in files whose pages are fine.
        return
    last = ""
    for number in range(1, len(reader.pages) + 1):
        last = named.get(number, last)
        if last:
            yield number, last


def _flat(outline: Any) -> Iterator[Any]:
    for entry in outline:
        if isinstance(entry, list):
            yield from _flat(entry)
        else:
            yield entry
