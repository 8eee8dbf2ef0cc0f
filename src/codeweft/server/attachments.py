"""Files given to a question: read to text, cleaned of secrets, kept until the question is sent."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, File, UploadFile

from codeweft.accounts import Attachment
from codeweft.errors import InvalidRequest, TooLarge
from codeweft.retrieval.decode import decode
from codeweft.retrieval.documents import read_document
from codeweft.retrieval.documents.formats import format_of
from codeweft.retrieval.documents.part import Unreadable
from codeweft.retrieval.recognise import language_of
from codeweft.runtime.compose import Runtime
from codeweft.server.chat_views import AttachmentText, AttachmentView
from codeweft.server.deps import NO_CONTENT, UserId

LONGEST_TEXT = 400_000
"""Characters of one file: about 100,000 tokens, the context of many models."""
LONGEST_FILE = 10_000_000
"""Bytes of one file before it is read; PDF and Office files are larger than their text."""


def file_name(given: str) -> str:
    """The last part of an uploaded file's name, in one line. Raises `InvalidRequest` when there is none."""
    name = "".join(
        one for one in PurePosixPath(given.replace("\\", "/")).name if one.isprintable() and one != "`"
    )
    if not name.strip("."):
        raise InvalidRequest("An attached file needs a name.", param="file")
    return name[-200:]


def read_text(data: bytes, name: str) -> str:
    """A file as text. Raises `InvalidRequest` for what has none, `TooLarge` for what no model could read."""
    if len(data) > LONGEST_FILE:
        raise _too_large(name)
    try:
        text = read_document(data, name).text if format_of(name) else _plain(data, name)
    except Unreadable as why:
        raise InvalidRequest(
            f"{name} cannot be attached: {why.reason}.", fix="Attach code, text or a document.", param="file"
        ) from None
    if not text.strip():
        raise InvalidRequest(f"{name} is empty.", param="file")
    if len(text) > LONGEST_TEXT:
        raise _too_large(name)
    return text


def _plain(data: bytes, name: str) -> str:
    # What is generated or minified is not worth indexing, but somebody wants to ask about this file.
    if b"\0" not in data:
        try:
            return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            pass
    text, reason = decode(data, name)
    if reason:
        raise Unreadable(reason)
    return text


def _too_large(name: str) -> TooLarge:
    return TooLarge(
        f"{name} is too large to attach ({LONGEST_TEXT:,} characters of text, {LONGEST_FILE // 1_000_000} MB at most).",
        fix="Attach the part that the question is about, or index the file.",
        param="file",
    )


async def keep(runtime: Runtime, user: str, name: str, data: bytes) -> Attachment:
    """Read, clean and keep one file. Raises `InvalidRequest`, `TooLarge`, and `NotReady` without rules for secrets."""

    def cleaned() -> tuple[str, int]:
        text = read_text(data, name)
        if not runtime.settings.index.redact:
            return text, 0
        done = runtime.redactor.redact(text, name)
        return done.text, len(done.found)

    text, hidden = await asyncio.to_thread(cleaned)
    language = language_of(name, text).name
    return await runtime.accounts.conversations.attachments.add(user, name, language, text, hidden)


def attachment_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["conversations"])
    attachments = runtime.accounts.conversations.attachments

    @routes.post("/attachments", status_code=201)
    async def add_attachment(user: UserId, file: Annotated[UploadFile, File()]) -> AttachmentView:
        """Read a file for a question to come; secrets are taken out before it is kept. Forgotten after a day."""
        name = file_name(file.filename or "")
        return AttachmentView.of(await keep(runtime, user, name, await file.read(LONGEST_FILE + 1)))

    @routes.get("/attachments/{attachment_id}")
    async def get_attachment(attachment_id: str, user: UserId) -> AttachmentText:
        """A file as the model reads it."""
        attachment, text = await attachments.text(user, attachment_id)
        return AttachmentText(**AttachmentView.of(attachment).model_dump(), text=text)

    @routes.delete("/attachments/{attachment_id}", **NO_CONTENT)
    async def remove_attachment(attachment_id: str, user: UserId) -> None:
        """Forget a file that was not sent yet."""
        await attachments.remove(user, attachment_id)

    return routes
