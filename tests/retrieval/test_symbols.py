"""Symbols of an index: definitions, references, callers, callees."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeweft.errors import InvalidRequest
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import parse_source
from codeweft.retrieval.symbols import Places, Wanted, look_up, read_symbol
from codeweft.types import Filters
from tests.retrieval.conftest import WordEncoder

STORE = '''"""Stores; Store.open is described in the manual."""


class Store:
    def open(self, path):
        """Open a path."""
        return self.load_all(path)

    def load_all(self, path):
        # open nothing here
        return [path]


class Cache:
    def open(self):
        return "open"


LIMIT = 3
'''
USE = """from shop.store import LIMIT, Store


def start(path):
    store = Store()
    store.open(path)
    store.open(LIMIT)
    with open(path) as file:
        return file


def other(cache):
    cache.open()


start("x")
"""
WEB = """import { start } from './start';
export class Page {
  open() { start(1); return this.open(); }
}
"""


@pytest.fixture
def shop(tmp_path: Path, encoder: WordEncoder) -> Index:
    root = tmp_path / "shop"
    (root / "shop").mkdir(parents=True)
    (root / "shop" / "store.py").write_text(STORE)
    (root / "use.py").write_text(USE)
    (root / "page.js").write_text(WEB)
    (root / "open.yaml").write_text("open: 1\nstart: 2\n")
    made = Index.create(tmp_path / "indexes" / "shop", parse_source(str(root)), encoder)
    made.update()
    return made


def places(found: Places) -> list[str]:
    return [f"{place.path}:{place.line}" + ("" if place.certain else "?") for place in found.places]


def ask(index: Index, name: str, wanted: Wanted, filters: Filters = Filters(), limit: int = 100) -> list[str]:
    return places(look_up([index], name, wanted, filters, limit))


def test_definitions_are_found_by_name_and_by_qualified_name(shop: Index) -> None:
    assert ask(shop, "open", "definitions") == [
        "open.yaml:1",
        "page.js:3",
        "shop/store.py:5",
        "shop/store.py:15",
    ]
    assert ask(shop, "Store.open", "definitions") == ["shop/store.py:5"]
    assert ask(shop, "store::Cache::open", "definitions") == ["shop/store.py:15"]
    assert ask(shop, "Nowhere.open", "definitions") == []
    assert ask(shop, "LIMIT", "definitions") == ["shop/store.py:19"]
    assert ask(shop, "loadAll", "definitions") == ["shop/store.py:9"]


def test_a_definition_says_what_it_is_and_where_it_ends(shop: Index) -> None:
    (found,) = look_up([shop], "Store.open", "definitions").places
    assert (found.kind, found.name, found.within, found.end_line) == ("method", "Store.open", "Store", 7)
    assert (found.index, found.repository, found.column, found.text) == (
        "shop",
        "shop",
        9,
        "    def open(self, path):",
    )


def test_references_leave_out_comments_strings_and_definitions(shop: Index) -> None:
    assert ask(shop, "open", "references") == ["page.js:3", "use.py:6", "use.py:7", "use.py:8", "use.py:13"]
    assert ask(shop, "LIMIT", "references") == ["use.py:1", "use.py:7"]
    roles = [place.role for place in look_up([shop], "LIMIT", "references").places]
    assert roles == ["import", "reference"]


def test_a_qualified_reference_says_whether_it_is_certain(shop: Index) -> None:
    found = ask(shop, "Store.open", "references", Filters(languages=("python",)))
    assert found == ["use.py:6", "use.py:7", "use.py:13?"]
    assert ask(shop, "Store.load_all", "references") == ["shop/store.py:7"]
    assert ask(shop, "Page.open", "references", Filters(paths=("*.js",))) == ["page.js:3"]


def test_what_the_file_says_is_another_thing_is_left_out(tmp_path: Path, encoder: WordEncoder) -> None:
    root = tmp_path / "code"
    root.mkdir()
    (root / "finder.py").write_text(
        "import re\nfrom other import search\n\nclass Finder:\n    def search(self): ...\n\n"
        "def f(finder, text):\n    re.search('x', text)\n    search(text)\n    PATTERN.search(text)\n"
        "    finder.search()\n    thing.search()\n    Finder.search(finder)\n"
    )
    (root / "maker.go").write_text("package a\nfunc f(q *Finder, r Other) { q.search(); r.search() }\n")
    index = Index.create(tmp_path / "indexes" / "code", parse_source(str(root)), encoder)
    index.update()
    assert ask(index, "Finder.search", "references") == [
        "finder.py:11", "finder.py:12?", "finder.py:13", "maker.go:2", "maker.go:2?",
    ]  # fmt: skip
    assert len(ask(index, "search", "references")) == 9


def test_callers_are_listed_once_with_how_often_they_call(shop: Index) -> None:
    found = look_up([shop], "open", "callers").places
    assert [(p.name, p.count) for p in found] == [("Page.open", 1), ("start", 3), ("other", 1)]
    assert ask(shop, "start", "callers") == ["page.js:3", "use.py:16"]
    assert look_up([shop], "start", "callers").places[1].name == ""


def test_callees_are_the_definitions_of_what_is_called(shop: Index) -> None:
    found = look_up([shop], "start", "callees").places
    assert [(p.name, p.certain) for p in found] == [
        ("Store", True), ("Page.open", False), ("Store.open", False), ("Cache.open", False),
    ]  # fmt: skip


def test_kinds_narrow_definitions_and_a_limit_says_that_there_is_more(shop: Index) -> None:
    assert ask(shop, "open", "definitions", Filters(kinds=("method",), languages=("python",))) == [
        "shop/store.py:5", "shop/store.py:15",
    ]  # fmt: skip
    cut = look_up([shop], "open", "references", limit=2)
    assert len(cut.places) == 2 and cut.more
    assert not look_up([shop], "open", "references", limit=5).more


@pytest.mark.parametrize("text", ["", "  ", "::", "two words", "."])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="name"):
        read_symbol(text)
