"""The tables, as SQLAlchemy Core knows them; `migrations/` brings a database to this shape.

Times are float seconds since 1970 UTC (`*_at`), durations float seconds (`*_s`), JSON columns take and give Python
values. A run is two rows: a narrow one that lists and filters read, and its merge state, which only a page or a merge
loads.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only when the key is spelled INTEGER.
_KEY = BigInteger().with_variant(Integer, "sqlite")

# Each value stands for a block of numbers, from which a collector numbers the runs of one batch (PostgreSQL only).
run_numbers = Sequence("runs_n", metadata=metadata)

runs = Table(
    "runs",
    metadata,
    # Numbered by the collector, so that both rows of a run can be written without asking for a key in between.
    Column("n", _KEY, primary_key=True, autoincrement=False),
    # Compared byte by byte everywhere, so that the ids with one beginning lie together.
    Column("id", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False, unique=True),
    Column("task", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("framework", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("sort_at", Double, nullable=False),
    Column("enqueued_at", Double),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("wait_s", Double),
    Column("duration_s", Double),
    Column("attempt_count", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("parent_id", Text),
    Column("root_id", Text),
    Column("group_id", Text),
    Column("updated_at", Double, nullable=False),
    # Grows with every write: a collector that read an older version merges again instead of overwriting.
    Column("version", Integer, nullable=False),
)
Index("ix_runs_sort_at", runs.c.sort_at)
Index("ix_runs_state_sort_at", runs.c.state, runs.c.sort_at)
Index("ix_runs_task_state_sort_at", runs.c.task, runs.c.state, runs.c.sort_at)
Index(
    "ix_runs_worker_sort_at",
    runs.c.worker,
    runs.c.sort_at,
    sqlite_where=text("worker <> ''"),
    postgresql_where=text("worker <> ''"),
)
Index(
    "ix_runs_queue_sort_at",
    runs.c.queue,
    runs.c.sort_at,
    sqlite_where=text("queue <> ''"),
    postgresql_where=text("queue <> ''"),
)
Index(
    "ix_runs_fingerprint_sort_at",
    runs.c.fingerprint,
    runs.c.sort_at,
    sqlite_where=text("fingerprint <> ''"),
    postgresql_where=text("fingerprint <> ''"),
)
Index(
    "ix_runs_parent_id",
    runs.c.parent_id,
    sqlite_where=text("parent_id IS NOT NULL"),
    postgresql_where=text("parent_id IS NOT NULL"),
)
Index(
    "ix_runs_group_id",
    runs.c.group_id,
    sqlite_where=text("group_id IS NOT NULL"),
    postgresql_where=text("group_id IS NOT NULL"),
)
# A run without a parent is its own root and is found by its id.
Index(
    "ix_runs_root_id",
    runs.c.root_id,
    sqlite_where=text("parent_id IS NOT NULL"),
    postgresql_where=text("parent_id IS NOT NULL"),
)

run_states = Table(
    "run_states",
    metadata,
    Column("n", _KEY, primary_key=True, autoincrement=False),
    Column("state", LargeBinary, nullable=False),
)

run_counts = Table(
    "run_counts",
    metadata,
    Column("service", Text, primary_key=True),
    Column("framework", Text, primary_key=True),
    Column("task", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("worker", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("runs", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

run_texts = Table(
    "run_texts",
    metadata,
    Column("n", _KEY, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

unindexed = Table(
    "unindexed",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("n", _KEY, nullable=False),
)

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

workers = Table(
    "workers",
    metadata,
    Column("worker", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("framework", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("first_seen_at", Double, nullable=False),
    Column("last_seen_at", Double, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("interval_s", Double, nullable=False),
    Column("active", Integer, nullable=False),
    Column("clock_skew_s", Double, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("queues", JSON, nullable=False),
    Column("replaced_by", Text, nullable=False, server_default=""),
)

queues = Table(
    "queues",
    metadata,
    Column("service", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("depth", BigInteger),
    Column("oldest_age_s", Double),
    Column("read_at", Double, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("service", Text, primary_key=True),
    Column("framework", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("expression", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("next_due_at", Double),
    Column("last_run_at", Double),
    Column("grace_s", Double),
    Column("ends_at", Double),
    Column("source", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    # When the keeper said so by its clock, and when that was heard by ours.
    Column("reported_at", Double, nullable=False),
    Column("heard_at", Double, nullable=False),
    # The first due time that no verdict was given on.
    Column("slot_at", Double),
    Column("state", Text, nullable=False),
    Column("last_state", Text, nullable=False),
    Column("missed_count", BigInteger, nullable=False),
    Column("last_missed_at", Double),
)

schedule_slots = Table(
    "schedule_slots",
    metadata,
    Column("service", Text, primary_key=True),
    Column("framework", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("slot_at", Double, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("late_s", Double),
    Column("run_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("judged_at", Double, nullable=False),
    Column("duration_s", Double),
    # When its run was found to have been too fast.
    Column("fast_at", Double),
    Index("ix_schedule_slots_verdict_judged_at", "verdict", "judged_at"),
    Index("ix_schedule_slots_fast_at", "fast_at"),
)

# One row: when a server last said that it listens.
listening = Table(
    "listening",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
)

run_history = Table(
    "run_history",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", Text, nullable=False, index=True),
    Column("at", Double, nullable=False, index=True),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

discrepancies = Table(
    "discrepancies",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("framework", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("at", Double, nullable=False, index=True),
    Column("reason", Text, nullable=False),
)

stuck_runs = Table(
    "stuck_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("since_at", Double, nullable=False),
    Column("service", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("queue", Text, nullable=False),
)

gaps = Table(
    "gaps",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("started_at", Double, nullable=False, index=True),
    Column("ended_at", Double),
    Column("reason", Text, nullable=False),
)

deploys = Table(
    "deploys",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("service", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("origin", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("before", Text, nullable=False),
    Index("ix_deploys_at", "at"),
)
examples = Table(
    "examples",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("service", Text, nullable=False),
    # Method and route template: `GET /orders/{id}`.
    Column("endpoint", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("duration_s", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("data", JSON, nullable=False),
    Index("ix_examples_service_endpoint_at", "service", "endpoint", "at"),
    Index("ix_examples_at", "at"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("rule", Text, nullable=False),
    Column("signal", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("labels_key", Text, nullable=False),
    Column("value", Double),
    Column("worst", Double),
    Column("threshold", Double, nullable=False),
    Column("op", Text, nullable=False),
    Column("window_s", Double, nullable=False),
    Column("pending_at", Double, nullable=False),
    Column("fired_at", Double),
    Column("resolved_at", Double),
    Column("last_value_at", Double),
    Column("good_at", Double),
    Column("absent_at", Double),
    Column("reason", Text, nullable=False),
    Column("incident_id", Integer, ForeignKey("incidents.id"), index=True),
    Column("annotations", JSON, nullable=False),
    Index("ix_alerts_state_pending_at", "state", "pending_at"),
    Index("ix_alerts_rule_labels_key", "rule", "labels_key"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("group_key", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("acknowledged_at", Double),
    Column("acknowledged_by", Text, nullable=False, server_default=""),
    Column("resolved_at", Double),
    Column("resolved_by", Text, nullable=False, server_default=""),
    Column("updated_at", Double, nullable=False),
    Column("summary", Text, nullable=False, server_default=""),
    Column("failure", JSON(none_as_null=True)),
    Index("ix_incidents_state_opened_at", "state", "opened_at"),
    Index("ix_incidents_group_key_state", "group_key", "state"),
)

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
    Column("id", _KEY, primary_key=True),
    Column("metric", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("last_at", Double, nullable=False),
    Index("ix_measured_series_metric_service_labels", "metric", "service", "labels", unique=True),
)

measured_minutes = Table(
    "measured_minutes",
    metadata,
    Column("series", _KEY, primary_key=True, autoincrement=False),
    Column("at", Integer, primary_key=True, autoincrement=False),
    # What a counter grew by, or the distribution of what was observed.
    Column("value", Double, nullable=False),
    Column("data", LargeBinary),
    Index("ix_measured_minutes_at", "at"),
)

measured_hours = Table(
    "measured_hours",
    metadata,
    Column("series", _KEY, primary_key=True, autoincrement=False),
    Column("at", Integer, primary_key=True, autoincrement=False),
    Column("value", Double, nullable=False),
    Column("data", LargeBinary),
    Index("ix_measured_hours_at", "at"),
)

incident_timeline = Table(
    "incident_timeline",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", Integer, ForeignKey("incidents.id"), nullable=False, index=True),
    Column("at", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("data", JSON, nullable=False),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", Integer, ForeignKey("incidents.id"), index=True),
    Column("alert_id", Integer, ForeignKey("alerts.id")),
    Column("receiver", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("sent_at", Double),
    Column("claimed_by", Text, nullable=False, server_default=""),
    Column("claimed_at", Double),
    Column("error", Text, nullable=False, server_default=""),
    Column("dedup_key", Text, nullable=False, unique=True),
    Index("ix_notifications_state_next_at", "state", "next_at"),
)
