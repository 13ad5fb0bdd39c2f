"""The ledger, stuck runs, corrections and redelivery over the API."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from huoyan.model.event import EventKind, Evidence, ProcessReport, TaskEvent
from huoyan.server.api.context import Context
from tests.servers import wait_until


@pytest.fixture
def now(context: Context) -> float:
    return context.clock.now()


def tell(client: TestClient, *events: TaskEvent, process: ProcessReport | None = None) -> None:
    app: Any = client.app
    collector = app.state.context.ingest._collector
    collector.submit(list(events), process=process, source="celery-events")
    collector.flush()


def event(kind: EventKind, run_id: str, at: float, **more) -> TaskEvent:
    return TaskEvent(kind, run_id, at, task="t", queue="mail", service="shop", framework="celery", **more)


def test_every_queue_adds_up_and_what_no_broker_told_is_null(client: TestClient, now: float) -> None:
    tell(client, *(event(EventKind.QUEUED, f"q{n}", now) for n in range(3)))
    tell(client, event(EventKind.STARTED, "s", now, worker="w", execution="1@w"))
    tell(client, event(EventKind.DEAD, "d", now, evidence=Evidence.INFERRED, reason="expired"))
    (entry,) = client.get("/api/v1/ledger").json()["items"]
    assert (entry["queue"], entry["service"], entry["framework"]) == ("mail", "shop", "celery")
    figures = {name: entry[name] for name in ("enqueued", "waiting", "running", "finished", "dead")}
    assert figures == {"enqueued": 5, "waiting": 3, "running": 1, "finished": 0, "dead": 1}
    assert (entry["broker_waiting"], entry["broker_held"], entry["difference"]) == (None, None, None)
    assert entry["absent"] == "no broker of this framework is watched"
    (queue,) = client.get("/api/v1/queues").json()["items"]
    assert (queue["enqueued"], queue["waiting"], queue["dead"], queue["difference"]) == (5, 3, 1, None)


def test_a_run_executed_twice_is_named(client: TestClient, now: float) -> None:
    tell(
        client,
        event(EventKind.STARTED, "a", now, worker="w", execution="1@w"),
        event(EventKind.SUCCEEDED, "a", now, worker="w", execution="1@w"),
    )
    tell(client, event(EventKind.STARTED, "a", now + 1, worker="w2", execution="1@w2"))
    (entry,) = client.get("/api/v1/ledger").json()["items"]
    assert [run["run_id"] for run in entry["doubled"]] == ["a"]
    shown = 'huoyan_ledger_discrepancies{service="shop",queue="mail",kind="doubled"} 1.0'
    wait_until(lambda: shown in client.get("/metrics").text, 10, "the gauge to tell of it")


def test_a_prefetched_run_of_a_worker_that_is_gone_says_whether_it_comes_again(client: TestClient, now: float) -> None:
    gone = ProcessReport("w", framework="celery", closing=True)
    tell(client, event(EventKind.RECEIVED, "a", now, worker="w", execution="1@w"), process=gone)
    assert client.get("/api/v1/runs/a").json()["redelivery"] == "unknown"


def test_stuck_stands_alone_as_a_state_to_look_for(client: TestClient) -> None:
    assert client.get("/api/v1/runs?state=stuck").json()["items"] == []
    assert client.get("/api/v1/runs/counts?state=stuck").json()["stuck"] == 0
    refused = client.get("/api/v1/runs?state=stuck&state=failed")
    assert refused.status_code == 400
    assert "stuck alone" in refused.json()["detail"]


def test_a_state_that_there_is_not_is_refused_in_one_sentence(client: TestClient) -> None:
    detail = client.get("/api/v1/runs?state=failled").json()["detail"]
    assert detail.startswith("query.state[0]: expected 'scheduled', ")
    assert detail.endswith(" or 'stuck', got 'failled'")
