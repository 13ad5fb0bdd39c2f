"""The producer's side: a pool takes a job."""

import datetime
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from huoyan.client import context
from huoyan.client.frameworks.arq import schedules
from huoyan.client.frameworks.arq.attempts import shown_call
from huoyan.client.frameworks.arq.watches import Watches
from huoyan.client.guard import guard
from huoyan.client.reporter import Reporter
from huoyan.model.event import EventKind
from huoyan.model.job_identity import run_id_of

_OWN_OPTIONS = ("_job_id", "_queue_name", "_defer_until", "_defer_by", "_expires", "_job_try")


@dataclass(slots=True)
class _Call:
    """A call of `enqueue_job` under way; arq says in between what it writes."""

    made_at_ms: int | None = None


_calling: ContextVar[_Call | None] = ContextVar("huoyan_arq_enqueueing", default=None)


class Enqueueing:
    """Reports what pools enqueue."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches

    async def enqueue_job(
        self, original: Callable[..., Any], pool: Any, function: str, *args: Any, **kwargs: Any
    ) -> Any:
        """Run `ArqRedis.enqueue_job`."""
        reporter = None
        with guard("arq.enqueue"):
            reporter = self._watches.pool(pool)
        if reporter is None:
            return await original(pool, function, *args, **kwargs)
        at = reporter.clock.now()
        made = _Call()
        token = _calling.set(made)
        try:
            job = await original(pool, function, *args, **kwargs)
        finally:
            _calling.reset(token)
        with guard("arq.enqueued"):
            # None: there is a job of that id already.
            if job is not None:
                self._enqueued(reporter, pool, str(job.job_id), made.made_at_ms, at, function, args, kwargs)
        return job

    def serialize_job(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `serialize_job`, where arq says when the job was enqueued, as the worker will read it."""
        with guard("arq.serialize"):
            made = _calling.get()
            if made is not None:
                made_at_ms = kwargs.get("enqueue_time_ms", args[4] if len(args) > 4 else None)
                made.made_at_ms = int(made_at_ms) if made_at_ms is not None else None
        return original(*args, **kwargs)

    def _enqueued(
        self,
        reporter: Reporter,
        pool: Any,
        job_id: str,
        made_at_ms: int | None,
        at: float,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        options = {option: kwargs.get(option) for option in _OWN_OPTIONS}
        rest = {key: value for key, value in kwargs.items() if key not in _OWN_OPTIONS}
        eta = _eta(options, at)
        expires_s = _seconds(options["_expires"])
        function = self._watches.function(name)
        shown_args, shown_kwargs = shown_call(reporter, getattr(function, "coroutine", function), args, rest)
        parent_id, root_id = context.lineage()
        reporter.emit(
            EventKind.QUEUED if eta is None else EventKind.SCHEDULED,
            run_id_of(job_id, made_at_ms),
            at=at,
            task=str(name),
            queue=str(options["_queue_name"] or getattr(pool, "default_queue_name", "")),
            attempt=options["_job_try"],
            args=shown_args,
            kwargs=shown_kwargs,
            eta=eta,
            expires=at + expires_s if expires_s else None,
            parent_id=parent_id,
            root_id=root_id,
            labels=_labels(function, str(name)),
        )


def _labels(function: Any, name: str) -> dict[str, str] | None:
    """Return what asked for a job: a schedule, when a worker enqueues it because it is due."""
    keeper = schedules.enqueueing.get()
    if keeper is not None:
        return {"trigger": "cron", "schedule": name, "scheduler": keeper.worker}
    return {"trigger": "cron"} if hasattr(function, "next_run") else None


def _eta(options: Mapping[str, Any], at: float) -> float | None:
    until, by_s = options["_defer_until"], _seconds(options["_defer_by"])
    if isinstance(until, datetime.datetime):
        return until.timestamp()
    return at + by_s if by_s else None


def _seconds(duration: Any) -> float | None:
    if isinstance(duration, datetime.timedelta):
        return duration.total_seconds()
    return float(duration) if isinstance(duration, int | float) else None
