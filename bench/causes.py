"""How often made-up traffic without a cause is accused, and how often a cause in it is found.

Requests are made of four parts whose times are drawn from one distribution; the slow ones are chosen as the product
chooses them. `runs` are a thousand of which every one is known, `requests` are those that a process keeps of a thousand
in each of twenty intervals: the four slowest and four at random. Without a cause: independent parts; one part that
varies while the others are steady; and a factor of its own for each request, by which all parts grow, as on a machine
short of CPU. `few_runs` are 300, of which the slowest 5 % are compared. With a cause: in 2 % of the requests one part
takes 2.8 s instead of 12 ms, as the story of the orders has it; as often ten times as long; in 15 % of them thirty
times as long; and two parts take 2.8 s, each in 1 %, of which either may be named first. Everything is drawn from fixed
seeds.

    python bench/causes.py [--draws 50] [--json]

Targets: at most 1 % of the draws without a cause are accused, and the cause of the story is the first to be named in at
least 99 %.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from huoyan.model.causes import Case, Findings, Key, causes_of
from huoyan.model.example import SAMPLED_KEPT, SLOWEST_KEPT

Draw = Callable[[random.Random], float]
Request = dict[Key, float]

NOISE: dict[str, Draw] = {
    "exponential": lambda rng: rng.expovariate(1.0),
    "lognormal 0.5": lambda rng: rng.lognormvariate(0.0, 0.5),
    "lognormal 0.8": lambda rng: rng.lognormvariate(0.0, 0.8),
    "lognormal 1.0": lambda rng: rng.lognormvariate(0.0, 1.0),
    "lognormal 1.2": lambda rng: rng.lognormvariate(0.0, 1.2),
    "Pareto 1.5": lambda rng: rng.paretovariate(1.5),
    "Pareto 2": lambda rng: rng.paretovariate(2.0),
    "Lomax 1.5": lambda rng: rng.paretovariate(1.5) - 1.0,
    "Lomax 2": lambda rng: rng.paretovariate(2.0) - 1.0,
}
PARTS: tuple[Key, ...] = (
    ("own code", "", ""),
    *(("database", "SELECT", table) for table in ("orders", "stock", "users")),
)
ORDERS = PARTS[1]
TYPICAL_S = 0.012
WITHOUT = ("independent", "one wild", "busy")
WITH: dict[str, tuple[float, float]] = {
    "story": (0.02, 2.8 / TYPICAL_S),
    "tenfold": (0.02, 10.0),
    "often": (0.15, 30.0),
    "two": (0.01, 2.8 / TYPICAL_S),
}
"""Share of the requests, and how many times the typical time the part takes in them."""
RUNS, FEW_RUNS, INTERVALS, IN_INTERVAL = 1000, 300, 20, 1000


def request(rng: random.Random, draw: Draw, kind: str) -> Request:
    """Return the seconds of each part of one request."""

    def steady() -> float:
        return rng.lognormvariate(0.0, 0.2)

    if kind == "busy":
        factor = draw(rng)
        return {part: TYPICAL_S * factor * steady() for part in PARTS}
    if kind == "one wild":
        return {part: TYPICAL_S * (draw(rng) if part == ORDERS else steady()) for part in PARTS}
    made = {part: TYPICAL_S * draw(rng) for part in PARTS}
    share, times = WITH.get(kind, (0.0, 0.0))
    for part in PARTS[1:3] if kind == "two" else (ORDERS,):
        if share and rng.random() < share:
            made[part] = TYPICAL_S * times * rng.uniform(0.8, 1.1)
    return made


def runs(rng: random.Random, draw: Draw, kind: str, count: int = RUNS) -> Findings:
    """Return what is found in so many runs, of which all are known."""
    cases = _cases([request(rng, draw, kind) for _ in range(count)])
    return causes_of(_marked(cases, _cutoff(cases)))


def few_runs(rng: random.Random, draw: Draw, kind: str) -> Findings:
    """Return what is found in runs of which 1 % are too few to compare."""
    return runs(rng, draw, kind, FEW_RUNS)


def requests(rng: random.Random, draw: Draw, kind: str) -> Findings:
    """Return what is found among what a process keeps of many requests."""
    every: list[Case] = []
    kept: list[Case] = []
    for _ in range(INTERVALS):
        cases = _cases([request(rng, draw, kind) for _ in range(IN_INTERVAL)])
        every += cases
        slowest = sorted(cases, key=lambda case: -case.duration_s)[:SLOWEST_KEPT]
        kept += [*slowest, *(case for case in rng.sample(cases, SAMPLED_KEPT) if case not in slowest)]
    cutoff_s = _cutoff(every)
    return causes_of(_marked(kept, cutoff_s), len(every))


def _cases(drawn: Sequence[Request]) -> list[Case]:
    return [Case(str(number), sum(one.values()), one) for number, one in enumerate(drawn)]


def _cutoff(cases: Sequence[Case]) -> float:
    share = 0.99 if len(cases) >= RUNS else 0.95
    return sorted(case.duration_s for case in cases)[int(share * len(cases))]


def _marked(cases: Sequence[Case], cutoff_s: float) -> list[Case]:
    return [replace(case, slow=case.duration_s >= cutoff_s) for case in cases]


def named_first(findings: Findings, kind: str) -> bool:
    """Tell whether a part with a cause is the first to be named."""
    first = findings.causes[0] if findings.causes else None
    guilty = PARTS[1:3] if kind == "two" else (ORDERS,)
    return first is not None and (first.component, first.operation, first.target) in guilty


def main() -> int:
    """Draw, print, and return 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rates: dict[str, dict[str, dict[str, float]]] = {}
    for seen in (runs, few_runs, requests):
        # The other kind draws twenty times as many requests.
        draws = max(1, options.draws // (10 if seen is requests else 1))
        for name, draw in NOISE.items():
            told = rates.setdefault(seen.__name__, {}).setdefault(name, {})
            for kind in (*WITHOUT, *WITH):
                found = [seen(random.Random(f"{name} {kind} {seed}"), draw, kind) for seed in range(draws)]
                hits = sum(named_first(one, kind) if kind in WITH else bool(one.causes) for one in found)
                told[kind] = hits / draws
            if not options.json:
                print(f"{seen.__name__:9}{name:14}", *(f"{kind} {rate:.1%}" for kind, rate in told.items()), flush=True)
    met = all(
        (seen == "few_runs" or told["story"] >= 0.99) and all(told[kind] <= 0.01 for kind in WITHOUT)
        for seen, by_noise in rates.items()
        for told in by_noise.values()
    )
    if options.json:
        print(json.dumps({"rates": rates, "met": met}))
    else:
        print("targets", "met" if met else "missed")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
