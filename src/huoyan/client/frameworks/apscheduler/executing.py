"""Executions: each is a run, due at its scheduled time.

Executors are asked to run a stand-in of the job whose function reports when it really starts and ends, in the thread or
coroutine where that happens. What no function sees comes from the scheduler's events: run times that were missed, and
the outcome of jobs in a process pool, where the stand-in arrives as the plain job.
"""

import functools
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from inspect import iscoroutinefunction
from typing import Any

from huoyan.client.attributes import bare_name
from huoyan.client.capture import MAX_MESSAGE_CHARS, type_name
from huoyan.client.execution import Execution, task_name
from huoyan.client.frameworks.apscheduler.jobs import Jobs
from huoyan.client.guard import guard, guarded
from huoyan.client.reporter import Reporter
from huoyan.model.event import EventKind

_NAMESPACE = uuid.UUID("6c8f6f0e-9f0b-4b39-9a06-6c1f4a2d7d31")
_HOOK = "huoyan_hook"
_MAX_OPEN = 100_000
_RUNNING = 1
"""`apscheduler.schedulers.base.STATE_RUNNING`."""
_HEARD = (
    "EXECUTOR_ADDED",
    "JOB_EXECUTED",
    "JOB_ERROR",
    "JOB_MISSED",
    "JOB_ADDED",
    "JOB_MODIFIED",
    "JOB_REMOVED",
    "ALL_JOBS_REMOVED",
    "JOB_SUBMITTED",
    "JOB_MAX_INSTANCES",
    "SCHEDULER_STARTED",
    "SCHEDULER_PAUSED",
    "SCHEDULER_RESUMED",
    "SCHEDULER_SHUTDOWN",
)
_Key = tuple[str, datetime]


