"""Models: what fits, pulling, engines that crash, pools, deleting."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import Open, Stub, violations


def card(page: Page, name: str) -> object:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name, exact=True))


def test_a_model_that_fits_is_pulled_with_progress_and_can_be_stopped(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/models")
    expect(page.get_by_role("heading", name=re.compile("Qwen2.5-Coder 7B"))).to_contain_text(
        "Fits this machine"
    )
    expect(page.get_by_role("heading", name=re.compile("32B"))).to_have_count(0)
    version = page.get_by_label("Version of Qwen2.5-Coder 7B Instruct")
    expect(version).to_have_value("Q8_0")
    version.select_option("Q4_K_M")
    with page.expect_request(re.compile("/models/pulls$")) as sent:
        page.get_by_role("button", name="Download Qwen2.5-Coder 7B Instruct").click()
    assert sent.value.post_data_json == {"reference": "qwen2.5-coder-7b:Q4_K_M"}
    pull = page.get_by_role("region", name="On their way")
    expect(pull.get_by_role("progressbar")).to_be_visible()
    expect(pull.get_by_text(re.compile(r"Downloading · .* / .* · .*/s · about"))).to_be_visible()
    pull.get_by_role("button", name="Cancel pulling qwen2.5-coder-7b").click()
    expect(pull.get_by_text("Cancelled")).to_be_visible()
    pull.get_by_role("button", name="Go on").click()
    own = card(page, "qwen2.5-coder-7b")
    expect(own.get_by_role("button", name="Use in chat")).to_be_visible(timeout=30_000)
    expect(pull).to_have_count(0)
    own.get_by_role("button", name="Options for qwen2.5-coder-7b").click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete qwen2.5-coder-7b?")
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog).to_be_hidden()
    expect(own.get_by_role("button", name="Use in chat")).to_have_count(0)


def test_a_pull_that_fails_says_why_and_what_to_do(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/models")
    page.get_by_role("button", name="Download Qwen2.5-Coder 14B Instruct").click()
    problem = page.get_by_role("region", name="On their way").get_by_role("alert")
    expect(problem).to_contain_text("only 3.20 GB are free")
    expect(problem).to_contain_text("choose a smaller version")
    page.get_by_label("Download another model").fill("nonsense")
    page.get_by_role("button", name="Download", exact=True).last.click()
    expect(page.get_by_text("There is no model nonsense in the catalogue.")).to_be_visible()


def test_what_does_not_fit_is_shown_on_demand_and_searched(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/models")
    page.get_by_label("Only what fits").uncheck()
    expect(page.get_by_role("heading", name=re.compile("32B"))).to_contain_text("too large here")
    page.get_by_role("searchbox", name="Search models").fill("nothing like it")
    expect(page.get_by_text("No model matches.")).to_be_visible()


def test_a_crashed_engine_says_why_and_is_restarted(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('crashed')}/models")
    starter = card(page, "starter")
    expect(starter.get_by_role("alert")).to_contain_text("most likely because memory ran out")
    starter.get_by_role("button", name="Try again").click()
    expect(starter.get_by_text("Ready")).to_be_visible()
    starter.get_by_role("button", name="Options for starter").click()
    page.get_by_role("menuitem", name="Stop").click()
    expect(starter.get_by_text("Stopped")).to_be_visible()


def test_pools_tell_the_health_of_each_endpoint_and_a_table_what_models_can(
    stub: Stub, open_page: Open
) -> None:
    page = open_page(f"{stub()}/models")
    pool = page.get_by_role("region", name="Pools of endpoints")
    expect(pool.get_by_role("listitem").filter(has_text="gpu-1").last).to_contain_text("Well")
    expect(pool.get_by_role("listitem").filter(has_text="gpu-2").last).to_contain_text(
        "The endpoint of gpu-2 cannot be reached. Tried again in 24 sec"
    )
    row = page.get_by_role("row", name=re.compile("qwen3-coder-30b"))
    expect(row.get_by_role("img", name="yes")).to_have_count(4)
    card(page, "starter").get_by_role("button", name="Try in playground").click()
    expect(page.get_by_label("Model or app")).to_have_value("starter")


def test_who_is_no_administrator_sees_but_changes_nothing(stub: Stub, open_page: Open) -> None:
    address = stub()
    page = open_page(address)
    user = {"user": {"id": "u2", "name": "Bob", "role": "member"}, "version": "0.1.0"}
    page.route("**/api/session", lambda route: route.fulfill(json=user))
    page.goto(f"{address}/models")
    expect(page.get_by_role("button", name="Download Qwen2.5-Coder 7B Instruct")).to_be_disabled()
    expect(page.get_by_text("Administrators can download models.")).to_be_visible()
    expect(page.get_by_role("button", name="Options for starter")).to_have_count(0)


def test_a_machine_that_nothing_fits_is_told_of_endpoints(stub: Stub, open_page: Open) -> None:
    address = stub()
    page = open_page(address)
    page.route("**/api/models/catalogue", lambda route: route.fulfill(json=[]))
    page.goto(f"{address}/models")
    expect(page.get_by_text("An endpoint needs none; see below.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_while_something_is_pulled(stub: Stub, open_page: Open, scheme: str) -> None:
    page = open_page(f"{stub('crashed')}/models", color_scheme=scheme, reduced_motion="reduce", width=390)
    page.get_by_role("button", name="Download Qwen2.5-Coder 7B Instruct").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert violations(page) == []
