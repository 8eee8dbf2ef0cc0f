"""A real server with a made-up team in it: users, teams, keys, code, conversations, ten days of use.

All of it is done through the public API. Only the server's clock is ours: `advance` sets it forward, so that ten days
of use take a few seconds.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from sample_answers import MODEL

ROOT = Path(__file__).parents[1]
DAYS = 10
DAY = 86400
PATIENCE = 120
ADMIN = "Ada"
PASSWORD = "a password for pictures"

# Before anything reads the clock, `time.time` becomes one that a line on standard input sets forward.
CLOCKED = """
import sys, threading, time
real, ahead = time.time, [float(sys.argv.pop(1))]
time.time = lambda: real() + ahead[0]
def follow():
    for line in sys.stdin:
        ahead[0] += float(line)
        print(f"The clock is {ahead[0]:.0f} s ahead", flush=True)
threading.Thread(target=follow, daemon=True).start()
from codeweft.cli import main
main()
"""


@dataclass
class Team:
    """A running server. `admin` and `people` are signed-in clients."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str]
    printed: threading.Condition
    stranger: httpx.Client
    """Without a session."""
    admin: httpx.Client
    people: dict[str, httpx.Client] = field(default_factory=dict)
    showcase: str = ""
    """The conversation to be pictured."""

    def member(self, name: str) -> httpx.Client:
        return self.admin if name == ADMIN else self.people[name]

    def advance(self, seconds: float) -> None:
        """Set the server's clock forward."""
        assert self.process.stdin is not None
        before = len(self.lines)
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        wait_for(self.lines, self.printed, r"^The clock is", before)


