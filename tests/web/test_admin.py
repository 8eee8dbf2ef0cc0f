"""Administration, one's own account, signing in, and who may read an index."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from .conftest import Open, Stub


def test_a_user_who_registered_is_approved_and_gets_another_role(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin")
    row = page.get_by_role("listitem").filter(has_text="Newcomer")
    expect(row.get_by_text("Waiting for approval")).to_be_visible()
    row.get_by_role("button", name="Approve").click()
    role = page.get_by_label("Role of Newcomer")
    expect(role).to_have_value("member")
    role.select_option("viewer")
    page.reload()
    expect(page.get_by_label("Role of Newcomer")).to_have_value("viewer")


def test_the_last_administrator_stays_one_and_the_page_says_why(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin")
    page.get_by_label("Role of Ada").select_option("member")
    expect(page.get_by_role("alert")).to_contain_text("Make somebody else one first.")
    expect(page.get_by_label("Role of Ada")).to_have_value("admin")


def test_a_new_user_comes_with_a_link_to_send(stub: Stub, open_page: Open) -> None:
    address = stub("empty")
    page = open_page(f"{address}/admin")
    expect(page.get_by_text("You are alone here")).to_be_visible()
    page.get_by_role("button", name="Add user").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Ada")
    dialog.get_by_role("button", name="Add user").click()
    expect(dialog.get_by_role("alert")).to_contain_text("There is a user 'Ada' already.")
    dialog.get_by_label("Name").fill("Grace")
    dialog.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("dialog", name="Sign-in link for Grace")).to_contain_text(
        f"{address}/signin?token=once"
    )
    page.keyboard.press("Escape")
    expect(page.get_by_label("Role of Grace")).to_be_visible()


def test_a_user_is_deleted_after_a_question(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin")
    page.get_by_role("button", name="Options for Linus").click()
    page.get_by_role("menuitem", name="Delete user").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Keys, sessions and conversations")
    dialog.get_by_role("button", name="Delete user").click()
    expect(page.get_by_label("Role of Linus")).to_be_hidden()


def test_a_team_gets_a_budget(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('empty')}/admin")
    page.get_by_label("Name of the team").fill("compilers")
    page.get_by_role("button", name="Add team").click()
    expect(page.get_by_text("Nobody yet")).to_be_visible()
    page.get_by_role("tab", name="Limits").click()
    expect(page.get_by_text("Nothing is limited")).to_be_visible()
    page.get_by_role("button", name="Add limit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Give at least one number")
    dialog.get_by_role("combobox", name="For", exact=True).select_option("team")
    dialog.get_by_role("combobox", name="Which").select_option(label="compilers")
    dialog.get_by_label("Budget (USD)").fill("50")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("listitem").filter(has_text="compilers")).to_contain_text("$0.00 of $50.00")


def test_usage_is_drawn_and_told_by_any_group(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin/usage")
    expect(page.get_by_role("figure", name="Cost by day and Model").locator("canvas")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("qwen3-coder-30b"))).to_contain_text("$1.85")
    page.get_by_role("combobox", name="By", exact=True).select_option("user")
    expect(page.get_by_role("row", name=re.compile("Grace"))).to_be_visible()
    page.get_by_role("combobox", name="Show", exact=True).select_option("tokens")
    expect(page.get_by_role("figure", name="Tokens by day and User")).to_be_visible()


HAS_COLOUR = """(colour) => {
    const canvas = document.querySelector('figure canvas')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    for (let at = 0; at < data.length; at += 4)
        if (data[at + 3] === 255 && `${data[at]} ${data[at + 1]} ${data[at + 2]}` === colour) return true
    return false
}"""


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_bars_have_the_colours_of_their_legend_also_when_night_falls(
    stub: Stub, open_page: Open, motion: str
) -> None:
    page = open_page(f"{stub()}/admin/usage", reduced_motion=motion, color_scheme="light")
    figure = page.get_by_role("figure", name="Cost by day and Model")
    expect(figure.locator("canvas")).to_be_visible()
    legend = figure.get_by_role("listitem").first.locator("span").first
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colour = legend.evaluate("(one) => getComputedStyle(one).backgroundColor.match(/[0-9]+/g).join(' ')")
        page.wait_for_function(HAS_COLOUR, arg=colour)


def test_without_any_use_the_page_says_what_will_be_here(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('empty')}/admin/usage")
    expect(page.get_by_text("Nothing was asked in this time")).to_be_visible()
    page.get_by_role("tab", name="Feedback").click()
    expect(page.get_by_text("Nobody has rated an answer yet")).to_be_visible()
    page.get_by_role("tab", name="Audit log").click()
    expect(page.get_by_text("Nothing has been changed yet")).to_be_visible()


def test_the_calculator_follows_its_sliders(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin/cost")
    answer = page.get_by_role("status").filter(has_text="A request at the API")
    expect(answer).to_contain_text("Above 435 requests an hour, your own machine is cheaper.")
    page.get_by_label("Price an hour").fill("20")
    expect(answer).to_contain_text("The API is cheaper")
    for slider in ("Per million tokens read", "Per million tokens written"):
        page.get_by_label(slider).press("Home")
    page.get_by_label("Tokens of a prompt").press("Home")
    expect(answer).to_contain_text("The API is cheaper")


def test_feedback_is_filtered_and_taken_along(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin/feedback")
    expect(page.get_by_role("main").get_by_text("Explain the ranking")).to_be_visible()
    page.get_by_role("combobox", name="Rating").select_option("bad")
    expect(page.get_by_text("That parameter does not exist.")).to_be_visible()
    expect(page.get_by_role("main").get_by_text("Explain the ranking")).to_be_hidden()
    with page.expect_download() as taken:
        page.get_by_role("button", name="Export as CSV").click()
    assert taken.value.url.endswith("/api/feedback/export?format=csv&rating=bad")


def test_the_log_is_filtered_by_the_server_and_paged(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin/audit")
    lines = page.get_by_role("main").locator("ol > li")
    expect(lines).to_have_count(100)
    page.get_by_role("button", name="Show more").click()
    expect(lines).to_have_count(120)
    with page.expect_request(re.compile(r"/api/audit\?q=payments-api")):
        page.get_by_role("searchbox", name=re.compile("Filter")).fill("payments-api")
    expect(lines).to_have_count(30)
    page.get_by_role("combobox", name="Who").select_option("Grace")
    expect(lines).to_have_count(10)
    page.get_by_role("searchbox", name=re.compile("Filter")).fill("")
    page.get_by_role("combobox", name="What").select_option("key")
    expect(lines.filter(has_text="key.create")).to_have_count(10)
    expect(lines).to_have_count(10)
    page.get_by_label("Until").fill("2001-01-01")
    expect(page.get_by_text("Nothing in the log matches.")).to_be_visible()


def test_everybodys_keys_are_seen_and_revoked(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin/keys")
    expect(page.get_by_text("laptop editor")).to_be_visible()
    page.get_by_role("searchbox", name="Find a key or its owner").fill("grace")
    expect(page.get_by_text("laptop editor")).to_be_hidden()
    page.get_by_role("button", name="Revoke: ci (Grace)").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It is a key of Grace.")
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("No key matches.")).to_be_visible()


def test_settings_are_changed_where_they_are_shown(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin/settings")
    expect(page.get_by_text("/home/ada/.codeweft/codeweft.yaml")).to_be_visible()
    expect(page.get_by_text("••••")).to_be_visible()
    expect(page.get_by_text("default: not set")).to_be_visible()
    expect(page.get_by_text("null")).to_have_count(0)
    expect(page.get_by_role("button", name="Change database")).to_be_hidden()
    page.get_by_text("How to turn on single sign-on").click()
    expect(page.locator("pre")).to_contain_text("issuer:")
    page.get_by_label("Only what differs from the default").check()
    expect(page.get_by_text("server.port")).to_be_hidden()
    expect(page.get_by_text("default: closed")).to_be_visible()
    page.get_by_role("button", name="Change sign_in.registration").click()
    page.get_by_label("sign_in.registration").select_option("open")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Change sign_in.registration")).to_be_visible()
    expect(page.get_by_text("open", exact=True)).to_be_visible()


def test_a_setting_is_refused_with_the_reason_or_waits_for_a_restart(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin/settings")
    page.get_by_role("button", name="Change index.max_file_mb").click()
    field = page.get_by_label("index.max_file_mb")
    field.fill("-1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Input should be greater than 0")
    field.fill("2")
    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        page.get_by_role("button", name="Save").click()
    assert sent.value.post_data_json == {"values": {"index.max_file_mb": 2}}
    waits = page.get_by_role("status").filter(has_text="in force after a restart")
    expect(waits).to_contain_text("index.max_file_mb")
    expect(page.get_by_text("saved: 2")).to_be_visible()
    page.get_by_role("button", name="Change index.max_file_mb").click()
    page.get_by_role("button", name="Back to the default").click()
    expect(waits).to_be_hidden()
    page.get_by_role("button", name="Change index.exclude").click()
    page.get_by_label("index.exclude").fill("*.min.js\n\n vendor/ ")
    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        page.get_by_role("button", name="Save").click()
    assert sent.value.post_data_json == {"values": {"index.exclude": ["*.min.js", "vendor/"]}}


def test_a_file_that_cannot_be_written_is_told_before_anything_is_typed(stub: Stub, open_page: Open) -> None:
    address = stub("read-only")
    page = open_page(f"{address}/admin/settings")
    expect(page.get_by_role("alert")).to_contain_text("may not be written")
    expect(page.get_by_role("button", name=re.compile("^Change "))).to_have_count(0)
    page.goto(f"{address}/admin/endpoints")
    expect(page.get_by_role("alert")).to_contain_text("may not be written")
    expect(page.get_by_role("button", name="Add endpoint")).to_be_disabled()


# ── endpoints ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_endpoint_is_tried_added_changed_and_removed(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('empty')}/admin/endpoints")
    expect(page.get_by_text("No endpoint yet")).to_be_visible()
    page.get_by_role("button", name="Add endpoint").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name here").fill("big")
    dialog.get_by_label("Address").fill("https://gone.example.com/v1")
    dialog.get_by_role("button", name="Test").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Nothing answers at https://gone.example.com/v1.")
    dialog.get_by_label("Address").fill("https://llm.example.com/v1")
    dialog.get_by_label("Key", exact=False).first.fill("sk-secret")
    dialog.get_by_label("Model there").fill("qwen3-coder-30b")
    dialog.get_by_role("button", name="Test").click()
    tested = dialog.get_by_role("status")
    expect(tested).to_contain_text("It works (0.42 s).")
    expect(tested).to_contain_text("Hello there, friend.")
    dialog.get_by_text("Limits and price").click()
    dialog.get_by_label("Requests at once").fill("4")
    dialog.get_by_label("Price per million tokens read").fill("0.5")
    dialog.get_by_label("Price per million tokens written").fill("1.5")
    with page.expect_request(re.compile("/api/endpoints/big$")) as sent:
        dialog.get_by_role("button", name="Save").click()
    body: Any = sent.value.post_data_json
    assert (body["api_key"], body["parallel"], body["timeout"]) == ("sk-secret", 4, None)
    assert body["price"] == {"input": 0.5, "output": 1.5, "cached": None}
    expect(page.get_by_role("status").filter(has_text="big is saved")).to_be_visible()
    row = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="big"))
    expect(row).to_contain_text("key saved")

    page.get_by_role("button", name="Change big").click()
    expect(dialog.get_by_label("Key", exact=False).first).to_have_value("")
    dialog.get_by_label("Address").fill("https://elsewhere.example.com/v1")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("is not sent to another")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Add pool").click()
    dialog.get_by_label("Name here").fill("both")
    dialog.get_by_role("group", name="Models of the pool").get_by_label("big").check()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Pool of big")).to_be_visible()
    page.get_by_role("button", name="Remove both").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Pool of big")).to_be_hidden()


def test_an_endpoint_that_is_needed_stays_and_the_page_says_by_whom(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin/endpoints")
    expect(page.get_by_text("key from LLM_KEY")).to_be_visible()
    page.get_by_role("button", name="Remove gpu-1").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Remove").click()
    expect(dialog.get_by_role("alert")).to_contain_text("is used by models.coder-pool")


def test_a_user_is_linked_to_the_single_sign_on(stub: Stub, open_page: Open) -> None:
    address = stub()
    page = open_page(f"{address}/account")
    ways = {"password": True, "registration": "closed", "totp": "optional"}
    provider = {"name": "Keycloak", "path": "/signin/oidc"}
    session = {
        "user": {"id": "u1", "name": "Ada", "role": "admin"},
        "version": "0.1.0",
        "factor_needed": False,
        "sign_in": {**ways, "provider": provider},
    }
    page.route(re.compile("/api/session$"), lambda route: route.fulfill(json=session))
    page.goto(f"{address}/admin")
    page.get_by_role("button", name="Options for Linus").click()
    page.get_by_role("menuitem", name="Link single sign-on").click()
    dialog = page.get_by_role("dialog", name="Single sign-on of Linus")
    dialog.get_by_label("Identifier at the provider").fill("taken")
    dialog.get_by_role("button", name="Link single sign-on").click()
    expect(dialog.get_by_role("alert")).to_contain_text("belongs to a user already")
    dialog.get_by_label("Identifier at the provider").fill("sub-linus")
    with page.expect_request(re.compile("/api/users/u3/identity$")) as sent:
        dialog.get_by_role("button", name="Link single sign-on").click()
    assert sent.value.post_data_json == {"subject": "sub-linus"}
    expect(dialog).to_be_hidden()


def test_a_server_that_refuses_is_told_with_a_way_to_try_again(stub: Stub, open_page: Open) -> None:
    address = stub()
    page = open_page(f"{address}/admin/settings")
    expect(page.get_by_text("server.port")).to_be_visible()
    problem = '{"error": {"message": "The database is busy.", "fix": "Try again in a moment."}}'
    for part in ("limits", "usage", "feedback", "audit"):
        pattern = re.compile(f"/api/{part}")
        page.route(pattern, lambda route: route.fulfill(status=503, body=problem))
        page.goto(f"{address}/admin/{part}")
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("Try again in a moment.")
        page.unroute(pattern)
        alert.get_by_role("button", name="Try again").click()
        expect(alert).to_be_hidden()


def test_only_administrators_are_led_to_administration(stub: Stub, open_page: Open) -> None:
    address = stub()
    page = open_page(f"{address}/account")
    expect(page.get_by_role("link", name="Administration")).to_be_visible()
    session = '{"user": {"id": "u2", "name": "Grace", "role": "member"}, "version": "0.1.0", "factor_needed": false}'
    page.route(re.compile("/api/session$"), lambda route: route.fulfill(status=200, body=session))
    page.goto(f"{address}/admin")
    expect(page.get_by_text("This page does not exist.")).to_be_visible()
    expect(page.get_by_role("link", name="Administration")).to_be_hidden()


# ── one's own account ────────────────────────────────────────────────────────────────────────────────────────


def test_a_password_is_changed_with_the_old_one_only(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/account")
    page.get_by_label("Current password").fill("wrong")
    page.get_by_label("New password").fill("staple battery")
    page.get_by_label("Once more").fill("staple batterx")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("alert")).to_contain_text("The two are not the same")
    page.get_by_label("Once more").fill("staple battery")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("alert")).to_contain_text("The current password is wrong.")
    page.get_by_label("Current password").fill("correct horse")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Your new password is in force.")).to_be_visible()


def test_a_second_factor_is_set_up_from_a_drawn_code_and_taken_away(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/account")
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("img", name="QR code for your authenticator app")).to_be_visible()
    expect(page.get_by_text("JBSWY3DPEHPK3PXP")).to_be_visible()
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("alert")).to_contain_text("That code is wrong.")
    page.get_by_label("Code", exact=True).fill("123456")
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("k7q0-9fx0")).to_be_visible()
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_text("6 recovery codes are left.")).to_be_visible()
    page.get_by_role("button", name="Turn off the second factor").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Code", exact=True).fill("123456")
    dialog.get_by_role("button", name="Turn off the second factor").click()
    expect(page.get_by_role("button", name="Set up")).to_be_visible()


def test_a_key_is_made_with_rights_and_an_end_and_gets_a_new_secret(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/account")
    page.get_by_label("What is it for?").fill("ci")
    page.get_by_role("combobox", name="Works for").select_option("30")
    page.get_by_label("Search", exact=True).check()
    with page.expect_request(re.compile("/api/keys$")) as sent:
        page.get_by_role("button", name="Create key").click()
    assert sent.value.post_data_json == {"name": "ci", "expires_in_days": 30, "scopes": ["search"]}
    expect(page.get_by_text("cw_9xQ2stub")).to_be_visible()
    page.get_by_role("button", name="New secret: ci").click()
    page.get_by_role("dialog").get_by_role("button", name="New secret").click()
    expect(page.get_by_text("cw_7rTzrotated")).to_be_visible()
    expect(page.get_by_text("cw_9xQ2stub")).to_be_hidden()
    page.get_by_role("button", name="Revoke: ci").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("button", name="Revoke: ci")).to_be_hidden()


def test_a_session_elsewhere_is_ended(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/account")
    expect(page.get_by_text("Firefox, Linux")).to_be_visible()
    page.get_by_role("button", name="Sign out: Safari, iPhone").click()
    expect(page.get_by_text("Safari, iPhone")).to_be_hidden()


def test_until_a_demanded_second_factor_stands_there_is_nothing_else(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('factor-needed')}/knowledge")
    expect(page.get_by_role("alert")).to_contain_text("asks for a second factor")
    expect(page.get_by_role("navigation")).to_be_hidden()
    page.get_by_role("button", name="Set up").click()
    page.get_by_label("Code", exact=True).fill("123456")
    page.get_by_role("button", name="Turn on").click()
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_role("heading", name="Knowledge")).to_be_visible()


# ── signing in ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_password_and_a_code_sign_in(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub('signed-out')}/models")
    expect(page.get_by_role("link", name="Sign in with Keycloak")).to_have_attribute(
        "href", "/signin/oidc?next=%2Fmodels"
    )
    page.get_by_label("Name").fill("Grace")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Name or password is wrong.")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    code = page.get_by_label("Code of your authenticator app")
    expect(code).to_be_focused()
    code.fill("123456")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()


def test_who_registers_is_told_that_an_approval_is_needed(stub: Stub, open_page: Open) -> None:
    page = open_page(stub("signed-out"))
    page.get_by_role("button", name="No account yet? Register").click()
    page.get_by_label("Name").fill("Newcomer")
    page.get_by_label("Password").fill("staple battery")
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Newcomer is registered.")).to_be_visible()


# ── permissions of an index ──────────────────────────────────────────────────────────────────────────────────


def test_an_index_is_given_to_a_team_only(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/knowledge/codeweft")
    page.get_by_role("button", name="Permissions").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Everybody who signs in")).to_be_checked()
    dialog.get_by_label("Only these teams and users").check()
    dialog.get_by_label("payments").check()
    with page.expect_request(re.compile("/api/indexes/codeweft/access$")) as sent:
        dialog.get_by_role("button", name="Save").click()
    assert sent.value.post_data_json == {"open": False, "users": [], "teams": ["t1"]}
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Permissions").click()
    expect(dialog.get_by_label("payments")).to_be_checked()


# ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_speaks_korean(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin", locale="ko-KR")
    expect(page.get_by_role("heading", name="관리")).to_be_visible()
    page.get_by_role("tab", name="감사 기록").click()
    expect(page.get_by_role("searchbox", name="사용자, 동작, 대상, 주소로 거르기")).to_be_visible()


def test_on_a_phone_the_chosen_part_of_administration_is_in_view(stub: Stub, open_page: Open) -> None:
    page = open_page(f"{stub()}/admin/settings", width=390, height=844)
    # Not 1: a fraction of a pixel of the last tab may lie outside.
    settings = page.get_by_role("tab", name="Settings")
    expect(settings).to_be_in_viewport(ratio=0.9)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        expect(settings).to_be_in_viewport(ratio=0.9)
    assert page.evaluate("document.querySelector('main > div').scrollTop") == 0
