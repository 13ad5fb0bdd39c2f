"""The task metrics that `/metrics` exports: monotone counters since the process started."""

from collections.abc import Mapping
from dataclasses import dataclass

from huoyan.model.histogram import Histogram


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of a metric: its labels, and a number or a distribution."""

    labels: Mapping[str, str]
    value: float | Histogram


class Metrics:
    """Counters and distributions since the start, gauges of now. Safe to read from any thread.

    Counters start at 0 with the process; Prometheus takes that for the reset it is. Known series start with their labels, so
    that the first increase after a start is seen. A run that moves from one state to another (lost, then succeeded after
    all) counts in both: an exported counter never falls.
    """

    def collect(self) -> dict[str, list[Sample]]:
        """Return metric name → samples, by the names of the public contract."""
        ...
