"""How long the runs of due times took.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, empty for what was judged before."""
    op.add_column("schedule_slots", sa.Column("duration_s", sa.Double(), nullable=True))
    op.add_column("schedule_slots", sa.Column("fast_at", sa.Double(), nullable=True))
    op.create_index("ix_schedule_slots_fast_at", "schedule_slots", ["fast_at"])


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_schedule_slots_fast_at", "schedule_slots")
    op.drop_column("schedule_slots", "fast_at")
    op.drop_column("schedule_slots", "duration_s")
