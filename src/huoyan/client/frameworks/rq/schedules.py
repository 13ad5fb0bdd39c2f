"""What RQ's cron scheduler keeps: its jobs are schedules."""

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

from huoyan.client.frameworks.rq import jobs
from huoyan.client.frameworks.rq.watches import Watches
from huoyan.client.guard import guard
from huoyan.client.reporter import Reporter
from huoyan.model.schedule import ScheduleKind

enqueueing: ContextVar[str] = ContextVar("huoyan_rq_schedule", default="")
"""The cron job that is being enqueued."""


class Schedules:
    """Reports the cron jobs of the schedulers of this process."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self._told: WeakKeyDictionary[Any, dict[str, tuple[Reporter, dict[str, Any]]]] = WeakKeyDictionary()
        self._ids: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def enqueue(self, original: Callable[..., Any], cron_job: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `CronJob.enqueue`: what is enqueued in there was asked for by a schedule."""
        token = enqueueing.set(self._ids.get(cron_job) or _name(cron_job))
        try:
            return original(cron_job, *args, **kwargs)
        finally:
            enqueueing.reset(token)

    def enqueue_jobs(self, original: Callable[..., Any], scheduler: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `CronScheduler.enqueue_jobs`, what a scheduler does whenever it wakes up."""
        with guard("rq.cron.name"):
            self._identify(scheduler)
        done = original(scheduler, *args, **kwargs)
        with guard("rq.cron.tell"):
            self._tell(scheduler)
        return done

    def register_death(self, original: Callable[..., Any], scheduler: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `CronScheduler.register_death`: this scheduler keeps nothing any more."""
        with guard("rq.cron.death"):
            for name, (reporter, fields) in self._told.pop(scheduler, {}).items():
                reporter.schedule(name, **{**fields, "enabled": False, "next_due_at": None})
        return original(scheduler, *args, **kwargs)

    def _identify(self, scheduler: Any) -> None:
        """Tell jobs of one name apart by their order, as whoever reads Redis does."""
        taken: dict[str, int] = {}
        for job in scheduler.get_jobs():
            name = _name(job)
            taken[name] = taken.get(name, 0) + 1
            self._ids[job] = name if taken[name] == 1 else f"{name} #{taken[name]}"

    def _tell(self, scheduler: Any) -> None:
        told = self._told.setdefault(scheduler, {})
        for job in scheduler.get_jobs():
            reporter = self._reporter(scheduler, job)
            name = self._ids.get(job) or _name(job)
            fields = {
                "name": _name(job),
                "task": _task(job),
                "kind": ScheduleKind.CRON if job.cron else ScheduleKind.INTERVAL,
                "expression": _expression(job),
                "timezone": "UTC" if job.cron else "",
                "next_due_at": jobs.seconds(job.next_enqueue_time),
                "last_run_at": jobs.seconds(job.latest_enqueue_time),
            }
            if reporter is None or (name in told and told[name][1] == fields):
                continue
            told[name] = reporter, fields
            reporter.schedule(name, **fields)

    def _reporter(self, scheduler: Any, job: Any) -> Reporter | None:
        return self._watches.queue(str(job.queue_name), scheduler.connection)


def _expression(job: Any) -> str:
    """Return when a cron job is due. RQ's croniter has seconds last, where others have them first: shown in words."""
    if not job.cron:
        return str(job.interval)
    return f"{job.cron} (seconds last)" if len(str(job.cron).split()) == 6 else str(job.cron)


def _name(cron_job: Any) -> str:
    return str(getattr(cron_job, "name", "") or cron_job.func_name)


def _task(cron_job: Any) -> str:
    """Return the function as its jobs call it: RQ's cron knows a method of a class by its own name alone."""
    function = cron_job.func
    if inspect.isfunction(function) or inspect.isbuiltin(function):
        return f"{function.__module__}.{function.__qualname__}"
    return str(cron_job.func_name)