def visitor(url: str, link: str = "") -> httpx.Client:
    """A client as a browser is one, signed in when there is a one-time link."""
    client = httpx.Client(
        base_url=url,
        headers={"X-Codeweft": "1", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/142.0"},
        timeout=PATIENCE,
        follow_redirects=True,
        trust_env=False,
    )
    if link:
        done(client.get(link))
    return client


def done(response: httpx.Response) -> Any:
    """The JSON of a response. Raises with the server's own words when it failed."""
    if response.is_error:
        raise RuntimeError(f"{response.request.method} {response.request.url}: {response.text}")
    return (
        response.json() if response.content and "json" in response.headers.get("content-type", "") else None
    )


def wait_for(lines: list[str], printed: threading.Condition, pattern: str, after: int = 0) -> re.Match[str]:
    """The first line from `after` on that matches. Raises with everything that was printed."""

    def found() -> re.Match[str] | None:
        return next((match for line in lines[after:] if (match := re.search(pattern, line))), None)

    with printed:
        match = printed.wait_for(found, PATIENCE)
    if match is None:
        raise RuntimeError(f"no line like {pattern!r} in:\n" + "\n".join(lines))
    return match


@contextmanager
def team(folder: Path, endpoint: str, port: int = 0) -> Iterator[Team]:
    """The server with the whole team in it. `folder` is made anew; its path is seen in pictures."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    home = folder / "state"
    home.mkdir()
    (home / "codeweft.yaml").write_text(yaml.safe_dump(_settings(endpoint), sort_keys=False))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CODEWEFT_")}
    process = subprocess.Popen(
        [sys.executable, "-c", CLOCKED, str(-DAYS * DAY), "serve", "--port", str(port)],
        env={**environment, "CODEWEFT_HOME": str(home), "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"}
        | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    printed = threading.Condition()

    def follow() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with printed:
                lines.append(line.rstrip("\n"))
                printed.notify_all()

    threading.Thread(target=follow, daemon=True).start()
    try:
        link = wait_for(lines, printed, r"Sign in .*?(http://\S+)")[1]
        url = link.split("/signin")[0]
        made = Team(process, url, lines, printed, visitor(url), visitor(url, link))
        _move_in(made, folder)
        _work(made)
        yield made
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        if process.poll() is None:
            process.kill()


def _settings(endpoint: str) -> dict[str, Any]:
    return {
        "model": "coder",
        "models": {
            "coder": {"pool": ["gpu-1", "gpu-2"], "fallback": ["starter"]},
            "gpu-1": {"base_url": endpoint, "model": MODEL, "parallel": 16},
            "gpu-2": {"base_url": endpoint, "model": MODEL, "parallel": 16},
            "hosted": {"base_url": endpoint, "model": "claude-sonnet-4-5"},
        },
        "prices": {
            "coder": {"input": 0.1, "output": 0.4},
            "gpu-1": {"input": 0.1, "output": 0.4},
            "gpu-2": {"input": 0.1, "output": 0.4},
            "hosted": {"input": 3.0, "output": 15.0},
        },
        "sign_in": {"registration": "approval"},
        "index": {"default": "billing"},
    }


# ── who and what ─────────────────────────────────────────────────────────────────────────────────────────────


def _move_in(made: Team, folder: Path) -> None:
    """People, teams, keys, limits and code, on the first of the ten days."""
    admin = made.admin
    me = done(admin.get("/api/me"))["user"]
    done(admin.patch(f"/api/users/{me['id']}", json={"name": ADMIN}))
    done(admin.put("/api/me/password", json={"password": PASSWORD}))
    for name in ("payments", "platform"):
        done(admin.post("/api/teams", json={"name": name}))
    for name, role, where in (
        ("Grace", "member", "payments"),
        ("Linus", "member", "platform"),
        ("김민지", "member", "payments"),
        ("Barbara", "viewer", None),
    ):
        user = done(admin.post("/api/users", json={"name": name, "role": role, "team": where}))
        link = done(admin.post(f"/api/users/{user['id']}/signin"))["path"]
        made.people[name] = visitor(made.url, link)
    done(made.stranger.post("/api/registration", json={"name": "Dennis", "password": PASSWORD}))
    teams = {one["name"]: one["id"] for one in done(admin.get("/api/teams"))}
    budget = {"budget_usd": 40, "period": "month", "requests_per_minute": 600}
    done(admin.put(f"/api/limits/team/{teams['payments']}", json=budget))
    done(admin.put("/api/limits/everyone/all", json={"parallel": 8, "budget_tokens": 5_000_000}))
    for name, path in _code(folder).items():
        done(admin.post("/api/indexes", json={"source": str(path), "name": name}))
    for name in ("codeweft", "billing", "handbook"):
        _until_ready(admin, name)
    access = {"open": False, "users": [], "teams": ["payments"]}
    done(admin.put("/api/indexes/handbook/access", json=access))


def _code(folder: Path) -> dict[str, Path]:
    """Three sources: this program as a git repository, the sample project of the tests, a folder of documents."""
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]
    places = {name: folder / "code" / name for name in ("codeweft", "billing", "handbook")}
    (folder / "code").mkdir()
    shutil.copytree(
        ROOT / "src/codeweft",
        places["codeweft"],
        ignore=shutil.ignore_patterns("static", "__pycache__", "*.gguf"),
    )
    shutil.copytree(ROOT / "tests/e2e/sample", places["billing"])
    shutil.copytree(ROOT / "tests/retrieval/documents", places["handbook"])
    # In two parts, or the search for secrets of those who host this repository finds one.
    token = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
    (places["handbook"] / "deploy.md").write_text(f"# Deploying\n\nThe release job signs in with {token}.\n")
    for name in ("codeweft", "billing"):
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "As it is"]):
            subprocess.run([*git, *arguments], cwd=places[name], check=True, capture_output=True)
    return places


def _until_ready(client: httpx.Client, name: str) -> None:
    """Return when the index is read."""
    tick = threading.Event()
    for _ in range(PATIENCE * 4):
        job = done(client.get(f"/api/indexes/{name}"))["job"]
        if job is None or job["state"] not in ("queued", "running"):
            return
        tick.wait(0.25)
    raise RuntimeError(f"the index {name} is not ready after {PATIENCE} s")


# ── ten days of use ──────────────────────────────────────────────────────────────────────────────────────────

QUESTIONS: dict[int, list[tuple[str, str, str, str]]] = {
    0: [("Ada", "How does ranking fuse lexical and vector results?", "codeweft", "")],
    3: [
        ("Grace", "Write pytest tests for Money.add", "billing", "Ran at the first try."),
        ("Linus", "Should retryWithBackoff have jitter?", "billing", ""),
    ],
    6: [("Ada", "Should retryWithBackoff have jitter?", "billing", "")],
    8: [
        ("Ada", "연체된 청구서를 고객별로 더하는 함수를 작성해 줘", "billing", ""),
        (
            "Grace",
            "Where are cancelled lines skipped?",
            "billing",
            "There are no cancelled lines in our code.",
        ),
    ],
    9: [
        ("Ada", "Write pytest tests for Money.add", "billing", "Ran at the first try."),
        ("Ada", "Write a function: what each customer owes on overdue invoices", "billing", ""),
    ],
}
"""By day: who asked what about which index, and what they said of the answer."""


def _work(made: Team) -> None:
    chance = random.Random(7)
    programs = (
        ("Ada", "VS Code"),
        ("Ada", "ci"),
        ("Grace", "Continue"),
        ("Linus", "Zed"),
        ("김민지", "Aider"),
    )
    keys = [
        (who, done(made.member(who).post("/api/keys", json={"name": what}))["key"]) for who, what in programs
    ]
    for day in range(DAYS):
        for who, key in keys:
            for number in range(chance.randint(0, 6)):
                _request(made, key, chance.choice(("coder", "coder", "hosted")), f"{day}.{number} by {who}")
        for who, question, index, comment in QUESTIONS.get(day, []):
            made.showcase = _ask(made.member(who), question, index, comment)
        made.advance(DAY)
    for title, code, language in (
        ("Backoff with full jitter", "const wait = Math.random() * delay * 2 ** attempt\n", "javascript"),
        ("Owed by customer", "owed = {c: sum_of(i) for c, i in by_customer(overdue)}\n", "python"),
    ):
        done(made.admin.post("/api/snippets", json={"code": code, "language": language, "title": title}))


def _request(made: Team, key: str, model: str, text: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": f"Do note {text}."}]}
    done(made.stranger.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"}))


def _ask(client: httpx.Client, question: str, index: str, comment: str) -> str:
    """A conversation of one question, rated when there is a comment."""
    made = done(client.post("/api/conversations", json={"model": "codegen", "index": index}))
    body = {"content": question, "model": "codegen", "index": index, "explain": True}
    asked = done(client.post(f"/api/conversations/{made['id']}/answers", json=body))
    with client.stream("GET", f"/api/answers/{asked['answer_id']}/events") as events:
        for _ in events.iter_lines():
            pass
    if comment:
        rating = "bad" if "no " in comment else "good"
        done(
            client.put(
                f"/api/turns/{asked['turn']['id']}/rating", json={"rating": rating, "comment": comment}
            )
        )
    return str(made["id"])
