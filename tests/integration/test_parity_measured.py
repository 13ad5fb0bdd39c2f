"""What a real Prometheus finds on an application's metrics page is what the server computes from its reports."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import prometheus_client
import pytest

from huoyan.client.exposition import register
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S
from huoyan.signals import CATALOGUE
from huoyan.signals.metrics.application import DB_QUERY_DURATION, HTTP_REQUEST_DURATION, HTTP_REQUESTS
from huoyan.signals.promql import promql
from tests.servers import PrometheusServer, wait_until
from tests.servers.huoyan import HuoyanServer
from tests.servers.process import free_port
from tests.unit.client.conftest import installed

SERVICE = "shop"
STEPS = 3
STATUSES = {"200": 90, "404": 7, "500": 3}
LATENCIES_S = [0.004, 0.02, 0.021, 0.03, 0.11, 0.3, 0.45, 0.9, 1.7, 3.1]
QUERIES_S = {"orders": [0.012] * 17 + [2.8] * 3, "users": [0.003, 0.012, 0.02]}


@pytest.fixture(scope="module")
def read() -> Iterator[tuple[HuoyanServer, PrometheusServer]]:
    """Give both after an application has measured the same for both."""
    registry = register(prometheus_client.CollectorRegistry())
    port = free_port()
    with HuoyanServer() as server:
        settings = Settings(url=server.url, service=SERVICE, report_interval_s=1.0, exit_timeout_s=10.0)
        page, thread = prometheus_client.start_http_server(port, "127.0.0.1", registry)
        job = {
            "job_name": "app",
            "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"service": SERVICE}}],
        }
        try:
            with (
                installed(Client(settings)) as client,
                PrometheusServer(config={"scrape_configs": [job]}, interval_s=1.0) as prometheus,
            ):
                _measure(client, prometheus)
                yield server, prometheus
        finally:
            page.shutdown()
            page.server_close()
            thread.join()


def _measure(client: Client, prometheus: PrometheusServer) -> None:
    counters = {s: client.measurements.counter(HTTP_REQUESTS).child(("GET", "/a", s)) for s in STATUSES}
    latency = client.measurements.distribution(HTTP_REQUEST_DURATION).child(("GET", "/a"))
    queries = {t: client.measurements.distribution(DB_QUERY_DURATION).child(("SELECT", t, "shop")) for t in QUERIES_S}
    # Prometheus sees no first increase of a series that was not there before.
    _scraped(prometheus, 0)
    for step in range(1, STEPS + 1):
        for status, count in STATUSES.items():
            counters[status].add(count)
        for value in LATENCIES_S:
            latency.observe(value)
        for table, values in QUERIES_S.items():
            for value in values:
                queries[table].observe(value)
        assert client.flush(10)
        _scraped(prometheus, step)


def _scraped(prometheus: PrometheusServer, step: int) -> None:
    expected = {
        'sum(http_requests_total{service="shop"})': step * sum(STATUSES.values()),
        'sum(db_query_duration_seconds_count{service="shop"})': step * sum(map(len, QUERIES_S.values())),
    }
    found: dict[str, float | None] = {}

    def scraped() -> bool:
        found.update((query, prometheus.value(query)) for query in expected)
        return found == expected

    wait_until(scraped, 30, message=lambda: f"step {step} scraped as {expected}; Prometheus has {found}")


def _own(server: HuoyanServer, signal: str) -> dict[tuple[tuple[str, str], ...], float]:
    answer: dict[str, Any] = server.get(f"/signals/{signal}", window_s=60, min_samples=1)
    return {tuple(sorted(item["labels"].items())): item["value"] for item in answer["now"]}


def _theirs(prometheus: PrometheusServer, signal: str) -> dict[tuple[tuple[str, str], ...], float]:
    found = prometheus.query(promql(CATALOGUE[signal], 60, min_samples=1))
    return {tuple(sorted(item["metric"].items())): float(item["value"][1]) for item in found}


@pytest.mark.parametrize(("signal", "value"), [("http_error_ratio", 0.03), ("http_client_error_ratio", 0.07)])
def test_shares_are_equal(read, signal, value):
    server, prometheus = read
    own, theirs = _own(server, signal), _theirs(prometheus, signal)
    assert own == {(("endpoint", "/a"), ("service", SERVICE)): value}
    assert theirs == pytest.approx(own)


@pytest.mark.parametrize("signal", ["http_latency_p95", "db_query_p95", "db_query_p99"])
def test_percentiles_lie_in_the_same_bucket(read, signal):
    server, prometheus = read
    # Prometheus asks the application, which adds up what only a server tells apart.
    own = {
        tuple(each for each in labels if each[0] != "target"): value for labels, value in _own(server, signal).items()
    }
    theirs = _theirs(prometheus, signal)
    assert set(own) == set(theirs)
    for labels, value in own.items():
        bounds = DEFAULT_CLASSIC_BOUNDS_S
        assert bisect_left(bounds, value) == bisect_left(bounds, theirs[labels])
    if signal.startswith("db"):
        slow = {dict(labels)["table"]: value for labels, value in own.items()}
        assert slow["orders"] == pytest.approx(2.8, rel=0.022)
        assert slow["users"] < 0.03
