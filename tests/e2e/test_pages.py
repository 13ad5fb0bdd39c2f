"""The pages of workers, queues and tasks, of what could not be heard, and of workflows, in a real Chromium."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.servers import HuoyanServer, wait_until
from tests.servers.process import free_port

SLOW_MS = 15_000


def report(worker: str, **fields: Any) -> dict[str, Any]:
    """Return what a process says of itself."""
    return {
        "worker": worker,
        "service": "orders",
        "framework": "huey",
        "host": "host-1",
        "pid": 77,
        "started_at": time.time() - 600,
        "interval_s": 60.0,
        "queues": ["payments", "mail"],
        **fields,
    }


def post(server: HuoyanServer, *events: dict[str, Any], skew_s: float = 0.0, **batch: Any) -> None:
    """Post one batch, by a clock that is `skew_s` seconds ahead."""
    server.post("/events", {"sent_at": time.time() + skew_s, "events": list(events), **batch})


def event(kind: str, run_id: str, **fields: Any) -> dict[str, Any]:
    """Return an event of the orders service, dated now."""
    base = {"kind": kind, "run_id": run_id, "at": time.time(), "service": "orders", "framework": "huey"}
    return {**base, "task": "orders.take_payment", "queue": "payments", **fields}


def run(run_id: str, end: str = "succeeded", duration_s: float = 0.12, **fields: Any) -> list[dict[str, Any]]:
    """Return the events of one whole run."""
    about: dict[str, Any] = {"attempt": 1, "execution": f"{run_id}-1", "worker": "orders@host-1:77", **fields}
    error = {"exception": {"type": "ProviderDown", "message": "no answer"}} if end == "failed" else {}
    return [
        event("queued", run_id, **fields),
        event("started", run_id, **about),
        event(end, run_id, duration_s=duration_s, **error, **about),
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[HuoyanServer]:
    """Give a server that knows workers in every state, queues with and without a depth, tasks and a workflow."""
    with HuoyanServer() as started:
        post(started, process=report("orders@host-1:77"))
        post(started, process=report("mail@host-2:88", service="mail", host="host-2", dropped=12), skew_s=90.0)
        post(started, process=report("orders@host-9:99", interval_s=0.5))
        post(started, process=report("old@host-1:11", closing=True))
        now = time.time()
        post(
            started,
            *(each for number in range(6) for each in run(f"pay-{number}", "failed" if number < 2 else "succeeded")),
            *(each for number in range(3) for each in run(f"slow-{number}", task="orders.report", duration_s=4.2)),
            *run("flow-root", task="orders.place"),
            *run("flow-a", task="orders.reserve", parent_id="flow-root", root_id="flow-root", group_id="all"),
            *run("flow-b", "failed", task="orders.notify", parent_id="flow-root", root_id="flow-root", group_id="all"),
            *run("audit-1", task="orders.audit", queue="audit"),
            queues=[{"queue": "payments", "service": "orders", "depth": 41, "at": now, "oldest_age_s": 12.5}],
        )
        wait_until(
            lambda: (
                {w["worker"]: w["state"] for w in started.get("/workers")["items"]}.get("orders@host-9:99") == "down"
            ),
            30,
            "the silent worker to be down",
        )
        yield started


def rows(page: Page, attribute: str) -> list[str]:
    """Return the values of an attribute in the order in which the page shows them."""
    return [row.get_attribute(attribute) or "" for row in page.locator(f"[{attribute}]").all()]


def test_workers_are_listed_with_those_that_are_down_first(page: Page, server: HuoyanServer) -> None:
    page.goto(server.url)
    page.get_by_role("link", name="Workers", exact=True).click()
    expect(page.locator("[data-worker]")).to_have_count(4)
    assert rows(page, "data-worker")[0] == "orders@host-9:99"
    assert rows(page, "data-worker")[-1] == "old@host-1:11"
    down = page.locator('[data-worker="orders@host-9:99"]')
    expect(down.locator('[data-state="down"]')).to_be_visible()
    up = page.locator('[data-worker="orders@host-1:77"]')
    expect(up).to_contain_text("orders · huey")
    expect(up).to_contain_text("payments, mail")
    expect(up).to_contain_text("pid 77")
    expect(up.get_by_test_id("clock-skew")).to_have_count(0)


def test_a_wrong_clock_and_dropped_events_are_said(page: Page, server: HuoyanServer) -> None:
    page.goto(f"{server.url}/workers")
    mail = page.locator('[data-worker="mail@host-2:88"]')
    expect(mail.get_by_test_id("clock-skew")).to_have_text("1 min 30 s ahead")
    expect(mail.get_by_test_id("dropped")).to_have_text("12")


def test_workers_are_filtered_by_state_in_the_address(page: Page, server: HuoyanServer) -> None:
    page.goto(f"{server.url}/workers")
    page.get_by_text("closed 1").click()
    expect(page.locator("[data-worker]")).to_have_count(1)
    assert "state=closed" in page.url
    page.reload()
    expect(page.locator('[data-worker="old@host-1:11"]')).to_be_visible()
    expect(page.locator("[data-worker]")).to_have_count(1)


def test_a_worker_leads_to_its_runs(page: Page, server: HuoyanServer) -> None:
    page.goto(f"{server.url}/workers")
    page.get_by_role("link", name="Runs of orders@host-1:77").click()
    expect(page.locator('[data-run="audit-1"]')).to_be_visible()
    page.goto(f"{server.url}/workers")
    page.get_by_role("link", name="Runs of mail@host-2:88").click()
    expect(page.get_by_text("No run matches.")).to_be_visible()


def test_a_new_worker_appears_by_itself(page: Page, server: HuoyanServer) -> None:
    page.goto(f"{server.url}/workers?state=closed")
    expect(page.get_by_test_id("connection")).to_have_attribute("data-connection", "live")
    expect(page.locator('[data-worker="old@host-1:11"]')).to_be_visible()
    post(server, process=report("late@host-3:5", closing=True))
    expect(page.locator('[data-worker="late@host-3:5"]')).to_be_visible(timeout=SLOW_MS)


def test_a_queue_tells_its_depth_and_never_zero_for_what_is_not_known(page: Page, server: HuoyanServer) -> None:
    now = time.time()
    post(server, queues=[{"queue": "payments", "service": "orders", "depth": 41, "at": now, "oldest_age_s": 12.5}])
    page.goto(server.url)
    page.get_by_role("link", name="Queues", exact=True).click()
    payments = page.locator('[data-queue="payments"]')
    expect(payments).to_contain_text("41")
    expect(payments).to_contain_text("12.5 s")
    expect(page.locator('[data-queue="audit"]')).to_contain_text("not known")
    expect(page.get_by_test_id("signal-queue_depth")).to_be_visible()
    expect(page.get_by_test_id("signal-task_wait_p95")).to_be_visible()
    page.locator('[data-queue="audit"]').get_by_role("link", name="audit").click()
    expect(page.locator("[data-run]")).to_have_count(1)
    expect(page.locator('[data-run="audit-1"]')).to_be_visible()


def test_tasks_are_sorted_and_lead_to_their_runs(page: Page, server: HuoyanServer) -> None:
    page.goto(server.url)
    page.get_by_role("link", name="Tasks", exact=True).click()
    expect(page.locator('[data-task="orders.take_payment"]')).to_contain_text("33 %")
    assert rows(page, "data-task")[0] == "orders.take_payment", "expected the busiest task first"
    page.get_by_role("button", name="P95", exact=True).click()
    expect(page.locator("[data-task]").first).to_have_attribute("data-task", "orders.report")
    expect(page.get_by_role("columnheader", name="P95", exact=True)).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="P95", exact=True).click()
    expect(page.locator("[data-task]").last).to_have_attribute("data-task", "orders.report")
    page.get_by_text("last 24 hours").click()
    expect(page.locator("[data-task]").last).to_have_attribute("data-task", "orders.report")
    assert "window=d1" in page.url
    page.locator('[data-task="orders.take_payment"]').get_by_role("link", name="33 %").click()
    expect(page.locator("[data-run]")).to_have_count(2)
    assert "orders.take_payment" in page.url


def test_a_run_shows_where_it_stands_in_its_workflow(page: Page, server: HuoyanServer) -> None:
    page.goto(f"{server.url}/runs/flow-a")
    workflow = page.get_by_test_id("workflow")
    expect(workflow.locator("[data-node]")).to_have_count(3)
    expect(workflow.locator("[data-edge=started]")).to_have_count(2)
    expect(page.get_by_test_id("workflow-progress")).to_have_text("3 of 3 done")
    workflow.get_by_role("link", name="orders.place").click()
    expect(page.get_by_test_id("run-id")).to_have_text("flow-root")


def test_a_chord_shows_its_headers_as_one_and_names_the_one_that_holds_it_up(page: Page, server: HuoyanServer) -> None:
    header: dict[str, Any] = {"task": "reports.page", "group_id": "chord-1", "dependents": {"body-1": "reports.bind"}}
    finished = [each for n in range(400) for each in run(f"header-{n}", **header)]
    post(
        server,
        *finished,
        event("started", "header-last", worker="orders@host-1:77", execution="header-last-1", **header),
    )
    wait_until(lambda: server.get("/runs/header-1/workflow")["total"] == 401, 20)
    page.goto(f"{server.url}/runs?view=workflows")
    table = page.get_by_test_id("workflow-table")
    expect(table).to_contain_text("400 / 401")
    table.get_by_role("link", name="reports.page").click()
    workflow = page.get_by_test_id("workflow")
    expect(workflow.locator("[data-node=group]")).to_contain_text("× 401")
    expect(workflow.locator("[data-node=planned]")).to_contain_text("reports.bind")
    blockers = page.get_by_test_id("blockers")
    expect(blockers).to_contain_text("holds up reports.bind")
    blockers.get_by_role("link").click()
    expect(page.get_by_test_id("run-id")).to_have_text("header-last")


def test_schedules_show_what_became_of_each_due_time(page: Page, server: HuoyanServer) -> None:
    now = time.time()
    first = now - 1  # the server listens since before

    def told(name: str, **fields: Any) -> dict[str, Any]:
        given = {"service": "orders", "framework": "apscheduler", "source": "orders@host-1:77", "at": first - 1}
        return {"id": name, "kind": "interval", "expression": "2.0", "task": "orders.sweep", **given, **fields}

    kept = {"framework": "apscheduler", "task": "orders.sweep", "worker": "orders@host-1:77"}
    started = [
        {
            **event("started", f"sweep-{n}", eta=first + 2 * n, labels={"schedule": "sweep"}, **kept),
            "at": first + 2 * n,
        }
        for n in (0, 2)
    ]
    coming = told("nightly", kind="cron", expression="30 2 * * *", timezone="Asia/Shanghai", next_due_at=now + 5000)
    post(server, *started, schedules=[told("sweep", grace_s=1.0, next_due_at=first), coming])

    def judged() -> list[str]:
        return [slot["verdict"] for slot in server.get("/schedules/orders/apscheduler/sweep")["slots"]][::-1]

    def complete() -> bool:
        # Where the server itself stood still for a moment, the second due time is unknown; a later one is missed.
        seen = judged()
        return seen[:1] == ["ok"] and seen[2:3] == ["overlapping"] and "missed" in seen

    wait_until(complete, 60, lambda: f"verdicts on three due times, got {judged()}")
    page.goto(f"{server.url}/schedules")
    row = page.locator('[data-schedule="sweep"]')
    expect(row.locator("[data-verdict=missed]").first).to_be_visible()
    expect(row).to_contain_text("every 2 s")
    expect(page.locator('[data-schedule="nightly"]')).to_contain_text("daily at 02:30")
    page.get_by_text("gone wrong").click()
    expect(page.locator('[data-schedule="nightly"]')).to_have_count(0)
    row.get_by_role("link", name="sweep").click()
    expect(page.get_by_test_id("slot-table").locator("[data-verdict=overlapping]")).to_contain_text(
        "began while sweep-0 still ran"
    )
    page.get_by_test_id("slot-table").get_by_role("link", name="sweep-2").click()
    expect(page.get_by_test_id("run-id")).to_have_text("sweep-2")


NOTED = {
    "/": ("failures", "of the last hour. Failures of then may be missing."),
    "/runs": ("runs", "of this period. Runs of then may be missing or look unfinished."),
    "/runs?view=workflows": ("runs", "Runs of then may be missing"),
    "/runs/heard-2": ("run", "of the time of this run. What happened to it then may be missing."),
    "/workers": ("workers", "of the last 24 hours. Workers of then may be missing, or have been taken for dead"),
    "/queues": ("queues", "of the last hour. What waited then is not known"),
    "/schedules": ("schedules", "Whether what was due then was done may not be known."),
    "/tasks": ("figures", "of this period. What was counted then may be missing from these figures."),
    "/tasks/one?task=orders.take_payment&service=orders": ("causes", "What was slow then may be missing."),
    "/failures": ("failures", "of this period. Failures of then may be missing."),
    "/incidents": ("incidents", "of the time shown here. What went wrong then may have raised no incident"),
    "/dependencies": ("figures", "What was counted then may be missing"),
    "/services": ("figures", "What was counted then may be missing"),
    "/endpoints?service=shop&method=GET&endpoint=/": ("causes", "What was slow then may be missing."),
    "/funnels": ("figures", "What was counted then may be missing"),
    "/resources": ("figures", "What was counted then may be missing"),
}
"""What each list says of a gap that touches what it shows."""


def test_blindness_is_said_drawn_and_noted(page: Page, browser: Browser) -> None:
    with HuoyanServer("--celery", f"redis://127.0.0.1:{free_port()}/0") as blind:
        post(blind, *run("heard-1"))
        wait_until(lambda: blind.get("/gaps")["items"], 30, "a gap")
        source = blind.get("/gaps")["items"][0]["source"]
        page.goto(blind.url)
        expect(page.get_by_test_id("blind-banner")).to_contain_text(source)
        chart = page.get_by_role("img", name="Runs per minute")
        expect(chart).to_have_attribute("data-bands", "1", timeout=SLOW_MS)
        expect(page.get_by_test_id("blind-band").first).to_contain_text(f"not everything heard from {source}")
        page.goto(f"{blind.url}/runs")
        expect(page.get_by_test_id("blind-banner")).to_be_visible()
        post(blind, *run("heard-2")[:2])
        wait_until(lambda: len(blind.get("/runs")["items"]) == 2, 30, "the second run")
        for path, (of, said) in NOTED.items():
            # As a link leads there, which is quicker than to load the whole application again.
            page.evaluate("path => history.pushState({}, '', path)", path)
            note = page.locator(f"[data-testid=gap-note][data-of={of}]").first
            expect(note, path).to_contain_text("Not everything could be heard for", timeout=60_000)
            expect(note, path).to_contain_text(said)
            expect(note, path).to_contain_text(source)
        context = browser.new_context(locale="zh-CN")
        chinese = context.new_page()
        chinese.goto(f"{blind.url}/runs")
        expect(chinese.get_by_test_id("blind-banner")).to_contain_text("失明：收不到某个来源的数据")
        expect(chinese.get_by_test_id("gap-note")).to_contain_text("没有收到全部数据")
        chinese.goto(f"{blind.url}/workers")
        expect(chinese.get_by_test_id("gap-note")).to_contain_text("最近 24 小时里有")
        expect(chinese.get_by_test_id("gap-note")).to_contain_text("当时的 Worker 可能缺失")
        context.close()


def test_a_server_that_hears_everything_says_nothing_of_gaps(page: Page, server: HuoyanServer) -> None:
    page.goto(f"{server.url}/runs")
    expect(page.locator("[data-run]").first).to_be_visible()
    expect(page.get_by_test_id("blind-banner")).to_have_count(0)
    # On a machine that stood still so did the server, and that is a gap.
    expect(page.get_by_test_id("gap-note")).to_have_count(1 if server.get("/gaps")["items"] else 0)


def test_on_a_phone_every_page_is_reached_and_fits_the_screen(browser: Browser, server: HuoyanServer) -> None:
    context = browser.new_context(viewport={"width": 400, "height": 800}, locale="en-GB")
    phone = context.new_page()
    phone.goto(server.url)
    for name, path in (("Workers", "/workers"), ("Queues", "/queues"), ("Tasks", "/tasks"), ("Runs", "/runs")):
        phone.get_by_role("button", name="Menu").click()
        phone.get_by_role("link", name=name, exact=True).click()
        expect(phone.get_by_role("heading", name=name, level=1)).to_be_visible()
        assert path in phone.url
        assert phone.evaluate("document.documentElement.scrollWidth") <= 400, f"expected {path} to fit the screen"
    context.close()


def test_the_pages_fail_nowhere_silently(page: Page, server: HuoyanServer) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    for path, heading in (("/workers?state=down", "Workers"), ("/queues", "Queues"), ("/tasks?by=p99_s", "Tasks")):
        page.goto(server.url + path)
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        page.wait_for_load_state("load")
    assert problems == []
