"""The producer's side, which workers are as well: jobs wait, are put off, cancelled, deleted."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from huoyan.client import context
from huoyan.client.frameworks.rq import jobs, schedules
from huoyan.client.frameworks.rq.jobs import Lineage
from huoyan.client.frameworks.rq.watches import Watches
from huoyan.client.guard import guard
from huoyan.client.reporter import Reporter
from huoyan.model.event import EventKind

repeating: ContextVar[bool] = ContextVar("huoyan_rq_repeating", default=False)
"""A job has succeeded here and RQ settles it: if it enqueues the same job again, that is a repetition and no retry."""

_UNFINISHED = frozenset({"created", "queued", "scheduled", "deferred"})


class Enqueueing:
    """Reports what becomes of jobs that nobody executes yet."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self._lineage = Lineage()

    def enqueue(self, original: Callable[..., Any], queue: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Queue._enqueue_job`, through which everything goes that is put into a queue."""
        done = original(queue, job, *args, **kwargs)
        with guard("rq.enqueue"):
            reporter = self._watches.queue(str(queue.name), queue.connection)
            if reporter is not None:
                at = jobs.seconds(job.enqueued_at)
                expires = at + job.ttl if at is not None and job.ttl else None
                self._waits(EventKind.QUEUED, reporter, job, str(queue.name), at=at, expires=expires)
        return done

    def schedule(
        self, original: Callable[..., Any], queue: Any, job: Any, datetime: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Run `Queue.schedule_job`: the job is due later, for the first time or again."""
        done = original(queue, job, datetime, *args, **kwargs)
        with guard("rq.schedule"):
            reporter = self._watches.queue(str(queue.name), queue.connection)
            due = jobs.seconds(datetime)
            if reporter is not None:
                # RQ keeps whole seconds.
                eta = None if due is None else float(int(due))
                self._waits(EventKind.SCHEDULED, reporter, job, str(queue.name), eta=eta)
        return done

    def register_dependency(self, original: Callable[..., Any], job: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Job.register_dependency`: the job waits for others, and is enqueued when those are done."""
        done = original(job, *args, **kwargs)
        with guard("rq.defer"):
            reporter = self._watches.queue(str(job.origin), job.connection)
            if reporter is not None:
                self._waits(EventKind.PROGRESS, reporter, job, str(job.origin))
        return done

    def fetch_dependencies(self, original: Callable[..., Any], job: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Job.fetch_dependencies`, and learn which runs they are."""
        found = original(job, *args, **kwargs)
        with guard("rq.dependencies"):
            for each in found:
                self._lineage.know(each)
        return found

    def cancel(self, original: Callable[..., Any], job: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Job.cancel`. A job that is being executed goes on, and its own end will be told."""
        done = original(job, *args, **kwargs)
        with guard("rq.cancel"):
            self._revoked(job, "cancelled")
        return done

    def delete(self, original: Callable[..., Any], job: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Job.delete`, which finds out in what state the job was."""
        done = original(job, *args, **kwargs)
        with guard("rq.delete"):
            if str(getattr(job.get_status(refresh=False), "value", "")) in _UNFINISHED:
                self._revoked(job, "deleted before it ran")
        return done

    def dependency(self, job: Any) -> str | None:
        """Return the run that a job waited for."""
        return self._lineage.dependency(job)

    def _waits(self, kind: EventKind, reporter: Reporter, job: Any, queue: str, **fields: Any) -> None:
        run = jobs.run_id(job)
        again = job.started_at is not None and not repeating.get()
        if again:
            # Put off for a retry or enqueued for it: the run was enqueued when its first try was.
            reporter.emit(kind, run, task=jobs.task_name(job), queue=queue, attempt=2, **fields)
            return
        self._lineage.know(job)
        parent_id, root_id = context.lineage()
        dependency = self._lineage.dependency(job)
        if dependency is not None:
            parent_id, root_id = dependency, root_id or self._lineage.root(dependency)
        if root_id is not None:
            self._lineage.started_by(run, root_id)
        args, kwargs = jobs.call(job, reporter)
        schedule = schedules.enqueueing.get()
        reporter.emit(
            kind,
            run,
            task=jobs.task_name(job),
            queue=queue,
            args=args,
            kwargs=kwargs,
            parent_id=parent_id,
            root_id=root_id,
            group_id=getattr(job, "group_id", None),
            depends_on=self._lineage.dependencies(job) or None,
            labels={"trigger": "cron", "schedule": schedule, "scheduler": reporter.worker} if schedule else None,
            **fields,
        )

    def _revoked(self, job: Any, reason: str) -> None:
        reporter = self._watches.queue(str(job.origin), job.connection)
        if reporter is not None:
            reporter.emit(
                EventKind.REVOKED,
                jobs.run_id(job),
                task=jobs.task_name(job),
                queue=str(job.origin),
                reason=reason,
            )
