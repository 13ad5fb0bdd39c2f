"""Events as JSON: nothing but what they say, and nothing that spoils the batch."""

import json
import math

import pytest

from huoyan.client.delivery import Batch
from huoyan.client.wire import decode_events, encode_batch, encode_event
from huoyan.model.event import (
    EventKind,
    Evidence,
    ExceptionInfo,
    ProcessReport,
    Progress,
    QueueReading,
    TaskEvent,
)


def test_fields_that_say_nothing_are_left_out() -> None:
    data = json.loads(encode_event(TaskEvent(EventKind.QUEUED, "r1", 1.5)))
    assert data == {"kind": "queued", "run_id": "r1", "at": 1.5}


def test_known_empty_payloads_and_falsy_results_are_kept() -> None:
    event = TaskEvent(EventKind.SUCCEEDED, "r1", 1.0, args=[], kwargs={}, result=0)
    data = json.loads(encode_event(event))
    assert (data["args"], data["kwargs"], data["result"]) == ([], {}, 0)
    assert json.loads(encode_event(TaskEvent(EventKind.SUCCEEDED, "r1", 1.0, result=False)))["result"] is False


def test_an_event_survives_the_way_there_and_back() -> None:
    event = TaskEvent(
        EventKind.FAILED,
        "r1",
        12.25,
        task="orders.pay",
        service="orders",
        framework="python",
        queue="high",
        attempt=2,
        execution="2@w",
        worker="w",
        args=["é", 1],
        kwargs={"k": [None, True]},
        exception=ExceptionInfo("ValueError", "bad", "Traceback…", "f00d"),
        parent_id="p",
        root_id="q",
        group_id="g",
        eta=1.0,
        expires=2.0,
        duration_s=0.0,
        progress=Progress(1.0, 2.0, 3.0, "half"),
        labels={"a": "b"},
        evidence=Evidence.INFERRED,
        reason="why",
    )
    assert decode_events([encode_event(event)]) == [event]


@pytest.mark.parametrize(
    "payload",
    [math.nan, [math.inf], {"x": {1, 2}}, {("a", 1): 2}, object(), "\ud800 lone", b"bytes"],
    ids=["nan", "inf", "set", "tuple key", "object", "surrogate", "bytes"],
)
def test_what_json_cannot_hold_is_replaced_not_raised(payload: object) -> None:
    encoded = encode_event(TaskEvent(EventKind.SUCCEEDED, "r1", 1.0, task="t", result=payload))
    data = json.loads(encoded.decode("utf-8"), parse_constant=_no_constants)
    assert (data["run_id"], data["task"]) == ("r1", "t")
    assert "result" in data


def test_a_cyclic_payload_is_replaced_not_raised() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    assert json.loads(encode_event(TaskEvent(EventKind.SUCCEEDED, "r1", 1.0, result=cycle)))["run_id"] == "r1"


def test_names_longer_than_the_server_takes_are_cut() -> None:
    labels = {f"l{i}": "v" * 1000 for i in range(100)}
    event = TaskEvent(
        EventKind.DEAD, "r1", 1.0, task="t" * 5000, execution="e" * 5000, reason="r" * 50_000, labels=labels
    )
    data = json.loads(encode_event(event))
    assert (len(data["task"]), len(data["execution"]), len(data["reason"])) == (300, 500, 10_000)
    assert len(data["labels"]) == 64
    assert {len(value) for value in data["labels"].values()} == {300}


def test_a_batch_carries_time_process_and_queues() -> None:
    batch = Batch(
        [encode_event(TaskEvent(EventKind.QUEUED, "r1", 1.0)), encode_event(TaskEvent(EventKind.QUEUED, "r2", 2.0))],
        ProcessReport("w", service="s", pid=7, dropped=3, closing=True),
        [QueueReading("q", 0, 5.0)],
    )
    data = json.loads(encode_batch(batch, 9.5))
    assert data["sent_at"] == 9.5
    assert [event["run_id"] for event in data["events"]] == ["r1", "r2"]
    assert (data["process"]["worker"], data["process"]["dropped"], data["process"]["closing"]) == ("w", 3, True)
    assert data["queues"] == [{"queue": "q", "depth": 0, "at": 5.0}]


def test_an_empty_batch_is_a_valid_document() -> None:
    assert json.loads(encode_batch(Batch(), 1.0)) == {"sent_at": 1.0, "events": []}


def _no_constants(name: str) -> None:
    raise AssertionError(f"expected strict JSON, got {name}")
