"""What this process measures besides its runs: counters, gauges and distributions, kept cheaply while things happen.

A child is one series of a metric. Callers look it up once and keep it: counting is then an addition, observing an
append. Without a lock: CPython switches threads only at calls and jumps backwards, and there is neither between reading
a count and writing it (https://docs.python.org/3/glossary.html#term-global-interpreter-lock).
"""

import threading
from collections import Counter as Counted
from collections.abc import Callable, Iterator
from math import ceil, log2
from typing import Generic, TypeVar

from huoyan.client import breakdown
from huoyan.client.guard import warn
from huoyan.model.grid import BOUND_TOLERANCE_LOG2, LARGEST, ZERO_THRESHOLD
from huoyan.model.histogram import DEFAULT_SCHEMA, Histogram
from huoyan.model.labels import Budget, clean_label_value
from huoyan.signals.measured import MOST_REACHED, Step
from huoyan.signals.metric import Metric, MetricKind

SCALE = 2.0**DEFAULT_SCHEMA
"""Buckets per doubling of a value."""

MOST_HELD = 64
"""Observations that one series holds before it puts them into buckets."""


class Counter:
    """A count that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, n: float = 1.0) -> None:
        """Count `n` more; what is not positive and finite counts nothing."""
        if 0.0 < n <= LARGEST:
            self.value += n


class Gauge:
    """A value of this moment, None while it is unknown.

    Attributes:
        set_at: When it was set, seconds since 1970 UTC; told by those gauges alone of which the last one counts.
    """

    __slots__ = ("set_at", "value")

    def __init__(self) -> None:
        self.value: float | None = None
        self.set_at = 0.0

    def set(self, value: float | None) -> None:
        """Set it; None says that it is not known any more."""
        self.value = value

    def set_later(self, at: float) -> None:
        """Set it to a time, unless it is later already."""
        if self.value is None or at > self.value:
            self.value = at

    def add(self, n: float = 1.0) -> None:
        """Add to it, from zero while it is unknown."""
        self.value = (self.value or 0.0) + n


class Distribution:
    """Observations in the buckets of an exponential histogram, see `huoyan.model.grid`.

    They are held, a few at a time, and put into buckets together: between two pieces of other work a logarithm costs
    ten times of what it costs in a loop, more than all else that is done for a call (`bench/dependency_overhead.py`).

    Attributes:
        held: Observations that are in no bucket yet. What appends to it itself calls `sort` once they are `MOST_HELD`.
    """

    __slots__ = ("_buckets", "_total", "_zeros", "held")

    def __init__(self) -> None:
        self.held: list[float] = []
        self._buckets: Counted[int] = Counted()
        self._zeros = 0
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation; below zero counts as zero, and what is no finite number counts nothing."""
        held = self.held
        held.append(value)
        if len(held) >= MOST_HELD:
            self.sort()

    def sort(self) -> None:
        """Put what is held into buckets."""
        # Nobody appends to a list taken away: there is no call between looking it up and appending.
        held, self.held = self.held, []
        if not held:
            return
        total = sum(held)
        # What is no number makes no sum.
        if not (min(held) > ZERO_THRESHOLD and total <= LARGEST):
            zeros = sum(value <= ZERO_THRESHOLD for value in held)
            self._zeros += zeros
            held = [value for value in held if ZERO_THRESHOLD < value <= LARGEST]
            total = sum(held)
        self._buckets.update([ceil((log - BOUND_TOLERANCE_LOG2) * SCALE) for log in map(log2, held)])
        self._total += total

    @property
    def buckets(self) -> dict[int, int]:
        """Index of the bucket at the default schema → observations in it."""
        self.sort()
        return self._buckets

    @property
    def zeros(self) -> int:
        """Observations of zero, or too small to be told from it."""
        self.sort()
        return self._zeros

    @property
    def total(self) -> float:
        """Sum of all observations."""
        self.sort()
        return self._total

    @property
    def count(self) -> int:
        """How many observations there were."""
        return self.zeros + sum(dict(self._buckets).values())

    def read(self) -> tuple[dict[int, int], int, float]:
        """Return the buckets as they are now, the zeros and the sum."""
        return dict(self.buckets), self._zeros, self._total

    def histogram(self) -> Histogram:
        """Return the observations so far as a histogram of its own."""
        return histogram_of(*self.read())


