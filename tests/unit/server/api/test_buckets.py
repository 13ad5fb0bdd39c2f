"""`GET /api/v1/buckets`: what is proposed for nothing, and what is refused."""

import pytest
from fastapi.testclient import TestClient


def test_without_observations_the_bounds_stay(client: TestClient) -> None:
    answer = client.get("/api/v1/buckets", params={"bounds": "0.1,1", "task": "nothing"}).json()
    stay = {"bounds": [0.1, 1.0], "p50": None, "p95": None, "p99": None}
    assert answer == {"metric": "huoyan_task_duration_seconds", "observed": 0, "present": stay, "proposed": stay}


@pytest.mark.parametrize(
    "query", ["bounds=1,0.5", "bounds=a", "bounds=0,1", "bounds=nan", "task=a&endpoint=GET%20/", "count=0"]
)
def test_wrong_questions_are_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/api/v1/buckets?{query}").status_code == 400
