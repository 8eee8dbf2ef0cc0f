"""Passwords, second factors, single sign-on, where sessions and changes came from, who may read which index."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ADDED = {
    "sessions": (("how", 20, "link"), ("address", 100, ""), ("agent", 300, "")),
    "audit": (("address", 100, ""),),
}


def _user(primary_key: bool = False) -> sa.Column[str]:
    key = sa.ForeignKey("users.id", ondelete="CASCADE")
    return sa.Column("user_id", sa.String(32), key, nullable=False, primary_key=primary_key)


def upgrade() -> None:
    for table, columns in _ADDED.items():
        for name, length, default in columns:
            op.add_column(table, sa.Column(name, sa.String(length), nullable=False, server_default=default))
    revisions = op.create_table(
        "revision",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("n", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(revisions, [{"id": 1, "n": 0}])
    op.create_table(
        "passwords",
        _user(primary_key=True),
        sa.Column("hash", sa.String(300), nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
    )
    op.create_table(
        "totp",
        _user(primary_key=True),
        sa.Column("secret", sa.String(64), nullable=False),
        sa.Column("confirmed_at", sa.Double),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("recovery", sa.JSON, nullable=False),
    )
    op.create_table(
        "external_identities",
        sa.Column("issuer", sa.String(300), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        _user(),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table("restricted_indexes", sa.Column("name", sa.String(64), primary_key=True))
    op.create_table(
        "index_readers",
        sa.Column(
            "name",
            sa.String(64),
            sa.ForeignKey("restricted_indexes.name", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("kind", sa.String(10), primary_key=True),
        sa.Column("subject", sa.String(32), primary_key=True),
    )


def downgrade() -> None:
    # Whoever waits or is not let in yet must not come in with an older Codeweft, which knows two states only.
    op.execute("UPDATE users SET status = 'disabled' WHERE status <> 'active'")
    for table in (
        "index_readers", "restricted_indexes", "external_identities", "totp", "passwords", "revision",
    ):  # fmt: skip
        op.drop_table(table)
    for table, columns in _ADDED.items():
        for name, _, _ in columns:
            op.drop_column(table, name)
