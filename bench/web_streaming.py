"""How smooth the chat page is while it shows a 2,000-line answer: frames, long tasks, layout shifts.

    python bench/web_streaming.py [--pace MS]

Needs the built page, Node.js, Playwright and Chromium; the stand-in server of `web/dev` writes the answer. Frames are
what `requestAnimationFrame` sees; software rendering without a GPU, so the figures are a lower bound. On a busy machine
only the CPU milliseconds of the page's main thread say something: a task may take 16.7 of them at 60 frames a second.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
WATCH = """() => {
    window.frames_ = []; window.tasks = []; window.shift = 0
    let last = performance.now()
    const frame = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(frame) }
    requestAnimationFrame(frame)
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.tasks.push(entry.duration)
    }).observe({ type: 'longtask' })
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value
    }).observe({ type: 'layout-shift' })
}"""


def cpu_of_tasks(events: list[dict[str, Any]]) -> list[float]:
    """CPU milliseconds of each task of the page's main thread."""
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and event["args"].get("name") == "CrRendererMain"
    }
    return [
        event["tdur"] / 1000
        for event in events
        if (event["pid"], event["tid"]) in main and event["name"].endswith("RunTask") and "tdur" in event
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pace", default="0.5", help="milliseconds of the stand-in server between tokens")
    pace = parser.parse_args().pace
    server = subprocess.Popen(
        [shutil.which("node") or "node", str(ROOT / "web/dev/stub.mjs")],
        env={**os.environ, "STUB_PORT": "0", "STUB_PACE": pace},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    address = re.search(r"http://\S+", server.stdout.readline())
    assert address is not None
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium") or "chromium", args=ARGUMENTS
            )
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(300_000)
            page.goto(address[0])
            page.get_by_label("Your message").fill("a long file")
            page.evaluate(WATCH)
            browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
            page.keyboard.press("Enter")
            page.get_by_role("button", name="Copy answer").wait_for()
            seen = page.evaluate(
                "({frames: window.frames_, tasks: window.tasks, shift: window.shift,"
                " lines: document.querySelector('pre').textContent.split('\\n').length})"
            )
            trace = json.loads(browser.stop_tracing())
            browser.close()
    finally:
        server.kill()
    frames = sorted(seen["frames"])
    tasks = cpu_of_tasks(trace["traceEvents"])
    report = {
        "cpu_s": round(sum(tasks) / 1000, 2),
        "tasks_over_a_frame": sum(task > 1000 / 60 for task in tasks),
        "longest_tasks_cpu_ms": [round(task, 1) for task in sorted(tasks)[-5:]],
        "lines": seen["lines"],
        "frames": len(frames),
        "median_ms": round(statistics.median(frames), 1),
        "p95_ms": round(frames[int(len(frames) * 0.95)], 1),
        "worst_ms": round(frames[-1], 1),
        "long_tasks": len(seen["tasks"]),
        "longest_task_ms": round(max(seen["tasks"], default=0)),
        "layout_shift": round(seen["shift"], 4),
        "load": os.getloadavg()[0],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
