"""Tables of what is watched besides runs: workers, queues, schedules, deploys, kept requests, and gaps in all that."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Integer, Table, Text

from huoyan.server.store.schema.keys import KEY, metadata

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
    Column("id", KEY, primary_key=True, autoincrement=True),
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
    Column("id", KEY, primary_key=True, autoincrement=True),
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
