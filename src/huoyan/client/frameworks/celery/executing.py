"""The task's side: it starts and it ends, in the process, thread or greenlet that executes it."""

import os
import sys
from typing import Any

from huoyan.client.consumption import Tenancy
from huoyan.client.execution import Execution
from huoyan.client.frameworks.celery import canvas
from huoyan.client.frameworks.celery.applications import Applications, seconds
from huoyan.client.frameworks.celery.deliveries import HEADER, Deliveries, marked
from huoyan.client.guard import guarded
from huoyan.client.relay import RelayedReporter
from huoyan.model.event import EventKind, ExceptionInfo

_MAX_UNSETTLED = 1_000
_REPLACED = "Replaced by new task"


class Executing:
    """Reports executions of tasks.

    The end is told by different signals. A success counts once its result is stored (`task_success`); `task_postrun`
    comes in every case and settles what raises no signal of its own (Ignore, Reject).
    """

    def __init__(self, applications: Applications, deliveries: Deliveries) -> None:
        self._applications = applications
        self._deliveries = deliveries
        self._running: dict[int, Execution] = {}
        self._unsettled: dict[str, Execution] = {}

    def forked(self) -> None:
        """Forget what the main process executes (it executes nothing in a prefork pool)."""
        self._running.clear()
        self._unsettled.clear()

    @guarded("celery.task_prerun")
    def prerun(self, task_id: Any = None, task: Any = None, args: Any = None, kwargs: Any = None, **_: Any) -> None:
        """Report that it starts."""
        reporter = self._applications.reporter(task.app)
        if reporter is None:
            return
        request = task.request
        retries = request.retries or 0
        key = marked(request)
        if isinstance(request.headers, dict):
            # Retries inherit headers, and this one names an execution that is not theirs.
            request.headers.pop(HEADER, None)
        first = not retries
        shown_args, shown_kwargs = reporter.call(task.run, args or (), kwargs or {}) if first else (None, None)
        info = request.delivery_info or {}
        execution = Execution(
            reporter,
            str(task_id),
            request.shadow or task.name,
            queue=self._applications.queue(task.app, info.get("exchange"), info.get("routing_key")),
            attempt=retries + 1,
            key=key or f"{retries}.1@{reporter.worker}#{os.getpid()}",
            parent_id=request.parent_id,
            root_id=request.root_id or str(task_id),
            group_id=request.group,
            tenancy=Tenancy.IN_TURN if _in_pool_child() else Tenancy.SHARED,
            dependents=canvas.requested(request),
            args=shown_args,
            kwargs=shown_kwargs,
            eta=seconds(request.eta) if first else None,
        )
        execution.enter()
        execution.start()
        self._running[id(request)] = execution

    @guarded("celery.task_success")
    def success(self, sender: Any = None, result: Any = None, **_: Any) -> None:
        """Report success: it returned, and its result is stored."""
        execution = self._running.get(id(sender.request))
        if execution is not None:
            execution.succeed(self._reporter(sender).value(result))

    @guarded("celery.task_failure")
    def failure(
        self, sender: Any = None, task_id: Any = None, exception: Any = None, einfo: Any = None, **_: Any
    ) -> None:
        """Report that it raised and will not be tried again, or that its process ended under it."""
        reporter = self._applications.reporter(sender.app)
        if reporter is None:
            return
        described = _described(reporter, exception, einfo)
        execution = self._running.get(id(sender.request)) or self._unsettled.pop(str(task_id), None)
        if execution is not None and execution.run_id == str(task_id):
            execution.end(EventKind.FAILED, exception=described)
            return
        # The main process tells what a child could not tell: it was killed, or went over its hard time limit.
        attempt, key = self._deliveries.latest(str(task_id))
        reporter.emit(
            EventKind.FAILED,
            str(task_id),
            task=sender.name,
            attempt=attempt,
            execution=key,
            worker=reporter.worker,
            exception=described,
        )

    @guarded("celery.task_retry")
    def retry(self, sender: Any = None, request: Any = None, reason: Any = None, einfo: Any = None, **_: Any) -> None:
        """Report that it will be tried again."""
        reporter = self._applications.reporter(sender.app)
        if reporter is None:
            return
        execution = self._running.get(id(request))
        if execution is not None:
            cause = getattr(reason, "exc", None) or reason
            execution.end(EventKind.RETRYING, exception=_described(reporter, cause, einfo))
            return
        # The worker lost its broker and cancels what it will be given again; the child that ran it is gone.
        reporter.emit(
            EventKind.RETRYING,
            str(request.id),
            task=sender.name,
            attempt=(request.retries or 0) + 1,
            execution=marked(request),
            worker=reporter.worker,
            reason="the worker lost its broker and cancelled the task",
        )

    @guarded("celery.task_postrun")
    def postrun(self, task_id: Any = None, task: Any = None, retval: Any = None, state: Any = None, **_: Any) -> None:
        """Settle it, whatever happened."""
        execution = self._running.pop(id(task.request), None)
        if execution is None:
            return
        execution.leave()
        if execution.ended:
            return
        if state == "IGNORED":
            replaced = isinstance(retval, BaseException) and self._reporter(task).said(retval) == _REPLACED
            execution.end(
                EventKind.RETRYING if replaced else EventKind.REVOKED,
                reason="the task was replaced by another one" if replaced else "the task raised Ignore",
            )
        elif state == "REJECTED":
            # Without late acknowledgement the message is gone already, and nothing can go back to the queue.
            again = bool(getattr(retval, "requeue", False)) and task.acks_late
            execution.end(
                EventKind.RETRYING if again else EventKind.REJECTED,
                reason="the task rejected its message" + (", which went back to the queue" if again else ""),
            )
        else:
            # Storing the result failed, or the process is being ended: another signal will tell.
            if len(self._unsettled) >= _MAX_UNSETTLED:
                self._unsettled.clear()
            self._unsettled[str(task_id)] = execution

    @guarded("celery.task_internal_error")
    def internal_error(
        self, sender: Any = None, task_id: Any = None, exception: Any = None, einfo: Any = None, **_: Any
    ) -> None:
        """Report that Celery itself failed around the task, e.g. when it stored the result."""
        execution = self._unsettled.pop(str(task_id), None)
        if execution is not None:
            execution.end(EventKind.FAILED, exception=_described(self._reporter(sender), exception, einfo))

    def _reporter(self, task: Any) -> RelayedReporter:
        reporter = self._applications.reporter(task.app)
        if reporter is None:
            raise LookupError("the application is not watched any more")
        return reporter


def _in_pool_child() -> bool:
    """Tell whether this process is a child of a prefork pool, which executes one task after the other."""
    process = sys.modules.get("billiard.process")
    return process is not None and process.current_process()._parent_pid is not None


def _described(reporter: RelayedReporter, exception: Any, einfo: Any) -> ExceptionInfo | None:
    """Describe an exception with the traceback that Celery formatted, so that all sources show the same text."""
    if not isinstance(exception, BaseException):
        return None
    traceback = getattr(einfo, "traceback", None)
    described = reporter.exception(exception, str(traceback) if traceback else None)
    # Celery wraps what cannot be pickled; its own name says nothing.
    module, name = getattr(exception, "exc_module", None), getattr(exception, "exc_cls_name", None)
    if isinstance(module, str) and isinstance(name, str):
        described.type = name if module == "builtins" else f"{module}.{name}"
    return described
