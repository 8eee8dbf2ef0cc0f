"""How long until the chat can be worked with: from the navigation to a composer that takes what is typed.

    PYTHONPATH=src python -m bench.web_ready [--times 15]

Needs the built page, Playwright and Chromium. Starts the real server on loopback and signs in; then opens the chat in
fresh profiles, where nothing is cached, and in each of them a second time. The composer is ready when it has the focus;
a key is pressed as soon as it is seen to be, and it is handled when the frame that shows it is drawn. What is late after
`ready` (a task of 50 ms or more) is told as the time when the page was quiet. On a busy machine only the processor
milliseconds of the page's main thread say something.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, sync_playwright
from tests.e2e.conftest import SAMPLE, start

from bench.web_streaming import ARGUMENTS

GOAL_MS = 1000
WATCH = """() => {
    const seen = window.seen = { quiet: 0 }
    const look = () => {
        if (document.activeElement?.id === 'composer') seen.ready ??= performance.now()
        return seen.ready !== undefined
    }
    new MutationObserver((_, observer) => look() && observer.disconnect())
        .observe(document, { subtree: true, childList: true })
    document.addEventListener('focusin', look)
    document.addEventListener('input', (event) => {
        requestAnimationFrame(() => setTimeout(() => { seen.input = performance.now() - event.timeStamp }))
    })
    new PerformanceObserver((list) => list.getEntries().forEach((task) => {
        seen.quiet = Math.max(seen.quiet, task.startTime + task.duration)
    })).observe({ type: 'longtask', buffered: true })
}"""


def visit(context: BrowserContext, url: str) -> dict[str, float]:
    """Milliseconds of one visit: painted, ready and quiet since the navigation; a key's; the main thread's."""
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(url, wait_until="commit")
    page.locator("#composer:focus").wait_for()
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    page.keyboard.press("a")
    page.wait_for_function("window.seen.input !== undefined")
    page.wait_for_timeout(500)
    seen: dict[str, Any] = page.evaluate("window.seen")
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.close()
    busy = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
    return {
        "painted": painted,
        "ready": seen["ready"],
        "quiet": max(seen["ready"], seen["quiet"]),
        "key": seen["input"],
        "main_thread_until_ready": 1000 * busy,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=15)
    times = parser.parse_args().times
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        server = start(Path(home), "--code", str(SAMPLE))
        try:
            server.wait_for("Sign in")
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            page = browser.new_page()
            page.goto(server.signin_link())
            page.locator("#composer").wait_for()
            state = page.context.storage_state()
            for _ in range(times):
                context = browser.new_context(storage_state=state)
                context.add_init_script(f"({WATCH})()")
                for visited in ("first visit", "second visit"):
                    found[visited].append(visit(context, server.url))
                context.close()
            browser.close()
        finally:
            server.stop()
    for visited, runs in found.items():
        row: dict[str, Any] = {"visit": visited, "runs": len(runs), "load": round(os.getloadavg()[0], 1)}
        for name in runs[0]:
            values = sorted(run[name] for run in runs)
            row[name] = {"p50": round(statistics.median(values)), "worst": round(values[-1])}
        row["above_goal"] = sum(run["quiet"] > GOAL_MS for run in runs)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
