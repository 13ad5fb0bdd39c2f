"""Many distributions added up to one, without making a histogram of each."""

import math
from collections.abc import Iterable

from huoyan.model.histogram import Histogram, Parts


class Pile:
    """Adds up distributions of one schema bucket by bucket, and others by merging."""

    __slots__ = ("_buckets", "_largest", "_others", "_schema", "_smallest", "_sum", "_zero_count")

    def __init__(self) -> None:
        self._schema: int | None = None
        self._buckets: dict[int, int] = {}
        self._zero_count = 0
        self._sum = 0.0
        self._smallest = math.inf
        self._largest = -math.inf
        self._others: list[Histogram] = []

    def add(self, parts: Parts) -> None:
        """Add a distribution in parts."""
        schema, zero_count, total, smallest, largest, indexes, counts = parts
        if self._begin(schema, zero_count, total, smallest, largest):
            self._count(zip(indexes, counts, strict=True))
        else:
            self._others.append(Histogram.from_parts(parts))

    def add_histogram(self, histogram: Histogram) -> None:
        """Add a histogram; it is left as it is."""
        smallest, largest = histogram.min, histogram.max
        if smallest is None or largest is None:
            return
        if self._begin(histogram.schema, histogram.zero_count, histogram.sum, smallest, largest):
            self._count(histogram.buckets.items())
        else:
            self._others.append(histogram.copy())

    def histogram(self) -> Histogram:
        """Return the sum of all that was added."""
        whole = Histogram() if self._schema is None else Histogram.from_parts(self._parts(self._schema))
        # Merging keeps the number of buckets within bounds, even when there is nothing to merge.
        for other in self._others or [Histogram(whole.schema)]:
            whole.merge(other)
        return whole

    def _parts(self, schema: int) -> Parts:
        buckets = self._buckets
        return (
            schema,
            self._zero_count,
            self._sum,
            self._smallest,
            self._largest,
            list(buckets),
            list(buckets.values()),
        )

    def _begin(self, schema: int, zero_count: int, total: float, smallest: float, largest: float) -> bool:
        """Take what is not in buckets and return whether the buckets can be taken too."""
        if self._schema is None:
            self._schema = schema
        elif self._schema != schema:
            return False
        self._zero_count += zero_count
        self._sum += total
        if smallest < self._smallest:
            self._smallest = smallest
        if largest > self._largest:
            self._largest = largest
        return True

    def _count(self, pairs: Iterable[tuple[int, int]]) -> None:
        buckets = self._buckets
        for index, count in pairs:
            buckets[index] = buckets.get(index, 0) + count
