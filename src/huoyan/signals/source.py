"""Where the embedded engine reads from. The store implements this; so does `huoyan.testing.MemorySource`."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from huoyan.model.histogram import Histogram

Conditions = Mapping[str, tuple[str, ...]]
"""Label to the values any of which will do; all labels must hold. An empty tuple matches nothing."""

Key = tuple[str, ...]
"""Values of the labels asked for in `by`, in that order; `()` when `by` is empty."""

Combination = Literal["sum", "max", "min"]


class Moments(Protocol):
    """Counters, distributions and gauges at one time; metrics by name, times in seconds since 1970 UTC.

    A window is half open, `since` excluded and `until` included, so that neighbouring windows count everything once.
    Groups in which nothing happened are left out of the answer; for counters that means zero, for gauges unknown.
    """

    def increase(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float
    ) -> dict[Key, float]:
        """Return by how much a counter grew in the window."""
        ...

    def distribution(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float
    ) -> dict[Key, Histogram]:
        """Return the observations of the window. The caller does not change them."""
        ...

    def gauge(
        self, metric: str, where: Conditions, by: tuple[str, ...], at: float, combine: Combination
    ) -> dict[Key, float]:
        """Return the value known at `at`; series of one group are combined. What is unknown is left out, never 0."""
        ...


class Source(Moments, Protocol):
    """The same over time, for charts.

    These methods cut (since, until] into steps of `step_s` seconds and answer with one item for each, oldest first.
    `(until - since) / step_s` is a whole number.
    """

    def increase_range(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float, step_s: float
    ) -> Mapping[Key, Sequence[float]]:
        """Return by how much a counter grew in each step."""
        ...

    def distribution_range(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float, step_s: float
    ) -> Mapping[Key, Sequence[Histogram | None]]:
        """Return the observations of each step, None for steps without any."""
        ...

    def gauge_range(
        self,
        metric: str,
        where: Conditions,
        by: tuple[str, ...],
        since: float,
        until: float,
        step_s: float,
        combine: Combination,
    ) -> Mapping[Key, Sequence[float | None]]:
        """Return the value known at the end of each step, None where unknown."""
        ...
