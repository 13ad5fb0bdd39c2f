"""Calls of dependencies: counted, timed, and part of the breakdown of the request or run that made them.

One call is begun and finished by the hook around it:

    call = begin()
    try: …
    finally: series.finish(call, failed)
"""

from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from huoyan.client import breakdown
from huoyan.client.breakdown import Collector
from huoyan.client.measurements import Counter, Distribution, Gauge
from huoyan.signals.metrics import DEPENDENCY_LAST_SUCCESS, Metric

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

    __slots__ = ("errors", "key", "last_success", "observe")

    def __init__(
        self,
        distribution: Distribution | None,
        errors: Counter | None,
        last_success: Gauge | None,
        key: breakdown.Key,
    ) -> None:
        self.observe = None if distribution is None else distribution.observe
        self.errors = errors
        self.last_success = last_success
        self.key = key

    def finish(self, call: Call, failed: bool = False) -> None:
        """End a call that `begin` began."""
        ended = perf_counter()
        collector, started = call
        if self.observe is not None:
            self.observe(ended - started)
        if failed:
            if self.errors is not None:
                self.errors.add()
        elif self.last_success is not None:
            self.last_success.value = time()
        if collector is not None:
            collector.open -= 1
            collector.add_alone(started, ended, self.key, failed)


def abandon(call: Call) -> None:
    """End a call that turned out to be none."""
    if call[0] is not None:
        call[0].open -= 1


class SeriesCache:
    """Series by whatever a hook can name them by at no cost; a bounded number, and new ones after a fork."""

    __slots__ = ("_client", "_made_for", "_series")

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._series: dict[Any, Series] = {}
        self._made_for = client.measurements

    def get(self, key: Any) -> Series | None:
        """Return the series of `key`, None when it has to be made."""
        if self._made_for is not self._client.measurements:
            self._made_for = self._client.measurements
            self._series = {}
        return self._series.get(key)

    def put(self, key: Any, made: Series) -> Series:
        """Keep a series that was just made, and return it."""
        if len(self._series) >= _MAX_SERIES:
            self._series = {}
        self._series[key] = made
        return made


def series(
    client: "Client",
    key: breakdown.Key,
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
