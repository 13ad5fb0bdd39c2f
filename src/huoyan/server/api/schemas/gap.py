"""Gaps as JSON: when nothing could be heard."""

from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.api.schemas.reason import Explained

EXAMPLE = {
    "source": "celery redis://127.0.0.1:6379/0",
    "started_at": "2026-11-20T20:40:00.000000Z",
    "ended_at": "2026-11-20T20:41:12.000000Z",
    "reason": "connection refused",
}


class Gap(Explained):
    """A time in which a source was cut off; what happened then may never have been heard."""

    model_config = documented(EXAMPLE)

    source: str
    started_at: Timestamp
    ended_at: Timestamp | None
    """Null while it lasts."""


class GapList(Document):
    """The gaps of a period, newest first."""

    model_config = documented({"items": [EXAMPLE], "next": None})

    items: list[Gap]
    next: None
    """Always null: the list is whole."""
