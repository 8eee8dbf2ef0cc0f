"""How an answer was made: an agent's steps, drafts that did not stand, the check of its code."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column("steps", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("withdrawn", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("checked", sa.JSON),
    ]


def upgrade() -> None:
    for column in _columns():
        op.add_column("turns", column)


def downgrade() -> None:
    for column in _columns():
        op.drop_column("turns", column.name)
