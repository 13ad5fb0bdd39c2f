"""What is the case now: runs being executed, readings of queues, workers, and how far behind we are."""

import threading
from collections.abc import Callable, Iterable, Mapping

from huoyan.clock import Clock
from huoyan.model.event import QueueReading
from huoyan.server.collect.active import Active
from huoyan.server.collect.measured import MeasuredGauges
from huoyan.server.collect.metrics import Labels
from huoyan.server.collect.registry import ALIVE, Registry
from huoyan.server.store.source import STALE_S
from huoyan.signals.metrics.server import BLIND, INGEST_LAG
from huoyan.signals.metrics.work import (
    CLOCK_SKEW,
    LEDGER_DISCREPANCIES,
    QUEUE_DEPTH,
    QUEUE_OLDEST_AGE,
    SCHEDULER_DEAD,
    TASKS_ACTIVE,
    TASKS_STUCK,
    WORKER_UP,
    WORKER_WEDGED,
)

NAMES = (
    TASKS_ACTIVE.name,
    QUEUE_DEPTH.name,
    QUEUE_OLDEST_AGE.name,
    WORKER_UP.name,
    WORKER_WEDGED.name,
    SCHEDULER_DEAD.name,
    TASKS_STUCK.name,
    LEDGER_DISCREPANCIES.name,
    BLIND.name,
    CLOCK_SKEW.name,
    INGEST_LAG.name,
)
"""The gauges that are known here."""


_LAG_KEPT_S = 10.0


class Gauges:
    """The gauges. Safe to use from any thread.

    A reading of a queue that is older than 60 s is unknown, not its last value, and not zero.
    """

    def __init__(
        self,
        active: Active,
        registry: Registry,
        clock: Clock,
        waiting_since: Callable[[], float | None],
        measured: MeasuredGauges | None = None,
    ) -> None:
        """Args:
        measured: The gauges that processes tell; None for those of the server alone.
        waiting_since: Returns when the oldest of what is not stored yet was received, None when all is stored.
        """
        self._active = active
        self._registry = registry
        self._clock = clock
        self._waiting_since = waiting_since
        self._measured = measured
        self._lock = threading.Lock()
        self._readings: dict[tuple[str, str], QueueReading] = {}
        self._findings: dict[str, Callable[[], Mapping[Labels, float]]] = {}
        self._lag_s: float | None = None
        self._stored_at = 0.0

    def names(self) -> tuple[str, ...]:
        """Return every gauge that is known now."""
        return NAMES if self._measured is None else (*NAMES, *self._measured.names())

    def readings(self, readings: Iterable[QueueReading]) -> None:
        """Take new readings of queues."""
        with self._lock:
            for reading in readings:
                key = (reading.service, reading.queue)
                known = self._readings.get(key)
                if known is None or known.at <= reading.at:
                    self._readings[key] = reading

    def found_by(self, metric: str, read: Callable[[], Mapping[Labels, float]]) -> None:
        """Let a service answer for a gauge."""
        self._findings[metric] = read

    def depths(self) -> list[QueueReading]:
        """Return the readings of queues that say something of now."""
        return self._fresh()

    def stored(self, received_at: float, now: float) -> None:
        """Note that the newest events were received at one time and are stored at another."""
        self._lag_s = max(0.0, now - received_at)
        self._stored_at = now

    def read(self, metric: str) -> Mapping[Labels, float]:
        """Return the values of a gauge now by its labels; what is unknown is left out."""
        if metric == TASKS_ACTIVE.name:
            return {tuple(one._asdict().items()): float(number) for one, number in self._active.now().items()}
        if metric == QUEUE_DEPTH.name:
            return {_queue_labels(reading): float(reading.depth) for reading in self._fresh()}
        if metric == QUEUE_OLDEST_AGE.name:
            return {
                _queue_labels(reading): reading.oldest_age_s
                for reading in self._fresh()
                if reading.oldest_age_s is not None
            }
        if metric == WORKER_UP.name:
            return {
                (("worker", worker.worker),): 1.0 if worker.state in ALIVE else 0.0
                for worker in self._registry.all()
                if worker.state != "closed"
            }
        if metric == WORKER_WEDGED.name:
            return {
                (("worker", worker.worker),): 1.0 if worker.state == "wedged" else 0.0
                for worker in self._registry.all()
                if worker.state in ALIVE
            }
        if metric in self._findings:
            return self._findings[metric]()
        if metric == CLOCK_SKEW.name:
            return {
                (("worker", worker.worker),): worker.clock_skew_s
                for worker in self._registry.all()
                if worker.state in ALIVE
            }
        if metric == INGEST_LAG.name:
            return self._lag()
        return {} if self._measured is None else self._measured.read(metric)

    def _lag(self) -> dict[Labels, float]:
        now = self._clock.now()
        waiting_since = self._waiting_since()
        lag_s = None if waiting_since is None else max(0.0, now - waiting_since)
        if self._lag_s is not None:
            # How far behind the last ones were says nothing of now when nothing has come since.
            last_s = self._lag_s if now - self._stored_at <= _LAG_KEPT_S else 0.0
            lag_s = last_s if lag_s is None else max(lag_s, last_s)
        return {} if lag_s is None else {(): lag_s}

    def _fresh(self) -> list[QueueReading]:
        oldest = self._clock.now() - STALE_S
        with self._lock:
            stale = [key for key, reading in self._readings.items() if reading.at < oldest]
            for key in stale:
                del self._readings[key]
            return list(self._readings.values())


def _queue_labels(reading: QueueReading) -> Labels:
    return (("service", reading.service), ("queue", reading.queue))
