"""Classic buckets of exponential histograms, remembered between scrapes."""

import math
from collections.abc import Sequence

from huoyan.model.histogram import DEFAULT_CLASSIC_BOUNDS_S
from huoyan.server.export.families import Family, Key
from huoyan.signals.metrics import METRICS

SPARE = 1000
"""Series that may be remembered after they are gone, before all of their metric are forgotten."""


class Buckets:
    """The counts of classic buckets, worked out anew only for histograms with new observations.

    Most tasks of a large system do nothing between two scrapes, and this is most of the work.

    Args:
        bounds_s: Upper bounds in seconds; infinity is added.
    """

    def __init__(self, bounds_s: Sequence[float] = DEFAULT_CLASSIC_BOUNDS_S) -> None:
        self.bounds_s: list[float] = [*bounds_s, math.inf]
        self._counts: dict[str, dict[Key, tuple[tuple[int, float], list[int]]]] = {name: {} for name in METRICS}

    def counts(self, family: Family) -> list[list[int]]:
        """Return for each series how many values do not exceed each bound; the last is the number of all."""
        before = self._counts[family.metric.name]
        if len(before) > 2 * len(family.keys) + SPARE:
            before = self._counts[family.metric.name] = {}
        answer = []
        for key, histogram in zip(family.keys, family.distributions, strict=True):
            state = (histogram.count, histogram.sum)
            known = before.get(key)
            if known is None or known[0] != state:
                known = before[key] = (state, histogram.classic(self.bounds_s))
            answer.append(known[1])
        return answer
