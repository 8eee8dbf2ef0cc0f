"""A language server for inline completion: what the editor shows in grey behind the cursor.

`textDocument/inlineCompletion` of the Language Server Protocol 3.18. What was edited lately and what is alike in other
open documents are shown to the model as repository context; what the index knows is added by the app behind the model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol
from urllib.parse import unquote

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path
from pygls.workspace import TextDocument

from codeweft import __version__
from codeweft.errors import CodeweftError
from codeweft.flows import surroundings
from codeweft.runtime.garbage import settle
from codeweft.stream import fold
from codeweft.types import Caller, Infill, Model, Neighbour, Request, Sampling

log = logging.getLogger("codeweft.lsp")

PREFIX_CHARACTERS: Final = 8000
SUFFIX_CHARACTERS: Final = 3000
"""Code near the cursor says most; more of it delays the first token more than it helps."""
EDITED: Final = 2
"""Places edited lately that are shown."""
NEIGHBOURS: Final = 4
"""These and parts of other open documents together."""
NEIGHBOUR_CHARACTERS: Final = 2000
MAX_TOKENS: Final = 96
"""A completion is read at a glance before it is taken."""
_CLOSING: Final = frozenset(")]}>\"'`;,: \t")
"""What editors put behind the cursor by themselves; with nothing else there, the line is open."""


class Models(Protocol):
    """Where models come from: this process, or a running server."""

    def model(self, name: str | None) -> Model: ...


Connect = Callable[[], AbstractAsyncContextManager[Models]]


@dataclass(frozen=True, slots=True)
class Hole:
    """The code around a cursor. In the middle of a line only the rest of that line is wanted."""

    prefix: str
    suffix: str
    one_line: bool


def hole_at(text: str, offset: int) -> Hole:
    """The hole at a character offset of a document."""
    rest = text[offset:].split("\n", 1)[0]
    return Hole(
        text[max(0, offset - PREFIX_CHARACTERS) : offset],
        text[offset : offset + SUFFIX_CHARACTERS],
        any(character not in _CLOSING for character in rest),
    )


def tidied(text: str, hole: Hole) -> str:
    """A model's middle as an editor can insert it: one line where one is wanted, nothing that already follows."""
    if hole.one_line:
        text = text.split("\n", 1)[0]
        rest = hole.suffix.split("\n", 1)[0]
        return text.removesuffix(rest) if rest else text
    following = next((line for line in hole.suffix.split("\n")[1:] if line.strip()), None)
    kept: list[str] = []
    for position, line in enumerate(text.split("\n")):
        if position and following is not None and line.rstrip() == following.rstrip():
            break
        kept.append(line)
    joined = "\n".join(kept).rstrip()
    tail = hole.suffix.split("\n", 1)[0].strip()
    return joined.removesuffix(tail) if tail else joined


