"""What is sent to OpenSearch: the mapping, the documents and the queries of one index. Pure, no I/O.

One OpenSearch index holds all of an index of ours; `type` tells its documents apart. The document `head` says what is
committed: what was born after `generation` is not there yet, what was born up to `floor` and the files in `dead` are
not there any more. So one small document makes a batch visible, whole.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from codeweft.retrieval.store.base import (
    FIELD_WEIGHTS,
    FILE_FIELDS,
    FoundSecret,
    NewFile,
    Row,
    StoredFile,
    fold,
    last_segment,
)
from codeweft.retrieval.store.gather import first_chunk, unit_rows
from codeweft.retrieval.store.lexical import FIELDS, lexical_document
from codeweft.retrieval.tokens import joined_words, runs, terms_of_run
from codeweft.types import Vectors

Json = dict[str, Any]

LAYOUT: Final = 1
"""Of the mapping below; an index with another number cannot be opened."""
HEAD, SETTINGS, LEASE = "head", "settings", "lease"
MOST_CLAUSES: Final = 1000
"""Of one query; OpenSearch refuses 1025."""
MOST_HITS: Final = 10_000
"""Of one query (`index.max_result_window`)."""
KOREAN_WEIGHT: Final = 0.5
"""Of what the Nori analyser finds in documentation and summaries, like the documentation's own terms."""

_NOTHING: Final[Json] = {"match_none": {}}
_STORED: Final = {"type": "keyword", "index": False, "doc_values": False}
_NUMBER: Final = {"type": "long"}
_WORD: Final = {"type": "keyword"}


# ── the index ────────────────────────────────────────────────────────────────────────────────────────────────


def index_name(name: str) -> str:
    """The OpenSearch index of an index of ours. It knows no capitals: `_` marks them and itself."""
    return "codeweft-" + "".join(f"_{c.lower()}" if c.isupper() or c == "_" else c for c in name)


def our_name(index: str) -> str:
    """The reverse of `index_name`."""
    return re.sub(r"_(.)", lambda marked: marked[1].upper(), index.removeprefix("codeweft-"))


def vector_field(dimensions: int) -> str:
    """Another encoder's vectors go to another field, because a field's dimension cannot change."""
    return f"vector_{dimensions}"


def vector_mapping(dimensions: int) -> Json:
    """The field for vectors of a length: a graph that filters while it searches."""
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    return {vector_field(dimensions): {"type": "knn_vector", "dimension": dimensions, "method": method}}


def creation(dimensions: int, shards: int, nori: bool) -> Json:
    """Settings and mapping of a new index. Searches see what was written when we refresh, not when a timer does."""
    terms = {"type": "text", "analyzer": "whitespace", "index_options": "freqs"}
    properties: Json = {
        **dict.fromkeys(("type", "path", "language", "kind", "symbols", "status"), _WORD),
        **dict.fromkeys(("born", "file", "chunk", "summary_digest", "secrets"), _NUMBER),
        **dict.fromkeys((f"{field}_terms" for field in FIELDS), terms),
        # Everything that is only read back, as one text: nothing of it is looked for.
        "stored": _STORED,
        "text": _STORED,
        "code": {"type": "binary"},
        **vector_mapping(dimensions),
    }
    if nori:
        properties["korean"] = {"type": "text", "analyzer": "nori", "index_options": "freqs"}
    return {
        "settings": {
            "index": {
                "number_of_shards": shards,
                "auto_expand_replicas": "0-1",
                "refresh_interval": "-1",
                "knn": True,
                "max_terms_count": 1_000_000,
            }
        },
        "mappings": {
            "dynamic": "strict",
            "_meta": {"codeweft": LAYOUT, "nori": nori},
            "_source": {"excludes": ["vector_*", "*_terms", "korean"]},
            "properties": properties,
        },
    }


# ── what is committed ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Head:
    """What of an index is committed. `files` counts the files with chunks, `next_file` is the next free id."""

    generation: int = 0
    floor: int = 0
    dead: tuple[int, ...] = ()
    next_file: int = 1
    files: int = 0
    chunks: int = 0

    @classmethod
    def read(cls, source: Json) -> Head:
        """From the document as stored."""
        fields = json.loads(source["stored"])
        return cls(**{**fields, "dead": tuple(fields["dead"])})

    def document(self) -> Json:
        """As stored."""
        fields = {field: getattr(self, field) for field in self.__dataclass_fields__}
        return {"type": HEAD, "stored": json.dumps(fields)}

    def after(self, files: Sequence[NewFile], old: Sequence[StoredFile]) -> Head:
        """What is committed once `files` have taken the place of `old`."""
        return replace(
            self,
            generation=self.generation + 1,
            dead=tuple(file.id for file in old),
            next_file=self.next_file + len(files),
            files=self.files + sum(bool(f.chunks) for f in files) - sum(bool(f.chunks) for f in old),
            chunks=self.chunks + sum(len(f.chunks) for f in files) - sum(f.chunks for f in old),
        )

    def cleared(self) -> Head:
        """What is committed once everything is forgotten."""
        born = self.generation + 1
        return replace(self, generation=born, floor=born, dead=(), files=0, chunks=0)


