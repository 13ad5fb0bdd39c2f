"""Workers that report and start nothing, while there is something to start: they are wedged."""

from collections.abc import Iterable, Mapping

from huoyan.clock import Clock
from huoyan.model.event import QueueReading
from huoyan.server.collect.gauges import Gauges
from huoyan.server.collect.hearing import LOOK_BACK_S, heard_from
from huoyan.server.collect.registry import ALIVE, Registry
from huoyan.server.store import RunFilters, Store
from huoyan.server.store.workers import Worker

INTERVAL_S = 2.0

Waiting = Mapping[tuple[str, str], float]
"""(service, queue) → since when something has been waiting in it without a break, seconds since 1970 UTC."""


def is_wedged(now: float, worker: Worker, waiting: Waiting, worked_at: float, after_s: float) -> bool:
    """Return whether a worker starts nothing although something waits for it. Pure.

    Args:
        now: Seconds since 1970 UTC.
        worker: Its own word: how many runs it executes, and which queues it works on.
        waiting: The queues in which something waits.
        worked_at: When it last started or ended something.
        after_s: For how long both must have been so, in seconds.
    """
    if worker.state not in ALIVE or worker.active or now - worked_at < after_s:
        return False
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
        candidates = [worker for worker in self._registry.all() if worker.state in ALIVE and worker.queues]
        if not candidates or (not self._waiting and all(worker.state == "up" for worker in candidates)):
            return
        since = heard_from(self._store.gaps.list(since=now - LOOK_BACK_S))
        for worker in candidates:
            worked_at = max(self._registry.worked_at(worker.worker), since)
            wedged = is_wedged(now, worker, self._waiting, worked_at, self._after_s)
            if wedged and worker.state == "up" and self._is_busy(worker):
                continue
            if wedged != (worker.state == "wedged") and (wedged or since <= now):
                self._registry.wedge(worker.worker, wedged)

    def _is_busy(self, worker: Worker) -> bool:
        return bool(self._store.runs.page(RunFilters(worker=(worker.worker,), state=("started",)), 1).items)


def _still_waiting(known: Waiting, readings: Iterable[QueueReading], now: float) -> dict[tuple[str, str], float]:
    """Return since when something waits in each queue: a queue that was seen empty, or not at all, starts over."""
    return {
        (reading.service, reading.queue): known.get((reading.service, reading.queue), now)
        for reading in readings
        if reading.depth > 0
    }
