"""What was put right about runs, what does not add up, and which runs are stuck."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "run_history",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_run_history"),
    )
    op.create_index("ix_run_history_run_id", "run_history", ["run_id"])
    op.create_index("ix_run_history_at", "run_history", ["at"])
    op.create_table(
        "discrepancies",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("framework", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "kind", name="pk_discrepancies"),
    )
    op.create_index("ix_discrepancies_at", "discrepancies", ["at"])
    op.create_table(
        "stuck_runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("since_at", sa.Double(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_stuck_runs"),
    )


def downgrade() -> None:
    """Remove the tables."""
    op.drop_table("stuck_runs")
    op.drop_table("discrepancies")
    op.drop_table("run_history")
