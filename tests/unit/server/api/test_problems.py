"""Errors: every one is a problem document, and none tells more than it should."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from huoyan.errors import HuoyanError, Unreachable
from huoyan.server.api.context import Context


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v2/runs", "/api/v1/runs/", "/api"])
def test_an_unknown_path_of_the_api_is_a_problem(shared: TestClient, path: str) -> None:
    answer = shared.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404
    assert answer.json()["instance"] == path


@pytest.mark.parametrize("path", ["/causes?task=%00", "/causes?service=a%00b&endpoint=GET%20/a", "/runs/a%00b"])
def test_a_question_with_nul_is_a_problem_of_who_asks(shared: TestClient, path: str) -> None:
    """PostgreSQL refuses to look for it; that is no failure of the server."""
    answer = shared.get(f"/api/v1{path}")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:huoyan:problem:invalid-query")


def test_a_wrong_method_names_the_right_ones(shared: TestClient) -> None:
    answer = shared.delete("/api/v1/runs")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert answer.json()["type"] == "urn:huoyan:problem:method-not-allowed"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unreachable("expected the database to answer, got nothing"), 503),
        (OperationalError("select secret", {}, Exception("password=geheim")), 503),
        (HuoyanError("an error of no kind"), 500),
        (ZeroDivisionError("geheim"), 500),
    ],
)
def test_a_failure_inside_is_told_without_what_is_inside(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(context.store.runs, "get", fail)
    answer = client.get("/api/v1/runs/a")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "geheim" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


def test_readiness_follows_the_store(client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/readyz").json() == {"status": "ready", "reasons": []}

    def away() -> None:
        raise Unreachable("expected the database to answer, got nothing")

    monkeypatch.setattr(context.store, "ping", away)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["expected the database to answer, got nothing"]
    assert client.get("/healthz").json() == {"status": "ok"}


def test_metrics_are_rendered(client: TestClient) -> None:
    client.post("/api/v1/events", json={"kind": "succeeded", "run_id": "a", "at": 1, "task": "t", "service": "s"})
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "huoyan_events_received_total 1" in answer.text
    assert 'huoyan_incidents_open{level="critical"} 0' in answer.text
