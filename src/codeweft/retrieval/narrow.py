"""Filters whose names are known beforehand: a wrong one must not pass for an empty result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

from codeweft.errors import InvalidRequest
from codeweft.retrieval.languages import LANGUAGES
from codeweft.retrieval.recognise import EXTENSIONS
from codeweft.retrieval.store.base import KINDS
from codeweft.types import Filters

LANGUAGE_NAMES: Final = tuple(sorted(LANGUAGES))


def check_filters(filters: Filters) -> None:
    """Raises `InvalidRequest` for a language or kind that does not exist, naming those that do."""
    _check("language", filters.languages, LANGUAGE_NAMES)
    _check("kind", filters.kinds, sorted(KINDS))
    if any(not path.strip() for path in filters.paths):
        raise InvalidRequest("A path to search in is empty.", fix='For example "src/**".', param="paths")


def _check(what: str, given: Iterable[str], known: Sequence[str]) -> None:
    for name in given:
        if name in known:
            continue
        near = get_close_matches(name.lower(), known, 1)
        if what == "language" and (meant := EXTENSIONS.get(name.lower().lstrip("."))):
            near = [meant]
        hint = f"Did you mean {near[0]}? " if near else ""
        raise InvalidRequest(
            f"There is no {what} {name!r}.", fix=f"{hint}There are: {', '.join(known)}.", param=f"{what}s"
        )
