"""The pages of what applications measure, in a real Chromium: dependencies, resources, funnels, measurements."""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping

import pytest
from playwright.sync_api import Browser, Page, expect

from huoyan.client.wire import encode_frame
from huoyan.model.histogram import Histogram
from huoyan.signals.measured import Frame, Measured
from huoyan.signals.metric import Endpoint, Metric, MetricKind
from huoyan.signals.metrics.application import (
    BACKLOG,
    DB_POOL_IN_USE,
    DB_POOL_SIZE,
    DB_POOL_WAIT,
    DB_QUERY_DURATION,
    DB_QUERY_ERRORS,
    DEPENDENCY_LAST_SUCCESS,
    FUNNEL_REACHED,
    HTTP_CLIENT_REQUEST_DURATION,
    HTTP_REQUEST_DURATION,
    HTTP_REQUESTS,
    OPERATION_DURATION,
    OPERATIONS,
    REDIS_COMMAND_DURATION,
    SMTP_SEND_DURATION,
    SMTP_SEND_ERRORS,
)
from huoyan.signals.metrics.process import PROCESS_CPU, PROCESS_RSS
from tests.servers import HuoyanServer, NodeExporterServer, PrometheusServer, wait_until

REFUNDS = Metric("refunds_total", MetricKind.COUNTER, "Refunds.", ("reason",), endpoint=Endpoint.APPLICATION)
SIGNUPS = Metric("signups_total", MetricKind.COUNTER, "Sign-ups.", ("customer",), endpoint=Endpoint.APPLICATION)
SLOW_MS = 40_000
"""Gauges are sampled every few seconds, and the map asks every ten."""

Told = Mapping[Metric, Mapping[tuple[str, ...], float | Histogram]]


def took(*observed: tuple[float, int]) -> Histogram:
    """Return observations: seconds, how often."""
    histogram = Histogram()
    for value, count in observed:
        histogram.observe(value, count)
    return histogram


def dependencies(age_s: float) -> Told:
    """Return a minute of the orders service; in the last five the database got slow and the bank fell silent."""
    late = age_s < 300
    steps = (("cart", "1", 40), ("paid", "2", 22), ("shipped", "3", 20))
    return {
        FUNNEL_REACHED: {("checkout", step, position): float(count) for step, position, count in steps},
        OPERATIONS: {("take_payment", "success"): 18.0, ("take_payment", "failure"): 2.0},
        OPERATION_DURATION: {("take_payment",): took((0.3, 20))},
        BACKLOG: {("emails",): 17.0},
        REFUNDS: {("damaged",): 5.0},
        HTTP_REQUESTS: {("GET", "/orders", "200"): 100.0},
        HTTP_REQUEST_DURATION: {("GET", "/orders"): took((0.07, 90), (0.09, 6), (3.2, 4))},
        DB_QUERY_DURATION: {
            ("SELECT", "orders", "shop"): took((0.008, 40), (2.4 if late else 0.011, 20)),
            ("INSERT", "orders", "shop"): took((0.4, 15)),
            ("COMMIT", "", "shop"): took((0.002, 15)),
            ("SELECT", "reports", "db:5432/archive"): took((0.003, 8)),
        },
        DB_QUERY_ERRORS: {("SELECT", "orders", "shop"): 1.0 if late else 0.0},
        DB_POOL_WAIT: {("shop",): took((0.0001, 70))},
        DB_POOL_IN_USE: {("shop",): 4.0},
        DB_POOL_SIZE: {("shop",): 15.0},
        REDIS_COMMAND_DURATION: {
            ("GET", "cache:6379/0"): took((0.0004, 300)),
            ("SETEX", "cache:6379/0"): took((0.0006, 40)),
        },
        HTTP_CLIENT_REQUEST_DURATION: {
            ("POST", "bank.test", "200"): took((0.11, 4 if late else 20)),
            **({("POST", "bank.test", "error"): took((5.0, 6))} if late else {}),
        },
        SMTP_SEND_DURATION: {("mail.test",): took((0.2, 3))},
        SMTP_SEND_ERRORS: {("mail.test",): 0.0},
        PROCESS_CPU: {("orders@host-1:77",): 54.0},
        PROCESS_RSS: {("orders@host-1:77",): 100_000_000.0},
        DEPENDENCY_LAST_SUCCESS: {("database", "shop"): time.time() - age_s, ("smtp", "mail.test"): time.time() - 2},
    }


def tell(
    server: HuoyanServer,
    worker: str,
    told: Mapping[float, Told],
    folded: Mapping[Metric, tuple[int, list[tuple[str, ...]]]] | None = None,
) -> None:
    """Post what a process measured, oldest first: seconds ago, what."""
    now = time.time()
    frames = []
    for sequence, (age_s, metrics) in enumerate(sorted(told.items(), reverse=True), 1):
        frame = Frame(f"{worker} {now}", sequence, now - age_s, worker.split("@")[0], worker)
        frame.metrics = {metric.name: Measured(metric, dict(series)) for metric, series in metrics.items()}
        if age_s == 0:
            for metric, (count, samples) in (folded or {}).items():
                frame.metrics[metric.name].folded, frame.metrics[metric.name].samples = count, samples
        frames.append(json.loads(encode_frame(frame)))
    server.post("/events", {"sent_at": now, "events": [], "measurements": frames})


