"""Distributions of durations and sizes: exponential histograms on the grid of `huoyan.model.grid`.

Two histograms of any process or node merge exactly, and a schema becomes the next coarser one by joining neighbouring
buckets two by two, as if all values had been observed at the coarser schema from the start.
"""

import math
import struct
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import ceil, log2

from huoyan.model.grid import (
    BOUND_TOLERANCE_LOG2,
    LARGEST,
    MAX_SCHEMA,
    MIN_SCHEMA,
    ZERO_INDEX,
    ZERO_THRESHOLD,
    coarser,
    point_inside,
    position,
    upper_bound,
)
from huoyan.model.varint import put, take, unzigzag, zigzag

DEFAULT_SCHEMA = 5
DEFAULT_MAX_BUCKETS = 320
SMALLEST_MAX_BUCKETS = 80
"""Schema -4 covers every float in 67 buckets, so a limit of 80 can always be kept."""

_ENCODING_VERSION = 1
_FLOATS = struct.Struct("<ddd")
_MAX_INDEX = 1100 * 2**MAX_SCHEMA
_TOLERANCE = 2.0**BOUND_TOLERANCE_LOG2


Parts = tuple[int, int, float, float, float, list[int], list[int]]
"""A histogram taken apart, see `Histogram.to_parts`."""


