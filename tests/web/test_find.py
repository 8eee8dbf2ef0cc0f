"""Finding code on the Knowledge page: search types and reasons, symbols, regular expressions."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.web.conftest import Open, Stub


def test_a_search_explains_itself_when_asked(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge")
    page.get_by_role("checkbox", name="Explain", exact=True).check()
    box = page.get_by_role("searchbox", name="Try the search")
    box.fill("load settings")
    box.press("Enter")
    told = page.get_by_role("region", name="Explain")
    expect(told).to_contain_text("load (also loads, loaded)")
    expect(told).to_contain_text("231 chunks considered, from codeweft")
    expect(told).to_contain_text("rank 1.9 ms")


def test_a_search_type_shows_its_parameters_and_is_sent(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge")
    kind = page.get_by_label("Search type")
    kind.select_option("Within a distance")
    expect(page.get_by_label("Largest distance")).to_have_value("0.6")
    kind.select_option("Varied results")
    expect(page.get_by_label("Out of the nearest")).to_have_value("20")
    expect(page.get_by_label("Largest distance")).to_have_count(0)
    page.get_by_label("Language", exact=True).select_option("python")
    page.get_by_label("Kind").select_option("method")
    page.get_by_label("Path").fill("src/**")
    page.get_by_role("searchbox", name="Try the search").fill("load")
    with page.expect_request("**/api/search") as asked:
        page.get_by_role("button", name="Search", exact=True).click()
    body = asked.value.post_data_json
    assert body["search_type"] == "mmr" and body["fetch_k"] == 20 and body["lambda_mult"] == 0.5
    assert (body["languages"], body["kinds"], body["paths"]) == (["python"], ["method"], ["src/**"])


def test_a_symbol_is_looked_up_and_its_place_opened(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge")
    page.get_by_role("tab", name="Symbols").click()
    name = page.get_by_role("searchbox", name="Name of a function")
    name.fill("load")
    name.press("Enter")
    expect(page.get_by_text("1 place", exact=True)).to_be_visible()
    page.get_by_label("What to find").select_option("Uses")
    name.press("Enter")
    expect(page.get_by_text("3 places")).to_be_visible()
    expect(page.get_by_text("maybe another of that name")).to_have_count(1)
    page.get_by_role("button", name=re.compile(r"serve\.py:31")).click()
    expect(page.get_by_role("dialog")).to_contain_text("serve.py:31")
    page.keyboard.press("Escape")
    name.fill("two words")
    name.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Give one name.")


def test_matching_lines_are_shown_by_file_with_the_match_marked(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge")
    page.get_by_role("tab", name="Text").click()
    pattern = page.get_by_role("searchbox", name="Regular expression")
    pattern.fill("load")
    page.get_by_label("Whole words").check()
    with page.expect_request("**/api/grep?*") as asked:
        pattern.press("Enter")
    assert "whole_word=true" in asked.value.url and "ignore_case=false" in asked.value.url
    expect(page.get_by_text("3 lines")).to_be_visible()
    expect(page.get_by_role("heading", name="src/codeweft/config.py")).to_have_count(1)
    assert page.locator("mark").all_inner_texts() == ["load"] * 4
    page.get_by_label("Language", exact=True).select_option("typescript")
    pattern.press("Enter")
    expect(page.get_by_text("1 line", exact=True)).to_be_visible()
    pattern.fill("(?=x)")
    pattern.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("look-around")


def test_the_ways_of_finding_are_reached_and_worked_by_keyboard(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge")
    page.get_by_role("tab", name="Text").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Text")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Tab")
    page.keyboard.type("load")
    page.keyboard.press("Enter")
    expect(page.get_by_text("3 lines")).to_be_visible()
