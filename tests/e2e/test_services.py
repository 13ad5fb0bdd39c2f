"""The pages of services and their endpoints, of where the time went, and of a task, in a real Chromium."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from huoyan.model.histogram import Histogram
from tests.servers import HuoyanServer, wait_until

SLOW_MS = 15_000
TYPICAL_S, SLOW_S = 0.02, 3.1


def breakdown(total_s: float, select_s: float) -> dict[str, Any]:
    """Tell a request or run that waits for one statement, a little for Redis, and works the rest of its time."""
    parts = [("database", "SELECT", "orders", select_s), ("redis", "GET", "", 0.001)]
    return {
        "total_s": total_s,
        "own_s": total_s - select_s - 0.001,
        "parts": [
            {
                "component": component,
                "operation": operation,
                "target": target,
                "calls": 1,
                "errors": 0,
                # Of Redis there were two calls, under way at the same time.
                "total_s": took_s * (2 if component == "redis" else 1),
                "covered_s": took_s,
                "max_s": took_s,
            }
            for component, operation, target, took_s in parts
        ],
    }


def request(number: int, now: float) -> dict[str, Any]:
    """One of sixty requests, the last six of which wait three seconds for the table."""
    slow = number >= 54
    total_s = SLOW_S + number / 1000 if slow else TYPICAL_S + number / 10_000
    return {
        "endpoint": "/orders",
        "method": "GET",
        "status": 200,
        "service": "shop",
        "seen": 600,
        "at": now - 60 + number / 2,
        "duration_s": total_s,
        "kind": "slow" if slow else "sampled",
        "breakdown": breakdown(total_s, total_s - 0.011),
        "labels": {"host": "host-2" if slow else "host-1"},
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }


def plain(number: int, now: float, endpoint: str, slow_s: float) -> dict[str, Any]:
    """One of thirty requests that call nothing and take 20 to 30 ms; the last six take `slow_s`."""
    slow = number >= 24
    return {
        "endpoint": endpoint,
        "method": "GET",
        "status": 200,
        "service": "shop",
        "at": now - 60 + number,
        "duration_s": slow_s if slow else TYPICAL_S * (1 + number / 48),
        "kind": "slow" if slow else "sampled",
    }


def run(number: int, now: float) -> list[dict[str, Any]]:
    """The same as a run of a task."""
    slow = number >= 54
    total_s = SLOW_S + number / 1000 if slow else TYPICAL_S + number / 10_000
    told = {
        "run_id": f"run-{number}",
        "task": "orders.report",
        "service": "shop",
        "framework": "celery",
        "attempt": 1,
        "execution": f"{number}@w",
        "worker": "w@host-1:1",
    }
    began = now - 100 + number / 2
    return [
        {**told, "kind": "queued", "at": began - 0.5},
        {**told, "kind": "started", "at": began},
        {
            **told,
            "kind": "succeeded",
            "at": began + total_s,
            "duration_s": total_s,
            "breakdown": breakdown(total_s, total_s - 0.011),
        },
    ]


def measured(now: float) -> dict[str, Any]:
    """Tell the figures of two endpoints, one of which fails now and then."""
    answered = [
        (("GET", "/orders", "200"), 594),
        (("GET", "/orders", "503"), 6),
        (("POST", "/orders", "404"), 40),
        (("DELETE", "/orders", "500"), 3),
    ]
    taken = []
    for method, seconds in (
        ("GET", [TYPICAL_S] * 590 + [SLOW_S] * 10),
        ("POST", [0.005] * 40),
        ("DELETE", [0.005] * 3),
    ):
        histogram = Histogram()
        for value in seconds:
            histogram.observe(value)
        taken.append(
            {
                "values": [method, "/orders"],
                "sum": histogram.sum,
                "schema": histogram.schema,
                "buckets": sorted(histogram.buckets.items()),
            }
        )
    return {
        "source": "shop-1",
        "sequence": 1,
        "at": now - 30,
        "service": "shop",
        "worker": "shop@host-1:7",
        "metrics": [
            {
                "name": "http_requests_total",
                "kind": "counter",
                "labels": ["method", "endpoint", "http_status"],
                "series": [{"values": list(values), "add": count} for values, count in answered],
            },
            {
                "name": "http_request_duration_seconds",
                "kind": "distribution",
                "labels": ["method", "endpoint"],
                "series": taken,
            },
        ],
    }


def in_flight(now: float) -> dict[str, Any]:
    """Tell how many requests are answered now, which nobody knows any more a minute later."""
    gauge = {"name": "http_requests_in_flight", "kind": "gauge", "series": [{"value": 4}]}
    return {**measured(now), "sequence": 2, "at": now, "metrics": [gauge]}


@pytest.fixture(scope="module")
def server() -> Iterator[HuoyanServer]:
    with HuoyanServer() as started:
        now = time.time()
        batch: dict[str, Any] = {
            "sent_at": now,
            "events": [event for number in range(60) for event in run(number, now)],
            "examples": [
                *(request(number, now) for number in range(60)),
                *(plain(number, now, "/even", 1.5 * TYPICAL_S) for number in range(30)),
                *(plain(number, now, "/unclear", 3 * TYPICAL_S) for number in range(30)),
            ],
            "measurements": [measured(now)],
        }
        started.post("/events", batch)
        started.post("/deploys", {"service": "shop", "version": "1.0", "at": now - 1500})
        started.post("/deploys", {"service": "shop", "version": "1.1", "at": now - 15, "note": "index on orders"})
        wait_until(lambda: started.get("/services")["items"], 20, "the figures of the service")
        yield started


@pytest.fixture
def seen(browser: Browser, server: HuoyanServer, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Give a page, of which a picture is taken in the end when TEST_PICTURES names a folder."""
    page = browser.new_page(base_url=server.url, locale="en-GB", viewport={"width": 1360, "height": 900})
    page.set_default_timeout(SLOW_MS)
    yield page
    if folder := os.environ.get("TEST_PICTURES"):
        page.screenshot(path=Path(folder) / f"{request.node.name}.png", full_page=True)
    page.close()


