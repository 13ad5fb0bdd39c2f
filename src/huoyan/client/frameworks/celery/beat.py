"""Celery beat: its entries are schedules, what it sends is known to come from them.

Beat tells nothing by signals but its start, so its scheduler's `tick` and `apply_async` are run through here; both are
what every scheduler class has, also those that keep their entries in a database
(https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html#using-custom-scheduler-classes).
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from huoyan.client.frameworks.celery.applications import Applications, seconds
from huoyan.client.guard import guard, guarded
from huoyan.client.relay import RelayedReporter
from huoyan.model.schedule import ScheduleKind

_PLAIN = re.compile(r"\*(/[1-9]\d*)?|\d+(,\d+)*")
_EVERY_S = 1.0
_MOST = 1000

_sending: ContextVar[tuple[str, str]] = ContextVar("huoyan_celery_beat", default=("", ""))
"""The entry that is being sent, and the process that sends it."""


def labels() -> dict[str, str] | None:
    """Return the labels of a run that is being sent here: the entry of beat's schedule that sends it."""
    name, scheduler = _sending.get()
    return {"trigger": "beat", "schedule": name, "scheduler": scheduler} if name else None


class Beat:
    """Reports the entries of schedulers that run in this process."""

    def __init__(self, applications: Applications) -> None:
        self._applications = applications

    @guarded("celery.beat_init")
    def init(self, sender: Any = None, **_: Any) -> None:
        """Begin to report what a beat service keeps."""
        reporter = self._applications.reporter(sender.app)
        if reporter is not None and "huoyan_entries" not in vars(sender.scheduler):
            _follow(sender.scheduler, Entries(reporter))


class Entries:
    """What was told of the entries of one scheduler."""

    def __init__(self, reporter: RelayedReporter) -> None:
        self._reporter = reporter
        self._told: dict[str, tuple[Any, ...]] = {}
        self._fields: dict[str, dict[str, Any]] = {}
        self._looked_at = 0.0

    @property
    def source(self) -> str:
        """The process that keeps them."""
        return self._reporter.worker

    def look(self, scheduler: Any, *, now: bool = False) -> None:
        """Tell what is new: at once after something was sent, otherwise at most once a second."""
        clock = self._reporter.clock
        if not now and clock.monotonic() - self._looked_at < _EVERY_S:
            return
        self._looked_at = clock.monotonic()
        entries: Mapping[str, Any] = scheduler.schedule
        there = dict(list(entries.items())[:_MOST])
        for name, entry in there.items():
            state = (entry.last_run_at, entry.task, repr(entry.schedule))
            if self._told.get(name) != state:
                self._told[name] = state
                self._tell(str(name), entry)
        for name in [name for name in self._told if name not in there]:
            del self._told[name]
            fields = self._fields.pop(str(name), {})
            self._reporter.schedule(str(name), **{**fields, "enabled": False, "next_due_at": None})

    def _tell(self, name: str, entry: Any) -> None:
        now = self._reporter.clock.now()
        is_due, next_s = entry.is_due()
        kind, expression = meant(entry.schedule)
        self._fields[name] = {
            "name": name,
            "task": str(entry.task),
            "kind": kind,
            "expression": expression,
            "timezone": _zone(entry.schedule) if kind is ScheduleKind.CRON else "",
            "next_due_at": now if is_due else now + float(next_s),
            "last_run_at": seconds(entry.last_run_at) if entry.total_run_count else None,
        }
        self._reporter.schedule(name, **self._fields[name])


def _follow(scheduler: Any, entries: Entries) -> None:
    apply_async, tick = scheduler.apply_async, scheduler.tick
    sent = False

    def watched_apply(entry: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal sent
        sent = True
        token = _sending.set((str(getattr(entry, "name", "")), entries.source))
        try:
            return apply_async(entry, *args, **kwargs)
        finally:
            _sending.reset(token)

    def watched_tick(*args: Any, **kwargs: Any) -> Any:
        nonlocal sent
        sent = False
        interval = tick(*args, **kwargs)
        with guard("celery.beat.tick"):
            entries.look(scheduler, now=sent)
        return interval

    scheduler.huoyan_entries = entries
    scheduler.apply_async, scheduler.tick = watched_apply, watched_tick


def meant(schedule: Any) -> tuple[ScheduleKind, str]:
    """Return how a schedule of Celery says when it is due, and its expression.

    In a crontab of Celery a day has to meet `day_of_month` and `day_of_week`; in cron one of both is enough where both
    are restricted. Such a crontab is shown in Celery's words and not computed with: what beat says of its next time
    counts.
    """
    run_every = getattr(schedule, "run_every", None)
    names = {kind.__name__ for kind in type(schedule).__mro__}
    if "crontab" in names:
        fields = [
            _field(schedule, "minute", 0, 59),
            _field(schedule, "hour", 0, 23),
            _field(schedule, "day_of_month", 1, 31),
            _field(schedule, "month_of_year", 1, 12),
            _field(schedule, "day_of_week", 0, 6),
        ]
        both = fields[2] != "*" and fields[4] != "*"
        return ScheduleKind.CRON, str(schedule) if both else " ".join(fields)
    if run_every is not None and "schedule" in names:
        # Relative ones are rounded to the resolution of the interval: only beat knows to what.
        length_s = run_every.total_seconds()
        return ScheduleKind.INTERVAL, str(run_every) if getattr(schedule, "relative", False) else repr(length_s)
    return ScheduleKind.CRON, str(schedule)


def _field(schedule: Any, name: str, low: int, high: int) -> str:
    given = getattr(schedule, f"_orig_{name}", None)
    if isinstance(given, str) and _PLAIN.fullmatch(given):
        return given
    values = sorted(getattr(schedule, name))
    return "*" if values == list(range(low, high + 1)) else ",".join(map(str, values))


def _zone(schedule: Any) -> str:
    zone = getattr(schedule, "tz", None)
    # zoneinfo says `key`, pytz `zone`; what has neither is an offset or UTC.
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if name:
        return str(name)
    offset = datetime.now(UTC).astimezone(zone).utcoffset() if zone is not None else None
    return "UTC" if not offset else str(zone)
