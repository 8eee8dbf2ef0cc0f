"""OPEA's protocol: code generation, retrieval, data preparation, and Codeweft's search beside them."""

from __future__ import annotations

import asyncio
import json as stdjson
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import Route

from codeweft import __version__
from codeweft.errors import InvalidRequest, NotFound
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.index import Index
from codeweft.retrieval.record import explanation_record, record
from codeweft.server import fields, lookup, wire
from codeweft.server.emit import clean, dumps
from codeweft.server.openai import answer_chat, json
from codeweft.server.service import Service, caller, check_best_of
from codeweft.server.uploads import delete_index, every, read_uploads, upload_path
from codeweft.types import Query

CODEGEN = "codegen"
TRANSLATE = "translate"
DEFAULT_INDEX = "default"
ALL = "all"
MAX_FILES = 1000
_PREPARED = {"status": 200, "message": "Data preparation succeeded"}
_STRATEGIES = ("fast", "hq", "llm")


class GetBody(msgspec.Struct):
    index_name: str | None = None


class DeleteBody(msgspec.Struct):
    file_path: str
    index_name: str | None = None


class Opea:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._runtime = service.runtime

    def routes(self) -> list[Route]:
        return [
            Route("/v1/codegen", self.codegen, methods=["POST"]),
            Route("/v1/codetrans", self.codetrans, methods=["POST"]),
            Route("/v1/search", self.search, methods=["POST"]),
            Route("/v1/retrieval", self.retrieval, methods=["POST"]),
            Route("/v1/dataprep/ingest", self.ingest, methods=["POST"]),
            Route("/v1/dataprep/get", self.get, methods=["POST"]),
            Route("/v1/dataprep/delete", self.delete, methods=["POST"]),
            Route("/v1/dataprep/indices", self.indices, methods=["POST", "GET"]),
            Route("/v1/health_check", self.health_check, methods=["GET"]),
            Route("/v1/statistics", self.statistics, methods=["GET"]),
        ]

    def _indexes(self, http: HTTPRequest) -> Indexes:
        """What whoever asks may read."""
        return self._runtime.readable(caller(http))

    # ── generation and search ────────────────────────────────────────────────────────────────────────────────

    async def codegen(self, http: HTTPRequest) -> Response:
        body = wire.decode(await http.body(), wire.CodegenBody, fields.CODEGEN)
        check_best_of(body.best_of, body.n)
        turns = body.messages
        if isinstance(turns, str):
            turns = [wire.MessageBody(role="user", content=turns)]
        if body.stream is None:
            body.stream = True
        if body.index is None and body.index_name is None and not lookup.flag(body.agents_flag):
            # As at OPEA: without an index the model answers by itself.
            body.index = ""
        return await answer_chat(self._service, http, body, turns, self._service.model(body.model or CODEGEN))

    async def codetrans(self, http: HTTPRequest) -> Response:
        """OPEA's code translation: the app `translate`, whose answers are checked. `model` is the model that writes."""
        body = wire.decode(await http.body(), wire.CodetransBody, fields.CODETRANS, narrow=True)
        if body.stream is None:
            body.stream = True
        if not body.source_code.strip():
            raise InvalidRequest("`source_code` is empty.", param="source_code")
        given = {
            "code": body.source_code,
            "language_from": body.language_from,
            "language_to": body.language_to,
            "tests": body.tests or "",
            # What OPEA's clients read is code; whether it stood the check comes beside it.
            "label": "no",
        }
        body.inputs = {name: value for name, value in given.items() if value.strip()}
        app = f"{TRANSLATE}@{body.model}" if body.model else TRANSLATE
        return await answer_chat(self._service, http, body, [], self._service.model(app))

    async def search(self, http: HTTPRequest) -> Response:
        """Codeweft's own search; `explain` adds why each result is there and how the search went."""
        body = wire.decode(await http.body(), lookup.SearchBody, fields.SEARCH)
        wire.check_ranges(body)
        query = Query(
            body.query,
            lookup.index_of(body) or None,
            body.k or 10,
            lookup.filters(body),
            lookup.selection(body),
        )
        if not body.explain:
            results = await asyncio.to_thread(self._indexes(http).search, query)
            return json(dumps({"results": [record(result) for result in results]}))
        found = await asyncio.to_thread(self._indexes(http).explained, query)
        told = [record(result, why=True) for result in found.results]
        return json(dumps({"results": told, "explanation": explanation_record(found.explanation)}))

    async def retrieval(self, http: HTTPRequest) -> Response:
        """OPEA's retriever: chunks for a question, in the shape of the request that asked."""
        raw = await http.body()
        body = wire.decode(raw, lookup.RetrievalBody, fields.OPEA_RETRIEVAL)
        wire.check_ranges(body)
        results = await asyncio.to_thread(self._indexes(http).search, query := lookup.query(body))
        texts = [clean(result.chunk.text) for result in results]
        metadata = [record(result) for result in results]
        documents = [{"text": text, "metadata": one} for text, one in zip(texts, metadata, strict=True)]
        if body.text is not None:
            docs = [{"id": secrets.token_hex(16), "text": text} for text in texts]
            answer = {
                "id": secrets.token_hex(16),
                "retrieved_docs": docs,
                "initial_query": query.text,
                "top_n": 1,
                "metadata": metadata,
            }
        elif body.messages is not None:
            answer = {**wire.as_sent(raw), "retrieved_docs": documents, "documents": texts}
        else:
            answer = {"retrieved_docs": documents}
        return json(dumps(answer))

    # ── data preparation ─────────────────────────────────────────────────────────────────────────────────────

    async def ingest(self, http: HTTPRequest) -> Response:
        """Put files or pages into an index of uploads; answered when they can be searched."""
        # What fetches pages takes a while to load, and most servers index no pages.
        from codeweft.retrieval.sources.fetch import fetch
        from codeweft.retrieval.sources.guard import Guard

        guard = Guard(self._runtime.settings.index.private_hosts)
        async with self._form(http) as form:
            name = _text(form, "index_name") or DEFAULT_INDEX
            if name == ALL:
                raise InvalidRequest(
                    "The index name `all` is reserved.", fix="Choose another name.", param="index_name"
                )
            _check_options(form)
            files = await read_uploads(_files(form))
            for url in _links(form):
                text, path = await fetch(url, guard)
                if path in files:
                    raise InvalidRequest(f"{url} is there twice.", param="link_list")
                files[path] = text.encode()
        if not files:
            raise InvalidRequest(
                "There is nothing to ingest.", fix="Send `files` or `link_list`.", param="files"
            )
        await self._put(self._indexes(http), name, files)
        return json(dumps(_PREPARED))

    async def _put(self, indexes: Indexes, name: str, files: dict[str, bytes]) -> None:
        def put() -> tuple[Index, dict[str, tuple[str, ...]]]:
            index = indexes.uploads(name)
            there = [file.path for file in index.files()]
            for path in files:
                if index.held(path, there):
                    raise InvalidRequest(
                        f"The index {name!r} holds {path!r} already.",
                        fix="Delete it first, or give the file another name.",
                        param="files",
                    )
            return index, {path: index.put(path, data) for path, data in files.items()}

        index, written = await asyncio.to_thread(put)
        job = await self._updated(index)
        if job.error is not None:
            raise job.error
        status = await asyncio.to_thread(index.status)
        reasons = dict((*status.failed, *status.skipped))
        # Of an archive some files may be left out, as of a folder.
        refused = {
            path: next((reasons[one] for one in paths if one in reasons), "nothing in it can be read")
            for path, paths in written.items()
            if all(one in reasons for one in paths)
        }
        if refused:
            for path in refused:
                if index.held(path, [file.path for file in await asyncio.to_thread(index.files)]):
                    await asyncio.to_thread(index.remove_file, path)
            await self._updated(index)
            listed = "; ".join(f"{path}: {why}" for path, why in list(refused.items())[:10])
            raise InvalidRequest(
                f"{len(refused)} of {len(files)} files could not be read ({listed}).",
                fix="The others are searchable. Send these as text.",
                param="files",
            )

    async def _updated(self, index: Index) -> Any:
        job = self._runtime.updates.start(index)
        return await asyncio.wrap_future(self._runtime.jobs.future(job.id))

    async def get(self, http: HTTPRequest) -> Response:
        """The files of an index, or of all."""
        body = await _fields(http, GetBody)
        name = body.index_name or DEFAULT_INDEX
        indexes = self._indexes(http)

        def read() -> list[dict[str, str]]:
            if name != ALL and name not in indexes.names():
                if body.index_name is None:
                    return []
                indexes.get(name)
            names = indexes.names() if name == ALL else [name]
            return [_entry(file.path, one) for one in names for file in indexes.get(one).files()]

        return json(dumps(await asyncio.to_thread(read)))

    async def delete(self, http: HTTPRequest) -> Response:
        """Delete a file, all files of an index, or (`all` in both) every index of uploads."""
        body = await _fields(http, DeleteBody)
        name = body.index_name or DEFAULT_INDEX
        if body.file_path == ALL:
            await asyncio.to_thread(self._delete_all, self._indexes(http), name)
        elif name == ALL:
            raise InvalidRequest(
                "One file is deleted from one index.", fix="Name the index.", param="index_name"
            )
        else:
            index = await asyncio.to_thread(self._indexes(http).get, name)
            path = upload_path(body.file_path)
            if not index.held(path, [file.path for file in await asyncio.to_thread(index.files)]):
                raise NotFound(
                    f"The index {name!r} holds no file {path!r}.",
                    fix="`/v1/dataprep/get` lists the files.",
                    param="file_path",
                )
            await asyncio.to_thread(index.remove_file, path)
            job = await self._updated(index)
            if job.error is not None:
                raise job.error
        return json(dumps({"status": True}))

    def _delete_all(self, indexes: Indexes, name: str) -> None:
        if name != ALL:
            delete_index(self._runtime, indexes, name)
            return
        # Folders and repositories were not put here by this protocol, so its "all" does not mean them.
        for index in every(indexes):
            if index.source.kind == "uploads":
                delete_index(self._runtime, indexes, index.name)

    async def indices(self, http: HTTPRequest) -> Response:
        return json(dumps(await asyncio.to_thread(self._indexes(http).names)))

    async def health_check(self, http: HTTPRequest) -> Response:
        description = "Writes code that knows your code"
        return json(
            dumps({"Service Title": "codeweft", "Version": __version__, "Service Description": description})
        )

    async def statistics(self, http: HTTPRequest) -> Response:
        return json(dumps(self._service.metrics.megaservice.statistics()))

    @asynccontextmanager
    async def _form(self, http: HTTPRequest) -> AsyncIterator[FormData]:
        kind = http.headers.get("content-type", "")
        if not kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
            raise InvalidRequest(
                "The body must be a form (multipart/form-data).",
                fix="Send `files` or `link_list` as form fields.",
            )
        async with http.form(max_files=MAX_FILES, max_fields=MAX_FILES, max_part_size=1_000_000) as form:
            yield form


