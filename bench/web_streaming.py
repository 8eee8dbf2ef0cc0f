"""What the chat page needs for each frame while a 2,000-line answer is written, and whether anything moves.

    python bench/web_streaming.py [--build NAME=FOLDER ...] [--question guide,long] [--rate 80] [--rounds 2]

Needs the built page, Node.js, Playwright and Chromium; the stand-in server of `web/dev` writes the answer at once, and
the page gets its events as a steady model would send them: so many a second of animation frames, whatever else the
machine does. A frame's work is the processor time of the page's main thread from one animation frame to the next (from
the trace); at 60 frames a second it may be 16.7 ms. On a processor four times slower it may be a quarter of that, which
the rows tell as well. Frames by the clock are told with the load: on a busy machine they are late for reasons of the
machine. Rendering is software's, without a GPU. Several builds are measured in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FRAME_MS = 1000 / 60
SLOWER = 4
STEADY = """(perFrame) => {
    // An EventSource whose events come by the frame, from an answer that was written before.
    window.EventSource = class extends EventTarget {
        constructor(url) {
            super()
            fetch(url).then((response) => response.text()).then((text) => this.play(text))
        }
        play(text) {
            this.onopen?.()
            const events = text.split('\\n\\n').filter((part) => part.startsWith('id: ')).map((part) => {
                const [id, type, data] = part.split('\\n')
                return [type.slice(7), new MessageEvent(type.slice(7), { data: data.slice(6), lastEventId: id.slice(4) })]
            })
            const first = events.findIndex(([type]) => type === 'text')
            for (const [, event] of events.splice(0, first)) this.dispatchEvent(event)
            let owed = 0
            const frame = () => {
                for (owed += perFrame; owed >= 1 && events.length; owed--) this.dispatchEvent(events.shift()[1])
                if (events.length && !this.closed) requestAnimationFrame(frame)
                else window.ended()
            }
            window.begin = () => requestAnimationFrame(frame)
            document.documentElement.dataset.ready = ''
        }
        close() { this.closed = true }
    }
}"""
WATCH = """() => {
    const seen = window.seen = { frames: [], long: [], shift: 0, commits: [], changed: 0, over: false }
    let commits = 0
    let last = performance.now()
    const frame = (now) => {
        seen.frames.push(now - last)
        seen.commits.push(commits)
        last = now
        commits = 0
        if (!seen.over) requestAnimationFrame(frame)
    }
    requestAnimationFrame(frame)
    new MutationObserver((list) => {
        commits += 1
        seen.changed += list.length
    }).observe(document.querySelector('[role=log]'), { childList: true, characterData: true, subtree: true })
    const watch = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type })
    watch('longtask', (entry) => seen.long.push(entry.duration))
    watch('layout-shift', (entry) => { if (!entry.hadRecentInput) seen.shift += entry.value })
    const ended = new Promise((resolve) => { window.ended = resolve })
    window.begin()
    return ended
}"""


@contextmanager
def serving(build: Path) -> Iterator[str]:
    """The address of a stand-in server with that build of the page."""
    server = subprocess.Popen(
        [shutil.which("node") or "node", str(ROOT / "web/dev/stub.mjs")],
        env={
            **os.environ,
            "STUB_PORT": "0",
            "STUB_PACE": "0",
            "STUB_TOGETHER": "6",
            "STUB_STATIC": str(build.resolve()),
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    address = re.search(r"http://\S+", server.stdout.readline())
    assert address is not None
    try:
        yield address[0]
    finally:
        server.kill()
        server.wait()


def watch(browser: Browser, address: str, question: str, rate: float) -> dict[str, Any]:
    """What was seen from the answer's first text to its end, and the trace of it."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(600_000)
    page.add_init_script(f"({STEADY})({rate / 60})")
    page.goto(address)
    page.get_by_label("Your message").fill(question)
    page.keyboard.press("Enter")
    page.locator("html[data-ready] [role=log]").wait_for()
    browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    # Until then nothing looks for anything in the page: that would be work of its main thread too.
    page.evaluate(WATCH)
    # Colours, and what else waits for idle time, belong to the answer.
    page.wait_for_timeout(1000)
    seen: dict[str, Any] = page.evaluate("(window.seen.over = true, window.seen)")
    seen["trace"] = json.loads(browser.stop_tracing())["traceEvents"]
    seen["lines"] = page.evaluate(
        "document.querySelector('article[aria-label=Answer]').textContent.split('\\n').length"
    )
    page.get_by_role("button", name="Copy answer").wait_for()
    page.close()
    return seen


