"""What tests in a browser share: the browser, visitors, the list of all pages, and what axe says of one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
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
