"""Failure groups as JSON."""

from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.api.schemas.reason import Explained
from huoyan.server.store import FailureGroup as StoredGroup

EXAMPLE = {
    "fingerprint": "5f1d3c0a9b7e2d44",
    "type": "PaymentDeclined",
    "title": "PaymentDeclined: card issuer did not answer within 5 s",
    "reason": "",
    "reason_code": "",
    "reason_params": {},
    "count": 12,
    "first_seen_at": "2026-11-20T21:02:11.000000Z",
    "last_seen_at": "2026-11-20T21:15:08.492000Z",
    "tasks": ["orders.take_payment"],
    "services": ["orders"],
    "last_run_id": "0b9ee1a1-4a0a-4a3c-a6d6-8f4a2f1d7c55",
    "per_minute": [[1795208040.0, 4], [1795208100.0, 8]],
}


class FailureGroup(Explained):
    """Failures that have the same cause by their fingerprint; `count` and `per_minute` are of the window asked for.

    Runs that ended without an exception (lost, given up, rejected) are grouped by their state, which is `type`, and by
    `reason`, why they ended; `reason` is empty for exceptions.
    """

    model_config = documented(EXAMPLE)

    fingerprint: str
    type: str
    """Class name of the exception; `lost`, `dead`, `rejected` or `failed` for runs that ended without one."""
    title: str
    """The type, and the message of the first such exception or why the first such run ended."""
    count: int
    first_seen_at: Timestamp
    last_seen_at: Timestamp
    tasks: list[str]
    services: list[str]
    last_run_id: str | None
    """The latest run that failed this way."""
    per_minute: list[tuple[float, int]]
    """Pairs of the minute (seconds since 1970 UTC) and the failures in it."""


class FailurePage(Document):
    """A page of failure groups, most frequent first."""

    model_config = documented({"items": [EXAMPLE], "next": None})

    items: list[FailureGroup]
    next: str | None
    """Cursor of the next page, null on the last one."""


def failure_document(group: StoredGroup) -> FailureGroup:
    """Render a failure group as the API shows it."""
    return FailureGroup(
        fingerprint=group.fingerprint,
        type=group.type,
        title=group.title,
        reason=group.reason,
        count=group.count,
        first_seen_at=group.first_seen_at,
        last_seen_at=group.last_seen_at,
        tasks=list(group.tasks),
        services=list(group.services),
        last_run_id=group.last_run_id or None,
        per_minute=[(float(at), int(count)) for at, count in group.per_minute],
    )
