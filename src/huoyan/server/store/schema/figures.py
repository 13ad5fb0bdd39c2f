"""Tables of figures over time: rollups of runs, gauges, counters and failures."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, Table, Text

from huoyan.server.store.schema.keys import metadata

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("service", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("last_at", Double, nullable=False),
    Index("uq_series_service_task_queue", "service", "task", "queue", unique=True),
)


def _rollups(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("series_id", Integer, primary_key=True, autoincrement=False),
        # Start of the minute or hour, in whole seconds since 1970 UTC.
        Column("at", BigInteger, primary_key=True, autoincrement=False),
        Column("data", LargeBinary, nullable=False),
        Index(f"ix_{name}_at", "at"),
        sqlite_with_rowid=False,
    )


minute_rollups = _rollups("minute_rollups")
hour_rollups = _rollups("hour_rollups")


def _totals(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("service", Text, primary_key=True),
        Column("at", BigInteger, primary_key=True, autoincrement=False),
        Column("data", LargeBinary, nullable=False),
        Index(f"ix_{name}_at", "at"),
        sqlite_with_rowid=False,
    )


# The same over all series of a service: charts that tell no tasks apart cost the same with any number of them.
total_minutes = _totals("total_minutes")
total_hours = _totals("total_hours")

gauge_minutes = Table(
    "gauge_minutes",
    metadata,
    Column("metric", Text, primary_key=True),
    # The labels as canonical JSON text.
    Column("labels", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("last", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("high", Double, nullable=False),
    Index("ix_gauge_minutes_minute", "minute"),
    sqlite_with_rowid=False,
)

# Counters of the server itself, as increases per minute.
counter_minutes = Table(
    "counter_minutes",
    metadata,
    Column("metric", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("increase", Double, nullable=False),
    sqlite_with_rowid=False,
)

failure_groups = Table(
    "failure_groups",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("first_seen_at", Double, nullable=False),
    Column("last_seen_at", Double, nullable=False),
    Column("last_run_id", Text, nullable=False),
)

failure_minutes = Table(
    "failure_minutes",
    metadata,
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("fingerprint", Text, primary_key=True),
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Index("ix_failure_minutes_fingerprint_minute", "fingerprint", "minute"),
    sqlite_with_rowid=False,
)
