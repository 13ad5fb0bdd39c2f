"""Schedules over HTTP: told beside events, listed with what became of them."""

from typing import Any

from fastapi.testclient import TestClient

from huoyan.model.schedule import Slot, SlotVerdict
from huoyan.server.api.context import Context
from huoyan.server.api.schemas.base import rfc3339

URL = "/api/v1/schedules"


def tell(client: TestClient, **batch: Any) -> None:
    answer = client.post("/api/v1/events", json=batch)
    assert (answer.status_code, answer.json()["rejected"]) == (200, [])


def test_what_a_program_tells_is_listed_under_the_name_of_its_process(client: TestClient) -> None:
    schedule = {
        "id": "nightly",
        "task": "billing.close",
        "expression": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "next_due_at": "2040-01-01T01:30:00Z",
        "at": "2026-11-20T12:00:00Z",
    }
    tell(client, process={"worker": "billing@h:1", "service": "billing", "framework": "cron"}, schedules=[schedule])
    answer = client.get(URL).json()
    assert answer == {
        "items": [
            {
                "id": "nightly",
                "name": "nightly",
                "service": "billing",
                "framework": "cron",
                "task": "billing.close",
                "kind": "cron",
                "expression": "30 2 * * *",
                "timezone": "Europe/Berlin",
                "next_due_at": "2040-01-01T01:30:00.000000Z",
                "last_run_at": None,
                "last_state": None,
                "state": None,
                "enabled": True,
                "source": "billing@h:1",
                "missed_count": 0,
                "last_missed_at": None,
                "keeper_state": "up",
                "recent": [],
            }
        ],
        "next": None,
    }


def test_a_schedule_whose_due_time_passed_without_a_word_is_dead_and_comes_first(client: TestClient) -> None:
    def schedule(name: str, due: str, **fields: Any) -> dict[str, Any]:
        given = {"service": "shop", "source": "shop@h:1", "at": "2026-11-20T12:00:00Z", "kind": "date"}
        return {"id": name, "next_due_at": due, **given, **fields}

    passed, coming = "2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z"
    paused = schedule("paused", passed, enabled=False)
    tell(client, schedules=[schedule("a", coming), schedule("b", passed), paused])
    items = client.get(URL).json()["items"]
    assert [(item["id"], item["state"]) for item in items] == [("b", "dead"), ("a", None), ("paused", None)]
    assert [item["id"] for item in client.get(URL, params={"state": "dead,missed"}).json()["items"]] == ["b"]
    assert client.get(URL, params={"service": "other"}).json()["items"] == []
    assert client.get(URL, params={"state": "asleep"}).status_code == 400


def test_one_schedule_shows_the_verdicts_on_its_due_times_newest_first(client: TestClient, context: Context) -> None:
    at = "2026-11-20T12:00:00Z"
    schedule = {"id": "a/b c", "service": "shop", "framework": "cron", "source": "shop@h:1", "kind": "date", "at": at}
    tell(client, schedules=[{**schedule, "next_due_at": "2040-01-01T00:00:00Z"}])
    (known,) = context.store.schedules.list()
    slots = [Slot(1000.0 + n, SlotVerdict.OK if n else SlotVerdict.MISSED, 0.1) for n in range(40)]
    context.store.schedules.judged(known, slots, known.slot_at, 2000.0)
    found = client.get(f"{URL}/shop/cron/a%2Fb%20c").json()
    assert [slot["at"] for slot in found["slots"]] == [rfc3339(1000.0 + n) for n in reversed(range(40))]
    assert found["slots"][-1]["verdict"] == "missed"
    assert [slot["at"] for slot in found["recent"]] == [rfc3339(1000.0 + n) for n in range(10, 40)]
    assert client.get(URL).json()["items"][0]["recent"] == found["recent"]
    assert client.get(f"{URL}/shop/cron/nobody").status_code == 404
