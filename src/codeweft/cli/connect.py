"""`codeweft connect`: put this server into the settings of editors and agents, after showing what would change."""

from __future__ import annotations

import asyncio
import difflib
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.syntax import Syntax

from codeweft.cli.options import ServerOption
from codeweft.cli.render import err, note, out, table
from codeweft.config import environment_key
from codeweft.errors import CodeweftError, InvalidRequest, NotFound
from codeweft.server.clients import CLIENTS, Address, Client, edited

EXAMPLES = """Examples:

- `codeweft connect` lists the programs found here

- `codeweft connect claude-code codex` shows what would change, and asks

- `codeweft connect continue --server https://codeweft.example.org --yes`"""

DEFAULT_URL = "http://127.0.0.1:8000"


def connect(
    names: Annotated[
        list[str] | None, typer.Argument(help="Programs to set up; none lists those that were found.")
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Model or app that they use.")] = "codegen",
    server: ServerOption = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", help="API key to write (default: CODEWEFT_API_KEY, else a new one per program)."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
) -> None:
    """Set up editors and agents for this server. Shows the difference first, and keeps the old file."""
    home = Path.home()
    if not names:
        _list(home)
        return
    known = {client.name: client for client in CLIENTS}
    for name in names:
        if name not in known:
            raise NotFound(
                f"{name} is not a program that can be set up.", fix=f"There are: {', '.join(known)}."
            )
    url = (server or _running()).rstrip("/")
    for name in names:
        _connect(known[name], home, url, model, key or environment_key(), yes)


def _list(home: Path) -> None:
    shown = table("Program", "Name", "Found", "Settings")
    for client in CLIENTS:
        path = home / client.path
        connected = _names_us(path)
        found = "connected" if connected else "yes" if _found(client, home) else "–"
        shown.add_row(client.title, client.name, found, f"~/{client.path}")
    out.print(shown)
    note("`codeweft connect NAME` sets one up. docs/connect.md has the settings of others.")


def _found(client: Client, home: Path) -> bool:
    return any((home / mark).exists() for mark in client.marks)


def _names_us(path: Path) -> bool:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return "odeweft" in text or DEFAULT_URL in text


def _running() -> str:
    from codeweft.runtime.running import running

    found = running()
    return found.url if found is not None else DEFAULT_URL


def _connect(client: Client, home: Path, url: str, model: str, key: str | None, yes: bool) -> None:
    path = home / client.path
    try:
        before = path.read_text("utf-8") if path.exists() else ""
        # What the key will be does not matter for whether the settings can be edited, and none is made in vain.
        after = edited(client, before, Address(url, key or "cw_…", model))
    except (CodeweftError, UnicodeDecodeError) as error:
        snippet = edited(client, "", Address(url, key or "cw_…", model))
        err.print(f"[yellow]{path} is left alone:[/] {error}")
        out.print(Syntax(snippet, client.format.removesuffix("-list"), background_color="default"))
        return
    if before == after:
        note(f"{client.title} is connected already ({path}).")
        return
    difference = difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(path), f"{path} (new)", lineterm="", n=2
    )
    err.print(Syntax("\n".join(difference), "diff", background_color="default"))
    if not yes and not typer.confirm(f"Write {path}?", err=True):
        note("Nothing was changed.")
        return
    key = key or _new_key(client.name)
    _write(path, edited(client, before, Address(url, key, model)))
    note(f"{client.title} now uses {url} with {model}.")
    if client.then:
        note(client.then.format(key=key))


def _write(path: Path, text: str) -> None:
    """Replace a file at once, readable for its owner only (it holds a key); the old one stays beside it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Settings are often links into a folder under version control: write where they lie.
        target = path.resolve()
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        with os.fdopen(
            os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        if target.exists():
            backup = target.with_name(target.name + ".before-codeweft")
            backup.unlink(missing_ok=True)
            target.rename(backup)
            note(f"The old settings are in {backup}.")
        partial.replace(target)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}.") from None


def _new_key(name: str) -> str:
    from codeweft.runtime.state import open_accounts

    async def work() -> str:
        async with open_accounts() as accounts:
            return await accounts.create_key(name)

    return asyncio.run(work())
