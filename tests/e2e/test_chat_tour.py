"""Everything that the chat offers, on the real server: what an answer comes with, and what can be done with it."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.browsing import IN_A_BROWSER, visitor
from tests.e2e.conftest import SAMPLE, Server, start
from tests.e2e.cut_wire import wired
from tests.e2e.slow_endpoint import HERE, SlowEndpoint, serving
from tests.e2e.team import done, signed_in

pytestmark = IN_A_BROWSER

SETTINGS = """\
model: coder
models:
  coder: {{base_url: "{url}", model: coder}}
  other: {{base_url: "{url}", model: other}}
prices: {{coder: {{input: 1000, output: 1000}}}}
"""
SUMMARY = (
    "Adds up what stands on a bill, line by line, and returns the sum in the currency of the first line."
)
CODE = "def {name}(lines):\n    return sum(line.amount for line in lines)\n"
ANSWER = "Here it is [1]:\n\n```python\n" + CODE + "```\n\nIt adds every line once."
NUMBERS = itertools.count(1)
GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[SlowEndpoint]:
    with serving(0) as one:
        yield one


@pytest.fixture(scope="module")
def shop(endpoint: SlowEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over a repository at one commit; all models are at `endpoint`."""
    folder = tmp_path_factory.mktemp("tour")
    repository = folder / "shop"
    shutil.copytree(SAMPLE, repository)
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "All of it"]):
        subprocess.run([*GIT, *words], cwd=repository, check=True)
    settings = folder / "codeweft.yaml"
    settings.write_text(SETTINGS.format(url=endpoint.url))
    server = start(folder / "home", "--config", str(settings), "--code", str(repository))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def admin(shop: Server, endpoint: SlowEndpoint) -> Iterator[httpx.Client]:
    """The administrator's API; the repository is indexed, and its functions have summaries."""
    link = shop.wait_for(r"Sign in .*?(http://\S+)")[1]
    with closing(signed_in(shop.url, link)) as client:
        until(lambda: done(client.get("/api/indexes"))[0]["state"] == "ready")
        with endpoint.saying(SUMMARY):
            done(client.post("/api/indexes/shop/summaries", json={"models": ["coder"], "language": "en"}))
            until(lambda: done(client.get("/api/indexes/shop/summaries"))["summarised"] > 4)
        yield client


def until(reached: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.1)


@pytest.fixture
def page(browser: Browser, shop: Server, admin: httpx.Client) -> Iterator[Page]:
    """The chat of a user who is new here, so that tests know nothing of each other."""
    user = done(admin.post("/api/users", json={"name": f"User {next(NUMBERS)}", "role": "admin"}))
    opened = visitor(browser, base_url=shop.url)
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=shop.url)
    opened.goto(done(admin.post(f"/api/users/{user['id']}/signin"))["path"])
    expect(opened.get_by_label("Your message")).to_be_focused()
    yield opened
    opened.context.close()


def code(name: str) -> str:
    """A function of that name."""
    return CODE.format(name=name)


def answer(name: str) -> str:
    """An answer with that function in a block of code."""
    return ANSWER.format(name=name)


def ask(page: Page, question: str) -> Locator:
    """The finished answer to a question."""
    answers = page.get_by_role("article", name="Answer")
    before = answers.count()
    page.get_by_label("Your message").fill(question)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(answers).to_have_count(before + 1)
    return ended(answers.nth(before))


def ended(answer: Locator) -> Locator:
    expect(answer).to_have_attribute("aria-busy", "false")
    expect(answer.get_by_role("button", name="Answer again")).to_be_visible()
    return answer


def last_question(endpoint: SlowEndpoint) -> str:
    """What the model read last."""
    return str(endpoint.asked[-1]["messages"][-1]["content"])


def in_the_chat(page: Page) -> Locator:
    """The conversation; the menu beside it repeats its title."""
    return page.get_by_role("log", name="Conversation")


