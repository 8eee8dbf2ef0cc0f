"""PowerPoint files (.pptx): each slide below a heading with its number and title, then its texts, tables and notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from codeweft.retrieval.documents.package import Package, attribute, child, children, local
from codeweft.retrieval.documents.part import Part, limited

_PRESENTATION: Final = "ppt/presentation.xml"
_TITLES: Final = ("title", "ctrTitle")
_NO_TEXT: Final = ("sldNum", "dt", "ftr", "hdr", "sldImg")
"""Placeholders that repeat on every slide."""


def read(data: bytes) -> tuple[str, list[Part]]:
    """A part per slide, in the order in which they are shown."""
    package = Package(data)
    related = package.related(_PRESENTATION)
    # `id` stands there twice, and only one of them is a reference.
    ids = [
        next((value for value in one.attrib.values() if value in related), "")
        for one in children(package.xml(_PRESENTATION), "sldIdLst", "sldId")
    ]
    return "slides", limited(
        [_slide(package, related[one][1], number) for number, one in enumerate(ids, 1) if one in related]
    )


def _slide(package: Package, name: str, number: int) -> Part:
    title: list[str] = []
    lines: list[str] = []
    for kind, text in _shapes(package.xml(name)):
        (title if kind in _TITLES else lines).extend(text)
    for kind, other in package.related(name).values():
        if kind == "notesSlide" and package.has(other):
            notes = [line for what, text in _shapes(package.xml(other)) if what == "body" for line in text]
            lines.extend(["", "Notes:", *notes] if notes else [])
    heading = f"## Slide {number}" + (f": {' '.join(title)}" if title else "")
    return Part("\n".join([heading, "", *lines, ""]))


def _shapes(parent: Element) -> Iterator[tuple[str, list[str]]]:
    """Kind of placeholder ("" for a free text) and lines of every shape, also in groups and tables."""
    for one in parent:
        match local(one):
            case "sp":
                kind = attribute(child(one, "nvSpPr", "nvPr", "ph"), "type")
                if child(one, "nvSpPr", "nvPr", "ph") is not None and not kind:
                    kind = "body"
                body = child(one, "txBody")
                if body is not None and kind not in _NO_TEXT:
                    yield kind, list(_lines(body))
            case "tbl":
                rows = (
                    [
                        " ".join(line for body in children(cell, "txBody") for line in _lines(body))
                        for cell in children(row, "tc")
                    ]
                    for row in children(one, "tr")
                )
                yield "", [f"| {' | '.join(cells)} |" for cells in rows if any(cells)]
            case _:
                yield from _shapes(one)


def _lines(body: Element) -> Iterator[str]:
    for paragraph in children(body, "p"):
        text = "".join(
            "\n" if local(one) == "br" else one.text or ""
            for one in paragraph.iter()
            if local(one) in ("t", "br")
        )
        if text.strip():
            yield from text.split("\n")
