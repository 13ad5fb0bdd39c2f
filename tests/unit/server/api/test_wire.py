"""What clients post: every form that is accepted, and that whatever else comes is refused by name and never raises."""

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.client.delivery import Batch
from huoyan.client.wire import encode_batch, encode_event
from huoyan.model.event import (
    EventKind,
    Evidence,
    ExceptionInfo,
    ProcessReport,
    Progress,
    QueueReading,
    TaskEvent,
)
from huoyan.model.schedule import ScheduleKind, ScheduleReport
from huoyan.server.ingest.batch import decode
from huoyan.server.ingest.refusals import Rejected
from huoyan.server.ingest.wire import BATCH_EXAMPLE, MAX_EVENT_BYTES, batch_schema

EVENT: dict[str, Any] = {"kind": "started", "run_id": "a", "at": 1.5}


def read(body: Any) -> Any:
    return decode(body if isinstance(body, bytes) else json.dumps(body).encode(), received_at=9.0)


def accepted(body: Any) -> list[TaskEvent]:
    decoded = read(body)
    assert decoded.rejected == []
    events: list[TaskEvent] = decoded.events
    return events


def refused(body: Any) -> Rejected:
    decoded = read(body)
    assert decoded.events == []
    (rejected,) = decoded.rejected
    assert isinstance(rejected, Rejected)
    return rejected


class TestForms:
    def test_a_batch_a_list_and_a_single_event_are_the_same(self) -> None:
        assert accepted({"events": [EVENT]}) == accepted([EVENT]) == accepted(EVENT)

    def test_an_event_keeps_everything_that_was_said(self) -> None:
        (event,) = accepted(
            {
                "kind": "failed",
                "run_id": "r",
                "at": 10,
                "task": "orders.pay",
                "service": "orders",
                "framework": "celery",
                "queue": "q",
                "attempt": 2,
                "execution": "1.1@h#7",
                "worker": "h",
                "args": [1, {"a": None}],
                "kwargs": {"火": "眼"},
                "result": 0,
                "exception": {"type": "E", "message": "m", "traceback": "t", "fingerprint": "f"},
                "parent_id": "p",
                "root_id": "o",
                "group_id": "g",
                "eta": 5,
                "expires": 6.5,
                "duration_s": 0.25,
                "progress": {"at": 3, "done": 1, "total": 2, "note": "n"},
                "labels": {"tier": "gold"},
                "breakdown": {"db": 0.1},
                "evidence": "inferred",
                "reason": "why",
                "source": "other-1",
            }
        )
        assert event == TaskEvent(
            kind=EventKind.FAILED,
            run_id="r",
            at=10.0,
            task="orders.pay",
            service="orders",
            framework="celery",
            queue="q",
            attempt=2,
            execution="1.1@h#7",
            worker="h",
            args=[1, {"a": None}],
            kwargs={"火": "眼"},
            result=0,
            exception=ExceptionInfo("E", "m", "t", "f"),
            parent_id="p",
            root_id="o",
            group_id="g",
            eta=5.0,
            expires=6.5,
            duration_s=0.25,
            progress=Progress(3.0, 1.0, 2.0, "n"),
            labels={"tier": "gold"},
            breakdown={"db": 0.1},
            evidence=Evidence.INFERRED,
            reason="why",
            source="other-1",
            received_at=9.0,
        )

    @pytest.mark.parametrize(
        "written", [1767225600, 1767225600.0, "2026-01-01T00:00:00Z", "2026-01-01T08:00:00.000+08:00"]
    )
    def test_times_are_seconds_or_rfc_3339(self, written: object) -> None:
        assert accepted({**EVENT, "at": written})[0].at == 1767225600.0

    def test_a_process_may_report_without_events(self) -> None:
        decoded = read({"process": {"worker": "w", "interval_s": 3, "closing": True}, "sent_at": 4})
        assert (decoded.process.worker, decoded.process.interval_s, decoded.process.closing) == ("w", 3.0, True)
        assert decoded.sent_at == 4.0

    def test_queues_are_read(self) -> None:
        decoded = read({"events": [], "queues": [{"queue": "q", "depth": 3, "at": 1}]})
        assert [(q.queue, q.depth, q.oldest_age_s) for q in decoded.queues] == [("q", 3, None)]

    def test_members_of_a_newer_client_are_ignored(self) -> None:
        assert accepted({"events": [{**EVENT, "mood": "good"}], "weather": 1})[0].run_id == "a"

    def test_nul_becomes_a_replacement_character_and_a_backslash_stays(self) -> None:
        (event,) = accepted({**EVENT, "task": "a\0b", "reason": "c:\\u0000", "args": ["\0"]})
        assert (event.task, event.reason, event.args) == ("a\ufffdb", "c:\\u0000", ["\ufffd"])

    def test_half_a_surrogate_pair_costs_neither_the_event_nor_the_batch(self) -> None:
        events = accepted({"events": [{**EVENT, "task": "x\ud800y", "reason": "😀 \\ud800"}, EVENT]})
        assert events[0].task == "x\ufffdy"
        assert events[0].reason == "😀 \\ud800"
        assert len(events) == 2


