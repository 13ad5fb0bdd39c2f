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


class QueueList(Document):
    """Every queue known, deepest first."""

    model_config = documented({"items": [EXAMPLE], "next": None})

    items: list[Queue]
    next: None
    """Always null: the list is whole."""
