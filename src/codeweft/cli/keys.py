"""`codeweft keys`: API keys for editors, agents and scripts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from codeweft.cli.options import JsonOption
from codeweft.cli.render import note, out, print_json, table
from codeweft.errors import NotFound

HERE = "command line"
"""Who changes something by a command, for the audit log."""


class ScopeOption(StrEnum):
    """Writing answers; looking up; changing indexes; keys, people and conversations."""

    generate = "generate"
    search = "search"
    knowledge = "knowledge"
    account = "account"


app = typer.Typer(help="Make and remove API keys.", no_args_is_help=True)


@app.command(epilog="Example: `export CODEWEFT_API_KEY=$(codeweft keys create --name laptop)`")
def create(
    name: Annotated[str, typer.Option("--name", "-n", help="What the key is for.")],
    user: Annotated[
        str | None, typer.Option("--user", help="Whose key (default: the first admin's).")
    ] = None,
    days: Annotated[float | None, typer.Option("--days", min=0.0001, help="Days until it expires.")] = None,
    scope: Annotated[
        list[ScopeOption] | None,
        typer.Option("--scope", help="What it may do; may be repeated (default: all)."),
    ] = None,
) -> None:
    """Make a key and print it, and nothing else. It is shown this once."""
    from codeweft.accounts import Actor
    from codeweft.runtime.state import open_accounts

    async def work() -> str:
        async with open_accounts() as accounts:
            owner = (await accounts.people.user(user)).id if user else None
            return await accounts.create_key(
                name,
                owner,
                expires_in=None if days is None else days * 86400,
                scopes=[one.value for one in scope or ()],
                actor=Actor(HERE),
            )

    typer.echo(asyncio.run(work()))


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the keys (never the secrets)."""
    from codeweft.runtime.state import open_accounts

    async def work() -> list[dict[str, object]]:
        async with open_accounts() as accounts:
            return [
                {"id": key.id, "name": key.name, "prefix": key.prefix, "created_at": _moment(key.created_at)}
                for key in await accounts.keys()
            ]

    keys = asyncio.run(work())
    if as_json:
        print_json(keys)
    elif not keys:
        note("No key yet. Make one: codeweft keys create --name NAME")
    else:
        shown = table("Name", "Key", "Created")
        for key in keys:
            shown.add_row(str(key["name"]), f"{key['prefix']}…", str(key["created_at"])[:16])
        out.print(shown)


@app.command(epilog="Example: `codeweft keys rotate ci`")
def rotate(name: Annotated[str, typer.Argument(help="Name of the key (or its first characters).")]) -> None:
    """Give a key a new secret and print it; the old one goes on working for a day."""
    from codeweft.accounts import Actor
    from codeweft.runtime.state import open_accounts

    async def work() -> str:
        async with open_accounts() as accounts:
            return await accounts.rotate_key(name, actor=Actor(HERE))

    typer.echo(asyncio.run(work()))


@app.command(epilog="Example: `codeweft keys rm laptop`")
def rm(
    name: Annotated[str, typer.Argument(help="Name of the key (or its first characters).")],
) -> None:
    """Remove a key; it stops working at once, also in a running server."""
    from codeweft.accounts import Actor
    from codeweft.runtime.state import open_accounts

    async def work() -> None:
        async with open_accounts() as accounts:
            meant = [key for key in await accounts.keys() if key.name == name or key.prefix == name]
            if not meant:
                raise NotFound(f"There is no key called {name}.", fix="`codeweft keys list` shows them.")
            for key in meant:
                await accounts.delete_key(key.id, actor=Actor(HERE))

    asyncio.run(work())
    note(f"The key {name} no longer works.")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
