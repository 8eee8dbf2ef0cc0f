"""Each page of the real server with the real engine: its main path, its error, and what it says while it is empty."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import IN_A_BROWSER, visitor
from tests.e2e.conftest import SAMPLE, Server
from tests.e2e.slow_endpoint import serving
from tests.e2e.team import SECRET_QUESTION, Team, done

pytestmark = IN_A_BROWSER

PASSWORD = "correct horse staple"


@pytest.fixture
def ada(browser: Browser, team: Team) -> Iterator[Page]:
    """The administrator's browser."""
    page = visitor(browser)
    page.goto(team.link())
    yield page
    page.context.close()


@pytest.fixture
def grace(browser: Browser, team: Team) -> Iterator[Page]:
    """The browser of Grace, who may read no index and has no conversation."""
    page = visitor(browser)
    page.goto(team.link("Grace"))
    yield page
    page.context.close()


def write(page: Page, editor: str, code: str) -> None:
    page.get_by_role("textbox", name=editor, exact=True).click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code)


# ── chat ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_chat_goes_by_keyboard_alone(ada: Page, team: Team) -> None:
    ada.goto(team.url)
    expect(ada.get_by_label("Your message")).to_be_visible()
    ada.locator("#page").focus()
    ada.keyboard.press("/")
    expect(ada.get_by_label("Your message")).to_be_focused()
    ada.keyboard.type("Write a function that adds up the lines of an invoice")
    ada.keyboard.press("Enter")
    expect(ada.get_by_role("button", name="Answer again")).to_be_visible(timeout=60_000)
    chip = ada.get_by_role("button", name=re.compile("invoice_total")).first
    for _ in range(60):
        if chip.evaluate("(chip) => chip === document.activeElement"):
            break
        ada.keyboard.press("Shift+Tab")
    expect(chip).to_be_focused()
    outline = chip.evaluate("(chip) => getComputedStyle(chip).outlineStyle")
    assert outline != "none", "what has the focus is not marked"
    ada.keyboard.press("Enter")
    expect(ada.get_by_role("dialog")).to_contain_text("billing/invoices.py")
    ada.keyboard.press("Escape")
    expect(chip).to_be_focused()
    ada.keyboard.press("Control+k")
    expect(ada.get_by_role("dialog").get_by_role("combobox")).to_be_focused()
    ada.keyboard.type("Knowledge")
    ada.keyboard.press("Enter")
    expect(ada).to_have_url(re.compile("/knowledge$"))


def test_a_conversation_that_is_gone_is_said_to_be(ada: Page, team: Team) -> None:
    ada.goto(f"{team.url}/c/0123456789abcdef")
    expect(ada.get_by_text("This conversation does not exist (any more).")).to_be_visible()


def test_a_new_user_is_told_what_will_be_here(grace: Page, team: Team) -> None:
    grace.goto(team.url)
    expect(grace.get_by_text("Your conversations appear here.")).to_be_visible()
    expect(grace.get_by_text("No code is indexed yet.")).to_be_visible()
    expect(grace.get_by_role("list", name="Examples").get_by_role("button")).to_have_count(4)
    expect(grace.get_by_text("Only the starter model is installed")).to_be_visible()


# ── playground ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_real_engine_fills_a_hole_and_its_prompt_is_shown(ada: Page, team: Team) -> None:
    ada.goto(f"{team.url}/playground")
    expect(ada.get_by_text("the exact prompt shows here")).to_be_visible()
    ada.get_by_role("button", name="Complete").click()
    expect(ada.locator("[data-prompt]")).to_contain_text("def fibonacci", timeout=60_000)
    expect(ada.locator("[data-prompt] mark").first).to_be_visible()


def test_a_model_that_is_gone_is_said_to_be(ada: Page, team: Team) -> None:
    ada.goto(f"{team.url}/playground")
    ada.route(
        re.compile("/api/infill$"),
        lambda route: route.continue_(post_data={**route.request.post_data_json, "model": "gone"}),
    )
    ada.get_by_role("button", name="Complete").click()
    expect(ada.get_by_role("alert")).to_contain_text("gone")


# ── code tasks ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_is_done_by_the_real_engine(ada: Page, team: Team) -> None:
    ada.goto(f"{team.url}/tasks/explain")
    expect(ada.get_by_text("The result appears here")).to_be_visible()
    write(ada, "Code", "def double(n):\n    return n * 2\n")
    ada.keyboard.press("Control+Enter")
    result = ada.get_by_role("region", name="Result")
    expect(result.get_by_text("Written by starter.")).to_be_visible(timeout=90_000)


