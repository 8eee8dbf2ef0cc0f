"""Conversations that branch, what an answer cost and rested on, attachments, snippets."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _turn_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("parent_id", sa.String(32), nullable=False, server_default=""),
        sa.Column("dropped", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("cost", sa.Double),
        sa.Column("rated_at", sa.Double),
        sa.Column("explanation", sa.JSON),
    ]


# Until now a conversation was a line: each turn follows the one that was written before it.
_PARENTS = """
UPDATE turns SET parent_id = COALESCE((
    SELECT earlier.id FROM turns AS earlier
    WHERE earlier.conversation_id = turns.conversation_id AND earlier.position < turns.position
    ORDER BY earlier.position DESC LIMIT 1), '')
"""
_LEAVES = """
UPDATE conversations SET leaf_id = COALESCE((
    SELECT turns.id FROM turns WHERE turns.conversation_id = conversations.id
    ORDER BY turns.position DESC LIMIT 1), '')
"""


def upgrade() -> None:
    for column in _turn_columns():
        op.add_column("turns", column)
    op.add_column("conversations", sa.Column("leaf_id", sa.String(32), nullable=False, server_default=""))
    op.execute(_PARENTS)
    op.execute(_LEAVES)
    op.execute("UPDATE turns SET rated_at = created_at WHERE rating IS NOT NULL")
    op.create_table(
        "attachments",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("user_id", sa.String(32), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("turn_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", sa.String(300), nullable=False),
        sa.Column("language", sa.String(50), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("secrets", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("attachments_of_turn", "attachments", ["turn_id"])
    op.create_index("attachments_of_user", "attachments", ["user_id"])
    op.create_table(
        "snippets",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("user_id", sa.String(32), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("conversation_id", sa.String(32), nullable=False),
        sa.Column("turn_id", sa.String(32), nullable=False),
        sa.Column("language", sa.String(50), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("snippets_of_user", "snippets", ["user_id", "created_at"])
    op.create_index("snippets_of_conversation", "snippets", ["conversation_id"])


def downgrade() -> None:
    op.drop_table("snippets")
    op.drop_table("attachments")
    op.drop_column("conversations", "leaf_id")
    for column in _turn_columns():
        op.drop_column("turns", column.name)
