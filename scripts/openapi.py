"""Print the OpenAPI description of the web API; `python scripts/openapi.py > web/openapi.json` renews it."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from codeweft.accounts import Accounts
from codeweft.config import Settings
from codeweft.jobs import Jobs
from codeweft.server.api import create_api
from codeweft.server.chat import Answers
from codeweft.server.service import Service


async def describe() -> dict[str, Any]:
    """The description depends on no model and no index, so none are opened."""
    with tempfile.TemporaryDirectory() as folder:
        async with await Accounts.open(Path(folder) / "accounts.db") as accounts:
            parts = {"accounts": accounts, "jobs": Jobs(), "indexes": None, "summaries": None}
            runtime: Any = SimpleNamespace(settings=Settings(), **parts)
            service = Service(runtime)
            description = create_api(runtime, service, Answers(runtime, service)).openapi()
    # The version changes with every release; the description should change only with the API.
    description["info"]["version"] = "1"
    return description


def text() -> str:
    return json.dumps(asyncio.run(describe()), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
