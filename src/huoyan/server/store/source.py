"""What the signals read, answered from the rollups alone: whole minutes."""

from collections.abc import Mapping
from typing import Literal

from huoyan.model.histogram import Histogram

Combine = Literal["sum", "max", "min"]
Where = Mapping[str, tuple[str, ...]]
Key = tuple[str, ...]


class StoreSource:
    """A `Source` of the signals over the store, for windows of the past. Edges of windows are rounded to whole minutes.

    `where` maps a label to the values it may have (any of these); `by` names the labels that the keys of the answer are
    made of, in this order. A key that is absent is unknown, never 0. Times are seconds since 1970 UTC.
    """

    def increase(self, metric: str, where: Where, by: Key, since: float, until: float) -> dict[Key, float]:
        """Return by how much a counter grew in the window."""
        ...

    def distribution(self, metric: str, where: Where, by: Key, since: float, until: float) -> dict[Key, Histogram]:
        """Return the distribution of what was observed in the window."""
        ...

    def gauge(self, metric: str, where: Where, by: Key, at: float, combine: Combine) -> dict[Key, float]:
        """Return the values at one moment, several series of a key combined. Older than 60 s is unknown."""
        ...

    def increase_range(
        self, metric: str, where: Where, by: Key, since: float, until: float, step_s: float
    ) -> dict[Key, list[float]]:
        """Return the growth in each step `[since + i * step_s, since + (i + 1) * step_s)`, 0 where nothing happened."""
        ...

    def distribution_range(
        self, metric: str, where: Where, by: Key, since: float, until: float, step_s: float
    ) -> dict[Key, list[Histogram | None]]:
        """Return the distribution of each step, None where nothing was observed."""
        ...

    def gauge_range(
        self, metric: str, where: Where, by: Key, since: float, until: float, step_s: float, combine: Combine
    ) -> dict[Key, list[float | None]]:
        """Return the last value in each step, None where it is unknown."""
        ...
