"""The language server, driven by a real client over standard input and output."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

from codeweft.lsp import Hole, Typed, hole_at, tidied
from codeweft.runtime.garbage import THRESHOLDS

FILE = "file:///code/cart.py"


@dataclass
class Editor:
    """An editor with one document open, and what the server told it."""

    client: LanguageClient
    shown: list[str] = field(default_factory=list)
    report: dict[str, object] = field(default_factory=dict)

    def open(self, text: str, uri: str = FILE) -> None:
        document = lsp.TextDocumentItem(uri, "python", 1, text)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(document))

    def change(self, text: str) -> None:
        whole = lsp.TextDocumentContentChangeWholeDocument(text)
        identifier = lsp.VersionedTextDocumentIdentifier(2, FILE)
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(identifier, [whole]))

    def edit(self, uri: str, line: int, text: str) -> None:
        """Put a line before line `line`, as an editor tells it."""
        there = lsp.Position(line, 0)
        change = lsp.TextDocumentContentChangePartial(lsp.Range(there, there), text + "\n")
        identifier = lsp.VersionedTextDocumentIdentifier(2, uri)
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(identifier, [change]))

    def params(self, line: int, character: int) -> lsp.InlineCompletionParams:
        return lsp.InlineCompletionParams(
            lsp.InlineCompletionContext(lsp.InlineCompletionTriggerKind.Automatic),
            lsp.TextDocumentIdentifier(FILE),
            lsp.Position(line, character),
        )

    async def complete(self, line: int, character: int) -> list[str]:
        answer = await self.client.text_document_inline_completion_async(self.params(line, character))
        items = answer.items if isinstance(answer, lsp.InlineCompletionList) else answer or []
        return [str(item.insert_text) for item in items]


@asynccontextmanager
async def editor(answer: str, *more: str) -> AsyncIterator[Editor]:
    client = LanguageClient("tests", "1")
    running = Editor(client)

    @client.feature(lsp.WINDOW_SHOW_MESSAGE)
    def show(params: lsp.ShowMessageParams) -> None:
        running.shown.append(params.message)

    delay, *model = more or ("0",)
    await client.start_io(sys.executable, "-m", "tests.lsp.scripted_server", answer, delay, *model)
    options = lsp.InitializeParams(lsp.ClientCapabilities(), root_uri="file:///code")
    initialised = await client.initialize_async(options)
    assert initialised.capabilities.inline_completion_provider
    client.initialized(lsp.InitializedParams())
    try:
        yield running
    finally:
        await client.shutdown_async(None)
        client.exit(None)
        process = client._server
        assert process is not None and process.stderr is not None
        said = await process.stderr.read()
        reports = [line for line in said.splitlines() if line.startswith(b'{"asked"')]
        running.report = json.loads(reports[0]) if reports else {}
        await client.stop()


async def test_a_completion_fills_in_between_what_stands_around_the_cursor() -> None:
    async with editor("w * h") as one:
        one.open("def volume(): ...\n", "file:///code/shapes.py")
        one.open("def area(w, h):\n    return \n\nprint(area(2, 3))\n")
        assert await one.complete(1, 11) == ["w * h"]
    assert one.report["asked"] == [
        ["def area(w, h):\n    return ", "\n\nprint(area(2, 3))\n", [["shapes.py", "def volume(): ...\n"]]]
    ]


async def test_the_collector_of_garbage_leaves_alone_what_was_opened() -> None:
    async with editor("w * h") as one:
        one.open("x = \n")
        assert await one.complete(0, 4) == ["w * h"]
    threshold, frozen = one.report["garbage"]  # type: ignore[misc]
    assert threshold == list(THRESHOLDS) and frozen > 10_000


async def test_what_was_edited_lately_is_shown_before_what_is_alike() -> None:
    filler = [f"unrelated_{number} = {number}" for number in range(100)]
    shapes = "\n".join([*filler, "def volume(width, height, depth): ...", *filler])
    other = "\n".join([*filler, "WIDTHS = {}", *filler])
    async with editor("w") as one:
        one.open(shapes, "file:///code/shapes.py")
        one.open(other, "file:///code/a%20b.py")
        one.open("x = 1\n", "file:///code/notes.py")
        one.open("def area(width, height):\n    check(width, height)\n    return \n")
        one.edit("file:///code/notes.py", 0, "y = 2")
        one.edit("file:///code/a%20b.py", 100, "LIMIT = 7")
        await one.complete(2, 11)
        one.client.text_document_did_close(
            lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier("file:///code/a%20b.py"))
        )
        await one.complete(0, 0)
    (_, _, first), (_, _, second) = one.report["asked"]  # type: ignore[misc]
    assert [path for path, _ in first] == ["a b.py", "notes.py", "shapes.py"]
    assert "LIMIT = 7\nWIDTHS" in first[0][1] and len(first[0][1].splitlines()) < 30
    assert "def volume" in first[2][1] and len(first[2][1].splitlines()) <= 30
    assert [path for path, _ in second] == ["notes.py", "shapes.py"]


async def test_typing_what_was_proposed_asks_no_model_again() -> None:
    async with editor("w * h") as one:
        one.open("x = \n")
        assert await one.complete(0, 4) == ["w * h"]
        one.change("x = w *\n")
        assert await one.complete(0, 7) == [" h"]
        one.change("x = q\n")
        assert await one.complete(0, 5) == ["w * h"]
    assert len(one.report["asked"]) == 2  # type: ignore[arg-type]


async def test_positions_count_as_editors_count_them() -> None:
    async with editor("!") as one:
        one.open("s = '😀한'\n")
        await one.complete(0, 8)
    assert one.report["asked"][0][0] == "s = '😀한"  # type: ignore[index]


async def test_a_cancelled_request_stops_the_model() -> None:
    async with editor("word " * 500, "0.05") as one:
        one.open("x = \n")
        identifier = "42"
        future = one.client.protocol.send_request_async(
            lsp.TEXT_DOCUMENT_INLINE_COMPLETION, one.params(0, 4), msg_id=identifier
        )
        task = asyncio.ensure_future(future)
        await asyncio.sleep(0.5)
        one.client.cancel_request(lsp.CancelParams(identifier))
        try:
            async with asyncio.timeout(5):
                await task
            raise AssertionError("the request was answered")
        except JsonRpcException as error:
            assert error.code == lsp.LSPErrorCodes.RequestCancelled
    assert one.report["cancelled"] == 1


async def test_a_failure_is_shown_once_and_completes_nothing() -> None:
    async with editor("x", "0", "none") as one:
        one.open("x = \n")
        assert await one.complete(0, 4) == []
        assert await one.complete(0, 4) == []
        await asyncio.sleep(0.1)
    assert one.shown == ["Codeweft: No model is loaded. Pull one."]


def test_in_the_middle_of_a_line_only_the_line_is_completed() -> None:
    assert hole_at("total = items.sum(", 18) == Hole("total = items.sum(", "", False)
    assert not hole_at("f()", 2).one_line
    assert hole_at("f( + 1)", 2).one_line
    assert tidied("a, b\nmore", Hole("f(", " + 1)", True)) == "a, b"
    assert tidied("a, b + 1)", Hole("f(", " + 1)", True)) == "a, b"


def test_what_already_follows_is_not_proposed_again() -> None:
    hole = Hole("def f():\n    ", "\n\ndef g():\n    pass\n", False)
    assert tidied("return 1\n\ndef g():\n    pass", hole) == "return 1"
    assert tidied("a)", Hole("f(", ")\n", False)) == "a"
    assert tidied("x = 1   \n\n", Hole("", "", False)) == "x = 1"


def test_a_completion_is_forgotten_when_something_else_is_typed() -> None:
    typed = Typed()
    typed.keep(FILE, Hole("a = ", "\n", False), "b + c")
    assert typed.rest(FILE, Hole("a = b", "\n", False)) == " + c"
    assert typed.rest(FILE, Hole("a = b + c", "\n", False)) is None
    assert typed.rest(FILE, Hole("a = x", "\n", False)) is None
    assert typed.rest(FILE, Hole("a = b", "\nelse", False)) is None
    assert typed.rest("file:///other", Hole("a = b", "\n", False)) is None
