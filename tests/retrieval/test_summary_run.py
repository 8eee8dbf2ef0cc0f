"""Summaries of a real index: written, searched, kept over re-indexing, switched, forgotten."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from codeweft.errors import UpstreamFailed
from codeweft.models.scripted import ScriptedModel
from codeweft.retrieval import summaries
from codeweft.retrieval.bridge import Bridge
from codeweft.retrieval.index import Index
from codeweft.retrieval.summaries import Spent, Summariser
from codeweft.retrieval.summarise import TESTS, language
from codeweft.retrieval.summary_run import (
    Wanted,
    forget,
    last_run,
    make_searchable,
    missing,
    missing_of,
    outdated,
    run,
)
from codeweft.types import Done, Failed, Query, Started, TextDelta, Usage

ENGLISH, KOREAN = Wanted(language("en")), Wanted(language("ko"))
BRIDGE = Bridge()

CODE = """
def settle(rows, at):
    total = 0
    for row in rows:
        if row.at <= at and not row.void:
            total += row.amount
    return total


def purge(rows, at):
    kept = []
    for row in rows:
        if row.at > at and row.amount:
            kept.append(row)
    return kept
"""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(summaries, "LONGEST_PAUSE", 0.01)


@pytest.fixture
def index(index: Index, code: Path) -> Index:
    (code / "ledger.py").write_text(CODE)
    (code / "tests").mkdir()
    (code / "tests" / "test_ledger.py").write_text(CODE.replace("def ", "def test_"))
    index.update()
    return index


def said(*answers: str) -> ScriptedModel:
    """Answers each with a usage that a provider would report."""
    events = [[Started("m"), TextDelta(text), Done(Usage(100, 20))] for text in answers]
    return ScriptedModel("m", *events)


def write(index: Index, wanted: Wanted, *models: ScriptedModel, name: str | None = None) -> Spent:
    tasks = [task for task in missing(index, wanted)[0] if name in (None, task.name)]
    summariser = Summariser(tasks, models, wanted.language, parallel=2)
    return run(index, wanted, summariser, BRIDGE, lambda spent: None)


def names(index: Index, text: str) -> list[str]:
    return [result.chunk.name for result in index.search(Query(text, k=5))]


def test_functions_without_documentation_come_first_and_tests_are_left_out(index: Index) -> None:
    tasks, known = missing(index, Wanted(language("en"), exclude=TESTS))
    assert [task.name for task in tasks][:2] == ["settle", "purge"]
    assert all("test_" not in task.name for task in tasks)
    assert known == 0
    assert len(missing(index, Wanted(language("en"), limit=1))[0]) == 1


def test_a_summary_is_found_by_words_that_the_code_does_not_hold(index: Index) -> None:
    assert names(index, "outstanding balance of an account")[:1] != ["settle"]
    spent = write(index, ENGLISH, said("Computes the outstanding balance of an account."), name="settle")
    assert (spent.done, spent.failed) == (1, 0)
    best = index.search(Query("outstanding balance of an account", k=1))[0]
    assert best.chunk.name == "settle"
    assert best.chunk.summary == "Computes the outstanding balance of an account."
    assert index.status().summarised == 1


def test_a_summary_counts_as_much_as_documentation_in_the_code(index: Index, code: Path) -> None:
    said_of_it = "Computes the outstanding balance of an account."
    write(index, ENGLISH, said(said_of_it), name="settle")
    (code / "documented.py").write_text(
        CODE.replace("    total = 0", f'    """{said_of_it}"""\n    total = 0')
    )
    index.update()
    found = {
        (one.chunk.path, one.chunk.name): one
        for one in index.search(Query("outstanding balance account", k=9))
    }
    mine, documented = found["ledger.py", "settle"], found["documented.py", "settle"]
    assert mine.why["lexical"] == pytest.approx(documented.why["lexical"], rel=0.1)


def test_korean_summaries_answer_korean_questions_over_english_code(index: Index) -> None:
    write(index, KOREAN, said("기한이 지난 거래를 장부에서 삭제하고 남은 거래를 반환합니다."), name="purge")
    assert names(index, "장부에서 기한이 지난 거래 삭제")[0] == "purge"


def test_reading_unchanged_functions_again_costs_nothing(index: Index, code: Path) -> None:
    write(index, ENGLISH, said("Handles the money that people owe."))
    before = index.status().summarised
    (code / "ledger.py").write_text("import decimal\n" + CODE)
    index.update()
    assert missing(index, ENGLISH)[0] == []
    assert index.status().summarised == before
    (code / "ledger.py").write_text(CODE.replace("row.void", "row.cancelled"))
    index.update()
    assert [task.name for task in missing(index, ENGLISH)[0]] == ["settle"]


def test_interrupted_work_goes_on_where_it_stopped(index: Index) -> None:
    total = len(missing(index, ENGLISH)[0])
    good = [Started("m"), TextDelta("Handles the money that people owe."), Done(Usage(9, 9))]
    with pytest.raises(UpstreamFailed):
        write(index, ENGLISH, ScriptedModel("m", good, good, [Failed(UpstreamFailed("It is gone."))]))
    tasks, known = missing(index, ENGLISH)
    assert (len(tasks), known) == (total - 2, 2)
    last = last_run(index)
    assert last is not None and "It is gone." in last.error and last.spent.done == 2
    write(index, ENGLISH, said("Handles the money that people owe."))
    assert missing(index, ENGLISH)[0] == []


class Stop(BaseException):
    """As jobs end cancelled work."""


def test_what_was_paid_for_is_kept_when_a_run_is_cancelled(index: Index) -> None:
    model = ScriptedModel("m", "Handles the money that people owe.", delay=0.05)
    tasks, _ = missing(index, ENGLISH)
    began = time.monotonic()

    def report(spent: Spent) -> None:
        if spent.done:
            raise Stop

    with pytest.raises(Stop):
        run(index, ENGLISH, Summariser(tasks, [model], ENGLISH.language, parallel=1), BRIDGE, report)
    assert time.monotonic() - began < 5
    assert 0 < missing(index, ENGLISH)[1] < len(tasks)


def test_summaries_wait_for_an_update_of_the_index_and_are_not_lost(index: Index) -> None:
    write(index, Wanted(language("en"), limit=1), said("Handles the money that people owe."))
    index.store.put_summaries(
        "en", "m", {missing(index, ENGLISH)[0][0].digest: "Another one that came later."}
    )
    assert len(outdated(index)) == 1
    ticks: list[int] = []
    with index.updating():
        import threading

        threading.Thread(target=make_searchable, args=(index, lambda: ticks.append(1)), daemon=True).start()
        time.sleep(0.6)
    deadline = time.monotonic() + 10
    while outdated(index) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ticks
    assert outdated(index) == []


def test_another_language_takes_the_place_of_the_first_without_losing_it(index: Index) -> None:
    write(index, ENGLISH, said("Handles the money that people owe."))
    write(index, KOREAN, said("사람들이 빚진 돈을 처리합니다."))
    assert index.search(Query("settle", k=1))[0].chunk.summary == "사람들이 빚진 돈을 처리합니다."
    assert missing(index, ENGLISH)[0] == []


def test_forgetting_takes_summaries_out_of_the_index_and_out_of_the_store(index: Index) -> None:
    write(index, ENGLISH, said("Computes the outstanding zebra balance."))
    assert index.status().summarised
    assert forget(index, language("en")) > 0
    assert index.status().summarised == 0
    assert all(not result.chunk.summary for result in index.search(Query("settle", k=5)))
    assert missing(index, ENGLISH)[1] == 0
    assert last_run(index) is None


def test_lazy_mode_summarises_what_was_found_and_looks_at_nothing_else(index: Index) -> None:
    found = [result.chunk for result in index.search(Query("settle", k=1))]
    tasks = missing_of(index, ENGLISH, found)
    assert [task.name for task in tasks] == ["settle"]
    summariser = Summariser(tasks, [said("Computes what is owed.")], ENGLISH.language)
    run(index, ENGLISH, summariser, BRIDGE, lambda spent: None, whole=False)
    again = [result.chunk for result in index.search(Query("settle", k=1))]
    assert again[0].summary == "Computes what is owed."
    assert missing_of(index, ENGLISH, again) == []
    assert index.status().summarised == 1
