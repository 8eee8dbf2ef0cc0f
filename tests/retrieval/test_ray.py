"""Indexing over a Ray cluster of two nodes: what comes out is what comes out here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codeweft import __version__
from codeweft.errors import NotReady
from codeweft.retrieval import update
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.over_ray import GROUP, Content, read_group
from codeweft.retrieval.workers import Reader
from codeweft.types import Query

from .conftest import WordEncoder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Two nodes of one core each on this machine; the address of the cluster."""
    ray = pytest.importorskip("ray", reason="ray is not installed (the extra `ray`)")
    from ray.cluster_utils import Cluster

    here = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    os.environ["PYTHONPATH"] = f"{here}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    try:
        made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        made.add_node(**node)
        made.wait_for_nodes()
    except Exception as error:
        # A node has thirty seconds to start, whatever else the machine is doing.
        pytest.skip(f"a Ray cluster of two nodes does not start here: {str(error)[:200]}")
    yield made.address
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """More files than one task takes, one of them not text."""
    root = tmp_path / "many"
    for number in range(2 * GROUP + 7):
        (root / f"part{number % 7}").mkdir(parents=True, exist_ok=True)
        text = f'def handler_{number}(event):\n    """Handle event number {number} of the queue."""\n    return {number}\n'
        (root / f"part{number % 7}" / f"handler_{number}.py").write_text(text)
    (root / "part0" / "picture.py").write_bytes(b"\0\1\2" * 400)
    return root


def test_an_index_made_over_ray_equals_one_made_here(
    cluster: str, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setattr(update, "MANY_FILES", 2 * GROUP)
    here = Indexes(tmp_path / "here", WordEncoder(), workers=0).add(str(many), "many")
    there = Indexes(tmp_path / "there", WordEncoder(), workers=0, ray=cluster).add(str(many), "many")
    assert here.update().chunks == there.update().chunks > 2 * GROUP
    assert ray.is_initialized() and len({node["NodeID"] for node in ray.nodes() if node["Alive"]}) == 2
    for file in here.files():
        other = there.store.file(file.path)
        assert other is not None
        assert (other.status, other.reason, other.digest) == (file.status, file.reason, file.digest)
        ours, theirs = here.store.chunks(file.path), there.store.chunks(file.path)
        assert [row._replace(id=0, file=0) for row in ours] == [row._replace(id=0, file=0) for row in theirs]
        np.testing.assert_array_equal(
            here.store.vectors([row.id for row in ours]), there.store.vectors([row.id for row in theirs])
        )
    query = Query("handle event number 99")
    assert [one.chunk for one in there.search(query)] == [one.chunk for one in here.search(query)]


def test_both_nodes_read(cluster: str, many: Path) -> None:
    import ray

    if not ray.is_initialized():
        ray.init(address=cluster, log_to_driver=False)

    @ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
    def read(contents: list[Content]) -> tuple[str, int]:
        found = read_group(contents, Reader(Path("/"), None, WordEncoder()), __version__)
        return ray.get_runtime_context().get_node_id(), sum(len(one.chunks) for one in found)

    contents = [Content(f"a/{n}.py", b"def f():\n    return 1\n", b"") for n in range(3)]
    answers = ray.get([read.remote(contents) for _ in range(8)])
    assert {chunks for _, chunks in answers} == {3} and len({node for node, _ in answers}) == 2


def test_a_cluster_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed (the extra `ray`)")
    from codeweft.retrieval.over_ray import read_over_ray

    def refuse(**_: object) -> None:
        raise ConnectionError("no cluster")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(NotReady, match="cannot be reached"):
        next(read_over_ray("10.0.0.1:6379", Reader(tmp_path, None), [("a", b"")]))


def test_a_group_is_read_as_here_and_a_file_that_did_not_change_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.py").write_text("def f():\n    return 1\n")
    reader = Reader(tmp_path / "nowhere", None, WordEncoder())
    [expected] = replace(reader, root=tmp_path).prepared([("a/b.py", b"")])
    data = (tmp_path / "a" / "b.py").read_bytes()
    [again] = read_group([Content("a/b.py", data, b"")], reader, __version__)
    assert replace(again, vectors=None) == replace(expected, vectors=None)
    np.testing.assert_array_equal(again.vectors, expected.vectors)
    [same] = read_group([Content("a/b.py", data, expected.digest)], reader, __version__)
    assert same.status == "unchanged" and same.chunks == ()
    with pytest.raises(NotReady, match="same version"):
        read_group([], reader, "0.0.0")
