"""Who is gone, and what is lost with them: judged by when reports were received, corrected by the worker's own word."""

from typing import Any

import pytest

from huoyan.errors import Unreachable
from huoyan.model.event import EventKind, ProcessReport, TaskEvent
from huoyan.model.run import view
from huoyan.model.schedule import ScheduleKind, ScheduleReport, SlotVerdict
from huoyan.server.collect import Collector
from huoyan.server.collect.schedules import Schedules
from tests.unit.server.collect.conftest import T

W = "celery@host-1"


def started(run_id: str, at: float = T, worker: str = W, pid: int = 11, delivery: int = 1) -> TaskEvent:
    execution = f"0.{delivery}@{worker}#{pid}"
    return TaskEvent(EventKind.STARTED, run_id, at, task="t", worker=worker, execution=execution, attempt=1)


def succeeded(run_id: str, at: float) -> TaskEvent:
    return TaskEvent(EventKind.SUCCEEDED, run_id, at, worker=W, execution=f"0.1@{W}#11", attempt=1)


def report(collector: Collector, pid: int = 11, worker: str = W, **more) -> None:
    process = ProcessReport(worker, pid=pid, interval_s=2.0, **more)
    collector.submit([], process=process, source=more.pop("source", "celery-events"))
    collector.run_once()


def judge(collector: Collector) -> None:
    """Let the liveness service judge, and store its verdicts."""
    next(service for service in collector.services() if service.name == "liveness").run_once()
    collector.run_once()


def pass_time(collector: Collector, clock, seconds: float) -> None:
    """Let time pass second by second, as the service would see it."""
    for _ in range(int(seconds)):
        clock.advance(1.0)
        judge(collector)


def state(collector: Collector, run_id: str) -> tuple[str, str]:
    run = collector.store.runs.get(run_id)
    assert run is not None
    seen = view(run)
    return seen.state.value, seen.evidence


def worker_state(collector: Collector, worker: str = W) -> str:
    known = collector.store.workers.get(worker)
    assert known is not None
    return known.state


def test_a_worker_is_down_after_three_missed_reports_and_what_it_executed_is_lost(collector, clock):
    collector.submit([started("a"), started("other", worker="celery@host-2")])
    report(collector, active=1)
    pass_time(collector, clock, 6)
    assert worker_state(collector) == "up"
    pass_time(collector, clock, 1)
    assert worker_state(collector) == "down"
    assert collector.store.workers.get(W).active == 0
    assert state(collector, "a") == ("lost", "inferred")
    assert view(collector.store.runs.get("a")).reason == (
        "worker celery@host-1 fell silent: no report for 7 s, expected one every 2 s"
    )
    assert state(collector, "other") == ("started", "reported")


def test_a_silent_worker_whose_broker_has_its_connection_is_given_more_time_and_not_for_ever(collector, clock):
    other = "celery@host-2"
    collector.submit([started("a"), started("b", worker=other, pid=12)])
    report(collector, framework="celery")
    report(collector, framework="celery", worker=other, pid=12)
    pass_time(collector, clock, 3)
    assert collector.silent("celery") == []
    pass_time(collector, clock, 1)
    assert collector.silent("celery") == [W, other]
    for _ in range(21):
        collector.connected([W])
        pass_time(collector, clock, 1)
        assert (worker_state(collector), state(collector, "a")) == ("up", ("started", "reported"))
    assert (worker_state(collector, other), state(collector, "b")) == ("down", ("lost", "inferred"))
    assert collector.silent("celery") == [W]
    collector.connected([W])
    pass_time(collector, clock, 1)
    assert (worker_state(collector), state(collector, "a")) == ("down", ("lost", "inferred"))


def test_a_silent_worker_is_down_once_its_broker_has_its_connection_no_more(collector, clock):
    report(collector, framework="celery")
    for _ in range(9):
        collector.connected([W])
        pass_time(collector, clock, 1)
    assert worker_state(collector) == "up"
    pass_time(collector, clock, 6)
    assert worker_state(collector) == "down"


