"""Which of several candidates comes first, and why."""

from __future__ import annotations

from itertools import count

import pytest

from codeweft.retrieval.question import read_question
from codeweft.retrieval.rank import rank
from codeweft.retrieval.store.base import Candidate, Row
from codeweft.retrieval.store.pool import Pool

_ids = count(1)


def candidate(
    path: str,
    name: str = "",
    lexical: float = 1.0,
    *,
    defined: str = "",
    kind: str = "function",
    language: str = "python",
) -> Candidate:
    number = next(_ids)
    row = Row(number, number, path, language, 1, 9, kind, name, "", "", "", number, defined)
    return Candidate(row, lexical, 0.5)


def order(question: str, *pool: Candidate) -> list[str]:
    return [c.row.path for c in rank(read_question(question), Pool.of(pool), 10)]


def test_the_definition_of_a_symbol_comes_before_its_uses() -> None:
    assert (
        order("parseHeader", candidate("use.py", "main", 5.0), candidate("http.py", "parseHeader"))[0]
        == "http.py"
    )


def test_a_symbol_is_most_at_home_in_the_file_of_its_name() -> None:
    assert order("Walker", candidate("a.py", "Walker"), candidate("walker.py", "Walker"))[0] == "walker.py"


def test_a_qualified_symbol_is_looked_for_in_what_qualifies_it() -> None:
    inside, alone, beside = (
        candidate("a.cpp", "open"),
        candidate("b.cpp", "open", 1.2),
        candidate("c.cpp", "open"),
    )
    inside.row = inside.row._replace(scope="kept.Store")
    beside.row = beside.row._replace(scope="Door")
    assert order("Store::open", alone, beside, inside)[0] == "a.cpp"
    assert order("how does Store.open read a file", alone, beside, inside)[0] == "a.cpp"
    assert order("how does Store.open read a file", alone, candidate("store.cpp", "open"))[0] == "store.cpp"
    assert order("open()", inside, beside, alone)[0] == "b.cpp"


@pytest.mark.parametrize(
    "path",
    [
        "Wire.Tests/Routing/Route.cs", "core-test/src/Route.java", "Tests/WireTests/Route.swift", "WireUITests/Route.swift",
        "src/commonTest/kotlin/Route.kt", "src/route/tests.rs", "shop/tests.py",
    ],
)  # fmt: skip
def test_every_ecosystems_tests_come_after_code(path: str) -> None:
    assert (
        order("how is a route added", candidate(path, "add", 2.0), candidate("Route.x", "add"))[0]
        == "Route.x"
    )


@pytest.mark.parametrize(
    "path", ["latest/Route.cs", "contest/Route.cs", "src/testing_tools.py", "attestation/a.rs"]
)
def test_what_only_sounds_like_tests_is_code(path: str) -> None:
    ranked = order("how is a route added", candidate(path, "add", 1.2), candidate("other.py", "add"))
    assert ranked[0] == path


def test_tests_come_after_code_unless_they_are_asked_for() -> None:
    pool = [candidate("tests/test_route.py", "test_route", 2.0), candidate("route.py", "add", 1.0)]
    assert order("how is a route added", *pool)[0] == "route.py"
    assert order("tests that a route is added", *pool)[0] == "tests/test_route.py"


def test_a_format_is_what_code_handles_unless_its_files_are_asked_for() -> None:
    pool = [
        candidate("README.md", "", 1.3, kind="section", language="markdown"),
        candidate("read.py", "load", 1.0),
    ]
    assert order("where is JSON validated", *pool)[0] == "read.py"
    assert order("which JSON files are validated", *pool)[0] == "README.md"
    assert order("what does the readme say of validating", *pool)[0] == "README.md"


def test_what_a_report_says_in_passing_does_not_ask_for_tests() -> None:
    report = (
        "Routes are not added\n\nThe tests of our own application fail since the last update. "
        + "Words. " * 50
    )
    pool = [candidate("tests/test_route.py", "test_route", 2.0), candidate("route.py", "add", 1.0)]
    assert order(report, *pool)[0] == "route.py"


def test_a_file_named_in_a_stack_trace_comes_before_a_better_match_in_words() -> None:
    trace = (
        "Reading fails when the peer resets\n\nTraceback (most recent call last):\n"
        '  File "/home/me/venv/lib/wire/models.py", line 62, in generate\n    chunk = raw.stream(size)\n'
        '  File "/usr/lib/python3/socket.py", line 447, in readinto\n' + "It happens every day. " * 12
    )
    ranked = rank(
        read_question(trace),
        Pool.of([candidate("wire/peers.py", "reset", 2.0), candidate("wire/models.py", "pull")]),
        10,
    )
    assert ranked[0].row.path == "wire/models.py"
    assert ranked[0].why["place"] > 0


def test_the_innermost_file_of_a_trace_counts_most() -> None:
    trace = 'File "/x/app/outer.py", line 1, in run\n  File "/x/app/inner.py", line 2, in work'
    assert order(trace, candidate("app/outer.py"), candidate("app/inner.py"))[0] == "app/inner.py"


def test_a_bare_file_name_that_several_files_have_points_at_none_of_them() -> None:
    pool = Pool.of([candidate("a/utils.py"), candidate("b/utils.py")])
    ranked = rank(read_question("what does utils.py do"), pool, 10)
    assert all("place" not in c.why for c in ranked)


def test_of_several_symbols_the_one_that_few_files_define_says_most() -> None:
    pool = [candidate(f"m{n}.py", "run", 1.0) for n in range(8)] + [
        candidate("z.py", "resolve_redirects", 1.0)
    ]
    assert order("does `run` call `resolve_redirects`", *pool)[0] == "z.py"


