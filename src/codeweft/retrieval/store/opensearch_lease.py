"""Being the one updater of an OpenSearch index: a document that says who, renewed while they live."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psutil

from codeweft.errors import Conflict, StorageFailed
from codeweft.retrieval.store.opensearch_cluster import Cluster
from codeweft.retrieval.store.opensearch_queries import LEASE, Json
from codeweft.retrieval.store.process import process_id, process_name

LEASE_SECONDS: Final = 15.0
"""How long a dead updater on another machine keeps the others out."""


class Lease:
    """The lease on one index. Clocks of the machines that update may differ by a few seconds at most."""

    def __init__(self, cluster: Cluster, index: str) -> None:
        self._cluster = cluster
        self._index = index
        self._until = 0.0

    def holder(self) -> int | None:
        """The updating process: its id, -1 for one on another machine, None when nobody updates."""
        return _holder(self._read()[0])

    def check(self) -> None:
        """Raises `Conflict` when the lease that was taken has run out: somebody else may have it by now."""
        if self._until and time.monotonic() > self._until:
            raise Conflict(
                "The lease on the index ran out before it could be renewed.",
                fix="Run the update again; it goes on where it stopped.",
            )

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold the lease on the index `name`. Raises `Conflict` naming the process that holds it."""
        owner = uuid.uuid4().hex
        self._take(name, owner)
        stop = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(owner, stop), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            stop.set()
            keeper.join()
            self._until = 0.0
            self._give_back(owner)

    def _read(self) -> tuple[dict[str, Any], Json | None]:
        found = self._cluster.document(self._index, LEASE)
        return (json.loads(found["_source"]["stored"]) if found else {}), found

    def _take(self, name: str, owner: str) -> None:
        lease, found = self._read()
        holder = _holder(lease)
        if holder is None:
            try:
                self._put(owner, found)
                return
            except Conflict:
                holder = self.holder() or -1
        raise Conflict(
            f"The index {name} is being updated by process {holder if holder > 0 else 'on another machine'}.",
            fix="Wait until it is done; what it has finished can be searched already.",
            details={"pid": holder},
        )

    def _put(self, owner: str, replacing: Json | None) -> None:
        until = time.monotonic() + LEASE_SECONDS
        lease = {"owner": owner, "process": process_name(), "expires": time.time() + LEASE_SECONDS}
        self._cluster.put(self._index, LEASE, {"type": LEASE, "stored": json.dumps(lease)}, replacing)
        self._until = until

    def _keep(self, owner: str, stop: threading.Event) -> None:
        while not stop.wait(LEASE_SECONDS / 3):
            try:
                lease, found = self._read()
                if lease.get("owner") == owner:
                    self._put(owner, found)
            except (Conflict, StorageFailed):
                # The next turn tries again; when the lease has run out by then, `check` stops the writing.
                continue

    def _give_back(self, owner: str) -> None:
        try:
            lease, found = self._read()
            if found is not None and lease["owner"] == owner:
                self._cluster.remove(self._index, LEASE, found)
        except (Conflict, StorageFailed):
            # It runs out by itself, and it is gone with an index that was deleted.
            return


def _holder(lease: dict[str, Any]) -> int | None:
    if lease.get("expires", 0.0) < time.time():
        return None
    pid = process_id(lease["process"])
    gone = pid > 0 and pid != os.getpid() and not psutil.pid_exists(pid)
    return None if gone else pid