def test_a_worker_that_reports_stays_up_however_far_its_clock_is_off(collector, clock):
    collector.submit([started("a")])
    for _ in range(10):
        report(collector, started_at=clock.at - 7200)
        pass_time(collector, clock, 2)
    assert worker_state(collector) == "up"
    assert state(collector, "a") == ("started", "reported")


def test_a_run_that_ended_before_its_worker_fell_silent_is_not_lost(collector, clock):
    collector.submit([started("a"), succeeded("a", T + 1)], received_at=T + 1)
    report(collector)
    pass_time(collector, clock, 10)
    assert state(collector, "a") == ("succeeded", "reported")


def test_a_worker_that_is_heard_again_takes_its_runs_back(collector, clock):
    collector.submit([started("a")])
    report(collector)
    pass_time(collector, clock, 10)
    assert state(collector, "a") == ("lost", "inferred")
    report(collector)
    judge(collector)
    assert worker_state(collector) == "up"
    assert state(collector, "a") == ("started", "reported")
    pass_time(collector, clock, 10)
    assert state(collector, "a") == ("lost", "inferred")


def test_the_outcome_of_a_lost_run_is_believed_even_while_its_worker_is_down(collector, clock):
    collector.submit([started("a")])
    report(collector)
    pass_time(collector, clock, 10)
    collector.submit([succeeded("a", T + 3)])
    collector.run_once()
    assert state(collector, "a") == ("succeeded", "reported")


def test_what_a_worker_executed_before_it_was_started_anew_is_lost_though_it_was_never_silent(collector, clock):
    collector.submit([started("old")])
    report(collector, pid=11)
    clock.advance(1.0)
    collector.submit([started("new", clock.at, pid=12, delivery=2)])
    report(collector, pid=12)
    judge(collector)
    assert state(collector, "old") == ("lost", "inferred")
    assert state(collector, "new") == ("started", "reported")
    assert "started anew" in view(collector.store.runs.get("old")).reason


def test_a_worker_that_comes_back_as_another_process_does_not_take_the_old_runs_back(collector, clock):
    collector.submit([started("a", pid=11)])
    report(collector, pid=11)
    pass_time(collector, clock, 10)
    report(collector, pid=12)
    judge(collector)
    assert worker_state(collector) == "up"
    assert state(collector, "a") == ("lost", "inferred")


def test_what_a_worker_left_behind_when_it_said_goodbye_is_lost_after_a_moment(collector, clock):
    collector.submit([started("a"), started("b")])
    report(collector)
    report(collector, closing=True)
    judge(collector)
    assert worker_state(collector) == "closed"
    assert state(collector, "a") == ("started", "reported")
    collector.submit([succeeded("b", T + 1)], received_at=T + 1)
    pass_time(collector, clock, 3)
    assert state(collector, "a") == ("lost", "inferred")
    assert state(collector, "b") == ("succeeded", "reported")
    pass_time(collector, clock, 30)
    assert worker_state(collector) == "closed"


def test_nobody_is_judged_while_the_source_is_cut_and_everybody_gets_time_afterwards(collector, clock, store):
    collector.submit([started("a")])
    report(collector)
    store.gaps.open("celery redis://localhost", clock.at, "connection refused")
    pass_time(collector, clock, 30)
    assert worker_state(collector) == "up"
    store.gaps.close("celery redis://localhost", clock.at)
    pass_time(collector, clock, 6)
    assert worker_state(collector) == "up"
    pass_time(collector, clock, 1)
    assert worker_state(collector) == "down"
    assert state(collector, "a") == ("lost", "inferred")


def test_workers_of_another_source_are_judged_while_one_is_cut(collector, clock, store):
    collector.submit([started("a", worker="orders@h:1")], process=ProcessReport("orders@h:1", interval_s=2.0))
    collector.run_once()
    store.gaps.open("celery redis://localhost", clock.at, "connection refused")
    pass_time(collector, clock, 7)
    assert worker_state(collector, "orders@h:1") == "down"


def test_after_a_pause_of_the_server_itself_everybody_gets_time(collector, clock):
    collector.submit([started("a")])
    report(collector)
    judge(collector)
    clock.advance(3600.0)
    judge(collector)
    assert worker_state(collector) == "up"
    pass_time(collector, clock, 6)
    assert worker_state(collector) == "up"
    pass_time(collector, clock, 1)
    assert worker_state(collector) == "down"


