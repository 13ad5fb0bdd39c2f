"""The base-2 grid of bucket bounds that Prometheus native histograms and OpenTelemetry exponential histograms share.

Bucket `i` at schema `s` holds the values in `(2**((i-1) / 2**s), 2**(i / 2**s)]`: the upper bound belongs to it. So
Prometheus numbers them (https://prometheus.io/docs/specs/native_histograms/, "Schema"); OpenTelemetry numbers the same
buckets one lower (https://opentelemetry.io/docs/specs/otel/metrics/data-model/, "Exponential histogram").
"""

import sys
from functools import lru_cache
from math import ceil, log2

ZERO_THRESHOLD = 1e-9
"""Values up to here (one nanosecond) are counted as zero: no clock tells them apart."""

ZERO_INDEX = -(10**9)
"""Stands for the zero bucket where buckets are put in order; below every index of a float."""

MIN_SCHEMA = -4
MAX_SCHEMA = 8
"""The schemas of the Prometheus specification: from a factor of 65,536 per bucket down to one of 1.0027."""

LARGEST = sys.float_info.max

BOUND_TOLERANCE_LOG2 = 1e-12
"""A float meant as a bound may differ from it in the last digits (√2 is no float), and log2 rounds. What is within a
part in 10^12 above a bound counts as the bound. Subtracted before scaling, this keeps downscaling exact."""

DEFAULT_CLASSIC_BOUNDS_S = tuple(
    sorted({2.0**exponent for exponent in range(-10, 13)} | {2.0 ** (half + 0.5) for half in range(-4, 3)})
)
"""Bounds for classic buckets, in seconds: 1 ms to 68 min by powers of two, by powers of √2 from 0.06 s to 8 s. All of
them lie on the grid of schema 1 and finer, so classic counts made from a histogram are exact."""


def relative_error_bound(schema: int) -> float:
    """Return the largest relative error that a quantile can have at `schema`, above the zero threshold.

    The value looked for and the value returned lie in the same bucket, so it is the bucket's width: 2.2 % at schema 5,
    when all values of a bucket crowd at one of its edges. Values spread over the bucket give a small fraction of that.
    """
    return float(2.0 ** (2.0**-schema) - 1.0)


def bucket_index(value: float, schema: int) -> int:
    """Return the index of the bucket that holds `value`, a finite number above zero."""
    return ceil((log2(value) - BOUND_TOLERANCE_LOG2) * 2.0**schema)


def upper_bound(index: int, schema: int) -> float:
    """Return the inclusive upper bound of bucket `index`; the largest float where the bound exceeds it."""
    return point_inside(index, 1.0, schema)


def point_inside(index: int, share: float, schema: int) -> float:
    """Return the value `share` of the way through bucket `index`, by its logarithm (evenly in the zero bucket)."""
    if index == ZERO_INDEX:
        return ZERO_THRESHOLD * share
    exponent = (index - 1 + share) * 2.0**-schema
    return float(2.0**exponent) if exponent < 1024.0 else LARGEST


@lru_cache(maxsize=4096)
def position(value: float, schema: int) -> tuple[int, float]:
    """Return where `value` lies: its bucket and how far through it, 1.0 at the upper bound. Undoes `point_inside`."""
    if value <= ZERO_THRESHOLD:
        return ZERO_INDEX, min(max(value / ZERO_THRESHOLD, 0.0), 1.0)
    value = min(value, LARGEST)
    index = bucket_index(value, schema)
    share = log2(value) * 2.0**schema - (index - 1)
    # The same tolerance as for observed values: what counts as the bound takes the whole bucket.
    return index, 1.0 if share >= 1.0 - 2.0 * BOUND_TOLERANCE_LOG2 * 2.0**schema else max(share, 0.0)


def coarser(buckets: dict[int, int], shift: int) -> dict[int, int]:
    """Return `buckets` as a new dict, `shift` schemas coarser."""
    if not shift:
        return buckets.copy()
    joined: dict[int, int] = {}
    for index, count in buckets.items():
        # Upper bounds are inclusive: buckets 2k-1 and 2k make k.
        coarse = ((index - 1) >> shift) + 1
        joined[coarse] = joined.get(coarse, 0) + count
    return joined
