"""Histograms: the grid, merging, downscaling, quantiles, and the forms in which they leave."""

import itertools
import math
import random
from collections.abc import Iterable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.model.grid import (
    DEFAULT_CLASSIC_BOUNDS_S,
    ZERO_THRESHOLD,
    bucket_index,
    relative_error_bound,
    upper_bound,
)
from huoyan.model.histogram import Histogram
from huoyan.model.native_histogram import NativeHistogram

values = st.one_of(
    st.floats(min_value=0.0, max_value=1e12, allow_nan=False),
    st.floats(min_value=1e-4, max_value=1e4),
    st.integers(min_value=-20, max_value=20).map(lambda half: 2.0 ** (half / 2)),
    st.sampled_from([0.0, 1e-9, 1.0000000000000002e-9, 1.0, 2.0, 0.5]),
)
samples = st.lists(values, max_size=60)
schemas = st.integers(min_value=-4, max_value=8)
qs = st.one_of(st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 1.0]), st.floats(min_value=0.0, max_value=1.0))


def histogram_of(observed: Iterable[float], schema: int = 5, **options: int) -> Histogram:
    histogram = Histogram(schema, **options)
    for value in observed:
        histogram.observe(value)
    return histogram


def bucket_state(histogram: Histogram) -> tuple[object, ...]:
    """Everything that is exact: all but the sum, which is rounded in the order of addition."""
    return histogram.schema, histogram.buckets, histogram.zero_count, histogram.count, histogram.min, histogram.max


# The grid


