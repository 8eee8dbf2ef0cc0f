"""The part of requests that says what to look up and where, the same in chats, searches and OPEA's retrieval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from codeweft.errors import InvalidRequest
from codeweft.retrieval.narrow import check_filters
from codeweft.retrieval.similar import check_selection
from codeweft.types import Filters, Query, Retrieval, SearchType, Selection

MAX_K: Final = 100
OPEA_K: Final = 4
"""How many chunks `/v1/retrieval` returns unless told, as at OPEA."""
_ASKING: Final = (
    "index", "index_name", "k", "agents_flag", "explain", "paths", "languages", "kinds", "repositories",
    "branches",
)  # fmt: skip
"""Fields that ask for a look-up; OPEA's clients send the search type and its parameters with every request."""


_EVERYTHING: Final = Filters()
_USUAL: Final = Selection()
_UNSAID: Final = Retrieval()
_SELECTING: Final = ("search_type", "fetch_k", "lambda_mult", "distance_threshold", "score_threshold")


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of all bodies. None and absent mean the same: the client leaves the choice to the server."""


class LookupBody(Body, kw_only=True):
    """What narrows and steers a look-up. `languages`, `kinds` and the others take any of the names given."""

    index: str | None = None
    index_name: str | None = None
    k: int | None = None
    paths: list[str] | None = None
    languages: list[str] | None = None
    kinds: list[str] | None = None
    repositories: list[str] | None = None
    branches: list[str] | None = None
    search_type: str | None = None
    fetch_k: int | None = None
    lambda_mult: float | None = None
    distance_threshold: float | None = None
    score_threshold: float | None = None


class SearchBody(LookupBody, kw_only=True):
    query: str
    explain: bool | None = None


class RetrievalBody(LookupBody, kw_only=True):
    """OPEA's three kinds of requests: a question with its embedding, an input, a chat that is passed on."""

    text: str | list[str] | None = None
    input: str | list[str] | None = None
    messages: str | list[dict[str, Any]] | None = None
    embedding: list[Any] | dict[str, Any] | None = None


_looking_up = attrgetter(*LookupBody.__struct_fields__)


def index_of(body: LookupBody) -> str | None:
    """The index that is named, "" for none. Raises `InvalidRequest` for two."""
    if body.index is not None and body.index_name is not None and body.index != body.index_name:
        raise InvalidRequest("`index` and `index_name` name two indexes; send one.", param="index_name")
    return body.index if body.index is not None else body.index_name


def filters(body: LookupBody) -> Filters:
    """The checked filters. Raises `InvalidRequest` for a language or kind that does not exist."""
    if not (body.paths or body.languages or body.kinds or body.repositories or body.branches):
        return _EVERYTHING
    made = Filters(
        paths=tuple(body.paths or ()),
        languages=tuple(body.languages or ()),
        kinds=tuple(body.kinds or ()),
        repositories=tuple(body.repositories or ()),
        branches=tuple(body.branches or ()),
    )
    check_filters(made)
    return made


def selection(
    body: LookupBody, default: SearchType = "hybrid", vector: tuple[float, ...] | None = None
) -> Selection:
    """The checked way of choosing. Raises `InvalidRequest`."""
    if vector is None and default == _USUAL.type and all(getattr(body, name) is None for name in _SELECTING):
        return _USUAL
    given: dict[str, Any] = {
        "type": body.search_type or default,
        "fetch_k": body.fetch_k,
        "lambda_mult": body.lambda_mult,
        "distance_threshold": body.distance_threshold,
        "score_threshold": body.score_threshold,
        "vector": vector,
    }
    made = Selection(**{name: value for name, value in given.items() if value is not None})
    check_selection(made)
    return made


