"""The worker's side: its main process gets tasks, refuses or revokes them, and speaks for its children."""

import os
from typing import Any

from huoyan.client.attributes import bare_name
from huoyan.client.frameworks.celery.applications import Applications, seconds
from huoyan.client.frameworks.celery.deliveries import Deliveries, marked
from huoyan.client.frameworks.celery.executing import Executing
from huoyan.client.guard import guarded
from huoyan.client.relay import Relay
from huoyan.model.event import EventKind, Evidence

_SHUTDOWN_FLUSH_S = 2.0
DELIVERED_AGAIN = "its message was delivered again"


class Working:
    """Reports what a worker does with tasks outside their execution, and the worker itself."""

    def __init__(self, applications: Applications, deliveries: Deliveries, executing: Executing, relay: Relay) -> None:
        self._applications = applications
        self._deliveries = deliveries
        self._executing = executing
        self._relay = relay

    @guarded("celery.worker_init")
    def init(self, sender: Any = None, **_: Any) -> None:
        """Name this process after the worker, and open the channel for its children."""
        reporter = self._applications.reporter(sender.app)
        if reporter is None:
            return
        reporter.nodename = sender.hostname
        reporter.identify(
            sender.hostname, queues=sorted(sender.app.amqp.queues.consume_from), reports=True, children=True
        )
        if _forks(sender.pool_cls):
            reporter.open_relay()

    @guarded("celery.worker_process_init")
    def process_init(self, **_: Any) -> None:
        """Begin as a child of a prefork pool."""
        self._executing.forked()
        self._relay.in_child()
        for reporter in self._applications.reporters():
            reporter.client.measures()

    @guarded("celery.worker_process_shutdown")
    def process_shutdown(self, **_: Any) -> None:
        """Send what this child could not pass on; it ends without running what Python runs at exit."""
        for reporter in self._applications.reporters():
            reporter.flush(_SHUTDOWN_FLUSH_S)

    @guarded("celery.worker_shutdown")
    def shutdown(self, **_: Any) -> None:
        """Take the last words of the children."""
        self._relay.drain()

    @guarded("celery.task_received")
    def received(self, sender: Any = None, request: Any = None, **_: Any) -> None:
        """Report a delivery, and name the execution it will be for whoever executes it."""
        app = sender.app
        reporter = self._applications.reporter(app)
        if reporter is None:
            return
        attempt, execution, before = self._deliveries.received(request, request.hostname)
        if before is not None:
            # It may have ended without a word, killed with its process. If it did say something, that counts more.
            reporter.emit(
                EventKind.RETRYING,
                request.id,
                attempt=attempt,
                execution=before,
                worker=request.hostname,
                evidence=Evidence.INFERRED,
                reason=DELIVERED_AGAIN,
            )
        values = request.request_dict
        info = request.delivery_info or {}
        reporter.emit(
            EventKind.RECEIVED,
            request.id,
            task=request.name,
            queue=self._applications.queue(app, info.get("exchange"), info.get("routing_key")),
            attempt=attempt,
            execution=execution,
            worker=request.hostname,
            parent_id=values.get("parent_id"),
            root_id=values.get("root_id"),
            group_id=values.get("group"),
            eta=seconds(request.eta),
            expires=seconds(request.expires),
        )

    @guarded("celery.task_revoked")
    def revoked(
        self,
        sender: Any = None,
        request: Any = None,
        terminated: Any = None,
        signum: Any = None,
        expired: Any = None,
        **_: Any,
    ) -> None:
        """Report a revocation; one that found the task before it was delivered concerns no execution."""
        reporter = self._applications.reporter(sender.app)
        if reporter is None:
            return
        execution = marked(request)
        if expired:
            kind, reason = EventKind.DEAD, "expired before it was started"
        elif terminated:
            kind = EventKind.REVOKED
            reason = "terminated while it ran" + (f" (signal {signum})" if signum else "")
        else:
            kind, reason = EventKind.REVOKED, "revoked before it was started"
        placed: dict[str, Any] = {}
        if execution is not None or terminated:
            placed = {"attempt": (request.retries or 0) + 1, "execution": execution, "worker": reporter.worker}
        reporter.emit(kind, str(request.id), task=sender.name, reason=reason, **placed)

    @guarded("celery.task_unknown")
    def unknown(self, sender: Any = None, name: Any = None, id: Any = None, **_: Any) -> None:  # noqa: A002
        """Report a task that this worker does not know."""
        reporter = self._applications.reporter(sender.app)
        if reporter is not None and id:
            reporter.emit(
                EventKind.REJECTED,
                str(id),
                task=str(name or ""),
                worker=sender.hostname,
                reason="the worker does not know this task",
            )

    @guarded("celery.task_rejected")
    def rejected(self, sender: Any = None, message: Any = None, exc: Any = None, **_: Any) -> None:
        """Report a message that is no valid task."""
        reporter = self._applications.reporter(sender.app)
        headers: Any = getattr(message, "headers", None)
        run_id = headers.get("id") if isinstance(headers, dict) else None
        if reporter is not None and run_id:
            reporter.emit(
                EventKind.REJECTED,
                str(run_id),
                task=str(headers.get("task") or ""),
                worker=sender.hostname,
                reason=f"the worker refused the message: {bare_name(type(exc))}"
                if exc
                else "the worker refused the message",
            )


def _forks(pool: Any) -> bool:
    """Tell whether a pool, given as a class or by name, executes tasks in forked children."""
    from celery.concurrency import get_implementation

    return get_implementation(pool).__module__ == "celery.concurrency.prefork" and hasattr(os, "fork")
