"""What the process counts itself: exact, bounded, exposed once, in Prometheus' format."""

from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

import huoyan
from huoyan.client import process
from huoyan.client.exposition import metrics_app, register, render
from huoyan.client.metrics import TaskMetrics
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.model.event import EventKind, ExceptionInfo, TaskEvent
from huoyan.model.labels import OTHER
from huoyan.signals.metric import Endpoint, MetricKind
from huoyan.signals.metrics import METRICS
from huoyan.signals.metrics.application import DB_QUERY_DURATION, DB_QUERY_ERRORS
from tests.unit.client.conftest import installed


@pytest.fixture
def registry() -> CollectorRegistry:
    """Give a registry of the test's own."""
    return register(CollectorRegistry())


def event(kind: EventKind, run: str, at: float = 0.0, **fields: Any) -> TaskEvent:
    return TaskEvent(kind, run, at, task="pay", service="shop", **fields)


def samples(registry: CollectorRegistry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    exposed = render(registry)[1].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposed)
        for sample in family.samples
    }


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return samples(registry).get((name, tuple(sorted(labels.items()))))


PAY = {"service": "shop", "task": "pay", "queue": ""}


def test_a_run_is_counted_from_queue_to_end(local_client: Client, registry: CollectorRegistry) -> None:
    record = local_client.record
    record(event(EventKind.QUEUED, "r1", 100.0))
    record(event(EventKind.STARTED, "r1", 101.5, execution="1@w"))
    assert value(registry, "huoyan_tasks_active", **PAY) == 1
    record(event(EventKind.SUCCEEDED, "r1", 102.0, execution="1@w", duration_s=0.4))
    assert value(registry, "huoyan_tasks_active", **PAY) == 0
    assert value(registry, "huoyan_tasks_enqueued_total", **PAY) == 1
    assert value(registry, "huoyan_task_runs_total", **PAY, state="succeeded") == 1
    assert value(registry, "huoyan_task_duration_seconds_count", **PAY, state="succeeded") == 1
    assert value(registry, "huoyan_task_duration_seconds_sum", **PAY, state="succeeded") == pytest.approx(0.4)
    assert value(registry, "huoyan_task_duration_seconds_bucket", **PAY, state="succeeded", le="0.5") == 1
    assert value(registry, "huoyan_task_duration_seconds_bucket", **PAY, state="succeeded", le="0.25") == 0
    assert value(registry, "huoyan_task_wait_seconds_sum", **PAY) == pytest.approx(1.5)


def test_retries_are_attempts_of_one_run(local_client: Client, registry: CollectorRegistry) -> None:
    for attempt in (1, 2):
        local_client.record(event(EventKind.QUEUED, "r1", float(attempt), attempt=attempt))
        local_client.record(event(EventKind.STARTED, "r1", float(attempt), execution=f"{attempt}@w"))
        local_client.record(event(EventKind.RETRYING, "r1", float(attempt), execution=f"{attempt}@w", duration_s=1.0))
    local_client.record(event(EventKind.STARTED, "r1", 3.0, execution="3@w"))
    failure = ExceptionInfo("shop.Declined")
    local_client.record(event(EventKind.FAILED, "r1", 3.0, execution="3@w", duration_s=1.0, exception=failure))
    assert value(registry, "huoyan_tasks_enqueued_total", **PAY) == 1
    assert value(registry, "huoyan_task_retries_total", **PAY) == 2
    assert value(registry, "huoyan_task_runs_total", **PAY, state="failed") == 1
    assert value(registry, "huoyan_task_failures_total", **PAY, exception="shop.Declined") == 1
    assert value(registry, "huoyan_task_duration_seconds_count", **PAY, state="retrying") == 2


def test_an_end_said_twice_takes_nothing_from_active(local_client: Client, registry: CollectorRegistry) -> None:
    local_client.record(event(EventKind.STARTED, "r1", execution="1@w"))
    local_client.record(event(EventKind.STARTED, "r2", execution="1@w"))
    for _ in range(3):
        local_client.record(event(EventKind.SUCCEEDED, "r1", execution="1@w"))
    assert value(registry, "huoyan_tasks_active", **PAY) == 1


def test_an_eta_is_what_waiting_counts_from(local_client: Client, registry: CollectorRegistry) -> None:
    local_client.record(event(EventKind.SCHEDULED, "r1", 100.0, eta=200.0))
    local_client.record(event(EventKind.STARTED, "r1", 199.0, execution="1@w"))
    assert value(registry, "huoyan_task_wait_seconds_sum", **PAY) == 0


