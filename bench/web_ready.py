"""How long until the chat can be worked with: from the navigation to a composer that has the focus.

    PYTHONPATH=src python bench/web_ready.py [--times N]

Starts the real server on loopback and opens its page in a fresh profile each time, so nothing is cached. On a busy
machine only the CPU milliseconds of the page's main thread say something.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from tests.e2e.conftest import SAMPLE, start

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
WATCH = """() => {
    new MutationObserver((_, seen) => {
        if (document.activeElement?.id !== 'composer') return
        window.readyAfter = performance.now()
        seen.disconnect()
    }).observe(document, { subtree: true, childList: true, attributes: true })
    document.addEventListener('focusin', (event) => {
        if (event.target.id === 'composer') window.readyAfter ??= performance.now()
    })
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=7)
    times = parser.parse_args().times
    ready, painted, busy = [], [], []
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        server = start(Path(home), "--code", str(SAMPLE))
        server.wait_for("Sign in")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        first = browser.new_context()
        page = first.new_page()
        page.goto(server.signin_link())
        page.locator("#composer").wait_for()
        state = first.storage_state()
        for _ in range(times):
            context = browser.new_context(storage_state=state)
            context.add_init_script(f"({WATCH})()")
            page = context.new_page()
            devtools = context.new_cdp_session(page)
            devtools.send("Performance.enable")
            page.goto(server.url)
            page.locator("#composer:focus").wait_for()
            ready.append(page.evaluate("window.readyAfter"))
            painted.append(
                page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            )
            figures = {
                one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]
            }
            busy.append(1000 * figures["TaskDuration"])
            context.close()
        browser.close()
        server.stop()
    for name, values in (("first paint", painted), ("ready", ready), ("main thread busy", busy)):
        print(
            f"{name}: median {statistics.median(values):.0f} ms, of {times}: {min(values):.0f} to {max(values):.0f}"
        )
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
