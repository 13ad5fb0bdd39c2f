"""Bounds of classic buckets: how far off the quantiles are that Prometheus computes from them, and better ones."""

import math
from collections.abc import Sequence
from itertools import pairwise

from huoyan.model.grid import upper_bound
from huoyan.model.histogram import Histogram

QUANTILES = (0.5, 0.95, 0.99)
"""The quantiles that matter."""
_BETWEEN = tuple(number / 50 for number in range(1, 50))
_WEIGHT_BETWEEN = 0.02
_MOST_CANDIDATES = 80


def computed(histogram: Histogram, bounds: Sequence[float], q: float) -> float | None:
    """Return the quantile that Prometheus computes from classic buckets, None without observations.

    It interpolates evenly inside a bucket, from zero in the first, and knows nothing beyond the last finite bound
    (https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile).
    """
    if not histogram.count or not bounds:
        return None
    return _interpolated(bounds, [*histogram.classic(bounds), histogram.count], q)


def error(histogram: Histogram, bounds: Sequence[float], q: float) -> float | None:
    """Return how far that is off, as a share of the true quantile; None without observations."""
    found, true = computed(histogram, bounds, q), histogram.quantile(q)
    if found is None or true is None:
        return None
    return abs(found - true) / true if true > 0.0 else float(found > 0.0)


def worst(histogram: Histogram, bounds: Sequence[float]) -> float:
    """Return the largest error at P50, P95 and P99; zero without observations."""
    return max(error(histogram, bounds, q) or 0.0 for q in QUANTILES)


def propose(histogram: Histogram, present: Sequence[float], count: int | None = None) -> list[float]:
    """Return bounds with the least error on what was observed, found by dynamic programming over the grid's bounds.

    Args:
        histogram: What was observed.
        present: The bounds used now.
        count: How many bounds to propose at most (as many as now by default).

    Returns:
        Rising bounds. Where those used now are as good and no more than `count`, they stay.
    """
    count = len(present) if count is None else count
    candidates = _candidates(histogram)
    if not candidates or count < 1:
        return list(present)
    found = _chosen(histogram, candidates, count)
    if len(present) <= count and worst(histogram, present) <= worst(histogram, found):
        return list(present)
    return found


def _candidates(histogram: Histogram) -> list[float]:
    coarse = histogram.copy()
    while len(coarse.buckets) * 2 > _MOST_CANDIDATES and coarse.schema > 0:
        coarse.downscale(coarse.schema - 1)
    edges = {index - below for index in coarse.buckets for below in (0, 1)}
    return [upper_bound(index, coarse.schema) for index in sorted(edges)]


def _chosen(histogram: Histogram, candidates: list[float], count: int) -> list[float]:
    below = histogram.classic(candidates)
    points = [(q, _true(histogram, q), 1.0 if q in QUANTILES else _WEIGHT_BETWEEN) for q in {*QUANTILES, *_BETWEEN}]
    size = len(candidates)

    def cost(first: int, last: int) -> float:
        """Return the error of the quantiles between two bounds, -1 standing for zero."""
        low, low_count = (candidates[first], below[first]) if first >= 0 else (0.0, 0)
        high, high_count = candidates[last], below[last]
        total = 0.0
        for q, true, weight in points:
            rank = q * histogram.count
            if low_count < rank <= high_count:
                found = low + (high - low) * (rank - low_count) / (high_count - low_count)
                total += weight * abs(found - true) / true if true > 0.0 else 0.0
        return total

    # The largest candidate holds everything and is always one of them.
    costs = [[cost(first, last) for first in range(-1, last)] for last in range(size)]
    best = [row[0] for row in costs]
    ways: list[list[int]] = []
    for _ in range(min(count, size) - 1):
        step, came = [], []
        for last in range(size):
            options = [(best[last], -2), *((best[first] + costs[last][first + 1], first) for first in range(last))]
            least, place = min(options)
            step.append(least)
            came.append(place)
        best = step
        ways.append(came)
    place, chosen = size - 1, [candidates[-1]]
    for came in reversed(ways):
        if came[place] >= 0:
            place = came[place]
            chosen.append(candidates[place])
    return sorted(chosen)


def _true(histogram: Histogram, q: float) -> float:
    return histogram.quantile(q) or 0.0


def _interpolated(bounds: Sequence[float], cumulative: Sequence[int], q: float) -> float:
    rank = q * cumulative[-1]
    low, low_count = 0.0, 0
    for (bound, number), _ in pairwise([*zip(bounds, cumulative, strict=False), (math.inf, cumulative[-1])]):
        if rank <= number:
            width = number - low_count
            return low + (bound - low) * ((rank - low_count) / width if width else 1.0)
        low, low_count = bound, number
    return bounds[-1]
