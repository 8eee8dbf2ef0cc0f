"""Files that people gave to a question, kept as the text that the model reads."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from codeweft.accounts.tables import AttachmentRow, TurnRow
from codeweft.errors import NotFound, TooLarge

WAITING_SECONDS = 24 * 3600
"""How long a file that was never sent is kept."""
WAITING_BYTES = 20_000_000
"""Text that one person may have waiting to be sent."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is shown of a file. `size` counts characters of its text, `secrets` what was taken out of it."""

    id: str
    name: str
    language: str
    size: int
    secrets: int


_SHOWN = (
    AttachmentRow.id,
    AttachmentRow.name,
    AttachmentRow.language,
    AttachmentRow.size,
    AttachmentRow.secrets,
)


class Attachments:
    """Keeps attachments. Every method that names a user answers `NotFound` for another user's things."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock

    async def add(self, user_id: str, name: str, language: str, text: str, secrets_found: int) -> Attachment:
        """Keep a file for a question to come. Raises `TooLarge` when too much is waiting."""
        now = self._clock()
        row = {"id": secrets.token_hex(8), "name": name[:300], "language": language, "size": len(text)}
        waiting = (AttachmentRow.user_id == user_id, AttachmentRow.turn_id == "")
        async with self._engine.begin() as connection:
            old = (*waiting, AttachmentRow.created_at < now - WAITING_SECONDS)
            await connection.execute(delete(AttachmentRow).where(*old))
            held = (
                await connection.execute(select(func.sum(AttachmentRow.size)).where(*waiting))
            ).scalar() or 0
            if held + len(text) > WAITING_BYTES:
                raise TooLarge(
                    f"More than {WAITING_BYTES // 1_000_000} MB are waiting to be sent.",
                    fix="Send or remove what is attached already.",
                )
            await connection.execute(
                insert(AttachmentRow).values(
                    **row,
                    user_id=user_id,
                    turn_id="",
                    position=0,
                    secrets=secrets_found,
                    text=text,
                    created_at=now,
                )
            )
        return Attachment(**row, secrets=secrets_found)  # type: ignore[arg-type]

    async def text(self, user_id: str, attachment_id: str) -> tuple[Attachment, str]:
        """One file and its text."""
        query = select(*_SHOWN, AttachmentRow.text).where(
            AttachmentRow.id == attachment_id, AttachmentRow.user_id == user_id
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound("There is no such attachment; it may have been removed.", param="attachments")
        return Attachment(row.id, row.name, row.language, row.size, row.secrets), row.text

    async def remove(self, user_id: str, attachment_id: str) -> None:
        """Forget a file that was not sent yet; what was sent belongs to its turn."""
        gone = delete(AttachmentRow).where(
            AttachmentRow.id == attachment_id, AttachmentRow.user_id == user_id, AttachmentRow.turn_id == ""
        )
        async with self._engine.begin() as connection:
            if not (await connection.execute(gone)).rowcount:
                raise NotFound("There is no such attachment waiting to be sent.")

    async def give(self, user_id: str, turn_id: str, wanted: Sequence[str]) -> tuple[Attachment, ...]:
        """Make files part of a turn, in this order. One that another turn has already is copied."""
        given: list[Attachment] = []
        async with self._engine.begin() as connection:
            for position, attachment_id in enumerate(wanted):
                given.append(await self._give(connection, user_id, turn_id, position, attachment_id))
        return tuple(given)

    async def _give(
        self, connection: AsyncConnection, user_id: str, turn_id: str, position: int, attachment_id: str
    ) -> Attachment:
        mine = (AttachmentRow.id == attachment_id, AttachmentRow.user_id == user_id)
        columns = AttachmentRow.__table__.columns
        row = (await connection.execute(select(*columns).where(*mine))).mappings().first()
        if row is None:
            raise NotFound("There is no such attachment; it may have been removed.", param="attachments")
        place = {"turn_id": turn_id, "position": position}
        if row["turn_id"] == "":
            await connection.execute(update(AttachmentRow).where(*mine).values(**place))
            new_id = attachment_id
        else:
            new_id = secrets.token_hex(8)
            await connection.execute(insert(AttachmentRow).values({**row, **place, "id": new_id}))
        return Attachment(new_id, row["name"], row["language"], row["size"], row["secrets"])

    async def of(self, turn_ids: Iterable[str]) -> dict[str, tuple[Attachment, ...]]:
        """The files of turns, by turn."""
        found: dict[str, list[Attachment]] = {}
        query = select(AttachmentRow.turn_id, *_SHOWN).where(AttachmentRow.turn_id.in_(list(turn_ids)))
        async with self._engine.connect() as connection:
            for turn_id, *shown in await connection.execute(query.order_by(AttachmentRow.position)):
                fields: list[Any] = shown
                found.setdefault(turn_id, []).append(Attachment(*fields))
        return {turn_id: tuple(files) for turn_id, files in found.items()}

    async def texts(self, turn_ids: Iterable[str]) -> dict[str, str]:
        """The texts of the files of turns, by attachment."""
        query = select(AttachmentRow.id, AttachmentRow.text).where(AttachmentRow.turn_id.in_(list(turn_ids)))
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return {attachment: text for attachment, text in rows}  # noqa: C416


async def delete_of(connection: AsyncConnection, conversation_id: str) -> None:
    """Delete what was given to a conversation's turns, which are still there."""
    turns = select(TurnRow.id).where(TurnRow.conversation_id == conversation_id)
    await connection.execute(delete(AttachmentRow).where(AttachmentRow.turn_id.in_(turns)))
