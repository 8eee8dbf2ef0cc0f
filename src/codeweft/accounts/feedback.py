"""What people said about answers, for those who look after the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import aliased

from codeweft.accounts.tables import ConversationRow, TurnRow, UserRow

Rating = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """One rated answer with the question that it answers."""

    turn_id: str
    rated_at: float
    user: str
    model: str
    rating: Rating
    comment: str
    question: str
    answer: str


class FeedbackBook:
    """Reads the ratings of all users."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def list(
        self,
        *,
        rating: Rating | None = None,
        model: str | None = None,
        since: float | None = None,
        before: float | None = None,
        limit: int | None = None,
    ) -> list[Feedback]:
        """Latest first. Times are Unix seconds of the rating; `since` is included, `before` is not."""
        asked = aliased(TurnRow)
        query = (
            select(
                TurnRow.id,
                TurnRow.rated_at,
                UserRow.name,
                TurnRow.model,
                TurnRow.rating,
                TurnRow.comment,
                asked.content,
                TurnRow.content,
            )
            .join(ConversationRow, ConversationRow.id == TurnRow.conversation_id)
            .join(UserRow, UserRow.id == ConversationRow.user_id)
            .outerjoin(asked, asked.id == TurnRow.parent_id)
            .where(TurnRow.rating.is_not(None))
            .order_by(TurnRow.rated_at.desc(), TurnRow.id)
            .limit(limit)
        )
        if rating is not None:
            query = query.where(TurnRow.rating == rating)
        if model is not None:
            query = query.where(TurnRow.model == model)
        if since is not None:
            query = query.where(TurnRow.rated_at >= since)
        if before is not None:
            query = query.where(TurnRow.rated_at < before)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
            return [
                Feedback(
                    turn,
                    at or 0.0,
                    user,
                    written_by or "",
                    cast(Rating, said),
                    comment,
                    question or "",
                    answer,
                )
                for turn, at, user, written_by, said, comment, question, answer in rows
            ]
