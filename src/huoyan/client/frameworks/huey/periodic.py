"""Periodic tasks as schedules. A consumer looks once a minute, always at the same second, what the minute brings."""

from datetime import UTC
from typing import Any

from huoyan.client.crontab import Crontab, local_zone
from huoyan.client.guard import guarded
from huoyan.client.reporter import Reporter
from huoyan.model.schedule import ScheduleKind

_MOST = 1000
_EARLY_S = 1.0
"""How much earlier in its minute a consumer may look the next time, in seconds. What is told of a due time before that
time has come would put it off."""


class Periodic:
    """Reports the periodic tasks of one Huey instance, and knows which tasks are there because they were due."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._due: set[str] = set()

    def labels(self, task: Any) -> dict[str, str] | None:
        """Return what asked for a task."""
        if not hasattr(task, "validate_datetime"):
            return None
        if str(task.id) not in self._due:
            return {"trigger": "periodic"}
        self._due.discard(str(task.id))
        return {"trigger": "periodic", "schedule": task_name(task), "scheduler": self._reporter.worker}

    @guarded("huey.periodic")
    def looked(self, huey: Any, due: list[Any]) -> None:
        """Take what a consumer found due, and report when each periodic task is due next."""
        self._due = {str(task.id) for task in due}
        now = self._reporter.clock.now()
        zone = "UTC" if huey.utc else local_zone()
        ran = {task_name(task) for task in due}
        for task in huey._registry.periodic_tasks[:_MOST]:
            name = task_name(task)
            crontab = _crontab(task)
            minute = None if crontab is None else crontab.next_after(now, UTC if huey.utc else None)
            expression = None if crontab is None or not zone else crontab.expression()
            self._reporter.schedule(
                name,
                name=type(task).__name__,
                task=name,
                kind=ScheduleKind.CRON,
                expression=expression or _words(crontab),
                timezone=zone,
                next_due_at=None if minute is None else minute + max(0.0, now % 60 - _EARLY_S),
                last_run_at=now if name in ran else None,
            )


def task_name(task: Any) -> str:
    """Return the name of a task: Huey makes a class of each function, in the function's module."""
    return f"{type(task).__module__}.{type(task).__name__}"


def _crontab(task: Any) -> Crontab | None:
    """Return the crontab behind a periodic task, None when it decides by a function of its own.

    Huey keeps the fields in the closure of the function that `crontab` returns, as months, days, weekdays, hours and
    minutes, and a day has to meet all of them.
    """
    fields = _enclosed(_enclosed(type(task).validate_datetime, "validate_datetime"), "cron_settings")
    if not isinstance(fields, list) or len(fields) != 5:
        return None
    months, days, weekdays, hours, minutes = map(frozenset, fields)
    return Crontab(minutes, hours, days, months, frozenset(day % 7 for day in weekdays))


def _enclosed(function: Any, name: str) -> Any:
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = getattr(function, "__closure__", None) or ()
    cell = dict(zip(names, cells, strict=False)).get(name)
    return None if cell is None else cell.cell_contents


def _words(crontab: Crontab | None) -> str:
    if crontab is None:
        return "decided by a function"
    names = ("minutes", "hours", "days", "months", "weekdays")
    return " ".join(f"{name}={','.join(map(str, sorted(getattr(crontab, name))))}" for name in names)
