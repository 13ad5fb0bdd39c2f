"""The jobs of a scheduler as schedules: what is due when, told whenever it changes."""

import re
from datetime import datetime
from typing import Any

from huoyan.client.execution import task_name
from huoyan.client.frameworks.apscheduler.expression import cron_expression
from huoyan.client.guard import guarded
from huoyan.client.reporter import Reporter
from huoyan.model.schedule import ScheduleKind

_MADE_UP = re.compile(r"[0-9a-f]{32}")
_SOON_S = 1.0
_MOST_JOBS = 1000


class Jobs:
    """What was told of the jobs of one scheduler."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._told: dict[str, dict[str, Any]] = {}
        self._names: dict[str, str] = {}

    def name(self, job_id: str) -> str | None:
        """Return what the schedule of a job is called, None when it has none."""
        return self._names.get(job_id)

    @guarded("apscheduler.tell")
    def tell(self, job: Any) -> None:
        """Report a job as it stands now."""
        self._tell(job, job.next_run_time)

    @guarded("apscheduler.submitted")
    def submitted(self, job: Any, due: list[datetime]) -> None:
        """Report when a job that is being submitted will be due again; the scheduler works it out in the same way."""
        trigger = job.trigger
        if job.id in self._names and not _shifts(trigger):
            self._tell(job, trigger.get_next_fire_time(due[-1], datetime.now(due[-1].tzinfo)), ran=due[-1])

    @guarded("apscheduler.told")
    def shifted(self, scheduler: Any, job_id: str, jobstore: str) -> None:
        """Report when a job whose times are random will be due again: only the scheduler knows."""
        known = self._told.get(job_id)
        if known is not None and known["shifts"]:
            job = scheduler.get_job(job_id, jobstore)
            if job is not None:
                self.tell(job)

    @guarded("apscheduler.gone")
    def gone(self, job_id: str) -> None:
        """Report that a job was taken out, or has been due for the last time."""
        told = self._told.pop(job_id, None)
        name = self._names.pop(job_id, None)
        if told is not None and name is not None:
            told.pop("shifts")
            self._reporter.schedule(name, **{**told, "enabled": False, "next_due_at": None})

    def all_gone(self) -> None:
        """Report that no job is kept any more: the scheduler stands still or was shut down."""
        for job_id in list(self._told):
            self.gone(job_id)

    def _tell(self, job: Any, next_run_time: datetime | None, ran: datetime | None = None) -> None:
        now = self._reporter.clock.now()
        next_due_at = None if next_run_time is None else next_run_time.timestamp()
        kind, expression = _meant(job.trigger)
        if job.id not in self._names:
            # What is to run at once, and once, is a task and no schedule.
            soon = next_due_at is not None and next_due_at - now < _SOON_S
            if (kind is ScheduleKind.DATE and soon) or len(self._names) >= _MOST_JOBS:
                return
            self._names[job.id] = self._new_name(job)
        ends_at = getattr(job.trigger, "end_date", None)
        fields: dict[str, Any] = {
            "name": str(job.name),
            "task": task_name(job.func),
            "kind": kind,
            "expression": expression,
            "timezone": str(getattr(job.trigger, "timezone", "") or ""),
            "next_due_at": next_due_at,
            "last_run_at": None if ran is None else ran.timestamp(),
            "grace_s": None if job.misfire_grace_time is None else float(job.misfire_grace_time),
            "ends_at": None if ends_at is None else ends_at.timestamp(),
            "enabled": next_due_at is not None,
        }
        self._told[job.id] = {**fields, "shifts": _shifts(job.trigger)}
        self._reporter.schedule(self._names[job.id], **fields)

    def _new_name(self, job: Any) -> str:
        """Return the id of a job, or its name where the id was made up and another one will be after a restart."""
        plain = str(job.name if _MADE_UP.fullmatch(str(job.id)) else job.id)[:250]
        taken = set(self._names.values())
        name, number = plain, 1
        while name in taken:
            number += 1
            name = f"{plain} #{number}"
        return name


def _meant(trigger: Any) -> tuple[ScheduleKind, str]:
    names = {kind.__name__ for kind in type(trigger).__mro__}
    if "IntervalTrigger" in names:
        # Times that are shifted at random cannot be worked out from the interval.
        return ScheduleKind.INTERVAL, str(trigger) if trigger.jitter else repr(float(trigger.interval_length))
    if "DateTrigger" in names:
        return ScheduleKind.DATE, trigger.run_date.isoformat()
    expression = None if _shifts(trigger) or "CronTrigger" not in names else cron_expression(trigger)
    return ScheduleKind.CRON, expression or str(trigger)


def _shifts(trigger: Any) -> bool:
    inner = getattr(trigger, "triggers", ())
    return bool(getattr(trigger, "jitter", None)) or any(_shifts(one) for one in inner)
