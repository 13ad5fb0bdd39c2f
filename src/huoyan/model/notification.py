"""Notifications: one message to one receiver, on its way or arrived."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class NotificationState(StrEnum):
    """Where a message is: queued → sending → sent; failed waits for its next try, dead has none left."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message to one receiver. Times are seconds since 1970 UTC.

    Attributes:
        event: What is told: opened, reopened, escalated, resolved.
        dedup_key: Two messages with the same key are the same message; the second is never stored.
        data: The facts of the moment it was written, from which every channel makes its own form.
        next_at: When it is due (again).
        error: Why the last try failed, free of secrets; empty when it did not.
    """

    receiver: str
    event: str
    title: str
    body: str
    dedup_key: str
    created_at: float
    next_at: float
    incident_id: int | None = None
    alert_id: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    state: NotificationState = NotificationState.QUEUED
    attempts: int = 0
    sent_at: float | None = None
    claimed_by: str = ""
    claimed_at: float | None = None
    error: str = ""
    id: int | None = None
