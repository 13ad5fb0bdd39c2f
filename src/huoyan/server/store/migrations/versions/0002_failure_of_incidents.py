"""The failure behind most of an incident."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("incidents", sa.Column("failure", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Remove the column."""
    op.drop_column("incidents", "failure")
