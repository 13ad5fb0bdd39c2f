"""The collector: one thread that makes runs, rollups and live facts of what sources report."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.model.event import ProcessReport, QueueReading, TaskEvent
from huoyan.server.collect.live import Bus
from huoyan.server.collect.metrics import Metrics
from huoyan.server.collect.source import LiveSource
from huoyan.server.store import Store


class Service(Protocol):
    """A periodic service of the server."""

    name: str
    interval_s: float

    def run_once(self) -> None:
        """Do what is due now."""
        ...


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that could not be merged; `index` is its place in the submission."""

    index: int
    run_id: str
    reason: str


class Receipt(int):
    """How many events of a submission are stored; `rejected` names the others."""

    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """Bounds of the collector.

    Attributes:
        max_pending_events: Events that may wait to be stored; beyond it `submit` blocks and `offer` refuses.
        max_batch_events: Events that are stored in one transaction at most.
        submit_timeout_s: How long `submit` blocks before it gives up.
        live_runs: Runs that have not ended kept in memory to spare reading them again.
        series_budget: Series (service, task, queue) counted apart; further tasks are counted as `other`.
        retention_s: How long runs, rollups and gaps are kept.
    """

    max_pending_events: int = 200_000
    max_batch_events: int = 20_000
    submit_timeout_s: float = 10.0
    live_runs: int = 50_000
    series_budget: int = 10_000
    retention_s: float = 14 * 86_400.0


class Collector:
    """Takes events from any thread, stores them in one of its own.

    Attributes:
        bus: Where changes are told.
        metrics: The counters, distributions and gauges for `/metrics`.
    """

    store: Store
    bus: Bus
    metrics: Metrics

    def __init__(
        self,
        store: Store,
        clock: Clock = SYSTEM_CLOCK,
        bus: Bus | None = None,
        settings: CollectorSettings | None = None,
    ) -> None:
        ...

    def start(self) -> None:
        """Restore what is live from the store and start the thread."""
        ...

    def stop(self, timeout_s: float = 10.0) -> None:
        """Store what waits, then end the thread. What cannot be stored in time fails its future and counts as lost."""
        ...

    def submit(
        self,
        events: Sequence[TaskEvent],
        *,
        process: ProcessReport | None = None,
        queues: Sequence[QueueReading] = (),
        received_at: float | None = None,
        sent_at: float | None = None,
        source: str = "http",
    ) -> Future[Receipt]:
        """Hand over what a source reports; the future is done when it is stored.

        Args:
            events: Facts; the collector owns them from now on.
            process: What the sending process says of itself.
            queues: Readings of queues.
            received_at: When the server got it, seconds since 1970 UTC; default now.
            sent_at: When the sender sent it, by its own clock; None for streams.
            source: What it came through, for messages and counters: `http`, `celery-events`.

        Raises:
            Unreachable: The bound was hit and nothing moved for `submit_timeout_s`.
        """
        ...

    def offer(
        self,
        events: Sequence[TaskEvent],
        *,
        process: ProcessReport | None = None,
        queues: Sequence[QueueReading] = (),
        received_at: float | None = None,
        sent_at: float | None = None,
        source: str = "stream",
    ) -> Future[Receipt] | None:
        """Do as `submit` but never block: None says that the bound was hit and nothing was taken."""
        ...

    def count_lost(self, events: int, source: str) -> None:
        """Count events that a source had to drop for good in `huoyan_events_lost_total`."""
        ...

    def run_once(self) -> int:
        """Store what waits in the calling thread and return how many events that were; for use without `start`."""
        ...

    def flush(self, timeout_s: float = 10.0) -> None:
        """Wait until everything handed over so far is stored.

        Raises:
            Unreachable: It took longer than `timeout_s`.
        """
        ...

    def source(self) -> LiveSource:
        """Return what the signals read: the last hour by 5 seconds, what was before by the minute."""
        ...

    def services(self) -> list[Service]:
        """Return the periodic services of collecting: liveness, gauges, search index, rollups by the hour, retention."""
        ...
