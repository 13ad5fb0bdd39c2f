"""Schedules, what was found out about each of their due times, and until when somebody listened."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "schedules",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("framework", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("expression", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("next_due_at", sa.Double(), nullable=True),
        sa.Column("last_run_at", sa.Double(), nullable=True),
        sa.Column("grace_s", sa.Double(), nullable=True),
        sa.Column("ends_at", sa.Double(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("reported_at", sa.Double(), nullable=False),
        sa.Column("heard_at", sa.Double(), nullable=False),
        sa.Column("slot_at", sa.Double(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("last_state", sa.Text(), nullable=False),
        sa.Column("missed_count", sa.BigInteger(), nullable=False),
        sa.Column("last_missed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("service", "framework", "id", name="pk_schedules"),
    )
    op.create_table(
        "schedule_slots",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("framework", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("slot_at", sa.Double(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("late_s", sa.Double(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("judged_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("service", "framework", "id", "slot_at", name="pk_schedule_slots"),
    )
    op.create_table(
        "listening",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_listening"),
    )
    op.create_index("ix_schedule_slots_verdict_judged_at", "schedule_slots", ["verdict", "judged_at"])


def downgrade() -> None:
    """Remove the tables."""
    op.drop_table("listening")
    op.drop_table("schedule_slots")
    op.drop_table("schedules")
