"""What a gauge is of several processes, and which keys have passed which step of a funnel."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and make the table."""
    op.add_column("measured_metrics", sa.Column("across", sa.Text(), nullable=False, server_default="sum"))
    op.create_table(
        "funnel_keys",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_funnel_keys"),
    )
    op.create_index("ix_funnel_keys_until", "funnel_keys", ["until"])


def downgrade() -> None:
    """Take both out again."""
    op.drop_table("funnel_keys")
    op.drop_column("measured_metrics", "across")
