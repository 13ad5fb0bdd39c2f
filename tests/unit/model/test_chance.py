"""How probable chance is: exactly what counting every order says."""

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.model.chance import exceedance_test, rank_test


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_the_rank_test_is_a_probability_and_fair(left: list[float], right: list[float]) -> None:
    assert 0.0 <= rank_test(left, right) <= 1.0
    assert rank_test(left, left) >= 0.4
    # What is far above comes out small, whichever way the values lie.
    above = [value + 1000 for value in left]
    assert rank_test(above, right) <= rank_test(right, above)


def test_the_rank_test_is_exact_where_there_are_few() -> None:
    """Against every order of 4 and 5 values, counted one by one."""
    values = range(9)
    every = [(set(chosen), set(values) - set(chosen)) for chosen in combinations(values, 4)]
    great = {frozenset(left): sum(a > b for a in left for b in right) for left, right in every}
    for left, right in every:
        at_least = sum(u >= great[frozenset(left)] for u in great.values())
        assert rank_test([*left], [*right]) == pytest.approx(at_least / len(every))


def test_the_exceedance_test_is_exact() -> None:
    values = range(9)
    every = [(chosen, [each for each in values if each not in chosen]) for chosen in combinations(values, 4)]
    for value in values:
        above = [sum(each >= value for each in left) for left, _ in every]
        for (left, right), count in zip(every, above, strict=True):
            at_least = sum(each >= count for each in above)
            assert exceedance_test(left, right, value) == pytest.approx(at_least / len(every))


def test_the_exact_and_the_normal_rank_test_meet_where_one_takes_over() -> None:
    rng = random.Random(3)
    right = [rng.gauss(0, 1) for _ in range(41)]
    few, many = [rng.gauss(0.6, 1) for _ in range(24)], [rng.gauss(0.6, 1) for _ in range(25)]
    many[:24] = few
    assert rank_test(few, right) == pytest.approx(rank_test(many, right), rel=0.5)