def visible(head: Head, kind: str, *further: Json) -> Json:
    """The documents of a type that are committed and match `further`."""
    born = {"range": {"born": {"gt": head.floor, "lte": head.generation}}}
    query: Json = {"filter": [{"term": {"type": kind}}, born, *further]}
    if head.dead:
        query["must_not"] = [{"terms": {"file": list(head.dead)}}]
    return {"bool": query}


def garbage(head: Head) -> Json:
    """The documents that are not committed, or no longer."""
    parts: list[Json] = [
        {"range": {"born": {"gt": head.generation}}},
        {"range": {"born": {"lte": head.floor}}},
    ]
    if head.dead:
        parts.append({"terms": {"file": list(head.dead)}})
    return {"bool": {"should": parts, "minimum_should_match": 1}}


# ── documents ────────────────────────────────────────────────────────────────────────────────────────────────


def documents(
    head: Head, files: Sequence[NewFile], dimensions: int, nori: bool
) -> Iterator[tuple[str, Json]]:
    """Ids and documents of new files and their chunks, born after `head`."""
    born = head.generation + 1
    for file, one in enumerate(files, head.next_file):
        stored = [
            file, one.path, one.status, one.reason, one.digest.hex(), one.size, one.mtime_ns, one.checked_ns,
            one.language, one.lines, len(one.chunks), sum(bool(chunk.summary) for chunk in one.chunks), len(one.secrets),
        ]  # fmt: skip
        yield (
            f"f{file}",
            {
                "type": "file",
                "born": born,
                "file": file,
                "path": one.path,
                "language": one.language,
                "status": one.status,
                "secrets": len(one.secrets),
                "stored": json.dumps(stored),
                "text": json.dumps([(secret.rule, secret.line) for secret in one.secrets]),
            },
        )
        rows, path = unit_rows(one.vectors), joined_words(one.path)
        for place, (chunk, row, code) in enumerate(zip(one.chunks, rows, one.vectors, strict=True)):
            number, piece = first_chunk(file) + place, chunk.piece
            terms = lexical_document(number, file, path, one.language, chunk)
            names = {fold(form) for n in (piece.name, *piece.defines) for form in (n, last_segment(n))}
            stored = [
                number, file, one.path, one.language, piece.start_line, piece.end_line, piece.kind, piece.name,
                piece.scope, piece.signature, piece.docstring, chunk.digest, "\n".join(piece.defines), "", chunk.summary,
            ]  # fmt: skip
            document: Json = {
                "type": "chunk",
                "born": born,
                "file": file,
                "chunk": number,
                "path": one.path,
                "language": one.language,
                "kind": piece.kind,
                "symbols": sorted(names - {""}),
                **{f"{field}_terms": getattr(terms, field) for field in FIELDS},
                "stored": json.dumps(stored),
                "text": chunk.text,
                "code": base64.b64encode(code.tobytes()).decode(),
            }
            # The direction of nothing is no direction: cosine refuses it.
            if row.any():
                document[vector_field(dimensions)] = [round(float(value), 5) for value in row]
            if nori:
                document["korean"] = f"{piece.docstring} {chunk.summary}"
            yield f"c{number}", document


def touched(file: StoredFile, size: int, mtime_ns: int, checked_ns: int) -> Json:
    """What changes in a file's document when only these do."""
    values = [getattr(file, field) for field in StoredFile.__dataclass_fields__]
    values[4:8] = [file.digest.hex(), size, mtime_ns, checked_ns]
    return {"stored": json.dumps(values)}


def stored_file(source: Json) -> StoredFile:
    """A file from its document."""
    values = json.loads(source["stored"])
    values[4] = bytes.fromhex(values[4])
    return StoredFile(*values)


def found_secrets(source: Json) -> list[FoundSecret]:
    """What was found in a file, by line."""
    found = [FoundSecret(rule, line) for rule, line in json.loads(source["text"])]
    return sorted(found, key=lambda secret: (secret.line, secret.rule))


def stored_row(source: Json, *, text: bool) -> Row:
    """A chunk from its document."""
    row = Row(*json.loads(source["stored"]))
    if text:
        return row._replace(text=source["text"])
    return row._replace(signature="", docstring="", summary="")


def stored_vectors(sources: Iterable[Json], dimensions: int) -> Vectors:
    """(n, d) unit vectors from chunks' documents."""
    data = b"".join(base64.b64decode(source["code"]) for source in sources)
    return unit_rows(np.frombuffer(data, np.int8).reshape(-1, dimensions))


def summary_document(digest: int, language: str, model: str, text: str) -> tuple[str, Json]:
    """The id and document of a summary."""
    document = {"type": "summary", "summary_digest": digest, "language": language, "text": text}
    return f"s{language}:{digest}", {**document, "stored": model}


