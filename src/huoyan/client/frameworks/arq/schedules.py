"""Cron jobs as schedules: every worker keeps all of them, and which of the workers enqueues one is chance."""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

from huoyan.client.crontab import expression_field
from huoyan.client.frameworks.arq.watches import Watches
from huoyan.client.guard import guard
from huoyan.client.reporter import Reporter
from huoyan.model.schedule import ScheduleKind

_WEEKDAYS = ("mon", "tues", "wed", "thurs", "fri", "sat", "sun")
"""As `arq.cron` spells them."""
_FIELDS = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 31),
    ("month", 1, 12),
    ("weekday", 0, 6),
)

enqueueing: ContextVar[Reporter | None] = ContextVar("huoyan_arq_cron", default=None)
"""Set while a worker enqueues what is due: where that worker is reported."""


class Schedules:
    """Reports the cron jobs of the workers of this process."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self._told: WeakKeyDictionary[Any, dict[str, dict[str, Any]]] = WeakKeyDictionary()

    async def run_cron(self, original: Callable[..., Any], worker: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Worker.run_cron`, which enqueues what is due within a second and works out when it is due again."""
        reporter = None
        with guard("arq.run_cron"):
            known = self._watches.worker(worker)
            reporter = known.reporter if known is not None else None
        if reporter is None:
            return await original(worker, *args, **kwargs)
        token = enqueueing.set(reporter)
        try:
            done = await original(worker, *args, **kwargs)
        finally:
            enqueueing.reset(token)
        with guard("arq.cron"):
            self._tell(worker, reporter)
        return done

    async def close(self, original: Callable[..., Any], worker: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Worker.close`: this worker keeps nothing any more."""
        with guard("arq.close"):
            known = self._watches.worker(worker)
            for name, fields in self._told.pop(worker, {}).items():
                if known is not None:
                    known.reporter.schedule(name, **{**fields, "enabled": False, "next_due_at": None})
        return await original(worker, *args, **kwargs)

    def _tell(self, worker: Any, reporter: Reporter) -> None:
        told = self._told.setdefault(worker, {})
        for job in worker.cron_jobs:
            name = str(job.name)
            before = told.get(name, {}).get("next_due_at")
            if job.next_run is None or before == job.next_run.timestamp():
                continue
            # arq enqueues up to a second ahead: what is told before its time would look put off.
            if before is not None and reporter.clock.now() < before:
                continue
            told[name] = {
                "name": name,
                "task": name,
                "kind": ScheduleKind.CRON,
                "expression": expression(job),
                "timezone": _zone(job.next_run.tzinfo),
                "next_due_at": job.next_run.timestamp(),
                "last_run_at": before,
            }
            reporter.schedule(name, **told[name])


def expression(job: Any) -> str:
    """Return the cron expression of a cron job, of 6 fields with seconds first unless they are 0.

    arq counts weekdays from Monday. A day has to meet `day` and `weekday`, where cron is content with one of them: with
    both, arq's own words are returned, which nothing is computed with.
    """
    given = {name: _values(getattr(job, name)) for name, *_ in _FIELDS}
    if given["day"] is not None and given["weekday"] is not None:
        return " ".join(f"{name}={getattr(job, name)}" for name, *_ in _FIELDS if given[name] is not None)
    if given["weekday"] is not None:
        given["weekday"] = {(value + 1) % 7 for value in given["weekday"]}
    parts = [
        "*" if values is None else expression_field(values, low, high)
        for values, low, high in ((given[name], low, high) for name, low, high in _FIELDS)
    ]
    return " ".join(parts[1:] if parts[0] == "0" else parts)


def _values(option: int | str | Iterable[int] | None) -> set[int] | None:
    if option is None:
        return None
    if isinstance(option, str):
        return {_WEEKDAYS.index(option.lower())}
    return {option} if isinstance(option, int) else set(option)


def _zone(zone: Any) -> str:
    return str(getattr(zone, "key", None) or getattr(zone, "zone", None) or "UTC")
