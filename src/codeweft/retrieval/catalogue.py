"""All indexes of one installation, and searching across them."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import re
import shutil
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from codeweft.errors import Conflict, InvalidRequest, NotFound, StorageFailed
from codeweft.retrieval.index import Index, IndexStatus
from codeweft.retrieval.redact import Redactor
from codeweft.retrieval.search import Found, check, check_covered, search, with_terms
from codeweft.retrieval.sources import Source, parse_source, split_token
from codeweft.retrieval.stages import Stages
from codeweft.retrieval.store.base import Stores
from codeweft.retrieval.store.embedded import EmbeddedStores
from codeweft.retrieval.store.failures import storage_errors
from codeweft.retrieval.update import IndexLimits
from codeweft.types import Encoder, Explanation, Filters, Query, SearchResult

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Indexes:
    """The indexes below `root`, one folder each. Other processes may add, update and delete them at any time."""

    def __init__(
        self,
        root: Path,
        encoder: Encoder,
        *,
        max_file_mb: float = 1.0,
        max_document_mb: float = 32.0,
        exclude: Sequence[str] = (),
        workers: int | None = None,
        default: str | None = None,
        redact: bool = True,
        allow_secrets: Sequence[str] = (),
        max_pages: int = 2_000,
        private_hosts: Sequence[str] = (),
        stores: Stores = EmbeddedStores(),
        ray: str | None = None,
        stages: Stages | None = None,
        on_found: Callable[[Sequence[SearchResult]], None] | None = None,
    ) -> None:
        """`default` is searched when a query names no index. `workers=0` parses in this process.

        Secrets are taken out of what is read if `redact`, except those in which one of the regular expressions
        `allow_secrets` is found (raises `InvalidRequest` for a bad one).
        Web pages are read from the public internet and from `private_hosts`, at most `max_pages` of a site.
        `stores` says where chunks live: by default in the indexes' folders. `stages` are what goes around a search;
        `on_found` is told what each search answers.
        `ray` is the cluster that reads many files.
        """
        self.root = root
        self.default = default
        self._encoder = encoder
        self._limits = IndexLimits(
            int(max_file_mb * 1_000_000),
            tuple(exclude),
            workers,
            int(max_document_mb * 1_000_000),
            max_pages,
            tuple(private_hosts),
            Redactor(allow_secrets) if redact else None,
            ray=ray,
        )
        self._stores = stores
        self._stages = stages
        self.on_found = on_found
        self._open: dict[str, tuple[Hashable, Index]] = {}
        self._lock = threading.Lock()
        self._visible: Callable[[str], bool] | None = None

    def seen_by(self, may_read: Callable[[str], bool]) -> Indexes:
        """These indexes as somebody sees them who may read only some: the others do not exist there."""
        seen = copy.copy(self)
        seen._visible = may_read
        return seen

    def names(self) -> list[str]:
        """Names of all indexes, sorted."""
        return [folder.name for folder in self._folders()]

    def add(
        self, source: str, name: str | None = None, *, token: str | None = None, web: bool | None = None
    ) -> Index:
        """The index of a source (see `parse_source`), made (still empty) if there is none; `Index.update` fills it.

        Without `name` the last part of the source is used. `token` reads a private repository; one that stands in the
        URL is taken out of it. Raises `InvalidRequest` for a bad source, name or token, `NotFound` for a folder that
        does not exist, `Conflict` when the name belongs to another source.
        """
        address, inside = split_token(source)
        token = inside if token is None else token
        index = self._add(parse_source(address, web=False if token and web is None else web), name)
        if token:
            index.set_token(token)
        return index

    def uploads(self, name: str) -> Index:
        """The index of uploaded files of that name, made if there is none. Raises as `add` does."""
        return self._add(Source("uploads", ""), name)

    def _add(self, source: Source, name: str | None) -> Index:
        if name is None:
            for folder in self._folders():
                if (index := self._opened(folder)) is not None and index.source == source:
                    return index
            name = self._free_name(source)
        _check_name(name)
        folder = self.root / name
        with self._lock, storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            if self._stores.identity(folder) is None:
                Index.create(folder, source, self._encoder, limits=self._limits, stores=self._stores).close()
        index = self.get(name)
        if index.source != source:
            raise Conflict(
                f"The index {name} already exists and reads {index.source}.",
                fix=f"Choose another name, or remove {name} first.",
                param="name",
            )
        return index

    def _free_name(self, source: Source) -> str:
        base = re.sub(r"[^A-Za-z0-9._-]+", "-", source.repository).strip("-._")[:50] or "code"
        taken = set(self.names())
        return next(
            name for n in range(1, len(taken) + 2) if (name := base if n == 1 else f"{base}-{n}") not in taken
        )

    def get(self, name: str) -> Index:
        """The index of that name. Raises `NotFound` that lists the names there are."""
        index = self._opened(self.root / name) if NAME.fullmatch(name) else None
        if index is None:
            names = self.names()
            fix = (
                f"There are: {', '.join(names)}."
                if names
                else "Add one with `codeweft index add FOLDER_OR_URL`."
            )
            raise NotFound(f"There is no index named {name!r}.", fix=fix, param="index")
        return index

    def delete(self, name: str) -> None:
        """Delete an index and all it holds; the source itself is left alone. Raises `NotFound`, `Conflict`."""
        index = self.get(name)
        with storage_errors(self.root), index.updating():
            # Renaming takes it away at once from everyone; whoever reads right now keeps the files they have open.
            doomed = self.root / f".deleted-{name}-{time.monotonic_ns()}"
            with contextlib.suppress(FileNotFoundError):
                index.folder.rename(doomed)
            self._stores.delete(index.folder)
            with self._lock:
                self._open.pop(name, None)
            index.close()
            shutil.rmtree(doomed, ignore_errors=True)

    def statuses(self) -> list[IndexStatus]:
        """The status of every index by name."""
        return [index.status() for folder in self._folders() if (index := self._opened(folder)) is not None]

    def search(self, query: Query) -> list[SearchResult]:
        """The best chunks of the indexes that the query is for; see `chosen` and `search.search`.

        Raises `NotFound` for an unknown or empty index, for repositories and branches of which nothing is indexed and
        when there is no index at all, `NotReady` for one that is empty yet, `InvalidRequest` for an empty query.
        """
        return self._found(query).results

    def explained(self, query: Query) -> Found:
        """The results of `search`, and how they came about."""
        return with_terms(self._found(query), query)

    def _found(self, query: Query) -> Found:
        check(query)
        # The other types promise their own order.
        staged = self._stages if query.selection.type == "hybrid" else None
        found = self._plain(query) if staged is None else self._staged(query, staged)
        if self.on_found is not None:
            self.on_found(found.results)
        return found

    def _staged(self, query: Query, stages: Stages) -> Found:
        """The search with the stages around it; what they take is a stage of its own in the explanation."""
        told: list[Explanation] = []

        def plain(asked: Query) -> list[SearchResult]:
            found = self._plain(asked)
            told.append(found.explanation)
            return found.results

        begun = time.perf_counter()
        results = stages.search(query, plain)
        took = time.perf_counter() - begun
        seconds = {name: sum(one.seconds.get(name, 0.0) for one in told) for name in told[0].seconds}
        return Found(
            results, replace(told[0], seconds={**seconds, "stages": max(0.0, took - sum(seconds.values()))})
        )

    def _plain(self, query: Query) -> Found:
        """The search without the stages around it."""
        indexes = self.chosen(query.index)
        with self._alive(indexes):
            check_covered(indexes, query.filters)
            found = search(indexes, query)
            if not found.results and len(indexes) == 1:
                # An empty index must not look like a question without an answer.
                indexes[0].check_filled()
            return found

    def chosen(self, name: str | None) -> list[Index]:
        """The index of that name; without one the default, else all. Raises `NotFound`."""
        if name is not None:
            return [self.get(name)]
        if self.default is not None and (index := self._opened(self.root / self.default)) is not None:
            return [index]
        indexes = [index for folder in self._folders() if (index := self._opened(folder)) is not None]
        if not indexes:
            raise NotFound(
                "Nothing is indexed yet.",
                fix="Add code with `codeweft index add FOLDER_OR_URL`.",
                param="index",
            )
        return indexes

    def searched(self, name: str | None, filters: Filters) -> list[Index]:
        """`chosen`, checked: raises `NotFound` for an empty index and for repositories of which nothing is indexed."""
        indexes = self.chosen(name)
        check_covered(indexes, filters)
        if len(indexes) == 1:
            indexes[0].check_filled()
        return indexes

    @contextlib.contextmanager
    def _alive(self, indexes: Sequence[Index]) -> Iterator[None]:
        """What goes wrong because an index was removed meanwhile says so."""
        try:
            with storage_errors(indexes[0].folder if len(indexes) == 1 else self.root):
                yield
        except StorageFailed:
            for index in indexes:
                if self._stores.identity(index.folder) is None:
                    raise NotFound(f"The index {index.name} was just removed.", param="index") from None
            raise

    def _folders(self) -> Iterator[Path]:
        return (self.root / name for name in self._stores.names(self.root) if self._exists(name))

    def _exists(self, name: str) -> bool:
        """Whether there can be an index of that name for whom this is."""
        return NAME.fullmatch(name) is not None and (self._visible is None or self._visible(name))

    def _opened(self, folder: Path) -> Index | None:
        """The index in a folder, opened once and again when another process has replaced it."""
        identity = self._stores.identity(folder) if self._exists(folder.name) else None
        if identity is None:
            return None
        with self._lock:
            known = self._open.get(folder.name)
            if known is None or known[0] != identity:
                if known is not None:
                    known[1].close()
                known = (identity, Index(folder, self._encoder, limits=self._limits, stores=self._stores))
                self._open[folder.name] = known
            return known[1]


class IndexRetriever:
    """`Indexes` as an asynchronous `Retriever` and `Sources`: it works in threads, the event loop stays free."""

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes

    async def search(self, query: Query) -> list[SearchResult]:
        """See `Indexes.search`."""
        return await asyncio.to_thread(self._indexes.search, query)

    async def standing(self, results: Sequence[SearchResult], index: str | None) -> list[bool]:
        """See `Sources.standing`."""
        return await asyncio.to_thread(self._standing, results, index)

    def _standing(self, results: Sequence[SearchResult], index: str | None) -> list[bool]:
        try:
            homes = [self._indexes.get(name) for name in ([index] if index else self._indexes.names())]
        except NotFound:
            # Removed since it was searched: nothing can be looked up there any more.
            return [False] * len(results)
        by_repository: dict[str, list[Index]] = {}
        for home in homes:
            by_repository.setdefault(home.repository, []).append(home)
        return [
            any(home.stands(result.chunk) for home in by_repository.get(result.chunk.repository, ()))
            for result in results
        ]


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} cannot be the name of an index.",
            fix="Use 1 to 64 letters, digits, `.`, `_` and `-`, beginning with a letter or digit.",
            param="name",
        )