def test_after_a_restart_of_the_server_everybody_gets_time(collector, clock, store):
    collector.submit([started("a")])
    report(collector)
    clock.advance(3600.0)
    again = Collector(store, clock)
    again.run_once()
    judge(again)
    pass_time(again, clock, 6)
    assert worker_state(again) == "up"
    pass_time(again, clock, 1)
    assert worker_state(again) == "down"
    assert state(again, "a") == ("lost", "inferred")


def test_a_verdict_that_cannot_be_handed_over_is_passed_the_next_time(collector, clock, monkeypatch):
    collector.submit([started("a")])
    report(collector)
    service = next(service for service in collector.services() if service.name == "liveness")
    refused = []

    def refuse(events: list[TaskEvent]) -> None:
        refused.append(events)
        raise Unreachable("full")

    with monkeypatch.context() as patch:
        patch.setattr(service, "_emit", refuse)
        for _ in range(7):
            clock.advance(1.0)
            if clock.at - T < 7:
                service.run_once()
        with pytest.raises(Unreachable):
            service.run_once()
    assert refused
    pass_time(collector, clock, 1)
    assert state(collector, "a") == ("lost", "inferred")


def test_executions_that_no_source_named_are_judged_by_their_worker(collector, clock):
    collector.submit([TaskEvent(EventKind.STARTED, "a", T, task="t", worker="orders@h:1")])
    collector.submit([TaskEvent(EventKind.STARTED, "b", T, task="t", worker="orders@h:1", attempt=2)])
    collector.submit([], process=ProcessReport("orders@h:1", interval_s=2.0))
    collector.run_once()
    pass_time(collector, clock, 7)
    for run_id in ("a", "b"):
        run = collector.store.runs.get(run_id)
        assert view(run).state == "lost"
        assert len(run.executions) == 1


def test_workers_are_known_to_be_up_down_or_gone_by_their_gauge(collector, clock):
    report(collector, worker="up")
    report(collector, worker="down")
    report(collector, worker="gone")
    report(collector, worker="gone", closing=True)
    for _ in range(8):
        report(collector, worker="up")
        pass_time(collector, clock, 1)
    assert collector.source().gauge("huoyan_worker_up", {}, ("worker",), clock.at, "min") == {
        ("up",): 1.0,
        ("down",): 0.0,
    }


def test_a_successor_takes_the_place_of_a_dead_worker_and_what_was_lost_stays_lost(collector, clock):
    collector.submit([started("a")])
    report(collector, service="orders")
    pass_time(collector, clock, 7)
    assert worker_state(collector) == "down"
    report(collector, worker="celery@pod-2", pid=5, service="orders")
    judge(collector)
    assert worker_state(collector) == "closed"
    assert worker_state(collector, "celery@pod-2") == "up"
    assert state(collector, "a") == ("lost", "inferred")


def test_a_successor_that_came_before_the_silence_was_noticed_counts_as_well(collector, clock):
    collector.submit([started("a")])
    report(collector, service="orders")
    pass_time(collector, clock, 3)
    for _ in range(4):
        report(collector, worker="celery@pod-2", pid=5, service="orders")
        pass_time(collector, clock, 1)
    assert worker_state(collector) == "closed"
    assert state(collector, "a") == ("lost", "inferred")


@pytest.mark.parametrize("other", [{"service": "mail"}, {"service": "orders", "queues": ["slow"]}])
def test_a_worker_of_another_kind_takes_nobodys_place(collector, clock, other):
    report(collector, service="orders")
    pass_time(collector, clock, 7)
    report(collector, worker="celery@pod-2", pid=5, **other)
    judge(collector)
    assert worker_state(collector) == "down"


def test_one_successor_takes_one_place(collector, clock):
    report(collector, service="orders")
    report(collector, worker="celery@host-2", pid=12, service="orders")
    pass_time(collector, clock, 7)
    report(collector, worker="celery@pod-3", pid=5, service="orders")
    judge(collector)
    assert sorted([worker_state(collector), worker_state(collector, "celery@host-2")]) == ["closed", "down"]


