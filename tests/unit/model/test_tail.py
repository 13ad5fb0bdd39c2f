"""How far values reach by chance: never too short for a power law, and not for ever."""

import random

import pytest

from huoyan.model.tail import LEAST_VALUES, Tail


@pytest.mark.parametrize("exponent", [1.5, 2.0, 4.0])
@pytest.mark.parametrize("size", [20, 200, 2000])
def test_the_greatest_of_a_power_law_are_within_reach(exponent: float, size: int) -> None:
    rng = random.Random(size)
    for _ in range(40):
        tail = Tail([rng.paretovariate(exponent) for _ in range(size)])
        greatest = sorted((rng.paretovariate(exponent) for _ in range(1000)), reverse=True)
        assert not any(tail.beyond(greatest[:place], 1000) for place in (2, 4, 10))


def test_it_reaches_less_far_the_steadier_and_the_better_known_it_is() -> None:
    rng = random.Random(1)
    few, many = ([rng.lognormvariate(0, 0.3) for _ in range(size)] for size in (20, 1000))
    wild = [rng.lognormvariate(0, 1.2) for _ in range(1000)]
    assert Tail(many).reach(0.001) < 4 < Tail(few).reach(0.001) < 300
    assert Tail(many).reach(0.001) < Tail(wild).reach(0.001)
    assert Tail(wild).reach(0.01) < Tail(wild).reach(0.001)


def test_what_is_always_the_same_reaches_no_farther() -> None:
    assert Tail([0.5] * 100).reach(1e-6) == 0.5


def test_a_value_that_the_usual_ones_themselves_reach_too_often_is_beyond() -> None:
    """Of a hundred thousand a value of 25 could be the greatest by chance; one in fifty is not."""
    rng = random.Random(2)
    usual = [rng.lognormvariate(0, 0.5) for _ in range(300)]
    assert not Tail(usual).beyond([25.0], 10_000_000)
    assert Tail([*usual, *([25.0] * 6)]).beyond([26.0], 10_000_000)


def test_great_values_close_together_are_beyond_what_reaches_as_far_by_chance() -> None:
    """Nine searches of 1.2 s among 300 requests of a busy machine, whose forty known ones say little of its tail."""
    rng = random.Random(4)
    found = spread_out = 0
    for _ in range(100):
        tail = Tail([rng.lognormvariate(0, 1.0) * 0.015 for _ in range(40)])
        found += tail.beyond(sorted((rng.uniform(1.1, 1.3) for _ in range(9)), reverse=True), 300)
        spread_out += tail.beyond(sorted((1.1 * rng.paretovariate(1.5) for _ in range(9)), reverse=True), 300)
    assert found >= 95
    assert spread_out < found


def test_two_values_next_to_each_other_say_nothing_of_the_end() -> None:
    rng = random.Random(6)
    tail = Tail([rng.lognormvariate(0, 1.0) for _ in range(80)])
    assert not tail.beyond([60.001, 60.0], 20_000)
    assert tail.beyond([60.0] * 10, 20_000)


def test_the_greatest_of_exponential_times_lie_close_together_and_are_within_reach() -> None:
    rng = random.Random(5)
    for _ in range(200):
        tail = Tail([rng.expovariate(1.0) for _ in range(80)])
        greatest = sorted((rng.expovariate(1.0) for _ in range(20_000)), reverse=True)
        assert not any(tail.beyond(greatest[:place], 20_000) for place in (10, 40, 80))


def test_a_group_apart_is_told_from_a_long_tail() -> None:
    rng = random.Random(3)
    usual = [rng.lognormvariate(0, 0.6) for _ in range(400)]
    others = [rng.uniform(60, 80) for _ in range(100)]
    assert Tail([*usual, *others]).group() == min(others)
    assert Tail(usual).group() is None
    assert Tail([rng.paretovariate(1.5) for _ in range(400)]).group() is None


def test_few_or_no_values_say_nothing() -> None:
    for values in ([], [0.0] * 50, [1.0] * (LEAST_VALUES - 1)):
        tail = Tail(values)
        assert not tail.known
        assert tail.group() is None
        assert tail.reach(0.5) == 0.0
