"""Connects RQ's classes, once for all that is watched in the process."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from huoyan.client.frameworks.rq.depths import Depths
from huoyan.client.frameworks.rq.enqueueing import Enqueueing
from huoyan.client.frameworks.rq.executing import Executing, forks
from huoyan.client.frameworks.rq.patches import Patches
from huoyan.client.frameworks.rq.schedules import Schedules
from huoyan.client.frameworks.rq.watches import Watches
from huoyan.client.guard import guard
from huoyan.client.relay import Relay
from huoyan.client.reporter import Reporter
from huoyan.errors import ConfigurationError


class RqIntegration:
    """Queues and workers of RQ, one by one or all of them, whether this process enqueues, executes, or both."""

    framework = "rq"
    options: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._relay = Relay()
        self._watches = Watches(self._relay)
        self._enqueueing = Enqueueing(self._watches)
        self._executing = Executing(self._watches, self._enqueueing)
        self._schedules = Schedules(self._watches)
        self._patches = Patches()
        self._depths: dict[str, Depths] = {}

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Report what happens to the jobs of a queue, of a worker, or of all of them when it is a class of RQ's."""
        with self._lock:
            self._put_patches()
            self._watches.add(thing, reporter)

    def unwatch(self, thing: Any) -> None:
        """Report nothing of it any more; with the last thing every hook goes."""
        with self._lock:
            self._watches.remove(thing)
            if not len(self._watches):
                self._patches.remove()

    def _put_patches(self) -> None:
        import rq
        from rq.job import Job

        enqueueing, executing = self._enqueueing, self._executing
        needed: list[tuple[type, str, Callable[..., Any]]] = [
            (rq.Queue, "_enqueue_job", enqueueing.enqueue),
            (rq.Queue, "schedule_job", enqueueing.schedule),
            (rq.Queue, "run_sync", executing.run_sync),
            (rq.Queue, "run_job", executing.run_job),
            (Job, "register_dependency", enqueueing.register_dependency),
            (Job, "fetch_dependencies", enqueueing.fetch_dependencies),
            (Job, "cancel", enqueueing.cancel),
            (Job, "delete", enqueueing.delete),
            (Job, "prepare_for_execution", executing.prepare_for_execution),
            (Job, "perform", executing.perform),
            (rq.Worker, "register_birth", self._born),
            (rq.Worker, "register_death", self._died),
            (rq.Worker, "perform_job", executing.perform_job),
            (rq.Worker, "main_work_horse", self._horse),
            (rq.Worker, "monitor_work_horse", executing.monitor_work_horse),
            (rq.Worker, "handle_work_horse_killed", executing.handle_work_horse_killed),
            (rq.Worker, "handle_job_success", executing.handle_job_success),
            (rq.Worker, "handle_job_failure", executing.handle_job_failure),
        ]
        missing = [name for kind, name, wrapper in needed if not self._patches.put(kind, name, wrapper)]
        if missing:
            self._patches.remove()
            raise ConfigurationError("watch", "RQ 2.0 or newer", f"one without {', '.join(missing)}")
        # Jobs that return Retry, and cron, came with later versions.
        self._patches.put(rq.Worker, "handle_job_retry", executing.handle_job_retry)
        with guard("rq.cron"):
            try:
                from rq.cron import CronJob, CronScheduler
            except ImportError:
                return
            self._patches.put(CronJob, "enqueue", self._schedules.enqueue)
            self._patches.put(CronScheduler, "enqueue_jobs", self._schedules.enqueue_jobs)
            self._patches.put(CronScheduler, "register_death", self._schedules.register_death)

    def _born(self, original: Callable[..., Any], worker: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Worker.register_birth`: this process is a worker from now on."""
        done = original(worker, *args, **kwargs)
        with guard("rq.birth"):
            reporter = self._watches.worker(worker)
            if reporter is None:
                return done
            reporter.identify(str(worker.name), queues=list(worker.queue_names()), reports=True, children=True)
            self._executing.speaker = reporter
            if forks(worker):
                reporter.open_relay(self._executing.take)
            if reporter.settings.connected:
                queues = [(str(queue.name), str(queue.key)) for queue in worker.queues]
                self._depths[worker.name] = Depths(reporter, worker.connection, queues)
        return done

    def _died(self, original: Callable[..., Any], worker: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Worker.register_death`."""
        with guard("rq.death"):
            depths = self._depths.pop(worker.name, None)
            if depths is not None:
                depths.stop()
            self._relay.drain()
        return original(worker, *args, **kwargs)

    def _horse(self, original: Callable[..., Any], worker: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Worker.main_work_horse`, the child's life."""
        with guard("rq.horse"):
            self._relay.in_child()
        return original(worker, *args, **kwargs)
