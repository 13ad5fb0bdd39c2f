"""Values that stand out among the slow or the failing: named when they do, never by chance."""

import random

import pytest

from huoyan.model.lift import LEAST_MARKED, Sample, Standout, standouts


def many(count: int, marked: bool, **traits: str) -> list[Sample]:
    return [Sample(traits, marked)] * count


def test_the_host_that_is_slow_is_named_with_its_shares() -> None:
    samples = [
        *many(18, True, host="a", version="1"),
        *many(2, True, host="b", version="1"),
        *many(50, False, host="a", version="1"),
        *many(150, False, host="b", version="1"),
    ]
    (found,) = standouts(samples)
    assert found == Standout("host", "a", 0.9, 0.25, 18)
    assert found.lift == pytest.approx(3.6)


def test_a_value_that_none_of_the_others_has_has_no_lift() -> None:
    samples = [*many(10, True, version="2"), *many(100, False, version="1")]
    (found,) = standouts(samples)
    assert (found.value, found.usual_share, found.lift) == ("2", 0.0, None)


def test_ids_are_never_named() -> None:
    samples = [Sample({"argument id": str(number)}, number < 30) for number in range(300)]
    assert standouts(samples) == []


def test_what_everybody_has_is_not_named() -> None:
    assert standouts([*many(30, True, host="a"), *many(300, False, host="a")]) == []


@pytest.mark.parametrize(("marked", "others"), [(LEAST_MARKED - 1, 100), (30, 19)])
def test_too_few_say_nothing(marked: int, others: int) -> None:
    assert standouts([*many(marked, True, host="a"), *many(others, False, host="b")]) == []


def test_weights_stand_for_those_that_were_not_kept() -> None:
    # The busy host is sampled as often as the quiet one, and has ten times the slow ones because of its traffic.
    samples = [
        *many(20, True, host="busy"),
        *many(2, True, host="quiet"),
        *[Sample({"host": "busy"}, False, 10.0)] * 100,
        *[Sample({"host": "quiet"}, False, 1.0)] * 100,
    ]
    assert standouts(samples) == []
    assert standouts([Sample(one.traits, one.marked) for one in samples])[0].value == "busy"


def test_chance_is_accused_in_at_most_one_of_fifty_cases() -> None:
    rng = random.Random(11)
    accused = 0
    for _ in range(300):
        count = rng.randint(LEAST_MARKED, 60)
        hosts, regions = rng.randint(2, 12), rng.randint(2, 5)
        samples = [
            Sample(
                {"host": str(rng.randrange(hosts)), "region": str(rng.randrange(regions)), "version": "1"},
                number < count,
            )
            for number in range(count + rng.randint(20, 200))
        ]
        accused += bool(standouts(samples))
    assert accused <= 6
