"""What counting costs in the process that is measured, beside prometheus-client with children looked up beforehand.

Each figure is the median of interleaved rounds, so that what else a shared machine does meets all alike.
Targets: 0.25 µs for an observation, 0.1 µs for a count.

    python bench/measurements.py [--rounds 40] [--calls 2000] [--json]
"""

import argparse
import json
import random
import statistics
from collections.abc import Callable
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram

import huoyan
from huoyan.client.measurements import Measurements
from huoyan.client.process import Client, install
from huoyan.client.settings import Settings
from huoyan.signals.metrics.application import DB_QUERY_DURATION, HTTP_REQUESTS

TARGETS_US = {"observe": 0.25, "add": 0.1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    numbers = random.Random(1)
    values = [numbers.lognormvariate(-4, 1) for _ in range(options.calls)]
    install(Client(Settings(service="bench")))
    candidates = _candidates()
    took: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(options.rounds):
        for name, call in candidates.items():
            began = perf_counter()
            for value in values:
                call(value)
            took[name].append((perf_counter() - began) / len(values) * 1e6)
    found = {name: round(statistics.median(times), 3) for name, times in took.items()}
    if options.json:
        print(json.dumps({"us": found, "targets_us": TARGETS_US}))
        return
    for name, us in found.items():
        target = f"  (target {TARGETS_US[name]} µs)" if name in TARGETS_US else ""
        print(f"{name:28} {us:7.3f} µs{target}")


def _candidates() -> dict[str, Callable[[float], object]]:
    measurements = Measurements()
    counter = measurements.counter(HTTP_REQUESTS).child(("GET", "/", "200"))
    family = measurements.distribution(DB_QUERY_DURATION)
    registry = CollectorRegistry()
    theirs = Histogram("theirs_seconds", "Theirs.", ["table"], registry=registry)
    counted = Counter("theirs", "Theirs.", ["table"], registry=registry).labels("orders")
    orders = huoyan.counter("orders", labels=("method",))
    operation = huoyan.operation("bench")

    def operate(_: float) -> None:
        with operation:
            pass

    return {
        "observe": family.child(("SELECT", "orders", "shop")).observe,
        "add": lambda _: counter.add(),
        "look a series up": lambda _: family.child(("SELECT", "orders", "shop")),
        "huoyan.counter(…).add": lambda _: orders.add(method="card"),
        "with huoyan.operation(…)": operate,
        "prometheus-client observe": theirs.labels("orders").observe,
        "prometheus-client inc": lambda _: counted.inc(),
    }


if __name__ == "__main__":
    main()