@pytest.fixture(scope="module")
def server() -> Iterator[HuoyanServer]:
    """Give a server that heard an hour of an application, and asks a Prometheus about its hosts."""
    with (
        NodeExporterServer() as exporter,
        PrometheusServer({"nodes": [exporter.address]}) as prometheus,
        HuoyanServer(config=f'[prometheus]\nurl = "{prometheus.url}"\ntimeout_s = 30') as started,
    ):
        tell(started, "orders@host-1:77", {60.0 * minute: dependencies(60.0 * minute) for minute in range(45)})
        tell(
            started,
            "mail@host-2:88",
            {
                0.0: {
                    REDIS_COMMAND_DURATION: {("LPUSH", "cache:6379/1"): took((0.0005, 12))},
                    PROCESS_CPU: {("mail@host-2:88",): 0.6},
                    SIGNUPS: {("other",): 4200.0},
                },
            },
            folded={SIGNUPS: (4200, [("8f14e45f-ceea-467f-a9b4-0d6f1c1d2e3f",)])},
        )
        yield started


def test_dependencies_say_which_needs_somebody_and_why(page: Page, server: HuoyanServer) -> None:
    page.goto(server.url)
    page.get_by_role("link", name="Dependencies", exact=True).click()
    rows = page.locator("[data-dependency]")
    expect(rows).to_have_count(6)
    bank = rows.first
    expect(bank).to_have_attribute("data-dependency", "orders/http/bank.test")
    expect(bank.locator('[data-state="failing"]')).to_be_visible()
    expect(bank.get_by_test_id("reason")).to_contain_text("calls failed (60 %)")
    database = page.locator('[data-dependency="orders/database/shop"]')
    expect(database.get_by_test_id("reason")).to_contain_text("P95 is 2.4")
    expect(database).to_contain_text("Database shop")
    expect(database).to_contain_text("4 / 15")
    archive = page.locator('[data-dependency="orders/database/db:5432/archive"]')
    expect(archive.locator('[data-state="good"]')).to_be_visible()
    expect(archive).not_to_contain_text("4 / 15")
    expect(page.locator('[data-dependency="mail/redis/cache:6379/1"] [data-state="good"]')).to_be_visible()


def test_a_dependency_shows_which_of_its_calls_take_the_time(page: Page, server: HuoyanServer) -> None:
    page.goto(f"{server.url}/dependencies")
    page.get_by_role("link", name="Database shop").click()
    parts = page.locator("[data-part]")
    expect(parts.first).to_have_attribute("data-part", "SELECT orders")
    expect(parts.first).to_contain_text("89 %")
    expect(page.get_by_test_id("facts")).to_contain_text("Last answered")
    parts.nth(1).get_by_role("button").click()
    expect(page.get_by_text("The charts show INSERT orders alone.")).to_be_visible()
    expect(page.get_by_test_id("signal-db_query_p99")).to_contain_text("40")
    page.get_by_role("button", name="Show everything").click()
    expect(page.get_by_test_id("signal-db_query_p99")).to_contain_text("2.4")


def test_the_map_of_resources_is_read_by_pointer_and_by_keys(page: Page, server: HuoyanServer) -> None:
    page.goto(server.url)
    page.get_by_role("link", name="Resources", exact=True).click()
    processes = page.get_by_role("grid", name="Processes: CPU")
    rows = processes.get_by_role("row")
    expect(rows).to_have_count(2)
    value = page.get_by_test_id("heat-value").first
    rows.first.get_by_role("gridcell").nth(-3).hover()
    expect(value).to_contain_text("mail@host-2:88")
    expect(value).to_contain_text("not known")
    page.get_by_role("heading", name="Resources").hover()
    processes.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(value).to_contain_text("90 %")
    expect(value).to_contain_text("orders@host-1:77")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("resource-charts").get_by_test_id("signal-process_cpu")).to_be_visible()
    assert "worker=orders" in page.url


