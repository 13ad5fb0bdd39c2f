"""What `GET /causes` says beside where the time went: which values the slow and the failing ones have in common."""

import time
from typing import Any

from fastapi.testclient import TestClient

from huoyan.model.histogram import Histogram


def example(number: int, now: float, *, slow: bool = False, failed: bool = False) -> dict[str, Any]:
    """A request of one of two hosts; the slow ones are of the new version and waited, the failing ones call a bank."""
    version = "2" if slow or number % 10 == 0 else "1"
    parts = []
    if failed:
        part = {"component": "http", "operation": "POST", "target": "bank", "calls": 1, "errors": 1}
        parts = [{**part, "total_s": 0.01, "covered_s": 0.01, "max_s": 0.01}]
    if slow:
        part = {"component": "event_loop", "operation": "", "target": "GET /report", "calls": 1, "errors": 0}
        parts = [{**part, "total_s": 2.9, "covered_s": 2.9, "max_s": 2.9}]
    return {
        "endpoint": "/pay",
        "method": "POST",
        "service": "shop",
        "status": 502 if failed else 200,
        "seen": 4,
        "at": now - 100 + number / 10,
        "duration_s": 3.0 + number / 1000 if slow else 0.02,
        "kind": "failed" if failed else "slow" if slow else "sampled",
        "trace_id": f"t{number}",
        "breakdown": {"total_s": 0.02, "own_s": 0.01, "parts": parts},
        "labels": {"host": f"host-{number % 2}", "version": version},
    }


def run(number: int, now: float, *, slow: bool = False, failed: bool = False) -> list[dict[str, Any]]:
    """A run with the order's number and a region; the slow ones are of Europe, the failing ones of one customer."""
    region = "eu" if slow else ("us", "ap", "eu", "cn")[number % 4]
    told: dict[str, Any] = {
        "run_id": f"r{number}",
        "task": "orders.pay",
        "service": "shop",
        "framework": "rq",
        "worker": "w",
        "attempt": 1,
        "execution": f"{number}",
        "args": [number],
        "kwargs": {"region": region},
    }
    if failed:
        told["kwargs"]["customer"] = "c7"
        part = {"component": "http", "operation": "POST", "target": "bank", "calls": 1, "errors": 1}
        told["breakdown"] = {"total_s": 0.05, "own_s": 0.04, "parts": [{**part, "covered_s": 0.01}]}
    began = now - 100 + number / 10
    took_s = 4.0 if slow else 0.05
    kind = "failed" if failed else "succeeded"
    return [
        {**told, "kind": "started", "at": began},
        {**told, "kind": kind, "at": began + took_s, "duration_s": took_s},
    ]


def said(client: TestClient, **asked: str) -> dict[tuple[str, str], dict[str, Any]]:
    (compared,) = client.get("/api/v1/causes", params=asked).json()["compared"]
    return {(one["among"], f"{one['name']} {one['value']}"): one for one in compared["standouts"]}


def test_the_version_of_the_slow_and_the_call_of_the_failing_requests_are_named(client: TestClient) -> None:
    now = time.time()
    kept = [
        *(example(number, now) for number in range(100)),
        *(example(number, now, slow=True) for number in range(100, 112)),
        *(example(number, now, failed=True) for number in range(112, 121)),
    ]
    taken = Histogram()
    for took_s in [0.02] * 1200 + [3.0] * 14:
        taken.observe(took_s)
    metric = {"name": "http_request_duration_seconds", "kind": "distribution", "labels": ["method", "endpoint"]}
    series = {"values": ["POST", "/pay"], "sum": taken.sum, "schema": taken.schema}
    told = {**metric, "series": [{**series, "buckets": sorted(taken.buckets.items())}]}
    measured = {"source": "p", "sequence": 1, "at": now - 50, "service": "shop", "metrics": [told]}
    batch = {"sent_at": now, "events": [], "examples": kept, "measurements": [measured]}
    client.post("/api/v1/events", json=batch).raise_for_status()
    (waited,) = client.get("/api/v1/causes", params={"endpoint": "POST /pay", "service": "shop"}).json()["items"]
    assert (waited["component"], waited["target"]) == ("event_loop", "GET /report")
    why = "94 % of what the slow ones take longer is waiting while GET /report held the event loop"
    assert waited["sentence"] == f"{why}: 2.9 s instead of 0 µs."
    assert (waited["p99_s"], waited["others_p99_s"]) == (2.9, None), "waiting is measured with the slow ones only"
    found = said(client, endpoint="POST /pay", service="shop")
    assert set(found) == {("slow", "version 2"), ("failing", "failed call http POST bank yes")}
    version = found["slow", "version 2"]
    assert (version["share"], version["usual_share"], version["lift"], version["count"]) == (1.0, 0.1, 10.0, 12)
    assert version["sentence"] == "100 % of the slow ones have version 2, otherwise 10 % do."
    bank = found["failing", "failed call http POST bank yes"]
    assert bank["sentence"] == "In 100 % of those that fail the call http POST bank failed, otherwise in 0 %."
    assert bank["lift"] is None


