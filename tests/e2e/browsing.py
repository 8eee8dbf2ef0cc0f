"""What tests in a browser share: the browser, visitors, the list of all pages, and what is wrong with one."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 30_000
"""A busy machine is slow, not wrong."""
IN_A_BROWSER = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium on this machine (scripts/system-packages.sh installs it)"
    ),
    pytest.mark.skipif(
        not (ROOT / "src/codeweft/server/static/index.html").exists(),
        reason="the page is not built (make web)",
    ),
]
"""The marks of a module whose tests need the page in a browser."""


@contextmanager
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


def visitor(browser: Browser, *, width: int = 1280, height: int = 860, **options: Any) -> Page:
    """A page of a new visitor. What its script raises or logs as an error fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, **{"locale": "en-US", **options}
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: pytest.fail(f"the page raised {error}"))
    page.on("console", lambda line: complain(line.text) if line.type == "error" else None)
    return page


def until(holds: Callable[[], bool], seconds: float = PATIENCE_MS / 1000) -> None:
    """What the page cannot be asked for: waits until it holds, and fails where it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(0.05)


def complain(line: str) -> None:
    """What a page logs as an error is one, but for answers that say no: some tests ask for them."""
    if "Failed to load resource" not in line:
        pytest.fail(f"the page logged {line}")


def settled(page: Page) -> None:
    """Wait until a page shows its heading and what it fetched."""
    page.get_by_role("heading", level=1).first.wait_for(state="attached")
    page.wait_for_load_state("networkidle")
    expect(page.locator(".skeleton")).to_have_count(0)
    drawn(page)


def drawn(page: Page) -> None:
    """Wait until a page is drawn as it is now: what follows a change of the window or the theme is done by then."""
    page.evaluate("() => new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")


def violations(page: Page, *rules: str) -> list[tuple[str, str, str]]:
    """What axe finds on a page: the rule, the element, what to do. With `rules` only these are tried."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: cd web && npm ci")
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = page.evaluate("(options) => axe.run(options).then((found) => found.violations)", options)
    return [(v["id"], node["html"][:160], node["failureSummary"]) for v in found for node in v["nodes"]]


def overflowing(page: Page) -> list[str]:
    """What is wider than the window: the page itself, or elements in it that cannot be scrolled on their own."""
    found: list[str] = page.evaluate("""() => {
        const width = document.documentElement.clientWidth
        const wide = (e) => e.scrollWidth > Math.max(width, e.clientWidth) && e.clientWidth > 0
            && getComputedStyle(e).overflowX === 'visible'
            && !e.closest('pre, table, .code, .overflow-x-auto, .sr-only, .cm-editor')
        const told = [...document.querySelectorAll('#page *')].filter(wide).map((e) => e.outerHTML.slice(0, 160))
        return document.documentElement.scrollWidth > width ? ['the page itself', ...told] : told
    }""")
    return found


def routes(**values: list[str]) -> list[str]:
    """Every address of the page, read from its own tables: what is added there is tested without being listed here.

    `values` are what to put for the last part of an address that varies, by the first part. Raises `KeyError` for a
    new one.
    """
    pages = (ROOT / "web/src/app/pages.tsx").read_text()
    app = (ROOT / "web/src/app/App.tsx").read_text()
    table = (ROOT / "web/src/features/admin/AdminPage.tsx").read_text()
    values = {**values, "admin": re.findall(r"^  (\w+): lazy\(", table, re.MULTILINE)}
    paths = [*re.findall(r"<Route path=\"(/[^\"]*)\"", app), *re.findall(r"path: '(/[^']*)'", pages)]
    assert len(paths) > 10 and values["admin"], "the tables of pages are not written as they were"
    found: list[str] = []
    for path in paths:
        page, _, varies = path.partition("/:")
        found += [f"{page}/{value}" for value in values[page.strip("/")]] if varies else [path]
    return [*found, "/nowhere"]