class Typed:
    """The last completion of each document: while its text is typed out, the rest of it needs no model."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, str, str]] = {}

    def keep(self, uri: str, hole: Hole, text: str) -> None:
        self._last[uri] = (hole.prefix, hole.suffix, text)

    def rest(self, uri: str, hole: Hole) -> str | None:
        """What is left of the last completion, if all that was typed since is its beginning."""
        prefix, suffix, text = self._last.get(uri, ("", "", ""))
        typed = hole.prefix.removeprefix(prefix) if hole.prefix.startswith(prefix) else None
        if not text or typed is None or suffix != hole.suffix or not text.startswith(typed):
            return None
        return text[len(typed) :] or None


class CompletionServer(LanguageServer):
    """Speaks LSP on standard input and output; models are opened when the first completion is asked for."""

    def __init__(self, connect: Connect, model: str | None = None) -> None:
        super().__init__("codeweft", f"v{__version__}")
        self._connect = connect
        self._name = model
        self._stack = AsyncExitStack()
        self._models: Models | None = None
        self._typed = Typed()
        self._edits = surroundings.Edits()
        self._told: set[str] = set()

    async def complete(self, params: lsp.InlineCompletionParams) -> lsp.InlineCompletionList:
        """The completion at a position; none when there is nothing to add or the model failed."""
        uri = params.text_document.uri
        document = self.workspace.get_text_document(uri)
        hole = hole_at(document.source, document.offset_at_position(params.position))
        text = self._typed.rest(uri, hole)
        if text is None:
            try:
                text = await self._ask(hole, document)
            except CodeweftError as error:
                self._tell(error)
                return lsp.InlineCompletionList([])
            self._typed.keep(uri, hole, text)
        if not text.strip():
            return lsp.InlineCompletionList([])
        here = lsp.Range(params.position, params.position)
        return lsp.InlineCompletionList([lsp.InlineCompletionItem(text, range=here)])

    def changed(self, params: lsp.DidChangeTextDocumentParams) -> None:
        """Remember where a document was edited."""
        for change in params.content_changes:
            if isinstance(change, lsp.TextDocumentContentChangePartial):
                # The end of what was inserted: there the editing goes on.
                line = change.range.start.line + change.text.count("\n")
                self._edits.note(params.text_document.uri, line)

    def closed(self, params: lsp.DidCloseTextDocumentParams) -> None:
        """A document that is closed is neither shown nor remembered."""
        self._edits.forget(params.text_document.uri)

    async def _ask(self, hole: Hole, document: TextDocument) -> str:
        if self._models is None:
            self._models = await self._stack.enter_async_context(self._connect())
            settle()
        model = self._models.model(self._name)
        request = Request(
            model=model.info.name,
            infill=Infill(
                hole.prefix, hole.suffix, tuple(islice(self._neighbours(document, hole), NEIGHBOURS))
            ),
            sampling=Sampling(max_tokens=MAX_TOKENS, stop=("\n",) if hole.one_line else ()),
            caller=Caller("lsp"),
        )
        answer = await fold(model.stream(request))
        return tidied(answer.text, hole)

    def _neighbours(self, document: TextDocument, hole: Hole) -> Iterator[Neighbour]:
        """Places edited lately, then what is alike in other open documents of the language, the latest opened first."""
        shown: set[tuple[str, int]] = set()
        opened = self.workspace.text_documents
        for uri, line in self._edits:
            one = opened.get(unquote(uri))
            if one is None or one.language_id != document.language_id or len(shown) == EDITED:
                continue
            first, text = surroundings.part_around(one.source, line)
            if text.strip() and not (uri == document.uri and text in hole.prefix + hole.suffix):
                shown.add((uri, first))
                yield Neighbour(self._path(one), text[:NEIGHBOUR_CHARACTERS])
        edited = {uri for uri, _ in shown}
        near = surroundings.near(hole.prefix)
        for one in reversed(opened.values()):
            if one.uri != document.uri and one.uri not in edited and one.language_id == document.language_id:
                _, text = surroundings.most_alike(one.source, near)
                yield Neighbour(self._path(one), text[:NEIGHBOUR_CHARACTERS])

    def _path(self, document: TextDocument) -> str:
        path = to_fs_path(document.uri) or document.uri
        root = self.workspace.root_path
        return path.removeprefix(root).lstrip("/\\") if root and path.startswith(root) else path

    def _tell(self, error: CodeweftError) -> None:
        """Each failure is logged, and shown once: completions are asked for with every key."""
        said = str(error)
        kind = lsp.MessageType.Warning
        self.window_log_message(lsp.LogMessageParams(kind, said))
        if said not in self._told:
            self._told.add(said)
            self.window_show_message(lsp.ShowMessageParams(kind, f"Codeweft: {said}"))

    async def close(self) -> None:
        """Give back the models."""
        self._models = None
        await self._stack.aclose()


def create_server(connect: Connect, model: str | None = None) -> CompletionServer:
    """A language server over the models that `connect` opens; `model` is the one that completes."""
    server = CompletionServer(connect, model)

    @server.feature(lsp.TEXT_DOCUMENT_INLINE_COMPLETION, lsp.InlineCompletionOptions())
    async def complete(params: lsp.InlineCompletionParams) -> lsp.InlineCompletionList:
        return await server.complete(params)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: lsp.DidChangeTextDocumentParams) -> None:
        server.changed(params)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        server.closed(params)

    @server.feature(lsp.SHUTDOWN)
    async def shutdown(*_: object) -> None:
        await server.close()

    return server
