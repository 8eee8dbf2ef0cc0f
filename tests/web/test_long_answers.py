"""A long answer: what is out of view costs nothing, keeps its height, and clips nothing of what opens in it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from .conftest import Open, Stub
from .test_chat import ask, finished
from .test_chat_extras import CODE_MENU

# Whether each part's content is drawn: out of view it is not.
DRAWN = """() => [...document.querySelectorAll('.part')].map(
    (part) => part.firstElementChild.checkVisibility({ contentVisibilityAuto: true }))"""
HEIGHT = "document.querySelector('[role=log]').offsetHeight"
SOME = "[...document.querySelectorAll('.part')].filter((_, at) => at % 9 === 0)"
# Each of them as high as it is when it is in view.
SHOWN = """async () => {
    const heights = []
    const frame = () => new Promise(requestAnimationFrame)
    for (const part of PARTS) {
        part.scrollIntoView()
        await frame()
        await frame()
        heights.push(part.offsetHeight)
    }
    return heights
}""".replace("PARTS", SOME)


def still(page: Page) -> None:
    """All parts of the last answer were drawn and are contained."""
    expect(page.locator(".part:not(.still)")).to_have_count(0)


def test_parts_out_of_view_are_not_drawn_and_keep_their_height(stub: Stub, open_page: Open) -> None:
    page = open_page(stub(pace=0))
    ask(page, "guide")
    finished(page)
    for _ in ("as it was written", "as it is read again"):
        still(page)
        page.evaluate("document.querySelector('[role=log]').parentElement.scrollTop = 1e9")
        page.wait_for_function(f"({DRAWN})().at(-1)")
        page.wait_for_function(f"!({DRAWN})()[0]")
        assert sum(page.evaluate(DRAWN)) < 10 < len(page.evaluate(DRAWN))
        height = page.evaluate(HEIGHT)
        kept = page.evaluate(f"{SOME}.map((part) => part.offsetHeight)")
        assert page.evaluate(SHOWN) == kept
        assert page.evaluate(HEIGHT) == height
        page.reload()
        finished(page)


def test_while_it_is_written_only_the_part_that_grows_changes(stub: Stub, open_page: Open) -> None:
    page = open_page(stub(pace=4))
    ask(page, "guide")
    expect(page.locator(".part").nth(3)).to_be_attached()
    expect(page.locator(".part").nth(1).locator("[class^=hljs]").first).to_be_attached()
    page.evaluate("""() => {
        window.changes = 0
        const observer = new MutationObserver((list) => { window.changes += list.length })
        for (const part of [...document.querySelectorAll('.part')].slice(0, 3))
            observer.observe(part, { childList: true, characterData: true, subtree: true })
    }""")
    expect(page.locator(".part").nth(6)).to_be_attached()
    expect(page.locator(".part.growing")).to_have_count(1)
    assert page.evaluate("window.changes") == 0


def test_a_menu_reaches_beyond_its_part(stub: Stub, open_page: Open) -> None:
    page = open_page(stub(pace=0))
    ask(page, "guide")
    finished(page)
    still(page)
    # The last block of a part: the menu below its head is longer than what is left of the part.
    block = page.locator(".part").nth(2).locator("> :last-child")
    block.get_by_role("button", name=CODE_MENU).click()
    page.get_by_role("menuitem", name="Translate to…").click()
    expect(page.get_by_role("menuitem", name="Back")).to_be_visible()
    last = page.get_by_role("menuitem").last
    last.scroll_into_view_if_needed()
    below = last.evaluate("""(item) => {
        const { left, right, top, bottom } = item.getBoundingClientRect()
        const part = item.closest('.part').getBoundingClientRect()
        const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2)
        return [bottom > part.bottom, item.contains(hit)]
    }""")
    assert below == [True, True]
