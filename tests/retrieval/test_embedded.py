"""The embedded store: what is derived follows the truth, filters are exact, what is remembered is never stale."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import parse_source
from codeweft.retrieval.store.embedded import EmbeddedStore
from codeweft.retrieval.store.lexical import LexicalIndex
from codeweft.retrieval.store.vectors import CANDIDATES, Added, VectorTable, quantise
from codeweft.types import Filters, Query

from .conftest import WordEncoder


@pytest.fixture
def many(tmp_path: Path, encoder: WordEncoder) -> Index:
    """Sixty files in six folders, each with a function and a class."""
    root = tmp_path / "many"
    for n in range(60):
        folder = root / f"part{n % 6}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"m{n}.py").write_text(
            f"def harvest_{n}(field):\n    return field.crop_{n}\n\n\nclass Barn{n}:\n    grain = {n}\n"
        )
    (root / "part0" / "harvest.js").write_text("export function harvest(field) {\n  return field;\n}\n")
    index = Index.create(tmp_path / "i", parse_source(str(root)), encoder)
    index.update(workers=0)
    return index


def paths(index: Index, **filters: tuple[str, ...]) -> set[str]:
    return {r.chunk.path for r in index.search(Query("harvest field", k=200, filters=Filters(**filters)))}


def test_a_filter_that_few_chunks_pass_gives_all_of_them(many: Index) -> None:
    assert paths(many, paths=("part3/m9.py",)) == {"part3/m9.py"}
    assert paths(many, languages=("javascript",)) == {"part0/harvest.js"}
    assert len(paths(many, paths=("part1/", "!part1/m1.py"))) == 9
    assert paths(many, paths=("nowhere/**",)) == paths(many, languages=("kotlin",)) == set()
    results = many.search(Query("Barn7 grain", filters=Filters(kinds=("class",), paths=("**/m7.py",))))
    assert [r.chunk.name for r in results] == ["Barn7"]
    assert results[0].why["lexical"] > 0


def test_what_passes_a_filter_follows_the_files(many: Index, tmp_path: Path) -> None:
    only = {"paths": ("part2/",)}
    assert len(paths(many, **only)) == 10
    (tmp_path / "many" / "part2" / "late.py").write_text("def harvest_late(field):\n    return field\n")
    (tmp_path / "many" / "part2" / "m2.py").unlink()
    many.update(workers=0)
    found = paths(many, **only)
    assert "part2/late.py" in found and "part2/m2.py" not in found and len(found) == 10


def test_a_lexical_index_that_is_behind_gets_only_what_it_lacks(many: Index, tmp_path: Path) -> None:
    folder = many.folder / "lexical"
    behind = {path.name: path.read_bytes() for path in folder.iterdir()}
    generation = LexicalIndex(folder).generation()
    (tmp_path / "many" / "part5" / "new.py").write_text("def thresh(corn):\n    return corn\n")
    (tmp_path / "many" / "part5" / "m5.py").unlink()
    many.update(workers=0)
    many.close()
    for path in folder.iterdir():
        path.unlink()
    for name, data in behind.items():
        (folder / name).write_bytes(data)
    store = EmbeddedStore(many.folder, WordEncoder.dimensions)
    added = list(store._tables.documents(generation))
    assert [one.name for one in added] == ["thresh"]
    again = Index(many.folder, WordEncoder())
    assert again.search(Query("thresh corn"))[0].why["lexical"] > 0
    assert not again.store.holding(["harvest", "5"], 5, Filters())
    assert again.store.holding(["harvest", "4"], 5, Filters())
    assert LexicalIndex(folder).generation() == store._tables.generation()


def test_a_batch_that_fails_leaves_the_lexical_writer_usable(many: Index) -> None:
    lexical = LexicalIndex(many.folder / "lexical")
    has = lexical.generation()

    def broken():  # type: ignore[no-untyped-def]
        raise RuntimeError("half a batch")
        yield

    with pytest.raises(RuntimeError):
        lexical.write(broken(), (), has + 1)
    lexical.write((), (), has + 2)
    lexical.finish()
    assert LexicalIndex(many.folder / "lexical").generation() == has + 2


def test_what_a_killed_commit_left_is_not_in_the_way_of_the_next(many: Index, tmp_path: Path) -> None:
    folder = many.folder / "lexical"
    meta = json.loads((folder / "meta.json").read_text())
    segments = [one["segment_id"].replace("-", "") for one in meta["segments"]]
    for segment in segments:
        for opstamp in range(meta["opstamp"] + 1, meta["opstamp"] + 60):
            (folder / f"{segment}.{opstamp}.del").write_bytes(b"half")
    (tmp_path / "many" / "part4" / "m4.py").unlink()
    many.update(workers=0)
    assert not many.store.holding(["harvest", "4"], 5, Filters())


def test_sign_bits_with_a_filter_choose_only_what_passes() -> None:
    chance = np.random.default_rng(5)
    count = 40_000
    rows = quantise(chance.standard_normal((count, 64)).astype(np.float32))
    ids = np.arange(count)
    table = VectorTable.empty(64).with_changes([], Added.of(ids, ids, np.zeros(count, np.uint8), rows))
    query = table.unit(np.array([123]))[0]
    for share in (0.5, 0.1, 0.03):
        allowed = chance.random(count) < share
        allowed[123] = True
        found, cosines = table.nearest(query, 50, allowed)
        exact = np.flatnonzero(allowed)[np.argsort(-table.similarities(query, np.flatnonzero(allowed)))][:50]
        assert allowed[found].all() and found[0] == 123 and (np.diff(cosines) <= 0).all()
        assert len(set(found.tolist()) & set(exact.tolist())) >= 40
    assert len(table.nearest(query, 2 * CANDIDATES)[0]) == 2 * CANDIDATES


def test_rows_that_are_all_alike_are_no_trap() -> None:
    count = 20_000
    rows = np.tile(quantise(np.ones((1, 64), np.float32)), (count, 1))
    ids = np.arange(count)
    table = VectorTable.empty(64).with_changes([], Added.of(ids, ids, np.zeros(count, np.uint8), rows))
    found, cosines = table.nearest(table.unit(np.array([0]))[0], 10)
    assert len(found) == 10 and cosines == pytest.approx(1, abs=1e-3)
