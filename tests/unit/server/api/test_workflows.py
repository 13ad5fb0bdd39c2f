"""Workflows over the API: one as a graph, however large; many as rows."""

import time
from typing import Any

from fastapi.testclient import TestClient

from huoyan.model.workflow import MOST_APART

HEADERS = 10_000


def event(run_id: str, kind: str, at: float, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "run_id": run_id, "at": at, "task": "reports.page", "service": "reports", **more}


def post(client: TestClient, events: list[dict[str, Any]]) -> None:
    for start in range(0, len(events), 1000):
        part = events[start : start + 1000]
        assert client.post("/api/v1/events", json=part).json()["accepted"] == len(part)


def test_a_chord_of_ten_thousand_headers_stays_a_small_picture_that_names_what_blocks_it(client: TestClient) -> None:
    at = time.time() - 60
    post(
        client,
        [
            event(
                f"h{n}",
                "started" if n == 77 else "succeeded",
                at + n / HEADERS,
                group_id="g1",
                root_id=f"h{n}",
                worker="w",
                dependents={"body": "reports.bind"},
            )
            for n in range(HEADERS)
        ],
    )
    graph = client.get("/api/v1/runs/h123/workflow").json()
    assert [(node["kind"], node["total"], node["finished"]) for node in graph["nodes"]] == [
        ("group", HEADERS, HEADERS - 1),
        ("planned", 0, 0),
    ]
    assert len(graph["nodes"][0]["members"]) == MOST_APART
    assert [(one["run"]["id"], one["waiting"]) for one in graph["blockers"]] == [("h77", "body")]
    assert (graph["total"], graph["finished"], graph["planned"], graph["complete"]) == (HEADERS, HEADERS - 1, 1, True)

    post(client, [event("h77", "succeeded", at + 5, worker="w", group_id="g1")])
    post(client, [event("body", "queued", at + 6, task="reports.bind", parent_id="h77", root_id="h77")])
    graph = client.get("/api/v1/runs/body/workflow").json()
    assert [(node["key"], node["kind"], node["total"]) for node in graph["nodes"]] == [
        ("group:g1", "group", HEADERS),
        ("body", "run", 1),
    ]
    assert graph["edges"] == [{"source": "group:g1", "target": "body", "kind": "then"}]
    assert graph["blockers"] == []

    page = client.get("/api/v1/workflows", params={"since": "-1h"}).json()
    assert [(row["group_id"], row["total"], row["finished"], row["failed"]) for row in page["items"]] == [
        ("g1", HEADERS + 1, HEADERS, 0)
    ]
    assert page["exact"] is True


def test_trees_and_lone_runs_are_told_apart(client: TestClient) -> None:
    at = time.time() - 60
    post(
        client,
        [
            event("lone", "succeeded", at, task="mail.send"),
            event("top", "succeeded", at, task="reports.make", root_id="top"),
            event("left", "succeeded", at + 1, parent_id="top", root_id="top"),
            event("right", "failed", at + 2, parent_id="top", root_id="top"),
        ],
    )
    rows = client.get("/api/v1/workflows").json()["items"]
    assert [(row["run_id"], row["task"], row["total"], row["failed"]) for row in rows] == [
        ("top", "reports.make", 3, 1)
    ]
    graph = client.get("/api/v1/runs/right/workflow").json()
    assert {(edge["source"], edge["target"], edge["kind"]) for edge in graph["edges"]} == {
        ("top", "left", "started"),
        ("top", "right", "started"),
    }
    alone = client.get("/api/v1/runs/lone/workflow").json()
    assert [node["key"] for node in alone["nodes"]] == ["lone"]


def test_a_run_that_is_not_known_has_no_workflow(client: TestClient) -> None:
    answer = client.get("/api/v1/runs/nobody/workflow")
    assert answer.status_code == 404
    assert "nobody" in answer.json()["detail"]


def test_runs_whose_processes_began_anew_belong_to_the_root_of_whoever_started_them(client: TestClient) -> None:
    at = time.time() - 60
    chain = [
        event("order", "succeeded", at, worker="web", root_id="order"),
        event("pay", "succeeded", at + 1, worker="a", parent_id="order", root_id="order"),
        # The worker did not know the root of what it executed: each begins anew.
        event("stock", "succeeded", at + 2, worker="a", parent_id="pay", root_id="pay"),
        event("mail", "succeeded", at + 3, worker="b", parent_id="stock", root_id="stock"),
        event("stamp", "succeeded", at + 4, worker="b", parent_id="mail", root_id="mail"),
        event("post", "succeeded", at + 5, worker="c", parent_id="stamp", root_id="stamp"),
        # Told wrongly, in a circle: it must not hold anybody up.
        event("hen", "succeeded", at, worker="a", parent_id="egg", root_id="egg"),
        event("egg", "succeeded", at, worker="a", parent_id="hen", root_id="hen"),
    ]
    # The order in which they are heard of is none.
    post(client, chain[::-1])
    rows = {
        row["run_id"]: row["total"] for row in client.get("/api/v1/workflows", params={"since": "-1h"}).json()["items"]
    }
    assert rows.pop("order") == 6
    assert set(rows) <= {"hen", "egg"}
    for run_id in ("order", "stock", "post"):
        graph = client.get(f"/api/v1/runs/{run_id}/workflow").json()
        assert {node["key"] for node in graph["nodes"]} == {"order", "pay", "stock", "mail", "stamp", "post"}, run_id