def test_a_file_is_not_shown_twice_before_others_were_shown_once() -> None:
    assert order("open the store", candidate("a.py", "x", 3.0), candidate("a.py", "y", 2.9), candidate("b.py", "z", 2.0)) == [
        "a.py", "b.py", "a.py",
    ]  # fmt: skip


def test_only_what_was_chosen_of_a_file_makes_its_next_chunk_worth_less() -> None:
    pool = [candidate(f"{n}.py", "x", 9.0 - n) for n in range(4)] + [candidate("0.py", "y", 8.9)]
    assert order("open the store", *pool) == ["0.py", "1.py", "2.py", "3.py", "0.py"]
    ranked = rank(read_question("open the store"), Pool.of(pool), 2)
    assert [c.row.path for c in ranked] == ["0.py", "1.py"]


def test_an_older_version_of_a_folder_comes_after_the_newer() -> None:
    pool = [candidate("api/v3/route.py", "add", 2.0), candidate("api/v4/route.py", "add", 1.9)]
    assert order("how is a route added", *pool)[0] == "api/v4/route.py"
    assert order("how is a route added in v3", *pool)[0] == "api/v3/route.py"


def test_a_reduced_edition_comes_after_the_whole_one_unless_it_is_asked_for() -> None:
    pool = [candidate("lib/mini/route.ts", "add", 1.2), candidate("lib/classic/route.ts", "add", 1.0)]
    assert order("how is a route added", *pool)[0] == "lib/classic/route.ts"
    assert order("how is a route added in mini", *pool)[0] == "lib/mini/route.ts"
    alone = [candidate("lib/mini/route.ts", "add", 1.2), candidate("lib/classic/store.ts", "add", 1.0)]
    assert order("how is a route added", *alone)[0] == "lib/mini/route.ts"


def test_what_implements_comes_before_the_header_that_declares_it() -> None:
    pool = [candidate("include/wire.h", "send", 1.2), candidate("src/wire.c", "send", 1.0)]
    assert order("how is a packet sent", *pool)[0] == "src/wire.c"
    assert order("wire_send", *pool)[0] == "include/wire.h"
    alone = [candidate("include/wire.h", "send", 1.2), candidate("src/peer.c", "send", 1.0)]
    assert order("how is a packet sent", *alone)[0] == "include/wire.h"


@pytest.mark.parametrize(
    "path",
    ["externals/zip/inflate.c", "deps/zip/inflate.c", "lib/extern/zip/inflate.c", "build-aux/config.guess"],
)
def test_code_of_other_projects_comes_after_the_teams_own_and_is_found_all_the_same(path: str) -> None:
    pool = [candidate(path, "inflate", 2.0), candidate("src/pack.c", "inflate", 1.0)]
    assert order("how is a stream inflated", *pool) == ["src/pack.c", path]
    assert order("how do the third-party libraries inflate a stream", *pool)[0] == path


@pytest.mark.parametrize("path", ["app/deps/auth.py", "src/external/client.py", "bin/compile"])
def test_what_only_sounds_like_other_projects_is_the_teams_own(path: str) -> None:
    ranked = order("how is a user known", candidate(path, "user", 1.2), candidate("other.py", "user"))
    assert ranked[0] == path


def test_a_name_that_is_passed_on_is_at_home_there_only_where_nothing_defines_it() -> None:
    use = candidate("use.rs", "handle", 1.6)
    passing = candidate("http/mod.rs", "", 1.0, defined="^Request\n^Body", kind="section")
    assert order("Request", use, passing)[0] == "http/mod.rs"
    assert order("how is a `Request` handled", use, passing)[0] == "http/mod.rs"
    assert order("Request", passing, candidate("wire.rs", "Request", 0.5))[0] == "wire.rs"
    ranked = rank(read_question("Request"), Pool.of([use, passing, candidate("wire.rs", "Request")]), 3)
    assert {c.row.path: "definition" in c.why for c in ranked} == {
        "wire.rs": True, "http/mod.rs": False, "use.rs": False,
    }  # fmt: skip


def test_who_passes_a_symbol_on_does_not_make_its_definition_worth_less() -> None:
    question = "does `run` call `resolve_redirects`"
    defining = [candidate("wire.py", "resolve_redirects"), candidate("main.py", "run")]
    passing = [
        candidate(f"p{n}/__init__.py", "", defined="^resolve_redirects", kind="section") for n in range(8)
    ]

    def worth(*pool: Candidate) -> float:
        found = rank(read_question(question), Pool.of(pool), 10)
        return next(c.why["definition"] for c in found if c.row.path == "wire.py")

    assert worth(*defining, *passing) == worth(*defining)


def test_copies_of_one_text_are_shown_once() -> None:
    first = candidate("a.py", "open")
    second = candidate("vendor/a.py", "open")
    second.row = second.row._replace(digest=first.row.digest)
    assert len(rank(read_question("open the store"), Pool.of([first, second]), 10)) == 1


def test_the_first_few_are_the_first_of_all_even_where_a_name_decides() -> None:
    names = ("send", "parse_header", "header", "main")
    pool = Pool.of(
        candidate(f"f{n:02}.py", names[n * 7 % 4], 1.0 + n * 13 % 40 / 40, language=("python", "json")[n % 5 == 0])
        for n in range(40)
    )  # fmt: skip
    asked = read_question("how is the header parsed")
    every = [(c.row.path, c.score) for c in rank(asked, pool, 40)]
    assert len(every) == 40
    for k in (1, 3, 10):
        assert [(c.row.path, c.score) for c in rank(asked, pool, k)] == every[:k]
