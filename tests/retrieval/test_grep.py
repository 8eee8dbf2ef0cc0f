"""Regular expressions over an index."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeweft.errors import InvalidRequest
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.grep import Grep, Pattern
from codeweft.retrieval.index import Index
from codeweft.types import Filters


def places(index: Index, pattern: str, filters: Filters = Filters(), **options: int) -> list[str]:
    return [f"{hit.path}:{hit.number}" for hit in Grep([index], Pattern(pattern), filters, **options)]


def test_every_matching_line_is_found_in_order_of_path_and_line(index: Index, code: Path) -> None:
    expected = [
        f"{path.relative_to(code)}:{number}"
        for path in sorted(code.rglob("*.*"))
        for number, line in enumerate(path.read_text().split("\n"), 1)
        if "session" in line or "routes" in line
    ]
    assert places(index, "session|routes") == sorted(
        expected, key=lambda p: (p.split(":")[0], int(p.split(":")[1]))
    )
    assert len(expected) > 6


def test_filters_narrow_what_is_searched(index: Index) -> None:
    assert {p.split(":")[0] for p in places(index, "re", Filters(languages=("javascript",)))} == {
        "web/router.js"
    }
    assert {p.split(":")[0] for p in places(index, "s", Filters(paths=("auth/",)))} == {"auth/session.py"}
    assert places(index, "s", Filters(repositories=("other",))) == []
    with pytest.raises(InvalidRequest, match=r"javascript.*python"):
        Grep([index], Pattern("s"), Filters(languages=("js",)))


def test_a_limit_cuts_and_says_so(index: Index) -> None:
    cut = Grep([index], Pattern("e"), limit=3)
    assert len(list(cut)) == 3 and cut.more
    whole = Grep([index], Pattern("secrets"), limit=3)
    assert len(list(whole)) < 3 and not whole.more
    late = Grep([index], Pattern("e"), seconds=-1)
    assert list(late) == [] and late.more


def test_lines_around_a_hit_cross_chunks(index: Index, code: Path) -> None:
    lines = (code / "auth" / "session.py").read_text().split("\n")
    (hit,) = Grep([index], Pattern("def parse_cookie"), context=3)
    assert hit.before == tuple(lines[hit.number - 4 : hit.number - 1])
    assert hit.after == tuple(lines[hit.number : hit.number + 3])
    assert hit.text[slice(*hit.spans[0])] == "def parse_cookie"


def test_several_indexes_are_searched_one_after_the_other(
    indexes: Indexes, code: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.py").write_text("def parse_cookie(): ...\n")
    for folder in (code, tmp_path / "other"):
        indexes.add(str(folder)).update()
    hits = list(Grep(indexes.chosen(None), Pattern("parse_cookie")))
    assert [(hit.index, hit.path) for hit in hits] == [("other", "a.py"), ("shop", "auth/session.py")]
