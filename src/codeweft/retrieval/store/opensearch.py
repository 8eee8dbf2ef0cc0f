"""The store in OpenSearch: BM25 over our own terms, k-NN over our vectors, batches made visible by one document.

OpenSearch has no transactions. A batch is written first and searched by nobody; then the document `head` is replaced,
if it is still the one that was read, and the batch is there. Readers ask with what `head` said, and ask again when it
said something else meanwhile. One updater at a time holds a lease that runs out when it dies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from codeweft.errors import Conflict, NotReady, StorageFailed
from codeweft.retrieval.forms import known_forms, possible_forms
from codeweft.retrieval.store import gather
from codeweft.retrieval.store import opensearch_queries as ask
from codeweft.retrieval.store.base import (
    SYMBOL_CANDIDATES,
    TERM_DEPTH,
    FoundSecret,
    NewFile,
    Probe,
    Row,
    StoredFile,
)
from codeweft.retrieval.store.gather import Found, Hits, Ids
from codeweft.retrieval.store.opensearch_cluster import Cluster
from codeweft.retrieval.store.opensearch_lease import Lease
from codeweft.retrieval.store.opensearch_queries import Head, Json
from codeweft.retrieval.store.pool import Pool
from codeweft.types import Filters, Vectors

from opensearchpy import exceptions  # isort: skip  (after `opensearch_cluster`, which says what to do when it is missing)

_TRIES: Final = 20
"""Readings of one state before giving up on an index that changes all the time."""
_PORTION: Final = 1000
"""Values in one query for documents by name."""

T = TypeVar("T")


class OpenSearchStore:
    """Implements `Store` in one OpenSearch index. Any number of processes and machines may search while one updates."""

    def __init__(self, cluster: Cluster, index: str, dimensions: int, nori: bool) -> None:
        self._cluster = cluster
        self._index = index
        self._dimensions = dimensions
        self._nori = nori
        self._paths: tuple[int, list[tuple[int, str, str]]] = (-1, [])
        self._lease = Lease(cluster, index)
        self._unclean = False

    # ── one state at a time ──────────────────────────────────────────────────────────────────────────────────

    def _head(self) -> tuple[Head, Json]:
        found = self._cluster.document(self._index, ask.HEAD)
        if found is None:
            raise StorageFailed(
                f"The index {ask.our_name(self._index)} was never finished being made.",
                fix="Remove it and add its source again.",
            )
        return Head.read(found["_source"]), found

    def _reading(self, read: Callable[[Head], T]) -> T:
        """What `read` finds in one committed state; it reads again when another was committed meanwhile."""
        head, _ = self._head()
        for _ in range(_TRIES):
            result = read(head)
            now, _ = self._head()
            if now.generation == head.generation:
                return result
            head = now
        raise NotReady(
            f"The index {ask.our_name(self._index)} changes faster than it can be read.", fix="Try again."
        )

    # ── settings and the one updater ─────────────────────────────────────────────────────────────────────────

    def settings(self) -> dict[str, str]:
        found = self._cluster.document(self._index, ask.SETTINGS)
        return json.loads(found["_source"]["stored"]) if found else {}

    def set(self, **values: str) -> None:
        for attempt in range(_TRIES):
            found = self._cluster.document(self._index, ask.SETTINGS)
            known = json.loads(found["_source"]["stored"]) if found else {}
            document = {"type": ask.SETTINGS, "stored": json.dumps(known | values)}
            try:
                self._cluster.put(self._index, ask.SETTINGS, document, found)
                return
            except Conflict:
                if attempt == _TRIES - 1:
                    raise

    @contextmanager
    def updating(self, name: str) -> Iterator[None]:
        with self._lease.held(name):
            self._sweep()
            yield

    def updater(self) -> int | None:
        return self._lease.holder()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, files: Sequence[NewFile], gone: Sequence[str] = ()) -> None:
        self._lease.check()
        head, stored = self._sweep() if self._unclean else self._head()
        self._unclean = True
        old = self._files_named(head, [*gone, *(file.path for file in files)])
        documents = ask.documents(head, files, self._dimensions, self._nori)
        self._cluster.bulk(self._index, ({"_id": name, **document} for name, document in documents))
        self._cluster.refresh(self._index)
        self._commit(head.after(files, old), stored)
        self._unclean = False

    def _commit(self, head: Head, replacing: Json) -> None:
        """Make `head` the truth if what it follows from still is, then delete what it no longer holds."""
        self._cluster.put(self._index, ask.HEAD, head.document(), replacing)
        self._sweep()

    def _sweep(self) -> tuple[Head, Json]:
        """Delete what is not committed or no longer; the head, which then has nothing dead."""
        head, stored = self._head()
        self._cluster.refresh(self._index)
        self._cluster.delete_all(self._index, ask.garbage(head))
        if head.dead:
            self._cluster.put(self._index, ask.HEAD, replace(head, dead=()).document(), stored)
            return self._head()
        return head, stored

    def touch(self, seen: Sequence[tuple[int, int, int, str]]) -> None:
        head, _ = self._head()
        files = {file.path: file for file in self._files_named(head, [path for *_, path in seen])}
        self._cluster.bulk(
            self._index,
            (
                {"_op_type": "update", "_id": f"f{files[path].id}", "doc": ask.touched(files[path], *values)}
                for *values, path in seen
                if path in files
            ),
        )
        self._cluster.refresh(self._index)

    def clear(self) -> None:
        head, stored = self._sweep()
        with self._cluster.failures():
            self._cluster.client.indices.put_mapping(
                index=self._index, body={"properties": ask.vector_mapping(self._dimensions)}
            )
        self._commit(head.cleared(), stored)

    def repair(self) -> None:
        self._sweep()

    def put_summaries(self, language: str, model: str, texts: Mapping[int, str]) -> None:
        documents = (ask.summary_document(one, language, model, text) for one, text in texts.items())
        self._cluster.bulk(self._index, ({"_id": name, **document} for name, document in documents))
        self._cluster.refresh(self._index)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────

    def files(self) -> list[StoredFile]:
        def read(head: Head) -> list[StoredFile]:
            hits = self._cluster.all(self._index, ask.visible(head, "file"), ["path"], ["stored"])
            return [ask.stored_file(hit["_source"]) for hit in hits]

        return self._reading(read)

    def file(self, path: str) -> StoredFile | None:
        found = self._reading(lambda head: self._files_named(head, [path]))
        return found[0] if found else None

    def _files_named(self, head: Head, paths: Sequence[str]) -> list[StoredFile]:
        found: list[StoredFile] = []
        for low in range(0, len(paths), _PORTION):
            named = {"terms": {"path": list(paths[low : low + _PORTION])}}
            hits = self._cluster.all(self._index, ask.visible(head, "file", named), ["path"], ["stored"])
            found.extend(ask.stored_file(hit["_source"]) for hit in hits)
        return found

    def chunks(self, path: str) -> list[Row]:
        def read(head: Head) -> list[Row]:
            query = ask.visible(head, "chunk", {"term": {"path": path}})
            hits = self._cluster.all(self._index, query, ["chunk"], ["stored", "text"])
            return [ask.stored_row(hit["_source"], text=True) for hit in hits]

        return self._reading(read)

    def rows(self, ids: Iterable[int], *, text: bool = False) -> list[Row]:
        wanted = list(ids)
        fields = ["stored", "text"] if text else ["stored"]
        return self._reading(
            lambda head: [ask.stored_row(one, text=text) for one in self._sources(head, wanted, fields)]
        )

    def _sources(self, head: Head, ids: Sequence[int], fields: list[str]) -> list[Json]:
        """What is stored of chunks, in no particular order; ids that are gone are missing."""
        found: list[Json] = []
        for low in range(0, len(ids), _PORTION):
            named = {"terms": {"chunk": list(ids[low : low + _PORTION])}}
            hits = self._cluster.all(self._index, ask.visible(head, "chunk", named), ["chunk"], fields)
            found.extend(hit["_source"] for hit in hits)
        return found

    def secrets(self) -> list[tuple[str, FoundSecret]]:
        def read(head: Head) -> list[tuple[str, FoundSecret]]:
            query = ask.visible(head, "file", {"range": {"secrets": {"gt": 0}}})
            hits = self._cluster.all(self._index, query, ["path"], ["path", "text"])
            return [
                (hit["_source"]["path"], secret)
                for hit in hits
                for secret in ask.found_secrets(hit["_source"])
            ]

        return self._reading(read)

    def summaries(self, digests: Sequence[int], language: str) -> dict[int, str]:
        found: dict[int, str] = {}
        for low in range(0, len(digests), _PORTION):
            named = [
                {"term": {"type": "summary"}},
                {"term": {"language": language}},
                {"terms": {"summary_digest": list(digests[low : low + _PORTION])}},
            ]
            query = {"bool": {"filter": named}}
            for hit in self._cluster.all(self._index, query, ["summary_digest"], ["summary_digest", "text"]):
                found[hit["_source"]["summary_digest"]] = hit["_source"]["text"]
        return found

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────

    def candidates(self, probe: Probe) -> Pool:
        return self._reading(lambda head: self._candidates(head, probe))

    def _candidates(self, head: Head, probe: Probe) -> Pool:
        if not head.chunks:
            return Pool.of(())
        question, vector, k = probe.question, probe.vector, probe.k
        filters = self._filters(head, probe.filters)
        frequency = self._frequencies(
            {form for term in question.terms for form in (term, *possible_forms(term))}
        )
        forms = {term: known_forms(term, lambda form: frequency.get(form, 0)) for term in question.terms}
        terms = ask.affordable(gather.weighted_terms(question.terms, forms), frequency)
        evidence = gather.evidence_terms(forms, lambda term: frequency.get(term, 0))
        depth = gather.depth(k)
        few = filters if filters and self._count(head, filters) < gather.FEW * head.chunks else []
        lexical, defining, near, *holders = self._cluster.searches(
            self._index,
            [
                ask.lexical_query(head, terms, filters, question.text, depth),
                ask.defining_query(head, question.folded_symbols, SYMBOL_CANDIDATES),
                ask.near_query(head, vector, depth, filters),
                *(ask.evidence_query(head, some, TERM_DEPTH, few) for some in evidence),
            ],
        )
        found = Found(
            lexical=_hits(lexical, float),
            near=_hits(near, ask.cosine),
            defining=_hits(defining, float).ids,
            terms=[
                (question.terms[some[0]], _hits(hits, float).ids)
                for some, hits in zip(evidence, holders, strict=True)
            ],
            files=head.files,
        )
        ids = gather.chosen(found, k).tolist()
        sources = self._chosen(head, ids, filters)
        rows = [ask.stored_row(one, text=False) for one in sources]
        cosines = ask.stored_vectors(sources, self._dimensions) @ vector
        return gather.candidates(
            found, rows, {row.id: float(one) for row, one in zip(rows, cosines, strict=True)}
        )

    def _chosen(self, head: Head, ids: Sequence[int], filters: Sequence[Json]) -> list[Json]:
        named = ask.visible(head, "chunk", {"terms": {"chunk": list(ids)}}, *filters)
        return [
            hit["_source"] for hit in self._cluster.all(self._index, named, ["chunk"], ["stored", "code"])
        ]

    def _count(self, head: Head, filters: Sequence[Json]) -> int:
        with self._cluster.failures():
            query = {"query": ask.visible(head, "chunk", *filters)}
            return int(self._cluster.client.count(index=self._index, body=query)["count"])

    def _frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        wanted = sorted(terms)
        if not wanted:
            return {}
        with self._cluster.failures():
            answer = self._cluster.client.termvectors(index=self._index, body=ask.frequencies(wanted))
        return ask.read_frequencies(answer)

    def _filters(self, head: Head, filters: Filters) -> list[Json]:
        files: list[int] | None = None
        if filters.paths or filters.languages:
            generation, known = self._paths
            if generation != head.generation:
                query = ask.visible(head, "file")
                hits = self._cluster.all(self._index, query, ["path"], ["file", "path", "language"])
                known = [(s["file"], s["path"], s["language"]) for s in (hit["_source"] for hit in hits)]
                self._paths = (head.generation, known)
            files = gather.matching_files(known, filters)
        return ask.chunk_filters(files, filters.kinds)

    def nearest(self, vector: Vectors, k: int, filters: Filters) -> list[tuple[int, float]]:
        found = self._reading(
            lambda head: self._cluster.search(
                self._index, ask.near_query(head, vector, k, self._filters(head, filters))
            )
        )
        hits = _hits(found, ask.cosine)
        return list(zip(hits.ids.tolist(), hits.scores.tolist(), strict=True))

    def vectors(self, ids: Sequence[int]) -> Vectors:
        found = np.zeros((len(ids), self._dimensions), np.float32)
        sources = self._reading(lambda head: self._sources(head, list(ids), ["chunk", "code"]))
        vectors = ask.stored_vectors(sources, self._dimensions)
        by_id = {source["chunk"]: vectors[at] for at, source in enumerate(sources)}
        for at, one in enumerate(ids):
            if one in by_id:
                found[at] = by_id[one]
        return found

    def defining(self, folded: Sequence[str], limit: int) -> list[int]:
        if not folded:
            return []
        found = self._reading(
            lambda head: self._cluster.search(self._index, ask.defining_query(head, folded, limit))
        )
        ids: list[int] = _hits(found, float).ids.tolist()
        return ids

    def holding(self, terms: Sequence[str], limit: int, filters: Filters) -> list[int]:
        if not terms:
            return []
        found = self._reading(
            lambda head: self._cluster.search(
                self._index, ask.holding_query(head, terms, self._filters(head, filters), limit)
            )
        )
        ids: list[int] = _hits(found, float).ids.tolist()
        return ids

    def scan(self, literal: str, filters: Filters) -> Iterator[Row]:
        """Texts come over as they are asked for; those that lack a word of `literal` do not come at all."""

        def read(head: Head) -> list[int]:
            query = ask.containing(head, literal, self._filters(head, filters))
            hits = self._cluster.all(self._index, query, ["path", "chunk"], False)
            return [hit["sort"][1] for hit in hits]

        ids = self._reading(read)
        for low in range(0, len(ids), _PORTION):
            some = ids[low : low + _PORTION]
            rows = {row.id: row for row in self.rows(some, text=True)}
            yield from (rows[one] for one in some if one in rows and literal in rows[one].text)

    def close(self) -> None:
        """Nothing is kept open for one index."""


class OpenSearchStores:
    """Implements `Stores`: the cluster's indexes named codeweft-*."""

    def __init__(self, url: str) -> None:
        self._cluster = Cluster(url)

    def names(self, root: Path) -> list[str]:
        with self._cluster.failures():
            found = self._cluster.client.indices.get_settings(index=ask.index_name("*"), name="index.uuid")
        return sorted(map(ask.our_name, found))

    def identity(self, folder: Path) -> Hashable | None:
        index = ask.index_name(folder.name)
        with self._cluster.failures():
            found = self._cluster.client.indices.get_settings(index=index, name="index.uuid", ignore=404)
        return str(found[index]["settings"]["index"]["uuid"]) if index in found else None

    def open(self, folder: Path, dimensions: int) -> OpenSearchStore:
        index = ask.index_name(folder.name)
        client = self._cluster.client
        with self._cluster.failures():
            if not client.indices.exists(index=index):
                self._make(index, dimensions)
            mapping: dict[str, Any] = client.indices.get_mapping(index=index)
        meta = mapping[index]["mappings"].get("_meta", {})
        if meta.get("codeweft") != ask.LAYOUT:
            raise StorageFailed(
                f"The index {folder.name} was made by another version of Codeweft.",
                fix="Remove it and add its source again, or use that version.",
            )
        return OpenSearchStore(self._cluster, index, dimensions, bool(meta.get("nori")))

    def _make(self, index: str, dimensions: int) -> None:
        client = self._cluster.client
        plugins = {one.get("component") for one in client.cat.plugins(format="json")}
        creation = ask.creation(dimensions, self._cluster.shards, "analysis-nori" in plugins)
        try:
            client.indices.create(index=index, body=creation)
        except exceptions.RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise
        try:
            self._cluster.put(index, ask.HEAD, Head().document(), None)
        except Conflict:
            # Another process has made it at the same moment.
            return

    def delete(self, folder: Path) -> None:
        with self._cluster.failures():
            self._cluster.client.indices.delete(
                index=ask.index_name(folder.name), params={"ignore_unavailable": "true"}
            )

    def close(self) -> None:
        """Close all connections."""
        self._cluster.client.close()


def _hits(hits: Sequence[Json], score: Callable[[float], float]) -> Hits:
    ids: Ids = np.array([int(hit["_id"][1:]) for hit in hits], np.int64)
    return Hits(ids, np.array([score(hit["_score"] or 0.0) for hit in hits], np.float32))
