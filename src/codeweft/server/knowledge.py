"""Indexes over HTTP: adding, following, reading, deleting."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, File, Query, UploadFile
from pydantic import Field

from codeweft.errors import InvalidRequest
from codeweft.retrieval.index import Index
from codeweft.runtime.compose import Runtime
from codeweft.server.deps import NO_CONTENT, Admin, Readable
from codeweft.server.emit import clean
from codeweft.server.settings import check_variables
from codeweft.server.uploads import delete_index, every, read_uploads, upload_path
from codeweft.server.views import (
    Body,
    FilesView,
    FileView,
    IndexView,
    Name,
    NewIndexBody,
    SecretView,
    SourceView,
    View,
)
from codeweft.types import Chunk


class IndexPatch(Body):
    refresh_minutes: float | None = Field(
        ge=0, le=100_000, description="How often the source is looked at; 0 never, null as the settings say."
    )


class ChunkView(View):
    start_line: int
    end_line: int
    kind: str
    name: str
    signature: str
    summary: str
    text: str

    @classmethod
    def of(cls, chunk: Chunk) -> ChunkView:
        return cls(
            start_line=chunk.start_line,
            end_line=chunk.end_line,
            kind=chunk.kind,
            name=clean(chunk.qualified_name),
            signature=clean(chunk.signature),
            summary=clean(chunk.summary),
            text=clean(chunk.text),
        )


def view(runtime: Runtime, index: Index) -> IndexView:
    following = runtime.updates.following(index)
    return IndexView.of(index, runtime.jobs.of(index.name), runtime.settings.index.default, following)


def knowledge_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["indexes"])

    @routes.get("/indexes")
    def list_indexes(indexes: Readable) -> list[IndexView]:
        """The indexes that you may read."""
        return [view(runtime, index) for index in every(indexes)]

    @routes.post("/indexes", status_code=202)
    def add_index(body: NewIndexBody, indexes: Readable) -> IndexView:
        """Index a folder, a git repository, an archive or web pages, in the background."""
        token = body.token.get_secret_value() if body.token else None
        check_variables(runtime.settings, [body.source, token])
        index = indexes.add(body.source, body.name, token=token, web=body.web)
        if body.refresh_minutes is not None:
            index.set_refresh(body.refresh_minutes)
        runtime.updates.start(index)
        return view(runtime, index)

    @routes.get("/indexes/{name}")
    def get_index(name: Name, indexes: Readable) -> IndexView:
        return view(runtime, indexes.get(name))

    @routes.patch("/indexes/{name}")
    def change_index(name: Name, body: IndexPatch, indexes: Readable) -> IndexView:
        """Change how often the source is looked at."""
        index = indexes.get(name)
        index.set_refresh(body.refresh_minutes)
        return view(runtime, index)

    @routes.delete("/indexes/{name}", **NO_CONTENT)
    def remove_index(name: Name, indexes: Readable) -> None:
        """Delete the index; its source is left alone, uploaded files are deleted."""
        delete_index(runtime, indexes, name)

    @routes.post("/indexes/{name}/update", status_code=202)
    def update_index(name: Name, indexes: Readable) -> IndexView:
        """Look for changes in the source, in the background."""
        index = indexes.get(name)
        runtime.updates.start(index)
        return view(runtime, index)

    @routes.post("/indexes/{name}/files", status_code=202)
    async def upload_files(
        name: Name, files: Annotated[list[UploadFile], File()], indexes: Readable
    ) -> IndexView:
        """Put files into an index of uploads, which is made when missing; archives are unpacked."""
        uploads = await read_uploads(files)

        def put() -> IndexView:
            index = indexes.uploads(name)
            for path, data in uploads.items():
                index.put(path, data)
            runtime.updates.start(index)
            return view(runtime, index)

        return await asyncio.to_thread(put)

    @routes.get("/indexes/{name}/files")
    def list_files(
        name: Name,
        indexes: Readable,
        q: Annotated[str, Query(max_length=1000, description="Part of a path.")] = "",
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> FilesView:
        found = [file for file in indexes.get(name).files() if q.lower() in file.path.lower()]
        return FilesView(
            total=len(found), files=[FileView.of(file) for file in found[offset : offset + limit]]
        )

    @routes.delete("/indexes/{name}/files", **NO_CONTENT)
    def remove_file(
        name: Name,
        indexes: Readable,
        path: Annotated[str | None, Query(min_length=1)] = None,
        everything: Annotated[bool, Query(description="Delete all uploaded files instead of one.")] = False,
    ) -> None:
        """Delete an uploaded file, or all that an uploaded archive or folder of that name holds."""
        if (path is None) != everything:
            raise InvalidRequest("Give either `path` or `everything=true`.", param="path")
        index = indexes.get(name)
        if path is not None:
            index.remove_file(upload_path(path))
        else:
            for top in sorted({PurePosixPath(file.path).parts[0] for file in index.files()}):
                index.remove_file(top)
        runtime.updates.start(index)

    @routes.get("/indexes/{name}/chunks")
    def list_chunks(
        name: Name, path: Annotated[str, Query(min_length=1)], indexes: Readable
    ) -> list[ChunkView]:
        """The chunks of an indexed file in order, with their summaries."""
        return [ChunkView.of(chunk) for chunk in indexes.get(name).chunks(path)]

    @routes.get("/indexes/{name}/secrets")
    def list_secrets(name: Name, indexes: Readable, _: Admin) -> list[SecretView]:
        """What was taken out of the files before anything was stored. For administrators."""
        found = indexes.get(name).secrets()
        return [SecretView(path=clean(path), line=one.line, rule=one.rule) for path, one in found]

    @routes.get("/indexes/{name}/source")
    def read_source(
        name: Name,
        indexes: Readable,
        path: Annotated[str, Query(min_length=1)],
        start: Annotated[int, Query(ge=1)] = 1,
        end: Annotated[int, Query(ge=1)] = 200,
    ) -> SourceView:
        """Lines of an indexed file; both ends are included."""
        if end < start:
            raise InvalidRequest(f"`end` ({end}) is before `start` ({start}).", param="end")
        index = indexes.get(name)
        text = index.lines(path, start, end)
        file = next(file for file in index.files() if file.path == path)
        status = index.status()
        return SourceView(
            path=clean(path),
            language=file.language,
            start_line=min(start, file.lines),
            end_line=min(end, file.lines),
            total_lines=file.lines,
            text=clean(text),
            repository=clean(status.repository),
            commit=status.commit,
        )

    return routes
