from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.run import Run, RunState, RunView, apply, view
from huoyan.server.ingest.celery_translate import Translator
from huoyan.server.ingest.celery_wire import CeleryEvent
from tests.unit.server.ingest.celery_events import AT, PID, WORKER, event, received

KEY = f"0.1@{WORKER}#{PID}"
TRACEBACK = 'Traceback (most recent call last):\n  File "/app/orders.py", line 5, in pay\n    raise\nValueError: no\n'


def translate(*events: dict[str, Any], translator: Translator | None = None) -> list[TaskEvent]:
    translator = translator or Translator()
    made = []
    for each in events:
        told = translator.task_event(msgspec.convert(each, CeleryEvent))
        if told is not None:
            made.append(told)
        made += translator.inferred
        translator.inferred.clear()
    return made


def one(sent: dict[str, Any], *before: dict[str, Any]) -> TaskEvent:
    return translate(*before, sent)[-1]


def run_of(*events: dict[str, Any]) -> RunView:
    run: Run | None = None
    for each in translate(*events):
        run = apply(run, each)
    assert run is not None
    return view(run)


def test_task_sent_is_queued_by_nobody_in_particular():
    sent = one(
        event(
            "task-sent",
            hostname="gen9@web-1",
            pid=9,
            name="orders.pay",
            args="(1,)",
            kwargs="{}",
            queue="payments",
            routing_key="pay",
            retries=2,
            root_id="root",
            parent_id="parent",
        )
    )
    assert sent.kind is EventKind.QUEUED
    assert (sent.task, sent.queue, sent.attempt, sent.worker, sent.execution) == ("orders.pay", "payments", 3, "", None)
    assert (sent.args, sent.kwargs, sent.root_id, sent.parent_id) == ("(1,)", {}, "root", "parent")
    assert (sent.framework, sent.source) == ("celery", "celery-events")


@pytest.mark.parametrize(
    "eta", ["2026-11-20T21:15:03.500000+00:00", "2026-11-20T22:15:03.500000+01:00", "2026-11-20T21:15:03.5"]
)
def test_an_eta_makes_it_scheduled_for_that_moment(eta: str):
    sent = one(event("task-sent", name="orders.pay", eta=eta))
    assert sent.kind is EventKind.SCHEDULED
    assert sent.eta == 1795209303.5


def test_an_eta_that_cannot_be_read_is_left_out():
    assert one(event("task-sent", name="orders.pay", eta="soon")).kind is EventKind.QUEUED


def test_task_received_names_the_execution_and_the_following_events_belong_to_it():
    made = translate(
        received(retries=1),
        event("task-started", AT + 1),
        event("task-succeeded", AT + 3, result="'paid'", runtime=1.9),
    )
    assert [e.kind for e in made] == [EventKind.RECEIVED, EventKind.STARTED, EventKind.SUCCEEDED]
    assert {e.execution for e in made} == {f"1.1@{WORKER}#{PID}"}
    assert {e.attempt for e in made} == {2}
    assert {e.worker for e in made} == {WORKER}
    assert made[0].args == "('order-1',)"
    assert (made[2].result, made[2].duration_s) == ("'paid'", 1.9)


def test_a_failure_has_its_type_message_traceback_and_the_time_between_its_events():
    failed = one(
        event("task-failed", AT + 3.5, exception="ValueError('no')", traceback=TRACEBACK),
        received(),
        event("task-started", AT + 1),
    )
    assert failed.kind is EventKind.FAILED
    assert failed.exception is not None
    assert (failed.exception.type, failed.exception.message) == ("ValueError", "no")
    assert failed.exception.traceback == TRACEBACK
    assert len(failed.exception.fingerprint) == 16
    assert failed.duration_s == 2.5


def test_a_clock_set_back_during_a_task_gives_no_duration_instead_of_a_wrong_one():
    failed = one(event("task-failed", AT - 60, exception="E()"), received(), event("task-started", AT + 1))
    assert failed.duration_s is None


def test_a_task_that_the_worker_does_not_know_is_rejected():
    run = run_of(event("task-failed", exception="NotRegistered('orders.gone')"))
    assert (run.state, run.worker, run.reason) == (RunState.REJECTED, WORKER, "the worker does not know this task")


def test_a_task_that_raises_not_registered_itself_has_failed():
    failed = one(event("task-failed", exception="NotRegistered('x')", traceback=TRACEBACK), received())
    assert failed.kind is EventKind.FAILED


