"""A stand-in for an OpenSearch node: the part of its HTTP interface that the store uses, by its documentation.

It shows that the store asks and commits as it should; it does not show that a real node agrees. Strict where a node is:
unknown fields, unknown queries, vectors of another length or of no length, stale sequence numbers are refused, and
searches see only what was refreshed. Set CODEWEFT_TEST_OPENSEARCH to run the same tests against a real one.
"""

from __future__ import annotations

import json
import math
import re
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

Json = dict[str, Any]


class Refused(Exception):
    def __init__(self, status: int, kind: str, reason: str = "") -> None:
        super().__init__(kind)
        self.status, self.kind, self.reason = status, kind, reason


class DoubleIndex:
    """One index: documents with sequence numbers, and those that searches see."""

    def __init__(self, body: Json) -> None:
        self.uuid = uuid.uuid4().hex
        self.mappings = body["mappings"]
        assert self.mappings["dynamic"] == "strict"
        self.properties: Json = self.mappings["properties"]
        self.documents: dict[str, tuple[Json, int]] = {}
        self.seen: dict[str, Json] = {}
        self.tokens: dict[str, dict[str, Counter[str]]] = {}
        self.sequence = 0

    def put(self, name: str, source: Json) -> int:
        for field, value in source.items():
            if field not in self.properties:
                raise Refused(400, "strict_dynamic_mapping_exception", field)
            self._check(field, value)
        self.sequence += 1
        self.documents[name] = (source, self.sequence)
        return self.sequence

    def _check(self, field: str, value: Any) -> None:
        mapping = self.properties[field]
        ok = {
            "keyword": lambda: isinstance(value, str) or all(isinstance(one, str) for one in value),
            "text": lambda: isinstance(value, str),
            "binary": lambda: isinstance(value, str),
            "long": lambda: isinstance(value, int) and -(2**63) <= value < 2**63,
            "knn_vector": lambda: len(value) == mapping["dimension"] and any(value),
        }[mapping["type"]]()
        if not ok:
            raise Refused(400, "mapper_parsing_exception", f"{field}: {str(value)[:50]}")

    def refresh(self) -> None:
        self.seen = {name: source for name, (source, _) in self.documents.items()}
        texts = [field for field, mapping in self.properties.items() if mapping["type"] == "text"]
        self.tokens = {
            field: {n: Counter(s[field].split()) for n, s in self.seen.items() if s.get(field)}
            for field in texts
        }

    def shown(self, source: Json, wanted: Any) -> Json:
        hidden = self.mappings["_source"]["excludes"]
        kept = {k: v for k, v in source.items() if not any(fnmatch(k, pattern) for pattern in hidden)}
        return kept if wanted is True else {key: kept[key] for key in wanted if key in kept}

    # ── queries ──────────────────────────────────────────────────────────────────────────────────────────────

    def search(self, body: Json) -> Json:
        assert set(body) <= {"query", "size", "sort", "_source", "track_total_hits", "search_after"}, set(
            body
        )
        size = body["size"]
        if size > 10_000:
            raise Refused(400, "illegal_argument_exception", "result window is too large")
        found = (
            self._nearest(body["query"]["knn"]) if "knn" in body["query"] else self._matching(body["query"])
        )
        keys = [next(iter(one)) for one in body.get("sort", [])]
        order = [(score, [self.seen[name].get(key) for key in keys], name) for name, score in found]
        order.sort(key=lambda one: one[1] if keys else (-one[0], int(one[2][1:] or 0)))
        if after := body.get("search_after"):
            order = [one for one in order if one[1] > after]
        hits = []
        for score, values, name in order[:size]:
            hit: Json = {"_id": name, "_score": None if keys else score}
            if body["_source"] is not False:
                hit["_source"] = self.shown(self.seen[name], body["_source"])
            if keys:
                hit["sort"] = values
            hits.append(hit)
        return {"hits": {"hits": hits}, "status": 200}

    def _matching(self, query: Json) -> list[tuple[str, float]]:
        rarity: dict[tuple[str, str], float] = {}
        lengths = {f: sum(map(Counter.total, t.values())) / max(len(t), 1) for f, t in self.tokens.items()}
        scored = (
            (name, self._score(query, name, source, rarity, lengths)) for name, source in self.seen.items()
        )
        return [(name, score) for name, score in scored if score is not None]

    def _score(self, query: Json, name: str, source: Json, rarity: Any, lengths: Any) -> float | None:
        [(kind, body)] = query.items()
        again = lambda one: self._score(one, name, source, rarity, lengths)  # noqa: E731
        match kind:
            case "match_none":
                return None
            case "bool":
                assert set(body) <= {"filter", "must", "must_not", "should", "minimum_should_match"}, body
                assert len(body.get("should", ())) <= 1024, "too_many_clauses"
                if any(again(one) is None for one in body.get("filter", ())):
                    return None
                if any(again(one) is not None for one in body.get("must_not", ())):
                    return None
                must = [again(one) for one in body.get("must", ())]
                should = [score for one in body.get("should", ()) if (score := again(one)) is not None]
                if None in must or len(should) < body.get("minimum_should_match", 0):
                    return None
                return sum(must) + sum(should)
            case "terms":
                [(field, values)] = body.items()
                return 1.0 if self._values(source, field) & set(values) else None
            case "range":
                [(field, limits)] = body.items()
                value = source.get(field)
                checks = {"gt": lambda a, b: a > b, "lte": lambda a, b: a <= b}
                holds = value is not None and all(checks[how](value, limit) for how, limit in limits.items())
                return 1.0 if holds else None
            case "match":
                [(field, asked)] = body.items()
                words = asked["query"].split()
                parts = [self._bm25(field, word, name, rarity, lengths) for word in words]
                found = [one for one in parts if one]
                return asked["boost"] * sum(found) if found else None
            case "term":
                [(field, asked)] = body.items()
                value, boost = (
                    (asked["value"], asked.get("boost", 1)) if isinstance(asked, dict) else (asked, 1)
                )
                if self.properties[field]["type"] != "text":
                    return float(boost) if value in self._values(source, field) else None
                score = self._bm25(field, value, name, rarity, lengths)
                return boost * score if score else None
        raise Refused(400, "parsing_exception", f"unknown query [{kind}]")

    def _values(self, source: Json, field: str) -> set[Any]:
        if self.properties[field].get("index") is False:
            raise Refused(400, "query_shard_exception", f"field [{field}] is not indexed")
        value = source.get(field)
        return set(value) if isinstance(value, list) else {value} - {None}

    def _bm25(self, field: str, term: str, name: str, rarity: Any, lengths: Any) -> float:
        tokens = self.tokens.get(field, {})
        count = tokens.get(name, {}).get(term, 0)
        if not count:
            return 0.0
        if (field, term) not in rarity:
            holding, all_documents = self.frequency(field, term), len(tokens)
            rarity[field, term] = math.log(1 + (all_documents - holding + 0.5) / (holding + 0.5))
        norm = 1.2 * (0.25 + 0.75 * tokens[name].total() / lengths[field])
        return rarity[field, term] * count / (count + norm)

    def frequency(self, field: str, term: str) -> int:
        return sum(term in tokens for tokens in self.tokens[field].values())

    def _nearest(self, knn: Json) -> list[tuple[str, float]]:
        [(field, asked)] = knn.items()
        vector = np.array(asked["vector"])
        if (
            field not in self.properties
            or len(vector) != self.properties[field]["dimension"]
            or not vector.any()
        ):
            raise Refused(400, "query_shard_exception", "bad vector")
        assert 1 <= asked["k"] <= 10_000 and set(asked) == {"vector", "k", "filter"}
        found = []
        for name, _ in self._matching(asked["filter"]):
            if (other := self.seen[name].get(field)) is not None:
                cosine = float(np.dot(other, vector) / np.linalg.norm(other) / np.linalg.norm(vector))
                found.append((name, (1 + cosine) / 2))
        return sorted(found, key=lambda one: -one[1])[: asked["k"]]


