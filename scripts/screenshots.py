"""Pictures of every page, of the real server with a made-up team in it: `make screenshots`.

One sheet a page goes to docs/images/: three widths in English, a phone in Korean, light and dark. With `--keep FOLDER`
the single pictures are kept there at full size, to be looked at.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from sample_answers import prepared
from sample_team import ROOT, Team, team

IMAGES = ROOT / "docs/images"
SAMPLE = Path(tempfile.gettempdir()) / "codeweft-sample"
"""Seen in pictures as the place of the code, so it has no random name."""
PORT = 8000
SIZES = ((1440, 900), (768, 1024), (390, 844))
PHONE = SIZES[-1]
THEMES = ("light", "dark")
LANGUAGES = {"en": SIZES, "ko": (PHONE,)}
ROW = 560
"""Height of a picture in a sheet, in pixels."""
LARGEST = 250_000
"""Bytes of a sheet."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--hide-scrollbars",
]
UNFINISHED = ".skeleton, [aria-busy=true], main .animate-spin"
PATIENCE = 30_000


# ── what is pictured ─────────────────────────────────────────────────────────────────────────────────────────


def button(*names: str) -> Callable[[Page], None]:
    """Press the last button of any of these names: one for each language."""

    def press(page: Page) -> None:
        named = re.compile("^(" + "|".join(map(re.escape, names)) + ")")
        page.get_by_role("button", name=named).last.click()

    return press