def test_figures_of_services_and_endpoints_are_those_that_were_measured(server: HuoyanServer):
    (service,) = server.get("/services")["items"]
    assert (service["service"], service["requests"], service["endpoints"]) == ("shop", 643, 3)
    assert service["server_error_ratio"] == pytest.approx(9 / 643)
    assert service["client_error_ratio"] == pytest.approx(40 / 643)
    assert len(service["trend_per_minute"]) == 30
    assert sum(service["trend_per_minute"]) * 2 == pytest.approx(643), "expected each request in one step of 2 min"
    get, post, delete = server.get("/endpoints", service="shop")["items"]
    assert (get["method"], get["endpoint"], get["requests"]) == ("GET", "/orders", 600)
    assert get["p50_s"] == pytest.approx(TYPICAL_S, rel=0.022)
    assert get["p99_s"] == pytest.approx(SLOW_S, rel=0.022)
    assert get["total_s"] == pytest.approx(590 * TYPICAL_S + 10 * SLOW_S)
    assert (post["method"], post["server_error_ratio"], post["client_error_ratio"]) == ("POST", 0.0, 1.0)
    # Three requests make neither a share nor the slowest 1 %.
    assert (delete["method"], delete["server_error_ratio"], delete["p99_s"]) == ("DELETE", None, None)
    assert server.get("/endpoints", service="nobody")["items"] == []


def test_a_service_leads_to_the_endpoint_and_to_what_makes_it_slow(seen: Page, server: HuoyanServer):
    seen.goto("/")
    seen.get_by_role("link", name="Services", exact=True).click()
    expect(seen.locator("[data-service=shop]")).to_contain_text("3 endpoints")
    expect(seen.locator("[data-service=shop]").get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("Requests per minute over this time")
    )
    seen.locator("[data-service=shop]").get_by_role("link", name="shop").click()
    expect(seen.locator("[data-endpoint]").first).to_have_attribute("data-endpoint", "GET /orders")
    few = seen.locator("[data-endpoint='DELETE /orders']").get_by_title("3 requests in this time")
    expect(few).to_have_text(["–", "–"])
    seen.get_by_role("button", name="4xx", exact=True).click()
    expect(seen.locator("[data-endpoint]").first).to_have_attribute("data-endpoint", "POST /orders")
    seen.locator("[data-endpoint='GET /orders']").get_by_role("link").click()
    expect(seen.get_by_role("heading", name="GET /orders")).to_be_visible()
    expect(seen.locator("[data-cause='database|SELECT|orders']")).to_contain_text("SELECT on orders")
    expect(seen.locator("[data-cause]").first).to_contain_text("in a typical one")
    slow, typical = seen.get_by_test_id("causes-picture").get_by_test_id("breakdown-bar").all()
    own = "own code and what is not watched 10 ms"
    expect(slow).to_have_attribute("aria-label", f"SELECT orders 3.15 s, Redis GET 1 ms, {own}")
    assert "SELECT orders" in (typical.get_attribute("aria-label") or "")
    expect(seen.locator("[data-standout='slow|host|host-2']")).to_contain_text("100 % of the slow ones have host")
    server.post("/events", {"sent_at": time.time(), "events": [], "measurements": [in_flight(time.time())]})
    expect(seen.get_by_test_id("signal-http_in_flight")).to_have_text("4")
    seen.get_by_role("button", name="slow requests that show it").click()
    evidence = seen.get_by_test_id("causes-evidence")
    expect(evidence.get_by_test_id("breakdown-bar").first).to_be_visible()
    evidence.get_by_role("link").first.click()
    expect(seen.get_by_role("heading", name="GET /orders")).to_be_visible()
    facts = seen.get_by_test_id("facts")
    for fact in ("shop", "200", "3.16 s", "host-2", "4bf92f3577b34da6a3ce929d0e0e4736", "among the slowest of 600"):
        expect(facts).to_contain_text(fact)
    table = seen.get_by_test_id("breakdown-table")
    expect(table.locator("[data-part='database|SELECT|orders']")).to_contain_text("100 %")
    expect(seen.get_by_test_id("at-once")).to_be_visible()


