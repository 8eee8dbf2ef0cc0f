"""An update may be killed at any point: nothing is lost, nothing is invented, and the next one goes on."""

from __future__ import annotations

import random
import time
from pathlib import Path

from codeweft.types import Query

from . import parts

KILLS = 60
"""Updates that are really killed before they are done."""
FILES = 90
CHANGED = 25


def test_killed_anywhere_an_index_ends_up_as_a_fresh_one(tmp_path: Path) -> None:
    code = parts.Code(tmp_path / "code", FILES, seed=7)
    folder = tmp_path / "index"
    chance = random.Random(11)
    context = parts.processes()
    kills = rounds = 0
    longest = 1.0
    before: dict[str, str] = {}
    states: set[str] = set()
    while kills < KILLS:
        rounds += 1
        assert rounds < 6 * KILLS, f"only {kills} of {rounds} updates were killed before they were done"
        now = code.now()
        mine, theirs = context.Pipe(duplex=False)
        child = context.Process(target=parts.update, args=(folder, code.root, theirs), daemon=True)
        began = time.monotonic()
        child.start()
        theirs.close()
        done = mine.poll(chance.uniform(0, longest))
        child.kill()
        child.join()
        mine.close()
        if done:
            longest = 0.7 * (time.monotonic() - began)
        else:
            kills += 1
            longest = min(longest * 1.05, 5.0)
        if (folder / "index.sqlite").exists():
            index = parts.opened(folder, code.root)
            status = index.status()
            states.add(status.state)
            held = parts.stored(index)
            assert status.indexed == len(held)
            assert status.chunks == sum(len(index.store.chunks(path)) for path in held)
            # Whole files only, and only such as there were.
            assert all(text in code.versions[path] for path, text in held.items())
            if status.state == "ready":
                assert held in (before, now), "an update that was not finished passes for one"
                before = held
            if held:
                path, text = chance.choice(sorted(held.items()))
                name = text.split("(")[0].removeprefix("def ")
                assert index.search(Query(name, k=3))[0].chunk.path == path
            index.close()
        if done or chance.random() < 0.3:
            code.change(CHANGED)

    assert {"ready", "incomplete"} <= states
    index = parts.opened(folder, code.root)
    fresh = parts.opened(tmp_path / "fresh", code.root)
    for one in (index, fresh):
        one.update(workers=0)
    # A file that goes away has the lexical index written anew: then not even BM25's statistics may differ.
    (code.root / chance.choice(sorted(code.now()))).unlink()
    status, _ = (one.update(workers=0) for one in (index, fresh))
    assert status.state == "ready" and index.stale() == []
    assert parts.stored(index) == code.now()
    assert parts.content(index) == parts.content(fresh)
    names = [text.split("(")[0].removeprefix("def ") for text in code.now().values()]
    for question in chance.sample(names, 25):
        best, found, words, vectors = parts.evidence(index, question)
        best_of_fresh, of_fresh, *scores_of_fresh = parts.evidence(fresh, question)
        assert best == best_of_fresh and [words, vectors] == scores_of_fresh
        both = found.keys() & of_fresh.keys()
        assert len(both) > 100 and {one: found[one] for one in both} == {one: of_fresh[one] for one in both}
    for terms in (["request", "total"], ["handle"], ["count"]):
        held_ids = index.store.holding(terms, 100_000, Query("x").filters)
        fresh_ids = fresh.store.holding(terms, 100_000, Query("x").filters)
        assert len(held_ids) == len(set(held_ids)) == len(fresh_ids) > 0
