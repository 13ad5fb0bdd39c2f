"""Totals per service, and an index for runs by queue.

Rollups are written in another form from here on; those in the old form are dropped, so their charts begin anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TOTALS = ("total_minutes", "total_hours")


def upgrade() -> None:
    """Make the tables and the index."""
    for name in _TOTALS:
        op.create_table(
            name,
            sa.Column("service", sa.Text(), nullable=False),
            sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("data", sa.LargeBinary(), nullable=False),
            sa.PrimaryKeyConstraint("service", "at", name=f"pk_{name}"),
            sqlite_with_rowid=False,
        )
        op.create_index(f"ix_{name}_at", name, ["at"])
    op.create_index(
        "ix_runs_queue_sort_at",
        "runs",
        ["queue", "sort_at"],
        sqlite_where=sa.text("queue <> ''"),
        postgresql_where=sa.text("queue <> ''"),
    )
    for name in ("minute_rollups", "hour_rollups"):
        op.execute(sa.delete(sa.table(name)))


def downgrade() -> None:
    """Remove the tables and the index."""
    op.drop_index("ix_runs_queue_sort_at", table_name="runs")
    for name in _TOTALS:
        op.drop_table(name)
