"""Workers as JSON."""

from typing import Literal

from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.store import Worker as StoredWorker

EXAMPLE = {
    "worker": "celery@host-1",
    "service": "orders",
    "framework": "celery",
    "host": "host-1",
    "pid": 4242,
    "state": "up",
    "first_seen_at": "2026-11-20T20:00:00.000000Z",
    "last_seen_at": "2026-11-20T21:15:09.800000Z",
    "started_at": "2026-11-20T19:59:58.000000Z",
    "active": 2,
    "clock_skew_s": 0.002,
    "dropped": 0,
    "queues": ["payments", "mail"],
}

WorkerState = Literal["up", "wedged", "down", "closed"]


class Worker(Document):
    """A process that executes tasks or reports them."""

    model_config = documented(EXAMPLE)

    worker: str
    service: str
    framework: str
    host: str
    pid: int
    """0 when it is not known."""
    state: WorkerState
    """`wedged` when it reports but starts nothing of what waits, `down` after three missed reports, `closed` after an
    orderly shutdown."""
    first_seen_at: Timestamp | None
    last_seen_at: Timestamp | None
    started_at: Timestamp | None
    active: int
    """Runs it executes now."""
    clock_skew_s: float | None
    """How far its clock is ahead of the server's."""
    dropped: int
    """Events that it had to drop so far."""
    queues: list[str]


class WorkerList(Document):
    """Every worker known."""

    model_config = documented({"items": [EXAMPLE], "next": None})

    items: list[Worker]
    next: None
    """Always null: the list is whole."""


def worker_document(worker: StoredWorker) -> Worker:
    """Render a worker as the API shows it."""
    return Worker(
        worker=worker.worker,
        service=worker.service or worker.framework,
        framework=worker.framework,
        host=worker.host,
        pid=worker.pid,
        state=worker.state,
        first_seen_at=worker.first_seen_at or None,
        last_seen_at=worker.last_seen_at or None,
        started_at=worker.started_at or None,
        active=worker.active,
        clock_skew_s=worker.clock_skew_s,
        dropped=worker.dropped,
        queues=list(worker.queues),
    )