class TestRefusals:
    def test_one_wrong_event_does_not_keep_the_others_out(self) -> None:
        decoded = read({"events": [EVENT, {**EVENT, "run_id": "b", "at": None}, {**EVENT, "run_id": "c"}]})
        assert [event.run_id for event in decoded.events] == ["a", "c"]
        assert decoded.rejected == [Rejected(1, "b", "events[1].at", "seconds since 1970 or an RFC 3339 time", "null")]

    def test_a_wrong_process_or_queue_does_not_keep_the_events_out(self) -> None:
        decoded = read({"events": [EVENT], "process": {"worker": "w", "pid": "x"}, "queues": [{"queue": "q"}]})
        assert len(decoded.events) == 1
        assert [(r.index, r.field) for r in decoded.rejected] == [(None, "process.pid"), (None, "queues[0].depth")]

    @pytest.mark.parametrize(
        ("change", "field", "expected", "got"),
        [
            ({"kind": "exploded"}, "kind", "one of scheduled, queued,", '"exploded"'),
            ({"run_id": ""}, "run_id", "text of length >= 1", '""'),
            ({"run_id": 7}, "run_id", "text", "7"),
            ({"run_id": "x" * 501}, "run_id", "text of length <= 500", '"xxx'),
            ({"at": "yesterday"}, "at", "an RFC 3339 time", '"yesterday"'),
            ({"at": "2026-01-01T00:00:00"}, "at", "an RFC 3339 time with an offset or Z", '"2026-01-01T00:00:00"'),
            ({"at": -1}, "at", "a number >= 0.0", "-1"),
            ({"at": 1e300}, "at", "a number <= 253402300799.0", "1e"),
            ({"attempt": 0}, "attempt", "a whole number >= 1", "0"),
            ({"attempt": 1.5}, "attempt", "a whole number", "1.5"),
            ({"duration_s": -0.1}, "duration_s", "a number >= 0.0", "-0.1"),
            ({"labels": {"a": 1}}, "labels[...]", "text", '{"a":1}'),
            ({"labels": ["a"]}, "labels", "object", '["a"]'),
            ({"exception": {"message": "m"}}, "exception.type", "a value", "nothing"),
            ({"exception": "boom"}, "exception", "object", '"boom"'),
            ({"progress": {"at": 1, "done": "half"}}, "progress.done", "a number", '"half"'),
            ({"evidence": "rumour"}, "evidence", "one of reported, inferred, unknown", '"rumour"'),
            ({"source": "a,b"}, "source", "text that matches", '"a,b"'),
        ],
    )
    def test_a_wrong_field_is_told_by_path(self, change: dict[str, Any], field: str, expected: str, got: str) -> None:
        rejected = refused({**EVENT, **change})
        assert rejected.field == f"events[0].{field}"
        assert rejected.expected.startswith(expected)
        assert rejected.got.startswith(got)
        assert len(rejected.got) <= 121

    @pytest.mark.parametrize("missing", ["kind", "run_id", "at"])
    def test_a_missing_field_is_told_by_name(self, missing: str) -> None:
        rejected = refused([{name: value for name, value in EVENT.items() if name != missing}])
        assert (rejected.field, rejected.expected, rejected.got) == (f"events[0].{missing}", "a value", "nothing")

    def test_numbers_that_no_float_holds_are_refused(self) -> None:
        assert refused(b'{"kind":"started","run_id":"a","at":1e999}').field == "events[0].at"
        assert refused(b'{"kind":"started","run_id":"a","at":1,"args":[1e999]}').field == "events[0].args[0]"
        assert refused(b'{"kind":"started","run_id":"a","at":1,"attempt":' + b"9" * 5000 + b"}").run_id == "a"

    def test_a_payload_nested_without_end_is_refused_and_the_rest_taken(self) -> None:
        deep = b"[" * 100 + b"]" * 100
        decoded = read(
            b'[{"kind":"started","run_id":"a","at":1,"args":' + deep + b'},{"kind":"started","run_id":"b","at":1}]'
        )
        assert [event.run_id for event in decoded.events] == ["b"]
        assert decoded.rejected == [Rejected(0, "a", "events[0].args", "at most 64 levels of nesting", "more")]

    def test_an_event_over_its_bound_is_refused_and_the_rest_taken(self) -> None:
        decoded = read([{**EVENT, "args": "x" * MAX_EVENT_BYTES}, {**EVENT, "run_id": "b"}])
        assert [event.run_id for event in decoded.events] == ["b"]
        assert decoded.rejected[0].expected == f"at most {MAX_EVENT_BYTES} bytes"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"   ",
            b"{",
            b"[",
            b'{"events":[',
            b"[" * 200_000,
            b'{"a":' * 100_000,
            b"\xff\xfe",
            b'{"kind":"started","run_id":"\xff","at":1}',
            b'{"kind":"started","run_id":"a","at":NaN}',
            b'{"kind":"started","run_id":"a","at":1} trailing',
            '{"kind":"started","run_id":"a","at":1}'.encode("utf-16"),
            b"null",
            b'"text"',
            b"42",
            b"{}",
            b'{"events":{}}',
            b'{"events":null}',
            b'{"events":"x"}',
            b"kind=started&run_id=a",
        ],
        ids=lambda body: repr(body[:24]),
    )
    def test_what_is_no_batch_is_refused_with_one_reason(self, body: bytes) -> None:
        rejected = refused(body)
        assert rejected.expected
        assert rejected.got
        assert len(rejected.got) <= 130

    @given(st.binary(max_size=200))
    def test_no_bytes_make_it_raise(self, body: bytes) -> None:
        decoded = decode(body, 1.0)
        assert decoded.events or decoded.process or decoded.queues or decoded.rejected or body.strip()

    @settings(max_examples=200)
    @given(
        st.dictionaries(
            st.sampled_from(sorted(batch_schema()["$defs"]["TaskEvent"]["properties"])),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats(allow_nan=False, allow_infinity=False)
                | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
                max_leaves=5,
            ),
        )
    )
    def test_what_is_accepted_meets_the_published_schema(self, fields: dict[str, Any]) -> None:
        event = {**EVENT, **fields}
        decoded = read([event])
        if decoded.events:
            jsonschema.Draft202012Validator(batch_schema()).validate([event])
        else:
            assert len(decoded.rejected) == 1