class _Schedule:
    """What is known of one watched scheduler: its open executions, and the hooks in it."""

    def __init__(self, scheduler: Any, reporter: Reporter) -> None:
        self.scheduler = weakref.ref(scheduler)
        self.reporter = reporter
        self.open: dict[_Key, Execution] = {}
        self.hooked: list[Any] = []
        self.jobs = Jobs(reporter)

    def hook(self, executor: Any) -> None:
        """Stand between the scheduler and one executor."""
        if _HOOK in vars(executor):
            return
        submit, fail = executor.submit_job, executor._run_job_error

        def submit_job(job: Any, run_times: list[datetime]) -> None:
            due = list(run_times)
            self.jobs.submitted(job, due)
            stand_in, tracked = self._prepare(executor, job, due) or (job, run_times)
            try:
                submit(stand_in, tracked)
            except BaseException as error:
                self._refused(job, due, error)
                raise

        def run_job_error(job_id: str, exc: BaseException, traceback: Any = None) -> None:
            self._broken(job_id, exc)
            fail(job_id, exc, traceback)

        executor.submit_job = submit_job
        executor._run_job_error = run_job_error
        setattr(executor, _HOOK, self)
        self.hooked.append(executor)

    def unhook(self) -> None:
        """Take the hooks out of every executor."""
        for executor in self.hooked:
            for name in ("submit_job", "_run_job_error", _HOOK):
                vars(executor).pop(name, None)
        self.hooked = []

    @guarded("apscheduler.submit")
    def _prepare(self, executor: Any, job: Any, due: list[datetime]) -> "tuple[Any, list[datetime]] | None":
        """Report what waits, and return the job and the run times that the executor gets instead."""
        args, kwargs = self.reporter.call(job.func, job.args, job.kwargs)
        labels = {"job": str(job.id), "trigger": self.reporter.said(job.trigger)}
        schedule = self.jobs.name(job.id)
        if schedule is not None:
            labels["schedule"] = schedule
        name = task_name(job.func)
        for run_time in due:
            run_id = self._run_id(job, run_time)
            eta = run_time.timestamp()
            execution = Execution(
                self.reporter, run_id, name, root_id=run_id, args=args, kwargs=kwargs, labels=labels, eta=eta
            )
            execution.queue_up(here=True)
            if len(self.open) < _MAX_OPEN:
                self.open[job.id, run_time] = execution
        if _in_other_processes(executor):
            # Its start cannot be seen from here; a free process takes it at once.
            for run_time in due[:1]:
                self.open[job.id, run_time].start(here=False)
        tracked = _RunTimes(due)
        return _StandIn(job, self._watched(job, tracked)), tracked

    def _run_id(self, job: Any, run_time: datetime) -> str:
        """Tell executions apart, also those of two processes that run the same schedule."""
        parts = (self.reporter.worker, str(id(self.scheduler)), str(job.id), run_time.isoformat())
        return str(uuid.uuid5(_NAMESPACE, "\n".join(parts)))

    def _watched(self, job: Any, tracked: "_RunTimes") -> Callable[..., Any]:
        function = job.func

        def begin() -> Execution | None:
            with guard("apscheduler.start"):
                execution = self.open.get((job.id, tracked.current)) if tracked.current is not None else None
                if execution is not None:
                    execution.start()
                    execution.enter()
                return execution
            return None

        def finish(execution: Execution, result: Any) -> None:
            with guard("apscheduler.finish"):
                execution.succeed(self.reporter.value(result))

        if _is_coroutine_function(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                execution = begin()
                try:
                    result = await function(*args, **kwargs)
                except BaseException as error:
                    if execution is not None:
                        execution.fail(error)
                    raise
                finally:
                    if execution is not None:
                        execution.leave()
                if execution is not None:
                    finish(execution, result)
                return result

            return call_async

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            execution = begin()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                if execution is not None:
                    execution.fail(error)
                raise
            finally:
                if execution is not None:
                    execution.leave()
            if execution is not None:
                finish(execution, result)
            return result

        return call

    @guarded("apscheduler.refused")
    def _refused(self, job: Any, due: Iterable[datetime], error: BaseException) -> None:
        for run_time in due:
            execution = self.open.pop((job.id, run_time), None)
            if execution is None:
                continue
            if bare_name(type(error)) == "MaxInstancesReachedError":
                reason = f"skipped: {job.max_instances} of it ran already, which is its max_instances"
                execution.end(EventKind.REJECTED, reason=reason)
            else:
                reason = f"could not be submitted: {bare_name(type(error))}: {self.reporter.said(error)}"
                execution.end(EventKind.DEAD, reason=reason)

    @guarded("apscheduler.broken")
    def _broken(self, job_id: str, error: BaseException) -> None:
        """Report what happened to executions whose executor failed or was shut down; the scheduler has no event for
        it."""
        for key in [key for key in list(self.open) if key[0] == job_id]:
            execution = self.open.get(key)
            if execution is None:
                continue
            if isinstance(error, BrokenProcessPool):
                execution.end(EventKind.LOST, reason="its process in the pool ended")
            elif bare_name(type(error)) != "CancelledError":
                execution.fail(error)
            elif not execution.started:
                execution.end(EventKind.REVOKED, reason="the scheduler was shut down before it could start")
            else:
                # A thread cannot be cancelled: what it really comes to is reported by the function itself.
                continue
            self.open.pop(key, None)

    @guarded("apscheduler.listener")
    def heard(self, event: Any) -> None:
        """Take an event of the scheduler."""
        from apscheduler import events

        if event.code == events.EVENT_EXECUTOR_ADDED:
            scheduler = self.scheduler()
            if scheduler is not None:
                self.hook(scheduler._executors[event.alias])
            return
        if event.code not in (events.EVENT_JOB_EXECUTED, events.EVENT_JOB_ERROR, events.EVENT_JOB_MISSED):
            self._jobs_changed(event, events)
            return
        execution = self.open.pop((event.job_id, event.scheduled_run_time), None)
        if execution is None or execution.ended:
            return
        if event.code == events.EVENT_JOB_MISSED:
            late_s = self.reporter.clock.now() - event.scheduled_run_time.timestamp()
            execution.end(EventKind.DEAD, reason=f"missed by {late_s:.1f} s, more than its misfire_grace_time allows")
            return
        execution.start_unless_started()
        if event.code == events.EVENT_JOB_EXECUTED:
            execution.succeed(self.reporter.value(event.retval))
        else:
            last = f"{type_name(type(event.exception))}: {self.reporter.said(event.exception, MAX_MESSAGE_CHARS)}"
            text = f"Traceback (most recent call last):\n{event.traceback or ''}{last}\n"
            execution.end(EventKind.FAILED, exception=self.reporter.exception(event.exception, text))

    def _jobs_changed(self, event: Any, events: Any) -> None:
        scheduler = self.scheduler()
        if scheduler is None:
            return
        if event.code in (events.EVENT_SCHEDULER_STARTED, events.EVENT_SCHEDULER_RESUMED):
            self.tell_all()
        elif event.code in (
            events.EVENT_SCHEDULER_PAUSED,
            events.EVENT_SCHEDULER_SHUTDOWN,
            events.EVENT_ALL_JOBS_REMOVED,
        ):
            self.jobs.all_gone()
        elif event.code == events.EVENT_JOB_REMOVED:
            self.jobs.gone(event.job_id)
        elif event.code in (events.EVENT_JOB_SUBMITTED, events.EVENT_JOB_MAX_INSTANCES):
            self.jobs.shifted(scheduler, event.job_id, event.jobstore)
        elif scheduler.running:
            job = scheduler.get_job(event.job_id, event.jobstore)
            if job is not None:
                self.jobs.tell(job)

    @guarded("apscheduler.jobs")
    def tell_all(self) -> None:
        """Report every job of a scheduler that is at work; one that is not has none that are due."""
        scheduler = self.scheduler()
        if scheduler is not None and scheduler.state == _RUNNING:
            for job in scheduler.get_jobs():
                self.jobs.tell(job)


class _RunTimes(list[datetime]):
    """The run times of one submission, which knows the one that is executed now. Other processes get a plain list."""

    current: datetime | None = None

    def __iter__(self) -> Iterator[datetime]:
        for run_time in super().__iter__():
            self.current = run_time
            yield run_time

    def __reduce__(self) -> Any:
        return list, (list(super().__iter__()),)


class _StandIn:
    """A job with another function. Other processes get the job itself."""

    def __init__(self, job: Any, func: Callable[..., Any]) -> None:
        self._job = job
        self.func = func

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job, name)

    def __str__(self) -> str:
        return str(self._job)

    def __repr__(self) -> str:
        return repr(self._job)

    def __reduce__(self) -> Any:
        return _itself, (self._job,)


def _itself(job: Any) -> Any:
    return job


def _is_coroutine_function(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return iscoroutinefunction(function)


def _in_other_processes(executor: Any) -> bool:
    return any(kind.__name__ == "ProcessPoolExecutor" for kind in type(executor).__mro__)


class ApschedulerIntegration:
    """Schedulers of APScheduler 3, of every kind."""

    framework = "apscheduler"
    options: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._schedules: weakref.WeakKeyDictionary[Any, _Schedule] = weakref.WeakKeyDictionary()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Hook into the executors there are, and into those that will be added."""
        from apscheduler import events

        schedule = _Schedule(thing, reporter)
        mask = 0
        for name in _HEARD:
            mask |= getattr(events, f"EVENT_{name}")
        thing.add_listener(schedule.heard, mask)
        self._schedules[thing] = schedule
        for executor in list(thing._executors.values()):
            schedule.hook(executor)
        schedule.tell_all()

    def unwatch(self, thing: Any) -> None:
        """Take listener and hooks out again."""
        schedule = self._schedules.pop(thing, None)
        if schedule is not None:
            thing.remove_listener(schedule.heard)
            schedule.unhook()
            schedule.jobs.all_gone()


integration = ApschedulerIntegration()