def test_the_argument_of_the_slow_and_of_the_failing_runs_is_named_and_ids_are_not(client: TestClient) -> None:
    now = time.time()
    events = [
        *(event for number in range(100) for event in run(number, now)),
        *(event for number in range(100, 112) for event in run(number, now, slow=True)),
        *(event for number in range(112, 121) for event in run(number, now, failed=True)),
    ]
    client.post("/api/v1/events", json={"sent_at": now, "events": events}).raise_for_status()
    found = said(client, task="orders.pay")
    assert set(found) == {
        ("slow", "argument region eu"),
        ("failing", "argument customer c7"),
        ("failing", "failed call http POST bank yes"),
    }
    assert found["slow", "argument region eu"]["usual_share"] == 0.25


def test_what_too_few_of_the_slowest_have_in_common_is_seen_among_more_of_them(client: TestClient) -> None:
    """Six slow ones of one region of four could be chance; twelve of twelve are not."""
    now = time.time()
    events = [event for number in range(100) for event in run(number, now)]
    for number in range(100, 112):
        started, ended = run(number, now, slow=True)
        events += [started, {**ended, "duration_s": 4.0 + number / 1000}]
    client.post("/api/v1/events", json={"sent_at": now, "events": events}).raise_for_status()
    (compared,) = client.get("/api/v1/causes", params={"task": "orders.pay"}).json()["compared"]
    assert compared["slow"] == 6
    assert [(one["name"], one["value"], one["count"]) for one in compared["standouts"]] == [
        ("argument region", "eu", 12)
    ]


def test_requests_that_have_nothing_in_common_accuse_no_value(client: TestClient) -> None:
    now = time.time()
    kept = [
        {**example(number, now), "kind": "slow" if number % 20 == 0 else "sampled", "duration_s": 0.02 + number / 100}
        for number in range(150)
    ]
    client.post("/api/v1/events", json={"sent_at": now, "events": [], "examples": kept}).raise_for_status()
    assert said(client, endpoint="POST /pay", service="shop") == {}


def test_tasks_of_one_name_in_two_services_are_answered_apart(client: TestClient) -> None:
    """Together the slow ones of one service would be slow among the quick ones of the other, and blamed for it."""
    now = time.time()
    events = [event for number in range(60) for event in run(number, now)]
    events += [{**event, "service": "mail"} for number in range(200, 230) for event in run(number, now, slow=True)]
    client.post("/api/v1/events", json={"sent_at": now, "events": events}).raise_for_status()
    answer = client.get("/api/v1/causes", params={"task": "orders.pay"}).json()
    assert {one["service"]: one["verdict"] for one in answer["compared"]} == {"shop": "even", "mail": "even"}
    assert answer["items"] == []
    one = client.get("/api/v1/causes", params={"task": "orders.pay", "service": "mail"}).json()
    assert [each["service"] for each in one["compared"]] == ["mail"]


def test_requests_that_all_take_the_same_time_are_even_and_few_are_few(client: TestClient) -> None:
    now = time.time()
    taken = Histogram()
    taken.observe(0.02, 60)
    metric = {"name": "http_request_duration_seconds", "kind": "distribution", "labels": ["method", "endpoint"]}
    series = {"sum": taken.sum, "schema": taken.schema, "buckets": sorted(taken.buckets.items())}
    told = {**metric, "series": [{"values": ["POST", path], **series} for path in ("/pay", "/seldom")]}
    measured = {"source": "p", "sequence": 1, "at": now - 50, "service": "shop", "metrics": [told]}
    kept = [example(number, now) for number in range(60)]
    kept += [{**example(number, now), "endpoint": "/seldom"} for number in range(9)]
    batch = {"sent_at": now, "events": [], "examples": kept, "measurements": [measured]}
    client.post("/api/v1/events", json=batch).raise_for_status()
    compared = client.get("/api/v1/causes", params={"service": "shop"}).json()["compared"]
    assert {one["endpoint"]: one["verdict"] for one in compared} == {"POST /pay": "even", "POST /seldom": "few"}


def test_a_kept_request_is_told_whole_and_one_that_is_not_kept_is_not_found(client: TestClient) -> None:
    now = time.time()
    kept = example(1, now, failed=True)
    client.post("/api/v1/events", json={"sent_at": now, "events": [], "examples": [kept]}).raise_for_status()
    told = client.get("/api/v1/requests/1").json()
    assert (told["id"], told["service"], told["endpoint"], told["status"]) == ("1", "shop", "POST /pay", 502)
    assert (told["kept"], told["among"], told["trace_id"]) == ("failed", 4, "t1")
    assert (told["breakdown"], told["labels"]) == (kept["breakdown"], kept["labels"])
    missing = client.get("/api/v1/requests/2")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
