"""Conversations and their turns, kept per user."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from codeweft.accounts.access import readable
from codeweft.accounts.tables import ConversationRow, TurnRow
from codeweft.errors import NotFound

TITLE_LENGTH = 80
"""Characters of a title taken from the first message; longer ones do not fit a sidebar."""

Rating = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. `reason` of an assistant turn is None while it is being written.

    `references`, `usage`, `error`, `sampling` and `timings` are kept as the JSON that was shown.
    """

    id: str
    conversation_id: str
    role: str
    content: str
    created_at: float
    model: str | None = None
    note: str = ""
    reason: str | None = None
    references: Sequence[Mapping[str, Any]] = ()
    usage: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)
    rating: Rating | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """`index` is what the last answer used: a name, None for the app's default, "" for no retrieval."""

    id: str
    user_id: str
    title: str
    model: str | None
    index: str | None
    created_at: float
    updated_at: float


_CONVERSATION = (
    ConversationRow.id,
    ConversationRow.user_id,
    ConversationRow.title,
    ConversationRow.model,
    ConversationRow.index_name,
    ConversationRow.created_at,
    ConversationRow.updated_at,
)
_TURN = (
    TurnRow.id,
    TurnRow.conversation_id,
    TurnRow.role,
    TurnRow.content,
    TurnRow.created_at,
    TurnRow.model,
    TurnRow.note,
    TurnRow.reason,
    TurnRow.references,
    TurnRow.usage,
    TurnRow.error,
    TurnRow.sampling,
    TurnRow.timings,
    TurnRow.rating,
    TurnRow.comment,
)


