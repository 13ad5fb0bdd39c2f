"""Histograms as Prometheus writes native ones."""

from dataclasses import dataclass

from huoyan.model.grid import ZERO_THRESHOLD
from huoyan.model.histogram import Histogram


@dataclass(frozen=True, slots=True)
class NativeHistogram:
    """A histogram laid out as in Prometheus' protobuf and text formats: runs of buckets, counts as differences.

    Args:
        spans: `(offset, length)` of each run of consecutive buckets; the first offset is a bucket index, every further
            one the number of empty buckets skipped since the run before.
        deltas: Count of the first bucket, then of every further bucket the difference to the one before it.
    """

    schema: int
    zero_threshold: float
    zero_count: int
    count: int
    sum: float
    spans: tuple[tuple[int, int], ...]
    deltas: tuple[int, ...]

    @classmethod
    def of(cls, histogram: Histogram) -> "NativeHistogram":
        """Return the same counts, without loss."""
        spans: list[tuple[int, int]] = []
        deltas: list[int] = []
        previous_count = 0
        next_index: int | None = None
        for index in sorted(histogram.buckets):
            gap = index if next_index is None else index - next_index
            if next_index is not None and gap <= 2:
                # One or two empty buckets written out are shorter than a new span.
                offset, length = spans[-1]
                spans[-1] = (offset, length + gap + 1)
                for _ in range(gap):
                    deltas.append(-previous_count)
                    previous_count = 0
            else:
                spans.append((gap, 1))
            deltas.append(histogram.buckets[index] - previous_count)
            previous_count = histogram.buckets[index]
            next_index = index + 1
        return cls(
            histogram.schema,
            ZERO_THRESHOLD,
            histogram.zero_count,
            histogram.count,
            histogram.sum,
            tuple(spans),
            tuple(deltas),
        )