def test_with_a_server_tasks_are_not_exposed_here(client: Client, registry: CollectorRegistry) -> None:
    client.record(event(EventKind.STARTED, "r1", execution="1@w"))
    client.record(event(EventKind.SUCCEEDED, "r1", execution="1@w"))
    client.metrics.requests.open("GET", "/").status(200).add()
    names = {name for name, _ in samples(registry)}
    assert not any(name.startswith("huoyan_task") for name in names)
    assert "http_requests_in_flight" in names


def test_series_are_bounded_and_nothing_is_lost() -> None:
    tasks = TaskMetrics()
    for number in range(3000):
        tasks.record(TaskEvent(EventKind.SUCCEEDED, f"r{number}", 1.0, task=f"task-{number}", service="s"))
    assert len(tasks.runs) <= 1001
    assert sum(tasks.runs.values()) == 3000
    assert tasks.runs["s", OTHER, "", "succeeded"] >= 1999


def test_exception_types_are_bounded() -> None:
    tasks = TaskMetrics()
    for number in range(500):
        failure = ExceptionInfo(f"Error{number}")
        tasks.record(TaskEvent(EventKind.FAILED, f"r{number}", 1.0, task="t", service="s", exception=failure))
    assert len(tasks.failures) == 101
    assert tasks.failures["s", "t", "", OTHER] == 400


def test_a_child_process_counts_from_zero(local_client: Client) -> None:
    local_client.record(event(EventKind.SUCCEEDED, "r1"))
    local_client.metrics.forked(local_client.measurements, local_client.examples)
    assert local_client.metrics.tasks.runs == {}


@pytest.mark.parametrize("odd", ["", "ünïcödé", 'a\nb"c\\', "\ud800", "x" * 5000, 5, None, b"bytes"])
def test_label_values_are_always_valid(local_client: Client, registry: CollectorRegistry, odd: Any) -> None:
    local_client.record(TaskEvent(EventKind.SUCCEEDED, "r1", 1.0, task=odd, service="s"))
    exposed = render(registry)[1].decode("utf-8")
    families = list(text_string_to_metric_families(exposed))
    assert any(sample.value == 1 for family in families for sample in family.samples)
    assert max(len(label) for family in families for sample in family.samples for label in sample.labels.values()) < 200


def test_registering_twice_exposes_once(local_client: Client) -> None:
    registry = CollectorRegistry()
    for _ in range(3):
        assert register(registry) is registry
    local_client.record(event(EventKind.SUCCEEDED, "r1"))
    assert render(registry)[1].decode().count("# TYPE huoyan_task_runs_total counter") == 1


