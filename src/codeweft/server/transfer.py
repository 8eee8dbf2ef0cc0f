"""Conversations out of this server and into it."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Query, UploadFile
from starlette.responses import Response

from codeweft.accounts import Conversation
from codeweft.errors import InvalidRequest
from codeweft.runtime.compose import Runtime
from codeweft.server.attachments import file_name, keep
from codeweft.server.chat_views import ConversationView
from codeweft.server.deps import UserId
from codeweft.server.emit import dumps
from codeweft.server.transcripts import Read, markdown, placed, read_json, read_markdown, transcript, written

Format = Literal["json", "markdown"]
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"application/json": {}, "text/markdown": {}}}
}


def transfer_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["conversations"])
    conversations = runtime.accounts.conversations

    async def whole(conversation: Conversation) -> dict[str, object]:
        turns = await conversations.turns(conversation.id)
        asked = [turn.id for turn in turns if turn.role == "user"]
        given = await conversations.attachments.of(asked)
        texts = await conversations.attachments.texts(asked) if given else {}
        files = {
            turn: [(one.name, one.language, texts[one.id]) for one in some] for turn, some in given.items()
        }
        return written(conversation, turns, files)

    @routes.get("/conversations/export", response_class=Response, responses=_FILE)
    async def export_conversations(user: UserId) -> Response:
        """All your conversations with all their branches, as JSON."""
        every = [await whole(one) for one in await conversations.list(user, limit=1_000_000)]
        return _download(dumps(transcript(every)), "application/json", "conversations.json")

    @routes.get("/conversations/{conversation_id}/export", response_class=Response, responses=_FILE)
    async def export_conversation(
        conversation_id: str, user: UserId, format: Annotated[Format, Query()] = "json"
    ) -> Response:
        """One conversation: JSON with all its branches, or Markdown of the one that is shown."""
        conversation = await conversations.get(user, conversation_id)
        if format == "json":
            data = dumps(transcript([await whole(conversation)]))
            return _download(data, "application/json", f"conversation-{conversation.id}.json")
        text = markdown(conversation, await conversations.branch(conversation))
        return _download(text.encode(), "text/markdown", f"conversation-{conversation.id}.md")

    @routes.post("/conversations/import", status_code=201)
    async def import_conversations(
        user: UserId, file: Annotated[UploadFile, File()]
    ) -> list[ConversationView]:
        """Conversations from a JSON or Markdown file that was exported here; they are added as new ones."""
        data = await file.read()
        if (file.filename or "").lower().endswith((".md", ".markdown")):
            try:
                found = read_markdown(data.decode("utf-8-sig"))
            except UnicodeDecodeError:
                raise InvalidRequest("The file is not UTF-8.", param="file") from None
        else:
            found = read_json(data)
        return [ConversationView.of(await add(user, one)) for one in found]

    async def add(user: str, read: Read) -> Conversation:
        made = await conversations.create(user, title=read.title, model=read.model, index=read.index)
        if read.turns:
            await conversations.add_turns(*placed(read, made.id, time.time()))
            for turn_id, files in read.files.items():
                kept = [await keep(runtime, user, file_name(name), text.encode()) for name, text in files]
                await conversations.attachments.give(user, turn_id, [one.id for one in kept])
            await conversations.show(user, read.leaf_id)
        return await conversations.get(user, made.id)

    return routes


def _download(data: bytes, media_type: str, name: str) -> Response:
    return Response(
        data, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
