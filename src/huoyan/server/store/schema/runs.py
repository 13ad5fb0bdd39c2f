"""Tables of runs: narrow rows, merge states, texts to search, and what was put right about them."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, Sequence, Table, Text, text

from huoyan.server.store.schema.keys import KEY, metadata

# Each value stands for a block of numbers, from which a collector numbers the runs of one batch (PostgreSQL only).
run_numbers = Sequence("runs_n", metadata=metadata)

runs = Table(
    "runs",
    metadata,
    # Numbered by the collector, so that both rows of a run can be written without asking for a key in between.
    Column("n", KEY, primary_key=True, autoincrement=False),
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
    Column("n", KEY, primary_key=True, autoincrement=False),
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
    Column("n", KEY, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

unindexed = Table(
    "unindexed",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("n", KEY, nullable=False),
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
