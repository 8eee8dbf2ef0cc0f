"""The zip of XML that Office files are."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO
from posixpath import dirname, join, normpath
from typing import Final
from xml.etree import ElementTree

from codeweft.retrieval.documents.part import Unreadable

LARGEST_MEMBER: Final = 100_000_000
"""Bytes of XML in one member; a small file can unpack to any size."""
MOST_TAGS: Final = 4_000_000
"""Begun and ended elements of one member; each begun one takes some hundred bytes. A book has about a million."""
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""Office files with a password, and those from before 2007, begin like this."""


class Package:
    """An Office file that is open for reading. Raises `Unreadable` for what is none."""

    def __init__(self, data: bytes) -> None:
        if data.startswith(_OLE):
            raise Unreadable("a password is needed, or it is in a format from before 2007")
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, ValueError) as error:
            raise Unreadable("damaged or not an Office file", failed=True) from error

    def has(self, name: str) -> bool:
        return name in self._zip.namelist()

    def xml(self, name: str) -> ElementTree.Element:
        """The root of a member. Raises `Unreadable` when there is none, it is too large, or declares entities."""
        try:
            info = self._zip.getinfo(name)
            if info.file_size > LARGEST_MEMBER:
                raise Unreadable(f"{name} in it unpacks to {info.file_size:,} bytes")
            with self._zip.open(info) as member:
                text = member.read(LARGEST_MEMBER + 1)
            if b"<!DOCTYPE" in text[:2000] or b"<!ENTITY" in text[:2000]:
                raise Unreadable(f"{name} in it declares XML entities", failed=True)
            if text.count(b"<") > MOST_TAGS:
                raise Unreadable(f"{name} in it holds more than {MOST_TAGS:,} tags")
            return ElementTree.fromstring(text)
        except (KeyError, zipfile.BadZipFile, ElementTree.ParseError, EOFError) as error:
            raise Unreadable(f"damaged: {name} in it cannot be read", failed=True) from error

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """What a member refers to: ids to the kind and name of another member."""
        folder, _, file = name.rpartition("/")
        relations = f"{folder}/_rels/{file}.rels"
        if not self.has(relations):
            return {}
        return {
            one.get("Id", ""): (
                one.get("Type", "").rpartition("/")[2],
                normpath(join(dirname(name), one.get("Target", ""))).lstrip("/"),
            )
            for one in self.xml(relations)
        }


def local(element: ElementTree.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def attribute(element: ElementTree.Element | None, name: str) -> str:
    """An attribute by its name without namespace, "" when it is missing."""
    if element is None:
        return ""
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), "")


def children(element: ElementTree.Element, *path: str) -> Iterator[ElementTree.Element]:
    """Descendants along a path of names."""
    for one in element:
        if local(one) == path[0]:
            if len(path) == 1:
                yield one
            else:
                yield from children(one, *path[1:])


def child(element: ElementTree.Element, *path: str) -> ElementTree.Element | None:
    return next(children(element, *path), None)