def texts(least: int = 0) -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=least, max_size=8)


def times() -> st.SearchStrategy[float]:
    return st.floats(0, 4e9)


PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e300, 1e300) | texts(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
    max_leaves=5,
)
EVENTS = st.builds(
    TaskEvent,
    kind=st.sampled_from(EventKind),
    run_id=texts(1),
    at=times(),
    task=texts(),
    service=texts(),
    framework=texts(),
    queue=texts(),
    attempt=st.none() | st.integers(1, 1000),
    execution=st.none() | texts(1),
    worker=texts(),
    args=PAYLOADS,
    kwargs=PAYLOADS,
    result=PAYLOADS,
    exception=st.none() | st.builds(ExceptionInfo, texts(1), texts(), texts(), texts()),
    parent_id=st.none() | texts(1),
    root_id=st.none() | texts(1),
    group_id=st.none() | texts(1),
    eta=st.none() | times(),
    expires=st.none() | times(),
    duration_s=st.none() | st.floats(0, 1e6),
    progress=st.none()
    | st.builds(Progress, times(), st.none() | st.floats(0, 9), st.none() | st.floats(0, 9), texts()),
    labels=st.none() | st.dictionaries(texts(1), texts(), min_size=1, max_size=3),
    breakdown=PAYLOADS,
    evidence=st.sampled_from(Evidence),
    reason=texts(),
    source=st.sampled_from(["client", "http", "celery-events"]),
)