def test_a_task_without_code_asks_for_it(ada: Page, team: Team) -> None:
    ada.goto(f"{team.url}/tasks/summarise")
    ada.get_by_role("button", name="Summarise", exact=True).last.click()
    expect(ada.get_by_role("alert")).to_contain_text("There is no code yet.")


# ── knowledge ────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_may_read_no_index_sees_none_and_how_to_begin(grace: Page, team: Team) -> None:
    grace.goto(f"{team.url}/knowledge")
    expect(grace.get_by_text("Nothing is indexed yet")).to_be_visible()


def test_an_index_without_files_says_so(ada: Page, team: Team, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    done(team.admin.post("/api/indexes", json={"source": str(tmp_path / "bare"), "name": "bare"}))
    try:
        ada.goto(f"{team.url}/knowledge/bare")
        expect(ada.get_by_text("The source has no files yet.")).to_be_visible()
        ada.get_by_label("Search files").fill("cat")
        expect(ada.get_by_text("No file matches.")).to_be_visible()
        ada.get_by_role("tab", name="Failed").click()
        expect(ada.get_by_text("No file failed.")).to_be_visible()
    finally:
        done(team.admin.delete("/api/indexes/bare"))


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_that_cannot_be_fetched_says_why(ada: Page, team: Team) -> None:
    ada.goto(f"{team.url}/models")
    ada.get_by_role("button", name=re.compile("^Download ")).first.click()
    expect(ada.get_by_text(re.compile("127.0.0.1:9")).first).to_be_visible()


# ── administration and account ───────────────────────────────────────────────────────────────────────────────


def test_who_registers_comes_in_once_an_administrator_agrees(browser: Browser, ada: Page, team: Team) -> None:
    dennis = visitor(browser)
    dennis.goto(team.url)
    dennis.get_by_role("button", name="No account yet? Register").click()
    dennis.get_by_label("Name").fill("Dennis")
    dennis.get_by_label("Password").fill(PASSWORD)
    dennis.get_by_role("button", name="Register", exact=True).click()
    expect(dennis.get_by_role("status").filter(has_text="Dennis is registered.")).to_be_visible()
    ada.goto(f"{team.url}/admin")
    ada.get_by_role("listitem").filter(has_text="Dennis").get_by_role("button", name="Approve").click()
    expect(ada.get_by_label("Role of Dennis")).to_have_value("member")
    dennis.get_by_role("button", name="You have an account? Sign in").click()
    dennis.get_by_label("Name").fill("Dennis")
    dennis.get_by_label("Password").fill(PASSWORD)
    dennis.get_by_role("button", name="Sign in", exact=True).click()
    expect(dennis.get_by_label("Your message")).to_be_visible()
    expect(dennis.get_by_role("link", name="Administration")).to_have_count(0)
    dennis.context.close()
    user = next(one for one in done(team.admin.get("/api/users")) if one["name"] == "Dennis")
    done(team.admin.delete(f"/api/users/{user['id']}"))


def test_the_last_administrator_stays_one(ada: Page, team: Team) -> None:
    ada.goto(f"{team.url}/admin")
    role = ada.get_by_label(re.compile("^Role of ")).filter(has=ada.locator("option[value=admin]:checked"))
    role.select_option("member")
    expect(ada.get_by_role("alert")).to_contain_text("Make another user an administrator first.")


def test_without_limits_or_ratings_administration_says_what_they_are_for(ada: Page, team: Team) -> None:
    ada.goto(f"{team.url}/admin/limits")
    expect(ada.get_by_text("Nothing is limited")).to_be_visible()
    ada.get_by_role("tab", name="Feedback").click()
    expect(ada.get_by_text("Nobody has rated an answer yet")).to_be_visible()


def test_an_endpoint_is_tried_and_saved_in_the_page_and_removed(ada: Page, team: Team) -> None:
    ada.goto(f"{team.url}/admin/endpoints")
    expect(ada.get_by_text("No endpoint yet")).to_be_visible()
    ada.get_by_role("button", name="Add endpoint").click()
    form = ada.get_by_role("dialog", name="Add endpoint")
    form.locator("[name=name]").fill("neighbour")
    form.locator("[name=base_url]").fill("http://127.0.0.1:9/v1")
    form.get_by_role("button", name="Test").click()
    expect(form.get_by_role("alert")).to_contain_text("127.0.0.1:9")
    with serving(0) as endpoint, endpoint.saying("Good morning."):
        form.locator("[name=base_url]").fill(endpoint.url)
        form.locator("[name=model]").fill("next-door")
        form.get_by_role("button", name="Test").click()
        expect(form.get_by_role("status")).to_contain_text("“Good morning.”")
        form.locator("[name=api_key]").fill("${HOME}")
        form.get_by_role("button", name="Save").click()
        expect(form.get_by_role("alert")).to_contain_text("HOME may not be named over the web")
        form.locator("[name=api_key]").fill("")
        form.get_by_role("button", name="Save").click()
        expect(form).to_be_hidden()
        expect(ada.get_by_role("heading", name="neighbour")).to_be_visible()
    ada.get_by_role("button", name="Remove neighbour").click()
    ada.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    expect(ada.get_by_text("No endpoint yet")).to_be_visible()


def test_a_password_is_set_and_then_changed_with_the_old_one_only(browser: Browser, team: Team) -> None:
    user = done(team.admin.post("/api/users", json={"name": "Kim"}))
    page = visitor(browser)
    page.goto(team.link("Kim"))
    page.goto(f"{team.url}/account")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_text("Your new password is in force.")).to_be_visible()
    expect(page.get_by_text("No key yet.")).to_be_visible()
    page.get_by_label("Current password").fill("wrong")
    page.get_by_label("New password").fill("another staple horse")
    page.get_by_label("Once more").fill("another staple horse")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("alert")).to_contain_text("The current password is wrong.")
    page.context.close()
    done(team.admin.delete(f"/api/users/{user['id']}"))


