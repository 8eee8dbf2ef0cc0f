"""The first run: from a one-time link to the first answer about one's own code."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .conftest import Open, Stub, violations


def test_five_steps_lead_to_the_first_answer_and_an_editor(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('first-run')}/welcome")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    expect(page.get_by_text("Why?")).to_be_visible()
    page.get_by_label("Your name here").fill("Ada")
    page.get_by_role("button", name="Save name").click()
    expect(page.get_by_text("You are Ada.")).to_be_visible()
    page.get_by_label("New password").fill("correct horse staple")
    page.get_by_label("Once more").fill("correct horse staple")
    page.get_by_role("button", name="Set password").click()

    expect(page.get_by_role("heading", name="A model that writes")).to_be_visible()
    expect(page.get_by_text("8 cores")).to_be_visible()
    best = page.get_by_role("listitem").filter(has_text="Best that fits")
    with page.expect_request(re.compile("/models/pulls$")) as sent:
        best.get_by_role("button", name="Download Qwen2.5 Coder 7B").click()
    assert sent.value.post_data_json == {"reference": "qwen2.5-coder-7b:Q4_K_M"}
    # A pull may have ended before anybody looked.
    coming = page.get_by_role("progressbar", name="Pulling qwen2.5-coder-7b")
    expect(coming.or_(best.get_by_text("Installed")).first).to_be_visible()
    page.get_by_role("button", name="Skip this step").click()

    page.get_by_role("button", name="Add a folder or repository").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Path on the server").fill("/srv/code/shop")
    dialog.get_by_role("button", name="Add code").click()
    expect(page.get_by_role("progressbar").first).to_be_visible()
    page.get_by_role("button", name="Next").click()

    expect(page.get_by_label("Your question")).to_have_value(re.compile("How does shop handle errors"))
    page.get_by_role("button", name="Ask", exact=True).click()
    answer = page.get_by_role("article", name="Answer")
    expect(answer).to_have_attribute("aria-busy", "false")
    answer.get_by_role("button", name=re.compile(r"config.py")).first.click()
    expect(page.get_by_role("dialog")).to_contain_text("def load")
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("Next|Skip this step")).click()

    page.get_by_label("Editor or agent").select_option("zed")
    page.get_by_role("button", name="Create its key").click()
    expect(page.locator("pre").first).to_contain_text('{"api_key": "cw_9xQ2stub')
    page.get_by_role("button", name="Start working").click()
    expect(page.get_by_label("Your message")).to_be_visible()


def test_an_endpoint_is_tested_and_writes_from_then_on(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('first-run')}/welcome")
    page.get_by_role("button", name="Model", exact=True).click()
    page.get_by_role("tab", name="An endpoint").click()
    page.get_by_label("Name here").fill("big")
    page.get_by_label("Address").fill("https://gone.example.com/v1")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing answers at https://gone.example.com/v1.")
    page.get_by_label("Address").fill("https://llm.example.com/v1")
    page.get_by_label("Model there").fill("qwen3-coder-30b")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="It works")).to_contain_text("Hello there, friend.")
    with page.expect_request(re.compile("/api/endpoints/big$")) as sent:
        page.get_by_role("button", name="Save", exact=True).click()
    assert sent.value.post_data_json["default"] is True
    expect(page.get_by_role("status").filter(has_text="big is saved and answers now.")).to_be_visible()


def test_everything_can_be_skipped_and_no_code_is_said_so(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('first-run')}/welcome")
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(page.get_by_text("No code is indexed yet, so the answer will have no references.")).to_be_visible()
    page.get_by_role("button", name="Skip all").click()
    expect(page.get_by_label("Your message")).to_be_visible()


def test_a_failing_server_is_told_with_a_way_to_try_again(stub: Stub, open_page: Open) -> None:
    address = stub("first-run")
    page = open_page(f"{address}/account")
    page.route(re.compile("/api/setup$"), lambda route: route.fulfill(status=500, body="{}"))
    page.goto(f"{address}/welcome")
    expect(page.get_by_role("alert")).to_contain_text("HTTP 500")
    page.unroute(re.compile("/api/setup$"))
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_step(stub: Stub, open_page: Open, scheme: str) -> None:
    page = open_page(f"{stub('first-run')}/welcome", color_scheme=scheme, reduced_motion="reduce", width=390)
    found = {}
    for step in ("Account", "Model", "Code", "Answer", "Editor"):
        page.get_by_role("navigation", name="Steps").get_by_role("button", name=step).click()
        page.wait_for_load_state("networkidle")
        found[step] = violations(page)
        assert page.evaluate("document.querySelector('#page').scrollWidth") <= 390
    assert {step: what for step, what in found.items() if what} == {}
