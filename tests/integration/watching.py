"""What is measured of dependencies, for tests that watch them."""

from huoyan.client import breakdown
from huoyan.client.process import Client
from huoyan.signals.metric import Metric
from huoyan.signals.metrics.application import (
    DEPENDENCY_LAST_SUCCESS,
)


def counted(client: Client, metric: Metric) -> dict[tuple[str, ...], int]:
    return {values: child.count for values, child in client.measurements.distribution(metric).series() if child.count}


def errors(client: Client, metric: Metric) -> dict[tuple[str, ...], float]:
    return {values: child.value for values, child in client.measurements.counter(metric).series() if child.value}


def healthy(client: Client) -> set[tuple[str, ...]]:
    gauge = client.measurements.gauge(DEPENDENCY_LAST_SUCCESS)
    return {values for values, child in gauge.series() if child.value is not None}


def parts(told: breakdown.Breakdown | None) -> dict[tuple[str, str, str], tuple[int, int]]:
    assert told is not None
    return {
        (part["component"], part["operation"], part["target"]): (part["calls"], part["errors"])
        for part in told["parts"]
    }
