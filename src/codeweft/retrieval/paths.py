"""What a path says by itself and beside others: its words, what kind of file it names, which copy is the main one. Pure, no I/O."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from codeweft.retrieval.forms import heads
from codeweft.retrieval.tokens import terms_of_run

_TEST: Final = re.compile(
    r"(?i:(?:^|/)(?:[^/]*[._-])?(?:unit|integration)?tests?/)|[a-z\d](?:UI)?Tests?/"
    r"|(?i:(?:^|/)(?:__tests__|specs?|testing|testdata|fixtures?|__mocks__|mocks?)/)"
    r"|(?:^|/)(?:test_[^/]*|conftest|tests?)\.\w+$|[._-](?:test|tests|spec|bench)\.\w+$|_(?:test|tests|spec|unittest)\.\w+$"
    r"|(?:Tests?|Spec|Suite|IT)\.(?:java|kt|kts|swift|cs|scala|php|groovy)$"
)
_EXAMPLE: Final = re.compile(
    r"(?:^|/)(?:_?examples?|samples?|demos?|docs?_src|tutorials?|benchmarks?|bench|playground)/", re.I
)
_LEGACY: Final = re.compile(r"(?:^|/)(?:_?compat|legacy|deprecated|archive|old)/")
_VENDORED: Final = re.compile(
    r"(?:^|/)(?:externals|extern|deps|3rd_?party|contrib/(?:vendor|libs))/[^/]+/"
    r"|(?:^|/)(?:config\.(?:guess|sub|rpath)|install-sh|mkinstalldirs|ltmain\.sh|depcomp|missing|ylwrap|test-driver|ar-lib"
    r"|py-compile|libtool\.m4|lt(?:options|sugar|version|~obsolete)\.m4|gradlew(?:\.bat)?|mvnw(?:\.cmd)?)$"
)
"""Other projects' code, each in a folder of its own, and the scripts that Autotools, Gradle and Maven copy beside code."""
_PLATFORM: Final = re.compile(
    r"(?:^|[/_.-])(?:win|win32|windows|cygwin|mingw|darwin|macos|osx|sunos|solaris|aix|os390|zos|haiku|ibmi|qnx|hurd|freebsd|netbsd"
    r"|openbsd|wasm|wasi|js_wasm|plan9)(?:[/_.-]|$)",
    re.I,
)
_DECLARATION: Final = re.compile(r"\.(?:d\.[mc]?ts|pyi)$")
_ROLES: Final = {
    "test": _TEST,
    "example": _EXAMPLE,
    "legacy": _LEGACY,
    "vendored": _VENDORED,
    "declaration": _DECLARATION,
    "platform": _PLATFORM,
}
"""Kinds of files by path; each is the name of its penalty."""
_FOLDER_FILES: Final = frozenset({"__init__", "index", "mod", "init", "main", "lib"})
_VERSION: Final = re.compile(r"(?<![^/])(v\d{1,3})(?=/)")
_EDITION: Final = re.compile(r"(?<![^/])(mini|minimal|lite|light|slim)(?=/)")
_HEADER: Final = re.compile(r"\.(?:h|hh|hpp|hxx)$")
_IMPLEMENTATION: Final = re.compile(r"\.(?:c|cc|cpp|cxx|c\+\+|m|mm|cu)$")


class PathFacts(NamedTuple):
    """What a path says by itself: the words of file and folder, how they begin, what kind of file it names.

    `versions` are the folders in it that name a version, `editions` those that name a reduced edition, each with the path of its parent.
    """

    words: frozenset[str]
    heads: frozenset[str]
    roles: frozenset[str]
    versions: tuple[tuple[str, str], ...]
    editions: tuple[tuple[str, str], ...]


@lru_cache(maxsize=65_536)
def path_facts(path: str) -> PathFacts:
    """The facts of a path relative to its source's root."""
    parts = path.split("/")
    names = {stem(path), *parts[-2:-1], *(parts[-3:-2] if parts[-1].split(".")[0] in _FOLDER_FILES else ())}
    words = frozenset(word for name in names for word in terms_of_run(name.replace("-", "_")))
    folder, slash, name = path.rpartition("/")
    roles = _roles(folder + slash) | _roles(slash + name)
    return PathFacts(
        words, heads(words), roles, _folders(_VERSION, folder + slash), _folders(_EDITION, folder + slash)
    )


@lru_cache(maxsize=65_536)
def _roles(part: str) -> frozenset[str]:
    """What kind of file a path's folders or its name tell: no sign of a kind is partly in both."""
    return frozenset([role for role, pattern in _ROLES.items() if pattern.search(part)])


@lru_cache(maxsize=65_536)
def _folders(pattern: re.Pattern[str], folder: str) -> tuple[tuple[str, str], ...]:
    return tuple((folder[: match.start(1)], match[1]) for match in pattern.finditer(folder))


def stem(path: str) -> str:
    """What a file is named: `walk` for `src/walk.py`, the folder's name where the file only stands for it."""
    parts = path.split("/")
    name = parts[-1].split(".")[0] or parts[-1]
    return parts[-2] if len(parts) > 1 and name in _FOLDER_FILES else name


def roles_beside(facts: Mapping[str, PathFacts], asked: Container[str]) -> dict[str, frozenset[str]]:
    """Kinds that files have only because of other files here, by path; each is the name of its penalty.

    `older`: in a version's folder beside a newer one. `edition`: in a reduced edition's folder, with the same file in
    a folder beside it. `header`: its implementation is here. What is `asked` for by name is none.
    """
    found: dict[str, set[str]] = defaultdict(set)
    newest: dict[str, int] = {}
    for one in facts.values():
        for parent, version in one.versions:
            newest[parent] = max(newest.get(parent, 0), int(version[1:]))
    for path, one in facts.items():
        if any(
            int(version[1:]) < newest[parent] and version not in asked for parent, version in one.versions
        ):
            found[path].add("older")
    reduced = {
        path: [pair for pair in one.editions if pair[1] not in asked]
        for path, one in facts.items()
        if one.editions
    }
    parents = {parent for pairs in reduced.values() for parent, _ in pairs}
    if parents:
        whole = {
            (parent, rest)
            for path in facts.keys() - reduced.keys()
            for parent in parents
            if path.startswith(parent) and (rest := path[len(parent) :].partition("/")[2])
        }
        for path, pairs in reduced.items():
            if any((parent, path[len(parent) + len(name) + 1 :]) in whole for parent, name in pairs):
                found[path].add("edition")
    headers = [path for path in facts if _HEADER.search(path)]
    if headers:
        implemented = {stem(path) for path in facts if _IMPLEMENTATION.search(path)}
        for path in headers:
            if stem(path) in implemented:
                found[path].add("header")
    return {path: frozenset(roles) for path, roles in found.items()}


def shared_end(some: Sequence[str], others: Sequence[str]) -> int:
    """How many parts two paths have in common, from the end."""
    count = 0
    for one, other in zip(reversed(some), reversed(others), strict=False):
        if one != other:
            break
        count += 1
    return count
