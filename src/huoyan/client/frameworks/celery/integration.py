"""Connects Celery's signals, once for all watched applications of the process."""

import threading
from collections.abc import Mapping
from typing import Any

from huoyan.client.frameworks.celery.applications import Applications
from huoyan.client.frameworks.celery.beat import Beat
from huoyan.client.frameworks.celery.deliveries import Deliveries
from huoyan.client.frameworks.celery.executing import Executing
from huoyan.client.frameworks.celery.publishing import Publishing
from huoyan.client.frameworks.celery.working import Working
from huoyan.client.relay import Relay, RelayedReporter
from huoyan.client.reporter import Reporter


class CeleryIntegration:
    """Celery applications, whether this process publishes their tasks, executes them, or both."""

    framework = "celery"
    options: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._applications = Applications()
        self._relay = Relay()
        deliveries = Deliveries()
        executing = Executing(self._applications, deliveries)
        publishing = Publishing(self._applications)
        working = Working(self._applications, deliveries, executing, self._relay)
        self._receivers = {
            "beat_init": Beat(self._applications).init,
            "before_task_publish": publishing.before,
            "after_task_publish": publishing.after,
            "worker_init": working.init,
            "worker_process_init": working.process_init,
            "worker_process_shutdown": working.process_shutdown,
            "worker_shutdown": working.shutdown,
            "task_received": working.received,
            "task_revoked": working.revoked,
            "task_unknown": working.unknown,
            "task_rejected": working.rejected,
            "task_prerun": executing.prerun,
            "task_success": executing.success,
            "task_failure": executing.failure,
            "task_retry": executing.retry,
            "task_postrun": executing.postrun,
            "task_internal_error": executing.internal_error,
        }

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Report what happens to the tasks of an application, from now on; it may be configured before or after."""
        from celery import signals

        with self._lock:
            self._applications.add(thing, RelayedReporter(reporter, self._relay))
            for name, receiver in self._receivers.items():
                getattr(signals, name).connect(receiver, weak=False, dispatch_uid=f"huoyan.{name}")

    def unwatch(self, thing: Any) -> None:
        """Report nothing of it any more; with the last application every receiver goes."""
        from celery import signals

        with self._lock:
            self._applications.remove(thing)
            if not len(self._applications):
                for name, receiver in self._receivers.items():
                    getattr(signals, name).disconnect(receiver, dispatch_uid=f"huoyan.{name}")
