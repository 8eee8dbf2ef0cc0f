"""The steps of an agent: above its answer, told while it works, folded away when it has answered."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import Open, Stub, violations
from .test_chat import ask, finished


def with_agent(page: Page) -> None:
    """Let the model look things up in steps from now on."""
    page.get_by_role("button", name="Sampling").click()
    page.get_by_role("switch", name="Agent").check()
    page.keyboard.press("Escape")


def test_the_steps_stand_above_the_answer_and_can_be_opened_again(stub: Stub, open_page: Open) -> None:
    page = open_page(stub())
    with_agent(page)
    page.reload()
    with page.expect_request(re.compile("/answers$")) as sent:
        ask(page, "settings")
    assert sent.value.post_data_json["agent"] is True
    finished(page)
    steps = page.get_by_role("group").filter(has_text="2 steps")
    expect(steps.get_by_role("list")).to_be_hidden()
    steps.get_by_text("2 steps").click()
    first, second = steps.get_by_role("listitem").all()
    expect(first).to_contain_text("Who loads the settings?")
    expect(first).to_contain_text("Looked up")
    expect(first).to_contain_text("name: Settings.load, find: callers")
    expect(first).to_contain_text("3 results")
    expect(second).to_contain_text("Did you mean src/codeweft/config.py?")
    expect(second).not_to_contain_text("results")
    assert violations(page) == []
    page.reload()
    finished(page)
    steps.get_by_text("2 steps").click()
    expect(steps.get_by_role("listitem").first).to_contain_text("Who loads the settings?")


def test_while_the_agent_works_its_steps_are_open(stub: Stub, open_page: Open) -> None:
    page = open_page(stub("held"))
    with_agent(page)
    ask(page, "settings")
    expect(page.get_by_role("listitem").filter(has_text="Who loads the settings?")).to_be_visible()


@pytest.mark.parametrize("index", ["", None])
def test_without_an_agent_or_without_an_index_nothing_is_asked_for(
    stub: Stub, open_page: Open, index: str | None
) -> None:
    page = open_page(stub())
    if index == "":
        with_agent(page)
        page.get_by_role("button", name="Index").click()
        page.get_by_role("option", name="No retrieval").click()
    with page.expect_request(re.compile("/answers$")) as sent:
        ask(page, "settings")
    assert "agent" not in sent.value.post_data_json
