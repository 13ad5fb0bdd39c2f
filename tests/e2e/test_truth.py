"""The pages of what is concluded from silence: stuck runs, corrections, wedged workers, queues that do not add up."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.servers import HuoyanServer, wait_until

SLOW_MS = 15_000
WORKER = "orders@host-1:77"


def event(kind: str, run_id: str, **fields: Any) -> dict[str, Any]:
    base = {"kind": kind, "run_id": run_id, "at": time.time(), "service": "orders", "framework": "celery"}
    return {**base, "task": "orders.import", "queue": "imports", **fields}


def execution(number: int) -> dict[str, Any]:
    return {"attempt": number, "execution": f"{number}@{WORKER}", "worker": WORKER}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HuoyanServer]:
    """Give a server that knows a stuck run, one that was lost and found, one executed twice, and a wedged worker."""
    config = tmp_path_factory.mktemp("config") / "huoyan.toml"
    config.write_text("[truth]\nwedged_after_s = 5\n")
    with HuoyanServer("--config", str(config)) as started:

        def post(*events: dict[str, Any], **batch: Any) -> None:
            started.post("/events", {"sent_at": time.time(), "events": list(events), **batch})

        def wedged() -> dict[str, Any]:
            process = {"worker": "idle@host-2:88", "service": "orders", "framework": "celery", "queues": ["imports"]}
            post(
                process={**process, "interval_s": 60.0},
                queues=[{"queue": "imports", "service": "orders", "depth": 4, "at": time.time()}],
            )
            return {worker["worker"]: worker["state"] for worker in started.get("/workers")["items"]}

        progress = {"at": time.time(), "done": 30, "total": 120, "note": "parts.csv"}
        post(
            event("started", "stuck", heartbeat_s=0.2, **execution(1)),
            event("progress", "stuck", progress=progress, **execution(1)),
            event("started", "busy", **execution(1)),
            event("progress", "busy", progress={**progress, "done": 90}, **execution(1)),
        )
        post(event("started", "found", **execution(1)))
        post(event("lost", "found", evidence="inferred", reason="worker fell silent", **execution(1)))
        post(event("succeeded", "found", **execution(1)))
        post(event("started", "twice", **execution(1)), event("succeeded", "twice", **execution(1)))
        post(event("started", "twice", **execution(2)))
        wait_until(lambda: wedged().get("idle@host-2:88") == "wedged", 40, "the worker to be wedged", interval_s=1.0)
        wait_until(lambda: started.get("/runs", state="stuck")["items"], 20, "the run to be stuck")
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


def test_a_stuck_run_is_offered_as_a_filter_and_says_since_when(seen: Page):
    seen.goto("/runs")
    seen.get_by_role("checkbox", name="stuck").click()
    expect(seen.locator("[data-run]")).to_have_count(1)
    expect(seen.locator("[data-run=stuck] [data-state=stuck]")).to_be_visible()
    seen.goto("/runs/stuck")
    expect(seen.get_by_test_id("stuck-since")).to_contain_text("nothing was heard of it since")
    expect(seen.get_by_text("30 / 120 · parts.csv")).to_be_visible()


def test_progress_is_a_bar_in_the_list(seen: Page):
    seen.goto("/runs?state=started")
    bar = seen.locator("[data-run=busy]").get_by_test_id("run-progress").get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "75")


def test_a_correction_is_told_on_the_page_of_its_run(seen: Page):
    seen.goto("/runs/found")
    history = seen.get_by_test_id("run-history")
    expect(history).to_contain_text("worker fell silent")
    assert [one.get_attribute("data-state") for one in history.locator("[data-state]").all()] == [
        "started",
        "lost",
        "lost",
        "succeeded",
    ]


def test_a_wedged_worker_is_a_choice_of_its_own(seen: Page):
    seen.goto("/workers?state=wedged")
    expect(seen.locator("[data-worker]")).to_have_count(1)
    expect(seen.locator("[data-worker='idle@host-2:88'] [data-state=wedged]")).to_be_visible()


def test_a_queue_names_what_does_not_add_up_and_leaves_unknown_what_nobody_told(seen: Page):
    seen.goto("/queues")
    expect(seen.get_by_test_id("discrepancies")).to_contain_text("executed twice")
    expect(seen.locator("[data-queue=imports]").get_by_test_id("difference")).to_have_text("–")
