"""`codeweft mcp`: tools for coding agents, on standard input and output."""

from __future__ import annotations

import asyncio
import logging
import sys

from codeweft.cli.answering import answerer
from codeweft.cli.options import ConfigOption, settings
from codeweft.types import Caller

EXAMPLES = """Examples (the command that an agent starts):

- `codeweft mcp`

- `claude mcp add codeweft -- codeweft mcp`

A server that runs speaks the same over HTTP at `/mcp`, with a key in the `Authorization` header."""


def mcp(config: ConfigOption = None) -> None:
    """Give coding agents the code that is indexed here (Model Context Protocol)."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    asyncio.run(_serve(config))


async def _serve(config: ConfigOption) -> None:
    from codeweft.mcp import create_mcp
    from codeweft.runtime.garbage import settle
    from codeweft.runtime.state import open_indexes

    given = settings(config)
    async with answerer(given, None) as models:
        indexes = open_indexes(given)
        server = create_mcp(lambda _: indexes, models.model, lambda _: Caller())
        settle()
        await server.run_stdio_async()
