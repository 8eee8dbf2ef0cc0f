"""The chat page, from a question to an answer with references, and everything that can go wrong between."""

from __future__ import annotations

import re
import urllib.request

from playwright.sync_api import Page, expect

from .conftest import Open, Stub, go_on


def ask(page: Page, text: str) -> None:
    composer = page.get_by_label("Your message")
    composer.fill(text)
    composer.press("Enter")


def finished(page: Page) -> None:
    expect(page.get_by_role("button", name="Copy answer").last).to_be_visible(timeout=20_000)


def test_a_question_becomes_a_conversation_with_highlighted_code_and_references(
    stub: Stub, open_page: Open
) -> None:
    page = open_page(stub())
    ask(page, "Write a function that checks the settings")
    finished(page)
    expect(page).to_have_url(re.compile("/c/"))
    answer = page.get_by_role("article", name="Answer")
    expect(answer.locator(".hljs-keyword").first).to_be_visible()
    expect(answer.get_by_role("table")).to_be_visible()
    expect(answer).to_contain_text("Written by starter")
    expect(answer).to_contain_text("tokens/s")
    expect(answer.get_by_role("region", name="References").get_by_role("button")).to_have_count(5)
    expect(page.get_by_role("link", name="Write a function that checks the settings").first).to_be_visible()


