"""The collector: one thread that makes runs, rollups and live facts of what sources report.

    submit ─► queue ─► prepare (skew, service, fingerprint) ─► fold by run ─► write, one transaction ─► futures, bus
                                                        │                      │
                                                        └── runs in hand ◄─────┘

What cannot be written because the database is away is tried again until it can be; meanwhile the queue fills, and when
it is full, sources have to wait. What can never be written (an event that breaks the merge) is set apart and rejected
by name.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Protocol

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.errors import Unreachable
from huoyan.model.event import EventGap, ProcessReport, QueueReading, TaskEvent
from huoyan.model.rollup import slot_of
from huoyan.server.collect.active import Active
from huoyan.server.collect.announcer import Announcer
from huoyan.server.collect.attempts import OpenAttempts
from huoyan.server.collect.fold import Bounds
from huoyan.server.collect.gauges import Gauges
from huoyan.server.collect.host import Host
from huoyan.server.collect.housekeeping import GaugeSampler, Retention, TextIndexer
from huoyan.server.collect.intake import Intake
from huoyan.server.collect.live import Bus
from huoyan.server.collect.liveness import Liveness
from huoyan.server.collect.measured import MeasurementAging, MeasurementCollector
from huoyan.server.collect.metrics import Labels, Metrics
from huoyan.server.collect.pulse import Pulses, Stuck
from huoyan.server.collect.recent import MINUTE_S, Recent
from huoyan.server.collect.recorder import Outcome, Recorder
from huoyan.server.collect.registry import ALIVE, Registry
from huoyan.server.collect.samples import Samples
from huoyan.server.collect.settings import CollectorSettings
from huoyan.server.collect.skew import SkewEstimator
from huoyan.server.collect.source import LiveSource
from huoyan.server.collect.submission import Receipt, Submission
from huoyan.server.collect.wedge import Wedge
from huoyan.server.store import Store
from huoyan.server.store.codec import decode_rollup
from huoyan.signals.metrics.server import EVENTS_LOST, EVENTS_RECEIVED
from huoyan.signals.metrics.work import TASKS_STUCK

__all__ = ["Collector", "CollectorSettings", "Receipt", "Service"]

_LOG = logging.getLogger(__name__)

_SERIES_KNOWN_S = 86_400.0


class Service(Protocol):
    """A periodic service of the server."""

    name: str
    interval_s: float

    def run_once(self) -> object:
        """Do what is due now."""
        ...


class Collector:
    """Takes events from any thread, stores them in one of its own.

    Attributes:
        bus: Where changes are told.
        metrics: The counters, distributions and gauges for `/metrics`.
        measured: What processes measure.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock = SYSTEM_CLOCK,
        bus: Bus | None = None,
        settings: CollectorSettings | None = None,
    ) -> None:
        self.store = store
        self.bus = bus if bus is not None else Bus()
        self.settings = settings if settings is not None else CollectorSettings()
        self._clock = clock
        self._intake = Intake(self.settings)
        skew = SkewEstimator()
        self._registry = Registry(skew, self.settings.missed_reports)
        self._active = Active()
        self.measured = MeasurementCollector(store, clock, self.settings.measured_series)
        self._gauges = Gauges(self._active, self._registry, clock, self._intake.waiting_since, self.measured.gauges)
        self.metrics = Metrics(self._gauges.read)
        self._recent = Recent(clock.now())
        self._bounds = Bounds(self.settings.series_budget)
        self._announcer = Announcer(self.bus)
        self._recorder = Recorder(store, clock, self._bounds, self._registry, skew, self.settings.live_runs)
        samples = Samples(clock.now())
        self._source = LiveSource(store, self._recent, samples, self._gauges, clock, self.measured.recent)
        self._attempts = OpenAttempts()
        self._liveness = Liveness(store, self._registry, self.bus, clock, self._emit, self._attempts)
        self._sampler = GaugeSampler(store, self._gauges, samples, self.metrics, clock)
        self._pulses = Pulses(self.settings.heartbeats)
        stuck = Stuck(store, self._pulses, self.bus, clock, self.settings.missed_heartbeats)
        self._gauges.found_by(TASKS_STUCK.name, stuck.gauge)
        self._services: list[Service] = [
            self._liveness,
            stuck,
            Wedge(store, self._registry, self._gauges, clock, self.settings.wedged_after_s),
            self._sampler,
            TextIndexer(store.texts),
            MeasurementAging(store, clock),
            Host(self.measured.gauges, clock),
            Retention(store, self._registry, clock, self.settings, self._active_changed),
        ]
        self._working = threading.Lock()
        self._restored = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Restore what is live from the store and start the thread."""
        with self._working:
            self._restore()
        if self._thread is None:
            self._intake.open()
            self._thread = threading.Thread(target=self._run, name="huoyan-collector", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Store what waits, then end the thread. What cannot be stored in time fails its future and counts as lost."""
        self._intake.close(timeout_s)
        if self._thread is not None:
            self._thread.join(timeout_s + 5.0)
            self._thread = None
        elif self._restored:
            self.run_once()
        for submission in self._intake.clear():
            self._give_up(submission)
        self._announcer.flush()
        if self._restored:
            self._sampler.save()

    def submit(
        self,
        events: Sequence[TaskEvent],
        *,
        process: ProcessReport | None = None,
        queues: Sequence[QueueReading] = (),
        received_at: float | None = None,
        sent_at: float | None = None,
        source: str = "http",
        gaps: Sequence[EventGap] = (),
        gone: Sequence[str] = (),
    ) -> Future[Receipt]:
        """Hand over what a source reports; the future is done when it is stored.

        Args:
            events: Facts; the collector owns them from now on.
            process: What the sending process says of itself.
            queues: Readings of queues.
            received_at: When the server got it, seconds since 1970 UTC; default now. An event's own `received_at` goes
                before it.
            sent_at: When the sender sent it, by its own clock; None when it does not say.
            source: What it came through, for messages and counters: `http`, `celery-events`.
            gaps: Times of which events were dropped.
            gone: Processes that were killed, and have said all that they had to say.

        Raises:
            Unreachable: The bound was hit and nothing moved for `submit_timeout_s`, or the collector is stopping.
        """
        submission = self._submission(events, process, queues, received_at, sent_at, source, gaps, gone)
        self._intake.put(submission)
        return submission.future

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
        submission = self._submission(events, process, queues, received_at, sent_at, source)
        return submission.future if self._intake.offer(submission) else None

    def _submission(
        self,
        events: Sequence[TaskEvent],
        process: ProcessReport | None,
        queues: Sequence[QueueReading],
        received_at: float | None,
        sent_at: float | None,
        source: str,
        gaps: Sequence[EventGap] = (),
        gone: Sequence[str] = (),
    ) -> Submission:
        at = self._clock.now() if received_at is None else received_at
        return Submission(events, process, queues, at, sent_at, source, gaps, gone)

    def count_lost(self, events: int, source: str) -> None:
        """Count events that a source had to drop for good in `huoyan_events_lost_total`."""
        if events > 0:
            _LOG.warning("%s: %d events are lost", source, events)
            self._count({EVENTS_LOST.name: events})

    def _count(self, increases: dict[str, float]) -> None:
        for metric, increase in increases.items():
            self.metrics.count(metric, increase)
        self._recent.count(increases, self._clock.now())

    def run_once(self) -> int:
        """Store what waits in the calling thread and return how many events that were; for use without `start`."""
        with self._working:
            self._restore()
            done = 0
            while batch := self._intake.take():
                done += sum(len(submission.events) for submission in batch)
                self._work(batch)
            self._announcer.flush()
            return done

    def flush(self, timeout_s: float = 10.0) -> None:
        """Wait until everything handed over so far is stored.

        Raises:
            Unreachable: It took longer than `timeout_s`.
        """
        if self._thread is None:
            self.run_once()
            return
        last = self._intake.last()
        deadline = time.monotonic() + timeout_s
        try:
            if last is not None:
                last.exception(timeout_s)
        except TimeoutError as error:
            raise Unreachable(
                f"collector: expected to have stored everything within {timeout_s:g} s, it has not"
            ) from error
        # What was taken before is stored when the thread is not at work, or is at work on something younger.
        if not self._working.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise Unreachable(f"collector: expected to have stored everything within {timeout_s:g} s, it has not")
        self._working.release()

    def source(self) -> LiveSource:
        """Return what the signals read: the last hour by 5 seconds, what was before by the minute."""
        return self._source

    def take(self, events: list[TaskEvent]) -> None:
        """Take verdicts of the ledger."""
        self.submit(events, source="ledger")

    def found_by(self, metric: str, read: Callable[[], Mapping[Labels, float]]) -> None:
        """Let a service answer for a gauge: `read` returns its values now by their labels."""
        self._gauges.found_by(metric, read)

    def hosts(self) -> list[tuple[str, str]]:
        """Return service and host of every worker that is alive."""
        return [(worker.service, worker.host) for worker in self._registry.all() if worker.state in ALIVE]

    def silent(self, framework: str) -> list[str]:
        """Return the workers of a framework of which a report is overdue."""
        return self._registry.silent(framework, self._clock.now())

    def connected(self, workers: Iterable[str]) -> None:
        """Take which silent workers their broker still has the connection of: they are given more time."""
        self._registry.connected(workers, self._clock.now())

    def services(self) -> list[Service]:
        """Return the periodic services of collecting: liveness, gauges, search index, retention."""
        return self._services

    @property
    def pending_events(self) -> int:
        """How many events wait to be stored."""
        return self._intake.events

    def _active_changed(self) -> None:
        """Read anew how many runs are being executed, after runs were deleted."""
        with self._working:
            self._active.restore(self._recorder.active())

    def _emit(self, events: list[TaskEvent]) -> None:
        self.submit(events, source="liveness")

    def _restore(self) -> None:
        if self._restored:
            return
        now = self._clock.now()
        store = self.store
        self._registry.restore(store.workers.list(), now)
        self._active.restore(self._recorder.active())
        known = store.rollups.series(now - _SERIES_KNOWN_S)
        self.metrics.know(self._bounds.series(series) for series in known.values())
        minute = slot_of(now, MINUTE_S)
        present = {
            known[int(row.key)]: decode_rollup(row.data)
            for row in store.rollups.read("minutes", minute, minute + MINUTE_S)
            if row.key in known
        }
        if present:
            self._recent.restore(minute, present)
        self._restored = True

    def _run(self) -> None:
        began = -self.settings.linger_s
        # Rows that were held back for the page go out even when nothing more comes.
        while self._intake.wait(self._announcer.due_in_s):
            self._intake.linger(began)
            began = time.monotonic()
            with self._working:
                batch = self._intake.take()
                if batch:
                    self._work(batch)
            self._announcer.tell()

    def _work(self, batch: list[Submission]) -> None:
        try:
            outcome = self._recorder.record(batch, self._intake.may_try_again)
        except Exception:  # noqa: BLE001 - a mistake of ours must not end the collector, nor leave anybody waiting
            _LOG.exception("a batch could not be stored")
            outcome = None
        if outcome is None:
            self._intake.done()
            for submission in batch:
                self._give_up(submission)
            return
        now = self._clock.now()
        self._believe(outcome, now)
        self._count({EVENTS_RECEIVED.name: outcome.stored, EVENTS_LOST.name: outcome.dropped})
        newest = max((s.received_at for s in batch if s.events), default=None)
        if newest is not None:
            self._gauges.stored(newest, now)
        for submission in batch:
            self._registry.gone(submission.gone)
            rejected = tuple(outcome.rejected.get(id(submission), {}).values())
            receipt = Receipt(len(submission.events) - len(rejected))
            receipt.rejected = rejected
            _settle(submission.future, receipt)
        self._intake.done()
        self._announcer.note(outcome)

    def _believe(self, outcome: Outcome, now: float) -> None:
        """Take what is stored now into what is known in memory."""
        for changes in outcome.changes:
            self._recent.add(changes.counted, changes.corrected)
            self.metrics.add(changes.counted, changes.news)
            self._active.add(changes.active.items())
            self._registry.worked(changes.workers, now)
            self._pulses.note(changes.entries, now)
            self._attempts.note(changes.entries)
        self._gauges.readings(outcome.queues)
        self._liveness.told(outcome.gaps)
        self._recent.prune(now)

    def _give_up(self, submission: Submission) -> None:
        self.count_lost(len(submission.events), submission.source)
        error = Unreachable("collector: expected to store these events, got no answer from the database before the end")
        try:
            submission.future.set_exception(error)
        except InvalidStateError:
            return


def _settle(future: Future[Receipt], receipt: Receipt) -> None:
    try:
        future.set_result(receipt)
    except InvalidStateError:
        # Whoever waited has given up; the events are stored all the same.
        return