class Conversations:
    """Reads and writes conversations. Every method that names a user answers `NotFound` for another user's things."""

    def __init__(
        self, engine: AsyncEngine, clock: Callable[[], float], may_read: Callable[[str, str], bool]
    ) -> None:
        """`may_read` says whether a user may read an index: what quotes others is not given out again."""
        self._engine = engine
        self._clock = clock
        self._may_read = may_read

    def _now(self) -> float:
        """Whole microseconds, so that a time that was shown compares equal when it comes back."""
        return round(self._clock(), 6)

    async def create(
        self, user_id: str, *, title: str = "", model: str | None = None, index: str | None = None
    ) -> Conversation:
        now = self._now()
        conversation = Conversation(secrets.token_hex(8), user_id, title, model, index, now, now)
        async with self._engine.begin() as connection:
            await connection.execute(
                insert(ConversationRow).values(
                    id=conversation.id,
                    user_id=user_id,
                    title=title,
                    model=model,
                    index_name=index,
                    created_at=now,
                    updated_at=now,
                )
            )
        return conversation

    async def list(
        self, user_id: str, *, text: str = "", limit: int = 50, before: float | None = None
    ) -> list[Conversation]:
        """Latest first; `text` must occur in the title or in a turn, `before` pages on by `updated_at`."""
        query = select(*_CONVERSATION).where(ConversationRow.user_id == user_id)
        if before is not None:
            query = query.where(ConversationRow.updated_at < before)
        if text:
            inside = select(TurnRow.conversation_id).where(TurnRow.content.icontains(text, autoescape=True))
            query = query.where(
                or_(ConversationRow.title.icontains(text, autoescape=True), ConversationRow.id.in_(inside))
            )
        query = query.order_by(ConversationRow.updated_at.desc(), ConversationRow.id).limit(limit)
        async with self._engine.connect() as connection:
            return [Conversation(*row) for row in await connection.execute(query)]

    async def get(self, user_id: str, conversation_id: str) -> Conversation:
        query = select(*_CONVERSATION).where(
            ConversationRow.id == conversation_id, ConversationRow.user_id == user_id
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound("There is no such conversation; it may have been deleted.")
        return Conversation(*row)

    async def update(self, user_id: str, conversation_id: str, **changes: str | None) -> Conversation:
        """Change `title`, `model` or `index`."""
        if "index" in changes:
            changes["index_name"] = changes.pop("index")
        await self.get(user_id, conversation_id)
        if changes:
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(ConversationRow)
                    .where(ConversationRow.id == conversation_id)
                    .values(**changes, updated_at=self._now())
                )
        return await self.get(user_id, conversation_id)

    async def delete(self, user_id: str, conversation_id: str) -> None:
        await self.get(user_id, conversation_id)
        async with self._engine.begin() as connection:
            await connection.execute(delete(TurnRow).where(TurnRow.conversation_id == conversation_id))
            await connection.execute(delete(ConversationRow).where(ConversationRow.id == conversation_id))

    async def turns(self, conversation_id: str) -> tuple[Turn, ...]:
        query = (
            select(ConversationRow.user_id, *_TURN)
            .join(ConversationRow, ConversationRow.id == TurnRow.conversation_id)
            .where(TurnRow.conversation_id == conversation_id)
            .order_by(TurnRow.position)
        )
        async with self._engine.connect() as connection:
            return tuple([self._shown(*row) for row in await connection.execute(query)])

    async def turn(self, user_id: str, turn_id: str) -> Turn:
        query = (
            select(*_TURN)
            .join(ConversationRow, ConversationRow.id == TurnRow.conversation_id)
            .where(TurnRow.id == turn_id, ConversationRow.user_id == user_id)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound("There is no such turn; it may have been deleted or written anew.")
        return self._shown(user_id, *row)

    def _shown(self, user_id: str, *values: Any) -> Turn:
        """A turn without the references that its user may not read any more."""
        turn = Turn(*values)
        return replace(turn, references=readable(turn.references, partial(self._may_read, user_id)))

    async def add_turns(self, *turns: Turn) -> None:
        """Append turns of one conversation in this order."""
        last = select(func.max(TurnRow.position)).where(TurnRow.conversation_id == turns[0].conversation_id)
        async with self._engine.begin() as connection:
            position = (await connection.execute(last)).scalar() or 0
            for offset, turn in enumerate(turns, 1):
                await connection.execute(insert(TurnRow).values(position=position + offset, **_values(turn)))
            await connection.execute(
                update(ConversationRow)
                .where(ConversationRow.id == turns[0].conversation_id)
                .values(updated_at=self._now())
            )

    async def save_turn(self, turn: Turn) -> None:
        """Write what the turn is now, except what only its reader changes. Nothing happens if it was deleted."""
        values = _values(turn)
        for fixed in ("id", "conversation_id", "rating", "comment"):
            del values[fixed]
        async with self._engine.begin() as connection:
            await connection.execute(update(TurnRow).where(TurnRow.id == turn.id).values(**values))

    async def delete_turn(self, turn_id: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(TurnRow).where(TurnRow.id == turn_id))

    async def rate(self, user_id: str, turn_id: str, rating: Rating | None, comment: str) -> None:
        await self.turn(user_id, turn_id)
        async with self._engine.begin() as connection:
            await connection.execute(
                update(TurnRow).where(TurnRow.id == turn_id).values(rating=rating, comment=comment)
            )

    async def any_answer(self) -> bool:
        """Whether anybody ever got an answer."""
        query = select(TurnRow.id).where(TurnRow.role == "assistant", TurnRow.reason == "stop").limit(1)
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).first() is not None

    async def fail_unfinished(self, error: Mapping[str, Any]) -> int:
        """Mark the turns that a stopped server left unfinished; the number of them."""
        unfinished = (TurnRow.role == "assistant", TurnRow.reason.is_(None))
        async with self._engine.begin() as connection:
            done = await connection.execute(
                update(TurnRow).where(*unfinished).values(reason="failed", error=dict(error))
            )
        return done.rowcount


def title_from(content: str) -> str:
    """A title from a first message: its first line with words, shortened."""
    line = next((line.strip() for line in content.splitlines() if line.strip()), "")
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


def _values(turn: Turn) -> dict[str, Any]:
    return {
        "id": turn.id,
        "conversation_id": turn.conversation_id,
        "role": turn.role,
        "content": turn.content,
        "created_at": turn.created_at,
        "model": turn.model,
        "note": turn.note,
        "reason": turn.reason,
        "references": list(turn.references),
        "usage": turn.usage,
        "error": turn.error,
        "sampling": dict(turn.sampling),
        "timings": dict(turn.timings),
        "rating": turn.rating,
        "comment": turn.comment,
    }
