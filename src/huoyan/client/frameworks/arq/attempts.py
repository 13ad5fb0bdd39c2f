"""One execution of a job, seen from inside: only in there can be told what a job raised."""

import asyncio
import dataclasses
import datetime
import functools
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from huoyan.client.attributes import bare_name
from huoyan.client.execution import Execution
from huoyan.client.guard import guard
from huoyan.client.reporter import Reporter
from huoyan.model.event import EventKind, Payload
from huoyan.model.job_identity import run_id_of


class Attempt:
    """One job in the hands of a worker, from the moment it is taken to what arq makes of it."""

    def __init__(self, reporter: Reporter, worker: Any, job_id: str) -> None:
        self.reporter = reporter
        self.worker = worker
        self.job_id = job_id
        self.timeout_s: float | None = None
        self.execution: Execution | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.duration_s: float | None = None
        self.aborted = False
        self.decided: tuple[bool, bool] | None = None
        """What `settle` will be told, once arq has decided it."""

    def begin(self, function: Any, ctx: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Report that the function starts."""
        attempt = int(ctx["job_try"])
        enqueued_at_ms = _milliseconds(ctx.get("enqueue_time"))
        cron = hasattr(function, "next_run")
        own, default = getattr(function, "timeout_s", None), getattr(self.worker, "job_timeout_s", None)
        self.timeout_s = default if own is None else own
        shown_args, shown_kwargs = shown_call(self.reporter, function.coroutine, args, kwargs)
        self.execution = Execution(
            self.reporter,
            run_id_of(self.job_id, enqueued_at_ms),
            str(function.name),
            queue=str(self.worker.queue_name),
            attempt=attempt,
            from_queue=True,
            args=shown_args,
            kwargs=shown_kwargs,
            labels={"trigger": "cron"} if cron else None,
        )
        self.execution.enter()
        self.execution.start()

    def leave(self, result: Any, error: BaseException | None) -> None:
        """The function is over; what it comes to is arq's decision."""
        if self.execution is None:
            return
        self.result, self.error = result, error
        # An abort and a time limit look alike in here, so it has to be asked for now.
        self.aborted = isinstance(error, asyncio.CancelledError) and self.job_id in self.worker.aborting_tasks
        self.duration_s = self.execution.stop_clock()
        self.execution.leave()

    def settle(self, *, finished: bool, cancelled: bool) -> None:
        """Report what arq has decided.

        Args:
            finished: Whether the job is done; otherwise it stays in its queue and is executed again.
            cancelled: Whether the worker is being shut down.
        """
        execution, error = self.execution, self.error
        if execution is None or execution.ended:
            return
        reporter = self.reporter
        if not finished:
            if isinstance(error, asyncio.CancelledError):
                self._end(EventKind.RETRYING, reason="the worker was shut down; the job is executed again")
            else:
                self._end(EventKind.RETRYING, exception=reporter.exception(error) if error is not None else None)
        elif error is None:
            self._end(EventKind.SUCCEEDED, result=reporter.value(self.result))
        elif self.aborted:
            self._end(EventKind.REVOKED, reason="aborted while it ran")
        elif not isinstance(error, asyncio.CancelledError):
            self._end(EventKind.FAILED, exception=reporter.exception(error))
        elif cancelled:
            self._end(EventKind.REVOKED, reason="cancelled: the worker was shut down, and it does not retry jobs")
        else:
            raised = TimeoutError(f"the job was not done after {self.timeout_s:g} s" if self.timeout_s else "")
            raised.__cause__ = error
            self._end(EventKind.FAILED, exception=reporter.exception(raised))

    def abandon(self, error: BaseException | None) -> None:
        """Report that arq itself failed around the job.

        A job that was done stays so: arq could not note it, or did and was not told. If it was not noted, the job is
        executed once more, which is then seen.
        """
        if self.execution is None or self.execution.ended:
            return
        if self.decided is not None and self.decided[0]:
            if self.error is None and isinstance(error, Exception):
                said = self.reporter.said(error)
                reason = f"it succeeded, and could not be noted: {bare_name(type(error))}{f': {said}' if said else ''}"
                self._end(EventKind.SUCCEEDED, result=self.reporter.value(self.result), reason=reason)
            else:
                self.settle(finished=True, cancelled=self.decided[1])
            return
        exception = self.reporter.exception(error) if isinstance(error, Exception) else None
        self._end(EventKind.RETRYING, exception=exception, reason="the worker could not settle the job")

    def refuse(self, name: str, tried: int, enqueued_at_ms: int, error: BaseException) -> None:
        """Report that arq gave the job up without executing it."""
        reporter = self.reporter
        run_id = run_id_of(self.job_id, enqueued_at_ms or None)
        fields: dict[str, Any] = {
            "task": "" if name == "<unknown>" else name,
            "queue": str(self.worker.queue_name),
        }
        said = reporter.said(error)
        own = said if bare_name(type(error)) == "JobExecutionFailed" else ""
        if isinstance(error, asyncio.CancelledError):
            reporter.emit(EventKind.REVOKED, run_id, reason="aborted before it started", **fields)
        elif "not found" in own:
            reporter.emit(EventKind.REJECTED, run_id, worker=reporter.worker, reason=said, **fields)
        elif "retries exceeded" in own:
            # The last try that was executed decides: nothing follows it.
            reporter.emit(EventKind.FAILED, run_id, exception=reporter.exception(error), reason=said, **fields)
        elif "expired" in own:
            reporter.emit(EventKind.DEAD, run_id, reason="expired before it could start", **fields)
        else:
            fields |= {"attempt": tried, "execution": f"{tried}@{reporter.worker}", "worker": reporter.worker}
            reporter.emit(EventKind.FAILED, run_id, exception=reporter.exception(error), **fields)

    def _end(self, kind: EventKind, **fields: Any) -> None:
        assert self.execution is not None
        self.execution.end(kind, duration_s=self.duration_s, **fields)


current: ContextVar[Attempt | None] = ContextVar("huoyan_arq_attempt", default=None)
"""The job that a worker has in hand here."""


def watched(function: Any) -> Any:
    """Return a copy of one of arq's functions or cron jobs that reports how its coroutine goes."""
    coroutine = function.coroutine

    @functools.wraps(coroutine)
    async def call(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        attempt = current.get()
        if attempt is None or attempt.job_id != ctx.get("job_id"):
            return await coroutine(ctx, *args, **kwargs)
        with guard("arq.start"):
            attempt.begin(function, ctx, args, kwargs)
        result, failure = None, None
        try:
            result = await coroutine(ctx, *args, **kwargs)
        except BaseException as error:
            failure = error
            raise
        finally:
            with guard("arq.leave"):
                attempt.leave(result, failure)
        return result

    return dataclasses.replace(function, coroutine=call)


def shown_call(
    reporter: Reporter, coroutine: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Payload, Payload]:
    """Return arguments as they may leave the process. The first parameter of the function is arq's context."""
    function = functools.partial(coroutine, None) if callable(coroutine) else None
    return reporter.call(function, args, kwargs)


def _milliseconds(moment: Any) -> int | None:
    """Return one of arq's times, which it made of milliseconds, as those again."""
    return round(moment.timestamp() * 1000) if isinstance(moment, datetime.datetime) else None
