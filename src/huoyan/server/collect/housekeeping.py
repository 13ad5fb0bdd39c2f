"""The periodic services of collecting that nobody waits for: gauges, search index, retention."""

import logging
import time
from collections.abc import Callable, Mapping

from huoyan.clock import Clock
from huoyan.server.collect.gauges import Gauges
from huoyan.server.collect.metrics import Labels, Metrics
from huoyan.server.collect.registry import Registry
from huoyan.server.collect.samples import Samples
from huoyan.server.collect.settings import CollectorSettings
from huoyan.server.store import Store
from huoyan.server.store.gauges import GaugeSample
from huoyan.server.store.search import TextIndex
from huoyan.signals.metrics.work import TASKS_ACTIVE

_LOG = logging.getLogger(__name__)

SAMPLE_EVERY_S = 5.0
SAVE_EVERY_S = 15.0
INDEX_EVERY_S = 1.0
INDEX_BUDGET_S = 0.5
RETAIN_EVERY_S = 60.0
RETAIN_BUDGET_S = 20.0
_BATCH_RUNS = 500


class GaugeSampler:
    """Remembers gauges every 5 seconds, and saves them and the server's own counters for the charts of later days."""

    name = "gauges"
    interval_s = SAMPLE_EVERY_S

    def __init__(self, store: Store, gauges: Gauges, samples: Samples, metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._gauges = gauges
        self._samples = samples
        self._metrics = metrics
        self._clock = clock
        self._active: Mapping[Labels, float] = {}
        self._unsaved: list[GaugeSample] = []
        self._saved_at = 0.0
        self._saved_counters: dict[str, float] = {}

    def run_once(self) -> None:
        """Take a sample, and save when it is time."""
        now = self._clock.now()
        gauges = {metric: self._gauges.read(metric) for metric in self._gauges.names()}
        self._samples.add(now, gauges)
        self._unsaved += [
            GaugeSample(metric, labels, now, value)
            for metric, values in gauges.items()
            for labels, value in values.items()
            # Thousands of tasks of which none runs are not written down again and again.
            if value or metric != TASKS_ACTIVE.name or self._active.get(labels, 0.0)
        ]
        self._active = gauges[TASKS_ACTIVE.name]
        if now - self._saved_at >= SAVE_EVERY_S or now < self._saved_at:
            self.save()

    def save(self) -> None:
        """Write what was sampled since the last time."""
        now = self._clock.now()
        samples, self._unsaved = self._unsaved, []
        try:
            self._store.gauges.record(samples)
            counters = self._metrics.own()
            increases = {name: value - self._saved_counters.get(name, 0.0) for name, value in counters.items()}
            self._store.gauges.count(increases, now)
        except Exception:
            # Kept for the next time, but not without bound.
            self._unsaved = samples[-100_000:] + self._unsaved
            raise
        self._saved_counters = counters
        self._saved_at = now


class TextIndexer:
    """Indexes the texts of new runs for the search, a moment at a time, so that the collector never waits for it."""

    name = "search index"
    interval_s = INDEX_EVERY_S

    def __init__(self, texts: TextIndex) -> None:
        self._texts = texts

    def run_once(self) -> int:
        """Index for half a second at most and return how many runs that were."""
        until = time.monotonic() + INDEX_BUDGET_S
        done = 0
        while step := self._texts.index(_BATCH_RUNS):
            done += step
            if step < _BATCH_RUNS or time.monotonic() >= until:
                break
        return done


class Retention:
    """Deletes what is older than it is to be kept, in small transactions.

    Args:
        settings: How long runs, rollups, failure groups and gaps are kept; gone workers no longer than is said there.
        deleted: Is called after runs were deleted.
    """

    name = "retention"
    interval_s = RETAIN_EVERY_S

    def __init__(
        self,
        store: Store,
        registry: Registry,
        clock: Clock,
        settings: CollectorSettings,
        deleted: Callable[[], None],
    ) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock
        self._settings = settings
        self._retention_s = settings.retention_s
        self._deleted = deleted

    def run_once(self) -> int:
        """Delete for 20 seconds at most and return how many runs that were."""
        before = self._clock.now() - self._retention_s
        until = time.monotonic() + RETAIN_BUDGET_S
        store = self._store
        done = 0
        while step := store.runs.delete_before(before, _BATCH_RUNS):
            done += step
            if time.monotonic() >= until:
                break
        if done:
            self._deleted()
            _LOG.info("%d runs older than %g days were deleted", done, self._retention_s / 86_400.0)
        now = self._clock.now()
        closed_before, down_before = (
            max(before, now - self._settings.closed_kept_s),
            max(before, now - self._settings.down_kept_s),
        )
        self._registry.forget_before(closed_before, down_before)
        store.workers.delete_before(closed_before, down_before)
        for kept in (
            store.rollups,
            store.gauges,
            store.failures,
            store.gaps,
            store.deploys,
            store.queues,
            store.truth,
            store.measured,
        ):
            kept.delete_before(before)
        return done