def _entry(path: str, index: str) -> dict[str, str]:
    return {"name": path, "id": path, "type": "File", "parent": "", "index_name": index}


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    if isinstance(value, UploadFile):
        raise InvalidRequest(f"`{name}` must be text, not a file.", param=name)
    return value.strip() if value else None


def _files(form: FormData) -> list[Any]:
    found = [value for value in form.getlist("files") if isinstance(value, UploadFile)]
    if len(found) != len(form.getlist("files")):
        raise InvalidRequest("`files` must be files.", fix="Send each with a file name.", param="files")
    return found


def _links(form: FormData) -> list[str]:
    text = _text(form, "link_list")
    if text is None:
        return []
    try:
        given = stdjson.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, list) or not all(isinstance(url, str) for url in given):
        raise InvalidRequest(
            "`link_list` must be a JSON list of addresses.",
            fix='For example ["https://example.com/page"].',
            param="link_list",
        )
    if len(given) > 100:
        raise InvalidRequest(
            f"`link_list` holds {len(given)} addresses; at most 100 at once.", param="link_list"
        )
    return given


def _check_options(form: FormData) -> None:
    """OPEA's options of splitting are checked but change nothing: code is cut at its functions, not by length."""
    for name, low in (("chunk_size", 1), ("chunk_overlap", 0)):
        value = _text(form, name)
        if value is not None and (not value.isdecimal() or int(value[:10]) < low):
            raise InvalidRequest(f"`{name}` must be a whole number of at least {low}.", param=name)
    table = _text(form, "process_table")
    if table is not None and table.lower() not in ("true", "false", "1", "0"):
        raise InvalidRequest("`process_table` must be true or false.", param="process_table")
    strategy = _text(form, "table_strategy")
    if strategy is not None and strategy not in _STRATEGIES:
        raise InvalidRequest(
            f"`table_strategy` must be one of {', '.join(_STRATEGIES)}.", param="table_strategy"
        )


async def _fields(http: HTTPRequest, kind: type[Any]) -> Any:
    """The fields of a JSON or form body; an empty body has none."""
    if http.headers.get("content-type", "").startswith(
        ("multipart/form-data", "application/x-www-form-urlencoded")
    ):
        async with http.form() as form:
            given = {name: value for name, value in form.items() if isinstance(value, str)}
        body = dumps(given)
    else:
        body = await http.body() or b"{}"
    return wire.decode_plain(body, kind)
