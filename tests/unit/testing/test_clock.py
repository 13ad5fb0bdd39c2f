"""The clock that tests move."""

import pytest

from huoyan.clock import Clock
from huoyan.testing import FakeClock


def test_it_stands_still_until_it_is_moved() -> None:
    clock: Clock = FakeClock(now=50.0, monotonic=7.0)
    assert (clock.now(), clock.now(), clock.monotonic()) == (50.0, 50.0, 7.0)


def test_both_times_advance_together_and_the_wall_can_jump_alone() -> None:
    clock = FakeClock(now=50.0, monotonic=7.0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (52.5, 9.5)
    clock.set_wall(10.0)
    assert (clock.now(), clock.monotonic()) == (10.0, 9.5)


def test_time_does_not_go_backwards() -> None:
    with pytest.raises(ValueError, match="not negative"):
        FakeClock().advance(-1)
