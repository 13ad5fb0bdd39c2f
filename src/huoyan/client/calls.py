"""Calls of dependencies: counted, timed, and part of the breakdown of the request or run that made them.

One call is begun and finished by the hook around it:

    call = begin()
    try: …
    finally: series.finish(call, failed)
"""

import os
from time import perf_counter, time
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from huoyan.client import breakdown
from huoyan.client.breakdown import Collector
from huoyan.client.measurements import MOST_HELD, Counter, Distribution, Gauge
from huoyan.client.part import Key
from huoyan.signals.metric import Metric
from huoyan.signals.metrics.application import DEPENDENCY_LAST_SUCCESS

if TYPE_CHECKING:
    from huoyan.client.process import Client

Call = tuple[Collector | None, float]
"""The collector that the call began for, and when."""

_MAX_SERIES = 2_000
_current = breakdown.current


def begin() -> Call:
    """Begin a call."""
    collector = _current()
    if collector is not None:
        collector.open += 1
    return collector, perf_counter()


class Series:
    """All calls that are counted under the same label values.

    Args:
        distribution: Gets their durations; None for calls that wait on purpose.
        errors: Counts those that failed; None where the caller counts them by reason.
        last_success: Gets the time of the last one that did not fail.
        key: Component, operation and target in breakdowns.
    """

    __slots__ = ("distribution", "errors", "key", "last_success", "observe")

    def __init__(
        self,
        distribution: Distribution | None,
        errors: Counter | None,
        last_success: Gauge | None,
        key: Key,
    ) -> None:
        self.distribution = distribution
        self.observe = None if distribution is None else distribution.observe
        self.errors = errors
        self.last_success = last_success
        self.key = key

    def finish(self, call: Call, failed: bool = False) -> None:
        """End a call that `begin` began."""
        collector = call[0]
        if collector is not None:
            collector.open -= 1
        self.count(call, failed)

    def count(self, call: Call, failed: bool = False) -> None:
        """Count a call that ends now and was not begun by `begin`."""
        ended = perf_counter()
        collector, started = call
        if collector is not None and not failed and not collector.closed:
            collector.add(started, ended, self, False)
            return
        if self.observe is not None:
            self.observe(ended - started)
        if failed:
            if self.errors is not None:
                self.errors.add()
        elif self.last_success is not None:
            self.last_success.value = time()
        if collector is not None:
            collector.add(started, ended, self.key, failed)

    def measured(self, ended: float) -> None:
        """Take note that durations were appended to those that the distribution holds.

        Args:
            ended: When the last of these calls ended, a reading of `perf_counter`.
        """
        distribution = self.distribution
        if distribution is not None and len(distribution.held) >= MOST_HELD:
            distribution.sort()
        if self.last_success is not None:
            self.last_success.set_later(time() - (perf_counter() - ended))


class LongCall:
    """A call that is made in several pieces of time, as a statement is whose rows are looked for one by one.

    It is one call, as long as its pieces together; what the caller does between them is none of it.

    Args:
        series: Under which it counts.
        call: What `begin` returned for the first piece, which ends now.
    """

    __slots__ = ("_collector", "_failed", "_series", "_spent_s")

    def __init__(self, series: Series, call: Call) -> None:
        ended = perf_counter()
        collector, started = call
        self._series: Series | None = series
        self._collector = collector
        self._spent_s = ended - started
        self._failed = False
        if collector is not None:
            collector.open -= 1
            collector.add(started, ended, series.key, False)

    def add(self, started: float, failed: bool) -> None:
        """Count one more piece, which ends now.

        Args:
            started: Reading of `perf_counter` when it began.
            failed: Whether it raised.
        """
        series = self._series
        if series is None:
            return
        ended = perf_counter()
        self._spent_s += ended - started
        self._failed = self._failed or failed
        if self._collector is not None:
            self._collector.add(started, ended, series.key, None)

    def end(self) -> None:
        """End it. What is ended stays ended."""
        series, self._series, self._collector = self._series, None, None
        if series is None:
            return
        if series.observe is not None:
            series.observe(self._spent_s)
        if self._failed:
            if series.errors is not None:
                series.errors.add()
        elif series.last_success is not None:
            series.last_success.value = time()


def abandon(call: Call) -> None:
    """End a call that turned out to be none."""
    if call[0] is not None:
        call[0].open -= 1


class SeriesCache(dict[Any, Series]):
    """Series by whatever a hook can name them by at no cost; a bounded number, and none at first in a child after a
    fork, whose measurements are its own."""

    __slots__ = ("__weakref__",)

    def __init__(self) -> None:
        super().__init__()
        _caches.append(ref(self, _caches.remove))

    def put(self, key: Any, made: Series) -> Series:
        """Keep a series that was just made, and return it."""
        if len(self) >= _MAX_SERIES:
            self.clear()
        self[key] = made
        return made


_claimed: dict[str, WeakSet[Any]] = {}


def claim(library: str, thing: Any) -> None:
    """Say that an object of a library is watched by a hook of its own, for as long as it lives or until `release`."""
    _claimed.setdefault(library, WeakSet()).add(thing)


def release(library: str, thing: Any) -> None:
    """Take back a claim."""
    if library in _claimed:
        _claimed[library].discard(thing)


def is_claimed(library: str) -> bool:
    """Tell whether any object of a library is watched by a hook of its own."""
    return bool(_claimed.get(library))


_caches: list[ref[SeriesCache]] = []


def _forked() -> None:
    for reference in _caches:
        cache = reference()
        if cache is not None:
            cache.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def series(
    client: "Client",
    key: Key,
    duration: tuple[Metric, tuple[object, ...]] | None,
    errors: tuple[Metric, tuple[object, ...]] | None,
    dependency: tuple[str, str] | None,
) -> Series:
    """Return a series.

    Args:
        client: The client of the process.
        key: Component, operation and target in breakdowns.
        duration: The metric of durations, with label values.
        errors: The metric that counts failures, with label values.
        dependency: Component and target whose health it shows.
    """
    measurements = client.measurements
    return Series(
        None if duration is None else measurements.distribution(duration[0]).child(duration[1]),
        None if errors is None else measurements.counter(errors[0]).child(errors[1]),
        None if dependency is None else measurements.gauge(DEPENDENCY_LAST_SUCCESS).child(dependency),
        key,
    )
