"""A real Prometheus scrapes the port that a process opens: native histograms, and what else is in the registry."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families

import huoyan
from huoyan.client import process, totals
from huoyan.client.pool import Pool
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.errors import ConfigurationError
from huoyan.signals.metrics.application import HTTP_REQUEST_DURATION, HTTP_REQUESTS
from tests.servers.prometheus import PrometheusServer
from tests.servers.waiting import wait_until

SLOW_S = [0.01 * number for number in range(1, 101)]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[int]:
    """Give the port of a process that measured requests, with metrics of its own beside them."""
    # Children that other tests forked from this process are none of this one's.
    monkeypatch.setattr(totals, "_children", Pool(tmp_path / "pool", totals._added))
    client = Client(Settings(service="shop", metrics_auth="prom:secret"))
    before = process.install(client)
    registry = CollectorRegistry()
    jobs = Counter("jobs", "Jobs.", ["kind"], registry=registry)
    jobs.labels("a").inc(3)
    jobs.labels("b").inc(4)
    Gauge("room", "Room.", registry=registry).set(-1.5)
    Info("release", "Release.", registry=registry).info({"version": "7"})
    times = Histogram("job_seconds", "Time.", ["kind"], buckets=[1, 2], registry=registry)
    times.labels("a").observe(1.5)
    Summary("job_bytes", "Size.", registry=registry).observe(10)
    client.measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200")).add(len(SLOW_S))
    for value in SLOW_S:
        client.measurements.distribution(HTTP_REQUEST_DURATION).child(("GET", "/a")).observe(value)
    try:
        yield huoyan.serve_metrics(0, registry=registry)
    finally:
        process.install(before)
        client.close()


def test_prometheus_reads_native_histograms_and_everything_else_of_the_registry(port: int) -> None:
    job = {
        "job_name": "app",
        "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
        "basic_auth": {"username": "prom", "password": "secret"},
    }
    with PrometheusServer(config={"scrape_configs": [job]}, features=["native-histograms"]) as prometheus:
        wait_until(lambda: prometheus.value("sum(jobs_total)") == 7, 20, "the first scrape")
        assert prometheus.value('jobs_total{kind="b"}') == 4
        assert prometheus.value("room") == -1.5
        assert prometheus.value('release_info{version="7"}') == 1
        assert prometheus.value("job_bytes_sum") == 10
        assert prometheus.value('http_requests_total{endpoint="/a",http_status="200"}') == 100
        p95_s = prometheus.value('histogram_quantile(0.95, http_request_duration_seconds{endpoint="/a"})')
        assert p95_s == pytest.approx(0.95, rel=0.022)


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_both_text_formats_hold_each_series_once(port: int, accept: str) -> None:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", auth=("prom", "secret"), headers={"Accept": accept})
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    names = [line.rpartition(" ")[0] for line in lines]
    assert len(names) == len(set(names))
    assert 'jobs_total{kind="a"} 3.0' in lines
    assert 'http_requests_total{method="GET",endpoint="/a",http_status="200"} 100.0' in lines
    if accept:
        assert "http_requests" in {family.name for family in openmetrics_families(answer.text)}  # type: ignore[no-untyped-call]


def test_the_port_is_only_for_those_with_credentials_and_only_for_metrics(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    assert httpx.get(f"{url}/metrics").status_code == 401
    assert httpx.head(f"{url}/metrics", auth=("prom", "secret")).content == b""
    assert httpx.get(f"{url}/other", auth=("prom", "secret")).status_code == 404
    assert httpx.post(f"{url}/metrics", auth=("prom", "secret")).status_code == 501


def test_an_address_for_others_wants_credentials() -> None:
    before = process.install(Client(Settings()))
    try:
        with pytest.raises(ConfigurationError, match="metrics_auth"):
            huoyan.serve_metrics(0, "0.0.0.0")
    finally:
        process.install(before)