def test_names_that_are_taken_are_left_alone(local_client: Client, caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    Counter("http_requests", "Somebody else's.", ["code"], registry=registry).labels("200").inc()
    register(registry)
    local_client.record(event(EventKind.SUCCEEDED, "r1"))
    exposed = render(registry)[1].decode()
    assert 'http_requests_total{code="200"} 1.0' in exposed
    assert "http_request_duration_seconds" not in exposed
    assert "huoyan_task_runs_total" in exposed
    assert "same names" in caplog.text


def test_a_metric_of_ones_own_leaves_a_name_in_the_registry_to_whoever_has_it(
    local_client: Client, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    for declare, name in ((huoyan.counter, "taken_orders"), (huoyan.counter, "free_orders")):
        declare(name).add(5)
    huoyan.gauge("free_orders").set(1)
    huoyan.distribution("taken_seconds").observe(1.0)
    Counter("taken_orders", "Theirs.", registry=registry).inc()
    Gauge("taken_seconds_sum", "Theirs.", registry=registry).set(7)
    for exposed in (render(registry, accept)[1].decode() for accept in ("", "application/openmetrics-text")):
        typed = [line.split()[2] for line in exposed.splitlines() if line.startswith("# TYPE")]
        assert len(typed) == len(set(typed))
        assert {line for line in exposed.splitlines() if line.startswith(("taken", "free"))} >= {
            "taken_orders_total 1.0",
            "taken_seconds_sum 7.0",
            "free_orders_total 5.0",
        }
    assert list(openmetrics_families(render(registry, "application/openmetrics-text")[1].decode()))  # type: ignore[no-untyped-call]
    assert "taken_orders_total 5" not in generate_latest(registry).decode()
    assert "taken_orders_total is not on /metrics" in caplog.text


def test_a_new_client_is_exposed_by_registries_of_the_old_one(registry: CollectorRegistry) -> None:
    with installed(Client(Settings(service="shop"))) as new:
        new.record(event(EventKind.SUCCEEDED, "r1"))
        assert value(registry, "huoyan_task_runs_total", **PAY, state="succeeded") == 1


def test_what_is_exposed_is_what_is_declared(local_client: Client, registry: CollectorRegistry) -> None:
    """Names, kinds, labels and help are those of the one declaration."""
    local_client.record(event(EventKind.QUEUED, "r1", 1.0))
    local_client.record(event(EventKind.STARTED, "r1", 2.0, execution="1@w"))
    failure = ExceptionInfo("E")
    local_client.record(event(EventKind.FAILED, "r1", execution="1@w", duration_s=1.0, exception=failure))
    local_client.record(event(EventKind.RETRYING, "r2", execution="1@w", duration_s=1.0))
    series = local_client.metrics.requests.open("GET", "/x")
    series.status(200).add()
    kinds = {MetricKind.COUNTER: "counter", MetricKind.GAUGE: "gauge", MetricKind.DISTRIBUTION: "histogram"}
    families = list(text_string_to_metric_families(render(registry)[1].decode()))
    assert {"http_requests", "huoyan_task_runs", "huoyan_task_wait_seconds"} <= {family.name for family in families}
    for family in families:
        declared = METRICS.get(family.name) or METRICS[f"{family.name}_total"]
        assert (family.type, family.documentation) == (kinds[declared.kind], declared.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(declared.labels) - set(declared.folded), sample


def test_databases_are_told_apart_at_a_server_and_added_up_here(
    local_client: Client, registry: CollectorRegistry
) -> None:
    """The application's labels are those of the public contract; what was measured stays apart, scrape after scrape."""
    duration = local_client.measurements.distribution(DB_QUERY_DURATION)
    errors = local_client.measurements.counter(DB_QUERY_ERRORS)
    for target, calls in (("db:5432/orders", 2), ("db:5432/archive", 3)):
        for _ in range(calls):
            duration.child(("SELECT", "orders", target)).observe(0.5)
        errors.child(("SELECT", "orders", target)).add(calls)
    for _ in range(2):
        seen = samples(registry)
        labels = (("operation", "SELECT"), ("table", "orders"))
        assert seen["db_query_duration_seconds_count", labels] == 5
        assert seen["db_query_duration_seconds_sum", labels] == 2.5
        assert seen["db_query_errors_total", labels] == 5
    assert {values[2]: child.count for values, child in duration.series()} == {
        "db:5432/orders": 2,
        "db:5432/archive": 3,
    }
    read = {metric.name: metric for metric in registry.collect()}["db_query_duration_seconds"]
    assert {tuple(sorted(set(sample.labels) - {"le"})) for sample in read.samples} == {("operation", "table")}


def test_application_metrics_of_the_contract_are_all_exposed(registry: CollectorRegistry) -> None:
    with installed(Client(Settings())):
        exposed = render(registry)[1].decode()
    wanted = [name for name, metric in METRICS.items() if metric.endpoint is Endpoint.APPLICATION]
    assert [name for name in wanted if f"# TYPE {name} " not in exposed] == []


@pytest.fixture
def scraper(local_client: Client) -> httpx.AsyncClient:
    """Give a client for a metrics application on a registry of its own."""
    local_client.record(event(EventKind.SUCCEEDED, "r1"))
    app: Any = metrics_app(CollectorRegistry())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")


async def test_the_metrics_application_answers_in_the_format_asked_for(scraper: httpx.AsyncClient) -> None:
    async with scraper:
        plain = await scraper.get("/anything")
        assert plain.headers["content-type"].startswith("text/plain; version=")
        assert 'huoyan_task_runs_total{service="shop",task="pay",queue="",state="succeeded"} 1.0' in plain.text
        openmetrics = await scraper.get("/", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
        assert openmetrics.text.endswith("# EOF\n")


async def test_the_metrics_application_reads_only(scraper: httpx.AsyncClient) -> None:
    async with scraper:
        assert (await scraper.post("/")).status_code == 405
        head = await scraper.head("/")
        assert (head.status_code, head.content) == (200, b"")


def test_the_default_registry_is_prometheus_clients(local_client: Client) -> None:
    from prometheus_client import REGISTRY

    assert register() is REGISTRY
    assert huoyan.metrics_app()._registry is None
    assert process.existing() is local_client
