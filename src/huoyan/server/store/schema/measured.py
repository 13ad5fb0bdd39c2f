"""Tables of what processes measure."""

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, LargeBinary, Table, Text

from huoyan.server.store.schema.keys import KEY, metadata

measured_sources = Table(
    "measured_sources",
    metadata,
    Column("source", Text, primary_key=True),
    # The last number that was taken: what comes again with it is left aside.
    Column("sequence", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
)

measured_metrics = Table(
    "measured_metrics",
    metadata,
    Column("name", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("unit", Text, nullable=False),
    Column("help", Text, nullable=False),
    Column("folded", BigInteger, nullable=False),
    Column("samples", JSON, nullable=False),
    Column("last_at", Double, nullable=False),
    # What a gauge is of several processes: sum, max, min, last.
    Column("across", Text, nullable=False, server_default="sum"),
)

funnel_keys = Table(
    "funnel_keys",
    metadata,
    # A hash of service, funnel, step and the key's own hash: nothing of it can be read back.
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    # Until then the key counts no more at this step.
    Column("until", Double, nullable=False),
    Index("ix_funnel_keys_until", "until"),
)

measured_series = Table(
    "measured_series",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("metric", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("last_at", Double, nullable=False),
    Index("ix_measured_series_metric_service_labels", "metric", "service", "labels", unique=True),
)

measured_minutes = Table(
    "measured_minutes",
    metadata,
    Column("series", KEY, primary_key=True, autoincrement=False),
    Column("at", Integer, primary_key=True, autoincrement=False),
    # What a counter grew by, or the distribution of what was observed.
    Column("value", Double, nullable=False),
    Column("data", LargeBinary),
    Index("ix_measured_minutes_at", "at"),
)

measured_hours = Table(
    "measured_hours",
    metadata,
    Column("series", KEY, primary_key=True, autoincrement=False),
    Column("at", Integer, primary_key=True, autoincrement=False),
    Column("value", Double, nullable=False),
    Column("data", LargeBinary),
    Index("ix_measured_hours_at", "at"),
)
