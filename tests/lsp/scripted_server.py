"""A completion server over a scripted model, for a client to start: `python -m tests.lsp.scripted_server ANSWER DELAY`."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from codeweft.errors import NotReady
from codeweft.lsp import create_server
from codeweft.models.scripted import ScriptedModel
from codeweft.types import Model


class Scripted:
    def __init__(self, answer: str, delay: float) -> None:
        self.answers = ScriptedModel("scripted", answer, delay=delay)

    def model(self, name: str | None) -> Model:
        if name == "none":
            raise NotReady("No model is loaded.", fix="Pull one.")
        return self.answers


def main() -> None:
    scripted = Scripted(sys.argv[1], float(sys.argv[2]))

    @asynccontextmanager
    async def connect() -> AsyncIterator[Scripted]:
        yield scripted
        asked = [
            (
                one.infill
                and [one.infill.prefix, one.infill.suffix, [[n.path, n.text] for n in one.infill.neighbours]]
            )
            for one in scripted.answers.requests
        ]
        report = {
            "asked": asked,
            "cancelled": scripted.answers.cancelled,
            "garbage": [gc.get_threshold(), gc.get_freeze_count()],
        }
        print(json.dumps(report), file=sys.stderr)

    create_server(connect, sys.argv[3] if len(sys.argv) > 3 else None).start_io()


if __name__ == "__main__":
    main()
