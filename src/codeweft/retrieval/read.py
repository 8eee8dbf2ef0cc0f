"""Read one file into chunks. A plain function of path and settings, so that any process can run it."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Final

from codeweft.retrieval.chunk import chunk
from codeweft.retrieval.decode import decode
from codeweft.retrieval.documents import Document, read_document
from codeweft.retrieval.documents.formats import format_of
from codeweft.retrieval.documents.part import Unreadable
from codeweft.retrieval.redact import Redacted, Redactor
from codeweft.retrieval.store.base import FoundSecret, Int8Rows, NewChunk

DIGEST_BYTES: Final = 16
_ENCODED_CHARACTERS: Final = 3000
"""Characters of a chunk that the encoder sees: what a function is about stands at its beginning."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file as read: chunks ready to store, or the status (skipped, failed) and reason why there are none.

    `vectors` has one row per chunk where they were encoded already.
    """

    path: str
    size: int
    digest: bytes
    status: str = "indexed"
    reason: str = ""
    language: str = ""
    lines: int = 0
    chunks: tuple[NewChunk, ...] = ()
    secrets: tuple[FoundSecret, ...] = ()
    vectors: Int8Rows | None = None


def read_file(
    root: Path, redactor: Redactor | None, path: str, known_digest: bytes = b"", *, wait: bool = True
) -> ReadFile:
    """Read and chunk `path`; a file whose content has `known_digest` comes back without chunks as `unchanged`.

    Its secrets are taken out first. Unless it may `wait` for the redactor, a file that would need to is `held`.
    Raises `NotReady` when the redactor has no rules.
    """
    try:
        data = (root / path).read_bytes()
    except FileNotFoundError:
        return ReadFile(path, 0, b"", "gone")
    except OSError as error:
        return ReadFile(path, 0, b"", "failed", f"cannot be read: {error.strerror or error}")
    digest = _digest(data)
    if digest == known_digest:
        return ReadFile(path, len(data), digest, "unchanged")
    try:
        document = read_document(data, path) if format_of(path) else None
        text = document.text if document is not None else _text(data, path)
    except Unreadable as why:
        return ReadFile(path, len(data), digest, "failed" if why.failed else "skipped", why.reason)
    if redactor is not None and not wait and not redactor.sure(text):
        return ReadFile(path, len(data), digest, "held")
    clean = Redacted(text) if redactor is None else redactor.redact(text, path)
    if document is None:
        language, pieces = chunk(clean.text, path)
        document = Document(clean.text, language.name, tuple(pieces))
    elif redactor is not None and clean.found:
        document = _cleaned(document, clean.text, redactor)
    lines = document.text.split("\n")
    chunks = tuple(
        NewChunk(piece, body, text_digest(body))
        for piece in document.pieces
        for body in ("\n".join(lines[piece.start_line - 1 : piece.end_line]),)
    )
    return ReadFile(
        path,
        len(data),
        digest,
        language=document.language,
        lines=len(lines),
        chunks=chunks,
        secrets=clean.found,
    )


def _text(data: bytes, path: str) -> str:
    """Raises `Unreadable` for what is not worth indexing."""
    text, reason = decode(data, path)
    if reason:
        raise Unreadable(reason)
    return text


def _cleaned(document: Document, text: str, redactor: Redactor) -> Document:
    """The document with its text redacted; what its pieces say in words of their own is redacted too."""

    def clean(words: str) -> str:
        return redactor.redact(words).text

    pieces = (
        piece._replace(
            name=clean(piece.name),
            scope=clean(piece.scope),
            signature=clean(piece.signature),
            docstring=clean(piece.docstring),
        )
        for piece in document.pieces
    )
    return replace(document, text=text, pieces=tuple(pieces))


def file_digest(path: Path) -> bytes:
    """The digest of a file's content as it is now; empty when it cannot be read."""
    try:
        return _digest(path.read_bytes())
    except OSError:
        return b""


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


def follow(parent: int, redactor: Redactor | None) -> None:
    """In a worker process: leave when the process that started it is gone, even if that was killed."""
    if redactor is not None:
        redactor.begin(compiled_only=True)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def text_digest(text: str) -> int:
    """A signed 64-bit digest of a text in which white space does not count."""
    return int.from_bytes(
        blake2b("".join(text.split()).encode(errors="replace"), digest_size=8).digest(), "big", signed=True
    )


def encoded_text(path: str, chunk: NewChunk) -> str:
    """What the encoder sees of a chunk: where it is, what it is called, what it says."""
    piece = chunk.piece
    head = " ".join(filter(None, (path, piece.scope, piece.name, piece.docstring[:600], chunk.summary)))
    return f"{head}\n{chunk.text[:_ENCODED_CHARACTERS]}"
