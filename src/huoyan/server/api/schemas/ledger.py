"""The ledger as JSON."""

from collections.abc import Iterable
from typing import Any

from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.api.schemas.reason import Explained
from huoyan.server.collect.ledger import Account
from huoyan.server.store.truth import MOST_NAMED, Discrepancy

EXAMPLE: dict[str, Any] = {
    "queue": "payments",
    "service": "orders",
    "framework": "celery",
    "enqueued": 4570,
    "waiting": 9,
    "running": 2,
    "finished": 4558,
    "dead": 1,
    "broker_waiting": 6,
    "broker_held": 3,
    "difference": 0,
    "read_at": "2026-11-20T21:15:10.000000Z",
    "absent": "",
    "vanished": [
        {
            "run_id": "0b9ee1a1-4a0a-4a3c-a6d6-8f4a2f1d7c55",
            "at": "2026-11-20T21:12:10.000000Z",
            "reason": "it vanished: the broker does not hold it and no worker has it",
        }
    ],
    "doubled": [],
    "unannounced": [],
}


class NamedRun(Explained):
    """A run that keeps an account from adding up."""

    run_id: str
    at: Timestamp
    """When that was found."""


class LedgerEntry(Document):
    """A queue: enqueued = waiting + running + finished + dead, and what its broker and workers hold of it."""

    model_config = documented(EXAMPLE)

    queue: str
    service: str
    """Whose runs go through it; the framework when several services share it."""
    framework: str
    enqueued: int
    """Every run of the queue that is kept."""
    waiting: int
    """Scheduled, queued, or to be retried."""
    running: int
    finished: int
    """Succeeded, failed, revoked, rejected."""
    dead: int
    """Lost, or given up without an outcome."""
    broker_waiting: int | None
    """Messages that wait in the broker; null while it does not answer."""
    broker_held: int | None
    """Messages that workers took and have not acknowledged; null when the broker does not tell. RabbitMQ tells by its
    management API alone."""
    difference: int | None
    """Waiting by our books less what broker and workers have of it: above 0 something is missing, below it there is
    something that nobody told us of. Where messages have no names it is the least that it can be. Null when it cannot
    be told."""
    read_at: Timestamp | None
    """When the broker was asked."""
    absent: str
    """Why figures of the broker are null, empty when everybody who was asked answered."""
    vanished: list[NamedRun]
    """Runs of the last hour that nobody holds and nobody executed, the newest 20."""
    doubled: list[NamedRun]
    """Runs of the last hour that were executed again after they had succeeded, the newest 20."""
    unannounced: list[str]
    """Runs that the broker holds and nobody told us of, 20 of them."""


class LedgerList(Document):
    """Every queue known, by framework and name."""

    model_config = documented({"items": [EXAMPLE], "next": None})

    items: list[LedgerEntry]
    next: None
    """Always null: the list is whole."""


def account_document(account: Account, found: Iterable[Discrepancy]) -> LedgerEntry:
    """Render an account as the API shows it, with those of `found` that concern it."""
    named: dict[str, list[NamedRun]] = {"vanished": [], "doubled": []}
    for one in found:
        if (one.framework, one.queue) == (account.framework, account.queue) and len(named[one.kind]) < MOST_NAMED:
            named[one.kind].append(NamedRun(run_id=one.run_id, at=one.at, reason=one.reason))
    return LedgerEntry(
        queue=account.queue,
        service=account.services[0] if len(account.services) == 1 else account.framework,
        framework=account.framework,
        enqueued=account.enqueued,
        waiting=account.waiting,
        running=account.running,
        finished=account.finished,
        dead=account.dead,
        broker_waiting=account.held_by_broker,
        broker_held=account.held_by_workers,
        difference=account.difference,
        read_at=account.read_at,
        absent=account.why_absent,
        vanished=named["vanished"],
        doubled=named["doubled"],
        unannounced=list(account.unannounced),
    )
