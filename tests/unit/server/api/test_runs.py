"""Runs over the API: the document, filters, pages, counts, children; task and queue figures; failures and signals."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from huoyan.model.event import QueueReading
from tests.servers import wait_until


def event(run_id: str, kind: str = "started", ago_s: float = 10.0, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "run_id": run_id,
        "at": time.time() - ago_s,
        "task": "orders.pay",
        "service": "orders",
        **more,
    }


def failed(run_id: str, ago_s: float = 5.0, **more: Any) -> dict[str, Any]:
    exception = {"type": "PaymentDeclined", "message": f"card of order {run_id} declined", "traceback": "Traceback …"}
    return event(run_id, "failed", ago_s, **{"exception": exception, "duration_s": 0.5, "worker": "w1", **more})


def post(client: TestClient, *events: dict[str, Any]) -> None:
    answer = client.post("/api/v1/events", json=list(events))
    assert answer.json() == {"accepted": len(events), "rejected": []}


def ids(client: TestClient, **query: Any) -> set[str]:
    answer = client.get("/api/v1/runs", params=query)
    assert answer.status_code == 200, answer.text
    return {run["id"] for run in answer.json()["items"]}


@pytest.fixture
def some(client: TestClient) -> TestClient:
    """Five runs: two failed, one succeeded, one started, one queued, of two services and three queues."""
    post(
        client,
        event("f1", "queued", 30, queue="payments", framework="celery"),
        event("f1", "started", 29, worker="w1", attempt=1),
        failed("f1", 28, attempt=1, queue="payments"),
        failed("f2", 3600, queue="payments"),
        event("s1", "succeeded", 20, task="mail.send", service="mail", worker="w2", duration_s=0.1, result={"ok": 1}),
        event("r1", "started", 15, queue="reports", worker="w1", args=["order-77"], parent_id="f1"),
        event("q1", "queued", 10, queue="mail", task="mail.send", service="mail"),
    )
    return client


class TestDocument:
    def test_a_run_has_every_field_of_the_contract(self, client: TestClient) -> None:
        at = datetime(2026, 11, 20, 21, 15, 3, 123456, UTC).timestamp()
        common = {"run_id": "a/1", "task": "orders.pay", "service": "orders", "worker": "w", "attempt": 1}
        post(
            client,
            {"kind": "queued", "run_id": "a/1", "at": at, "queue": "payments", "args": [1], "kwargs": {"k": "v"}},
            {"kind": "started", "at": at + 0.5, **common},
            {
                "kind": "failed",
                "at": at + 2,
                "duration_s": 1.5,
                "exception": {"type": "E", "message": "m", "traceback": "t", "fingerprint": "f"},
                **common,
            },
        )
        run = client.get("/api/v1/runs/a%2F1").json()
        assert run == {
            "id": "a/1",
            "task": "orders.pay",
            "service": "orders",
            "framework": "",
            "queue": "payments",
            "state": "failed",
            "evidence": "reported",
            "reason": "",
            "reason_code": "",
            "reason_params": {},
            "worker": "w",
            "args": [1],
            "kwargs": {"k": "v"},
            "result": None,
            "exception": {"type": "E", "message": "m", "traceback": "t", "fingerprint": "f"},
            "parent_id": None,
            "root_id": None,
            "group_id": None,
            "enqueued_at": "2026-11-20T21:15:03.123456Z",
            "eta": None,
            "started_at": "2026-11-20T21:15:03.623456Z",
            "finished_at": "2026-11-20T21:15:05.123456Z",
            "updated_at": "2026-11-20T21:15:05.123456Z",
            "wait_s": pytest.approx(0.5),
            "duration_s": 1.5,
            "progress": None,
            "labels": {},
            "breakdown": None,
            "heartbeat_s": None,
            "stuck": False,
            "stuck_since": None,
            "redelivery": None,
            "history": [],
            "attempt_count": 1,
            "attempts": [
                {
                    "number": 1,
                    "state": "failed",
                    "evidence": "reported",
                    "worker": "w",
                    "started_at": "2026-11-20T21:15:03.623456Z",
                    "finished_at": "2026-11-20T21:15:05.123456Z",
                    "duration_s": 1.5,
                    "cpu_s": None,
                    "peak_memory_bytes": None,
                    "exception": {"type": "E", "message": "m", "traceback": "t", "fingerprint": "f"},
                    "reason": "",
                    "reason_code": "",
                    "reason_params": {},
                    "duplicate": False,
                }
            ],
        }
        (listed,) = client.get("/api/v1/runs").json()["items"]
        assert listed == {**run, "history": None}

    def test_an_attempt_shows_what_it_took(self, client: TestClient) -> None:
        post(client, event("a", "started", worker="w"))
        post(client, event("a", "succeeded", 1, worker="w", cpu_s=0.25, peak_memory_bytes=1 << 30))
        (attempt,) = client.get("/api/v1/runs/a").json()["attempts"]
        assert (attempt["cpu_s"], attempt["peak_memory_bytes"]) == (0.25, 1 << 30)

    def test_progress_and_breakdown_are_shown(self, client: TestClient) -> None:
        post(
            client,
            event("a", "started", worker="w"),
            event("a", "progress", 5, worker="w", progress={"at": 10, "done": 3, "total": 4, "note": "rows"}),
            event("a", "succeeded", 1, worker="w", breakdown={"db": 0.2}),
        )
        run = client.get("/api/v1/runs/a").json()
        assert run["progress"] == {"at": "1970-01-01T00:00:10.000000Z", "done": 3.0, "total": 4.0, "note": "rows"}
        assert run["breakdown"] == {"db": 0.2}

    @pytest.mark.parametrize("run_id", ["nope", "x" * 3000, "..", "a%2Fb"])
    def test_an_unknown_run_is_a_problem(self, shared: TestClient, run_id: str) -> None:
        answer = shared.get(f"/api/v1/runs/{run_id}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


class TestFilters:
    def test_each_filter_leaves_what_it_says(self, some: TestClient) -> None:
        cases: list[tuple[dict[str, Any], set[str]]] = [
            ({}, {"f1", "f2", "s1", "r1", "q1"}),
            ({"state": "failed"}, {"f1", "f2"}),
            ({"state": "failed,started"}, {"f1", "f2", "r1"}),
            ({"state": ["failed", "queued"]}, {"f1", "f2", "q1"}),
            ({"state": "succeeded,", "task": "mail.send"}, {"s1"}),
            ({"service": "mail"}, {"s1", "q1"}),
            ({"queue": "payments,reports"}, {"f1", "f2", "r1"}),
            ({"worker": "w2"}, {"s1"}),
            ({"framework": "celery"}, {"f1"}),
            ({"active_only": "true"}, {"r1", "q1"}),
            ({"since": "-60s"}, {"f1", "s1", "r1", "q1"}),
            ({"until": "-30m"}, {"f2"}),
            ({"since": "-2h", "until": "-60s"}, {"f2"}),
            ({"q": "f1"}, {"f1"}),
            ({"task": "nothing"}, set()),
        ]
        for query, expected in cases:
            assert (query, ids(some, **query)) == (query, expected)

    def test_arguments_are_searched_soon_after(self, some: TestClient) -> None:
        wait_until(lambda: ids(some, q="order-77") == {"r1"}, message="the run with this argument")

    def test_times_may_be_rfc_3339(self, some: TestClient) -> None:
        since = datetime.fromtimestamp(time.time() - 60, UTC).isoformat()
        assert "+00:00" in since
        assert ids(some, since=since) == {"f1", "s1", "r1", "q1"}
        assert some.get(f"/api/v1/runs?since={since}").status_code == 200  # the plus sign arrives as a space

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"state": "broken"}, "query.state"),
            ({"since": "yesterday"}, "since"),
            ({"since": "2026-01-01T00:00:00"}, "since"),
            ({"since": "nan"}, "since"),
            ({"until": "1e999"}, "until"),
            ({"since": "-1h", "until": "-2h"}, "until"),
            ({"limit": "0"}, "query.limit"),
            ({"limit": "501"}, "query.limit"),
            ({"limit": "many"}, "query.limit"),
            ({"cursor": "nonsense"}, "cursor"),
            ({"cursor": "火"}, "cursor"),
            ({"active_only": "perhaps"}, "query.active_only"),
            ({"q": "x" * 501}, "query.q"),
        ],
    )
    def test_a_wrong_filter_is_named(self, shared: TestClient, query: dict[str, str], field: str) -> None:
        answer = shared.get("/api/v1/runs", params=query)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:huoyan:problem:invalid-query"
        assert answer.json()["detail"].startswith(f"{field}")
        assert "expected" in answer.json()["detail"]


class TestPages:
    def test_pages_go_on_where_the_last_one_ended_and_miss_nothing(self, client: TestClient) -> None:
        post(client, *(event(f"r{n:03}", "succeeded", ago_s=float(n // 3)) for n in range(50)))
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = client.get("/api/v1/runs", params={"limit": 7, **({"cursor": cursor} if cursor else {})}).json()
            seen += [run["id"] for run in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
            assert len(page["items"]) == 7
        assert sorted(seen) == [f"r{n:03}" for n in range(50)]

    def test_newest_come_first(self, client: TestClient) -> None:
        post(client, event("old", ago_s=100), event("new", ago_s=1), event("middle", ago_s=50))
        items = client.get("/api/v1/runs").json()["items"]
        assert [run["id"] for run in items] == ["new", "middle", "old"]


class TestCounts:
    def test_every_facet_counts_its_values(self, some: TestClient) -> None:
        counts = some.get("/api/v1/runs/counts").json()
        assert counts["total"] == 5
        assert counts["state"] == {"failed": 2, "succeeded": 1, "started": 1, "queued": 1}
        assert counts["service"] == {"orders": 3, "mail": 2}

    def test_a_facet_ignores_its_own_filter(self, some: TestClient) -> None:
        counts = some.get("/api/v1/runs/counts", params={"state": "failed", "service": "orders"}).json()
        assert counts["total"] == 2
        assert counts["state"] == {"failed": 2, "started": 1}
        assert counts["service"] == {"orders": 2}


class TestRelations:
    def test_children_are_listed(self, some: TestClient) -> None:
        assert [run["id"] for run in some.get("/api/v1/runs/f1/children").json()["items"]] == ["r1"]
        assert some.get("/api/v1/runs/q1/children").json() == {"items": [], "next": None}


class TestFigures:
    def test_tasks_have_their_figures(self, some: TestClient) -> None:
        items = some.get("/api/v1/tasks", params={"window_s": 600}).json()["items"]
        (pay,) = [item for item in items if item["task"] == "orders.pay"]
        assert (pay["service"], pay["runs"], pay["failed"], pay["succeeded"]) == ("orders", 1, 1, 0)
        assert pay["failure_ratio"] == 1.0
        # Nothing was heard of this service before; over the whole window it would be 0.1.
        assert 0.1 < pay["runs_per_minute"] <= 1.0
        assert pay["p95_s"] == pytest.approx(0.5, rel=0.02)
        assert pay["active"] == 1
        assert pay["last_run_at"] is not None

    def test_tasks_can_be_narrowed(self, some: TestClient) -> None:
        items = some.get("/api/v1/tasks", params={"service": "mail"}).json()["items"]
        assert {item["task"] for item in items} == {"mail.send"}

    def test_the_overview_adds_up(self, some: TestClient) -> None:
        overview = some.get("/api/v1/overview").json()
        calm = {"level": "ok", "text": "All is well", "text_zh": "一切正常", "open_incidents": []}
        assert overview["verdict"] == calm
        assert overview["totals"]["active"] == 1
        assert overview["totals"]["failure_ratio"] == pytest.approx(0.5)
        assert overview["totals"]["queued"] is None

    def test_failures_are_grouped(self, some: TestClient) -> None:
        items = some.get("/api/v1/failures", params={"since": "-2h"}).json()["items"]
        (group,) = items
        assert (group["type"], group["count"], group["tasks"]) == ("PaymentDeclined", 2, ["orders.pay"])
        assert sum(count for _, count in group["per_minute"]) == 2
        assert some.get("/api/v1/failures", params={"since": "-10m"}).json()["items"][0]["count"] == 1
        fingerprint = group["fingerprint"]
        assert some.get(f"/api/v1/failures/{fingerprint}").json()["title"] == group["title"]
        assert ids(some, failure=fingerprint) == {"f1", "f2"}
        assert some.get("/api/v1/failures/unknown").status_code == 404

    def test_a_group_of_lost_runs_says_why_by_a_code(self, client: TestClient) -> None:
        source = "celery rediss://broker.of.the.orders.example.com:6379/0"
        worker = f"orders-{'w' * 60}@host-with-a-long-name"
        why = f"worker {worker} is gone, and how this ended may not have been heard ({source}: it stood still)"
        events = [event("l1", ago_s=9), event("l1", "lost", ago_s=5, reason=why), failed("f1")]
        assert client.post("/api/v1/events", json={"events": events}).json()["accepted"] == 3
        wait_until(lambda: len(client.get("/api/v1/failures").json()["items"]) == 2)
        groups = {group["type"]: group for group in client.get("/api/v1/failures").json()["items"]}
        lost = groups["lost"]
        assert (lost["reason"], lost["reason_code"]) == (why, "end_unheard")
        assert lost["reason_params"]["worker"] == worker
        assert lost["reason_params"]["why_code"] == "stood_still"
        assert (groups["PaymentDeclined"]["reason"], groups["PaymentDeclined"]["reason_code"]) == ("", "")

    def test_gaps_are_listed(self, some: TestClient) -> None:
        store = some.app.state.context.store  # type: ignore[attr-defined]
        store.gaps.open("celery redis://h/0", time.time() - 60, "connection refused")
        store.gaps.close("celery redis://h/0", time.time() - 30)
        gaps = [gap for gap in some.get("/api/v1/gaps").json()["items"] if gap["source"] == "celery redis://h/0"]
        assert [(gap["reason"], gap["ended_at"] is None) for gap in gaps] == [("connection refused", False)]


class TestSignals:
    def test_the_catalogue_is_listed(self, client: TestClient) -> None:
        items = {signal["id"]: signal for signal in client.get("/api/v1/signals").json()["items"]}
        assert {"task_failure_ratio", "task_duration_p95", "queue_depth", "worker_up"} <= set(items)
        assert items["queue_depth"]["window_s"] is None
        assert items["task_failure_ratio"]["by"] == ["service", "task"]
        assert "huoyan_task_runs_total" in items["task_failure_ratio"]["promql"]

    def test_values_now_and_over_time(self, some: TestClient) -> None:
        reading = some.get(
            "/api/v1/signals/task_failures", params={"window_s": 300, "since": "-1h", "step_s": 60}
        ).json()
        assert [(v["labels"], v["value"]) for v in reading["now"]] == [
            ({"service": "orders", "task": "orders.pay"}, 1.0)
        ]
        (series,) = reading["series"]
        assert series["labels"] == {"service": "orders", "task": "orders.pay"}
        assert len(series["points"]) == 60
        assert series["points"][-1][1] == 1.0
        steps = {round(b[0] - a[0]) for a, b in zip(series["points"], series["points"][1:], strict=False)}
        assert steps == {60}

    def test_labels_can_be_chosen_and_filtered(self, some: TestClient) -> None:
        url = "/api/v1/signals/tasks_active"
        (total,) = some.get(url, params={"by": "-"}).json()["now"]
        assert (total["labels"], total["value"]) == ({}, 1.0)
        by_queue = some.get(url, params={"by": "queue"}).json()["now"]
        assert {value["labels"]["queue"]: value["value"] for value in by_queue}["reports"] == 1.0
        none = some.get(url, params={"service": "mail", "by": "service"}).json()["now"]
        assert [value["value"] for value in none if value["value"]] == []

    def test_few_samples_make_no_value_unless_asked_for(self, some: TestClient) -> None:
        url = "/api/v1/signals/task_failure_ratio"
        assert [value["value"] for value in some.get(url, params={"by": "-"}).json()["now"]] == [None]
        reading = some.get(url, params={"by": "-", "min_samples": 1}).json()
        assert [value["value"] for value in reading["now"]] == [pytest.approx(0.5)]
        assert reading["series"][0]["points"][-1][1] is not None

    @pytest.mark.parametrize(
        "query",
        [
            {"by": "colour"},
            {"worker": "w1"},
            {"window_s": "0"},
            {"window_s": "x"},
            {"since": "-1h", "until": "-2h"},
            {"since": "-30d", "step_s": "1"},
            {"step_s": "-1"},
        ],
    )
    def test_a_wrong_question_is_a_problem(self, shared: TestClient, query: dict[str, str]) -> None:
        answer = shared.get("/api/v1/signals/task_failures", params=query)
        assert answer.status_code == 400
        assert "expected" in answer.json()["detail"]

    def test_an_unknown_signal_is_not_found(self, client: TestClient) -> None:
        answer = client.get("/api/v1/signals/task_joy")
        assert answer.status_code == 404
        assert "task_failures" in answer.json()["detail"]


def test_a_queue_that_found_its_service_is_listed_once(client: TestClient) -> None:
    store = client.app.state.context.store  # type: ignore[attr-defined]
    now = time.time()
    store.queues.record([QueueReading("invoices", 4, now - 300, "celery"), QueueReading("invoices", 2, now, "orders")])
    store.queues.record([QueueReading("old", 1, now - 300, "celery")])
    rows = {(q["service"], q["queue"]): q["depth"] for q in client.get("/api/v1/queues").json()["items"]}
    assert rows == {("orders", "invoices"): 2, ("celery", "old"): None}
