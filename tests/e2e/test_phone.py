"""The page on the screen of a phone."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.servers import HuoyanServer


@pytest.fixture(scope="module")
def server() -> Iterator[HuoyanServer]:
    """Give a server that knows of nothing."""
    with HuoyanServer() as started:
        yield started


@pytest.fixture(params=[360, 400])
def phone(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Give an empty page as wide as a phone."""
    context = browser.new_context(locale="en-US", viewport={"width": request.param, "height": 800})
    yield context.new_page()
    context.close()


def test_everything_in_the_header_is_on_the_screen(phone: Page, server: HuoyanServer) -> None:
    phone.goto(server.url)
    expect(phone.get_by_test_id("connection")).to_have_attribute("data-connection", "live")
    header = phone.locator("header")
    width = phone.viewport_size["width"] if phone.viewport_size else 0
    shown = [one for one in header.locator("a, button").all() if one.is_visible()]
    assert len(shown) == 4, "expected the menu, the way home, the language and the colour scheme"
    for one in shown:
        box = one.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_the_language_can_be_changed_there(phone: Page, server: HuoyanServer) -> None:
    phone.goto(server.url)
    phone.get_by_role("button", name="Language: 中文").click()
    phone.get_by_role("button", name="语言: English").click()
    expect(phone.get_by_role("button", name="Language: 中文")).to_be_visible()


def test_without_any_service_the_page_says_how_to_get_one(phone: Page, server: HuoyanServer) -> None:
    phone.goto(f"{server.url}/services")
    expect(phone.get_by_text("huoyan.watch(app)")).to_be_visible()
    width = phone.viewport_size["width"] if phone.viewport_size else 0
    assert phone.evaluate("document.documentElement.scrollWidth") <= width


def test_a_wrong_address_leads_on(phone: Page, server: HuoyanServer) -> None:
    phone.goto(f"{server.url}/no/such/page")
    expect(phone.get_by_role("heading", name="There is no such page.")).to_be_visible()
    expect(phone).to_have_title("page · There is no such page. · Huoyan")
    phone.get_by_test_id("not-found").get_by_role("link", name="Failures").click()
    expect(phone.get_by_text("Nothing failed in this period.")).to_be_visible()


def test_lists_show_what_matters_without_scrolling_sideways(phone: Page, server: HuoyanServer) -> None:
    name = "warehouse.background.inventory_synchronisation.synchronise_all_suppliers"
    fact = {"run_id": "r1", "at": time.time(), "task": name, "service": "warehouse-management", "queue": "urgent"}
    worker = {"worker": "warehouse-worker@ip-10-128-247-119:4194303", "service": "warehouse-management"}
    report = {**worker, "framework": "huey", "host": "h", "pid": 1, "started_at": time.time(), "interval_s": 60.0}
    server.post(
        "/events",
        {
            "events": [{**fact, "kind": "succeeded", "worker": worker["worker"], "duration_s": 1.5}],
            "process": {**report, "queues": ["urgent"]},
        },
    )
    for path, table in (("tasks", "task-table"), ("workers", "worker-table"), ("queues", "queue-table")):
        phone.goto(f"{server.url}/{path}")
        expect(phone.get_by_test_id(table).locator("tbody tr")).to_have_count(1)
        too_wide = "table => table.parentElement.scrollWidth - table.parentElement.clientWidth"
        assert phone.get_by_test_id(table).evaluate(too_wide) <= 0, path
    expect(phone.get_by_role("columnheader", name="Waiting")).to_be_visible()
    expect(phone.get_by_role("columnheader", name="Difference")).to_be_hidden()
