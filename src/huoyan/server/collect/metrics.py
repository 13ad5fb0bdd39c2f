"""The task metrics that `/metrics` exports: monotone counters since the process started."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from huoyan.model.histogram import Histogram
from huoyan.model.rollup import Fact, Rollup, Series
from huoyan.signals.metrics.server import BLIND, EVENTS_LOST, EVENTS_RECEIVED, INGEST_LAG
from huoyan.signals.metrics.work import (
    CLOCK_SKEW,
    LEDGER_DISCREPANCIES,
    QUEUE_DEPTH,
    QUEUE_OLDEST_AGE,
    SCHEDULER_DEAD,
    TASK_DUPLICATES,
    TASK_DURATION,
    TASK_FAILURES,
    TASK_RETRIES,
    TASK_RUNS,
    TASK_WAIT,
    TASKS_ACTIVE,
    TASKS_ENQUEUED,
    TASKS_STUCK,
    WORKER_UP,
    WORKER_WEDGED,
)

_COUNTED_BY_TASK = (
    TASK_RUNS,
    TASK_DURATION,
    TASK_WAIT,
    TASK_FAILURES,
    TASK_RETRIES,
    TASK_DUPLICATES,
    TASKS_ENQUEUED,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of a metric: its labels, and a number or a distribution."""

    value: float | Histogram
    labels: Mapping[str, str] = field(default_factory=dict)


GAUGES = (
    TASKS_ACTIVE,
    TASKS_STUCK,
    QUEUE_DEPTH,
    QUEUE_OLDEST_AGE,
    LEDGER_DISCREPANCIES,
    WORKER_UP,
    WORKER_WEDGED,
    SCHEDULER_DEAD,
    CLOCK_SKEW,
    BLIND,
    INGEST_LAG,
)
"""The gauges that the collector knows."""

Labels = tuple[tuple[str, str], ...]
GaugeReader = Callable[[str], Mapping[Labels, float]]
"""Returns the values of a gauge now by its labels; what is unknown is left out."""


class Metrics:
    """Counters and distributions since the start, gauges of now. Safe to use from any thread.

    Counters start at 0 with the process; Prometheus takes that for the reset it is. The series of the last day are
    there from the start, at 0, so that the first increase after it is seen. A run that moves from one state to another
    (lost, then succeeded after all) counts in both: an exported counter never falls.

    Args:
        gauges: Reads the gauges.
    """

    def __init__(self, gauges: GaugeReader) -> None:
        self._gauges = gauges
        self._lock = threading.Lock()
        self._rollups: dict[Series, Rollup] = {}
        self._own: dict[str, float] = {EVENTS_RECEIVED.name: 0.0, EVENTS_LOST.name: 0.0}

    def know(self, series: Iterable[Series]) -> None:
        """Show these series from now on, if only with zeros."""
        with self._lock:
            for one in series:
                self._rollups.setdefault(one, Rollup())

    def add(self, counted: Mapping[tuple[Series, int], Rollup], news: Iterable[tuple[Series, Fact]] = ()) -> None:
        """Add what was newly counted, as rollups of any time and as single facts."""
        with self._lock:
            for (one, _), rollup in counted.items():
                self._of(one).merge(rollup)
            for one, fact in news:
                self._of(one).count(fact)

    def count(self, metric: str, number: float) -> None:
        """Add to a counter of the server itself."""
        with self._lock:
            self._own[metric] += number

    def own(self) -> dict[str, float]:
        """Return the counters of the server itself."""
        with self._lock:
            return dict(self._own)

    def collect(self) -> dict[str, list[Sample]]:
        """Return metric name → samples, by the names of the public contract."""
        samples: dict[str, list[Sample]] = {metric.name: [] for metric in _COUNTED_BY_TASK}
        with self._lock:
            for one, rollup in self._rollups.items():
                labels = one._asdict()
                samples[TASKS_ENQUEUED.name].append(Sample(rollup.enqueued, labels))
                samples[TASK_RETRIES.name].append(Sample(rollup.retries, labels))
                samples[TASK_DUPLICATES.name].append(Sample(rollup.duplicates, labels))
                samples[TASK_RUNS.name] += [
                    Sample(number, {**labels, "state": state}) for state, number in rollup.finished.items()
                ] or [Sample(0, {**labels, "state": "succeeded"})]
                samples[TASK_FAILURES.name] += [
                    Sample(number, {**labels, "exception": name}) for name, number in rollup.exceptions.items()
                ]
                samples[TASK_DURATION.name] += [
                    Sample(histogram.copy(), {**labels, "state": state})
                    for state, histogram in rollup.durations.items()
                ]
                if rollup.waits is not None:
                    samples[TASK_WAIT.name].append(Sample(rollup.waits.copy(), labels))
            for name, value in self._own.items():
                samples[name] = [Sample(value)]
        for metric in GAUGES:
            samples[metric.name] = [Sample(value, dict(labels)) for labels, value in self._gauges(metric.name).items()]
        return samples

    def _of(self, series: Series) -> Rollup:
        rollup = self._rollups.get(series)
        if rollup is None:
            rollup = self._rollups[series] = Rollup()
        return rollup