class Histogram:
    """A mergeable distribution of non-negative values (seconds, bytes) with a bounded number of buckets.

    Not safe for concurrent writers: the owner serialises them.

    Args:
        schema: Resolution; a bucket is `2**(2**-schema)` wide. Default 5: 2.2 % wide.
        max_buckets: Above this number of used buckets the histogram downscales itself by one schema.
            Default 320, at least 80.

    Attributes:
        schema: Resolution now; never finer than the one asked for.
        buckets: Bucket index → count, used buckets only.
        zero_count: Values from 0 to 1e-9.
        zero_threshold: That bound.
        count: Number of all values.
        sum: Sum of all values.
        max_buckets: As above.
    """

    __slots__ = ("_max", "_min", "_scale", "buckets", "count", "max_buckets", "schema", "sum", "zero_count")

    zero_threshold = ZERO_THRESHOLD
    # Two histograms are equal when they hold the same data; a thing that changes has no hash.
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, schema: int = DEFAULT_SCHEMA, *, max_buckets: int = DEFAULT_MAX_BUCKETS) -> None:
        if not MIN_SCHEMA <= schema <= MAX_SCHEMA:
            raise ValueError(f"schema: expected {MIN_SCHEMA} to {MAX_SCHEMA}, got {schema!r}")
        if max_buckets < SMALLEST_MAX_BUCKETS:
            raise ValueError(f"max_buckets: expected at least {SMALLEST_MAX_BUCKETS}, got {max_buckets!r}")
        self.schema = schema
        self.max_buckets = max_buckets
        self.buckets: dict[int, int] = {}
        self.zero_count = 0
        self.count = 0
        self.sum = 0.0
        self._min = math.inf
        self._max = -math.inf
        self._scale = 2.0**schema

    @property
    def min(self) -> float | None:
        """Return the smallest value observed, None when there is none."""
        return self._min if self.count else None

    @property
    def max(self) -> float | None:
        """Return the largest value observed, None when there is none."""
        return self._max if self.count else None

    def observe(self, value: float, count: int = 1) -> None:
        """Count a value.

        Args:
            value: Seconds or bytes, 0 or more.
            count: How often it was seen, default 1.

        Raises:
            ValueError: When the value is negative, infinite or not a number, or the count is below 1.
        """
        # One chained comparison lets every ordinary value through and keeps NaN, infinities and zeros out.
        if ZERO_THRESHOLD < value <= LARGEST and count > 0:
            self.sum += value * count
            index = ceil((log2(value) - BOUND_TOLERANCE_LOG2) * self._scale)
            try:
                self.buckets[index] += count
            except KeyError:
                self.buckets[index] = count
                self._fit()
        else:
            self._observe_zero(value, count)
        self.count += count
        if value < self._min:
            self._min = value
        if value > self._max:
            self._max = value

    def _observe_zero(self, value: float, count: int) -> None:
        if count < 1:
            raise ValueError(f"count: expected 1 or more, got {count!r}")
        if not 0.0 <= value <= ZERO_THRESHOLD:
            raise ValueError(f"value: expected a finite number of 0 or more, got {value!r}")
        self.sum += value * count
        self.zero_count += count

    def merge(self, other: "Histogram") -> None:
        """Add the counts of `other`; the coarser of both schemas remains."""
        if other.schema < self.schema:
            self.downscale(other.schema)
        buckets = self.buckets
        for index, count in coarser(other.buckets, other.schema - self.schema).items():
            buckets[index] = buckets.get(index, 0) + count
        self.zero_count += other.zero_count
        self.count += other.count
        self.sum += other.sum
        self._min = min(self._min, other._min)
        self._max = max(self._max, other._max)
        self._fit()

    def downscale(self, schema: int) -> None:
        """Join buckets so that the histogram is what it would be had it been observed at `schema`.

        Raises:
            ValueError: When `schema` is finer than the present one, or below -4.
        """
        if not MIN_SCHEMA <= schema <= self.schema:
            raise ValueError(f"schema: expected {MIN_SCHEMA} to {self.schema}, got {schema!r}")
        self.buckets = coarser(self.buckets, self.schema - schema)
        self.schema = schema
        self._scale = 2.0**schema

    def _fit(self) -> None:
        while len(self.buckets) > self.max_buckets:
            self.downscale(self.schema - 1)

    def copy(self) -> "Histogram":
        """Return an independent copy."""
        twin = Histogram(self.schema, max_buckets=self.max_buckets)
        twin.buckets = self.buckets.copy()
        twin.zero_count, twin.count, twin.sum = self.zero_count, self.count, self.sum
        twin._min, twin._max = self._min, self._max
        return twin

    def subtract(self, other: "Histogram") -> None:
        """Take the counts of `other` away again, as a correction. No count falls below zero.

        The coarser of both schemas remains. Smallest and largest value cannot be taken back; they stay within the
        buckets that are still used. The sum stays possible for the counts that remain.
        """
        if other.schema < self.schema:
            self.downscale(other.schema)
        taken = coarser(other.buckets, other.schema - self.schema)
        self.buckets = {i: left for i, count in self.buckets.items() if (left := count - taken.get(i, 0)) > 0}
        self.zero_count = max(0, self.zero_count - other.zero_count)
        self.count = self.zero_count + sum(self.buckets.values())
        if not self.count:
            self.sum, self._min, self._max = 0.0, math.inf, -math.inf
            return
        if self.buckets:
            self._max = min(self._max, upper_bound(max(self.buckets), self.schema))
        else:
            self._max = min(self._max, ZERO_THRESHOLD)
        if not self.zero_count:
            self._min = max(self._min, upper_bound(min(self.buckets) - 1, self.schema))
        self._min = min(self._min, self._max)
        self.sum = min(max(self.count * self._min, self.sum - other.sum), self.count * self._max)

    def quantile(self, q: float) -> float | None:
        """Return the value that a share of `q` of all values does not exceed; None when there are no values.

        The rank is `q * count`, as in Prometheus' `histogram_quantile`; inside the bucket the values are taken to be
        spread evenly over its logarithm (evenly in the zero bucket), and the result stays between smallest and largest.

        Raises:
            ValueError: When `q` is not between 0 and 1.
        """
        return self.quantiles((q,))[0]

    def quantiles(self, qs: Sequence[float]) -> list[float | None]:
        """Return `quantile(q)` for each of `qs`, in their order, in one pass."""
        for q in qs:
            if not 0.0 <= q <= 1.0:
                raise ValueError(f"q: expected 0 to 1, got {q!r}")
        if not self.count:
            return [None] * len(qs)
        found: list[float | None] = []
        indexes, totals = self._cumulative()
        for q in qs:
            rank = _rank(q, self.count)
            slot = bisect_left(totals, rank)
            before = totals[slot - 1] if slot else 0
            value = point_inside(indexes[slot], (rank - before) / (totals[slot] - before), self.schema)
            found.append(min(max(value, self._min), self._max))
        return found

    def classic(self, bounds: Sequence[float]) -> list[int]:
        """Return how many values do not exceed each of `bounds`: the cumulative counts of a classic histogram.

        Exact for infinity and for bounds on the grid of the present schema (`DEFAULT_CLASSIC_BOUNDS_S` from schema 1
        on), and where no value lies on the other side. Any other bound cuts a bucket; its share is interpolated like
        `quantile` and rounded to a whole count.
        """
        indexes, totals = self._cumulative()

        def below(bound: float) -> int:
            if not self.count or bound * _TOLERANCE < self._min:
                return 0
            if bound >= self._max:
                return self.count
            return round(_count_below(indexes, totals, position(bound, self.schema)))

        return [below(bound) for bound in bounds]

    def encode(self) -> bytes:
        """Return the histogram as bytes: a version, then numbers of variable length. `max_buckets` is left out."""
        out = bytearray((_ENCODING_VERSION,))
        put(out, zigzag(self.schema))
        put(out, self.zero_count)
        put(out, len(self.buckets))
        if self.count:
            out += _FLOATS.pack(self.sum, self._min, self._max)
        previous = None
        for index in sorted(self.buckets):
            put(out, zigzag(index) if previous is None else index - previous)
            put(out, self.buckets[index])
            previous = index
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes, *, max_buckets: int = DEFAULT_MAX_BUCKETS) -> "Histogram":
        """Return the histogram that `encode` wrote.

        Raises:
            ValueError: When `data` is of another version, cut off, or not a histogram.
        """
        if not data or data[0] != _ENCODING_VERSION:
            raise ValueError(f"histogram: expected encoding version {_ENCODING_VERSION}, got {bytes(data[:1])!r}")
        (schema, zero_count, length), at = take(data, 1, 3)
        floats = (0.0, math.inf, -math.inf)
        if zero_count or length:
            if len(data) < at + _FLOATS.size:
                raise ValueError("histogram: expected sum, min and max, got the end of the data")
            floats = _FLOATS.unpack_from(data, at)
            at += _FLOATS.size
        numbers, at = take(data, at, 2 * length)
        # The first index is itself; every further one is the distance to the one before.
        gaps = numbers[::2]
        gaps[:1] = map(unzigzag, gaps[:1])
        if at != len(data):
            raise ValueError(f"histogram: expected {at} bytes, got {len(data)}")
        pairs = list(zip(accumulate(gaps), numbers[1::2], strict=True))
        return cls._restore(unzigzag(schema), zero_count, floats, pairs, max_buckets)

    def to_parts(self) -> Parts:
        """Return what a store needs to write: schema, zero count, sum, smallest, largest, indexes, their counts."""
        buckets = self.buckets
        return self.schema, self.zero_count, self.sum, self._min, self._max, list(buckets), list(buckets.values())

    @classmethod
    def from_parts(cls, parts: Parts) -> "Histogram":
        """Return the histogram that `to_parts` took apart. Nothing is checked: what comes from elsewhere is decoded."""
        schema, zero_count, sum_, smallest, largest, indexes, counts = parts
        histogram = cls(schema)
        histogram.buckets = dict(zip(indexes, counts, strict=True))
        histogram.zero_count = zero_count
        histogram.count = zero_count + sum(counts)
        histogram.sum, histogram._min, histogram._max = sum_, smallest, largest
        return histogram

    @classmethod
    def _restore(
        cls,
        schema: int,
        zero_count: int,
        floats: tuple[float, float, float],
        pairs: list[tuple[int, int]],
        max_buckets: int,
    ) -> "Histogram":
        histogram = cls(schema, max_buckets=max_buckets)
        histogram.buckets = buckets = dict(pairs)
        if len(buckets) != len(pairs) or min(buckets.values(), default=1) < 1:
            raise ValueError("buckets: expected each index once and counts of 1 or more")
        if buckets and not -_MAX_INDEX <= min(buckets) <= max(buckets) <= _MAX_INDEX:
            raise ValueError(f"buckets: expected indexes within ±{_MAX_INDEX}, got {min(buckets)} to {max(buckets)}")
        if zero_count < 0:
            raise ValueError(f"zero_count: expected 0 or more, got {zero_count}")
        histogram.zero_count = zero_count
        histogram.count = zero_count + sum(histogram.buckets.values())
        if histogram.count:
            total, smallest, largest = histogram.sum, histogram._min, histogram._max = floats
            if not (0.0 <= smallest <= largest <= LARGEST and total >= 0.0):
                raise ValueError(f"sum, min, max: expected numbers of 0 or more, in order, got {floats}")
        histogram._fit()
        return histogram

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (
            self.schema == other.schema
            and self.buckets == other.buckets
            and self.zero_count == other.zero_count
            and self.sum == other.sum
            and self._min == other._min
            and self._max == other._max
        )

    def __repr__(self) -> str:
        return f"<Histogram schema={self.schema} count={self.count} sum={self.sum:g} buckets={len(self.buckets)}>"

    def _cumulative(self) -> tuple[list[int], list[int]]:
        """Return the used buckets in order, the zero bucket first, and for each the values up to its upper bound."""
        indexes = sorted(self.buckets)
        totals = list(accumulate(map(self.buckets.__getitem__, indexes), initial=self.zero_count))
        if self.zero_count:
            return [ZERO_INDEX, *indexes], totals
        return indexes, totals[1:]


def _count_below(indexes: list[int], totals: list[int], point: tuple[int, float]) -> float:
    """Return how many values lie below `point`, (bucket, share of the way through it)."""
    index, share = point
    slot = bisect_left(indexes, index)
    before = totals[slot - 1] if slot else 0
    if slot < len(indexes) and indexes[slot] == index:
        return before + (totals[slot] - before) * share
    return before


def _rank(q: float, count: int) -> float:
    """Return q * count. One that is whole but for rounding becomes whole, or it would slip into the next bucket."""
    rank = q * count
    whole = round(rank)
    # Kept a whole number where it is one: a count beyond 2**53 would be rounded up past the last bucket.
    return min(whole if abs(rank - whole) <= 1e-14 * rank else rank, count)
