"""The page in a real browser against the real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import IN_A_BROWSER, PATIENCE_MS, until
from tests.e2e.conftest import SAMPLE, Server, start
from tests.e2e.slow_endpoint import SlowEndpoint, serving

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def slow() -> Iterator[SlowEndpoint]:
    with serving() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def slow_server(slow: SlowEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose default model writes a known answer slowly."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "codeweft.yaml").write_text(f"base_url: {slow.url}\nmodel: slow\n")
    running = start(folder / "home", "--config", str(folder / "codeweft.yaml"), "--code", str(SAMPLE))
    running.wait_for("Codeweft is ready at")
    yield running
    running.stop()


def signed_in(browser: Browser, server: Server) -> Page:
    """A page of a new visitor who used a one-time link. Anything wrong in the page's script fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-US")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: pytest.fail(f"the page raised {error}"))
    page.goto(server.signin_link())
    expect(page.get_by_label("Your message")).to_be_visible()
    return page


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """Signed in to the server with the real engine."""
    opened = signed_in(browser, server)
    yield opened
    opened.context.close()


@pytest.fixture
def slow_page(browser: Browser, slow_server: Server) -> Iterator[Page]:
    opened = signed_in(browser, slow_server)
    yield opened
    opened.context.close()


def ask(page: Page, text: str) -> None:
    # While an answer is written, or being stopped, nothing is sent.
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    page.get_by_label("Your message").fill(text)
    page.get_by_label("Your message").press("Enter")