# ── two people ───────────────────────────────────────────────────────────────────────────────────────────────


def test_nobody_reads_another_ones_conversation(grace: Page, team: Team) -> None:
    grace.goto(f"{team.url}/c/{team.conversation}")
    expect(grace.get_by_text("This conversation does not exist (any more).")).to_be_visible()
    expect(grace.get_by_text(SECRET_QUESTION)).to_have_count(0)
    grace.get_by_label("Search conversations").fill("plum")
    expect(grace.get_by_text("No conversation mentions “plum”.")).to_be_visible()
    with pytest.raises(AssertionError):
        done(team.grace.get(f"/api/conversations/{team.conversation}"))


def test_code_without_permission_does_not_exist_until_it_is_given(grace: Page, ada: Page, team: Team) -> None:
    grace.goto(f"{team.url}/knowledge/sample")
    expect(grace.get_by_role("alert")).to_be_visible()
    expect(grace.get_by_text("billing")).to_have_count(0)
    ada.goto(f"{team.url}/knowledge/sample")
    ada.get_by_role("button", name="Permissions").click()
    dialog = ada.get_by_role("dialog")
    dialog.get_by_label("Grace").check()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    try:
        grace.reload()
        expect(grace.get_by_text("billing/invoices.py").first).to_be_visible()
    finally:
        nobody = {"open": False, "users": [], "teams": []}
        done(team.admin.put("/api/indexes/sample/access", json=nobody))
    grace.reload()
    expect(grace.get_by_role("alert")).to_be_visible()


# ── the first run ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_server_leads_from_its_link_to_the_first_answer(
    browser: Browser, own_server: Callable[..., Server]
) -> None:
    server = own_server()
    link = server.wait_for(r"Sign in .*?(http://\S+)")[1]
    page = visitor(browser)
    page.goto(link)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()

    expect(page.get_by_role("heading", name="A model that writes")).to_be_visible()
    page.get_by_role("tab", name="An endpoint").click()
    page.locator("[name=name]").fill("nowhere")
    page.locator("[name=base_url]").fill("http://127.0.0.1:9/v1")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("127.0.0.1:9")
    page.get_by_role("button", name="Skip this step").click()

    steps = page.get_by_role("navigation", name="Steps")
    steps.get_by_role("button", name="Answer").click()
    expect(page.get_by_text("No code is indexed yet")).to_be_visible()
    steps.get_by_role("button", name="Code").click()
    page.get_by_role("button", name="Add a folder or repository").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Path on the server").fill(str(SAMPLE))
    dialog.get_by_role("button", name="Add code").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("main").get_by_text("Ready", exact=True)).to_be_visible()
    page.get_by_role("button", name="Next").click()

    page.get_by_label("Your question").fill("Write a function that adds up the lines of an invoice")
    page.get_by_role("button", name="Ask", exact=True).click()
    answer = page.get_by_role("article", name="Answer")
    expect(answer).to_have_attribute("aria-busy", "false", timeout=60_000)
    expect(answer.get_by_role("button", name=re.compile("invoice_total")).first).to_be_visible()
    page.context.close()