class TestClient:
    @given(st.lists(EVENTS, min_size=1, max_size=3))
    def test_what_our_client_sends_arrives_as_it_was(self, events: list[TaskEvent]) -> None:
        process = ProcessReport(worker="w", service="s", pid=7, started_at=1.5, queues=["q"], dropped=3, closing=True)
        readings = [QueueReading(queue="q", depth=2, at=3.5, oldest_age_s=0.5)]
        schedules = [
            ScheduleReport(id="nightly", expression="30 2 * * *", timezone="Europe/Berlin", next_due_at=7.5, at=4.5),
            ScheduleReport(id="gone", kind=ScheduleKind.INTERVAL, grace_s=0.0, enabled=False, at=5.5),
        ]
        batch = Batch([encode_event(event) for event in events], process, readings, schedules)
        decoded = decode(encode_batch(batch, sent_at=12.5), received_at=9.0)
        assert decoded.rejected == []
        assert decoded.events == [replace(event, received_at=9.0) for event in events]
        assert (decoded.process, decoded.queues, decoded.sent_at) == (process, readings, 12.5)
        assert decoded.schedules == schedules

    def test_a_schedule_that_cannot_be_read_is_named_and_keeps_nothing_else_out(self) -> None:
        body = b'{"schedules": [{"id": "a", "at": 1}, {"id": "b"}, {"id": "c", "at": 1, "kind": "moon"}], "events": []}'
        decoded = decode(body, received_at=9.0)
        assert [schedule.id for schedule in decoded.schedules] == ["a"]
        assert [(wrong.field, wrong.got) for wrong in decoded.rejected] == [
            ("schedules[1].at", "nothing"),
            ("schedules[2].kind", '"moon"'),
        ]
        assert decoded.rejected[1].expected == "one of cron, interval, date"


class TestSchema:
    def test_the_example_meets_it_and_is_accepted(self) -> None:
        jsonschema.Draft202012Validator.check_schema(batch_schema())
        jsonschema.Draft202012Validator(batch_schema()).validate(BATCH_EXAMPLE)
        assert len(accepted(BATCH_EXAMPLE)) == 2

    def test_every_field_of_the_model_is_in_it(self) -> None:
        from dataclasses import fields

        from huoyan.model import event

        definitions = batch_schema()["$defs"]
        for kind in (
            event.TaskEvent,
            event.EventBatch,
            event.ProcessReport,
            event.QueueReading,
            event.ExceptionInfo,
            ScheduleReport,
        ):
            names = {field.name for field in fields(kind)} - {"received_at"}
            if kind is event.EventBatch:
                # What is measured is described by metrics, of which the model knows nothing.
                names.add("measurements")
            assert set(definitions[kind.__name__]["properties"]) == names
