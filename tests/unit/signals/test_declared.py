"""Metrics that an application declares are signals, by an id that says how to read them."""

import pytest

from huoyan.signals import evaluate
from huoyan.signals.declared import find, signals_of
from huoyan.signals.metric import Endpoint, Metric, MetricKind
from huoyan.signals.promql import promql
from huoyan.signals.spec import Unit
from huoyan.testing.memory_source import MemorySource

REFUNDS = Metric("refunds_total", MetricKind.COUNTER, "Refunds.", ("reason",), endpoint=Endpoint.APPLICATION)
PACKING = Metric("packing_seconds", MetricKind.DISTRIBUTION, "Packing.", ("shelf",), "seconds", Endpoint.APPLICATION)


def test_a_counter_is_read_per_minute_and_a_distribution_by_percentiles():
    assert [signal.id for signal in signals_of(REFUNDS)] == ["rate:refunds_total"]
    assert [signal.id for signal in signals_of(PACKING)] == [
        "p50:packing_seconds",
        "p95:packing_seconds",
        "p99:packing_seconds",
    ]
    signal = find("p95:packing_seconds")
    assert signal is not None
    assert (signal.unit, signal.labels) == (Unit.SECONDS, ("service",))


def test_a_rule_may_name_a_metric_before_anybody_sent_it_and_tell_it_apart_by_its_labels():
    signal = find("rate:refunds_total", ("reason",))
    assert signal is not None
    source = MemorySource()
    for reason, count in (("damaged", 5), ("late", 10)):
        source.add(REFUNDS, {"service": "shop", "reason": reason}, 100.0, count)
    values = evaluate(signal, source, 120.0, window_s=60, by=("reason",))
    assert {value.labels["reason"]: value.value for value in values} == {"damaged": 5.0, "late": 10.0}


def test_it_is_the_same_to_prometheus():
    signal = find("rate:refunds_total", ("reason",))
    assert signal is not None
    assert promql(signal, 60) == "sum by (service, reason) (rate(refunds_total[1m])) * 60"


@pytest.mark.parametrize(
    "name", ["refunds_total", "sum:refunds_total", "rate:", "rate:http_request_duration_seconds", "value:a b"]
)
def test_what_cannot_be_read_so_is_no_signal(name):
    assert find(name) is None


def test_signals_of_the_catalogue_are_found_as_they_are():
    signal = find("http_error_ratio")
    assert signal is not None
    assert signal.id == "http_error_ratio"


def test_a_metric_of_the_contract_can_be_read_in_its_own_way():
    signal = find("rate:http_requests_total")
    assert signal is not None
    assert signal.labels == ("service", "method", "endpoint", "http_status")
    assert find("rate:huoyan_task_runs_total") is None
