"""Inline completion from the editor's request to the grey text, with repository context, beside the engine's floor.

A real LSP client starts `codeweft lsp` on a state folder whose index holds the code, opens files and asks at the ends of
lines inside functions. The floor is the bundled engine alone (a process of its own, same threads), asked over a plain
socket for the same holes with the same neighbours as token ids: no protocol, no look-up, no tokenising. Rounds alternate.

    python -m bench.engine.lsp --code src/codeweft [--holes 24] [--tokens 96]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

from bench.engine.adapter import bare
from codeweft.config import load
from codeweft.flows import infilling
from codeweft.lsp import MAX_TOKENS, hole_at
from codeweft.models.embedded import EmbeddedModel
from codeweft.models.native import completion_body
from codeweft.models.plan import EngineOptions
from codeweft.models.skills import with_defaults
from codeweft.models.starter import bundled
from codeweft.runtime.compose import open_runtime
from codeweft.types import Infill, Neighbour, Query, Sampling

FOUND = 8
"""Chunks that the app looks up."""


def holes(code: Path, count: int) -> list[tuple[Path, int, int]]:
    """File, line and column (from 0) behind the beginning of an indented statement, drawn with a fixed seed."""
    places = []
    for path in sorted(code.rglob("*.py")):
        for number, line in enumerate(path.read_text().split("\n")):
            if found := re.match(r"\s{4,}(?:return |\w+ = |if |await )", line):
                places.append((path, number, found.end()))
    return random.Random(0).sample(places, min(count, len(places)))


def emptied(path: Path, line: int, column: int) -> str:
    """The file without the rest of that line."""
    lines = path.read_text().split("\n")
    return "\n".join([*lines[:line], lines[line][:column], *lines[line + 1 :]])


async def floor_bodies(code: Path, places: list[tuple[Path, int, int]], engine: EmbeddedModel) -> list[bytes]:
    """The engine's own requests for the holes, with what the app would look up for them."""
    bodies = []
    async with open_runtime(load(None)) as runtime:
        for path, line, column in places:
            text = emptied(path, line, column)
            offset = len("\n".join(text.split("\n")[:line])) + 1 + column
            hole = hole_at(text, offset)
            infill = Infill(hole.prefix, hole.suffix)
            results = await runtime._services.retriever.search(Query(infilling.query(infill), k=FOUND))
            context = engine.info.context or 0
            shown = infilling.neighbours(results, infill, context)
            around = tuple(Neighbour(one.chunk.path, one.chunk.text) for one in shown)
            sampling = with_defaults(Sampling(max_tokens=MAX_TOKENS, repetition_penalty=1.0), "infilling")
            _, ids, _ = await engine._infill_prompt(Infill(hole.prefix, hole.suffix, around), sampling)
            bodies.append(json.dumps(completion_body(ids, sampling, MAX_TOKENS, None)).encode())
    return bodies


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--code", type=Path, default=Path("src/codeweft"))
    parser.add_argument("--holes", type=int, default=24)
    arguments = parser.parse_args()
    places = holes(arguments.code, arguments.holes)
    with tempfile.TemporaryDirectory(prefix="codeweft-bench-") as home:
        os.environ |= {"CODEWEFT_HOME": home, "CODEWEFT_ENGINE__THREADS": "1"}
        command = (sys.executable, "-m", "codeweft", "index", "add", str(arguments.code), "--name", "bench")
        indexing = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        if await indexing.wait():
            raise SystemExit("the code was not indexed")
        engine = EmbeddedModel("floor", bundled(), options=EngineOptions(threads=1))
        await engine.start()
        client = LanguageClient("bench", "1")
        said: list[str] = []
        client.feature(lsp.WINDOW_LOG_MESSAGE)(lambda params: said.append(params.message))
        client.feature(lsp.WINDOW_SHOW_MESSAGE)(lambda params: None)

        await client.start_io(sys.executable, "-m", "codeweft", "lsp")
        try:
            bodies = await floor_bodies(arguments.code, places, engine)
            await client.initialize_async(lsp.InitializeParams(lsp.ClientCapabilities(), root_uri=arguments.code.absolute().as_uri()))  # fmt: skip
            client.initialized(lsp.InitializedParams())
            whole, alone, answered = [], [], 0
            for number, ((path, line, column), body) in enumerate(zip(places, bodies, strict=True)):
                uri = path.absolute().as_uri()
                document = lsp.TextDocumentItem(uri, "python", number, emptied(path, line, column))
                client.text_document_did_open(lsp.DidOpenTextDocumentParams(document))
                params = lsp.InlineCompletionParams(
                    lsp.InlineCompletionContext(lsp.InlineCompletionTriggerKind.Automatic),
                    lsp.TextDocumentIdentifier(uri),
                    lsp.Position(line, column),
                )
                began = time.perf_counter()
                answer = await client.text_document_inline_completion_async(params)
                took = time.perf_counter() - began
                client.text_document_did_close(
                    lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(uri))
                )
                began = time.perf_counter()
                await bare(engine._loaded().engine, body)
                if number:
                    # The first starts the engine behind the language server.
                    whole.append(took)
                    alone.append(time.perf_counter() - began)
                    answered += bool(answer.items if isinstance(answer, lsp.InlineCompletionList) else answer)
            await client.shutdown_async(None)
            client.exit(None)
            await client.stop()  # type: ignore[no-untyped-call]
        finally:
            await engine.close()
    for name, times in (("through LSP", whole), ("engine's floor", alone)):
        nine = sorted(times)[int(len(times) * 0.9)]
        print(f"{name:15} p50 {statistics.median(times) * 1e3:6.0f} ms, p90 {nine * 1e3:6.0f} ms")
    added = statistics.median(one - other for one, other in zip(whole, alone, strict=True))
    for message in dict.fromkeys(said):
        print(f"the server said: {message}")
    print(
        f"added p50 {added * 1e3:.0f} ms; {answered} of {len(whole)} holes got text; load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    asyncio.run(main())
