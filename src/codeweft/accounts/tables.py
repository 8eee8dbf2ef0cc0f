"""The tables of people's data. Times are UTC and kept as Unix seconds; tokens and keys only as SHA-256 digests."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "0005"
"""The migration that these tables are at; equal to Alembic's head, so that an up-to-date start needs no Alembic."""


class Base(DeclarativeBase):
    pass


class UserRow(Base):
    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[float]
    team_id: Mapped[str] = mapped_column(String(32), server_default="")
    status: Mapped[str] = mapped_column(String(32), server_default="active")


class TeamRow(Base):
    __tablename__ = "teams"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[float]


class LimitRow(Base):
    """`kind` is user, key, team or everyone; `subject` its id ("" for everyone)."""

    __tablename__ = "limits"

    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    subject: Mapped[str] = mapped_column(String(32), primary_key=True)
    requests_per_minute: Mapped[int | None]
    tokens_per_minute: Mapped[int | None]
    parallel: Mapped[int | None]
    budget_usd: Mapped[float | None]
    budget_tokens: Mapped[int | None] = mapped_column(BigInteger)
    period: Mapped[str] = mapped_column(String(10))


class UsageRow(Base):
    """An entry of the ledger. Nothing refers to users and keys: what was used stays when they are deleted."""

    __tablename__ = "usage"
    __table_args__ = (Index("usage_at", "at"), Index("usage_of_user", "user_id", "at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[float]
    user_id: Mapped[str] = mapped_column(String(32))
    key_id: Mapped[str] = mapped_column(String(32))
    team_id: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(200))
    app: Mapped[str] = mapped_column(String(200))
    prompt_tokens: Mapped[int]
    cached_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    cost: Mapped[float | None]
    first_token_s: Mapped[float | None]
    total_s: Mapped[float]
    outcome: Mapped[str] = mapped_column(String(20))


class AuditRow(Base):
    __tablename__ = "audit"
    __table_args__ = (Index("audit_at", "at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[float]
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(100))
    target: Mapped[str] = mapped_column(String(200))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    address: Mapped[str] = mapped_column(String(100), server_default="")


class RevisionRow(Base):
    """One row that counts the changes of accounts, so that every process notices those of others."""

    __tablename__ = "revision"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(BigInteger)


class SessionRow(Base):
    """`how` the user came in is link, password or oidc; `address` and `agent` are of that request."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[float]
    expires_at: Mapped[float]
    how: Mapped[str] = mapped_column(String(20), server_default="link")
    address: Mapped[str] = mapped_column(String(100), server_default="")
    agent: Mapped[str] = mapped_column(String(300), server_default="")


class PasswordRow(Base):
    """`hash` is Argon2id's encoded form, salt and parameters included."""

    __tablename__ = "passwords"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    hash: Mapped[str] = mapped_column(String(300))
    changed_at: Mapped[float]


class TotpRow(Base):
    """A second factor; in force when `confirmed_at` is set. `recovery` are digests of codes that are left.

    `last_step` is the time step of the last code taken, so that none is taken twice.
    """

    __tablename__ = "totp"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[str] = mapped_column(String(64))
    confirmed_at: Mapped[float | None]
    last_step: Mapped[int] = mapped_column(BigInteger)
    recovery: Mapped[list[Any]] = mapped_column(JSON)


class ExternalIdentityRow(Base):
    """A user as an OpenID provider knows them."""

    __tablename__ = "external_identities"

    issuer: Mapped[str] = mapped_column(String(300), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(String(320))
    created_at: Mapped[float]


class RestrictedIndexRow(Base):
    """An index that only its readers (and administrators) may read. It outlives the index: the name stays closed."""

    __tablename__ = "restricted_indexes"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)


class IndexReaderRow(Base):
    """`kind` is user or team, `subject` its id."""

    __tablename__ = "index_readers"

    name: Mapped[str] = mapped_column(
        ForeignKey("restricted_indexes.name", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    subject: Mapped[str] = mapped_column(String(32), primary_key=True)


class SigninLinkRow(Base):
    __tablename__ = "signin_links"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[float]
    expires_at: Mapped[float]


class ApiKeyRow(Base):
    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[float]
    last_used_at: Mapped[float | None]
    expires_at: Mapped[float | None]
    scopes: Mapped[str] = mapped_column(String(200), server_default="")
    previous_digest: Mapped[str | None] = mapped_column(String(64))
    previous_until: Mapped[float | None]


class ConversationRow(Base):
    __tablename__ = "conversations"
    __table_args__ = (Index("conversations_of_user", "user_id", "updated_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200))
    model: Mapped[str | None] = mapped_column(String(200))
    index_name: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[float]
    updated_at: Mapped[float]
    leaf_id: Mapped[str] = mapped_column(String(32), server_default="")
    """The last turn of the branch that is shown."""


class TurnRow(Base):
    """Turns are a tree: `parent_id` is the turn before this one, "" for the first. `position` counts as they came."""

    __tablename__ = "turns"
    __table_args__ = (Index("turns_of_conversation", "conversation_id", "position"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    role: Mapped[str] = mapped_column(String(20))
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float]
    model: Mapped[str | None] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(String(20))
    references: Mapped[list[Any]] = mapped_column("refs", JSON)
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    sampling: Mapped[dict[str, Any]] = mapped_column(JSON)
    timings: Mapped[dict[str, Any]] = mapped_column(JSON)
    rating: Mapped[str | None] = mapped_column(String(10))
    comment: Mapped[str] = mapped_column(Text)
    parent_id: Mapped[str] = mapped_column(String(32), server_default="")
    dropped: Mapped[list[Any]] = mapped_column(JSON, server_default="[]")
    cost: Mapped[float | None]
    rated_at: Mapped[float | None]
    explanation: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    steps: Mapped[list[Any]] = mapped_column(JSON, server_default="[]")
    withdrawn: Mapped[list[Any]] = mapped_column(JSON, server_default="[]")
    checked: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class AttachmentRow(Base):
    """A file as text, without its secrets. `turn_id` is "" until it is sent; only turns that are there own one."""

    __tablename__ = "attachments"
    __table_args__ = (Index("attachments_of_turn", "turn_id"), Index("attachments_of_user", "user_id"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    turn_id: Mapped[str] = mapped_column(String(32))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(300))
    language: Mapped[str] = mapped_column(String(50))
    size: Mapped[int]
    secrets: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float]


class SnippetRow(Base):
    """A block of code of an answer, or one that was saved by hand (then of no conversation)."""

    __tablename__ = "snippets"
    __table_args__ = (
        Index("snippets_of_user", "user_id", "created_at"),
        Index("snippets_of_conversation", "conversation_id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    conversation_id: Mapped[str] = mapped_column(String(32))
    turn_id: Mapped[str] = mapped_column(String(32))
    language: Mapped[str] = mapped_column(String(50))
    title: Mapped[str] = mapped_column(String(200))
    code: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float]
