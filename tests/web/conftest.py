"""A browser, and the UI as built, served by the stand-in server of `web/dev` (no engine, no Python server)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin

import pytest

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

ROOT = Path(__file__).parents[2]
CHROMIUM = next(
    (path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A busy machine is slow, not wrong.
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)

Stub = Callable[..., str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for a module: while its program runs, no other event loop does."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    """Starts a stand-in server and gives its address; `scene` and `pace` as in `web/dev/stub.mjs`."""
    if not (ROOT / "src/codeweft/server/static/index.html").exists():
        pytest.skip("the web UI is not built: cd web && npm ci && npm run build")
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js on this machine: the stand-in server needs it")

    with ExitStack() as running:

        def start(scene: str = "normal", pace: float = 1) -> str:
            process = subprocess.Popen(
                [node, str(ROOT / "web/dev/stub.mjs")],
                env={**os.environ, "STUB_PORT": "0", "STUB_SCENE": scene, "STUB_PACE": str(pace)},
                stdout=subprocess.PIPE,
                text=True,
            )
            running.callback(process.wait)
            running.callback(process.kill)
            assert process.stdout is not None
            running.callback(process.stdout.close)
            address = re.search(r"http://\S+", process.stdout.readline())
            assert address, "the stand-in server did not start"
            return address[0]

        yield start


Open = Callable[..., Page]


def go_on(page: Page) -> None:
    """Have the stand-in server write the rest of what it holds in the scene “held”."""
    page.request.get(urljoin(page.url, "/stub/go"))


def violations(page: Page) -> list[tuple[str, str, str]]:
    """What axe finds on a page: the rule, the element, what to do."""
    axe = ROOT / "web/node_modules/axe-core/axe.min.js"
    if not axe.exists():
        pytest.skip("axe-core is not installed: cd web && npm ci")
    page.evaluate(axe.read_text())
    found = page.evaluate("axe.run().then((found) => found.violations)")
    return [(v["id"], node["html"][:120], node["failureSummary"]) for v in found for node in v["nodes"]]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens an address in a fresh profile. What the page logs as an error, or throws, fails the test."""
    problems: list[str] = []
    with ExitStack() as opened:

        def visit(address: str, *, width: int = 1280, height: int = 800, **options: object) -> Page:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
            opened.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
            page.goto(address)
            return page

        yield visit
    unexpected = [line for line in problems if "Failed to load resource" not in line]
    assert unexpected == []