def translate(page: Page) -> None:
    button("Try an example", "예제로 해 보기")(page)
    page.locator("#input-language_to").fill("Go")
    page.locator("main .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    page.locator("main pre").first.wait_for()


def palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("o")


def search(page: Page) -> None:
    box = page.get_by_role("searchbox").last
    box.fill("add up the lines of an invoice")
    box.press("Enter")


@dataclass(frozen=True)
class Shot:
    """A page in one state. `act` brings it there; `who` is nobody for a visitor who is not signed in."""

    name: str
    path: str
    act: Callable[[Page], None] | None = None
    who: str | None = "Ada"


SHOTS = (
    Shot("sign-in", "/", who=None),
    Shot("chat", "/c/{showcase}"),
    Shot("chat-empty", "/"),
    Shot("chat-retrieved", "/c/{showcase}", button("What was retrieved and why", "무엇을 왜 찾았는지")),
    Shot("palette", "/c/{showcase}", palette),
    Shot("playground", "/playground", button("Complete", "완성")),
    Shot("tasks", "/tasks/translate", translate),
    Shot("knowledge", "/knowledge", search),
    Shot("knowledge-index", "/knowledge/billing"),
    Shot("knowledge-add", "/knowledge", button("Add code", "코드 추가")),
    Shot("knowledge-secrets", "/knowledge/handbook?tab=secrets"),
    Shot("knowledge-empty", "/knowledge", who="Barbara"),
    Shot("snippets", "/snippets"),
    Shot("models", "/models"),
    Shot("connect", "/connect"),
    Shot("admin-people", "/admin/people"),
    Shot("admin-limits", "/admin/limits"),
    Shot("admin-usage", "/admin/usage"),
    Shot("admin-cost", "/admin/cost"),
    Shot("admin-feedback", "/admin/feedback"),
    Shot("admin-audit", "/admin/audit"),
    Shot("admin-settings", "/admin/settings"),
    Shot("welcome", "/welcome"),
    Shot("account", "/account"),
    Shot("nothing-here", "/nowhere"),
)


# ── taking them ──────────────────────────────────────────────────────────────────────────────────────────────


def visitor(browser: Browser, made: Team, who: str | None, language: str) -> BrowserContext:
    context = browser.new_context(
        locale={"en": "en-US", "ko": "ko-KR"}[language], reduced_motion="reduce", timezone_id="UTC"
    )
    context.set_default_timeout(PATIENCE)
    context.add_init_script(
        f"localStorage.setItem('codeweft.settings', JSON.stringify({{language: '{language}'}}))"
    )
    if who is not None:
        cookies = made.member(who).cookies
        context.add_cookies([{"name": name, "value": cookies[name], "url": made.url} for name in cookies])
    return context


def take(page: Page, made: Team, shot: Shot, language: str, folder: Path) -> None:
    """All pictures of one page in one language: loaded once, then sized and coloured."""
    width, height = LANGUAGES[language][0]
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": width, "height": height})
    page.goto(made.url + shot.path.format(showcase=made.showcase), wait_until="networkidle")
    page.get_by_role("heading", level=1).first.wait_for(state="attached")
    if shot.act is not None:
        shot.act(page)
    page.wait_for_load_state("networkidle")
    expect(page.locator(UNFINISHED)).to_have_count(0)
    for width, height in LANGUAGES[language]:
        page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            page.wait_for_load_state("networkidle")
            page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
            page.screenshot(path=picture(folder, shot, language, theme, width))


def picture(folder: Path, shot: Shot, language: str, theme: str, width: int) -> Path:
    return folder / f"{shot.name}-{language}-{theme}-{width}.png"


def sheet(page: Page, shot: Shot, folder: Path) -> bytes:
    """One WebP with all pictures of a page. Its quality is lowered until it is small enough."""
    rows = []
    for theme in THEMES:
        cells = [
            f'<img height="{ROW}" src="data:image/png;base64,'
            + base64.b64encode(picture(folder, shot, language, theme, width).read_bytes()).decode()
            + '">'
            for language, sizes in LANGUAGES.items()
            for width, _ in sizes
        ]
        rows.append(f'<div class="{theme}">{"".join(cells)}</div>')
    page.set_content(
        "<style>body{margin:0;width:max-content}div{display:flex;gap:20px;padding:20px}"
        "img{border-radius:8px;box-shadow:0 1px 6px #0004}.light{background:#e4e0d8}.dark{background:#000}</style>"
        + "".join(rows)
    )
    page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
    box = page.evaluate("[document.body.offsetWidth, document.body.offsetHeight]")
    devtools = page.context.new_cdp_session(page)
    for quality in (84, 76, 68, 60, 50):
        taken = devtools.send(
            "Page.captureScreenshot",
            {
                "format": "webp",
                "quality": quality,
                "captureBeyondViewport": True,
                "clip": {"x": 0, "y": 0, "width": box[0], "height": box[1], "scale": 1},
            },
        )
        data = base64.b64decode(taken["data"])
        if len(data) <= LARGEST:
            return data
    raise SystemExit(f"the sheet of {shot.name} has {len(data)} bytes, more than {LARGEST}")


def gallery(shots: tuple[Shot, ...]) -> str:
    """The list of all sheets, for who looks through the folder."""
    rows = "".join(f"\n## {shot.name}\n\n![{shot.name}]({shot.name}.webp)\n" for shot in shots)
    return (
        "# Every page in pictures\n\nMade by `make screenshots`: light and dark; 1440, 768 and 390 px, and 390 px in"
        " Korean. What they show is told in [the page's own page](../web.md).\n" + rows
    )


def free_port() -> int:
    """`PORT`, which is what a reader of the pictures knows, or any where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the single pictures there")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="only these pages")
    parser.add_argument(
        "--fonts", type=Path, metavar="FOLDER", help="more fonts for the browser, such as Inter"
    )
    asked = parser.parse_args()
    chromium = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
        None,
    )
    if chromium is None:
        sys.exit("There is no Chromium here: scripts/system-packages.sh installs it.")
    if not (ROOT / "src/codeweft/server/static/index.html").exists():
        sys.exit("The page is not built: make web.")
    shots = [shot for shot in SHOTS if not asked.only or shot.name in asked.only]
    began = time.monotonic()
    expect.set_options(timeout=PATIENCE)
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        environment = dict(os.environ)
        if asked.fonts is not None:
            (Path(scratch) / "fonts").symlink_to(asked.fonts.resolve())
            environment["XDG_DATA_HOME"] = scratch
        with (
            prepared() as endpoint,
            team(SAMPLE, endpoint, free_port()) as made,
            sync_playwright() as playwright,
        ):
            print(f"The team has moved in at {made.url} ({time.monotonic() - began:.0f} s).", flush=True)
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, env=environment)
            for language in LANGUAGES:
                for who in {shot.who: None for shot in shots}:
                    context = visitor(browser, made, who, language)
                    page = context.new_page()
                    for shot in shots:
                        if shot.who == who:
                            take(page, made, shot, language, folder)
                    context.close()
            page = browser.new_page()
            IMAGES.mkdir(parents=True, exist_ok=True)
            total = 0
            for shot in shots:
                data = sheet(page, shot, folder)
                total += len(data)
                (IMAGES / f"{shot.name}.webp").write_bytes(data)
            (IMAGES / "README.md").write_text(
                gallery(tuple(one for one in SHOTS if (IMAGES / f"{one.name}.webp").exists()))
            )
            browser.close()
    print(f"{len(shots)} sheets, {total / 1e6:.1f} MB, in {IMAGES} ({time.monotonic() - began:.0f} s).")


if __name__ == "__main__":
    main()
