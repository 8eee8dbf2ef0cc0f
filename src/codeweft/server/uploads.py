"""Indexes that people upload files into, and deleting any: what the page and OPEA's clients do alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from contextlib import suppress
from pathlib import PurePosixPath

from starlette.datastructures import UploadFile

from codeweft.errors import InvalidRequest, NotFound
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.index import Index
from codeweft.runtime.compose import Runtime

DELETE_SECONDS = 10
"""How long deleting waits for a cancelled update to notice; one batch of files takes well under a second."""


def every(indexes: Indexes) -> Iterator[Index]:
    """All of these indexes; one that another process deletes meanwhile is passed over."""
    for name in indexes.names():
        with suppress(NotFound):
            yield indexes.get(name)


def delete_index(runtime: Runtime, indexes: Indexes, name: str) -> None:
    """End what works on an index, then delete it. Raises `NotFound`."""
    jobs = (*runtime.summaries.stop(indexes.get(name)), *runtime.jobs.cancel_all(name))
    wait([runtime.jobs.future(job.id) for job in jobs], DELETE_SECONDS)
    indexes.delete(name)


async def read_uploads(files: Sequence[UploadFile]) -> dict[str, bytes]:
    """The uploaded files by path. Raises `InvalidRequest` for a path that leads out of the index."""
    found: dict[str, bytes] = {}
    for file in files:
        path = upload_path(file.filename or "")
        if path in found:
            raise InvalidRequest(f"The file {path!r} is there twice.", param="files")
        found[path] = await file.read()
    return found


def upload_path(name: str) -> str:
    """A relative path inside an index, with `/`."""
    path = PurePosixPath(name.replace("\\", "/"))
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name or str(path) == ".":
        raise InvalidRequest(f"{name!r} is not a file name that an upload can have.", param="files")
    return str(path)