class Double:
    """All indexes, and what answers requests."""

    def __init__(self, plugins: tuple[str, ...] = ("opensearch-knn",)) -> None:
        self.indexes: dict[str, DoubleIndex] = {}
        self.lock = threading.Lock()
        self.plugins = plugins
        self.failing: tuple[str, int, str] | None = None
        """A path pattern whose requests get a status and an error type, as a node in trouble answers."""

    def answer(self, method: str, path: str, options: dict[str, str], body: bytes) -> Any:
        if self.failing and re.search(self.failing[0], path):
            raise Refused(self.failing[1], self.failing[2], "as told")
        name, *rest = [unquote(part) for part in path.strip("/").split("/")]
        if path == "/_cat/plugins":
            return [{"component": plugin} for plugin in self.plugins]
        if rest[:1] == ["_settings"]:
            found = {
                n: {"settings": {"index": {"uuid": i.uuid}}}
                for n, i in self.indexes.items()
                if fnmatch(n, name)
            }
            if not found and "*" not in name:
                raise Refused(404, "index_not_found_exception")
            return found
        if not rest and method == "PUT":
            if name in self.indexes:
                raise Refused(400, "resource_already_exists_exception")
            assert name == name.lower() and not set(name) & set('\\/*?"<>| ,#:'), name
            self.indexes[name] = DoubleIndex(json.loads(body))
            return {"acknowledged": True}
        if name not in self.indexes:
            if options.get("ignore_unavailable") == "true":
                return {"acknowledged": True}
            raise Refused(404, "index_not_found_exception")
        index = self.indexes[name]
        if not rest:
            if method == "DELETE":
                del self.indexes[name]
            return {"acknowledged": True}
        return getattr(self, rest[0])(index, name, method, rest[1:], options, body)

    def _mapping(
        self, index: DoubleIndex, name: str, method: str, rest: Any, options: Any, body: bytes
    ) -> Any:
        if method == "PUT":
            for field, mapping in json.loads(body)["properties"].items():
                if index.properties.setdefault(field, mapping) != mapping:
                    raise Refused(400, "illegal_argument_exception", "a field's mapping cannot change")
        return {name: {"mappings": index.mappings}}

    def _doc(
        self, index: DoubleIndex, name: str, method: str, rest: list[str], options: Any, body: bytes
    ) -> Any:
        known = index.documents.get(rest[0])
        if "if_seq_no" in options and (known is None or str(known[1]) != options["if_seq_no"]):
            raise Refused(409, "version_conflict_engine_exception")
        if method == "GET":
            if known is None:
                raise Refused(404, "")
            source = index.shown(known[0], True)
            return {"_id": rest[0], "_seq_no": known[1], "_primary_term": 1, "found": True, "_source": source}
        if method == "DELETE":
            if known is None:
                raise Refused(404, "")
            del index.documents[rest[0]]
            return {"result": "deleted"}
        if options.get("op_type") == "create" and known is not None:
            raise Refused(409, "version_conflict_engine_exception")
        return {"_seq_no": index.put(rest[0], json.loads(body)), "_primary_term": 1}

    def _bulk(self, index: DoubleIndex, name: str, method: str, rest: Any, options: Any, body: bytes) -> Any:
        lines, items = iter(body.decode().splitlines()), []
        for line in lines:
            [(action, where)] = json.loads(line).items()
            source, status, error = json.loads(next(lines)), 200, None
            try:
                if action == "update":
                    source = {**index.documents[where["_id"]][0], **source["doc"]}
                index.put(where["_id"], source)
            except Refused as refused:
                status, error = refused.status, {"type": refused.kind, "reason": refused.reason}
            items.append(
                {action: {"_id": where["_id"], "status": status, **({"error": error} if error else {})}}
            )
        return {"errors": any("error" in next(iter(one.values())) for one in items), "items": items}

    def _search(
        self, index: DoubleIndex, name: str, method: str, rest: Any, options: Any, body: bytes
    ) -> Any:
        return index.search(json.loads(body))

    def _count(self, index: DoubleIndex, name: str, method: str, rest: Any, options: Any, body: bytes) -> Any:
        return {"count": len(index._matching(json.loads(body)["query"]))}

    def _msearch(
        self, index: DoubleIndex, name: str, method: str, rest: Any, options: Any, body: bytes
    ) -> Any:
        answers = []
        for line in body.decode().splitlines()[1::2]:
            try:
                answers.append(index.search(json.loads(line)))
            except Refused as refused:
                answers.append({"error": {"type": refused.kind}, "status": refused.status})
        return {"responses": answers}

    def _delete_by_query(
        self, index: DoubleIndex, name: str, method: str, rest: Any, options: Any, body: bytes
    ) -> Any:
        assert options["refresh"] == "true"
        for found, _ in index._matching(json.loads(body)["query"]):
            index.documents.pop(found, None)
        index.refresh()
        return {"failures": []}

    def _refresh(self, index: DoubleIndex, *_: Any) -> Any:
        index.refresh()
        return {}

    def _termvectors(
        self, index: DoubleIndex, name: str, method: str, rest: Any, options: Any, body: bytes
    ) -> Any:
        asked = json.loads(body)
        assert asked["term_statistics"] is True
        [(field, text)] = asked["doc"].items()
        terms = {term: {"term_freq": 1} for term in set(text.split())}
        for term, values in terms.items():
            if frequency := index.frequency(field, term) if index.tokens else 0:
                values["doc_freq"] = frequency
        return {"found": True, "term_vectors": {field: {"terms": terms}}}


@contextmanager
def serving(double: Double) -> Iterator[str]:
    """The double on a free port; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            where = urlsplit(self.path)
            options = {key: values[-1] for key, values in parse_qs(where.query).items()}
            try:
                with double.lock:
                    status, answer = 200, double.answer(self.command, where.path, options, body)
            except Refused as refused:
                status = refused.status
                error = {"type": refused.kind, "reason": refused.reason}
                answer = {"error": error, "status": status} if refused.kind else {"found": False}
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