def test_a_worker_that_was_replaced_and_comes_back_is_believed(collector, clock):
    collector.submit([started("a")])
    report(collector, service="orders")
    pass_time(collector, clock, 7)
    report(collector, worker="celery@pod-2", pid=5, service="orders")
    judge(collector)
    report(collector, service="orders", active=1)
    judge(collector)
    assert worker_state(collector) == "up"
    assert state(collector, "a") == ("started", "reported")


def test_what_a_killed_scheduler_kept_is_missed_though_another_process_has_its_place(collector, clock, store):
    of: dict[str, Any] = {"service": "orders", "source": W, "kind": ScheduleKind.INTERVAL, "expression": "600"}
    report(collector, service="orders")
    store.schedules.report([ScheduleReport("s", **of, next_due_at=clock.now() + 300, at=clock.now())], clock.now())
    due = clock.now() + 300
    pass_time(collector, clock, 7)
    report(collector, worker="celery@pod-2", pid=5, service="orders")
    judge(collector)
    assert worker_state(collector) == "closed"
    clock.advance(400.0)
    # A server that begins anew knows as well that this was no goodbye.
    again = Collector(store, clock)
    again.run_once()
    judge(again)
    schedules = Schedules(store, clock)
    schedules.run_once()
    [kept] = store.schedules.list()
    assert (kept.enabled, schedules.dead()) == (True, {(("schedule", "orders/s"),): 1.0})
    [slot] = store.schedules.slots(kept)
    assert (slot.at, slot.verdict) == (due, SlotVerdict.MISSED)


def test_gone_workers_leave_the_lists_in_time(collector, clock):
    report(collector, service="orders")
    report(collector, worker="celery@host-2", pid=12, service="mail", closing=True)
    pass_time(collector, clock, 7)
    retention = next(service for service in collector.services() if service.name == "retention")
    clock.advance(3601.0)
    retention.run_once()
    assert [worker.worker for worker in collector.store.workers.list()] == [W]
    clock.advance(86_400.0)
    retention.run_once()
    assert collector.store.workers.list() == []


def test_a_start_that_is_heard_of_after_its_worker_was_given_up_is_lost_too(collector, clock):
    report(collector, active=1)
    pass_time(collector, clock, 10)
    assert worker_state(collector) == "down"
    # Another process sends what this one could not send any more.
    collector.submit([started("late", at=T + 1)])
    collector.run_once()
    assert state(collector, "late") == ("started", "reported")
    pass_time(collector, clock, 30)
    assert state(collector, "late") == ("lost", "inferred")


def test_a_start_of_the_process_before_this_one_is_lost_and_those_of_this_one_are_not(collector, clock):
    clock.advance(100)
    report(collector, pid=12, started_at=T + 100, active=1)
    collector.submit([started("old", at=T + 1, pid=11), started("new", at=T + 101, pid=12)])
    collector.run_once()
    for _ in range(30):
        clock.advance(1.0)
        report(collector, pid=12, started_at=T + 100, active=1)
        judge(collector)
    assert state(collector, "old") == ("lost", "inferred")
    assert state(collector, "new") == ("started", "reported")


def test_an_attempt_that_ended_with_its_worker_is_lost_though_another_has_succeeded_since(collector, store, clock):
    """A late acknowledged run: its worker is killed, and it is executed elsewhere before that worker is missed."""
    other = "celery@host-2"
    report(collector)
    report(collector, worker=other, pid=22)
    collector.submit([started("a")])
    collector.run_once()
    again: dict[str, Any] = {"worker": other, "execution": f"0.1@{other}#22", "attempt": 1}
    collector.submit([TaskEvent(kind, "a", T + 1, **again) for kind in (EventKind.STARTED, EventKind.SUCCEEDED)])
    collector.run_once()
    for _ in range(7):
        report(collector, worker=other, pid=22)
        pass_time(collector, clock, 1)
    seen = view(store.runs.get("a"))
    assert seen.state.value == "succeeded"
    assert [(attempt.worker, attempt.state) for attempt in seen.attempts] == [(W, "lost"), (other, "succeeded")]
