"""Which stores an installation uses: one line of settings decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from codeweft.errors import InvalidRequest
from codeweft.retrieval.store.base import Stores
from codeweft.retrieval.store.embedded import EmbeddedStores


def _postgres(url: str) -> Stores:
    from codeweft.retrieval.store.postgres import PostgresStores

    return PostgresStores(url)


def _opensearch(url: str) -> Stores:
    from codeweft.retrieval.store.opensearch import OpenSearchStores

    return OpenSearchStores(url)


_BY_SCHEME: Final[dict[str, Callable[[str], Stores]]] = {
    "postgresql": _postgres,
    "postgres": _postgres,
    "https": _opensearch,
    "http": _opensearch,
}


def open_stores(url: str | None) -> Stores:
    """The stores behind an address; None keeps every index in its folder. Nothing is connected yet.

    Raises `InvalidRequest` for an address of another kind, or when the packages for it are not installed.
    """
    if url is None:
        return EmbeddedStores()
    scheme, _, rest = url.partition("://")
    make = _BY_SCHEME.get(scheme)
    if make is None or not rest:
        raise InvalidRequest(
            "`index.store` is neither the address of a PostgreSQL database nor of OpenSearch.",
            fix="Write postgresql://user:password@host/database or https://user:password@host:9200.",
            param="index.store",
        )
    return make(url)
