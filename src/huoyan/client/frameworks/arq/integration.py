"""Connects arq's classes, once for all that is watched in the process.

arq's own hooks tell neither the function nor the outcome, so methods are wrapped: the worker's `run_job` with what it
calls to settle a job, and the pool's `enqueue_job`. The functions of a watched worker are wrapped as well.
"""

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

from huoyan.client.frameworks.arq.enqueueing import Enqueueing
from huoyan.client.frameworks.arq.schedules import Schedules
from huoyan.client.frameworks.arq.watches import Watches
from huoyan.client.frameworks.arq.working import Working
from huoyan.client.reporter import Reporter
from huoyan.errors import ConfigurationError


class ArqIntegration:
    """Workers, the classes with their settings, and pools."""

    framework = "arq"
    options: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches = Watches()
        self._originals: list[tuple[Any, str, Any, Any]] = []

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Report what a worker executes (of any worker made from settings), or what a pool enqueues."""
        with self._lock:
            self._put_patches()
            self._watches.add(thing, reporter)

    def unwatch(self, thing: Any) -> None:
        """Report nothing of it any more; with the last thing every hook goes."""
        with self._lock:
            self._watches.remove(thing)
            if not len(self._watches):
                for owner, name, original, put in self._originals:
                    if getattr(owner, name) is put:
                        setattr(owner, name, original)
                self._originals.clear()

    def _put_patches(self) -> None:
        if self._originals:
            return
        try:
            from arq import connections, worker
        except ImportError as error:
            # A class that lists functions need not be meant for arq at all.
            raise ConfigurationError("watch", "arq to be installed", str(error), "Pass an instance.") from error

        working, enqueueing, schedules = Working(self._watches), Enqueueing(self._watches), Schedules(self._watches)
        wrappers: list[tuple[Any, str, Callable[..., Any]]] = [
            (worker.Worker, "main", working.main),
            (worker.Worker, "run_job", working.run_job),
            (worker.Worker, "finish_job", working.finish_job),
            (worker.Worker, "heart_beat", working.heart_beat),
            (worker.Worker, "run_cron", schedules.run_cron),
            (worker.Worker, "close", schedules.close),
            (worker, "serialize_result", working.serialize_result),
            (connections.ArqRedis, "enqueue_job", enqueueing.enqueue_job),
            (connections, "serialize_job", enqueueing.serialize_job),
        ]
        missing = [name for owner, name, _ in wrappers if not callable(getattr(owner, name, None))]
        if missing:
            raise ConfigurationError("watch", "arq 0.26 or newer", f"one without {', '.join(missing)}")
        for owner, name, wrapper in wrappers:
            original = getattr(owner, name)
            put = _wrapped(original, wrapper)
            setattr(owner, name, put)
            self._originals.append((owner, name, original, put))


def _wrapped(original: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    return call
