"""Word files (.docx): paragraphs as lines, headings by their style, lists and tables as Markdown has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from codeweft.retrieval.documents.package import Package, attribute, child, children, local
from codeweft.retrieval.documents.part import Part, limited

_DOCUMENT: Final = "word/document.xml"
_STYLES: Final = "word/styles.xml"
_HEADING: Final = re.compile(r"heading (\d)")
_LIST: Final = 0
_HOLDERS: Final = frozenset(
    {"sdt", "sdtContent", "customXml", "smartTag", "ins", "hyperlink", "fldSimple", "r"}
)
"""Elements that only wrap what is read; deleted text (`del`) is not among them."""


def read(data: bytes) -> tuple[str, list[Part]]:
    """One part: the body as Markdown."""
    package = Package(data)
    levels = dict(_levels(package)) if package.has(_STYLES) else {}
    body = child(package.xml(_DOCUMENT), "body")
    lines = list(_blocks(body, levels)) if body is not None else []
    return "word", limited([Part("\n".join(lines).strip("\n") + "\n")])


def _levels(package: Package) -> Iterator[tuple[str, int]]:
    """Heading level by style id, 0 for lists. Ids are translated and made up freely, names like `heading 2` are not."""
    for style in children(package.xml(_STYLES), "style"):
        own, name = attribute(style, "styleId"), attribute(child(style, "name"), "val").lower()
        outline = attribute(child(style, "pPr", "outlineLvl"), "val")
        if match := _HEADING.match(name):
            yield own, int(match[1])
        elif name == "title":
            yield own, 1
        elif name.startswith("list ") or child(style, "pPr", "numPr") is not None:
            yield own, _LIST
        elif outline.isdecimal() and int(outline) < 9:
            yield own, int(outline) + 1


def _blocks(parent: Element, levels: dict[str, int]) -> Iterator[str]:
    for one in parent:
        match local(one):
            case "p":
                yield from _paragraph(one, levels)
            case "tbl":
                for row in children(one, "tr"):
                    cells = [" ".join(_lines(cell)) for cell in children(row, "tc")]
                    if any(cells):
                        yield f"| {' | '.join(cells)} |"
                yield ""
            case holder if holder in _HOLDERS:
                yield from _blocks(one, levels)


def _lines(cell: Element) -> Iterator[str]:
    for one in _blocks(cell, {}):
        if one:
            yield one


def _paragraph(paragraph: Element, levels: dict[str, int]) -> Iterator[str]:
    text = "".join(_text(paragraph)).strip("\n")
    level = levels.get(attribute(child(paragraph, "pPr", "pStyle"), "val"))
    if not text.strip():
        return
    if level:
        yield from ("", f"{'#' * min(level, 6)} {' '.join(text.split())}", "")
    elif level == _LIST or child(paragraph, "pPr", "numPr") is not None:
        yield f"- {text}"
    else:
        yield from text.split("\n")


def _text(parent: Element) -> Iterator[str]:
    for one in parent:
        match local(one):
            case "t":
                yield one.text or ""
            case "tab":
                yield "\t"
            case "br" | "cr":
                yield "\n"
            case "noBreakHyphen":
                yield "-"
            case holder if holder in _HOLDERS:
                yield from _text(one)
