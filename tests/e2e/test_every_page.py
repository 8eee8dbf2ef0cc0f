"""Every page of the real server: it fits a phone, axe finds nothing in either theme, and nothing moves unasked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.browsing import IN_A_BROWSER, drawn, overflowing, routes, settled, violations, visitor
from tests.e2e.team import Team

pytestmark = IN_A_BROWSER

PAGES = routes(c=["CONVERSATION", "0123456789abcdef"], knowledge=["sample", "nothing"], tasks=["translate"])
MOVING = """() => document.getAnimations()
    .filter((one) => one.playState === 'running' && one.effect.getComputedTiming().activeDuration > 1)
    .map((one) => one.effect.target.outerHTML.slice(0, 160))"""


@pytest.fixture(scope="module")
def window(browser: Browser, team: Team) -> Iterator[Page]:
    """One window of the administrator, who wants no motion, for all pages in turn."""
    page = visitor(browser, reduced_motion="reduce")
    page.goto(team.link())
    yield page
    page.context.close()


def looked_at(page: Page) -> dict[str, object]:
    """What is wrong with the page in view: in both themes, then on a phone and on a small one."""
    wrong: dict[str, object] = {"moving": page.evaluate(MOVING), "light": violations(page)}
    page.emulate_media(color_scheme="dark")
    drawn(page)
    # The theme changes colours and nothing else.
    wrong["dark"] = violations(page, "color-contrast")
    page.emulate_media(color_scheme="light")
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        drawn(page)
        wrong[f"wider than {width}"] = overflowing(page)
    page.set_viewport_size({"width": 1280, "height": 860})
    return {what: found for what, found in wrong.items() if found}


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_wrong_with(window: Page, team: Team, path: str) -> None:
    window.goto(team.url + path.replace("CONVERSATION", team.conversation))
    settled(window)
    assert looked_at(window) == {}


def test_nothing_is_wrong_with_signing_in(browser: Browser, team: Team) -> None:
    page = visitor(browser, reduced_motion="reduce")
    page.goto(team.url)
    settled(page)
    assert looked_at(page) == {}
    page.context.close()
