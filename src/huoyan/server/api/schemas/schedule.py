"""Schedules as JSON."""

from collections.abc import Iterable
from typing import Any, Literal, cast

from huoyan.model.schedule import Slot
from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.api.schemas.reason import Explained
from huoyan.server.store import KnownSchedule

SLOT: dict[str, Any] = {
    "at": "2026-11-20T01:30:00.000000Z",
    "verdict": "late",
    "late_s": 7.2,
    "run_id": "0b9ee1a1-4a0a-4a3c-a6d6-8f4a2f1d7c55",
    "reason": "started 7.2 s late",
    "duration_s": 41.6,
    "too_fast": False,
}
EXAMPLE: dict[str, Any] = {
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
    "keeper_state": "up",
    "recent": [SLOT],
}

ScheduleState = Literal["ok", "late", "missed", "overlapping", "doubled", "repeated", "unknown", "dead"]
Verdict = Literal["ok", "late", "missed", "overlapping", "doubled", "repeated", "unknown"]
Kind = Literal["cron", "interval", "date"]


class ScheduleSlot(Explained):
    """A due time of a schedule and what became of it."""

    model_config = documented(SLOT)

    at: Timestamp
    verdict: Verdict
    late_s: float | None
    """How late it started, null when nothing did."""
    run_id: str
    """The run that stands for it, empty when there is none."""
    duration_s: float | None
    """How long the run took, null until it has succeeded."""
    too_fast: bool
    """Whether it succeeded in less than a tenth of the time that runs of this schedule take at least."""


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
    keeper_state: str | None
    """State of the process that keeps it, see `Worker`; null when that process reports nothing of itself."""
    recent: list[ScheduleSlot]
    """The latest due times with their verdicts, oldest first, at most 30."""


class ScheduleDetail(Schedule):
    """One schedule with the verdicts on its due times."""

    model_config = documented({**EXAMPLE, "slots": [SLOT]})

    slots: list[ScheduleSlot]
    """The latest due times, newest first."""


class ScheduleList(Document):
    """Every schedule known."""

    model_config = documented({"items": [EXAMPLE], "next": None})

    items: list[Schedule]
    next: None
    """Always null: the list is whole."""


def schedule_document(
    schedule: KnownSchedule, *, dead: bool, keeper_state: str | None = None, recent: Iterable[Slot] = ()
) -> Schedule:
    """Render a schedule as the API shows it.

    Args:
        schedule: The schedule.
        dead: Whether its scheduler is.
        keeper_state: State of the process that keeps it.
        recent: Its latest due times, oldest first.
    """
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
        keeper_state=keeper_state,
        recent=[slot_document(slot) for slot in recent],
    )


def detail_document(schedule: Schedule, slots: Iterable[Slot]) -> ScheduleDetail:
    """Render a schedule with its due times, newest first."""
    parts = {name: getattr(schedule, name) for name in Schedule.model_fields}
    return ScheduleDetail(**parts, slots=[slot_document(slot) for slot in slots])


def slot_document(slot: Slot) -> ScheduleSlot:
    """Render a due time."""
    return ScheduleSlot(
        at=slot.at,
        verdict=slot.verdict.value,
        late_s=slot.late_s,
        run_id=slot.run_id,
        reason=slot.reason,
        duration_s=slot.duration_s,
        too_fast=slot.too_fast,
    )
