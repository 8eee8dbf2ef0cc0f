"""The code that answers brought, and what people saved by hand, to be found again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from codeweft.accounts.tables import SnippetRow
from codeweft.errors import NotFound


@dataclass(frozen=True, slots=True)
class Snippet:
    """`conversation_id` and `turn_id` are "" for one that was saved by hand; it stays when a conversation goes."""

    id: str
    conversation_id: str
    turn_id: str
    language: str
    title: str
    code: str
    created_at: float


_COLUMNS = (
    SnippetRow.id,
    SnippetRow.conversation_id,
    SnippetRow.turn_id,
    SnippetRow.language,
    SnippetRow.title,
    SnippetRow.code,
    SnippetRow.created_at,
)


class Snippets:
    """Keeps snippets per user; another user's do not exist."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock

    async def add(
        self,
        user_id: str,
        blocks: Sequence[tuple[str, str]],
        *,
        title: str = "",
        conversation_id: str = "",
        turn_id: str = "",
    ) -> list[Snippet]:
        """Keep (language, code) blocks under one title."""
        now = round(self._clock(), 6)
        kept = [
            Snippet(secrets.token_hex(8), conversation_id, turn_id, language[:50], title[:200], code, now)
            for language, code in blocks
        ]
        if kept:
            rows = [
                {**{name: getattr(one, name) for name in Snippet.__slots__}, "user_id": user_id}
                for one in kept
            ]
            async with self._engine.begin() as connection:
                await connection.execute(insert(SnippetRow), rows)
        return kept

    async def list(
        self, user_id: str, *, text: str = "", limit: int = 50, before: float | None = None
    ) -> list[Snippet]:
        """Latest first; `text` must occur in the title or the code, `before` pages on by `created_at`."""
        query = select(*_COLUMNS).where(SnippetRow.user_id == user_id)
        if before is not None:
            query = query.where(SnippetRow.created_at < before)
        if text:
            query = query.where(
                or_(
                    SnippetRow.title.icontains(text, autoescape=True),
                    SnippetRow.code.icontains(text, autoescape=True),
                )
            )
        query = query.order_by(SnippetRow.created_at.desc(), SnippetRow.id).limit(limit)
        async with self._engine.connect() as connection:
            return [Snippet(*row) for row in await connection.execute(query)]

    async def delete(self, user_id: str, snippet_id: str) -> None:
        """Raises `NotFound`."""
        gone = delete(SnippetRow).where(SnippetRow.id == snippet_id, SnippetRow.user_id == user_id)
        async with self._engine.begin() as connection:
            if not (await connection.execute(gone)).rowcount:
                raise NotFound("There is no such snippet; it may have been deleted.")

    async def clear(self, user_id: str) -> int:
        """Delete all of a user's; the number of them."""
        async with self._engine.begin() as connection:
            return (
                await connection.execute(delete(SnippetRow).where(SnippetRow.user_id == user_id))
            ).rowcount