def test_without_signing_in_nothing_is_shown_but_how_to(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    page.goto(server.url)
    page.get_by_text("With a one-time link").click()
    expect(page.get_by_text("codeweft signin")).to_be_visible()
    expect(page.get_by_label("Your message")).to_have_count(0)
    page.close()


def test_a_link_signs_in_only_once(browser: Browser, server: Server) -> None:
    link = server.signin_link()
    first = browser.new_page()
    first.goto(link)
    expect(first.get_by_label("Your message")).to_be_visible()
    second = browser.new_context().new_page()
    second.goto(link)
    expect(second.get_by_text("codeweft signin")).to_be_visible()
    first.close()
    second.context.close()


def test_an_answer_of_the_real_engine_shows_its_references_and_who_wrote_it(page: Page) -> None:
    ask(page, "Write a function that adds up the lines of an invoice")
    expect(page.get_by_role("button", name="Answer again")).to_be_visible(timeout=60_000)
    chip = page.get_by_role("button", name=re.compile(r"invoice_total"))
    expect(chip.first).to_be_visible()
    expect(page.get_by_text("starter model").first).to_be_visible()
    chip.first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("billing/invoices.py").first).to_be_visible()
    expect(dialog.get_by_text("Add up the lines of an invoice").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_an_explained_answer_of_the_real_engine_shows_scores_and_the_prompt(page: Page) -> None:
    page.get_by_role("button", name="Sampling").click()
    page.get_by_role("switch", name="Explain answers").check()
    page.keyboard.press("Escape")
    ask(page, "Write a function that adds up the lines of an invoice")
    expect(page.get_by_role("button", name="Answer again")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="What was retrieved and why").click()
    drawer = page.get_by_role("dialog", name="What was retrieved and why")
    shown = drawer.get_by_role("region", name=re.compile(r"^Shown to the model"))
    expect(shown).to_contain_text("billing/invoices.py")
    drawer.get_by_role("tab", name="Prompt").click()
    expect(drawer).to_contain_text("Add up the lines of an invoice")
    expect(drawer.get_by_role("region", name="User").last).to_contain_text("adds up the lines")


def test_code_streams_in_highlighted_and_citations_are_links(slow_page: Page) -> None:
    ask(slow_page, "Add up invoice lines")
    code = slow_page.locator("pre code").first
    expect(code).to_contain_text("def add_lines")
    expect(slow_page.get_by_role("button", name="Stop")).to_be_visible()
    expect(code.locator("span").first).to_be_visible()
    slow_page.get_by_role("button", name="Stop").click()
    slow_page.get_by_role("button", name="Reference 1").or_(
        slow_page.get_by_role("link", name="Reference 1")
    ).first.click()
    expect(slow_page.get_by_role("dialog")).to_be_visible()


def test_stopping_keeps_what_was_written_and_reaches_the_model(slow_page: Page, slow: SlowEndpoint) -> None:
    ask(slow_page, "Add up invoice lines slowly")
    expect(slow_page.locator("pre code").first).to_contain_text("return total")
    slow_page.get_by_role("button", name="Stop").click()
    expect(slow_page.get_by_role("button", name="Answer again")).to_be_visible()
    until(lambda: slow.open_streams == 0, seconds=5)
    slow_page.reload()
    expect(slow_page.locator("pre code").first).to_contain_text("def add_lines")


def test_code_can_be_copied(slow_page: Page) -> None:
    ask(slow_page, "Add up invoice lines to copy")
    expect(slow_page.locator("pre code").first).to_contain_text("return total")
    slow_page.get_by_role("button", name="Stop").click()
    expect(slow_page.get_by_role("button", name="Answer again")).to_be_visible()
    slow_page.get_by_role("figure").get_by_role("button", name="Copy", exact=True).first.click()
    copied = slow_page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("def add_lines(lines):\n    total = 0\n")


def test_an_answer_can_be_made_again(slow_page: Page, slow: SlowEndpoint) -> None:
    ask(slow_page, "Add up invoice lines twice")
    expect(slow_page.locator("pre code").first).to_contain_text("def add_lines")
    slow_page.get_by_role("button", name="Stop").click()
    asked = len(slow.asked)
    slow_page.get_by_role("button", name="Answer again").click()
    expect(slow_page.get_by_role("button", name="Stop")).to_be_visible()
    until(lambda: len(slow.asked) > asked)
    expect(slow_page.locator("pre code")).to_have_count(1)
    slow_page.get_by_role("button", name="Stop").click()
    assert len(slow.asked) == asked + 1


def test_a_reload_in_the_middle_of_an_answer_goes_on(slow_page: Page) -> None:
    ask(slow_page, "Add up invoice lines and reload")
    expect(slow_page.locator("pre code").first).to_contain_text("def add_lines")
    slow_page.reload()
    expect(slow_page.get_by_role("button", name="Stop")).to_be_visible()
    before = len(slow_page.get_by_role("main").text_content() or "")
    expect(slow_page.get_by_text("It adds every line once").first).to_be_visible()
    until(lambda: len(slow_page.get_by_role("main").text_content() or "") > before)
    slow_page.get_by_role("button", name="Stop").click()


def test_conversations_are_kept_and_turns_stay_turns(slow_page: Page, slow: SlowEndpoint) -> None:
    ask(slow_page, "Remember the number 41")
    expect(slow_page.locator("pre code").first).to_contain_text("def add_lines")
    slow_page.get_by_role("button", name="Stop").click()
    ask(slow_page, "What was the number that I told you before?")
    expect(slow_page.locator("pre code")).to_have_count(2)
    slow_page.get_by_role("button", name="Stop").click()
    messages = slow.asked[-1]["messages"]
    assert isinstance(messages, list)
    assert [turn["role"] for turn in messages] == ["system", "user", "assistant", "user"]
    slow_page.get_by_role("link", name="New chat").or_(
        slow_page.get_by_role("button", name="New chat")
    ).first.click()
    slow_page.get_by_role("link", name=re.compile("Remember the number 41")).first.click()
    expect(slow_page.locator("pre code")).to_have_count(2)


def test_model_index_and_sampling_can_be_chosen(slow_page: Page, slow: SlowEndpoint) -> None:
    slow_page.get_by_role("button", name="Sampling").click()
    slow_page.get_by_label("Seed").fill("7")
    slow_page.get_by_label("Maximum tokens").fill("33")
    slow_page.keyboard.press("Escape")
    slow_page.get_by_role("button", name=re.compile("^Model or app")).click()
    slow_page.get_by_role("menuitemradio", name=re.compile("^slow")).or_(
        slow_page.get_by_role("option", name=re.compile("^slow"))
    ).first.click()
    ask(slow_page, "Just the model")
    expect(slow_page.locator("pre code").first).to_contain_text("def add_lines")
    slow_page.get_by_role("button", name="Stop").click()
    sent = slow.asked[-1]
    assert sent["seed"] == 7 and sent["max_tokens"] == 33
    assert len(sent["messages"]) == 1  # type: ignore[arg-type]


def test_code_can_be_added_searched_and_deleted(page: Page, server: Server, tmp_path: Path) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "books.py").write_text(
        "def borrow_book(reader, title):\n    return reader, title\n"
    )
    page.goto(f"{server.url}/knowledge")
    page.get_by_role("button", name="Add code").first.click()
    page.get_by_label("Path on the server").fill(str(tmp_path / "shelf"))
    page.get_by_role("dialog").get_by_role("button", name="Add code").click()
    expect(page.get_by_text("shelf", exact=True).first).to_be_visible()
    expect(page.get_by_text("Ready")).to_have_count(2)
    page.get_by_placeholder("parse a date from a string").fill("borrow a book")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_text("borrow_book").first).to_be_visible()
    page.get_by_role("button", name="Options for shelf").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Ready")).to_have_count(1)


def test_a_folder_that_does_not_exist_is_said_in_the_dialog(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/knowledge")
    page.get_by_role("button", name="Add code").first.click()
    page.get_by_label("Path on the server").fill("/no/such/folder")
    page.get_by_role("dialog").get_by_role("button", name="Add code").click()
    expect(page.get_by_role("dialog").get_by_text("/no/such/folder").first).to_be_visible()


def test_a_key_is_shown_once_and_works(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/connect")
    page.get_by_label("What is it for?").fill("browser test")
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_text("Copy it now")).to_be_visible()
    expect(page.get_by_text(re.compile("cw_[A-Za-z0-9_-]{40,}")).first).to_be_visible()
    page.reload()
    expect(page.get_by_text("browser test").first).to_be_visible()
    expect(page.get_by_text(re.compile("cw_[A-Za-z0-9_-]{40,}"))).to_have_count(0)


def test_models_say_what_they_are(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/models")
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    expect(page.get_by_text("starter", exact=True).first).to_be_visible()
    expect(page.get_by_text("codegen", exact=True).first).to_be_visible()
    expect(page.get_by_text("Infilling").first).to_be_visible()


def test_the_page_fits_a_phone(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    page.goto(server.signin_link())
    for place in ("/", "/knowledge", "/models", "/connect"):
        page.goto(server.url + place)
        page.wait_for_load_state("networkidle")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, place
    context.close()
