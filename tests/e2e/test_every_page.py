"""Every page of the real server: it fits a phone, axe finds nothing in either theme, and nothing moves unasked."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.e2e.browsing import (
    IN_A_BROWSER,
    admin_parts,
    overflowing,
    routes,
    settled,
    violations,
    visitor,
)
from tests.e2e.team import Team, done

pytestmark = IN_A_BROWSER


def everything(team: Team) -> list[str]:
    """The addresses of all pages on this server."""
    tasks = [task["name"] for task in done(team.admin.get("/api/tasks"))["tasks"]]
    return routes(
        c=[team.conversation, "0123456789abcdef"],
        knowledge=["sample", "nothing"],
        tasks=tasks[:1],
        admin=admin_parts(),
    )


def test_every_page_fits_a_phone(browser: Browser, team: Team) -> None:
    page = visitor(browser, width=390, height=844, color_scheme="dark")
    page.goto(team.link())
    wide = {}
    for path in everything(team):
        page.goto(team.url + path)
        settled(page)
        wide[path] = overflowing(page)
        page.set_viewport_size({"width": 320, "height": 640})
        wide[f"{path} at 320"] = overflowing(page)
        page.set_viewport_size({"width": 390, "height": 844})
    page.context.close()
    assert {path: found for path, found in wide.items() if found} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(browser: Browser, team: Team, scheme: str) -> None:
    page = visitor(browser, color_scheme=scheme, reduced_motion="reduce")
    page.goto(team.link())
    found = {}
    for path in everything(team):
        page.goto(team.url + path)
        settled(page)
        found[path] = violations(page)
    page.context.close()
    assert {path: what for path, what in found.items() if what} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_where_nobody_is_signed_in(browser: Browser, team: Team, scheme: str) -> None:
    page = visitor(browser, color_scheme=scheme, reduced_motion="reduce", width=390)
    page.goto(team.url)
    settled(page)
    assert violations(page) == []
    assert overflowing(page) == []
    page.context.close()


def test_for_who_wants_no_motion_nothing_moves(browser: Browser, team: Team) -> None:
    page = visitor(browser, reduced_motion="reduce")
    page.goto(team.link())
    moving = {}
    for path in everything(team):
        page.goto(team.url + path)
        page.get_by_role("heading", level=1).first.wait_for(state="attached")
        moving[path] = page.evaluate("""() => document.getAnimations()
            .filter((one) => one.playState === 'running' && one.effect.getComputedTiming().activeDuration > 1)
            .map((one) => one.effect.target.outerHTML.slice(0, 160))""")
    page.context.close()
    assert {path: what for path, what in moving.items() if what} == {}