def test_a_deploy_is_marked_in_charts_and_compared(seen: Page):
    seen.goto("/services/shop")
    chart = seen.get_by_role("img", name="Latency. 1.1. 1.0")
    expect(chart).to_have_attribute("data-marks", "2")
    effect = seen.locator("[data-deploy='1.1']")
    expect(effect).to_contain_text("1.0 → 1.1")
    expect(effect).to_contain_text("index on orders")
    expect(effect.locator("[data-side=before]")).to_contain_text("643")
    expect(effect.locator("[data-side=after]")).to_contain_text("0")


def test_an_endpoint_that_answered_nothing_accuses_nobody(seen: Page):
    seen.goto("/endpoints?service=shop&method=POST&endpoint=/orders")
    verdict = seen.get_by_test_id("causes-verdict")
    expect(verdict).to_have_attribute("data-verdict", "few")
    expect(verdict).to_contain_text("Seen: 0 slow ones (5 are needed)")


@pytest.mark.parametrize(
    ("verdict", "says"), [("even", "nobody is to blame"), ("unclear", "A slow one takes 52.3 ms on average")]
)
def test_slow_requests_without_a_cause_accuse_nobody(seen: Page, verdict: str, says: str):
    seen.goto(f"/endpoints?service=shop&method=GET&endpoint=/{verdict}")
    expect(seen.get_by_test_id("causes-verdict")).to_have_attribute("data-verdict", verdict)
    expect(seen.get_by_test_id("causes-verdict")).to_contain_text(says)
    expect(seen.get_by_test_id("causes-picture").get_by_test_id("breakdown-bar")).to_have_count(2)
    expect(seen.locator("[data-cause]")).to_have_count(0)


def test_a_task_says_where_its_time_went_and_names_runs(seen: Page):
    seen.goto("/tasks")
    seen.locator("[data-task='orders.report']").get_by_role("link", name="orders.report").click()
    expect(seen.locator("[data-cause='database|SELECT|orders']")).to_contain_text("SELECT on orders")
    seen.get_by_role("button", name="slow runs that show it").click()
    seen.get_by_test_id("causes-evidence").get_by_role("link").first.click()
    table = seen.get_by_test_id("breakdown-table")
    expect(table.locator("[data-part='database|SELECT|orders']")).to_contain_text("86 %")
    expect(table.locator("[data-part='queue|wait|']")).to_contain_text("500 ms")
    expect(seen.get_by_test_id("breakdown-bar")).to_have_attribute(
        "aria-label", re.compile("^waiting in the queue 500 ms, SELECT orders 3.1")
    )


def test_in_chinese_the_cause_is_told_in_chinese(browser: Browser, server: HuoyanServer):
    page = browser.new_page(base_url=server.url, locale="zh-CN", viewport={"width": 390, "height": 800})
    page.set_default_timeout(SLOW_MS)
    page.goto("/endpoints?service=shop&method=GET&endpoint=/orders")
    expect(page.locator("[data-cause='database|SELECT|orders']")).to_contain_text("对 orders 的 SELECT")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="个可以佐证的慢请求").click()
    page.get_by_test_id("causes-evidence").get_by_role("link").first.click()
    expect(page.get_by_test_id("facts")).to_contain_text("最慢的几个之一")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if folder := os.environ.get("TEST_PICTURES"):
        page.screenshot(path=Path(folder) / "endpoint-phone.png", full_page=True)
    page.close()