# ── a block of code ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_block_of_code_is_copied_downloaded_and_wrapped(page: Page, endpoint: SlowEndpoint) -> None:
    with endpoint.saying(answer("add_lines")):
        block = ask(page, "Add up lines, please").get_by_role("figure")
    block.get_by_role("button", name="Copy", exact=True).click()
    expect(block.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == code("add_lines").rstrip()
    with page.expect_download() as saved:
        block.get_by_role("button", name="Download", exact=True).click()
    assert saved.value.suggested_filename == "snippet.py"
    assert Path(saved.value.path()).read_text() == code("add_lines").rstrip()
    written = block.locator("pre")
    expect(written).to_have_css("white-space-collapse", "preserve")
    expect(written).to_have_css("text-wrap-mode", "nowrap")
    block.get_by_role("button", name="Wrap lines", exact=True).click()
    expect(written).to_have_css("text-wrap-mode", "wrap")


def test_code_is_explained_reviewed_translated_and_gets_tests_from_the_apps_for_it(
    page: Page, endpoint: SlowEndpoint
) -> None:
    with endpoint.saying(answer("sum_up")):
        ask(page, "Sum up lines, please")
    answers = page.get_by_role("article", name="Answer")
    for number, (item, asked) in enumerate(
        {
            "Explain": "Explain this code.",
            "Write tests": "Write tests for this code.",
            "Review": "Review this code",
            "Translate to…": "Translate this code to Go.",
        }.items(),
        start=1,
    ):
        with endpoint.saying(f"What the model says of it: {number}."):
            answers.first.get_by_role("button", name="What to do with this code").click()
            page.get_by_role("menuitem", name=item, exact=True).click()
            if "Go" in asked:
                page.get_by_role("menuitem", name="Go", exact=True).click()
            expect(answers).to_have_count(number + 1)
            expect(ended(answers.nth(number))).to_contain_text(f"says of it: {number}.")
        # What was checked says so by its badge, and not in its text as well.
        expect(answers.nth(number)).not_to_contain_text("Not verified")
        read = last_question(endpoint)
        assert asked in read and code("sum_up") in read


# ── what an answer tells ─────────────────────────────────────────────────────────────────────────────────────


def test_a_reference_opens_the_function_with_its_summary_place_commit_and_why(
    page: Page, endpoint: SlowEndpoint
) -> None:
    with endpoint.saying(answer("totals")):
        told = ask(page, "Write a function that adds up the lines of an invoice")
    told.get_by_role("button", name=re.compile("invoice_total")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("billing/invoices.py:6-11")
    expect(dialog.get_by_text(SUMMARY)).to_be_visible()
    expect(dialog.get_by_text("Commit", exact=True).locator("xpath=following-sibling::dd")).to_have_text(
        re.compile(r"^[0-9a-f]{10}$")
    )
    expect(dialog.get_by_role("heading", name="Why it matched")).to_be_visible()
    expect(dialog.locator("pre")).to_contain_text("def invoice_total")
    dialog.get_by_role("button", name="Open file").click()
    expect(dialog.locator("pre")).to_contain_text("def overdue_invoices")


def test_an_answer_tells_its_model_its_tokens_and_its_cost(page: Page, endpoint: SlowEndpoint) -> None:
    with endpoint.saying(answer("costs")):
        told = ask(page, "What do the lines cost?")
    expect(told).to_contain_text("Written by coder")
    expect(told).to_contain_text("99 tokens")
    # 9 tokens read and 99 written, at a thousand dollars for a million.
    expect(told.get_by_title("Cost of this answer")).to_have_text("$0.11")


def test_a_rating_with_its_comment_is_kept_and_exported(page: Page, endpoint: SlowEndpoint) -> None:
    with endpoint.saying(answer("rated")):
        told = ask(page, "What is this answer worth?")
    told.get_by_role("button", name="Bad answer").click()
    told.get_by_label("What was good or bad about it?").fill("It forgets the pears.")
    told.get_by_role("button", name="Send", exact=True).click()
    expect(told.get_by_text("Thank you, noted.")).to_be_visible()
    page.reload()
    expect(told.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    page.goto("/admin/feedback")
    expect(page.get_by_role("listitem").filter(has_text="“It forgets the pears.”").first).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="JSON Lines").click()
    rows = [json.loads(line) for line in Path(saved.value.path()).read_text().splitlines()]
    row = next(row for row in rows if row["comment"] == "It forgets the pears.")
    assert (row["question"], row["rating"]) == ("What is this answer worth?", "bad")
    assert row["answer"] == answer("rated")


def test_the_code_of_an_answer_is_among_the_snippets_until_it_is_deleted(
    page: Page, endpoint: SlowEndpoint
) -> None:
    with endpoint.saying(answer("kept_snippet")):
        ask(page, "Write what is worth keeping")
    page.goto("/snippets")
    with page.expect_response(re.compile("q=kept_snippet")):
        page.get_by_label("Search snippets").fill("kept_snippet")
    item = page.get_by_role("main").get_by_role("listitem", name="Write what is worth keeping")
    expect(item.locator("pre")).to_contain_text("def kept_snippet")
    item.get_by_role("button", name="Delete snippet").click()
    expect(page.get_by_text("No snippet mentions “kept_snippet”.")).to_be_visible()


# ── versions and branches ────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_written_again_stands_beside_the_first(page: Page, endpoint: SlowEndpoint) -> None:
    with endpoint.saying(answer("first_try")):
        told = ask(page, "Try this twice")
    with endpoint.saying(answer("second_try")):
        told.get_by_role("button", name="Answer again").click()
        expect(told).to_contain_text("def second_try")
        ended(told)
    expect(told).to_have_count(1)
    versions = told.get_by_role("group", name="Versions")
    expect(versions).to_contain_text("2/2")
    versions.get_by_role("button", name="Earlier version").click()
    expect(told).to_contain_text("def first_try")
    page.reload()
    expect(told).to_contain_text("def first_try")
    expect(versions).to_contain_text("1/2")


def test_an_edited_question_begins_a_branch_that_knows_nothing_of_the_old_one(
    page: Page, endpoint: SlowEndpoint
) -> None:
    with endpoint.saying(answer("plums")):
        ask(page, "Count the plums")
    with endpoint.saying(answer("after_plums")):
        ask(page, "And now in one line")
    mine = page.get_by_role("article", name="You")
    mine.first.hover()
    mine.first.get_by_role("button", name="Edit and send again").click()
    editor = page.get_by_role("textbox", name="Edit and send again")
    expect(editor).to_be_focused()
    with endpoint.saying(answer("pears")):
        editor.fill("Count the pears")
        editor.press("Enter")
        told = page.get_by_role("article", name="Answer")
        expect(told).to_have_count(1)
        expect(told).to_contain_text("def pears")
        ended(told)
    said = [turn["content"] for turn in endpoint.asked[-1]["messages"] if turn["role"] == "user"]
    assert len(said) == 1 and "Count the pears" in said[0] and "plums" not in said[0]
    versions = mine.first.get_by_role("group", name="Versions")
    expect(versions).to_contain_text("2/2")
    versions.get_by_role("button", name="Earlier version").click()
    expect(told).to_have_count(2)
    expect(told.first).to_contain_text("def plums")
    expect(told.last).to_contain_text("def after_plums")


def test_an_answer_that_was_cut_off_is_continued(page: Page, endpoint: SlowEndpoint) -> None:
    with endpoint.saying("It begins", reason="length"):
        told = ask(page, "Write more than fits")
    expect(told).to_contain_text("The answer reached its maximum length.")
    with endpoint.saying(" and it ends."):
        told.get_by_role("button", name="Continue").click()
        answers = page.get_by_role("article", name="Answer")
        expect(answers).to_have_count(2)
        expect(ended(answers.last)).to_contain_text("and it ends.")
    turns = endpoint.asked[-1]["messages"]
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[2]["content"].startswith("It begins") and "Continue exactly" in turns[3]["content"]


# ── what a question goes out with ────────────────────────────────────────────────────────────────────────────


def test_model_index_and_preset_are_chosen_sent_and_remembered(page: Page, endpoint: SlowEndpoint) -> None:
    page.get_by_role("button", name=re.compile("^Model or app: ")).click()
    page.get_by_role("option", name=re.compile("^codegen ")).click()
    page.get_by_role("button", name=re.compile("^Index: ")).click()
    page.get_by_role("option", name=re.compile("^shop ")).click()
    page.get_by_role("button", name=re.compile("^Sampling: ")).click()
    page.get_by_role("radio", name="Precise").click()
    page.get_by_label("Maximum tokens").fill("77")
    page.keyboard.press("Escape")
    page.reload()
    expect(page.get_by_role("button", name="Index: shop")).to_be_visible()
    expect(page.get_by_role("button", name="Sampling: Precise")).to_be_visible()
    with endpoint.saying(answer("chosen")):
        told = ask(page, "Add up the lines of an invoice")
        expect(told.get_by_role("region", name="References")).to_be_visible()
        sent = endpoint.asked[-1]
        assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("coder", 0, 77)
        assert "def invoice_total" in last_question(endpoint)
        page.get_by_role("button", name="Index: shop").click()
        page.get_by_role("option", name=re.compile("^No retrieval")).click()
        told = ask(page, "Add up the lines of another invoice")
        assert "Add up the lines of another invoice" in last_question(endpoint)
        assert "def invoice_total" not in last_question(endpoint)
        page.get_by_role("button", name=re.compile("^Model or app: ")).click()
        page.get_by_role("option", name=re.compile("^other ")).click()
        told = ask(page, "And once more")
        expect(told).to_contain_text("Written by other")
        assert endpoint.asked[-1]["model"] == "other"


def test_an_attached_file_is_read_by_the_model_and_opens_from_its_chip(
    page: Page, endpoint: SlowEndpoint, tmp_path: Path
) -> None:
    file = tmp_path / "orchard.py"
    file.write_text("TREES = {'plum': 12}\n")
    page.locator("form input[type=file]").set_input_files(file)
    expect(page.get_by_role("button", name="Remove orchard.py")).to_be_visible()
    with endpoint.saying(answer("trees")):
        ask(page, "How many trees are there?")
    assert "TREES = {'plum': 12}" in last_question(endpoint) and "orchard.py" in last_question(endpoint)
    page.reload()
    page.get_by_role("article", name="You").get_by_role("button", name=re.compile("orchard.py")).click()
    expect(page.get_by_role("dialog", name="orchard.py")).to_contain_text("TREES = {'plum': 12}")


# ── conversations ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_conversation_is_found_by_what_was_answered(page: Page, endpoint: SlowEndpoint) -> None:
    with endpoint.saying("Use the quincunx arrangement."):
        ask(page, "How are trees planted?")
    page.goto("/")
    page.get_by_label("Search conversations").fill("quincunx")
    found = page.get_by_role("link", name=re.compile("^How are trees planted"))
    expect(found).to_contain_text("quincunx")
    found.click()
    expect(in_the_chat(page)).to_contain_text("Use the quincunx arrangement.")


def test_an_exported_conversation_comes_back_by_import(
    page: Page, endpoint: SlowEndpoint, tmp_path: Path
) -> None:
    with endpoint.saying(answer("travelled")):
        ask(page, "Pack this and unpack it")
    link = page.get_by_role("link", name="Pack this and unpack it")
    options = page.get_by_role("button", name="Options for Pack this and unpack it")
    link.hover()
    options.click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="Export as JSON").click()
    file = tmp_path / "chat.json"
    saved.value.save_as(file)
    options.click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(link).to_have_count(0)
    page.get_by_label("Import…").set_input_files(file)
    expect(page.get_by_text("1 conversation imported")).to_be_visible()
    link.click()
    expect(in_the_chat(page)).to_contain_text("def travelled")


def test_the_palette_opens_a_conversation_and_the_list_of_shortcuts_is_a_key_away(
    page: Page, endpoint: SlowEndpoint
) -> None:
    with endpoint.saying(answer("palette")):
        ask(page, "Where does the palette lead?")
    page.goto("/models")
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    page.locator("#page").focus()
    page.keyboard.press("?")
    shortcuts = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(shortcuts).to_contain_text("Stop the answer")
    page.keyboard.press("Escape")
    expect(shortcuts).to_be_hidden()
    page.keyboard.press("Control+k")
    page.get_by_role("dialog").get_by_role("combobox").fill("where does the palette")
    expect(page.get_by_role("option", name="Where does the palette lead?")).to_be_visible()
    page.keyboard.press("Enter")
    expect(in_the_chat(page)).to_contain_text("def palette")


# ── in the middle of an answer ───────────────────────────────────────────────────────────────────────────────

HALVES = "The first half stands." + HERE + "\n\nThe second half follows."


def begin(page: Page, question: str) -> Locator:
    """An answer that is being written and has its first half."""
    page.get_by_label("Your message").fill(question)
    page.get_by_role("button", name="Send", exact=True).click()
    told = page.get_by_role("article", name="Answer")
    expect(told).to_contain_text("The first half stands.")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    return told


def whole(told: Locator) -> None:
    expect(told).to_contain_text("The second half follows.")
    ended(told)
    # Not inner_text, which leaves out what the browser need not draw.
    text = told.text_content() or ""
    assert text.count("The first half stands.") == text.count("The second half follows.") == 1


def test_an_answer_that_is_stopped_keeps_what_stands(page: Page, endpoint: SlowEndpoint) -> None:
    with endpoint.saying(HALVES):
        told = begin(page, "Stop halfway")
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(told.get_by_text("Stopped", exact=True)).to_be_visible()
    expect(told).to_contain_text("The first half stands.")
    page.reload()
    expect(told.get_by_text("Stopped", exact=True)).to_be_visible()
    expect(told).to_contain_text("The first half stands.")
    expect(told).not_to_contain_text("The second half")


def test_after_a_reload_in_its_middle_an_answer_goes_on(page: Page, endpoint: SlowEndpoint) -> None:
    with endpoint.saying(HALVES):
        told = begin(page, "Reload halfway")
        page.reload()
        expect(told).to_contain_text("The first half stands.")
        expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
        endpoint.go_on()
        whole(told)


def test_after_a_lost_connection_an_answer_goes_on_where_it_was(
    page: Page, shop: Server, endpoint: SlowEndpoint
) -> None:
    with wired(shop.url) as wire, endpoint.saying(HALVES):
        page.goto(wire.url)
        expect(page.get_by_label("Your message")).to_be_focused()
        told = begin(page, "Lose the connection halfway")
        wire.cut()
        expect(told.get_by_text("Connection lost. The answer goes on; reconnecting…").first).to_be_visible()
        endpoint.go_on()
        wire.mend()
        whole(told)
