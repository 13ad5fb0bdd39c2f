"""Clocks that are off are found out, and delays are not taken for them."""

import pytest

from huoyan.server.collect.skew import SkewEstimator

T = 1_763_673_300.0


@pytest.mark.parametrize("skew_s", [0.0, 1.9, -1.9])
def test_a_difference_below_two_seconds_counts_as_none(skew_s):
    assert SkewEstimator().sent("w", T + skew_s, T) == 0.0


@pytest.mark.parametrize("skew_s", [7200.0, -7200.0, 3.0, -3.0])
def test_a_message_that_says_when_it_was_sent_shows_the_skew_at_once(skew_s):
    estimator = SkewEstimator()
    assert estimator.sent("w", T + skew_s, T + 0.05) == pytest.approx(skew_s, abs=0.1)
    assert estimator.of("w") == pytest.approx(skew_s, abs=0.1)
    assert estimator.of("other") == 0.0


def test_the_message_with_the_least_delay_is_believed():
    estimator = SkewEstimator()
    for delay_s in (30.0, 0.1, 12.0):
        estimator.sent("w", T, T + delay_s)
    assert estimator.of("w") == 0.0


def test_a_clock_that_is_set_right_is_believed_after_five_minutes_at_most():
    estimator = SkewEstimator()
    estimator.sent("w", T - 100.0, T)
    assert estimator.of("w") == -100.0
    for second in range(0, 310, 10):
        estimator.sent("w", T + second - 0.1, T + second)
    assert estimator.of("w") == 0.0
    estimator.sent("w", T + 320 + 50.0, T + 320)
    assert estimator.of("w") == 50.0
    for second in range(330, 640, 10):
        estimator.sent("w", T + second - 0.1, T + second)
    assert estimator.of("w") == 0.0


def test_events_from_the_future_show_a_clock_that_is_ahead_at_once():
    assert SkewEstimator().streamed("w", T + 7200.0, T) == 7200.0


def test_events_far_in_the_past_show_a_clock_that_is_behind_because_no_broker_keeps_events_so_long():
    assert SkewEstimator().streamed("w", T - 7200.0, T) == -7200.0


def test_events_held_back_for_a_moment_are_no_skew():
    estimator = SkewEstimator()
    for second in range(8):
        assert estimator.streamed("w", T, T + 3.0 + second * 0.5) == 0.0


def test_a_small_delay_that_lasts_is_a_clock_that_is_behind():
    estimator = SkewEstimator()
    for second in range(0, 40, 2):
        estimator.streamed("w", T + second - 4.0, T + second)
    assert estimator.of("w") == -4.0


def test_heartbeats_know_better_than_events():
    estimator = SkewEstimator()
    estimator.streamed("w", T - 60.0, T)
    assert estimator.of("w") == -60.0
    estimator.sent("w", T + 0.9, T + 1.0)
    assert estimator.streamed("w", T - 60.0, T + 2.0) == 0.0
