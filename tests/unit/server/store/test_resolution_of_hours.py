"""What is measured keeps its percentiles when it is kept by the hour."""

import random
from collections.abc import Callable

import pytest

from huoyan.model.histogram import Histogram
from huoyan.server.store.measured import OLD_SCHEMA

SHAPES: dict[str, Callable[[random.Random], float]] = {
    "exponential": lambda rng: rng.expovariate(1.0),
    "uniform": lambda rng: rng.uniform(0.01, 0.1),
    "lognormal 1.0": lambda rng: 0.05 * rng.lognormvariate(0.0, 1.0),
    "lognormal 0.3": lambda rng: 0.05 * rng.lognormvariate(0.0, 0.3),
    "lognormal 0.05": lambda rng: 0.078 * rng.lognormvariate(0.0, 0.05),
    "two groups": lambda rng: rng.gauss(0.01, 0.001) if rng.random() < 0.94 else rng.gauss(3.0, 0.1),
    "given up after 30 s": lambda rng: 0.05 * rng.lognormvariate(0.0, 0.5) if rng.random() < 0.98 else 30.0,
}


@pytest.mark.parametrize("name", SHAPES)
def test_percentiles_of_hours_are_within_one_percent(name: str) -> None:
    rng, observed = random.Random(name), Histogram()
    values = sorted(SHAPES[name](rng) for _ in range(20_000))
    for value in values:
        observed.observe(value)
    if observed.schema > OLD_SCHEMA:
        observed.downscale(OLD_SCHEMA)
    for q in (0.5, 0.95, 0.99):
        assert observed.quantile(q) == pytest.approx(values[round(q * len(values)) - 1], rel=0.01)
