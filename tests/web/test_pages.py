"""Every page but the chat, and what surrounds them all."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from .conftest import Open, Stub, violations

ADMINISTRATION = ("people", "keys", "limits", "usage", "cost", "feedback", "audit", "endpoints", "settings")
PAGES = (
    "/",
    "/c/c1",
    "/c/c3",
    "/knowledge",
    "/knowledge/codeweft",
    "/knowledge/codeweft?tab=secrets",
    "/tasks",
    "/tasks/translate",
    "/playground",
    "/models",
    "/connect",
    "/account",
    *(f"/admin/{part}" for part in ADMINISTRATION),
    "/nowhere",
)


def test_a_folder_is_added_and_its_progress_shown_until_it_is_ready(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('empty')}/knowledge")
    expect(page.get_by_text("Nothing is indexed yet")).to_be_visible()
    page.get_by_role("button", name="Add code").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Path on the server").fill("shop")
    dialog.get_by_role("button", name="Add code").click()
    expect(dialog.get_by_role("alert")).to_contain_text("neither a folder on this server nor a git address")
    dialog.get_by_label("Path on the server").fill("/srv/code/shop")
    dialog.get_by_role("button", name="Add code").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d+ of 340"))).to_be_visible()
    expect(page.get_by_text("28 files/s")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="shop").get_by_text("Ready")).to_be_visible(
        timeout=20_000
    )


def test_files_are_uploaded_by_dropping_them(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge")
    expect(page.get_by_role("heading", name="Knowledge")).to_be_visible()
    transfer = page.evaluate_handle("""() => {
        const data = new DataTransfer()
        data.items.add(new File(['def f(): ...'], 'f.py'))
        return data
    }""")
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event("h1", kind, {"dataTransfer": transfer})
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("f.py")
    with page.expect_request(re.compile("/indexes/handbook/files$")) as sent:
        dialog.get_by_role("button", name="Upload files").click()
    assert sent.value.headers["content-type"].startswith("multipart/form-data")
    expect(dialog).to_be_hidden()


def test_an_index_is_deleted_after_a_question(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge")
    page.get_by_role("button", name="Options for payments-api").click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("your source files are not touched")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="payments-api")).to_be_hidden()


def test_the_detail_page_shows_files_reasons_and_code(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge/codeweft")
    page.get_by_label("Search files").fill("rank")
    expect(page.get_by_role("button", name=re.compile("rank.py"))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("pool.py"))).to_be_hidden()
    page.get_by_role("button", name=re.compile("rank.py")).click()
    expect(page.get_by_role("dialog")).to_contain_text("load_part_0")
    page.keyboard.press("Escape")
    page.get_by_role("tab", name=re.compile("Failed")).click()
    expect(page.get_by_text("not UTF-8 at byte 1044")).to_be_visible()
    page.get_by_role("tab", name=re.compile("Skipped")).click()
    expect(page.get_by_text("The first 3 of 1,204")).to_be_visible()


def test_search_says_why_and_says_when_nothing_is_found(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge")
    box = page.get_by_role("searchbox", name="Try the search")
    box.fill("load settings")
    box.press("Enter")
    expect(page.get_by_text("5 results")).to_be_visible()
    expect(page.get_by_text("lexical").first).to_be_visible()
    page.get_by_role("button", name=re.compile("config.py:88-96")).click()
    expect(page.get_by_role("dialog")).to_contain_text("def load")
    page.keyboard.press("Escape")
    box.fill("nothing")
    box.press("Enter")
    expect(page.get_by_text("Nothing was found.")).to_be_visible()


def test_models_say_what_they_are_and_how_to_plug_in_a_real_one(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/models")
    expect(page.get_by_text("starter, for trying things offline").first).to_be_visible()
    expect(page.get_by_text("codeweft models pull qwen2.5-coder-7b")).to_be_visible()
    expect(page.get_by_text("base_url: https://llm.example.com/v1")).to_be_visible()
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="qwen3-coder-30b"))
    card.get_by_role("button", name="Use in chat").click()
    expect(page.get_by_role("button", name="Model or app: qwen3-coder-30b")).to_be_visible()


def test_a_key_is_shown_once_and_filled_into_the_snippets(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/connect")
    expect(page.get_by_text("YOUR_KEY").first).to_be_visible()
    page.get_by_label("What is it for?").fill("ci")
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("status").filter(has_text="Copy it now")).to_be_visible()
    expect(page.locator("pre")).to_contain_text("cw_9xQ2")
    page.get_by_role("tab", name="Continue").click()
    expect(page.locator("pre")).to_contain_text(f"apiBase: {page.url.removesuffix('/connect')}/v1")
    page.get_by_role("button", name="New secret: ci").click()
    page.get_by_role("dialog").get_by_role("button", name="New secret").click()
    expect(page.locator("pre")).to_contain_text("cw_7rTz")
    page.reload()
    expect(page.get_by_text("cw_9xQ2…")).to_be_visible()
    expect(page.get_by_text("stubstub")).to_be_hidden()
    page.get_by_role("button", name="Revoke: ci").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("cw_9xQ2…")).to_be_hidden()


def test_without_a_session_the_page_explains_how_to_sign_in_and_a_pasted_link_does(
    stub: Stub, open_page: Open
) -> None:
    address = stub("signed-out")
    page = open_page(address)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_text("With a one-time link").click()
    expect(page.get_by_text("codeweft signin")).to_be_visible()
    link = page.get_by_label("Or paste the link here")
    link.fill("hello")
    page.get_by_role("button", name="Open link").click()
    expect(page.get_by_role("alert")).to_contain_text("not a sign-in link")
    link.fill(f"{address}/signin?token=abc")
    page.get_by_role("button", name="Open link").click()
    expect(page.get_by_label("Your message")).to_be_visible()


def test_conversations_are_searched_renamed_and_deleted(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/c/c5")
    expect(page.get_by_role("link", name="Old ideas")).to_be_visible()
    page.get_by_label("Search conversations").fill("chunker")
    expect(page.get_by_role("link", name="Old ideas")).to_be_hidden()
    page.get_by_role("button", name="Options for Unit tests for the chunker").click()
    page.get_by_role("menuitem", name="Rename").click()
    name = page.get_by_role("textbox", name="Rename")
    name.fill("Tests of the chunker")
    name.press("Enter")
    page.get_by_role("button", name="Options for Tests of the chunker").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No conversation mentions “chunker”.")).to_be_visible()
    expect(page.get_by_label("Your message")).to_be_visible()


def test_who_types_while_the_chat_still_loads_keeps_the_focus(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/models")
    search = page.get_by_label("Search conversations")
    held: list[Route] = []
    page.route(re.compile("/assets/ChatPage"), lambda route: held.append(route))
    with page.expect_request(re.compile("/assets/ChatPage")):
        page.get_by_role("button", name="New chat").click()
    search.focus()
    held[0].continue_()
    expect(page.get_by_label("Your message")).to_be_visible()
    page.keyboard.type("chunker")
    expect(search).to_have_value("chunker")


def test_the_keyboard_reaches_everything(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/models")
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog")
    palette.get_by_role("combobox").fill("ranking")
    expect(palette.get_by_role("option", name=re.compile("Explain the ranking"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/c/c3$"))
    page.get_by_role("heading", name="Explain the ranking").wait_for()
    page.locator("#page").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.press("Control+Shift+o")
    expect(page.get_by_role("heading", name=re.compile("What shall we write"))).to_be_visible()


def test_theme_and_language_are_remembered(stub: Stub, open_page: Open) -> None:
    page = open_page(stub(), color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("radio", name="Dark").click()
    page.get_by_role("radio", name="한국어").click()
    expect(page.get_by_role("button", name="새 대화")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name=re.compile("무엇을 작성할까요"))).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "ko"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_a_server_that_is_gone_is_announced_and_its_return_noticed(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge")
    expect(page.get_by_role("link", name="payments-api")).to_be_visible()
    page.route("**/api/**", lambda route: route.abort())
    page.get_by_role("button", name="Options for payments-api").click()
    page.get_by_role("menuitem", name="Index again").click()
    banner = page.get_by_role("alert").filter(has_text="codeweft serve")
    expect(banner).to_be_visible()
    page.unroute("**/api/**")
    expect(banner).to_be_hidden(timeout=15_000)


def test_on_a_phone_the_menu_is_a_drawer(stub: Stub, open_page: Open) -> None:
    page = open_page(stub(), width=390, height=844)
    page.get_by_role("button", name="Menu").click()
    drawer = page.get_by_role("dialog", name="Menu")
    drawer.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    expect(drawer).to_be_hidden()


def settled(page: Page) -> None:
    page.get_by_role("heading", level=1).wait_for(state="attached")
    page.wait_for_load_state("networkidle")


def test_nothing_is_wider_than_a_phone(stub: Stub, open_page: Open) -> None:
    address = stub()
    page = open_page(address, width=390, height=844)
    wide = {}
    for path in PAGES:
        page.goto(f"{address}{path}")
        settled(page)
        wide[path] = page.evaluate("""() => [...document.querySelectorAll('#page *')]
            .filter((e) => e.scrollWidth > 390 && getComputedStyle(e).overflowX === 'visible'
                && !e.closest('pre, table, .code, .overflow-x-auto'))
            .map((e) => e.className)""")
        wide[path] += page.evaluate("""() => [...document.querySelectorAll('#page *')]
            .filter((e) => e.getBoundingClientRect().right > 391
                && !e.closest('table, .overflow-x-auto, svg, pre, .code'))
            .map((e) => e.className)""")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    assert {path: found for path, found in wide.items() if found} == {}


def test_every_page_says_that_it_cannot_have_what_it_needs_and_tries_again(
    stub: Stub, open_page: Open
) -> None:
    address = stub()
    page = open_page(address)
    problem = '{"error": {"message": "The database is busy.", "fix": "Try again in a moment."}}'
    asked = re.compile("/api/(?!session)")
    alerts = page.locator("#page").get_by_role("alert")
    for path in (*PAGES, "/snippets", "/welcome"):
        # The one needs nothing, in the other an answer failed by itself.
        if path in ("/nowhere", "/c/c3"):
            continue
        page.route(asked, lambda route: route.fulfill(status=503, body=problem))
        page.goto(f"{address}{path}")
        expect(alerts.first, path).to_contain_text("The database is busy.")
        page.unroute(asked)
        while again := alerts.get_by_role("button", name="Try again").all():
            before = len(again)
            again[0].click()
            expect(alerts, path).not_to_have_count(before)
        expect(alerts, path).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(stub: Stub, open_page: Open, scheme: str) -> None:
    address = stub()
    page = open_page(address, color_scheme=scheme, reduced_motion="reduce")
    found = {}
    for path in PAGES:
        page.goto(f"{address}{path}")
        settled(page)
        found[path] = violations(page)
    assert {path: what for path, what in found.items() if what} == {}
