"""An incident on the page, read by somebody in Chinese and by somebody in English."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.servers import HuoyanServer, wait_until

RULE = """
[[rules]]
name = "支付 失败率"
signal = "task_failure_ratio"
op = ">"
threshold = 0.5
window = "60s"
level = "critical"
by = ["service", "task"]
min_samples = 3
"""


@pytest.fixture(scope="module")
def server() -> Iterator[HuoyanServer]:
    """Give a server with one open incident that a person has written on."""
    with HuoyanServer(config=RULE) as started:
        run = {"kind": "failed", "task": "orders.pay", "service": "orders", "framework": "huey", "worker": "w@h:1"}
        error = {"type": "shop.payments.ProviderDown", "message": "no answer", "traceback": "", "fingerprint": ""}
        now = time.time()
        events = [{**run, "run_id": f"r{n}", "at": now, "exception": error} for n in range(6)]
        started.post("/events", {"sent_at": now, "events": events})
        (incident,) = wait_until(lambda: started.get("/incidents")["items"], 15, "an incident")
        started.post(f"/incidents/{incident['id']}/comment", {"by": "Ann", "note": "calling the provider"})
        yield started


@pytest.fixture
def chinese(browser: Browser) -> Iterator[Page]:
    """Give an empty page of a browser set to Chinese."""
    context = browser.new_context(locale="zh-CN")
    yield context.new_page()
    context.close()


def test_in_chinese_an_incident_is_chinese_on_every_screen(chinese: Page, server: HuoyanServer) -> None:
    title = "orders.pay：失败率 100 %（> 50 %）"
    chinese.goto(server.url)
    expect(chinese.get_by_test_id("verdict")).to_contain_text(title)
    chinese.goto(f"{server.url}/incidents")
    row = chinese.get_by_test_id("incident-table")
    expect(row).to_contain_text("orders.pay 的失败率为 100 %（统计窗口 1 分钟，阈值 > 50 %），始于")
    row.get_by_role("link", name=title).click()
    expect(chinese.get_by_role("heading", name=title)).to_be_visible()
    expect(chinese.get_by_test_id("incident-summary")).to_contain_text("6 次失败均为 ProviderDown: no answer。")
    timeline = chinese.get_by_test_id("incident-timeline")
    expect(timeline).to_contain_text("事件开始")
    expect(timeline).to_contain_text("orders.pay 的失败率为 100 %（统计窗口 1 分钟，阈值 > 50 %）")
    expect(timeline).to_contain_text("calling the provider")
    assert "failure ratio" not in chinese.locator("main").inner_text()


def test_on_a_phone_an_incident_says_how_bad_it_is_within_the_screen(chinese: Page, server: HuoyanServer) -> None:
    chinese.set_viewport_size({"width": 390, "height": 800})
    chinese.goto(f"{server.url}/incidents")
    level = chinese.get_by_test_id("incident-table").get_by_text("严重", exact=True)
    expect(level).to_be_visible()
    assert chinese.evaluate("document.documentElement.scrollWidth") <= 390
    assert level.evaluate("text => text.scrollWidth <= text.clientWidth"), "expected the level to be told, not cut off"


def test_the_choice_of_language_is_followed_at_once(page: Page, server: HuoyanServer) -> None:
    (incident,) = server.get("/incidents")["items"]
    page.goto(f"{server.url}/incidents/{incident['id']}")
    expect(page.get_by_role("heading", name="orders.pay: failure ratio 100 % (> 50 %)")).to_be_visible()
    assert "失败率" not in page.locator("main").inner_text()
    page.get_by_text("中文", exact=True).click()
    expect(page.get_by_role("heading", name="orders.pay：失败率 100 %（> 50 %）")).to_be_visible()


def test_a_resolved_incident_says_so_once_in_each_language(chinese: Page, page: Page, server: HuoyanServer) -> None:
    (incident,) = server.get("/incidents")["items"]
    server.post(f"/incidents/{incident['id']}/resolve", {"by": "Ann", "note": ""})
    for shown, reached in ((chinese, "最高达 100 %"), (page, "reached 100 %")):
        shown.goto(f"{server.url}/incidents/{incident['id']}")
        expect(shown.get_by_test_id("incident-summary")).to_contain_text(reached)
        expect(shown.locator('[data-kind="resolved"]')).to_have_count(1)
