"""`codeweft serve` and `codeweft signin`: the server, and the way in."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from codeweft.cli.options import ConfigOption

EXAMPLES = """Examples:

- `codeweft serve --code .` serves this folder's code on http://127.0.0.1:8000

- `codeweft serve --code https://github.com/pallets/flask --port 9000`

- `codeweft serve --config team.yaml --host 0.0.0.0`"""


def serve(
    config: ConfigOption = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on (default 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help="Port to listen on (default 8000; 0 takes a free one)."
        ),
    ] = None,
    code: Annotated[
        list[str] | None,
        typer.Option("--code", metavar="SOURCE", help="Folder or git URL to index (repeatable)."),
    ] = None,
) -> None:
    """Run the server until Ctrl-C: web page, APIs, engine and indexing."""
    from codeweft.config import load

    over: dict[str, Any] = {"server": {k: v for k, v in (("host", host), ("port", port)) if v is not None}}
    settings = load(config, over)
    from codeweft.cli.serving import run
    from codeweft.runtime.settings_file import SettingsFile

    run(settings, SettingsFile.of(config, over), tuple(code or ()))


def signin(config: ConfigOption = None) -> None:
    """Print a new one-time sign-in link for the web page."""
    from codeweft.config import load
    from codeweft.runtime.running import running
    from codeweft.runtime.state import open_accounts

    settings = load(config)

    async def work() -> str:
        async with open_accounts() as accounts:
            return await accounts.signin_link()

    token = asyncio.run(work())
    server = running()
    address = server.url if server else f"http://{settings.server.host}:{settings.server.port}"
    typer.echo(f"{settings.server.public_url or address}/signin?token={token}")
