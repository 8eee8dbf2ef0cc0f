"""Reading and encoding files on a Ray cluster: the same functions as here, on other machines.

File contents travel with the work, so that the machines need no common disk; walking and writing stay here.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import codeweft
from codeweft.errors import InvalidRequest, NotReady
from codeweft.retrieval.read import ReadFile
from codeweft.retrieval.workers import Job, Reader

GROUP: Final = 64
"""Files of one task: some hundred milliseconds of work, a few megabytes on the way."""
_AHEAD: Final = 3
"""Tasks under way per core of the cluster; contents of no more files lie in memory."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file on its way to another machine; `known` is the digest it had when it was indexed, or empty."""

    path: str
    data: bytes
    known: bytes


def read_over_ray(address: str, reader: Reader, jobs: Sequence[Job]) -> Iterator[ReadFile]:
    """The files in order, as `in_parallel` gives them. Files that cannot be read here say so without travelling.

    `address` is `auto` (the cluster this machine belongs to) or names one. Raises `InvalidRequest` when Ray is not
    installed, `NotReady` when the cluster cannot be reached, fails, or runs another version of Codeweft.
    """
    ray = _connected(address)
    ahead = _AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
    # Sent once: its encoder is large.
    shared = ray.put(reader)
    task = ray.remote(max_retries=3)(read_group)
    waiting: deque[tuple[list[ReadFile | None], Any]] = deque()
    try:
        for low in range(0, len(jobs), GROUP):
            here = [_content(reader, job) for job in jobs[low : low + GROUP]]
            contents = [one for one in here if isinstance(one, Content)]
            places = [one if isinstance(one, ReadFile) else None for one in here]
            waiting.append((places, task.remote(contents, shared, codeweft.__version__)))
            if len(waiting) >= ahead:
                yield from _finished(ray, *waiting.popleft())
        while waiting:
            yield from _finished(ray, *waiting.popleft())
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, NotReady):
            raise cause from None
        raise NotReady(
            f"The Ray cluster failed ({type(error).__name__}); what it had read is kept.",
            fix="Look at its dashboard or logs, and run the update again, with or without Ray.",
        ) from error
    finally:
        for _, reference in waiting:
            ray.cancel(reference)


def read_group(contents: Sequence[Content], reader: Reader, version: str) -> list[ReadFile]:
    """Files whose contents came along, read and encoded. Raises `NotReady` when this machine has another version."""
    if version != codeweft.__version__:
        raise NotReady(
            f"A machine of the Ray cluster has Codeweft {codeweft.__version__}, this one has {version}.",
            fix="Install the same version everywhere.",
        )
    if reader.redactor is not None:
        reader.redactor.begin()
    with tempfile.TemporaryDirectory(prefix="codeweft-ray-") as folder:
        # Reading begins at a file, and what it says of a file depends on its path.
        for one in contents:
            target = Path(folder) / one.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(one.data)
        there = replace(reader, root=Path(folder))
        return there.prepared([(one.path, one.known) for one in contents])


def _content(reader: Reader, job: Job) -> Content | ReadFile:
    """A file's content; or what reading it here says when there is none to be had."""
    path, known = job
    try:
        return Content(path, (reader.root / path).read_bytes(), known)
    except OSError:
        return reader.read([job])[0]


def _finished(ray: Any, places: list[ReadFile | None], reference: Any) -> Iterator[ReadFile]:
    """A group as it comes back, with what was read here in its place."""
    read = iter(ray.get(reference))
    for here in places:
        yield here if here is not None else next(read)


def _connected(address: str) -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise InvalidRequest(
            "Indexing over Ray needs the package ray, which is not installed.",
            fix="pip install 'codeweft[ray]'",
        ) from None
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise NotReady(
                f"The Ray cluster {address} cannot be reached ({reason}).",
                fix="Start one with `ray start --head`, or name another in `index.ray`.",
            ) from error
    return ray
