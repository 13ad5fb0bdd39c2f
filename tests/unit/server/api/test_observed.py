"""Rates divide by the time in which a service was observed."""

import pytest

from huoyan.server.api.http_figures import endpoint_figures, service_figures
from huoyan.server.api.observed import observed_s
from huoyan.signals.metrics.application import HTTP_REQUESTS
from huoyan.signals.metrics.process import PROCESS_RSS
from huoyan.testing.memory_source import MemorySource

NOW = 1_795_000_000.0
HOUR_S = 3600.0
ORDERS = {"service": "orders", "method": "GET", "endpoint": "/orders", "http_status": "200"}
MAIL = {**ORDERS, "service": "mail"}


def _answered(source: MemorySource, labels: dict[str, str], *ages_s: float) -> None:
    for age_s in ages_s:
        source.add(HTTP_REQUESTS, labels, NOW - age_s)


def test_a_service_of_two_minutes_has_the_rate_of_two_minutes():
    source = MemorySource()
    _answered(source, ORDERS, *range(0, 120, 5))
    (orders,) = service_figures(source, NOW, HOUR_S, ())
    (endpoint,) = endpoint_figures(source, NOW, HOUR_S, ())
    assert orders.requests_per_minute == pytest.approx(12.0)
    assert endpoint.requests_per_minute == pytest.approx(12.0)


def test_time_without_requests_counts_where_processes_told_of_themselves():
    source = MemorySource()
    _answered(source, ORDERS, 30.0)
    source.set(PROCESS_RSS, {"service": "orders", "worker": "web@h:1"}, NOW - 600.0, 1e8)
    assert observed_s(source, HTTP_REQUESTS.name, {}, NOW, HOUR_S) == {"orders": pytest.approx(600.0, abs=15.0)}


def test_a_service_known_before_was_observed_all_the_time_and_each_has_its_own():
    source = MemorySource()
    _answered(source, ORDERS, HOUR_S + 60.0, 30.0)
    _answered(source, MAIL, 10.0)
    assert observed_s(source, HTTP_REQUESTS.name, {}, NOW, HOUR_S) == {"orders": HOUR_S, "mail": 60.0}
    mail = {"service": ("mail",)}
    assert observed_s(source, HTTP_REQUESTS.name, mail, NOW, HOUR_S) == {"mail": 60.0}
