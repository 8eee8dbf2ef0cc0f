"""Code tasks: bringing code, running, what the check said, and what can be done with the result."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import Open, Stub, violations


def write(page: Page, code: str) -> None:
    page.get_by_role("textbox", name="Code", exact=True).click()
    page.keyboard.press("Control+a")
    page.keyboard.type(code)


def test_code_is_translated_side_by_side_and_the_check_is_shown(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/tasks/translate")
    page.get_by_role("button", name="Try an example").click()
    run = page.get_by_role("region", name="Code and wishes").get_by_role("button", name="Translate")
    run.click()
    expect(page.get_by_role("alert")).to_have_text("“To” is needed.")
    page.get_by_label("To *").fill("Go")
    with page.expect_request(re.compile("/api/tasks/translate$")) as sent:
        run.click()
    inputs = sent.value.post_data_json["inputs"]
    assert inputs["language_to"] == "Go" and "group_by_first_letter" in inputs["code"]
    result = page.get_by_role("region", name="Result")
    expect(result.get_by_text("Verified by gofmt")).to_be_visible()
    expect(result.locator("pre").first).to_contain_text("func GroupByFirstLetter")
    source = page.get_by_role("textbox", name="Code", exact=True)
    expect(source).to_contain_text("def group_by_first_letter")
    left, right = source.bounding_box(), result.bounding_box()
    assert left and right and left["x"] + left["width"] <= right["x"]
    result.get_by_text("What the check said").click()
    expect(result.get_by_text("gofmt accepts its syntax")).to_be_visible()


def test_what_fails_its_check_is_marked_with_the_tools_words(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/tasks/fix")
    write(page, "wrong")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("textbox", name="Code", exact=True)).to_have_text("wrong")
    result = page.get_by_role("region", name="Result")
    expect(result.get_by_text("python found errors")).to_be_visible()
    expect(result.get_by_text("line 3: error: expected }")).to_be_visible()


def test_references_of_a_result_open_their_source(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/tasks/review")
    write(page, "def f(): pass")
    page.get_by_role("button", name="Review", exact=True).last.click()
    result = page.get_by_role("region", name="Result")
    expect(result.get_by_text("Written by starter.")).to_be_visible()
    result.get_by_role("region", name="References").get_by_role("button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_code_comes_from_an_index_or_a_file_and_stays_when_the_task_changes(
    stub: Stub, open_page: Open
) -> None:
    page = open_page(f"{stub()}/tasks/explain")
    code = page.get_by_role("textbox", name="Code", exact=True)
    page.get_by_role("button", name="Pick code from an index").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Find code").fill("load settings")
    dialog.get_by_role("button", name="Find", exact=True).click()
    dialog.get_by_role("button", name=re.compile("config.py:88-96")).click()
    expect(code).to_contain_text("def load")
    page.get_by_role("navigation", name="Tasks").get_by_role("button", name="Document").click()
    expect(page).to_have_url(re.compile("/tasks/document$"))
    expect(code).to_contain_text("def load")
    page.get_by_label("Open a file").and_(page.locator("input")).set_input_files(
        {"name": "cart.py", "mimeType": "text/plain", "buffer": b"def total(): ...\n"}
    )
    expect(code).to_contain_text("def total")
    expect(page.get_by_role("heading", name="cart.py")).to_be_visible()


def test_runs_are_remembered_and_a_result_goes_on_in_a_chat(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/tasks/summarise")
    write(page, "def f(): pass")
    page.get_by_role("button", name="Summarise", exact=True).last.click()
    result = page.get_by_role("region", name="Result")
    expect(result.get_by_text("missing key")).to_be_visible()
    expect(result.get_by_text("Written by starter.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("The result appears here")).to_be_visible()
    page.get_by_role("button", name="History").click()
    page.get_by_role("menuitem", name=re.compile("def f")).click()
    expect(result.get_by_text("missing key")).to_be_visible()
    result.get_by_role("button", name="Continue in chat").click()
    page.get_by_label("What next?").fill("And in Rust?")
    with page.expect_request(re.compile("/answers$")) as sent:
        page.get_by_role("button", name="Ask").click()
    content = sent.value.post_data_json["content"]
    assert content.startswith("And in Rust?") and "def f(): pass" in content and "missing key" in content
    expect(page).to_have_url(re.compile("/c/"))


def test_failures_are_told_with_what_to_do_and_running_can_be_stopped(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('held')}/tasks/summarise")
    run = page.get_by_role("button", name="Summarise", exact=True).last
    run.click()
    expect(page.get_by_role("alert")).to_contain_text("There is no code yet.")
    write(page, "refuse")
    run.click()
    expect(page.get_by_role("alert")).to_contain_text("Send some code.")
    write(page, "fail")
    run.click()
    expect(page.get_by_role("alert")).to_contain_text("It restarts by itself; try again.")
    write(page, "slow")
    run.click()
    result = page.get_by_role("region", name="Result")
    expect(result.get_by_text(re.compile("^The"))).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(result.get_by_text("Stopped.")).to_be_visible()


def test_a_page_without_a_result_teaches_and_one_without_tasks_says_so(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/tasks")
    expect(page.get_by_role("button", name="Explain", exact=True).first).to_have_attribute(
        "aria-current", "page"
    )
    expect(page.get_by_text("Related code of your indexes is looked up and cited.")).to_be_visible()
    page.goto(f"{stub('empty')}/tasks")
    expect(page.get_by_role("alert")).to_contain_text("There is no code task.")


def test_the_page_speaks_korean(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/tasks/translate", locale="ko-KR")
    expect(page.get_by_role("heading", name="코드 작업")).to_be_visible()
    expect(page.get_by_label("바꿀 언어")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_a_phone(
    stub: Stub, open_page: Open, scheme: str
) -> None:
    page = open_page(f"{stub()}/tasks/fix", color_scheme=scheme, reduced_motion="reduce", width=390)
    expect(page.get_by_text("The result appears here")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Try an example").click()
    page.get_by_role("button", name="Fix", exact=True).last.click()
    expect(page.get_by_text("Verified by python")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