# ── queries ──────────────────────────────────────────────────────────────────────────────────────────────────


def by_words(terms: Mapping[str, float], weights: Mapping[str, float]) -> list[Json]:
    """One clause per term and field, weighted; `terms` map to their weight in the question."""
    return [
        {"term": {f"{field}_terms": {"value": term, "boost": round(weight * importance, 4)}}}
        for term, importance in terms.items()
        for field, weight in weights.items()
    ]


def lexical_query(
    head: Head, terms: Mapping[str, float], filters: Sequence[Json], question: str, size: int
) -> Json:
    """BM25 over all fields. Nori reads the question itself where the index has a field for it and there is Hangul."""
    clauses = by_words(terms, FIELD_WEIGHTS)
    if any("가" <= c <= "힣" for c in question):
        clauses.append({"match": {"korean": {"query": question[:2000], "boost": KOREAN_WEIGHT}}})
    return _hits(_scored(visible(head, "chunk", *filters), clauses), size)


def evidence_query(head: Head, terms: Sequence[str], size: int, filters: Sequence[Json]) -> Json:
    """The chunks that speak for their files by one term of the question and its other forms."""
    return _hits(
        _scored(visible(head, "chunk", *filters), by_words(dict.fromkeys(terms, 1.0), FILE_FIELDS)), size
    )


def near_query(head: Head, vector: Vectors, k: int, filters: Sequence[Json]) -> Json:
    """The `k` nearest chunks of those that are visible and pass the filters; nothing is near to nothing."""
    if not vector.any():
        return _hits(_NOTHING, 0)
    k = min(k, MOST_HITS)
    field = vector_field(len(vector))
    knn = {"vector": vector.tolist(), "k": k, "filter": visible(head, "chunk", *filters)}
    return _hits({"knn": {field: knn}}, k)


def cosine(score: float) -> float:
    """The cosine behind a score of a k-NN query (Lucene: half of one plus it)."""
    return 2 * score - 1


def defining_query(head: Head, folded: Sequence[str], size: int) -> Json:
    """Chunks that define one of the names."""
    query = visible(head, "chunk", {"terms": {"symbols": list(folded)}})
    return {**_hits(query, size), "sort": [{"chunk": "asc"}]}


def holding_query(head: Head, terms: Sequence[str], filters: Sequence[Json], size: int) -> Json:
    """Chunks whose body holds all terms, the best match first."""
    query = visible(head, "chunk", *filters)
    query["bool"]["must"] = by_words(dict.fromkeys(terms, 1.0), {"body": 1.0})
    return _hits(query, size)


def chunk_filters(files: Sequence[int] | None, kinds: Sequence[str]) -> list[Json]:
    """What restricts chunks to some files (None: all) and kinds (none: all)."""
    found: list[Json] = []
    if files is not None:
        found.append({"terms": {"file": list(files)}})
    if kinds:
        found.append({"terms": {"kind": list(kinds)}})
    return found


def certain_terms(literal: str) -> list[str]:
    """Terms that every text with `literal` in it holds: those of its words that both ends of are inside it."""
    found: dict[str, None] = {}
    for word in runs(literal)[1:-1]:
        if word.isascii():
            found.update(dict.fromkeys(terms_of_run(word)))
    return list(found)[:50]


def containing(head: Head, literal: str, filters: Sequence[Json]) -> Json:
    """The chunks that may contain `literal`; whoever asks looks at their texts."""
    holding: list[Json] = [{"term": {"body_terms": {"value": term}}} for term in certain_terms(literal)]
    return visible(head, "chunk", *filters, *holding)


def frequencies(terms: Sequence[str]) -> Json:
    """A made-up document whose term vector says in how many chunks each of its terms occurs."""
    return {
        "doc": {"body_terms": " ".join(terms)},
        "fields": ["body_terms"],
        "term_statistics": True,
        "field_statistics": False,
        "positions": False,
        "offsets": False,
    }


def read_frequencies(answer: Json) -> dict[str, int]:
    """By term, in how many chunks it occurs."""
    found = answer.get("term_vectors", {}).get("body_terms", {}).get("terms", {})
    return {term: max(0, values.get("doc_freq", 0)) for term, values in found.items()}


def affordable(terms: Mapping[str, float], frequency: Mapping[str, int]) -> dict[str, float]:
    """As many terms as one query takes, without the commonest when there are more."""
    most = (MOST_CLAUSES - 8) // len(FIELD_WEIGHTS)
    if len(terms) <= most:
        return dict(terms)
    rarest = sorted(terms, key=lambda term: frequency.get(term, 0))[:most]
    return {term: terms[term] for term in rarest}


def _scored(query: Json, clauses: list[Json]) -> Json:
    if not clauses:
        return _NOTHING
    query["bool"].update(should=clauses, minimum_should_match=1)
    return query


def _hits(query: Json, size: int) -> Json:
    """Ids and scores only: a chunk's number is in its id."""
    return {"query": query, "size": min(size, MOST_HITS), "_source": False, "track_total_hits": False}
