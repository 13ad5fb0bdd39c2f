"""The page, in a real Chromium, on a real server that real events are posted to."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.servers import HuoyanServer, wait_until

CONFIG = """
[[rules]]
name = "many-failures"
signal = "task_failure_ratio"
op = ">"
threshold = 0.5
for = "0s"
window = "60s"
level = "critical"
by = ["service", "task"]
min_samples = 3
"""

TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "/app/orders/payment.py", line 42, in take_payment\n'
    "    provider.charge(order)\n"
    "orders.payment.ProviderDown: <b>card</b> issuer did not answer within 5 s\n"
)


def event(kind: str, run_id: str, **fields: Any) -> dict[str, Any]:
    """Return an event of the orders service, dated now."""
    return {
        "kind": kind,
        "run_id": run_id,
        "at": time.time(),
        "task": "orders.take_payment",
        "service": "orders",
        "framework": "huey",
        "queue": "payments",
        **fields,
    }


def post_run(server: HuoyanServer, run_id: str, *, failed: bool = False, **fields: Any) -> None:
    """Report one whole run: queued, started, ended."""
    worker = {"worker": "orders@host-1:77", "attempt": 1, "execution": f"{run_id}-1"}
    end = (
        event(
            "failed",
            run_id,
            duration_s=5.01,
            exception={"type": "ProviderDown", "message": "card issuer did not answer", "traceback": TRACEBACK},
            **worker,
            **fields,
        )
        if failed
        else event("succeeded", run_id, duration_s=0.12, result={"paid": True}, **worker, **fields)
    )
    server.post(
        "/events",
        {
            "sent_at": time.time(),
            "events": [
                event("queued", run_id, args=[f"order of {run_id}"], kwargs={"amount": 49.9}, **fields),
                event("started", run_id, **worker, **fields),
                end,
            ],
        },
    )


@pytest.fixture(scope="module")
def server() -> Iterator[HuoyanServer]:
    """Give one server to all tests of the page, with some runs."""
    with HuoyanServer(config=CONFIG) as started:
        for number in range(8):
            post_run(started, f"mail-{number}", task="mail.send", service="mail", queue="mail")
        post_run(started, "order-1041", task="orders.validate")
        yield started


def test_the_first_screen_gives_the_verdict_and_moves_by_itself(page: Page, server: HuoyanServer) -> None:
    page.goto(server.url)
    expect(page.get_by_test_id("verdict")).to_be_visible()
    expect(page.get_by_test_id("connection")).to_have_attribute("data-connection", "live")
    page.evaluate("window.notReloaded = true")
    post_run(server, "order-live", task="orders.validate")
    row = page.locator('[data-run="order-live"]')
    expect(row).to_be_visible(timeout=5_000)
    expect(row.locator('[data-state="succeeded"]')).to_be_visible()
    assert page.evaluate("window.notReloaded"), "expected the page to update itself, it was loaded again"


def test_runs_are_searched_and_filtered_with_live_counts(page: Page, server: HuoyanServer) -> None:
    page.goto(f"{server.url}/runs")
    expect(page.locator('[data-count="state:succeeded"]')).to_be_visible()
    before = int(page.locator('[data-count="task:mail.send"]').inner_text())
    post_run(server, "mail-new", task="mail.send", service="mail", queue="mail")
    expect(page.locator('[data-count="task:mail.send"]')).to_have_text(str(before + 1), timeout=8_000)

    page.get_by_label("mail.send").check()
    expect(page.locator("[data-run]").first).to_be_visible()
    expect(page.locator('[data-run="order-1041"]')).to_have_count(0)
    assert "mail.send" in page.url, "expected the filter to be in the address, so that the view can be shared"

    page.get_by_role("button", name="Clear filters").click()
    page.get_by_role("textbox", name="Id, task, arguments, exception").fill("order of order-1041")
    expect(page.locator("[data-run]")).to_have_count(1, timeout=10_000)
    expect(page.locator('[data-run="order-1041"]')).to_be_visible()


def test_a_failed_run_shows_attempts_arguments_and_traceback_as_text(page: Page, server: HuoyanServer) -> None:
    post_run(server, "order-failed", failed=True)
    page.goto(f"{server.url}/runs")
    page.locator('[data-run="order-failed"] a').click()
    expect(page.get_by_test_id("run-id")).to_have_text("order-failed")
    expect(page.get_by_test_id("attempt-timeline").locator("[data-attempt]")).to_have_count(1)
    expect(page.get_by_label("Arguments").first).to_contain_text("order of order-failed")
    expect(page.get_by_label("Traceback")).to_contain_text("<b>card</b> issuer")
    page.get_by_role("link", name="All runs with this failure").click()
    expect(page.locator('[data-run="order-failed"]')).to_be_visible()


def test_an_incident_opens_is_acknowledged_and_resolved(page: Page, server: HuoyanServer) -> None:
    page.goto(server.url)
    for number in range(6):
        post_run(server, f"order-down-{number}", failed=True, task="orders.settle")
    expect(page.get_by_test_id("verdict")).to_have_attribute("data-level", "critical", timeout=10_000)
    page.get_by_test_id("verdict").get_by_role("link", name="settle").first.click()
    state = page.get_by_test_id("incident-state")
    expect(state).to_have_attribute("data-state", "open")

    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Say who you are")).to_be_visible()
    page.get_by_role("textbox", name="Your name").fill("Li Wei")
    page.get_by_role("textbox", name="Note").fill("calling the provider")
    page.get_by_role("button", name="Acknowledge").click()
    expect(state).to_have_attribute("data-state", "acknowledged")
    expect(page.get_by_test_id("incident-timeline")).to_contain_text("Li Wei")
    expect(page.get_by_test_id("incident-timeline")).to_contain_text("calling the provider")

    page.get_by_role("button", name="Resolve").click()
    expect(state).to_have_attribute("data-state", "resolved")


def test_the_page_speaks_chinese_and_remembers_it(page: Page, server: HuoyanServer) -> None:
    page.goto(server.url)
    page.get_by_text("中文", exact=True).click()
    expect(page.get_by_role("link", name="任务运行")).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="任务运行")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "zh"


def test_a_chinese_browser_is_greeted_in_chinese(browser: Browser, server: HuoyanServer) -> None:
    context = browser.new_context(locale="zh-CN")
    chinese = context.new_page()
    chinese.goto(server.url)
    expect(chinese.get_by_role("link", name="总览")).to_be_visible()
    context.close()


def test_light_and_dark_are_a_choice(page: Page, server: HuoyanServer) -> None:
    page.goto(server.url)
    html = page.locator("html")
    before = html.get_attribute("data-mantine-color-scheme")
    page.get_by_role("button", name="Light or dark").click()
    expect(html).not_to_have_attribute("data-mantine-color-scheme", before or "")


def test_a_lost_connection_is_said_and_mended(page: Page) -> None:
    with HuoyanServer() as own:
        page.goto(own.url)
        expect(page.get_by_test_id("connection")).to_have_attribute("data-connection", "live")
        own.kill()
        expect(page.get_by_test_id("connection-lost")).to_be_visible()
        own.start()
        post_run(own, "after-the-cut")
        expect(page.get_by_test_id("connection")).to_have_attribute("data-connection", "live", timeout=20_000)
        expect(page.locator('[data-run="after-the-cut"]')).to_be_visible()
        expect(page.get_by_test_id("connection-lost")).to_have_count(0)


def test_a_server_with_a_token_asks_for_it(page: Page) -> None:
    with HuoyanServer(token="open-sesame-1042") as own:
        page.goto(own.url)
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Enter").click()
        expect(page.get_by_text("That is not the token.")).to_be_visible()
        page.get_by_label("Token").fill("open-sesame-1042")
        page.get_by_role("button", name="Enter").click()
        expect(page.get_by_test_id("verdict")).to_be_visible()


def test_nothing_on_the_page_fails_silently(page: Page, server: HuoyanServer) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    for path in ("/", "/runs", "/runs/order-1041", "/failures", "/incidents?show=all", "/nowhere"):
        page.goto(server.url + path)
        wait_until(lambda: page.locator("main").inner_text().strip() != "", message=f"something to read on {path}")
        page.wait_for_load_state("load")
    assert problems == []


HOSTILE = (
    "<img src=x onerror='window.hit=1'><script>window.hit=1</script>\u202egpj.tpircs\u2066</pre><svg onload=alert(1)>"
)
"""Markup that would note that it ran, and characters that turn the direction of what follows."""


def test_markup_from_outside_is_text_on_every_page(page: Page, server: HuoyanServer) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    named = {"task": f"t{HOSTILE}", "service": f"s{HOSTILE}", "queue": f"q{HOSTILE}", "worker": f"w{HOSTILE}"}
    about = {**named, "framework": f"f{HOSTILE}", "attempt": 1, "execution": "1", "labels": {HOSTILE[:90]: HOSTILE}}
    error = {"type": f"E{HOSTILE}", "message": HOSTILE, "traceback": f"Traceback\n{HOSTILE}"}
    progress = {"at": time.time(), "done": 1, "total": 3, "note": HOSTILE}
    started = event("started", "hostile", **about, args=[HOSTILE, {HOSTILE: HOSTILE}], kwargs={HOSTILE: HOSTILE})
    server.post(
        "/events",
        {
            "sent_at": time.time(),
            "process": {"worker": named["worker"], "service": named["service"], "host": HOSTILE, "queues": [HOSTILE]},
            "events": [
                started,
                event("progress", "hostile", **about, progress=progress),
                event("failed", "hostile", **about, exception=error, reason=HOSTILE),
                event("succeeded", "hostile-2", **about, result={HOSTILE: [HOSTILE]}, parent_id="hostile"),
            ],
        },
    )
    wait_until(lambda: server.get("/runs/hostile")["state"] == "failed", 60, "the run to have failed")
    page.goto(server.url)
    shown = {
        "/runs/hostile": "t<img src=x",
        "/runs/hostile-2": "\\u202egpj.tpircs",
        "/runs": "t<img src=x",
        "/tasks": "t<img src=x",
        "/failures": "<script>window.hit=1",
        "/workers": "w<img src=x",
        "/queues": "q<img src=x",
        "/": "t<img src=x",
    }
    for path, text in shown.items():
        page.evaluate("path => history.pushState({}, '', path)", path)
        expect(page.locator("main"), path).to_contain_text(text, timeout=60_000)
        assert page.locator("main").locator("script, img, svg[onload]").count() == 0, path
    page.goto(f"{server.url}/runs/hostile")
    expect(page.get_by_role("heading", level=1)).to_have_text(named["task"])
    expect(page.get_by_label("Traceback")).to_contain_text("<script>window.hit=1</script>\\u202egpj.tpircs")
    isolated = "document.querySelector('main a').computedStyleMap().get('unicode-bidi').value"
    assert page.evaluate(isolated) == "isolate"
    assert page.evaluate("window.hit") is None
    assert problems == []
