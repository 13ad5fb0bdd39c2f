"""Schedules as JSON."""

from typing import Literal, cast

from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.store import KnownSchedule

EXAMPLE = {
    "id": "daily-report",
    "name": "orders.daily_report",
    "service": "orders",
    "framework": "apscheduler",
    "task": "orders.reports.daily_report",
    "kind": "cron",
    "expression": "30 2 * * *",
    "timezone": "Europe/Berlin",
    "next_due_at": "2026-11-21T01:30:00.000000Z",
    "last_run_at": "2026-11-20T01:30:00.000000Z",
    "last_state": "succeeded",
    "state": "ok",
    "enabled": True,
    "source": "orders@host-1:4242",
    "missed_count": 0,
    "last_missed_at": None,
}

ScheduleState = Literal["ok", "late", "missed", "overlapping", "doubled", "unknown", "dead"]
Kind = Literal["cron", "interval", "date"]


class Schedule(Document):
    """What a scheduler runs when, and whether it did."""

    model_config = documented(EXAMPLE)

    id: str
    """Its name within service and framework; its runs carry it in the label `schedule`."""
    name: str
    service: str
    framework: str
    task: str
    kind: Kind
    expression: str
    """A cron expression, seconds for an interval, or the scheduler's own words."""
    timezone: str
    """IANA name; empty: UTC."""
    next_due_at: Timestamp | None
    last_run_at: Timestamp | None
    last_state: str | None
    """State of the latest run that was judged."""
    state: ScheduleState | None
    """What became of the latest due time; `dead` when the scheduler is gone or frozen, null before the first."""
    enabled: bool
    """False when it is paused, was taken out, or its process ended on purpose."""
    source: str
    """The process that keeps it."""
    missed_count: int
    last_missed_at: Timestamp | None
    """The latest due time that was missed."""


class ScheduleList(Document):
    """Every schedule known."""

    model_config = documented({"items": [EXAMPLE], "next": None})

    items: list[Schedule]
    next: None
    """Always null: the list is whole."""


def schedule_document(schedule: KnownSchedule, *, dead: bool) -> Schedule:
    """Render a schedule as the API shows it; `dead` says that its scheduler is."""
    return Schedule(
        id=schedule.id,
        name=schedule.name or schedule.id,
        service=schedule.service or schedule.framework,
        framework=schedule.framework,
        task=schedule.task,
        kind=schedule.kind.value,
        expression=schedule.expression,
        timezone=schedule.timezone,
        next_due_at=schedule.next_due_at,
        last_run_at=schedule.last_run_at,
        last_state=schedule.last_state or None,
        state="dead" if dead else cast(ScheduleState, schedule.state) if schedule.state else None,
        enabled=schedule.enabled,
        source=schedule.source,
        missed_count=schedule.missed_count,
        last_missed_at=schedule.last_missed_at,
    )
