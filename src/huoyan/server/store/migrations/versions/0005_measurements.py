"""What processes measure: their series by the minute, by the hour with age, and how far each process has told."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0007"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "measured_sources",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("source", name="pk_measured_sources"),
    )
    op.create_table(
        "measured_metrics",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("help", sa.Text(), nullable=False),
        sa.Column("folded", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.JSON(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "service", name="pk_measured_metrics"),
    )
    op.create_table(
        "measured_series",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_measured_series"),
    )
    op.create_index(
        "ix_measured_series_metric_service_labels", "measured_series", ["metric", "service", "labels"], unique=True
    )
    for name in ("measured_minutes", "measured_hours"):
        op.create_table(
            name,
            sa.Column("series", _KEY, autoincrement=False, nullable=False),
            sa.Column("at", sa.Integer(), autoincrement=False, nullable=False),
            sa.Column("value", sa.Double(), nullable=False),
            sa.Column("data", sa.LargeBinary(), nullable=True),
            sa.PrimaryKeyConstraint("series", "at", name=f"pk_{name}"),
        )
        op.create_index(f"ix_{name}_at", name, ["at"])


def downgrade() -> None:
    """Remove the tables."""
    for name in ("measured_hours", "measured_minutes", "measured_series", "measured_metrics", "measured_sources"):
        op.drop_table(name)
