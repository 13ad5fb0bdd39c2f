"""What a scheduler is to run when, as the process that keeps it says.

A schedule is known by service, framework and id. Its due times are called slots.
"""

from dataclasses import dataclass
from enum import StrEnum


class ScheduleKind(StrEnum):
    """How a schedule says when it is due."""

    CRON = "cron"
    """At the times that a cron expression names."""
    INTERVAL = "interval"
    """Again and again after the same number of seconds."""
    DATE = "date"
    """Once."""


@dataclass(slots=True)
class Schedule:
    """A schedule as it stands.

    Args:
        id: Its name within service and framework, the same in every process that keeps it and after a restart. Runs
            carry it in the label `schedule`.
        task: What it runs.
        kind: How it says when it is due.
        expression: For `cron` an expression of 5 fields, or of 6 with seconds first; for `interval` the seconds as a
            number. Anything else is shown and not computed with: then only the due times that are reported count.
        timezone: IANA name in which a cron expression is meant; empty: UTC.
        next_due_at: When it is due next by the clock of its process, seconds since 1970 UTC; None: it is not.
        last_run_at: When it ran last as far as its process knows, seconds since 1970 UTC.
        grace_s: How late it may start before its scheduler gives up on it, in seconds; None: any time.
        ends_at: It is never due after this time, seconds since 1970 UTC.
        source: The process that keeps it, named as its events name it in `worker`.
        enabled: False when it is paused or was taken out.
    """

    id: str
    name: str = ""
    service: str = ""
    framework: str = ""
    task: str = ""
    kind: ScheduleKind = ScheduleKind.CRON
    expression: str = ""
    timezone: str = ""
    next_due_at: float | None = None
    last_run_at: float | None = None
    grace_s: float | None = None
    ends_at: float | None = None
    source: str = ""
    enabled: bool = True

    @property
    def label(self) -> str:
        """How metrics and signals name it: `service/id`."""
        return f"{self.service or self.framework}/{self.id}"


class SlotVerdict(StrEnum):
    """What became of a slot."""

    OK = "ok"
    LATE = "late"
    MISSED = "missed"
    """Nothing started within the grace."""
    OVERLAPPING = "overlapping"
    """An earlier run still went on: this one was skipped, or began beside it."""
    DOUBLED = "doubled"
    """Several processes started it."""
    REPEATED = "repeated"
    """Its scheduler started it more often than it was due."""
    UNKNOWN = "unknown"
    """Nothing was heard, and nothing could be heard then."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A due time and what became of it.

    Args:
        at: When it was due, seconds since 1970 UTC, by the clock of the process that keeps the schedule.
        verdict: What became of it.
        late_s: How late it started, in seconds; None when nothing did.
        run_id: The run that stands for it; empty when there is none.
        run_state: The state of that run.
        reason: Why, in one sentence, unless all is well.
        duration_s: How long that run took, in seconds; None until it has succeeded.
        too_fast: Whether that is suspiciously short for this schedule.
    """

    at: float
    verdict: SlotVerdict
    late_s: float | None = None
    run_id: str = ""
    run_state: str = ""
    reason: str = ""
    duration_s: float | None = None
    too_fast: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """A run of a schedule: `at` is the due time it names, or else when it was enqueued; `fired_at` when it was enqueued
    or started; `worker` is the process whose scheduler asked for it. Times are seconds since 1970 UTC."""

    at: float
    fired_at: float
    run_id: str
    worker: str = ""
    state: str = ""
    reason: str = ""
    started_at: float | None = None
    finished_at: float | None = None


@dataclass(slots=True)
class ScheduleReport(Schedule):
    """What a process says of one schedule. `at` is when this was so, by its clock, seconds since 1970 UTC."""

    at: float = 0.0