def retrieval(body: LookupBody, *, agent: bool) -> Retrieval:
    """What a chat or completion wants looked up. `index: ""` turns retrieval off. Raises `InvalidRequest`."""
    if not agent and _says_nothing(_looking_up(body)):
        return _UNSAID
    index = index_of(body)
    if agent and index == "":
        raise InvalidRequest(
            "`agents_flag` asks for an agent, and the empty `index` for no look-ups.",
            fix="Leave one of them out.",
            param="agents_flag",
        )
    return Retrieval(
        index=index or None,
        k=body.k,
        enabled=index != "",
        agent=agent,
        filters=filters(body),
        selection=selection(body),
    )


def asked(body: LookupBody) -> str | None:
    """The field by which a request asks for retrieval, if it does."""
    names, values = _asking(type(body))
    if _says_nothing(values(body)):
        return None
    for name in names:
        if getattr(body, name) not in (None, "", [], False):
            return name
    return None


_Asking = tuple[tuple[str, ...], Callable[[LookupBody], tuple[Any, ...]]]
_ASKING_OF: dict[type, _Asking] = {}
"""The fields of a kind of body that ask for a look-up, and what takes their values."""


def _asking(kind: type) -> _Asking:
    found = _ASKING_OF.get(kind)
    if found is None:
        names = tuple(name for name in _ASKING if hasattr(kind, name))
        found = _ASKING_OF[kind] = names, attrgetter(*names)
    return found


def _says_nothing(values: tuple[Any, ...]) -> bool:
    """Whether the client left all of it to the server: asking once for all fields takes a fraction of asking each."""
    return values.count(None) == len(values)


def flag(value: bool | str | None) -> bool:
    """OPEA's clients send `agents_flag` as a bool or as the string "True"."""
    if isinstance(value, str):
        known = {"true": True, "1": True, "false": False, "0": False, "": False}
        if value.strip().lower() not in known:
            raise InvalidRequest("`agents_flag` must be true or false.", param="agents_flag")
        return known[value.strip().lower()]
    return bool(value)


def query(body: RetrievalBody) -> Query:
    """What `/v1/retrieval` is asked. Raises `InvalidRequest` unless there is exactly one question."""
    given = {"text": body.text, "input": body.input, "messages": body.messages}
    asking = [name for name, value in given.items() if value is not None]
    vector = _vector(body.embedding)
    # A chat request of OPEA carries the question it was embedded from beside its turns.
    if not asking or ("text" in asking and len(asking) > 1):
        raise InvalidRequest(
            "Exactly one of `text`, `input` and `messages` is needed.",
            fix="Send the question as `text`.",
            param=asking[-1] if asking else "text",
        )
    bare = body.text or body.input
    text = _one(bare) if bare else _last_question(body.messages)
    made = selection(body, "similarity", vector)
    return Query(text, index_of(body) or None, body.k or OPEA_K, filters(body), made)


def _one(given: str | Sequence[str]) -> str:
    if isinstance(given, str):
        return given
    if len(given) != 1:
        raise InvalidRequest(f"`text` holds {len(given)} questions; one is answered at a time.", param="text")
    return given[0]


def _last_question(messages: str | Sequence[Mapping[str, Any]] | None) -> str:
    """The last turn of the user, as text."""
    if messages is None:
        return ""
    if isinstance(messages, str):
        return messages
    for turn in reversed(messages):
        if turn.get("role") != "user":
            continue
        content = turn.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]
        texts = [
            part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
        ]
        if texts:
            return "\n".join(texts)
    raise InvalidRequest("`messages` holds no turn of a user with text.", param="messages")


def _vector(given: Any) -> tuple[float, ...] | None:
    """A vector as OPEA's clients send it: bare, in a list of one, or as the answer of an embedding service."""
    if isinstance(given, dict):
        data = given.get("data")
        given = (
            data[0].get("embedding") if isinstance(data, list) and data and isinstance(data[0], dict) else 0
        )
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], list):
        given = given[0]
    if given is None or given == []:
        return None
    if not isinstance(given, list) or not all(isinstance(x, int | float) for x in given):
        raise InvalidRequest(
            "`embedding` must be one list of numbers.",
            fix="Send the question as text, or one vector of `/v1/embeddings`.",
            param="embedding",
        )
    return tuple(map(float, given))
