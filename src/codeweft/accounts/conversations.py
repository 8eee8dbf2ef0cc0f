"""Conversations and their turns, kept per user."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from codeweft.accounts import branches
from codeweft.accounts.access import readable
from codeweft.accounts.attachments import Attachment, Attachments, delete_of
from codeweft.accounts.tables import ConversationRow, SnippetRow, TurnRow
from codeweft.errors import NotFound

TITLE_LENGTH = 80
"""Characters of a title taken from the first message; longer ones do not fit a sidebar."""

EXCERPT_LENGTH = 120
"""Characters of a turn shown for a search: two lines of a sidebar."""

Rating = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. `reason` of an assistant turn is None while it is being written.

    `parent_id` is the turn before it, "" for the first of a conversation; `siblings` are those in its place, itself
    included, as they came. `references`, `usage`, `error`, `sampling`, `timings`, `steps` and `checked` are kept as the
    JSON that was shown. `cost` is in USD, None when no price is known. `dropped` are the numbers of citations that
    failed; `explained` tells whether an explanation is kept. `steps` are what an agent did, `withdrawn` the texts that
    did not stand, in their order; `checked` is what a check of the code said, None when there was none.
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
    parent_id: str = ""
    dropped: Sequence[int] = ()
    cost: float | None = None
    steps: Sequence[Mapping[str, Any]] = ()
    withdrawn: Sequence[str] = ()
    checked: Mapping[str, Any] | None = None
    explained: bool = False
    siblings: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """`index` is what the last answer used: a name, None for the app's default, "" for no retrieval.

    `leaf_id` is the last turn of the branch that is shown. `excerpt` is where a search found its words.
    """

    id: str
    user_id: str
    title: str
    model: str | None
    index: str | None
    created_at: float
    updated_at: float
    leaf_id: str = ""
    excerpt: str = ""


_CONVERSATION = (
    ConversationRow.id,
    ConversationRow.user_id,
    ConversationRow.title,
    ConversationRow.model,
    ConversationRow.index_name,
    ConversationRow.created_at,
    ConversationRow.updated_at,
    ConversationRow.leaf_id,
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
    TurnRow.parent_id,
    TurnRow.dropped,
    TurnRow.cost,
    TurnRow.steps,
    TurnRow.withdrawn,
    TurnRow.checked,
    TurnRow.explanation.is_not(None),
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
        self.attachments = Attachments(engine, clock)

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
            found = [Conversation(*row) for row in await connection.execute(query)]
            if not text:
                return found
            said = (
                select(TurnRow.conversation_id, TurnRow.content)
                .where(TurnRow.conversation_id.in_([one.id for one in found]))
                .where(TurnRow.content.icontains(text, autoescape=True))
                .order_by(TurnRow.position.desc())
            )
            # Of several turns the first is told; a later row of the dictionary wins.
            excerpts = {one: excerpt(content, text) for one, content in await connection.execute(said)}
        return [replace(one, excerpt=excerpts.get(one.id, "")) for one in found]

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
            await delete_of(connection, conversation_id)
            await connection.execute(delete(SnippetRow).where(SnippetRow.conversation_id == conversation_id))
            await connection.execute(delete(TurnRow).where(TurnRow.conversation_id == conversation_id))
            await connection.execute(delete(ConversationRow).where(ConversationRow.id == conversation_id))

    async def branch(self, conversation: Conversation) -> tuple[Turn, ...]:
        """The turns that are shown, with what stands beside them and what was given to them."""
        path = branches.shown(await self.turns(conversation.id), conversation.leaf_id)
        given = await self.attachments.of(turn.id for turn in path if turn.role == "user")
        return tuple(replace(turn, attachments=given.get(turn.id, ())) for turn in path)

    async def show(self, user_id: str, turn_id: str) -> Conversation:
        """Show the branch through a turn, to its newest end."""
        turn = await self.turn(user_id, turn_id)
        leaf = branches.newest_leaf(await self.turns(turn.conversation_id), turn_id)
        async with self._engine.begin() as connection:
            await connection.execute(
                update(ConversationRow).where(ConversationRow.id == turn.conversation_id).values(leaf_id=leaf)
            )
        return await self.get(user_id, turn.conversation_id)

    async def turns(self, conversation_id: str) -> tuple[Turn, ...]:
        """All turns as they came."""
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
        """Append turns of one conversation in this order, and show the branch that the last of them ends."""
        last = select(func.max(TurnRow.position)).where(TurnRow.conversation_id == turns[0].conversation_id)
        async with self._engine.begin() as connection:
            position = (await connection.execute(last)).scalar() or 0
            for offset, turn in enumerate(turns, 1):
                await connection.execute(insert(TurnRow).values(position=position + offset, **_values(turn)))
            await connection.execute(
                update(ConversationRow)
                .where(ConversationRow.id == turns[0].conversation_id)
                .values(updated_at=self._now(), leaf_id=turns[-1].id)
            )

    async def save_turn(self, turn: Turn) -> None:
        """Write what the turn is now, except what only its reader changes. Nothing happens if it was deleted."""
        values = _values(turn)
        for fixed in ("id", "conversation_id", "parent_id", "rating", "comment"):
            del values[fixed]
        async with self._engine.begin() as connection:
            await connection.execute(update(TurnRow).where(TurnRow.id == turn.id).values(**values))

    async def keep_explanation(self, turn_id: str, explanation: Mapping[str, Any]) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(
                update(TurnRow).where(TurnRow.id == turn_id).values(explanation=dict(explanation))
            )

    async def explanation(self, user_id: str, turn_id: str) -> Mapping[str, Any]:
        """How an answer came about."""
        await self.turn(user_id, turn_id)
        async with self._engine.connect() as connection:
            kept: Mapping[str, Any] | None = (
                await connection.execute(select(TurnRow.explanation).where(TurnRow.id == turn_id))
            ).scalar()
        if kept is not None and not all(self._may_read(user_id, index) for index in kept.get("indexes", ())):
            raise NotFound("This explanation quotes an index that you may not read any more.")
        if kept is None:
            raise NotFound(
                "This answer was not asked how it came about.", fix="Ask again with “Explain answers” on."
            )
        return kept

    async def rate(self, user_id: str, turn_id: str, rating: Rating | None, comment: str) -> None:
        await self.turn(user_id, turn_id)
        async with self._engine.begin() as connection:
            await connection.execute(
                update(TurnRow)
                .where(TurnRow.id == turn_id)
                .values(rating=rating, comment=comment, rated_at=self._now() if rating else None)
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


def excerpt(content: str, text: str) -> str:
    """The words around the first place where `text` is said, in one line."""
    at = max(0, content.lower().find(text.lower()))
    start = max(0, at - EXCERPT_LENGTH // 3)
    cut = " ".join(content[start : start + EXCERPT_LENGTH].split())
    return f"{'…' if start else ''}{cut}{'…' if start + EXCERPT_LENGTH < len(content) else ''}"


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
        "parent_id": turn.parent_id,
        "dropped": list(turn.dropped),
        "cost": turn.cost,
        "steps": list(turn.steps),
        "withdrawn": list(turn.withdrawn),
        "checked": turn.checked,
    }
