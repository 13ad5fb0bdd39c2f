"""Workers that report and start nothing, while there is something to start: they are wedged."""

from collections.abc import Iterable, Mapping

from huoyan.clock import Clock
from huoyan.model.event import QueueReading
from huoyan.server.collect.gauges import Gauges
from huoyan.server.collect.hearing import LOOK_BACK_S, heard_from
from huoyan.server.collect.registry import ALIVE, Registry
from huoyan.server.store import RunFilters, Store
from huoyan.server.store.workers import Worker

INTERVAL_S = 5.0
_DELIVERED = 20

Waiting = Mapping[tuple[str, str], float]
"""(service, queue) → since when something has been waiting in it without a break, seconds since 1970 UTC."""


def is_idle(now: float, worker: Worker, worked_at: float, after_s: float) -> bool:
    """Return whether a worker that reports has started and ended nothing for a while, and executes nothing by its word.

    Args:
        now: Seconds since 1970 UTC.
        worker: What it says of itself.
        worked_at: When it last started or ended something.
        after_s: For how long that must have been so, in seconds.
    """
    return worker.state in ALIVE and not worker.active and now - worked_at >= after_s


def is_waited_for(now: float, worker: Worker, waiting: Waiting, after_s: float) -> bool:
    """Return whether something has been waiting in a queue of a worker for a while, without a break.

    Args:
        now: Seconds since 1970 UTC.
        worker: Says which queues it works on.
        waiting: The queues in which something waits.
        after_s: For how long, in seconds.
    """
    return any(
        now - since >= after_s
        for (service, queue), since in waiting.items()
        if queue in worker.queues and service in (worker.service, worker.framework)
    )


class Wedge:
    """The service that finds wedged workers, and those that are wedged no longer.

    A worker that executes runs we know of is busy, not wedged. Nobody is judged while something cannot be heard.

    Args:
        after_s: For how long a worker must have started nothing, in seconds.
    """

    name = "wedged workers"
    interval_s = INTERVAL_S

    def __init__(self, store: Store, registry: Registry, gauges: Gauges, clock: Clock, after_s: float) -> None:
        self._store = store
        self._registry = registry
        self._gauges = gauges
        self._clock = clock
        self._after_s = after_s
        self._waiting: dict[tuple[str, str], float] = {}

    def run_once(self) -> None:
        """Judge once."""
        now = self._clock.now()
        self._waiting = _still_waiting(self._waiting, self._gauges.depths(), now)
        since = None
        busy: set[str] = set()
        taken: set[str] = set()
        for worker in self._registry.all():
            if worker.state not in ALIVE:
                continue
            wedged = is_idle(now, worker, self._registry.worked_at(worker.worker), self._after_s)
            if wedged:
                if since is None:
                    since = heard_from(self._store.gaps.list(since=now - LOOK_BACK_S, workers=False))
                    busy = self._store.truth.workers_with("started")
                    taken = self._store.truth.workers_with("queued")
                if now - since < self._after_s:
                    continue  # What it started may not have been heard.
                wedged = worker.worker not in busy and (
                    is_waited_for(now, worker, self._waiting, self._after_s)
                    or (worker.worker in taken and self._has_taken(now, worker))
                )
            if wedged != (worker.state == "wedged"):
                self._registry.wedge(worker.worker, wedged)

    def _has_taken(self, now: float, worker: Worker) -> bool:
        """Return whether it took something out of its queues a while ago and did not start it."""
        delivered = self._store.runs.page(RunFilters(worker=(worker.worker,), state=("queued",)), _DELIVERED).items
        return any(
            execution.worker == worker.worker
            and execution.state() == "received"
            and execution.seen_at is not None
            and now - execution.seen_at >= self._after_s
            for run in delivered
            for execution in run.executions.values()
        )


def _still_waiting(known: Waiting, readings: Iterable[QueueReading], now: float) -> dict[tuple[str, str], float]:
    """Return since when something waits in each queue: a queue that was seen empty, or not at all, starts over."""
    return {
        (reading.service, reading.queue): known.get((reading.service, reading.queue), now)
        for reading in readings
        if reading.depth > 0
    }
