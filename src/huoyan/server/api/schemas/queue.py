"""Queues as JSON."""

from huoyan.server.api.schemas.base import Document, Timestamp, documented

EXAMPLE = {
    "queue": "payments",
    "service": "orders",
    "depth": 7,
    "oldest_age_s": 3.2,
    "active": 2,
    "runs_per_minute": 6.9,
    "read_at": "2026-11-20T21:15:10.000000Z",
    "enqueued": 4570,
    "waiting": 9,
    "finished": 4558,
    "dead": 1,
    "held": 3,
    "difference": 0,
}


class Queue(Document):
    """A queue now. What nobody reported is null, never zero."""

    model_config = documented(EXAMPLE)

    queue: str
    service: str
    depth: int | None
    """Messages that wait."""
    oldest_age_s: float | None
    """Age of the oldest message that waits."""
    active: int
    """Runs of this queue that are executed now."""
    runs_per_minute: float
    """Runs that ended, over the last five minutes."""
    read_at: Timestamp | None
    """When the depth was read."""
    enqueued: int
    """Every run of this queue and service that is kept: waiting, active, finished and dead."""
    waiting: int
    """Runs that are scheduled, queued or to be retried, by what was reported of them."""
    finished: int
    """Runs that succeeded, failed, were revoked or rejected."""
    dead: int
    """Runs that are lost, or given up without an outcome."""
    held: int | None
    """Messages that workers took and have not acknowledged, over all services of the queue."""
    difference: int | None
    """Waiting less what the broker and the workers have of it, over all services of the queue; see `/ledger`."""


class QueueList(Document):
    """Every queue known, deepest first."""

    model_config = documented({"items": [EXAMPLE], "next": None})

    items: list[Queue]
    next: None
    """Always null: the list is whole."""