def histogram_of(buckets: dict[int, int], zeros: int, total: float) -> Histogram:
    """Return a histogram with these counts at the default schema; its extremes are the bounds of its buckets."""
    count = zeros + sum(buckets.values())
    low = 0.0 if zeros or not buckets else 2.0 ** ((min(buckets) - 1) / SCALE)
    high = min(2.0 ** min(max(buckets) / SCALE, 1023.0), LARGEST) if buckets else 0.0
    parts = (DEFAULT_SCHEMA, zeros, total, low, high, sorted(buckets), [buckets[index] for index in sorted(buckets)])
    return Histogram.from_parts(parts) if count else Histogram()


Child = TypeVar("Child", Counter, Gauge, Distribution)


class Family(Generic[Child]):
    """All series of one metric in this process.

    Args:
        metric: The metric; its labels name the values of a series.
        make: Makes a new series.
    """

    def __init__(self, metric: Metric, make: Callable[[], Child]) -> None:
        self.metric = metric
        self.budget = Budget(metric.name, metric.labels)
        self._make: Callable[[], Child] = make
        self._children: dict[tuple[str, ...], Child] = {}

    def child(self, values: tuple[object, ...] = ()) -> Child:
        """Return the series with these label values, the same one each time.

        Args:
            values: One for each label of the metric, in its order. They are cleaned; combinations over the budget share
                the series `other`.
        """
        found = self._children.get(values)  # type: ignore[arg-type]
        if found is not None:
            return found
        if len(values) != len(self.metric.labels):
            warn(
                f"measure-{self.metric.name}",
                "huoyan: %s: expected values for the labels %s, got %d; the series is not told apart",
                self.metric.name,
                self.metric.labels,
                len(values),
            )
            values = tuple(values[: len(self.metric.labels)]) + ("",) * (len(self.metric.labels) - len(values))
        key = self.budget.admit(tuple(clean_label_value(value) for value in values))
        # Kept under the admitted values alone: those beyond the budget must not fill memory.
        return self._children.setdefault(key, self._make())

    def series(self) -> Iterator[tuple[tuple[str, ...], Child]]:
        """Return (label values, series) of all there are."""
        return iter(list(self._children.items()))


class Measurements:
    """Everything that one process measures, by metric.

    Attributes:
        on_first: Called once, with the next metric that is measured for the first time.
        reaching: Held while a key is noted at a step and counted there: what is told of both goes together.
    """

    def __init__(self, on_first: Callable[[], None] | None = None) -> None:
        self.on_first = on_first
        self._lock = threading.Lock()
        self.reaching = threading.Lock()
        self._reached: dict[Step, list[str]] = {}
        self._reached_count = 0
        self._families: dict[str, Family[Counter] | Family[Gauge] | Family[Distribution]] = {}

    def counter(self, metric: Metric) -> Family[Counter]:
        """Return the series of a counter.

        Raises:
            ValueError: The metric is of another kind, or one of this name has other labels.
        """
        return self._family(metric, MetricKind.COUNTER, Counter)

    def gauge(self, metric: Metric) -> Family[Gauge]:
        """Return the series of a gauge.

        Raises:
            ValueError: As for `counter`.
        """
        return self._family(metric, MetricKind.GAUGE, Gauge)

    def distribution(self, metric: Metric) -> Family[Distribution]:
        """Return the series of a distribution.

        Raises:
            ValueError: As for `counter`.
        """
        return self._family(metric, MetricKind.DISTRIBUTION, Distribution)

    def reach(self, step: Step, key: str) -> None:
        """Note, holding `reaching`, that a key reached a step, so that the server can tell repetitions elsewhere."""
        if self._reached_count < MOST_REACHED:
            self._reached_count += 1
            self._reached.setdefault(step, []).append(key)

    def take_reached(self) -> dict[Step, list[str]]:
        """Return, holding `reaching`, what was noted since the last time."""
        taken, self._reached, self._reached_count = self._reached, {}, 0
        return taken

    def families(self) -> "list[Family[Counter] | Family[Gauge] | Family[Distribution]]":
        """Return all metrics with their series, in the order in which they were first used."""
        breakdown.measure_open()
        with self._lock:
            return list(self._families.values())

    def _family(self, metric: Metric, kind: MetricKind, make: Callable[[], Child]) -> Family[Child]:
        found = self._families.get(metric.name)
        if found is None:
            if metric.kind is not kind:
                raise ValueError(f"{metric.name}: expected a {kind}, got a {metric.kind}")
            with self._lock:
                found = self._families.setdefault(metric.name, Family(metric, make))
            begin, self.on_first = self.on_first, None
            if begin is not None:
                begin()
        if found.metric.kind is not kind or found.metric.labels != metric.labels:
            raise ValueError(
                f"{metric.name}: expected a {found.metric.kind} with the labels {found.metric.labels}, as before, "
                f"got a {kind} with {metric.labels}"
            )
        return found  # type: ignore[return-value]
