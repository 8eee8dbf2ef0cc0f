"""Teams, states of users, keys that expire and are scoped, limits, the usage ledger, the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# No foreign key to teams: SQLite would have to make the table of users anew, and take everything of theirs with it.
_USERS = {"team_id": "", "status": "active"}


def _key_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("expires_at", sa.Double),
        sa.Column("scopes", sa.String(200), nullable=False, server_default=""),
        sa.Column("previous_digest", sa.String(64)),
        sa.Column("previous_until", sa.Double),
    ]


def upgrade() -> None:
    for name, default in _USERS.items():
        op.add_column("users", sa.Column(name, sa.String(32), nullable=False, server_default=default))
    for column in _key_columns():
        op.add_column("api_keys", column)
    op.create_table(
        "teams",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "limits",
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("subject", sa.String(32), primary_key=True),
        sa.Column("requests_per_minute", sa.Integer),
        sa.Column("tokens_per_minute", sa.Integer),
        sa.Column("parallel", sa.Integer),
        sa.Column("budget_usd", sa.Double),
        sa.Column("budget_tokens", sa.BigInteger),
        sa.Column("period", sa.String(10), nullable=False),
    )
    op.create_table(
        "usage",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("team_id", sa.String(32), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("app", sa.String(200), nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("cached_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.Column("cost", sa.Double),
        sa.Column("first_token_s", sa.Double),
        sa.Column("total_s", sa.Double, nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
    )
    op.create_index("usage_at", "usage", ["at"])
    op.create_index("usage_of_user", "usage", ["user_id", "at"])
    op.create_table(
        "audit",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("target", sa.String(200), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
    )
    op.create_index("audit_at", "audit", ["at"])


def downgrade() -> None:
    for table in ("audit", "usage", "limits", "teams"):
        op.drop_table(table)
    for column in _key_columns():
        op.drop_column("api_keys", column.name)
    for name in _USERS:
        op.drop_column("users", name)