def test_a_citation_opens_the_code_with_its_true_line_numbers_and_then_the_file(
    stub: Stub, open_page: Open
) -> None:
    page = open_page(f"{stub()}/c/c1")
    page.get_by_role("button", name="Reference 1", exact=True).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("src/codeweft/config.py:88-96")
    expect(dialog).to_contain_text("8c81295f02")
    expect(dialog).to_contain_text("Says what load is for, in the words of the task.")
    expect(dialog).to_contain_text("Why it matched")
    expect(dialog.get_by_text("88", exact=True).first).to_be_visible()
    dialog.get_by_role("button", name="Open file").click()
    expect(dialog).to_contain_text("of 420")
    expect(dialog.get_by_text("48", exact=True).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_reload_in_the_middle_of_an_answer_resumes_it(stub: Stub, open_page: Open) -> None:
    page = open_page(stub("held"))
    ask(page, "Write something")
    expect(page.locator(".hljs-keyword").first).to_be_visible(timeout=20_000)
    page.reload()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    go_on(page)
    finished(page)
    expect(page.get_by_text("Run it with")).to_have_count(1)


def test_a_lost_connection_goes_on_where_it_stopped(stub: Stub, open_page: Open) -> None:
    address = stub("held")
    page = open_page(address)
    ask(page, "Write something")
    expect(page.locator(".hljs-keyword").first).to_be_visible(timeout=20_000)
    with page.expect_request(re.compile(r"/events\?after=\d+$")):
        urllib.request.urlopen(f"{address}/stub/drop").close()
    go_on(page)
    finished(page)
    text = page.get_by_role("article", name="Answer").locator(".prose").text_content() or ""
    assert text.count("def problems(settings: Settings)") == 1
    assert text.count("Run it with pytest tests/test_config.py.") == 1


def test_stop_keeps_what_was_written(stub: Stub, open_page: Open) -> None:
    page = open_page(stub("held"))
    ask(page, "Write something")
    expect(page.locator(".hljs-keyword").first).to_be_visible(timeout=20_000)
    page.keyboard.press("Escape")
    finished(page)
    answer = page.get_by_role("article", name="Answer")
    expect(answer).to_contain_text("Stopped")
    expect(answer).to_contain_text("Settings are read in one place")
    expect(answer).not_to_contain_text("Run it with")


def test_a_cut_answer_can_be_continued(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/c/c2")
    expect(page.get_by_text("reached its maximum length")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("Continue exactly where you stopped.")).to_be_visible()
    finished(page)


def test_a_failure_says_what_happened_what_to_do_and_offers_to_try_again(stub: Stub, open_page: Open) -> None:
    page = open_page(stub())
    ask(page, "please fail")
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("The engine stopped while it was writing.")
    expect(problem).to_contain_text("ask once more")
    expect(problem.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.get_by_text("Settings are read in")).to_be_visible()


def test_a_refused_message_stays_in_the_composer(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/c/c1")
    ask(page, "x" * 50_001)
    expect(page.get_by_role("alert")).to_contain_text("the context has room for 4,096")
    assert len(page.get_by_label("Your message").input_value()) == 50_001


def test_a_hostile_answer_runs_nothing_and_loads_nothing(stub: Stub, open_page: Open) -> None:
    page = open_page(stub())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    ask(page, "inject")
    finished(page)
    answer = page.get_by_role("article", name="Answer")
    assert page.evaluate("window.pwned") is None
    drawn = answer.locator(".prose")
    unwanted = "script, img, iframe, b, math, style, base, form, meta, object, embed, [onload], [onerror]"
    assert drawn.locator(unwanted).count() == 0
    assert drawn.locator("svg:not(button svg)").count() == 0
    links = answer.locator("a").all()
    assert links and all((a.get_attribute("href") or "").startswith("https://evil.example/") for a in links)
    assert all("noopener" in (a.get_attribute("rel") or "") for a in links)
    expect(answer).to_contain_text("<script>window.pwned = 1</script>")
    expect(answer).to_contain_text('<svg onload="window.pwned=12">')
    assert page.evaluate("document.body.innerText.length") > 0
    assert [url for url in asked if "evil" in url] == []


def test_while_a_long_answer_grows_what_stands_is_left_alone(stub: Stub, open_page: Open) -> None:
    page = open_page(stub(pace=0.5))
    ask(page, "a long file")
    runs = page.locator("pre > code")
    expect(runs.nth(3)).to_be_attached(timeout=20_000)
    # The colours may come later than the code.
    for at in range(3):
        expect(runs.nth(at).locator("[class^=hljs]").first).to_be_attached()
    page.evaluate("""() => {
        window.changes = 0
        const observer = new MutationObserver((list) => { window.changes += list.length })
        const options = { childList: true, characterData: true, subtree: true }
        for (const run of [...document.querySelectorAll('pre > code')].slice(0, 3)) observer.observe(run, options)
        observer.observe(document.querySelector('.prose p'), options)
    }""")
    expect(page.get_by_text("That was long.")).to_be_visible(timeout=60_000)
    finished(page)
    assert page.evaluate("window.changes") == 0
    assert (page.locator("pre").text_content() or "").count("\n") >= 1_999


def test_rating_and_comment_are_kept(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/c/c2")
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_label("What was good or bad about it?").fill("too short")
    page.get_by_role("button", name="Send", exact=True).first.click()
    expect(page.get_by_text("Thank you, noted.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")


def test_arrow_up_edits_the_last_message_and_shift_enter_makes_a_line(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/c/c2")
    composer = page.get_by_label("Your message")
    expect(page.get_by_role("article", name="You")).to_be_visible()
    composer.press("ArrowUp")
    expect(composer).to_have_value("Where are git remotes checked?")
    composer.press("Shift+Enter")
    composer.press_sequentially("Exactly?")
    expect(composer).to_have_value("Where are git remotes checked?\nExactly?")


def test_model_index_and_sampling_are_sent_and_remembered(stub: Stub, open_page: Open) -> None:
    page = open_page(stub())
    page.get_by_role("button", name="Model or app").click()
    page.get_by_role("option", name=re.compile("qwen3-coder")).click()
    page.get_by_role("button", name="Index", exact=False).click()
    page.get_by_role("option", name=re.compile("payments-api")).click()
    page.get_by_role("button", name="Sampling").click()
    page.get_by_role("radio", name="Precise").click()
    page.get_by_label("Maximum tokens").fill("64")
    page.keyboard.press("Escape")
    page.reload()
    with page.expect_request(re.compile("/answers$")) as sent:
        ask(page, "hello")
    assert sent.value.post_data_json == {
        "content": "hello",
        "model": "qwen3-coder-30b",
        "index": "payments-api",
        "sampling": {"temperature": 0, "max_tokens": 64},
        "attachments": [],
        "explain": True,
    }


def test_markdown_nested_without_end_is_shown_and_the_page_lives(stub: Stub, open_page: Open) -> None:
    page = open_page(stub())
    ask(page, "nested")
    finished(page)
    expect(page.get_by_role("article", name="Answer")).to_contain_text("the end of it")
    page.get_by_label("Your message").fill("still here")


def test_the_empty_state_teaches(stub: Stub, open_page: Open) -> None:
    page = open_page(stub("empty"))
    expect(page.get_by_text("No code is indexed yet.")).to_be_visible()
    expect(page.get_by_role("link", name="Add code")).to_have_attribute("href", "/knowledge")
    expect(page.get_by_text("Your conversations appear here.")).to_be_visible()


def test_an_example_fills_the_composer_and_indexing_is_shown_live(stub: Stub, open_page: Open) -> None:
    page = open_page(stub("indexing"))
    expect(page.get_by_text(re.compile(r"Indexing codeweft: \d+ of 340 files"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^Write")).click()
    expect(page.get_by_label("Your message")).to_have_value(re.compile("codeweft"))
    expect(page.get_by_text("codeweft is ready")).to_be_visible(timeout=20_000)