def work(events: list[dict[str, Any]]) -> tuple[list[float], list[float], Counter[str]]:
    """CPU milliseconds of the page's main thread: by frame, by task, and by kind of work (what it holds included)."""
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and event["args"].get("name") == "CrRendererMain"
    }
    mine = [event for event in events if (event["pid"], event["tid"]) in main and "tdur" in event]
    begins = sorted(event["ts"] for event in mine if event["name"] == "FireAnimationFrame")
    frames: dict[int, float] = dict.fromkeys(range(len(begins) + 1), 0.0)
    tasks, kinds = [], Counter[str]()
    for event in mine:
        kinds[event["name"]] += event["tdur"] / 1000
        if event["name"].endswith("RunTask"):
            tasks.append(event["tdur"] / 1000)
            frames[bisect_right(begins, event["ts"] + event["dur"])] += event["tdur"] / 1000
    return list(frames.values()), tasks, kinds


def share(values: list[float], limit: float) -> float:
    """How many per cent are above."""
    return round(100 * sum(value > limit for value in values) / len(values), 2)


def report(seen: dict[str, Any]) -> dict[str, Any]:
    """The figures of one run, in milliseconds."""
    frames, tasks, kinds = work(seen["trace"])
    ordered, commits = sorted(frames), [one for one in seen["commits"] if one]
    return {
        "frames": len(frames),
        "cpu_s": round(sum(frames) / 1000, 2),
        "frame_p50": round(statistics.median(ordered), 2),
        "frame_p95": round(ordered[int(len(ordered) * 0.95)], 2),
        "frame_p99": round(ordered[int(len(ordered) * 0.99)], 2),
        "frame_worst": round(ordered[-1], 1),
        "over_16.7_pct": share(frames, FRAME_MS),
        "over_50_pct": share(frames, 50),
        "longest_task": round(max(tasks), 1),
        f"slower_{SLOWER}x_over_16.7_pct": share(frames, FRAME_MS / SLOWER),
        f"slower_{SLOWER}x_over_50_pct": share(frames, 50 / SLOWER),
        "commits_a_frame": round(sum(commits) / len(commits), 3),
        "changes": seen["changed"],
        "layout_shift": round(seen["shift"], 4),
        "clock_p50": round(statistics.median(seen["frames"]), 1),
        "clock_over_50_pct": share(seen["frames"], 50),
        "clock_long_tasks": len(seen["long"]),
        "load": round(os.getloadavg()[0], 1),
        "most": {name: round(kinds[name]) for name, _ in kinds.most_common(9)[1:]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", action="append", default=[], help="a name and the folder of a built page")
    parser.add_argument(
        "--question", default="guide", help="guide: 96 blocks of code; long: one of 2,000 lines"
    )
    parser.add_argument("--rate", type=float, default=80, help="events a second, of six tokens each")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    here = ROOT / "src/codeweft/server/static"
    builds = dict(one.split("=", 1) for one in given.build) or {"this": str(here)}
    with sync_playwright() as playwright:
        for question in given.question.split(",") * given.rounds:
            for name, folder in builds.items():
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium") or "chromium", args=ARGUMENTS
                )
                with serving(Path(folder)) as address:
                    seen = watch(browser, address, question, given.rate)
                browser.close()
                row = {"build": name, "question": question, "lines": seen["lines"], **report(seen)}
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
