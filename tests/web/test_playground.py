"""Completing at a hole: what is offered, how it is taken or refused, and what the model read."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from .conftest import Open, Stub, violations

OFFERED = "numbers = [0, 1]"
REST_MS = 400
"""As in `PlaygroundPage.tsx`."""


def editor(page: Page) -> object:
    return page.get_by_role("textbox", name="Code with a hole")


def ghost(page: Page) -> object:
    return page.locator(".cm-ghost")


def test_a_hole_is_filled_with_the_exact_prompt_in_view_and_taken_with_tab(
    stub: Stub, open_page: Open
) -> None:
    page = open_page(f"{stub()}/playground")
    page.get_by_role("button", name="Complete").click()
    expect(ghost(page)).to_contain_text("numbers.append(sum(numbers[-2:]))")
    prompt = page.locator("[data-prompt]")
    expect(prompt.locator("mark")).to_have_text(["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"])
    expect(prompt).to_contain_text("def fibonacci(n: int)")
    facts = page.get_by_role("region", name="What the model read")
    expect(facts).to_contain_text("71.5")
    expect(facts.get_by_text(re.compile(r"^[\d,]+ ms$"))).to_be_visible()
    page.get_by_role("tab", name="Retrieved 2").click()
    facts.get_by_role("button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    editor(page).focus()
    page.keyboard.press("Tab")
    expect(ghost(page)).to_have_count(0)
    expect(editor(page)).to_contain_text(OFFERED)
    expect(editor(page)).not_to_contain_text("<FILL>")


def test_while_typing_the_cursor_is_completed_after_a_rest_and_typing_cancels(
    stub: Stub, open_page: Open
) -> None:
    page = open_page(f"{stub('held')}/playground")
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if one.url.endswith("/api/infill") else None)
    editor(page).click()
    page.keyboard.press("Control+a")
    # However slow the machine is, no rest lies between these keys.
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now()") + 1_000)
    page.keyboard.type("def double(n):")
    page.clock.run_for(REST_MS - 50)
    assert asked == []
    page.clock.resume()
    expect(ghost(page)).to_contain_text("numbers")
    assert len(asked) == 1
    with page.expect_event("requestfailed", lambda one: one.url.endswith("/api/infill")):
        page.keyboard.type(" #")
    expect(ghost(page)).to_contain_text("numbers")
    page.keyboard.press("Escape")
    expect(ghost(page)).to_have_count(0)
    expect(editor(page)).to_have_text("def double(n): #")


def test_typing_what_is_offered_goes_on_with_the_rest(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub(pace=1)}/playground")
    page.get_by_role("switch", name="While typing").uncheck()
    editor(page).click()
    page.keyboard.press("Control+a")
    page.keyboard.type("x = 1 ")
    page.keyboard.press("Control+Enter")
    expect(ghost(page)).to_contain_text("numbers[-2:]")
    page.keyboard.type("num")
    expect(ghost(page)).to_contain_text(re.compile(r"^bers = "))


def test_what_is_chosen_is_sent_and_remembered(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/playground?model=starter")
    page.get_by_label("Index").select_option("No retrieval")
    page.get_by_role("button", name="Sampling").click()
    page.get_by_label("Maximum tokens").fill("16")
    page.keyboard.press("Escape")
    with page.expect_request(re.compile("/api/infill$")) as sent:
        page.get_by_role("button", name="Complete").click()
    body = sent.value.post_data_json
    assert (body["model"], body["index"], body["sampling"]["max_tokens"]) == ("starter", "", 16)
    assert body["prefix"].endswith('numbers."""\n    ') and body["suffix"].startswith("\n    return")
    page.reload()
    expect(page.get_by_label("Index")).to_have_value("")


def test_a_failure_says_what_to_do(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/playground")
    editor(page).click()
    page.keyboard.press("Control+a")
    page.keyboard.type("fail")
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("The prompt is 9,000 tokens long")
    expect(problem).to_contain_text("Shorten the code around the hole.")


def test_before_anything_is_completed_the_page_says_what_it_will_show(stub: Stub, open_page: Open) -> None:
    address = stub()
    page = open_page(address)

    def none(route: Route) -> None:
        route.fulfill(json=[])

    page.route("**/api/models", none)
    page.goto(f"{address}/playground")
    expect(page.get_by_text("the exact prompt shows here")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("No model here can fill in the middle.")
    expect(page.get_by_role("button", name="Complete")).to_be_disabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_a_phone(
    stub: Stub, open_page: Open, scheme: str
) -> None:
    page = open_page(f"{stub()}/playground", color_scheme=scheme, reduced_motion="reduce", width=390)
    page.get_by_role("button", name="Complete").click()
    expect(ghost(page)).to_contain_text("numbers.append")
    expect(page.get_by_text("71.5")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
