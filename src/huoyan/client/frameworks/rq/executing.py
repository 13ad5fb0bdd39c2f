"""The worker's side: jobs are executed, in the work horse that a worker forks for each or in the worker itself."""

import os
import signal
import sys
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from huoyan.client.capture import MAX_MESSAGE_CHARS
from huoyan.client.consumption import Tenancy, of_child
from huoyan.client.execution import Execution
from huoyan.client.frameworks.rq import jobs
from huoyan.client.frameworks.rq.enqueueing import Enqueueing, repeating
from huoyan.client.frameworks.rq.watches import Watches, reporting
from huoyan.client.guard import guard
from huoyan.client.relay import RelayedReporter
from huoyan.model.event import EventKind, Evidence, ExceptionInfo, TaskEvent
from huoyan.model.fingerprint import fingerprint
from huoyan.model.job_identity import RQ_EXECUTION_FIELD, execution_of, is_unique

_FLUSH_S = 2.0
_MAX_ENDED = 1_000
_ENDS = frozenset({EventKind.SUCCEEDED, EventKind.FAILED, EventKind.RETRYING, EventKind.REVOKED})
TERMINATED = "WorkHorseTerminated"
"""Type of the exception where there was none: the work horse died under the job."""


class Attempt:
    """One execution of a job by this process, from RQ's decision to execute it to what RQ made of its outcome."""

    def __init__(
        self,
        reporter: RelayedReporter,
        job: Any,
        key: str,
        parent_id: str | None,
        tenancy: Tenancy = Tenancy.SHARED,
    ) -> None:
        self.reporter = reporter
        self.run_id = jobs.run_id(job)
        self.key = key
        self._parent_id = parent_id
        self._tenancy = tenancy
        self._execution: Execution | None = None
        self._duration_s: float | None = None
        self._ended = False

    def begin(self, job: Any) -> None:
        """Report that the job's function starts."""
        args, kwargs = jobs.call(job, self.reporter)
        execution = Execution(
            self.reporter,
            self.run_id,
            jobs.task_name(job),
            queue=str(job.origin or ""),
            # RQ counts the tries that are left, so no number.
            attempt=None,
            key=self.key,
            parent_id=self._parent_id,
            from_queue=True,
            tenancy=self._tenancy,
            group_id=getattr(job, "group_id", None),
            args=args,
            kwargs=kwargs,
            depends_on=[each for each in jobs.dependency_ids(job) if is_unique(each)] or None,
        )
        self._execution = execution
        execution.enter()
        execution.start()

    def leave(self) -> None:
        """The function is over; what it comes to is RQ's decision."""
        if self._execution is not None:
            self._duration_s = self._execution.stop_clock()
            self._execution.leave()

    def end(self, kind: EventKind, job: Any, **fields: Any) -> None:
        """Report the outcome, with the time that the function itself took."""
        if self._ended:
            return
        self._ended = True
        if self._execution is not None:
            if self._duration_s is not None:
                fields["duration_s"] = self._duration_s
            self._execution.end(kind, **fields)
            return
        # RQ could not read the job, so nothing could start.
        self.reporter.emit(
            kind,
            self.run_id,
            queue=str(job.origin or ""),
            execution=self.key,
            worker=self.reporter.worker,
            **fields,
        )