def test_retries_then_success_are_attempts_of_one_successful_run():
    run = run_of(
        received(AT),
        event("task-started", AT + 1),
        received(AT + 1.4, retries=1),
        event("task-retried", AT + 1.5, exception="KeyError('k')", traceback=TRACEBACK),
        event("task-started", AT + 2),
        event("task-succeeded", AT + 3, runtime=0.9),
    )
    assert run.state is RunState.SUCCEEDED
    assert [a.state for a in run.attempts] == ["retrying", "succeeded"]
    assert run.attempts[0].exception is not None
    assert (run.attempts[0].exception.type, run.attempts[0].exception.message) == ("KeyError", "'k'")
    assert run.duration_s == 0.9


def test_an_exception_that_celery_wraps_is_told_by_its_traceback():
    traceback = (
        'Traceback (most recent call last):\n  File "/lib/billiard/pool.py", line 5, in mark_as_worker_lost\n'
        "billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 5.\n"
    )
    failed = one(event("task-failed", exception="ExceptionWithTraceback()", traceback=traceback), received())
    assert failed.exception is not None
    assert failed.exception.type == "billiard.exceptions.WorkerLostError"
    assert failed.exception.message == "Worker exited prematurely: signal 9 (SIGKILL) Job: 5."


def test_a_try_whose_end_was_lost_is_known_to_have_been_retried_once_a_later_one_ended():
    run = run_of(
        received(AT),
        event("task-started", AT + 1),
        received(AT + 2, retries=1),
        event("task-started", AT + 3),
        event("task-succeeded", AT + 4, runtime=1.0),
    )
    assert [(a.state, a.evidence) for a in run.attempts] == [("retrying", "inferred"), ("succeeded", "reported")]


def test_a_delivery_that_ended_without_a_word_is_known_to_have_ended_once_it_is_delivered_again():
    run = run_of(received(AT), event("task-started", AT + 1), received(AT + 2), event("task-started", AT + 3))
    assert [(a.state, a.evidence, a.reason) for a in run.attempts] == [
        ("retrying", "inferred", "its message was delivered again"),
        ("started", "reported", ""),
    ]


@pytest.mark.parametrize(
    "when", ["0", "None", "12.5", "datetime.datetime(2026, 11, 28, 9, 0, tzinfo=zoneinfo.ZoneInfo(key='UTC'))"]
)
def test_a_retry_is_told_by_its_cause(when: str):
    # What solo, threads and gevent send; children of a prefork pool send the cause alone.
    text = f"Retry(Retry(...), KeyError('order, 7'), {when})"
    retried = one(event("task-retried", exception=text, traceback=TRACEBACK), received())
    assert retried.exception is not None
    assert (retried.exception.type, retried.exception.message) == ("KeyError", "'order, 7'")


def test_an_exception_without_a_repr_is_told_by_its_traceback():
    text = "<Unrepresentable <class 'shop.Mute'>: RuntimeError('no text') '  File \"/lib/threading.py\", line 1'>"
    failed = one(event("task-failed", exception=text, traceback="shop.Mute: <exception str() failed>\n"), received())
    assert failed.exception is not None
    assert (failed.exception.type, failed.exception.message) == ("shop.Mute", "<exception str() failed>")


def test_a_retry_without_an_exception_is_called_retry():
    retried = one(event("task-retried", exception="None", traceback=TRACEBACK), received())
    assert retried.exception is not None
    assert retried.exception.type == "Retry"


def test_revoked_before_it_was_delivered_is_a_fate_without_attempts():
    run = run_of(event("task-revoked", terminated=False, signum=None, expired=False))
    assert (run.state, run.attempts, run.reason) == (RunState.REVOKED, [], "revoked before it was started")


def test_revoked_while_it_waited_in_the_worker_ends_that_delivery():
    run = run_of(received(), event("task-revoked", AT + 1, terminated=False, signum=None, expired=False))
    assert run.state is RunState.REVOKED
    assert [(a.state, a.started_at) for a in run.attempts] == [("revoked", None)]


def test_terminated_tells_the_signal():
    run = run_of(received(), event("task-started"), event("task-revoked", terminated=True, signum="Signals.SIGTERM"))
    assert (run.state, run.reason) == (RunState.REVOKED, "terminated while it ran (signal Signals.SIGTERM)")


