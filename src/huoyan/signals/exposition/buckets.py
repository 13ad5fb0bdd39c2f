"""Classic buckets of exponential histograms, remembered between scrapes."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S
from huoyan.signals.exposition.families import Family, Key
from huoyan.signals.metric import Metric

SPARE = 1000
"""Series that may be remembered after they are gone, before all of their metric are forgotten."""


class Buckets:
    """The counts of classic buckets, worked out anew only for histograms with new observations.

    Most tasks of a large system do nothing between two scrapes, and this is most of the work.

    Args:
        bounds_s: Upper bounds in seconds; infinity is added.
        chosen: Returns other bounds for a metric, or None where `bounds_s` hold.
    """

    def __init__(
        self,
        bounds_s: Sequence[float] = DEFAULT_CLASSIC_BOUNDS_S,
        chosen: Callable[[Metric], Sequence[float] | None] = lambda _: None,
    ) -> None:
        self._bounds_s: list[float] = [*bounds_s, math.inf]
        self._chosen = chosen
        self._bounds: dict[str, list[float]] = {}
        self._counts: defaultdict[str, dict[Key, tuple[tuple[int, float], list[int]]]] = defaultdict(dict)

    def bounds(self, metric: Metric) -> list[float]:
        """Return the upper bounds of a metric's buckets, infinity the last."""
        found = self._bounds.get(metric.name)
        if found is None:
            chosen = self._chosen(metric)
            found = self._bounds_s if chosen is None else [*chosen, math.inf]
            self._bounds[metric.name] = found
        return found

    def counts(self, family: Family) -> list[list[int]]:
        """Return for each series how many values do not exceed each bound; the last is the number of all."""
        before = self._counts[family.metric.name]
        if len(before) > 2 * len(family.keys) + SPARE:
            before = self._counts[family.metric.name] = {}
        bounds = self.bounds(family.metric)
        answer = []
        for key, histogram in zip(family.keys, family.distributions, strict=True):
            state = (histogram.count, histogram.sum)
            known = before.get(key)
            if known is None or known[0] != state:
                known = before[key] = (state, histogram.classic(bounds))
            answer.append(known[1])
        return answer
