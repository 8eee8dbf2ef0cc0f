"""Conversations and their answers over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from codeweft.accounts import Conversation
from codeweft.errors import NotFound
from codeweft.server.answer import Published
from codeweft.server.chat import Answers
from codeweft.server.chat_views import (
    AskBody,
    AskedView,
    ConversationPatch,
    ConversationView,
    ConversationWithTurns,
    ExplainedView,
    NewConversationBody,
    RatingBody,
    ShowBody,
)
from codeweft.server.deps import NO_CONTENT, UserId
from codeweft.server.emit import dumps
from codeweft.server.failures import api_shape, translate
from codeweft.server.service import Service
from codeweft.server.streams import EventStream


def conversation_routes(service: Service, answers: Answers) -> APIRouter:
    routes = APIRouter(tags=["conversations"])
    conversations = service.runtime.accounts.conversations

    async def whole(conversation: Conversation) -> ConversationWithTurns:
        turns = [answers.view(turn) for turn in await conversations.branch(conversation)]
        return ConversationWithTurns(**ConversationView.of(conversation).model_dump(), turns=turns)

    @routes.get("/conversations")
    async def list_conversations(
        user: UserId,
        q: Annotated[str, Query(max_length=1000)] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[datetime | None, Query(description="`updated_at` of the last one seen.")] = None,
    ) -> list[ConversationView]:
        """Your conversations, latest first."""
        found = await conversations.list(
            user, text=q, limit=limit, before=None if before is None else before.timestamp()
        )
        return [ConversationView.of(conversation) for conversation in found]

    @routes.post("/conversations", status_code=201)
    async def create_conversation(body: NewConversationBody, user: UserId) -> ConversationView:
        made = await conversations.create(user, title=body.title.strip(), model=body.model, index=body.index)
        return ConversationView.of(made)

    @routes.get("/conversations/{conversation_id}")
    async def get_conversation(conversation_id: str, user: UserId) -> ConversationWithTurns:
        return await whole(await conversations.get(user, conversation_id))

    @routes.patch("/conversations/{conversation_id}")
    async def update_conversation(
        conversation_id: str, body: ConversationPatch, user: UserId
    ) -> ConversationView:
        """Rename, or change the model or index of the next answer. Absent fields stay."""
        changes = body.model_dump(exclude_unset=True)
        if changes.get("title", "") is None:
            del changes["title"]
        return ConversationView.of(await conversations.update(user, conversation_id, **changes))

    @routes.put("/conversations/{conversation_id}/branch")
    async def show_branch(conversation_id: str, body: ShowBody, user: UserId) -> ConversationWithTurns:
        """Show another branch of the conversation; the choice is kept."""
        turn = await conversations.turn(user, body.turn_id)
        if turn.conversation_id != conversation_id:
            raise NotFound("There is no such turn in this conversation.", param="turn_id")
        return await whole(await conversations.show(user, turn.id))

    @routes.delete("/conversations/{conversation_id}", **NO_CONTENT)
    async def delete_conversation(conversation_id: str, user: UserId) -> None:
        await answers.forget(user, conversation_id)

    @routes.post("/conversations/{conversation_id}/answers", status_code=202)
    async def ask(conversation_id: str, body: AskBody, user: UserId) -> AskedView:
        """Ask, or have the last answer written anew. The answer is written whether or not anybody reads it."""
        user_turn, turn = await answers.ask(user, conversation_id, body)
        return AskedView(
            answer_id=turn.id,
            user_turn=None if user_turn is None else answers.view(user_turn),
            turn=answers.view(turn),
        )

    @routes.get(
        "/answers/{answer_id}/events",
        response_class=Response,
        responses={
            200: {
                "description": "Events: started, retrieved, progress, text, reasoning, node, step, withdrawn (the "
                "text so far does not stand), checked, cited, explained, done, failed.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    )
    async def answer_events(
        answer_id: str,
        user: UserId,
        after: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Follow an answer; `after` or `Last-Event-ID` resumes after that event."""
        if last_event_id is not None and last_event_id.isdigit():
            after = max(after, min(int(last_event_id[:9]), 1_000_000))
        batches = await answers.events(user, answer_id, after)
        return EventStream(_as_sse(batches), service.streams, _last_word, batches)

    @routes.delete("/answers/{answer_id}", **NO_CONTENT)
    async def stop_answer(answer_id: str, user: UserId) -> None:
        """Stop writing; what was written stays."""
        await answers.cancel(user, answer_id)

    @routes.get("/turns/{turn_id}/explanation")
    async def explain_turn(turn_id: str, user: UserId) -> ExplainedView:
        """What was looked up for an answer, what was found and shown, and the prompt in full."""
        return ExplainedView.model_validate(await conversations.explanation(user, turn_id))

    @routes.put("/turns/{turn_id}/rating", **NO_CONTENT)
    async def rate_turn(turn_id: str, body: RatingBody, user: UserId) -> None:
        await conversations.rate(user, turn_id, body.rating, body.comment)

    return routes


async def _as_sse(batches: AsyncIterator[Sequence[Published]]) -> AsyncIterator[bytes]:
    async for batch in batches:
        yield b"".join(event.sse() for event in batch) or b": still here\n\n"


def _last_word(error: Exception) -> bytes:
    """A broken connection, from the reader's view: it comes back with the number of the last event."""
    return b": " + dumps(api_shape(translate(error))) + b"\n\n"
