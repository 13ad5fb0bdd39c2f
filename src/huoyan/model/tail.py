"""How far values reach by chance, judged by a sample of usual ones. Pure.

The slow requests are chosen by their duration, so whatever varies is greater in them, and what varies wildly is far
greater: a part of them stands out only when it is beyond what the tail of the usual values makes one expect. That tail
is taken for a power law (Pareto), the heaviest that measured times have; exponential and lognormal ones end earlier, so
for them the answer errs on the side of accusing nobody.

Of a power law the logarithms of the values between two quantiles say how steep it is (Hill 1975, "A simple general
approach to inference about the tail of a distribution"; by Rényi 1953 the distances of neighbours, each times its place
from the top, are independent and exponential). The steepness is read between several pairs of quantiles, because what
is sought stands among the usual values, too: a cause in 2 % of the requests spoils what lies above the 98th percentile.
How steep it is at its very end the slow ones say themselves, which are its greatest values: those of a cause lie close
together, far above the rest, and no tail that reaches so far ends so abruptly. Between a quantile and its end even the
tail of exponential times, where the steepness at a share p is 1 / ln(1/p), flattens no more than by the ratio of the
logarithms.
Everything estimated is taken at a bound that chance exceeds in a bit more than a thousandth of the cases.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

LEAST_VALUES = 8
"""With fewer nothing is said about how far they reach."""
_PAIRS = ((0.25, 0.5), (0.5, 0.75), (0.75, 0.9), (0.9, 0.97))
"""Levels of quantiles between which the steepness is read; the reach is counted from the upper one."""
_STEEPEST = 0.7
"""Few values bound the steepness only loosely; more than this, of a distribution that hardly has a mean (1 is the
limit), is believed only when it is seen, not for want of values."""
_Z = 3.0
"""Of a bound that chance exceeds in 0.13 % of the cases; all bounds of all parts make less than 1 %."""
_Z_OF_END = 3.3
"""Of the bound on how steep the end is: the slow ones are looked at several times, so each may err in 0.05 %."""
_GAP_LEVEL = 0.00025
_LEAST_GAP = 1.2
"""A group of values begins at this many times the greatest one below it, at least."""


class Tail:
    """What is usual of one quantity.

    Args:
        values: A fair sample of it. Zeros say that there was none, and how often there is one.
        cut: How many, for each of the sample, were left out of it because they took long: with those, one of 300 is
            not one of the greatest 15, and what the sample says of its quantiles it says of lower ones.
    """

    def __init__(self, values: Sequence[float], cut: float = 0.0) -> None:
        self._values = sorted(value for value in values if value > 0.0)
        self._cut = cut * len(values)
        self._size = len(values) + self._cut
        self._anchors = _anchors(self._values, self._cut)

    @property
    def known(self) -> bool:
        """Whether there were enough values to say something about."""
        return len(self._values) >= LEAST_VALUES

    def beyond(self, greatest: Sequence[float], population: int) -> bool:
        """Tell whether values are beyond the reach of the tail.

        Args:
            greatest: Those in question, at least one, the greatest first.
            population: Of how many they are the greatest.
        """
        value, place = greatest[-1], len(greatest)
        if value > self.reach(_fewest(place) / max(1, population), _steepness(greatest)):
            return True
        # As many of the sample itself may already be beyond, and of far fewer than the whole population.
        greater = 2
        while greater <= len(self._values) // 10:
            own = self._values[-greater]
            if own <= value and own > self.reach(_fewest(greater) / self._size):
                return True
            greater += max(1, greater // 2)
        return False

    def reach_of(self, count: int, population: int) -> float:
        """Return how much the greatest `count` of so many may amount to, at least, by chance."""
        return self.reach(_fewest(count) / max(1, population))

    def reach(self, share: float, at_end: float = math.inf) -> float:
        """Return how much the greatest `share` of all may amount to, at least, by chance.

        Args:
            share: More than 0, of all that the sample is one of, those without any included.
            at_end: How steep the tail is among them, at most.
        """
        if not self._values:
            return 0.0
        among = share * self._size / (len(self._values) + self._cut)
        end = math.log(max(1.0, 1.0 / among))
        return min((anchor.reach(among, at_end, end) for anchor in self._anchors), default=0.0)

    def group(self) -> float | None:
        """Return from where on the greatest ones are a group of their own; None when there is no such group.

        Between it and the others is a gap as chance does not leave it, and it has no more than half of the values.
        """
        values = self._values[::-1]
        size = len(values)
        if size < LEAST_VALUES:
            return None
        half, low = size // 2, values[3 * size // 4]
        found, clearest = None, math.log(half / _GAP_LEVEL)
        for place in range(1, half + 1):
            upper, lower = values[place - 1], values[place]
            if upper < _LEAST_GAP * lower:
                continue
            usual = max(_STEEPEST, math.log(max(1.0, lower / low)) / math.log(0.75 * size / place))
            clarity = place * math.log(upper / lower) / usual
            if clarity > clearest:
                found, clearest = upper, clarity
        return found


class _Anchor(NamedTuple):
    """A point of the tail.

    Args:
        value: Of a quantile.
        share: How many are above it, of all.
        most: How many are at most.
        steepness: Of the tail there, at most.
    """

    value: float
    share: float
    most: float
    steepness: float

    def reach(self, among: float, at_end: float, end: float) -> float:
        """Return what the greatest share amounts to; `end` is the logarithm of its inverse, see `Tail.reach`."""
        flattens = max(1.0, end / -math.log(self.share))
        steepness = min(self.steepness, at_end * flattens)
        return self.value * math.pow(max(1.0, self.most / among), steepness)


def _anchors(values: Sequence[float], cut: float) -> list[_Anchor]:
    size = len(values)
    anchors = []
    for low, high in _PAIRS if size >= LEAST_VALUES else ():
        between, above = size * (high - low), size * (1.0 - high)
        if above < 1.0:
            break
        value = values[int(high * size)]
        seen = math.log(value / values[int(low * size)]) / math.log((above + between + cut) / (above + cut))
        steepest = seen * between / _fewest(between)
        share, most = (above + cut) / (size + cut), _most(above + cut) / (size + cut)
        anchors.append(_Anchor(value, share, most, max(seen, min(_STEEPEST, steepest))))
    return anchors


def _steepness(greatest: Sequence[float]) -> float:
    """Return how steep a tail is at its end, at most, by its greatest values (Hill 1975).

    Without bound for one and for two: of many looks one finds two values next to each other.
    """
    distances = len(greatest) - 1
    if distances < 2 or greatest[-1] <= 0.0:
        return math.inf
    seen = sum(math.log(value / greatest[-1]) for value in greatest[:-1]) / distances
    return seen * distances / _fewest(distances, _Z_OF_END)


def _most(count: float) -> float:
    """Return how many there may be expected where `count` are seen, at most."""
    return count * (1.0 - 1.0 / (9.0 * count) + _Z / (3.0 * math.sqrt(count))) ** 3


def _fewest(count: float, z: float = _Z) -> float:
    """Return how many there may be expected where `count` are seen, at least.

    Both are quantiles of the gamma distribution (Wilson and Hilferty 1931, "The distribution of chi-square"); the
    approximation errs to the cautious side where there are few.
    """
    return max(0.001, count * max(0.0, 1.0 - 1.0 / (9.0 * count) - z / (3.0 * math.sqrt(count))) ** 3)
