"""Where code comes from, how fresh it is, what was taken out of it, and its summaries."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Route, expect

from .conftest import Open, Stub, violations


def test_a_private_repository_is_added_at_a_branch_with_a_token(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('empty')}/knowledge")
    page.get_by_role("button", name="Add code").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Git repository").click()
    dialog.get_by_label("Git URL").fill("https://git.example.com/shop.git")
    dialog.get_by_label("Branch, tag or commit").fill("v2.1")
    token = dialog.get_by_label("Access token")
    assert token.get_attribute("type") == "password"
    token.fill("secret")
    dialog.get_by_label("Fetch again every").fill("5")
    with page.expect_request(re.compile("/api/indexes$")) as sent:
        dialog.get_by_role("button", name="Add code").click()
    assert sent.value.post_data_json == {
        "source": "https://git.example.com/shop.git#v2.1",
        "web": False,
        "token": "secret",
        "refresh_minutes": 5,
    }
    expect(dialog).to_be_hidden()


def test_web_pages_are_added_as_such_and_a_refusal_is_shown_as_the_server_words_it(
    stub: Stub, open_page: Open
) -> None:
    page = open_page(f"{stub('empty')}/knowledge")

    def refuse(route: Route) -> None:
        if route.request.method != "POST":
            return route.fallback()
        said = {"message": "'docs' is not the address of a web page.", "fix": "Start it with https://."}
        return route.fulfill(status=400, body=json.dumps({"error": said}))

    page.route("**/api/indexes", refuse)
    page.get_by_role("button", name="Add code").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Web pages").click()
    dialog.get_by_label("Address").fill("docs")
    with page.expect_request(lambda request: request.method == "POST") as sent:
        dialog.get_by_role("button", name="Add code").click()
    assert sent.value.post_data_json == {"source": "docs", "web": True}
    problem = dialog.get_by_role("alert")
    expect(problem).to_contain_text("'docs' is not the address of a web page.")
    expect(problem).to_contain_text("Start it with https://.")
    dialog.get_by_text("Folder or file").click()
    expect(problem).to_have_count(0)
    expect(dialog.get_by_label("Access token")).to_have_count(0)


def test_secrets_are_counted_and_listed_for_administrators(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge")
    page.get_by_role("link", name="3 secrets removed").click()
    expect(page.get_by_role("tab", name=re.compile("Secrets"))).to_have_attribute("aria-selected", "true")
    row = page.get_by_role("listitem").filter(has_text="docs/setup.md:31")
    expect(row).to_contain_text("GitHub token")


def test_who_is_no_administrator_sees_how_many_secrets_but_not_where(stub: Stub, open_page: Open) -> None:
    address = stub()
    page = open_page(address)
    user = {"user": {"id": "u2", "name": "Bob", "role": "member"}, "version": "0.1.0"}
    page.route("**/api/session", lambda route: route.fulfill(json=user))
    page.goto(f"{address}/knowledge/codeweft?tab=secrets")
    expect(page.get_by_text("Secrets removed")).to_be_visible()
    expect(page.get_by_role("tab", name=re.compile("Files"))).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tab", name=re.compile("Secrets"))).to_have_count(0)


def test_each_index_says_how_fresh_it_is(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge")
    card = page.get_by_role("listitem")
    expect(card.filter(has_text="/srv/code/codeweft")).to_contain_text("Watched")
    git = card.filter(has_text="payments-api.git")
    expect(git).to_contain_text("Read again every 30 min")
    expect(git).to_contain_text("Overdue")
    expect(card.filter(has_text="handbook")).to_contain_text("Indexed when you ask for it")


def test_summaries_say_their_cost_then_are_written_and_deleted(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge/codeweft")
    page.get_by_role("button", name="Summaries…").click()
    dialog = page.get_by_role("dialog", name="Summaries: codeweft")
    expect(dialog).to_contain_text("0 of 4,127 chunks have one")
    start = dialog.get_by_role("button", name="Start", exact=True)
    expect(start).to_have_count(0)
    dialog.get_by_label("Language").fill("ko")
    dialog.get_by_label("qwen3-coder-30b").check()
    dialog.get_by_label("At most").fill("100")
    with page.expect_request(re.compile("/summaries$")) as asked:
        dialog.get_by_role("button", name="What will it cost?").click()
    choice = {"language": "ko", "models": ["qwen3-coder-30b"], "limit": 100}
    assert asked.value.post_data_json == {**choice, "dry_run": True}
    cost = dialog.get_by_role("status")
    expect(cost).to_contain_text("31,000")
    expect(cost).to_contain_text("$0.004")
    dialog.get_by_label("At most").fill("200")
    expect(start).to_have_count(0)
    dialog.get_by_role("button", name="What will it cost?").click()
    with page.expect_request(re.compile("/summaries$")) as begun:
        start.click()
    assert begun.value.post_data_json == {**choice, "limit": 200}
    expect(dialog.get_by_role("progressbar")).to_be_visible()
    expect(dialog.get_by_text(re.compile(r"\d+ of 200"))).to_be_visible()
    expect(dialog.get_by_text("Last run: ko, by qwen3-coder-30b")).to_be_visible(timeout=20_000)
    expect(dialog).to_contain_text("200 of 4,127 chunks have one")
    dialog.get_by_text("1 failed").click()
    expect(dialog).to_contain_text("no usable answer")
    dialog.get_by_role("button", name="Delete summaries").click()
    confirm = page.get_by_role("dialog", name="Delete the summaries?")
    with page.expect_request(lambda request: request.method == "DELETE") as gone:
        confirm.get_by_role("button", name="Delete", exact=True).click()
    assert gone.value.url.endswith("?language=ko")
    expect(confirm).to_be_hidden()
    expect(dialog).to_contain_text("0 of 4,127 chunks have one")


def test_a_language_that_there_is_not_is_refused_in_the_dialog(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge/handbook")
    page.get_by_role("button", name="Summaries…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Language").fill("xx")
    dialog.get_by_role("button", name="What will it cost?").click()
    expect(dialog.get_by_role("alert")).to_contain_text("There is no language “xx”.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_dialogs(stub: Stub, open_page: Open, scheme: str) -> None:
    address = stub()
    page = open_page(f"{address}/knowledge", color_scheme=scheme, reduced_motion="reduce", width=390)
    page.get_by_role("button", name="Add code").first.click()
    page.get_by_role("dialog").get_by_text("Git repository").click()
    assert violations(page) == []
    page.goto(f"{address}/knowledge/codeweft")
    page.get_by_role("button", name="Summaries…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="What will it cost?").click()
    expect(dialog.get_by_role("button", name="Start", exact=True)).to_be_visible()
    assert violations(page) == []
    dialog.get_by_role("button", name="Start", exact=True).click()
    expect(dialog.get_by_role("progressbar")).to_be_visible()
    assert violations(page) == []


def files(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "mimeType": "text/plain", "buffer": b"def f(): ...\n" * 9} for name in names]


def test_many_files_are_uploaded_each_with_its_own_outcome(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge/handbook")
    said = {"message": "'b.bin' cannot be read.", "fix": "Upload text.", "code": "invalid", "param": None}
    sent: list[str] = []

    def once(route: Route) -> None:
        name = re.search(r'filename="([^"]+)"', route.request.post_data or "")
        assert name
        sent.append(name[1])
        if name[1] == "b.bin" and sent.count("b.bin") == 1:
            return route.fulfill(status=400, body=json.dumps({"error": said}))
        return route.fallback()

    page.route("**/indexes/handbook/files", once)
    page.get_by_role("button", name="Upload files").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Choose files").set_input_files(files("a.py", "b.bin", "c.py"))
    dialog.get_by_role("button", name="Upload files").click()
    expect(dialog.get_by_role("alert")).to_have_text("'b.bin' cannot be read. Upload text.")
    expect(dialog.get_by_label("Uploaded")).to_have_count(2)
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_be_hidden()
    assert sorted(sent) == ["a.py", "b.bin", "b.bin", "c.py"]


def test_the_chunks_of_a_file_are_listed_with_their_summaries(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge/codeweft")
    page.get_by_role("button", name=re.compile("config.py")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("tab", name="Chunks").click()
    chunk = dialog.get_by_role("listitem").filter(has_text="lines 13–24")
    expect(chunk).to_contain_text("Reads the settings file and checks every value.")
    chunk.get_by_text("load", exact=True).click()
    expect(chunk).to_contain_text("line_13 = 0")
    assert violations(page) == []


def test_an_index_gets_a_schedule(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge/payments-api")
    page.get_by_role("button", name="Schedule").click()
    dialog = page.get_by_role("dialog", name="Schedule: payments-api")
    dialog.get_by_label("Every … minutes").fill("5")
    with page.expect_request(lambda one: one.method == "PATCH") as sent:
        dialog.get_by_role("button", name="Save").click()
    assert sent.value.post_data_json == {"refresh_minutes": 5}
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("Read again every 5 min")).to_be_visible()


def test_all_uploaded_files_are_deleted_after_a_question(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge/handbook")
    page.get_by_role("button", name="Delete all files").click()
    dialog = page.get_by_role("dialog")
    with page.expect_request(lambda one: one.method == "DELETE") as sent:
        dialog.get_by_role("button", name="Delete all files").click()
    assert sent.value.url.endswith("/indexes/handbook/files?everything=true")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Delete all files")).to_have_count(0)


def test_who_is_no_administrator_is_offered_no_change_of_what_is_indexed(stub: Stub, open_page: Open) -> None:
    address = stub()
    page = open_page(address)
    user = {"user": {"id": "u2", "name": "Bob", "role": "member"}, "version": "0.1.0"}
    page.route("**/api/session", lambda route: route.fulfill(json=user))
    page.goto(f"{address}/knowledge")
    expect(page.get_by_role("link", name="payments-api")).to_be_visible()
    for name in ("Add code", "Upload files", re.compile("Options for .*api")):
        expect(page.get_by_role("main").get_by_role("button", name=name)).to_have_count(0)
    page.goto(f"{address}/knowledge/codeweft")
    expect(page.get_by_role("heading", name=re.compile("codeweft"))).to_be_visible()
    for name in ("Schedule", "Index again", "Delete", "Permissions", re.compile("ummaries")):
        expect(page.get_by_role("main").get_by_role("button", name=name)).to_have_count(0)
    page.goto(f"{address}/knowledge/handbook")
    expect(page.get_by_role("heading", name=re.compile("handbook"))).to_be_visible()
    expect(
        page.get_by_role("main").get_by_role("button", name=re.compile("Delete all|Upload"))
    ).to_have_count(0)
