"""Who does the work of a worker that went without a goodbye."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("workers", sa.Column("replaced_by", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take it out again."""
    op.drop_column("workers", "replaced_by")
