"""What slow ones do differently: a planted cause comes first, noise accuses nobody."""

import random
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.model.causes import Case, case_of, causes_of, rank_test


def breakdown(**tables: float) -> dict[str, Any]:
    parts = [
        {
            "component": "database",
            "operation": "SELECT",
            "target": table,
            "covered_s": spent,
            "max_s": spent,
            "calls": 1,
        }
        for table, spent in tables.items()
    ]
    return {"total_s": sum(tables.values()), "own_s": 0.0, "parts": parts}


def request(number: int, own_s: float, slow: bool = False, **tables: float) -> Case:
    case = case_of(str(number), own_s + sum(tables.values()), breakdown(**tables))
    return Case(case.id, case.duration_s, case.parts, case.longest_s, slow)


def traffic(seed: int, slow_orders_s: float = 0.0, count: int = 600) -> list[Case]:
    """Return requests of usual noise; the slowest 1 to 5 % are marked slow. Some search `orders` slowly."""
    rng = random.Random(seed)
    cases = []
    for number in range(count):
        slowly = slow_orders_s > 0 and rng.random() < 0.04
        cases.append(
            request(
                number,
                rng.lognormvariate(-4, 0.5),
                users=rng.lognormvariate(-5, 0.6),
                orders=slow_orders_s * rng.uniform(0.9, 1.1) if slowly else rng.lognormvariate(-5, 0.6),
                stock=rng.lognormvariate(-5, 0.6),
            )
        )
    cutoff = sorted(case.duration_s for case in cases)[int(0.97 * count)]
    return [Case(case.id, case.duration_s, case.parts, {}, case.duration_s >= cutoff) for case in cases]


@pytest.mark.parametrize("seed", range(10))
def test_the_slow_table_comes_first_with_nearly_all_of_the_share(seed: int) -> None:
    findings = causes_of(traffic(seed, slow_orders_s=2.8))
    assert findings.verdict == "found"
    first = findings.causes[0]
    assert (first.component, first.operation, first.target) == ("database", "SELECT", "orders")
    assert first.share > 0.9
    assert 1.0 < first.slow_s < 3.1
    assert len(first.evidence) == 5


@pytest.mark.parametrize("seed", range(5))
def test_what_became_slow_a_moment_ago_is_not_hidden_by_what_was_always_a_little_slow(seed: int) -> None:
    rng = random.Random(seed)
    typical = [request(n, 0.002 * rng.lognormvariate(0, 0.5), orders=0.0002, stock=0.0001) for n in range(20)]
    always = [request(100 + n, rng.uniform(0.01, 0.05), slow=True, orders=0.0002, stock=0.0001) for n in range(9)]
    new = [request(200 + n, 0.003, slow=True, orders=rng.uniform(0.12, 0.2), stock=0.0001) for n in range(7)]
    assert causes_of([*typical, *always]).causes[0].component == "own code"
    first = causes_of([*typical, *always, *new]).causes[0]
    assert (first.component, first.target) == ("database", "orders")
    assert first.share > 0.9


def test_equal_requests_are_not_told_apart() -> None:
    same = [request(n, 0.01, slow=n < 20, users=0.002) for n in range(200)]
    assert causes_of(same).verdict == "even"


def test_marks_at_random_accuse_nobody() -> None:
    """With the slow ones drawn by lot every accusation is false: at most one in a hundred."""
    accused = 0
    for seed in range(200):
        rng = random.Random(seed)
        cases = traffic(seed, slow_orders_s=0.5 if seed % 2 else 0.0, count=200)
        lot = set(rng.sample(range(200), 20))
        cases = [Case(c.id, c.duration_s, c.parts, {}, n in lot) for n, c in enumerate(cases)]
        accused += bool(causes_of(cases).causes)
    assert accused <= 2


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 0.6])
def test_traffic_that_only_varies_accuses_nobody(sigma: float) -> None:
    """The slow ones chosen as the product chooses them, by their duration, among requests without any cause."""
    accused = 0
    for seed in range(20):
        rng = random.Random(seed)
        cases = [
            request(
                n,
                0.018 * rng.lognormvariate(0, sigma),
                users=0.0067 * rng.lognormvariate(0, sigma),
                orders=0.0067 * rng.lognormvariate(0, sigma),
                stock=0.0067 * rng.lognormvariate(0, sigma),
            )
            for n in range(1000)
        ]
        cutoff = sorted(case.duration_s for case in cases)[990]
        cases = [Case(case.id, case.duration_s, case.parts, {}, case.duration_s >= cutoff) for case in cases]
        accused += bool(causes_of(cases).causes)
    assert accused <= 1


def chosen(requests: list[dict[str, float]]) -> list[Case]:
    """Return requests of these times in tables, the slowest 1 % marked."""
    cases = [case_of(str(n), sum(one.values()), breakdown(**one)) for n, one in enumerate(requests)]
    cutoff = sorted(case.duration_s for case in cases)[int(0.99 * len(cases))]
    return [Case(case.id, case.duration_s, case.parts, {}, case.duration_s >= cutoff) for case in cases]