def test_expired_is_dead():
    run = run_of(event("task-revoked", terminated=False, signum=None, expired=True))
    assert (run.state, run.reason) == (RunState.DEAD, "expired before it was started")


def test_rejected_is_final_unless_the_message_goes_back():
    assert run_of(received(), event("task-started"), event("task-rejected", requeue=False)).state is RunState.REJECTED
    run = run_of(
        received(),
        event("task-started", AT + 1),
        event("task-rejected", AT + 2, requeue=True),
        received(AT + 3),
        event("task-started", AT + 4),
        event("task-succeeded", AT + 5, runtime=1.0),
    )
    assert [(a.state, a.key) for a in run.attempts] == [("retrying", KEY), ("succeeded", f"0.2@{WORKER}#{PID}")]


def test_what_began_before_we_listened_finds_its_home_by_the_worker():
    run = run_of(event("task-started", AT), event("task-failed", AT + 1, exception="E('x')"))
    assert (run.state, run.worker, len(run.attempts)) == (RunState.FAILED, WORKER, 1)


def test_a_worker_that_works_on_one_queue_tells_where_its_tasks_came_from():
    translator = Translator()
    translator.learn_queues({WORKER: ["payments"], "celery@host-2": ["a", "b"]})
    made = translate(received(), event("task-started"), translator=translator)
    assert [e.queue for e in made] == ["payments", "payments"]
    (other,) = translate(event("task-started", hostname="celery@host-2"), translator=translator)
    assert other.queue == ""
    report = translator.process_report(
        msgspec.convert(event("worker-heartbeat", hostname="celery@host-2"), CeleryEvent)
    )
    assert report is not None
    assert report.queues == ["a", "b"]


def test_queues_of_sent_tasks_are_remembered():
    translator = Translator()
    translate(event("task-sent", name="a", queue="q1"), event("task-sent", name="a", queue="q2"), translator=translator)
    assert translator.queues == {"q1", "q2"}


def test_payloads_are_bounded_and_scrubbed():
    translator = Translator(scrub=lambda text: text.replace("hunter2", "[scrubbed]"))
    made = translate(
        received(args="('hunter2',)", kwargs="x" * 100_000),
        event("task-failed", exception="ValueError('hunter2')", traceback="a" * 500_000 + "hunter2"),
        translator=translator,
    )
    assert made[0].args == "('[scrubbed]',)"
    assert len(made[0].kwargs) < 9_000
    assert made[1].exception is not None
    assert made[1].exception.message == "[scrubbed]"
    assert made[1].exception.traceback.endswith("[scrubbed]")
    assert len(made[1].exception.traceback) < 70_000


@pytest.mark.parametrize(
    ("kind", "closing"), [("worker-online", False), ("worker-heartbeat", False), ("worker-offline", True)]
)
def test_workers_report_themselves(kind: str, closing: bool):
    heartbeat = event(kind, freq=2.0, active=3, processed=10, loadavg=[0, 0, 0], sw_ident="py-celery", sw_ver="5.6.3")
    report = Translator("orders").process_report(msgspec.convert(heartbeat, CeleryEvent))
    assert report is not None
    assert (report.worker, report.host, report.pid, report.active) == (WORKER, "host-1", PID, 3)
    assert (report.interval_s, report.closing, report.version, report.service) == (2.0, closing, "5.6.3", "orders")


def test_other_events_are_nobody_s_fact():
    assert translate(event("shop-sold"), event("worker-heartbeat"), event("task-invented")) == []


@given(
    st.lists(
        st.sampled_from(
            [
                *("task-sent", "task-received", "task-started", "task-succeeded", "task-failed"),
                *("task-retried", "task-revoked", "task-rejected", "task-cancelled"),
            ]
        ),
        max_size=12,
    ),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_any_sequence_of_events_makes_a_run_that_can_be_shown(kinds: list[str], data: st.DataObject):
    run: Run | None = None
    translator = Translator()
    for number, kind in enumerate(kinds):
        fields = {
            "retries": data.draw(st.integers(0, 3)),
            "terminated": data.draw(st.booleans()),
            "requeue": data.draw(st.booleans()),
        }
        for made in translate(event(kind, AT + number, name="t", **fields), translator=translator):
            run = apply(run, made)
    if run is not None:
        shown = view(run)
        assert shown.state in RunState
        assert len({a.key for a in shown.attempts}) == len(shown.attempts)
