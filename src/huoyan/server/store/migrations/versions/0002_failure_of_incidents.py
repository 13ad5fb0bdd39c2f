"""The failure behind most of an incident, for databases whose first tables were made without it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column where it is missing."""
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("incidents")}
    if "failure" not in present:
        op.add_column("incidents", sa.Column("failure", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Leave the column: an earlier version reads past it."""
