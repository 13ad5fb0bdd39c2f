"""Incidents about slow requests name the cause: in the line of time, and in the message that people get."""

import time
from typing import Any

from fastapi.testclient import TestClient

from huoyan.model.histogram import Histogram
from huoyan.model.incident import EntryKind
from huoyan.server.api.context import Context
from huoyan.server.incident.explaining import Explainer, explanations
from huoyan.server.notify.message import compose
from tests.servers import wait_until
from tests.unit.server.api.conftest import Starter

SLOW: dict[str, Any] = {"name": "slow", "signal": "http_latency_p99", "op": ">", "threshold": 1, "for": "0s"}


def slow_requests(now: float) -> list[dict[str, Any]]:
    """Tell of sixty requests, the last ten of which wait for a table."""
    examples = []
    for number in range(60):
        slow = number >= 50
        total_s = 3.0 + number / 1000 if slow else 0.02 + number / 10_000
        select = {"component": "database", "operation": "SELECT", "target": "orders", "calls": 1, "errors": 0}
        took_s = total_s - 0.01
        part = {**select, "total_s": took_s, "covered_s": took_s, "max_s": took_s}
        examples.append(
            {
                "endpoint": "/orders",
                "method": "GET",
                "service": "shop",
                "status": 200,
                "seen": 4,
                "at": now - 30 + number / 10,
                "duration_s": total_s,
                "kind": "slow" if slow else "sampled",
                "breakdown": {"total_s": total_s, "own_s": 0.01, "parts": [part]},
            }
        )
    return examples


def figures(now: float) -> dict[str, Any]:
    taken = Histogram()
    for took_s in [0.02] * 490 + [3.0] * 10:
        taken.observe(took_s)
    series = {"values": ["GET", "/orders"], "sum": taken.sum, "schema": taken.schema}
    duration = {"name": "http_request_duration_seconds", "kind": "distribution", "labels": ["method", "endpoint"]}
    answered = {"name": "http_requests_total", "kind": "counter", "labels": ["method", "endpoint", "http_status"]}
    return {
        "source": "p",
        "sequence": 1,
        "at": now - 5,
        "service": "shop",
        "metrics": [
            {**duration, "series": [{**series, "buckets": sorted(taken.buckets.items())}]},
            {**answered, "series": [{"values": ["GET", "/orders", "200"], "add": 500}]},
        ],
    }


def tell(client: TestClient, **batch: Any) -> None:
    client.post("/api/v1/events", json={"sent_at": time.time(), "events": [], **batch}).raise_for_status()


def lines(client: TestClient) -> list[dict[str, Any]]:
    found = client.get("/api/v1/incidents").json()["items"]
    return client.get(f"/api/v1/incidents/{found[0]['id']}").json()["timeline"] if found else []


def cause(client: TestClient) -> dict[str, Any] | None:
    return next((line for line in lines(client) if line["kind"] == "cause_found"), None)


def test_the_message_that_opens_an_incident_names_the_cause(start: Starter) -> None:
    client = start(rules=[SLOW])
    now = time.time()
    tell(client, examples=slow_requests(now))
    tell(client, measurements=[figures(now)])
    line = wait_until(lambda: cause(client), 30, lambda: f"the cause, among {lines(client)}")
    assert "SELECT on orders" in line["text"]
    assert "对 orders 的 SELECT" in line["text_zh"]
    context: Context = client.app.state.context  # type: ignore[attr-defined]
    (incident,) = context.store.incidents.unresolved()
    assert incident.id is not None
    entry = next(one for one in context.store.incidents.timeline(incident.id) if one.kind is EntryKind.OPENED)
    alerts = context.store.alerts.for_incident(incident.id)
    assert ("Cause", line["text"]) in compose(incident, entry, alerts).facts
    assert ("原因", line["text_zh"]) in compose(incident, entry, alerts, language="zh").facts


def test_a_cause_that_is_known_later_is_told_then_and_once(start: Starter) -> None:
    client = start(rules=[SLOW])
    now = time.time()
    tell(client, measurements=[figures(now)])
    wait_until(lambda: lines(client), 30, "an incident")
    assert cause(client) is None
    tell(client, examples=slow_requests(now))
    wait_until(lambda: cause(client), 30, lambda: f"the cause, among {lines(client)}")
    tell(client, examples=slow_requests(now))
    context: Context = client.app.state.context  # type: ignore[attr-defined]
    # Another one, as after a restart, knows that it was told.
    store = context.store
    again = Explainer(store.incidents, store.alerts, explanations(store, context.source), context.clock)
    assert again.run_once() == 0
    assert [line["kind"] for line in lines(client)].count("cause_found") == 1


def test_the_causes_of_a_path_are_those_of_each_of_its_methods(client: TestClient) -> None:
    now = time.time()
    tell(client, examples=slow_requests(now), measurements=[figures(now)])
    answer = client.get("/api/v1/causes", params={"endpoint": "/orders", "service": "shop"}).json()
    assert [(one["endpoint"], one["verdict"]) for one in answer["compared"]] == [("GET /orders", "found")]
    other = client.get("/api/v1/causes", params={"endpoint": "/other", "service": "shop"}).json()
    assert (other["items"], other["compared"]) == ([], [])
