"""The first screen's figures as JSON."""

from typing import Any, Literal

from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.api.schemas.incident import EXAMPLE as INCIDENT_EXAMPLE
from huoyan.server.api.schemas.incident import Incident

VerdictLevel = Literal["ok", "warning", "critical", "blind"]

EXAMPLE: dict[str, Any] = {
    "verdict": {
        "level": "critical",
        "text": "1 incident is open: orders.take_payment: failure ratio 29 % (> 5 %)",
        "text_zh": "有 1 个未解决事件：orders.take_payment：失败率 29 %（> 5 %）",
        "open_incidents": [INCIDENT_EXAMPLE],
    },
    "totals": {"runs_per_minute": 13.4, "failure_ratio": 0.03, "p95_s": 0.84, "active": 3, "queued": 7},
    "workers": {"up": 2, "down": 0},
    "version": "0.1.0",
    "started_at": "2026-11-20T20:00:00.000000Z",
    "now": "2026-11-20T21:16:41.000000Z",
}


class Verdict(Document):
    """Whether all is well, in one line."""

    level: VerdictLevel
    """`blind` when nothing is heard from a source, so that silence proves nothing."""
    text: str
    """The line in English."""
    text_zh: str
    """The line in Chinese."""
    open_incidents: list[Incident]
    """Open and acknowledged ones, most severe first."""


class Totals(Document):
    """Figures over everything and the last five minutes; null where nothing was measured."""

    runs_per_minute: float
    failure_ratio: float | None
    p95_s: float | None
    active: int
    queued: int | None
    """Messages that wait in all queues whose depth is known."""


class WorkerTotals(Document):
    """How many workers are there."""

    up: int
    down: int


class Overview(Document):
    """What the first screen says at a glance."""

    model_config = documented(EXAMPLE)

    verdict: Verdict
    totals: Totals
    workers: WorkerTotals
    version: str
    started_at: Timestamp
    """When the server started."""
    now: Timestamp