class Executing:
    """Reports executions."""

    def __init__(self, watches: Watches, enqueueing: Enqueueing) -> None:
        self._watches = watches
        self._enqueueing = enqueueing
        self._attempts: dict[int, Attempt] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self.speaker: RelayedReporter | None = None
        """Reports what work horses have said, in the worker that forked them."""

    def perform_job(self, original: Callable[..., Any], worker: Any, job: Any, queue: Any, *rest: Any) -> Any:
        """Run `Worker.perform_job`, everything that RQ does with one job."""
        attempt = None
        with guard("rq.perform"):
            reporter = self._watches.execution(worker, queue)
            if reporter is not None:
                tenancy = Tenancy.ALONE if worker.is_horse else Tenancy.SHARED
                attempt = Attempt(reporter, job, _key(worker, job), self._enqueueing.dependency(job), tenancy)
        if attempt is None:
            return original(worker, job, queue, *rest)
        self._attempts[id(job)] = attempt
        token = reporting.set(attempt.reporter)
        try:
            return original(worker, job, queue, *rest)
        finally:
            reporting.reset(token)
            self._attempts.pop(id(job), None)
            if worker.is_horse:
                # It will end by os._exit. Only what did not fit into the channel to the worker is left to send.
                attempt.reporter.flush(_FLUSH_S)

    def prepare_for_execution(
        self, original: Callable[..., Any], job: Any, worker_name: Any, pipeline: Any, *rest: Any
    ) -> Any:
        """Run `Job.prepare_for_execution`, and let the job say which execution is its last."""
        done = original(job, worker_name, pipeline, *rest)
        with guard("rq.prepare"):
            attempt = self._attempts.get(id(job))
            if attempt is not None:
                pipeline.hset(job.key, RQ_EXECUTION_FIELD, attempt.key)
        return done

    def perform(self, original: Callable[..., Any], job: Any) -> Any:
        """Run `Job.perform`, the job's function."""
        attempt = self._attempts.get(id(job))
        if attempt is None:
            return original(job)
        try:
            with _Undisturbed(), guard("rq.start"):
                attempt.begin(job)
            return original(job)
        finally:
            with _Undisturbed(), guard("rq.leave"):
                attempt.leave()

    def run_sync(self, original: Callable[..., Any], queue: Any, job: Any) -> Any:
        """Run `Queue.run_sync`: a queue without workers, whose jobs the producer executes."""
        attempt = None
        with guard("rq.sync"):
            reporter = self._watches.queue(str(queue.name), queue.connection)
            if reporter is not None:
                key = execution_of(uuid.uuid4().hex, reporter.worker)
                attempt = Attempt(reporter, job, key, self._enqueueing.dependency(job))
                self._attempts[id(job)] = attempt
        try:
            done = original(queue, job)
        finally:
            self._attempts.pop(id(job), None)
        if attempt is not None:
            with guard("rq.sync"):
                attempt.end(EventKind.SUCCEEDED, job, result=attempt.reporter.value(job._result))
        return done

    def run_job(self, original: Callable[..., Any], queue: Any, job: Any) -> Any:
        """Run `Queue.run_job`, in which the job of a queue without workers raises what it raises."""
        try:
            return original(queue, job)
        except BaseException as error:
            with guard("rq.sync"):
                attempt = self._attempts.get(id(job))
                if attempt is not None:
                    attempt.end(EventKind.FAILED, job, exception=attempt.reporter.exception(error))
            raise

    def handle_job_success(self, original: Callable[..., Any], worker: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Worker.handle_job_success`, after which the result is stored."""
        token = repeating.set(True)
        try:
            done = original(worker, job, *args, **kwargs)
        finally:
            repeating.reset(token)
        with guard("rq.success"):
            attempt = self._attempts.get(id(job))
            if attempt is not None:
                attempt.end(EventKind.SUCCEEDED, job, result=attempt.reporter.value(job._result))
        return done

    def handle_job_retry(self, original: Callable[..., Any], worker: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Worker.handle_job_retry`: the job returned `Retry`."""
        tried = job.number_of_retries or 0
        retry = kwargs.get("retry") or (args[1] if len(args) > 1 else None)
        done = original(worker, job, *args, **kwargs)
        with guard("rq.retry"):
            attempt = self._attempts.get(id(job))
            if attempt is not None:
                most = getattr(retry, "max", None)
                if most is not None and tried and tried >= most:
                    reason = f"it returned Retry, and its {most} retries are used up"
                    attempt.end(EventKind.FAILED, job, reason=reason)
                else:
                    attempt.end(EventKind.RETRYING, job, reason="it returned Retry")
        return done

    def handle_job_failure(self, original: Callable[..., Any], worker: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Worker.handle_job_failure`: the job raised, here or in the work horse, or the work horse died."""
        error = sys.exc_info()[1]
        stopped = getattr(worker, "_stopped_job_id", None) == job.id
        retry = bool(job.should_retry) and not stopped
        execution = getattr(worker, "execution", None)
        done = original(worker, job, *args, **kwargs)
        with guard("rq.failure"):
            attempt = self._attempts.get(id(job))
            if attempt is not None:
                kind = EventKind.RETRYING if retry else EventKind.FAILED
                described = attempt.reporter.exception(error) if error is not None else None
                attempt.end(kind, job, exception=described)
            else:
                said = kwargs.get("exc_string") or (args[2] if len(args) > 2 else "")
                self._speak_for_horse(worker, job, execution, said, stopped=stopped, retry=retry)
        return done

    def monitor_work_horse(self, original: Callable[..., Any], worker: Any, job: Any, queue: Any, *rest: Any) -> Any:
        """Run `Worker.monitor_work_horse`, and see to it that no execution is left without an end.

        A job may end its work horse itself with status 0, which RQ takes for an orderly end.
        """
        key = _key(worker, job) if getattr(worker, "execution", None) is not None else None
        done = original(worker, job, queue, *rest)
        with guard("rq.monitor"):
            reporter = self._watches.execution(worker, queue)
            if reporter is not None and key is not None and forks(worker):
                reporter.emit_behind_children(
                    EventKind.LOST,
                    jobs.run_id(job),
                    execution=key,
                    worker=reporter.worker,
                    evidence=Evidence.INFERRED,
                    reason="its work horse ended without saying what became of the job",
                )
        return done

    def take(self, event: TaskEvent) -> None:
        """Record what a work horse reported, in the worker; what the worker adds in case it said nothing goes if it
        did."""
        key = event.execution or ""
        if event.kind is EventKind.LOST and key in self._ended:
            return
        if event.kind in _ENDS:
            self._ended[key] = None
            if len(self._ended) > _MAX_ENDED:
                self._ended.popitem(last=False)
        if self.speaker is not None:
            self.speaker.take(event)

    def _speak_for_horse(self, worker: Any, job: Any, execution: Any, told: Any, *, stopped: bool, retry: bool) -> None:
        reporter = self._watches.execution(worker, _Origin(job))
        if reporter is None:
            return
        said = reporter.said(told, MAX_MESSAGE_CHARS)
        if execution is None or execution.job_id != job.id:
            # Taken from the queue by a worker that died before it could start the job.
            if not retry:
                reporter.emit(EventKind.DEAD, jobs.run_id(job), queue=str(job.origin or ""), reason=said)
            return
        fields: dict[str, Any] = {
            "queue": str(job.origin or ""),
            "execution": execution_of(execution.id, reporter.worker),
            "worker": reporter.worker,
        }
        if stopped:
            kind = EventKind.REVOKED
            fields["reason"] = "stopped while it ran (send_stop_job_command)"
        else:
            kind = EventKind.RETRYING if retry else EventKind.FAILED
            message = said.strip().rstrip(";")
            fields["exception"] = ExceptionInfo(TERMINATED, message, "", fingerprint(TERMINATED, message, ""))
            status, usage = getattr(job, "_huoyan_usage", (None, None))
            fields["reason"] = _diagnosis(status, usage)
            taken = of_child(usage)
            fields.update(cpu_s=taken.cpu_s, peak_memory_bytes=taken.peak_memory_bytes)
        if not reporter.emit_behind_children(kind, jobs.run_id(job), **fields):
            reporter.emit(kind, jobs.run_id(job), **fields)

    def handle_work_horse_killed(
        self, original: Callable[..., Any], worker: Any, job: Any, pid: Any, status: Any, usage: Any
    ) -> Any:
        """Run `Worker.handle_work_horse_killed`, where RQ knows by what and how large the work horse was."""
        with guard("rq.killed"):
            job._huoyan_usage = (status, usage)
        return original(worker, job, pid, status, usage)


class _Origin:
    """A job's queue, as far as it has to be known here."""

    def __init__(self, job: Any) -> None:
        self.name = job.origin
        self.connection = job.connection


class _Undisturbed:
    """Hold back RQ's alarm for a moment, so that no part of Huoyan swallows the exception it raises.

    The alarm comes as soon as the block is left, where nobody but RQ catches it.
    """

    def __enter__(self) -> None:
        self._before: set[Any] | None = None
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "pthread_sigmask"):
            self._before = set(signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM}))

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def _key(worker: Any, job: Any) -> str:
    """Return the name of an execution: RQ's own, known to work horse, worker and whoever reads Redis."""
    execution = getattr(worker, "execution", None)
    own = execution.id if execution is not None and execution.job_id == job.id else uuid.uuid4().hex
    return execution_of(own, str(worker.name))


def forks(worker: Any) -> bool:
    """Tell whether a worker executes jobs in children that it forks; a spawned one knows nothing of what is watched
    here."""
    names = {kind.__name__ for kind in type(worker).__mro__}
    return hasattr(os, "fork") and hasattr(worker, "fork_work_horse") and not names & {"SimpleWorker", "SpawnWorker"}


def _diagnosis(status: Any, resources: Any) -> str:
    """Say by what a work horse ended and how much memory it took."""
    if not isinstance(status, int):
        said = "its work horse was killed by the worker: it ran past its time limit and did not heed it"
    elif os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        said = f"its work horse was killed by {_signal(number)}"
        if number == signal.SIGKILL:
            said += ", as the kernel does when memory runs out"
    else:
        said = f"its work horse ended with status {os.waitstatus_to_exitcode(status)}"
    peak_kib = getattr(resources, "ru_maxrss", 0)
    return said + (f"; it had taken up to {peak_kib / 1024:.0f} MiB of memory" if peak_kib else "")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
