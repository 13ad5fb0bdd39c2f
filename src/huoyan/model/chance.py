"""How probable it is that chance alone puts some values above others. Pure.

Both tests ask nothing of the distribution the values come from. The rank test sees that all of the values are greater,
the exceedance test that some of them are.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

_NEGLIGIBLE = 1e-9
"""A sum is told without what adds less than this share to it."""
_EXACT_UP_TO = 1000
"""Up to this product of both numbers the rank test is exact; the normal distribution hides what few cases show."""


def rank_test(greater: Sequence[float], smaller: Sequence[float]) -> float:
    """Return the probability that chance alone puts the values of `greater` so far above those of `smaller`."""
    n, m = len(greater), len(smaller)
    if not n or not m:
        return 1.0
    values = sorted([*((value, True) for value in greater), *((value, False) for value in smaller)])
    rank_sum, ties, place = 0.0, 0.0, 0
    while place < len(values):
        end = place
        while end < len(values) and values[end][0] == values[place][0]:
            end += 1
        same = end - place
        rank_sum += sum(mark for _, mark in values[place:end]) * (place + 1 + end) / 2
        ties += same**3 - same
        place = end
    u = rank_sum - n * (n + 1) / 2
    if n * m <= _EXACT_UP_TO:
        return _chances(n, m)[math.floor(u)]
    total = n + m
    variance = n * m / 12 * ((total + 1) - ties / (total * (total - 1)))
    if variance <= 0.0:
        return 1.0
    return 0.5 * math.erfc((u - n * m / 2 - 0.5) / math.sqrt(2 * variance))


def exceedance_test(greater: Sequence[float], smaller: Sequence[float], value: float) -> float:
    """Return the probability that chance alone puts so many values of `greater`, among all, at or above a value."""
    n, m = len(greater), len(smaller)
    above = sum(each >= value for each in greater)
    drawn = above + sum(each >= value for each in smaller)
    whole, total = _log_ways(n + m, drawn), 0.0
    for k in range(above, min(n, drawn) + 1):
        one = math.exp(_log_ways(n, k) + _log_ways(m, drawn - k) - whole)
        total += one
        if one < _NEGLIGIBLE * total:
            break
    return min(1.0, total)


def _log_ways(n: int, k: int) -> float:
    """Return the logarithm of the number of ways to choose k of n."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


@lru_cache(maxsize=256)
def _chances(n: int, m: int) -> tuple[float, ...]:
    """Return for each value of U the probability that chance alone makes it so great or greater; ties make it less.

    How many of all orders have which U says the Gaussian binomial coefficient (Mann and Whitney 1947): the product of
    (1 - q^(m+i)) / (1 - q^i) for i from 1 to n.
    """
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for power in range(n * m, m + i - 1, -1):
            counts[power] -= counts[power - m - i]
        for power in range(i, n * m + 1):
            counts[power] += counts[power - i]
    whole, tail, chances = math.comb(n + m, n), 0, [0.0] * (n * m + 1)
    for u in range(n * m, -1, -1):
        tail += counts[u]
        chances[u] = tail / whole
    return tuple(chances)
