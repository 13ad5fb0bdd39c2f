"""`GET /api/v1/buckets`: what is proposed for nothing, and what is refused."""

import pytest
from fastapi.testclient import TestClient

from huoyan.model.histogram import Histogram
from huoyan.server.api.schemas.buckets import advice


def test_without_observations_the_bounds_stay(client: TestClient) -> None:
    answer = client.get("/api/v1/buckets", params={"bounds": "0.1,1", "task": "nothing"}).json()
    quantiles = dict.fromkeys(("p50", "p95", "p99", "computed_p50_s", "computed_p95_s", "computed_p99_s"))
    stay = {"bounds": [0.1, 1.0], **quantiles}
    nothing: dict[str, object] = {"observed": 0, "p50_s": None, "p95_s": None, "p99_s": None, "shape": []}
    assert answer == {"metric": "huoyan_task_duration_seconds", **nothing, "present": stay, "proposed": stay}


def test_what_was_observed_stands_beside_what_prometheus_would_say() -> None:
    histogram = Histogram()
    histogram.observe(0.3, 90)
    histogram.observe(0.9, 10)
    answer = advice("m", histogram, [0.1, 1.0], 2)
    assert answer.p50_s == pytest.approx(0.3, rel=0.022)
    assert answer.present.computed_p50_s == pytest.approx(0.55)
    assert answer.present.p50 == pytest.approx(0.55 / 0.3 - 1, rel=0.05)
    assert [count for _, _, count in answer.shape] == [90, 10]
    assert all(low < value <= high for (low, high, _), value in zip(answer.shape, (0.3, 0.9), strict=True))


@pytest.mark.parametrize(
    "query", ["bounds=1,0.5", "bounds=a", "bounds=0,1", "bounds=nan", "task=a&endpoint=GET%20/", "count=0"]
)
def test_wrong_questions_are_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/api/v1/buckets?{query}").status_code == 400
