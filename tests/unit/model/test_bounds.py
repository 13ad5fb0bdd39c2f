"""Bounds that are proposed are never worse than those in use, and the stated error is the real one."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.model.bounds import QUANTILES, computed, error, propose, worst
from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S
from huoyan.model.histogram import Histogram

PROMETHEUS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]


def observed(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    return histogram


def test_a_quantile_is_computed_as_prometheus_does() -> None:
    histogram = observed([0.2] * 50 + [0.4] * 50)
    assert computed(histogram, [0.1, 0.5, 1.0], 0.5) == pytest.approx(0.3)
    assert computed(histogram, [0.1], 0.5) == 0.1
    assert computed(Histogram(), [0.1], 0.5) is None
    assert error(histogram, [0.1], 0.99) == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("value", PROMETHEUS_S)
def test_the_error_is_the_real_one_when_all_lie_on_a_bound(value: float) -> None:
    below = max((bound for bound in PROMETHEUS_S if bound < value), default=0.0)
    for q in QUANTILES:
        # All are in the bucket that ends there, in which Prometheus goes the share `q` of the way.
        assert error(observed([value] * 100), PROMETHEUS_S, q) == pytest.approx((1 - q) * (1 - below / value))


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=200), st.sampled_from([PROMETHEUS_S, DEFAULT_CLASSIC_BOUNDS_S])
)
def test_proposed_bounds_are_never_worse_than_those_in_use(values: list[float], present: list[float]) -> None:
    histogram = observed(values)
    proposed = propose(histogram, present)
    assert worst(histogram, proposed) <= worst(histogram, present)
    assert proposed == sorted(set(proposed))
    assert len(proposed) <= len(present)


def test_tasks_of_minutes_get_bounds_where_they_are() -> None:
    drawn = random.Random(7)
    histogram = observed([drawn.lognormvariate(5.0, 0.5) for _ in range(5000)])
    assert worst(histogram, PROMETHEUS_S) > 0.9
    proposed = propose(histogram, PROMETHEUS_S)
    assert worst(histogram, proposed) < 0.05
    assert all((error(histogram, proposed, q) or 0.0) < 0.05 for q in QUANTILES)


def test_fewer_bounds_can_be_asked_for() -> None:
    histogram = observed([0.001 * number for number in range(1, 1000)])
    assert 1 <= len(propose(histogram, PROMETHEUS_S, 4)) <= 4
    assert propose(Histogram(), PROMETHEUS_S) == PROMETHEUS_S