def test_another_measure_of_processes_stands_in_the_address(page: Page, server: HuoyanServer) -> None:
    tell(server, "orders@host-1:77", {0.0: {PROCESS_RSS: {("orders@host-1:77",): 100_000_000.0}}})
    wait_until(
        lambda: any(process["memory_bytes"][-1] is not None for process in server.get("/resources")["processes"]),
        30,
        "the memory to be sampled",
    )
    page.goto(f"{server.url}/resources")
    page.get_by_role("radiogroup", name="What the map of processes shows").get_by_text("Memory").click()
    processes = page.get_by_role("grid", name="Processes: Memory")
    expect(processes.get_by_role("row")).to_have_count(1, timeout=SLOW_MS)
    processes.focus()
    page.keyboard.press("End")
    expect(page.get_by_test_id("heat-value").first).to_contain_text("95.4 MiB", timeout=SLOW_MS)
    assert "measure=memory_bytes" in page.url
    expect(page.get_by_role("grid", name="Hosts: CPU").get_by_role("row")).not_to_have_count(0, timeout=SLOW_MS)


def test_a_host_says_by_whom_it_is_described(page: Page, server: HuoyanServer) -> None:
    page.goto(f"{server.url}/resources")
    host = page.locator(f'[data-host="{socket.gethostname()}"]')
    expect(host.locator('[data-source="node-exporter"]')).to_be_visible(timeout=SLOW_MS)
    expect(host).to_contain_text(f"/ {os.cpu_count()}", timeout=SLOW_MS)
    expect(page.get_by_test_id("nodes-note")).to_have_count(0)


def test_a_funnel_shows_where_most_are_lost_beside_the_figures_of_ones_own(page: Page, server: HuoyanServer) -> None:
    page.goto(server.url)
    page.get_by_role("link", name="Funnels", exact=True).click()
    steps = page.locator('[data-funnel="checkout"] [data-step]')
    expect(steps).to_have_count(3)
    expect(steps.nth(1)).to_contain_text("(45 %) · most are lost here")
    expect(steps.nth(2)).to_contain_text("50 %")
    expect(steps.nth(2).get_by_test_id("lost")).not_to_contain_text("most are lost")
    operation = page.locator('[data-operation="take_payment"]')
    expect(operation).to_contain_text("90 %")
    expect(operation).to_contain_text("orders")
    refunds = page.get_by_test_id("own-metrics").get_by_test_id("signal-rate:refunds_total")
    expect(refunds).to_be_visible()
    page.get_by_text("last 24 hours").click()
    expect(page).to_have_url(f"{server.url}/funnels?window=d1")
    expect(steps.nth(1)).to_contain_text("(45 %)")


def test_labels_that_hold_ids_are_named_with_samples_and_advice(page: Page, server: HuoyanServer) -> None:
    page.goto(server.url)
    page.get_by_role("link", name="Measurements", exact=True).click()
    metric = page.locator("[data-metric]").first
    expect(metric).to_have_attribute("data-metric", "signups_total")
    expect(metric).to_contain_text("4200")
    expect(metric).to_contain_text("customer=8f14e45f")
    expect(metric.get_by_test_id("advice")).to_contain_text("customer holds a UUID")
    expect(page.locator('[data-folded="true"]')).to_have_count(1)


def test_buckets_are_compared_with_what_was_observed(page: Page, server: HuoyanServer) -> None:
    page.goto(f"{server.url}/measurements")
    expect(page.get_by_text("Nothing of it was observed in the last day.")).to_be_visible()
    page.get_by_role("combobox", name="Of").click()
    page.get_by_role("option", name="GET /orders · orders").click()
    present = page.locator('[data-bounds="present"]')
    page.get_by_role("textbox", name="Bounds used now, in seconds").fill("0.05, 5")
    expect(present).to_contain_text("±3")
    proposed = page.get_by_test_id("bounds")
    expect(proposed).to_contain_text("HUOYAN_BUCKETS=0.0")
    expect(page.get_by_test_id("bucket-verdict")).to_contain_text("4500 observations.")
    expect(page.get_by_role("img", name="What was observed, with P50")).to_be_visible()
    page.get_by_role("textbox", name="Bounds used now, in seconds").fill("5, 1")
    expect(page.get_by_text("Rising numbers above zero")).to_be_visible()
    assert "endpoint=" in page.url


def test_the_pages_fit_a_phone_and_fail_nowhere_silently(browser: Browser, server: HuoyanServer) -> None:
    context = browser.new_context(viewport={"width": 380, "height": 700}, locale="zh-CN")
    phone = context.new_page()
    problems: list[str] = []
    phone.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    phone.on("pageerror", lambda error: problems.append(str(error)))
    phone.goto(server.url)
    for name, heading, content in (
        ("依赖", "依赖", "[data-dependency]"),
        ("漏斗", "漏斗与业务指标", "[data-operation]"),
        ("资源", "资源", "[data-row]"),
        ("测量质量", "测量质量", "[data-metric]"),
    ):
        phone.get_by_role("button", name="菜单").click()
        phone.get_by_role("link", name=name, exact=True).click()
        expect(phone.get_by_role("heading", name=heading, level=1)).to_be_visible()
        expect(phone.locator(content).first).to_be_visible()
        assert phone.evaluate("document.documentElement.scrollWidth") <= 380, f"expected {heading} to fit the screen"
    assert problems == []
    context.close()
