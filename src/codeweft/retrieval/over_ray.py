"""Reading and encoding files on a Ray cluster: the same functions as here, on other machines.

File contents travel with the work, so that the machines need no common disk; walking and writing stay here.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import codeweft
from codeweft.errors import InvalidRequest, NotReady
from codeweft.retrieval.read import ReadFile, encoded_text, read_file
from codeweft.retrieval.store.vectors import quantise
from codeweft.types import Encoder

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


def read_over_ray(
    address: str, root: Path, paths: Sequence[str], digests: Sequence[bytes], encoder: Encoder
) -> Iterator[ReadFile]:
    """Files as read, with vectors, in the order of `paths`. Files that cannot be read here are read as without Ray.

    `address` is `auto` (the cluster this machine belongs to) or names one. Raises `InvalidRequest` when Ray is not
    installed, `NotReady` when the cluster cannot be reached, fails, or runs another version of Codeweft.
    """
    ray = _connected(address)
    ahead = _AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
    shared = ray.put(encoder)
    task = ray.remote(max_retries=3)(read_group)
    pairs = list(zip(paths, digests, strict=True))
    groups = (pairs[low : low + GROUP] for low in range(0, len(pairs), GROUP))
    waiting: deque[tuple[list[ReadFile | None], Any]] = deque()
    try:
        for group in groups:
            # What cannot be read here keeps its place with the reason.
            here = [_unreadable(root, path, known) for path, known in group]
            contents = [
                Content(path, data, known)
                for (path, known), (data, failed) in zip(group, here, strict=True)
                if failed is None
            ]
            waiting.append(
                ([failed for _, failed in here], task.remote(contents, shared, codeweft.__version__))
            )
            if len(waiting) >= ahead:
                yield from _finished(ray, waiting.popleft())
        while waiting:
            yield from _finished(ray, waiting.popleft())
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
            ray.cancel(reference, force=False)


def read_group(contents: Sequence[Content], encoder: Encoder, version: str) -> list[ReadFile]:
    """Read and encode files whose contents came along. Raises `NotReady` when this machine has another version."""
    if version != codeweft.__version__:
        raise NotReady(
            f"A machine of the Ray cluster has Codeweft {codeweft.__version__}, this one has {version}.",
            fix="Install the same version everywhere.",
        )
    with tempfile.TemporaryDirectory(prefix="codeweft-ray-") as folder:
        root, numbers = Path(folder), count()
        read = [_read(root, next(numbers), one) for one in contents]
    texts = [encoded_text(one.path, chunk) for one in read for chunk in one.chunks]
    vectors = quantise(encoder.encode(texts)) if texts else None
    done, at = [], 0
    for one in read:
        size = len(one.chunks)
        done.append(one if vectors is None else replace(one, vectors=vectors[at : at + size]))
        at += size
    return done


def _read(root: Path, number: int, content: Content) -> ReadFile:
    """Through a file of its own, because reading begins at a file; no two share a folder."""
    target = root / str(number) / content.path
    target.parent.mkdir(parents=True)
    target.write_bytes(content.data)
    return read_file(root / str(number), content.path, content.known)


def _unreadable(root: Path, path: str, known: bytes) -> tuple[bytes, ReadFile | None]:
    """The content of a file; or what reading it here says when there is none to be had."""
    try:
        return (root / path).read_bytes(), None
    except OSError:
        return b"", read_file(root, path, known)


def _finished(ray: Any, work: tuple[list[ReadFile | None], Any]) -> Iterator[ReadFile]:
    places, reference = work
    read = iter(ray.get(reference))
    for failed in places:
        yield failed if failed is not None else next(read)


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
