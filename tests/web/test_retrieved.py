"""What an answer rests on: the drawer that explains it, and references that do not stand any more."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import Open, Stub, violations
from .test_chat import ask, finished

EXPLAIN = "What was retrieved and why"


def unexplained(page: Page) -> None:
    """Ask for no explanations from now on."""
    page.get_by_role("button", name="Sampling").click()
    page.get_by_role("switch", name="Explain answers").uncheck()
    page.keyboard.press("Escape")


def test_an_explained_answer_tells_what_was_found_what_was_left_out_and_what_the_model_read(
    stub: Stub, open_page: Open
) -> None:
    page = open_page(stub())
    page.reload()
    with page.expect_request(re.compile("/answers$")) as sent:
        ask(page, "and again?")
    assert sent.value.post_data_json["explain"] is True
    finished(page)
    page.get_by_role("button", name=EXPLAIN).click()
    drawer = page.get_by_role("dialog", name=EXPLAIN)
    expect(drawer).to_contain_text("and again?")
    expect(drawer).to_contain_text("settings file load")
    expect(drawer.get_by_role("region", name="Shown to the model (5)")).to_contain_text("config.py:88-96")
    left = drawer.get_by_role("region", name="Left out (2)")
    expect(left).to_contain_text("config.py:120-128")
    expect(left).to_contain_text("lexical")
    expect(left).to_contain_text("No score parts are known.")
    drawer.get_by_role("tab", name="Prompt").click()
    expect(drawer.get_by_role("region", name="System")).to_contain_text("cite them by number")
    expect(drawer.get_by_role("region", name="User")).to_contain_text("def load(path: Path")


def test_a_question_that_was_searched_as_asked_says_so(stub: Stub, open_page: Open) -> None:
    page = open_page(stub())
    ask(page, "settings")
    finished(page)
    page.get_by_role("button", name=EXPLAIN).click()
    expect(page.get_by_role("dialog", name=EXPLAIN)).to_contain_text("As it was asked.")


def test_the_drawer_keeps_the_keyboard_and_gives_it_back(stub: Stub, open_page: Open) -> None:
    page = open_page(stub())
    ask(page, "settings")
    finished(page)
    opener = page.get_by_role("button", name=EXPLAIN)
    opener.focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name=EXPLAIN)
    expect(drawer).to_be_visible()
    drawer.get_by_role("tab", name="Retrieved").focus()
    page.keyboard.press("ArrowRight")
    expect(drawer.get_by_role("tab", name="Prompt")).to_be_focused()
    expect(drawer.get_by_role("region", name="System")).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        outside = "e => e !== document.body && !e.closest('dialog')"
        assert not page.evaluate(f"({outside})(document.activeElement)")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(opener).to_be_focused()


def test_an_answer_that_was_not_asked_to_explain_has_no_drawer(stub: Stub, open_page: Open) -> None:
    page = open_page(stub())
    unexplained(page)
    with page.expect_request(re.compile("/answers$")) as sent:
        ask(page, "settings")
    finished(page)
    assert "explain" not in sent.value.post_data_json
    expect(page.get_by_role("button", name=EXPLAIN)).to_have_count(0)


def test_a_citation_that_fails_is_taken_out_and_its_reference_marked(stub: Stub, open_page: Open) -> None:
    page = open_page(stub())
    ask(page, "stale")
    finished(page)
    answer = page.get_by_role("article", name="Answer")
    expect(answer.get_by_text("1 citation could not be verified")).to_be_visible()
    prose = answer.locator(".prose")
    expect(prose.get_by_role("button", name="Reference 1", exact=True)).to_have_count(1)
    expect(prose.get_by_role("button", name="Reference 2", exact=True)).to_have_count(0)
    chip = answer.get_by_role("region", name="References").get_by_role("button").nth(1)
    expect(chip).to_have_attribute("title", re.compile("no longer says this"))
    chip.click()
    expect(page.get_by_role("dialog")).to_contain_text("Its source no longer says this.")
    page.reload()
    expect(chip).to_have_attribute("title", re.compile("no longer says this"))


def test_an_answer_whose_citations_stand_says_nothing_about_them(stub: Stub, open_page: Open) -> None:
    page = open_page(stub())
    ask(page, "settings")
    finished(page)
    expect(page.get_by_text("could not be verified")).to_have_count(0)
    expect(page.get_by_title(re.compile("no longer says this"))).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_drawer(stub: Stub, open_page: Open, scheme: str) -> None:
    page = open_page(stub(), color_scheme=scheme, reduced_motion="reduce", width=390, height=844)
    ask(page, "stale")
    finished(page)
    assert violations(page) == []
    page.get_by_role("button", name=EXPLAIN).click()
    drawer = page.get_by_role("dialog", name=EXPLAIN)
    for tab in ("Retrieved", "Prompt"):
        drawer.get_by_role("tab", name=tab).click()
        assert violations(page) == []
    assert drawer.evaluate("e => e.scrollWidth <= e.clientWidth && e.getBoundingClientRect().right <= 390")
