"""Task types and how they do, as JSON."""

from huoyan.server.api.schemas.base import Document, Timestamp, documented

EXAMPLE = {
    "task": "orders.take_payment",
    "service": "orders",
    "queue": "payments",
    "runs": 412,
    "succeeded": 400,
    "failed": 12,
    "failure_ratio": 0.0291,
    "runs_per_minute": 6.87,
    "p50_s": 0.21,
    "p95_s": 0.84,
    "p99_s": 5.01,
    "wait_p95_s": 0.4,
    "active": 2,
    "last_run_at": "2026-11-20T21:15:08.492000Z",
}


class Task(Document):
    """A task type of one service over the window asked for; figures without a measurement are null."""

    model_config = documented(EXAMPLE)

    task: str
    service: str
    queue: str
    """The queue most of its runs went through; empty when there is none."""
    runs: int
    """Runs that ended in the window."""
    succeeded: int
    failed: int
    """Failed, rejected, lost or dead."""
    failure_ratio: float | None
    """Failed runs of all that ended, revoked ones apart; from 0 to 1."""
    runs_per_minute: float
    """Over the part of the window in which the service was observed, a minute at least."""
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    wait_p95_s: float | None
    """Time from being due to the first start."""
    active: int
    """Runs that are executed now."""
    last_run_at: Timestamp | None
    """Latest event of its newest run; null for tasks beyond the hundred busiest."""


class TaskList(Document):
    """Every task type seen in the window, busiest first."""

    model_config = documented({"items": [EXAMPLE], "next": None, "window_s": 3600.0})

    items: list[Task]
    next: None
    """Always null: the list is whole."""
    window_s: float
