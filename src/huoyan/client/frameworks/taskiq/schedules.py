"""What a scheduler process keeps. Its loop asks of each schedule once a second whether it is due, and is listened to.

Cron schedules are asked once a minute, by pycron, in the zone or with the offset that they name (https://taskiq-python.github.io/guide/scheduling-tasks.html).
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache, wraps
from typing import Any
from zoneinfo import ZoneInfo

from huoyan.client.crontab import Crontab
from huoyan.client.guard import guard
from huoyan.client.reporter import Reporter
from huoyan.model.schedule import ScheduleKind

_MADE_UP = re.compile(r"[0-9a-f]{32}")
_LOOK_EVERY_S = 5.0
_MOST = 1000
_ASKED = "_is_schedule_ready_to_send"


class Schedules:
    """Reports the schedules that are sent through one broker.

    Args:
        broker: Its broker.
        reporter: Where to.
    """

    def __init__(self, broker: Any, reporter: Reporter) -> None:
        self._broker = broker
        self._reporter = reporter
        self._names: dict[str, str] = {}
        self._told: dict[str, dict[str, Any]] = {}
        self._looked_at = 0.0
        self._loop: Any = None
        self._put: Any = None
        self._original: Any = None

    def name(self, schedule_id: str) -> str:
        """Return what a schedule is called: by its task where its id was made up and will be another one next time."""
        return self._names.get(schedule_id, schedule_id)

    def start(self) -> None:
        """Listen to the loop of this process, where Taskiq has one."""
        from taskiq.cli.scheduler import run

        loop = getattr(run, "SchedulerLoop", None)
        if loop is None or self._loop is not None or not callable(getattr(loop, _ASKED, None)):
            return
        self._loop = loop
        original = getattr(loop, _ASKED)

        @wraps(original)
        def asked(of: Any, task: Any, now: datetime) -> Any:
            due = original(of, task, now)
            with guard("taskiq.schedule"):
                if self._loop is not None and of.scheduler.broker is self._broker:
                    self._answered(of, task, now, bool(due))
            return due

        self._put, self._original = asked, original
        setattr(loop, _ASKED, asked)

    def close(self) -> None:
        """Listen no longer; nobody keeps anything here any more."""
        if self._loop is None:
            return
        if getattr(self._loop, _ASKED) is self._put:
            setattr(self._loop, _ASKED, self._original)
        self._loop = None
        for name in list(self._told):
            self._gone(name)

    def _answered(self, loop: Any, task: Any, now: datetime, due: bool) -> None:
        known = self._names.get(task.schedule_id)
        if known is None:
            if (task.cron is None and task.interval is None) or len(self._names) >= _MOST:
                # What is to be sent once is a run with a time and no schedule.
                return
            self._names[task.schedule_id] = self._new_name(task)
        if due or known is None:
            self._tell(task, now, due)
        monotonic = self._reporter.clock.monotonic()
        if monotonic - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = monotonic
            there = {each.schedule_id for _, tasks in loop.scheduled_tasks for each in tasks}
            for schedule_id in [each for each in self._names if each not in there]:
                self._gone(self._names.pop(schedule_id))

    def _gone(self, name: str) -> None:
        told = self._told.pop(name, {})
        self._reporter.schedule(name, **{**told, "enabled": False, "next_due_at": None})

    def _tell(self, task: Any, now: datetime, due: bool) -> None:
        cron = task.cron is not None
        offset = task.cron_offset
        name = self._names[task.schedule_id]
        self._told[name] = {
            "name": name,
            "task": str(task.task_name),
            "kind": ScheduleKind.CRON if cron else ScheduleKind.INTERVAL,
            "expression": _shown(task.cron, offset) if cron else repr(_seconds(task.interval)),
            "timezone": offset if cron and isinstance(offset, str) else "UTC" if cron else "",
            "next_due_at": _next(task, now.timestamp(), due),
            "last_run_at": now.timestamp() if due else None,
        }
        self._reporter.schedule(name, **self._told[name])

    def _new_name(self, task: Any) -> str:
        plain = str(task.task_name if _MADE_UP.fullmatch(task.schedule_id) else task.schedule_id)[:250]
        taken = set(self._names.values())
        name, number = plain, 1
        while name in taken:
            number += 1
            name = f"{plain} #{number}"
        return name


def _next(task: Any, now: float, due: bool) -> float | None:
    if task.cron is None:
        return now + _seconds(task.interval) if due else now
    crontab = parsed(task.cron)
    offset = task.cron_offset
    zone = ZoneInfo(offset) if isinstance(offset, str) and offset else timezone(offset) if offset else UTC
    return None if crontab is None else crontab.next_after(now, zone)


def _seconds(interval: int | timedelta) -> float:
    return interval.total_seconds() if isinstance(interval, timedelta) else float(interval)


def _shown(cron: str, offset: Any) -> str:
    crontab = parsed(cron)
    expression = None if crontab is None else crontab.expression()
    # A fixed distance from UTC has no name that the server could compute with.
    return f"{cron} (offset {offset})" if isinstance(offset, timedelta) or expression is None else expression


@lru_cache(maxsize=1000)
def parsed(cron: str) -> Crontab | None:
    """Return a cron expression as pycron understands it, None for one that it does not.

    pycron has words for weekdays and counts steps in its own way, so it is asked about each value of each field.
    """
    import pycron  # type: ignore[import-untyped]

    fields = cron.split()
    if len(fields) != 5:
        return None
    minute, hour, day, month, weekday = fields
    # The first of June 2025 is a Sunday, and July has 31 days.
    start, july = datetime(2025, 6, 1), datetime(2025, 7, 1)  # noqa: DTZ001 - of a calendar and of no zone
    ask: Callable[[str, datetime], bool] = pycron.is_now
    try:
        return Crontab(
            frozenset(n for n in range(60) if ask(f"{minute} * * * *", start.replace(minute=n))),
            frozenset(n for n in range(24) if ask(f"* {hour} * * *", start.replace(hour=n))),
            frozenset(n for n in range(1, 32) if ask(f"* * {day} * *", july.replace(day=n))),
            frozenset(n for n in range(1, 13) if ask(f"* * * {month} *", start.replace(month=n))),
            frozenset(n for n in range(7) if ask(f"* * * * {weekday}", start.replace(day=1 + n))),
            either="*" not in day and "*" not in weekday,
        )
    except (ValueError, KeyError, ZeroDivisionError):
        return None
