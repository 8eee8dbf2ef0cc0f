"""While a long answer is written only its end is drawn anew, once a frame, and nothing that stands moves."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import Open, Stub, violations
from .test_chat import ask, finished

WATCH = """() => {
    const seen = window.seen = { frames: [], stood: 0, shift: 0 }
    const all = { childList: true, characterData: true, attributes: true, subtree: true }
    let commits = 0
    new MutationObserver(() => { commits += 1 }).observe(document.querySelector('.prose'), all)
    const frame = () => {
        seen.frames.push(commits)
        commits = 0
        requestAnimationFrame(frame)
    }
    requestAnimationFrame(frame)
    // Everything but the last block stands, once its colours are there.
    const standing = [...document.querySelector('.prose').children].slice(0, 12)
    const watch = new MutationObserver((list) => { seen.stood += list.length })
    for (const block of standing) watch.observe(block, all)
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) seen.shift += entry.value
    }).observe({ type: 'layout-shift' })
}"""


def test_what_stands_is_left_alone_each_frame_is_drawn_once_and_nothing_shifts(
    stub: Stub, open_page: Open
) -> None:
    page = open_page(stub(pace=1.5))
    ask(page, "a guide")
    expect(page.locator(".prose > h3, .prose > h2").nth(5)).to_be_attached(timeout=60_000)
    expect(page.locator(".prose figure").nth(2).locator(".hljs-keyword").first).to_be_attached()
    page.evaluate(WATCH)
    before = page.locator(".prose figure").count()
    expect(page.locator(".prose figure").nth(before + 12)).to_be_attached(timeout=60_000)
    seen = page.evaluate("window.seen")
    assert seen["stood"] == 0
    assert sum(seen["frames"]) > 12
    assert max(seen["frames"]) <= 1
    assert seen["shift"] == 0
    page.get_by_role("button", name="Stop").click()
    finished(page)


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
