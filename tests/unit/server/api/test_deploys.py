"""Deploys: noticed by what processes report, marked by people, and compared with what was before."""

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from huoyan.model.deploy import Deploy, is_new
from huoyan.model.histogram import Histogram


def report(version: str, started_at: float, service: str = "orders", **more: Any) -> dict[str, Any]:
    process = {"worker": f"{service}@host:{started_at:.0f}", "service": service, "started_at": started_at}
    return {"sent_at": time.time(), "events": [], "process": {**process, "service_version": version, **more}}


def versions(client: TestClient, **query: str) -> list[tuple[str, str]]:
    return [(one["version"], one["before"]) for one in client.get("/api/v1/deploys", params=query).json()["items"]]


def tell(client: TestClient, batch: dict[str, Any]) -> None:
    assert client.post("/api/v1/events", json=batch).status_code == 200


def test_a_deploy_is_the_first_process_of_another_version_that_started_since(client: TestClient) -> None:
    now = time.time()
    tell(client, report("1", now - 500))
    tell(client, report("1", now - 400))
    assert versions(client) == [("1", "")]
    # A rolling deploy: processes of both versions report side by side.
    tell(client, report("2", now - 100))
    tell(client, report("1", now - 400))
    tell(client, report("2", now - 90))
    tell(client, report("", now - 80))
    tell(client, report("3", now - 70, closing=True))
    assert versions(client) == [("2", "1"), ("1", "")]
    # Back to the version before.
    tell(client, report("1", now - 50))
    tell(client, report("7", now - 50, service="mail"))
    assert versions(client, service="orders") == [("1", "2"), ("2", "1"), ("1", "")]
    (newest, *_) = client.get("/api/v1/deploys", params={"service": "orders"}).json()["items"]
    assert newest["origin"] == "reported"


def test_a_wrong_clock_does_not_move_a_deploy(client: TestClient) -> None:
    now = time.time()
    batch = report("1", now + 86_400 - 60)
    batch["sent_at"] = now + 86_400
    tell(client, batch)
    (deploy,) = client.app.state.context.store.deploys.list()  # type: ignore[attr-defined]
    assert deploy.at == pytest.approx(now - 60, abs=5)


@pytest.mark.parametrize(
    ("known", "version", "started_at", "new"),
    [
        (None, "1", 0.0, True),
        (None, "", 5.0, False),
        (Deploy("s", "1", 10.0), "1", 20.0, False),
        (Deploy("s", "1", 10.0), "2", 20.0, True),
        (Deploy("s", "1", 10.0), "2", 10.0, False),
        (Deploy("s", "1", 10.0), "0", 9.0, False),
    ],
)
def test_what_a_process_shows(known: Deploy | None, version: str, started_at: float, new: bool) -> None:
    assert is_new(known, version, started_at) is new


def test_a_mark_says_who_and_why_and_needs_a_version(client: TestClient) -> None:
    marked = client.post("/api/v1/deploys", json={"service": "orders", "version": " 2.4 ", "note": "index", "by": "ci"})
    assert marked.status_code == 200
    assert {**marked.json(), "id": 0, "at": ""} == {
        "id": 0,
        "at": "",
        "service": "orders",
        "version": "2.4",
        "before": "",
        "origin": "marked",
        "note": "index",
        "by": "ci",
    }
    refused = client.post("/api/v1/deploys", json={"service": "orders", "version": ""})
    assert refused.status_code == 422
    assert "version" in refused.text
    # The mark is the version that processes are compared with.
    tell(client, report("2.4", time.time() + 1))
    assert versions(client) == [("2.4", "")]


def frame(at: float, sequence: int, seconds: list[float], failed: int) -> dict[str, Any]:
    taken = Histogram()
    for value in seconds:
        taken.observe(value)
    answered = [("200", len(seconds) - failed), ("500", failed)]
    return {
        "source": "p",
        "sequence": sequence,
        "at": at,
        "service": "orders",
        "worker": "w",
        "metrics": [
            {
                "name": "http_requests_total",
                "kind": "counter",
                "labels": ["method", "endpoint", "http_status"],
                "series": [{"values": ["GET", "/o", status], "add": count} for status, count in answered if count],
            },
            {
                "name": "http_request_duration_seconds",
                "kind": "distribution",
                "labels": ["method", "endpoint"],
                "series": [
                    {
                        "values": ["GET", "/o"],
                        "sum": taken.sum,
                        "schema": taken.schema,
                        "buckets": sorted(taken.buckets.items()),
                    }
                ],
            },
        ],
    }


def test_the_effect_of_a_deploy_is_told_by_figures_of_both_sides(client: TestClient) -> None:
    now = time.time()
    frames = [frame(now - 300, 1, [3.0] * 40, 4), frame(now - 30, 2, [0.02] * 50, 0)]
    tell(client, {"sent_at": now, "events": [], "measurements": frames})
    mark = {"service": "orders", "version": "2", "at": now - 120}
    number = client.post("/api/v1/deploys", json=mark).json()["id"]
    effect = client.get(f"/api/v1/deploys/{number}/effect", params={"endpoint": "GET /o"}).json()
    assert (effect["before"]["count"], effect["after"]["count"]) == (40, 50)
    assert effect["before"]["p99_s"] == pytest.approx(3.0, rel=0.022)
    assert effect["after"]["p99_s"] == pytest.approx(0.02, rel=0.022)
    assert (effect["before"]["bad_ratio"], effect["after"]["bad_ratio"]) == (0.1, 0.0)
    # A later deploy ends the time after this one.
    client.post("/api/v1/deploys", json={"service": "orders", "version": "3", "at": now - 100})
    cut = client.get(f"/api/v1/deploys/{number}/effect", params={"endpoint": "GET /o"}).json()
    assert (cut["after"]["count"], cut["after"]["p99_s"]) == (0, None)
    assert client.get("/api/v1/deploys/999/effect").status_code == 404
    both = client.get(f"/api/v1/deploys/{number}/effect", params={"endpoint": "GET /o", "task": "t"})
    assert both.status_code == 400