@pytest.mark.parametrize("schema", range(-4, 9))
def test_a_power_of_two_is_the_inclusive_upper_bound_of_its_bucket(schema):
    step = max(1, 2**-schema if schema < 0 else 1)
    for exponent in range(-29 // step * step, 1024, step):
        value = math.ldexp(1.0, exponent)
        expected = exponent * 2**schema if schema >= 0 else exponent // step
        assert bucket_index(value, schema) == expected
        assert bucket_index(value * (1 + 1e-9), schema) == expected + 1


@pytest.mark.parametrize("schema", range(9))
def test_every_bound_of_the_grid_falls_into_its_own_bucket_in_either_rounding(schema):
    for index in range(-10 * 2**schema, 10 * 2**schema):
        bound = upper_bound(index, schema)
        for near in (math.nextafter(bound, 0.0), bound, math.nextafter(bound, math.inf)):
            assert bucket_index(near, schema) == index


@given(st.floats(min_value=1.1e-9, max_value=1.7e308), schemas)
def test_a_value_lies_between_the_bounds_of_its_bucket(value, schema):
    index = bucket_index(value, schema)
    assert upper_bound(index - 1, schema) * (1 - 1e-9) <= value
    assert value <= upper_bound(index, schema) * (1 + 1e-9)


def test_the_index_is_the_one_of_the_prometheus_specification():
    """The specification's example: schema 0 has 1 as upper bound of bucket 0, 2 of bucket 1, 4 of bucket 2."""
    assert [bucket_index(value, 0) for value in (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0)] == [-1, 0, 0, 1, 1, 2, 2]


# Observing


@pytest.mark.parametrize("value", [-1.0, -1e-12, math.nan, math.inf, -math.inf, 10**400])
def test_a_value_that_is_no_duration_is_refused_and_named(value):
    histogram = Histogram()
    with pytest.raises(ValueError, match=r"value: expected a finite number of 0 or more, got .+"):
        histogram.observe(value)
    assert histogram == Histogram()


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_one_is_refused(count):
    with pytest.raises(ValueError, match="count: expected 1 or more"):
        Histogram().observe(1.0, count)


def test_the_smallest_times_are_counted_as_zero():
    histogram = histogram_of([0.0, 5e-10, ZERO_THRESHOLD, 1.1e-9])
    assert histogram.zero_count == 3
    assert sum(histogram.buckets.values()) == 1


@given(samples, schemas)
def test_no_value_is_lost(observed, schema):
    histogram = histogram_of(observed, schema)
    assert histogram.count == len(observed) == histogram.zero_count + sum(histogram.buckets.values())
    assert histogram.sum == pytest.approx(math.fsum(observed))
    assert histogram.min == (min(observed) if observed else None)
    assert histogram.max == (max(observed) if observed else None)


@given(values, st.integers(min_value=1, max_value=1000))
def test_a_count_is_the_same_as_that_many_observations(value, count):
    at_once = Histogram()
    at_once.observe(value, count)
    assert bucket_state(at_once) == bucket_state(histogram_of([value] * count))


@given(st.lists(st.floats(min_value=1e-8, max_value=1e300), min_size=81, max_size=200, unique=True))
@settings(max_examples=30)
def test_the_number_of_buckets_is_bounded_and_the_schema_no_coarser_than_needed(observed):
    histogram = histogram_of(observed, 8, max_buckets=80)
    assert len(histogram.buckets) <= 80
    assert histogram.count == len(observed)
    if histogram.schema < 8:
        assert len({bucket_index(value, histogram.schema + 1) for value in observed}) > 80


@pytest.mark.parametrize(("schema", "max_buckets"), [(9, 320), (-5, 320), (5, 79)])
def test_a_resolution_outside_the_specification_is_refused(schema, max_buckets):
    with pytest.raises(ValueError, match="expected"):
        Histogram(schema, max_buckets=max_buckets)


# Merging and downscaling


@given(samples, samples, schemas, schemas)
def test_merging_is_commutative(left, right, left_schema, right_schema):
    one = histogram_of(left, left_schema)
    one.merge(histogram_of(right, right_schema))
    other = histogram_of(right, right_schema)
    other.merge(histogram_of(left, left_schema))
    assert one == other


@given(samples, samples, samples, st.tuples(schemas, schemas, schemas))
def test_merging_is_associative_bucket_by_bucket(a, b, c, abc_schemas):
    first, second, third = (histogram_of(v, s, max_buckets=80) for v, s in zip((a, b, c), abc_schemas, strict=True))
    left = first.copy()
    left.merge(second)
    left.merge(third)
    tail = second.copy()
    tail.merge(third)
    right = first.copy()
    right.merge(tail)
    assert bucket_state(left) == bucket_state(right)


@given(samples, samples, schemas)
def test_merging_is_observing_both(left, right, schema):
    merged = histogram_of(left, schema)
    merged.merge(histogram_of(right, schema))
    assert bucket_state(merged) == bucket_state(histogram_of(left + right, schema))


@given(samples, schemas, st.data())
def test_downscaling_equals_having_observed_at_the_coarser_schema(observed, schema, data):
    coarse = data.draw(st.integers(min_value=-4, max_value=schema))
    histogram = histogram_of(observed, schema)
    histogram.downscale(coarse)
    assert histogram == histogram_of(observed, coarse)
    histogram.observe(3.7)
    assert histogram == histogram_of([*observed, 3.7], coarse)


def test_a_histogram_cannot_be_made_finer():
    with pytest.raises(ValueError, match="expected -4 to 3, got 5"):
        Histogram(3).downscale(5)


def test_a_histogram_can_be_merged_into_itself():
    histogram = histogram_of([0.0, 1.0, 2.0])
    histogram.merge(histogram)
    assert bucket_state(histogram) == bucket_state(histogram_of([0.0, 1.0, 2.0] * 2))


def test_a_copy_is_independent():
    histogram = histogram_of([1.0])
    twin = histogram.copy()
    twin.observe(5.0)
    assert (histogram.count, histogram.max) == (1, 1.0)
    assert twin != histogram


# Subtracting


@given(samples, samples, schemas, schemas)
def test_taking_away_what_was_merged_leaves_the_counts_of_the_rest(kept, gone, kept_schema, gone_schema):
    histogram = histogram_of(kept, kept_schema)
    histogram.merge(histogram_of(gone, gone_schema))
    histogram.subtract(histogram_of(gone, gone_schema))
    expected = histogram_of(kept, kept_schema)
    expected.downscale(min(kept_schema, gone_schema))
    assert histogram.buckets == expected.buckets
    assert (histogram.zero_count, histogram.count) == (expected.zero_count, expected.count)


@given(samples, samples)
def test_subtracting_never_goes_below_zero_and_stays_possible(some, others):
    histogram = histogram_of(some)
    histogram.subtract(histogram_of(others))
    assert all(count > 0 for count in histogram.buckets.values())
    assert histogram.zero_count >= 0
    assert histogram.count == histogram.zero_count + sum(histogram.buckets.values())
    if histogram.min is not None and histogram.max is not None:
        assert 0.0 <= histogram.min <= histogram.max
        assert histogram.count * histogram.min * (1 - 1e-9) <= histogram.sum
        assert histogram.sum <= histogram.count * histogram.max * (1 + 1e-9)
    else:
        assert histogram == Histogram()


# Quantiles


@given(st.lists(values, min_size=1, max_size=60), schemas, qs)
def test_a_quantile_is_within_the_declared_error_of_the_real_one(observed, schema, q):
    histogram = histogram_of(observed, schema)
    rank = Fraction(q) * len(observed)
    if abs(rank - round(rank)) < Fraction(1, 10**12):
        rank = Fraction(round(rank))
    exact = sorted(observed)[max(math.ceil(rank), 1) - 1]
    estimate = histogram.quantile(q)
    assert estimate is not None
    allowed = max(ZERO_THRESHOLD, exact * relative_error_bound(histogram.schema)) * (1 + 1e-9)
    assert abs(estimate - exact) <= allowed


def test_the_declared_error_at_schema_5_is_the_width_of_a_bucket():
    assert relative_error_bound(5) == pytest.approx(0.0219, abs=1e-4)


def test_quantiles_of_a_real_shape_are_off_by_a_few_hundredths_of_a_percent():
    generator = random.Random(20261120)
    observed = sorted(generator.lognormvariate(-1.0, 1.0) for _ in range(100_000))
    histogram = histogram_of(observed)
    for q, tolerance in ((0.5, 5e-4), (0.95, 1e-3), (0.99, 2e-3)):
        assert histogram.quantile(q) == pytest.approx(observed[math.ceil(q * len(observed)) - 1], rel=tolerance)


@given(st.lists(values, min_size=1, max_size=60), st.lists(qs, min_size=1, max_size=8))
def test_quantiles_are_monotone_and_stay_between_smallest_and_largest(observed, wanted):
    found = [value for value in histogram_of(observed).quantiles(sorted(wanted)) if value is not None]
    assert len(found) == len(wanted)
    assert found == sorted(found)
    assert min(observed) <= found[0]
    assert found[-1] <= max(observed)


def test_quantiles_come_in_the_order_asked_for():
    histogram = histogram_of([0.1] * 50 + [10.0] * 50)
    assert histogram.quantiles((0.99, 0.01)) == [histogram.quantile(0.99), histogram.quantile(0.01)]
    assert histogram.quantile(0.0) == 0.1
    assert histogram.quantile(1.0) == 10.0


def test_a_rank_that_is_whole_but_for_rounding_stays_in_its_bucket():
    """0.55 * 100 is 55.00000000000001 in floats; the 55th value is 1, the 56th is 1000."""
    assert histogram_of([1.0] * 55 + [1000.0] * 45).quantile(0.55) == pytest.approx(1.0, rel=0.03)


def test_a_count_beyond_the_floats_still_has_quantiles():
    histogram = Histogram()
    histogram.observe(2.0, 2**60 - 1)
    assert histogram.quantile(1.0) == 2.0


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_quantile_outside_0_to_1_is_refused(q):
    with pytest.raises(ValueError, match="q: expected 0 to 1"):
        histogram_of([1.0]).quantile(q)


def test_an_empty_histogram_has_no_quantile():
    empty = Histogram()
    assert empty.quantile(0.5) is None
    assert empty.quantiles((0.5, 0.9)) == [None, None]
    assert (empty.min, empty.max, empty.count, empty.sum) == (None, None, 0, 0.0)


# Forms


@given(samples, st.integers(min_value=1, max_value=8))
def test_classic_counts_are_exact_on_the_default_bounds(observed, schema):
    histogram = histogram_of(observed, schema)
    expected = [sum(v <= bound * (1 + 7e-13) for v in observed) for bound in DEFAULT_CLASSIC_BOUNDS_S]
    assert histogram.classic(DEFAULT_CLASSIC_BOUNDS_S) == expected


@given(samples, st.lists(st.floats(min_value=1e-6, max_value=1e6), min_size=1, max_size=10), schemas)
def test_classic_counts_off_the_grid_are_whole_monotone_and_end_at_the_count(observed, bounds, schema):
    counts = histogram_of(observed, schema).classic([*sorted(bounds), math.inf])
    assert counts == sorted(counts)
    assert all(isinstance(count, int) for count in counts)
    assert counts[-1] == len(observed)


def test_the_default_classic_bounds_are_dense_where_tasks_are_and_reach_an_hour():
    assert DEFAULT_CLASSIC_BOUNDS_S[0] < 0.001
    assert DEFAULT_CLASSIC_BOUNDS_S[-1] > 3600
    assert len(DEFAULT_CLASSIC_BOUNDS_S) <= 30
    dense = [bound for bound in DEFAULT_CLASSIC_BOUNDS_S if 0.09 < bound < 6]
    assert all(after / before < 1.415 for before, after in itertools.pairwise(dense))
    assert all(bound == upper_bound(bucket_index(bound, 1), 1) for bound in DEFAULT_CLASSIC_BOUNDS_S)


def counts_of_native(native: NativeHistogram) -> dict[int, int]:
    """Read spans and deltas the way Prometheus does."""
    counts: dict[int, int] = {}
    deltas = iter(native.deltas)
    index = count = 0
    for offset, length in native.spans:
        index += offset
        for _ in range(length):
            count += next(deltas)
            counts[index] = count
            index += 1
    assert next(deltas, None) is None
    return counts


@given(samples, schemas)
def test_the_native_form_holds_every_bucket(observed, schema):
    histogram = histogram_of(observed, schema)
    native = NativeHistogram.of(histogram)
    counts = counts_of_native(native)
    assert {index: count for index, count in counts.items() if count} == histogram.buckets
    assert min(counts.values(), default=0) >= 0
    assert native.count == native.zero_count + sum(counts.values()) == len(observed)
    assert (native.schema, native.sum, native.zero_threshold) == (schema, histogram.sum, ZERO_THRESHOLD)


def test_the_native_form_writes_short_gaps_out_and_starts_a_span_after_longer_ones():
    histogram = Histogram(0)
    for value, count in ((1.0, 2), (2.0, 5), (8.0, 1), (256.0, 3)):
        histogram.observe(value, count)
    native = NativeHistogram.of(histogram)
    assert native.spans == ((0, 4), (4, 1))
    assert native.deltas == (2, 3, -5, 1, 2)


@given(samples, schemas)
def test_encoding_and_decoding_gives_the_same_histogram(observed, schema):
    histogram = histogram_of(observed, schema)
    assert Histogram.decode(histogram.encode()) == histogram


@given(st.binary(max_size=80))
def test_bytes_that_are_no_histogram_are_refused_with_a_value_error(data):
    try:
        histogram = Histogram.decode(data)
    except ValueError:
        return
    assert histogram.count == histogram.zero_count + sum(histogram.buckets.values())


@given(st.lists(values, min_size=1, max_size=60), st.data())
def test_a_histogram_cut_off_is_refused(observed, data):
    encoded = histogram_of(observed).encode()
    with pytest.raises(ValueError, match="expected"):
        Histogram.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


def test_an_unknown_version_and_trailing_bytes_are_refused():
    encoded = histogram_of([1.0]).encode()
    with pytest.raises(ValueError, match="encoding version"):
        Histogram.decode(b"\x09" + encoded[1:])
    with pytest.raises(ValueError, match="bytes"):
        Histogram.decode(encoded + b"\x00")


def test_a_minute_of_one_task_takes_little_space():
    generator = random.Random(1)
    histogram = histogram_of(generator.lognormvariate(-1.0, 0.5) for _ in range(600))
    assert len(histogram.encode()) < 300


@pytest.mark.parametrize(
    "change",
    [
        {"buckets": {0: 0}},
        {"buckets": {10**9: 1}},
        {"schema": 12},
        {"sum": -1.0},
        {"_min": 3.0},
        {"_max": math.nan},
    ],
)
def test_what_does_not_add_up_is_refused(change):
    histogram = histogram_of([1.0, 2.0])
    for name, value in change.items():
        setattr(histogram, name, value)
    with pytest.raises(ValueError, match="expected"):
        Histogram.decode(histogram.encode())
