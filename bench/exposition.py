"""Writing `/metrics` with about 10,000 series that are ours, beside prometheus-client writing the same figures.

Both answer from the same process, in interleaved rounds; the figure to compare is the ratio within one run.
Target: at least five times faster.

    python bench/exposition.py [--rounds 30] [--series 10000] [--json]
"""

import argparse
import json
import os
import statistics
from time import perf_counter

os.environ.pop("HUOYAN_URL", None)

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

import huoyan
from huoyan.client import process
from huoyan.client.exposition import register, render
from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S
from huoyan.signals.metrics.application import HTTP_REQUEST_DURATION, HTTP_REQUESTS

BOUNDS_S = [bound for bound in DEFAULT_CLASSIC_BOUNDS_S if bound <= 64]
METHODS = ("GET", "POST", "PUT", "DELETE")
STATUSES = ("200", "404", "500")


def fill(series: int) -> tuple[CollectorRegistry, CollectorRegistry]:
    """Give both the same observations: endpoints by method, half of the series counters and half buckets."""
    huoyan.configure(service="bench")
    ours, theirs = register(CollectorRegistry()), CollectorRegistry()
    measurements = process.client().measurements
    counted = Counter("http_requests", "Requests.", HTTP_REQUESTS.labels, registry=theirs)
    timed = Histogram(
        "http_request_duration_seconds", "Time.", HTTP_REQUEST_DURATION.labels, registry=theirs, buckets=BOUNDS_S
    )
    per_endpoint = len(METHODS) * (len(STATUSES) + len(BOUNDS_S) + 3)
    for number in range(max(1, series // per_endpoint)):
        endpoint = f"/orders/{{order_id}}/items-{number}"
        for method in METHODS:
            for status in STATUSES:
                measurements.counter(HTTP_REQUESTS).child((method, endpoint, status)).add(number + 1)
                counted.labels(method, endpoint, status).inc(number + 1)
            for step in range(20):
                value_s = 0.001 * (number + 1) * 1.4**step
                measurements.distribution(HTTP_REQUEST_DURATION).child((method, endpoint)).observe(value_s)
                timed.labels(method, endpoint).observe(value_s)
    return ours, theirs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    ours, theirs = fill(given.series)
    lines = sum(not line.startswith(b"#") for line in render(ours)[1].splitlines())
    times: dict[str, list[float]] = {"huoyan": [], "prometheus_client": []}
    for _ in range(given.rounds):
        began = perf_counter()
        render(ours)
        middle = perf_counter()
        generate_latest(theirs)
        times["huoyan"].append(middle - began)
        times["prometheus_client"].append(perf_counter() - middle)
    middles = {name: statistics.median(values) * 1000 for name, values in times.items()}
    result = {
        "series": lines,
        "huoyan_ms": round(middles["huoyan"], 2),
        "prometheus_client_ms": round(middles["prometheus_client"], 2),
        "ratio": round(middles["prometheus_client"] / middles["huoyan"], 2),
    }
    print(json.dumps(result) if given.json else "\n".join(f"{name}: {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
