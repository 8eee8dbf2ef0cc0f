"""What is told of how an answer was made: drafts that did not stand, and the check of its code."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import Open, Stub, violations
from .test_chat import ask, finished


def test_a_corrected_answer_says_so_with_its_draft_and_its_check_also_after_a_reload(
    stub: Stub, open_page: Open
) -> None:
    page = open_page(stub())
    ask(page, "verify a total")
    finished(page)
    answer = page.get_by_role("article", name="Answer")
    for _ in range(2):
        expect(answer.get_by_text("Verified by pytest")).to_be_visible()
        expect(answer.locator(".prose").last).not_to_contain_text("sum(prices) + 1")
        fold = answer.get_by_role("group").filter(has_text="The first answer did not stand")
        fold.locator("summary").click()
        expect(fold).to_contain_text("return sum(prices) + 1")
        note = answer.get_by_role("group").filter(has_text="What the check said")
        note.locator("summary").click()
        expect(note).to_contain_text("The first result failed; this is its correction.")
        expect(note).to_contain_text("3 tests pass")
        page.reload()
        finished(page)
    assert violations(page) == []


def test_code_that_nothing_could_check_says_why(stub: Stub, open_page: Open) -> None:
    page = open_page(stub())
    ask(page, "I doubt it")
    finished(page)
    answer = page.get_by_role("article", name="Answer")
    expect(answer.get_by_text("Not checked", exact=True)).to_be_visible()
    note = answer.get_by_role("group").filter(has_text="What the check said")
    note.locator("summary").click()
    expect(note).to_contain_text("its language is not known")