def steady(rng: random.Random) -> dict[str, float]:
    return {
        "stock": 0.01 * rng.lognormvariate(0, 0.3),
        "users": 0.005 * rng.lognormvariate(0, 0.3),
        "orders": 0.02 * rng.lognormvariate(0, 0.2),
    }


def test_a_part_that_varies_widely_by_itself_is_not_accused() -> None:
    """An exponential time is six times its mean in the slowest 1 %."""
    accused = 0
    for seed in range(10):
        rng = random.Random(seed)
        cases = chosen([{**steady(rng), "orders": rng.expovariate(50)} for _ in range(800)])
        accused += bool(causes_of(cases).causes)
    assert accused <= 1


def test_a_busy_machine_that_slows_everything_is_nobodys_cause() -> None:
    accused = 0
    for seed in range(10):
        rng = random.Random(seed)
        factors = [rng.uniform(3, 4.5) if rng.random() < 0.02 else 1.0 for _ in range(800)]
        cases = chosen([{name: factor * spent for name, spent in steady(rng).items()} for factor in factors])
        accused += bool(causes_of(cases).causes)
    assert accused <= 1


def test_a_steady_part_is_named_when_it_alone_grows_fourfold() -> None:
    named = 0
    for seed in range(10):
        rng = random.Random(seed)
        requests = [steady(rng) for _ in range(800)]
        for one in rng.sample(requests, 24):
            one["orders"] *= 4
        findings = causes_of(chosen(requests))
        named += [(cause.target, cause.share > 0.5) for cause in findings.causes] == [("orders", True)]
    assert named >= 8


def test_too_few_are_not_compared() -> None:
    cases = [request(n, 1.0 if n < 4 else 0.01, slow=n < 4) for n in range(100)]
    assert causes_of(cases).verdict == "few"


def test_what_is_not_measured_is_own_code() -> None:
    cases = [request(n, 1.0 if n < 10 else 0.01, slow=n < 10, users=0.002) for n in range(100)]
    findings = causes_of(cases)
    assert [(cause.component, cause.share > 0.95) for cause in findings.causes] == [("own code", True)]


def test_waiting_in_the_queue_counts() -> None:
    cases = [case_of(str(n), 0.01, None, waited_s=5.0 if n < 10 else 0.1) for n in range(100)]
    cases = [Case(c.id, c.duration_s, c.parts, {}, c.duration_s > 1) for c in cases]
    assert causes_of(cases).causes[0].component == "queue"


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        "x",
        {},
        {"parts": 3},
        {"parts": [None, 1, {"component": "database"}, {"covered_s": -1}]},
        {"parts": [{}]},
    ],
)
def test_a_breakdown_that_cannot_be_read_is_own_code(odd: object) -> None:
    case = case_of("x", 2.0, odd)
    assert sum(case.parts.values()) == pytest.approx(2.0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_the_rank_test_is_a_probability_and_fair(left: list[float], right: list[float]) -> None:
    assert 0.0 <= rank_test(left, right) <= 1.0
    assert rank_test(left, left) >= 0.4
    # What is far above comes out small, whichever way the values lie.
    above = [value + 1000 for value in left]
    assert rank_test(above, right) <= rank_test(right, above)


def test_the_parts_of_both_kinds_add_up_to_their_means_however_many_there_are() -> None:
    tables = {f"table_{number}": 0.001 * number for number in range(1, 15)}
    cases = [request(number, 0.01, False, **tables) for number in range(20)]
    cases += [request(100 + number, 0.01, True, **{**tables, "table_3": 2.0}) for number in range(6)]
    findings = causes_of(cases)
    assert len(findings.parts) == 10
    assert (findings.parts[0].target, findings.parts[-1].component) == ("table_3", "other")
    assert sum(part.slow_s for part in findings.parts) == pytest.approx(findings.slow_mean_s)
    assert sum(part.typical_s for part in findings.parts) == pytest.approx(findings.typical_mean_s)


def test_the_rank_test_is_exact_where_there_are_few() -> None:
    """Against every order of 4 and 5 values, counted one by one."""
    values = range(9)
    every = [(set(chosen), set(values) - set(chosen)) for chosen in combinations(values, 4)]
    great = {frozenset(left): sum(a > b for a in left for b in right) for left, right in every}
    for left, right in every:
        at_least = sum(u >= great[frozenset(left)] for u in great.values())
        assert rank_test([*left], [*right]) == pytest.approx(at_least / len(every))


def test_the_exact_and_the_normal_rank_test_meet_where_one_takes_over() -> None:
    rng = random.Random(3)
    right = [rng.gauss(0, 1) for _ in range(41)]
    few, many = [rng.gauss(0.6, 1) for _ in range(24)], [rng.gauss(0.6, 1) for _ in range(25)]
    many[:24] = few
    assert rank_test(few, right) == pytest.approx(rank_test(many, right), rel=0.5)
