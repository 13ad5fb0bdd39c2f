"""Counters, gauges and distributions of a process: right under threads, bounded, the same series each time."""

import math
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.client.measurements import Counter, Distribution, Gauge, Measurements
from huoyan.model.histogram import Histogram
from huoyan.signals.metrics.application import HTTP_REQUEST_DURATION, HTTP_REQUESTS, HTTP_REQUESTS_IN_FLIGHT


def test_the_same_labels_are_the_same_series() -> None:
    requests = Measurements().counter(HTTP_REQUESTS)
    requests.child(("GET", "/orders", "200")).add()
    requests.child(("GET", "/orders", 200)).add(2)
    requests.child(("GET", "/orders", "500")).add()
    assert {key: child.value for key, child in requests.series()} == {
        ("GET", "/orders", "200"): 3.0,
        ("GET", "/orders", "500"): 1.0,
    }


def test_a_hundred_thousand_paths_stay_within_the_budget() -> None:
    durations = Measurements().distribution(HTTP_REQUEST_DURATION)
    for number in range(100_000):
        durations.child(("GET", f"/order/{number}")).observe(0.1)
    series = list(durations.series())
    assert len(series) <= durations.budget.limit + 1
    assert sum(child.count for _, child in series) == 100_000


def test_a_metric_stays_what_it_was_declared_as() -> None:
    measurements = Measurements()
    measurements.gauge(HTTP_REQUESTS_IN_FLIGHT)
    assert measurements.gauge(HTTP_REQUESTS_IN_FLIGHT) is measurements.gauge(HTTP_REQUESTS_IN_FLIGHT)
    with pytest.raises(ValueError, match="expected a gauge"):
        measurements.counter(HTTP_REQUESTS_IN_FLIGHT)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e9)))
def test_a_distribution_counts_as_the_model_does(values: list[float]) -> None:
    ours, theirs = Distribution(), Histogram(max_buckets=100_000)
    for value in values:
        ours.observe(value)
        theirs.observe(value)
    assert ours.buckets == theirs.buckets
    assert ours.zeros == theirs.zero_count
    assert ours.total == pytest.approx(theirs.sum, abs=1e-6)
    if values:
        assert ours.histogram().count == len(values)
        for q in (0.5, 0.99):
            assert ours.histogram().quantile(q) == pytest.approx(theirs.quantile(q), rel=0.03, abs=1e-8)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, -1.0])
def test_what_is_no_amount_spoils_nothing(odd: float) -> None:
    counter, distribution = Counter(), Distribution()
    counter.add(odd)
    distribution.observe(odd)
    assert counter.value == 0.0
    assert distribution.total == 0.0
    assert not distribution.buckets


def test_threads_lose_no_count() -> None:
    counter, distribution = Counter(), Distribution()

    def work() -> None:
        for number in range(20_000):
            counter.add()
            distribution.observe(0.001 * (number % 7))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value == 80_000
    assert distribution.count == 80_000


def test_a_gauge_is_unknown_until_it_is_set() -> None:
    gauge = Gauge()
    assert gauge.value is None
    gauge.add(2)
    gauge.set(None)
    assert gauge.value is None


def test_no_observation_of_many_threads_is_lost_while_others_read() -> None:
    distribution = Distribution()
    read: list[int] = []

    def observe() -> None:
        for _ in range(5_000):
            distribution.observe(0.25)

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        read.append(distribution.count)
    assert distribution.count == 20_000
    assert distribution.total == 5_000.0
    assert read == sorted(read)


def test_observations_are_held_a_few_at_a_time() -> None:
    distribution = Distribution()
    for number in range(1_000):
        distribution.observe(1.0 + number)
        assert len(distribution.held) < 64
    assert distribution.count == 1_000
    assert not distribution.held
