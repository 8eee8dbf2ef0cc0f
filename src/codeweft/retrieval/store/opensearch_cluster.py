"""An OpenSearch cluster as the store sees it: its address, its client, and what its errors mean for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from codeweft.errors import Conflict, InvalidRequest, StorageFailed

try:
    from opensearchpy import OpenSearch, exceptions, helpers
except ModuleNotFoundError as missing:
    raise InvalidRequest(
        f"`index.store` names an OpenSearch cluster, but {missing.name} is not installed.",
        fix="pip install 'codeweft[opensearch]'",
    ) from None

from codeweft.retrieval.store.opensearch_queries import Json

_SECONDS: Final = 60
"""Patience with one request; a bulk of chunks takes a fraction of it."""
_BULK_BYTES: Final = 10_000_000
_PAGE: Final = 500
"""Documents fetched at once."""
_OPTIONS: Final = frozenset({"verify", "ca", "shards"})

_MEANINGS: Final[dict[int | str, tuple[str, str]]] = {
    401: ("it does not know this user", "Check the user and the password in `index.store`."),
    403: (
        "this user may not, or the disk is nearly full",
        "Let the user create and write indexes named codeweft-*, and look at the cluster's disk watermarks.",
    ),
    404: ("the index was removed", "Add it again."),
    429: ("it is overloaded", "Try again in a moment; what was stored is intact."),
    503: ("a part of it is not available", "Look at the cluster's health; what was stored is intact."),
    "N/A": (
        "it cannot be reached",
        "Check that it runs and that `index.store` names it; `?verify=no` or `?ca=FILE` for its own certificate.",
    ),
    "TIMEOUT": ("it does not answer in time", "Look at the cluster's load; what was stored is intact."),
}
_REFUSED: Final = ("it refused", "Check its version (2.13 or newer with the k-NN plugin) and its log.")


class Cluster:
    """One cluster's client. Thread-safe; nothing is connected before it is needed."""

    def __init__(self, url: str) -> None:
        """Raises `InvalidRequest` for what is no address; passwords are in no message."""
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname
            options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            self.shards = int(options.get("shards", 1))
        except ValueError:
            host, port, options = None, None, {}
        if not host or options.keys() - _OPTIONS:
            raise InvalidRequest(
                "`index.store` is no address of an OpenSearch cluster.",
                fix="Write it as https://user:password@host:9200, with ?ca=FILE, ?verify=no or ?shards=N behind it.",
            )
        secure = parts.scheme == "https"
        self.where = f"{host}:{port or 9200}"
        verify = options.get("verify", "yes").lower() not in ("no", "false", "0")
        login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self.client = OpenSearch(
            hosts=[{"host": host, "port": port or 9200, "url_prefix": parts.path.strip("/")}],
            http_auth=login,
            use_ssl=secure,
            verify_certs=secure and verify,
            ssl_show_warn=False,
            ca_certs=options.get("ca"),
            timeout=_SECONDS,
            retry_on_timeout=False,
            max_retries=2,
            pool_maxsize=16,
        )

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn what the cluster answers into `StorageFailed` that says what to do, or `Conflict`."""
        try:
            yield
        except exceptions.ConflictError as error:
            raise Conflict(
                "Another process has changed the index meanwhile.",
                fix="Run the update again; what was committed before is intact.",
            ) from error
        except exceptions.TransportError as error:
            meaning, fix = _MEANINGS.get(error.status_code, _REFUSED)
            reason = _reason(error)
            raise StorageFailed(f"OpenSearch at {self.where}: {meaning} ({reason}).", fix=fix) from error
        except helpers.errors.BulkIndexError as error:
            first: Json = next((item for one in error.errors[:1] for item in one.values()), {})
            meaning, fix = _MEANINGS.get(first.get("status", 0), _REFUSED)
            reason = first.get("error", {}).get("reason", "a document was not taken")
            raise StorageFailed(f"OpenSearch at {self.where}: {meaning} ({reason}).", fix=fix) from error

    def search(self, index: str, body: Json) -> list[Json]:
        """The hits of one query."""
        with self.failures():
            answer = self.client.search(index=index, body=body, search_type="dfs_query_then_fetch")
        found: list[Json] = answer["hits"]["hits"]
        return found

    def searches(self, index: str, bodies: list[Json]) -> list[list[Json]]:
        """The hits of several queries asked at once."""
        if not bodies:
            return []
        lines = [line for body in bodies for line in ({}, body)]
        with self.failures():
            answers = self.client.msearch(index=index, body=lines, search_type="dfs_query_then_fetch")
            for answer in answers["responses"]:
                if "error" in answer:
                    raise exceptions.TransportError(
                        answer.get("status", 500), answer["error"].get("type", ""), answer
                    )
        return [answer["hits"]["hits"] for answer in answers["responses"]]

    def all(
        self, index: str, query: Json, sort: list[str], source: bool | list[str] = True
    ) -> Iterator[Json]:
        """Every hit of a query in order of `sort`, whose values must be unique together."""
        body: Json = {
            "query": query,
            "size": _PAGE,
            "sort": [{field: "asc"} for field in sort],
            "_source": source,
            "track_total_hits": False,
        }
        while hits := self.search(index, body):
            yield from hits
            if len(hits) < _PAGE:
                return
            body["search_after"] = hits[-1]["sort"]

    def document(self, index: str, name: str) -> Json | None:
        """A document with its sequence number, as of now; None when there is none."""
        with self.failures():
            found: Json = self.client.get(index=index, id=name, ignore=404)
            if "error" in found:
                raise exceptions.NotFoundError(404, "index_not_found_exception", found)
        return found if found["found"] else None

    def put(self, index: str, name: str, document: Json, replacing: Json | None) -> None:
        """Store a document in place of the one that was read, or where there was none. Raises `Conflict`."""
        condition: dict[str, Any] = {"op_type": "create"}
        if replacing is not None:
            condition = {
                "if_seq_no": replacing["_seq_no"],
                "if_primary_term": replacing["_primary_term"],
            }
        with self.failures():
            self.client.index(index=index, id=name, body=document, params=condition)

    def remove(self, index: str, name: str, read: Json) -> None:
        """Delete a document if it is still the one that was read. Raises `Conflict`."""
        condition = {"if_seq_no": read["_seq_no"], "if_primary_term": read["_primary_term"]}
        with self.failures():
            self.client.delete(index=index, id=name, params=condition)

    def bulk(self, index: str, actions: Iterator[Json]) -> None:
        """Carry out many changes; refused ones raise."""
        with self.failures():
            for _ in helpers.streaming_bulk(
                self.client,
                actions,
                index=index,
                chunk_size=_PAGE,
                max_chunk_bytes=_BULK_BYTES,
                max_retries=3,
            ):
                pass

    def delete_all(self, index: str, query: Json) -> None:
        """Delete what a query matches, and let searches see it."""
        with self.failures():
            self.client.delete_by_query(
                index=index, body={"query": query}, params={"refresh": "true", "conflicts": "proceed"}
            )

    def refresh(self, index: str) -> None:
        """Let searches see all that was written."""
        with self.failures():
            self.client.indices.refresh(index=index)


def _reason(error: exceptions.TransportError) -> str:
    """What the cluster says, in one line and without addresses that hold a password."""
    if error.status_code == "N/A":
        return type(error.info).__name__ if isinstance(error.info, Exception) else "no connection"
    return str(error.error).strip().splitlines()[0][:300] if error.error else str(error.status_code)
