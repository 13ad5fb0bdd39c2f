"""What is said of runs and workers of which too little is heard: stuck, wedged, put right, gone with their process."""

import pytest

from huoyan.model.event import EventKind, Evidence, ProcessReport, QueueReading, TaskEvent
from huoyan.model.run import view
from huoyan.server.collect import Collector, CollectorSettings
from huoyan.server.store import RunFilters, Store
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.evaluate import evaluate
from tests.unit.server.collect.conftest import T

W = "celery@host-1"


def serve(collector: Collector, *names: str) -> None:
    for service in collector.services():
        if service.name in names:
            service.run_once()
    collector.run_once()


def started(run_id: str, at: float = T, **more) -> TaskEvent:
    more.setdefault("worker", W)
    return TaskEvent(
        EventKind.STARTED, run_id, at, task="t", service="s", queue="q", execution=f"1@{more['worker']}", **more
    )


def report(collector: Collector, worker: str = W, interval_s: float = 2.0, **more) -> None:
    process = ProcessReport(worker, pid=1, interval_s=interval_s, service="s", queues=["q"], **more)
    collector.submit([], process=process, source="celery-events")
    collector.run_once()


def value(collector: Collector, clock, signal: str) -> float | None:
    found = evaluate(CATALOGUE[signal], collector.source(), clock.now())
    return found[0].value if found else None


def test_a_run_that_breaks_its_promise_is_stuck_until_it_is_heard_again(collector, clock):
    collector.submit([started("a", heartbeat_s=10.0), started("quiet")])
    collector.run_once()
    clock.advance(30.0)
    serve(collector, "stuck runs")
    assert collector.store.truth.stuck() == {}
    clock.advance(0.5)
    serve(collector, "stuck runs")
    assert {run_id: one.since_at for run_id, one in collector.store.truth.stuck().items()} == {"a": T}
    assert [run.id for run in collector.store.runs.page(RunFilters(state=("started",), stuck=True)).items] == ["a"]
    assert collector.store.runs.counts(RunFilters(stuck=True)).total == 1
    assert value(collector, clock, "task_stuck") == 1.0
    collector.submit([TaskEvent(EventKind.PROGRESS, "a", clock.at, worker=W, execution=f"1@{W}")])
    collector.run_once()
    serve(collector, "stuck runs")
    assert collector.store.truth.stuck() == {}
    assert value(collector, clock, "task_stuck") in (None, 0.0)


def test_a_run_is_not_stuck_for_what_nobody_could_hear(collector, clock):
    collector.submit([started("a", heartbeat_s=1.0)])
    collector.run_once()
    collector.store.gaps.open("celery x", T, "connection refused")
    clock.advance(100.0)
    serve(collector, "stuck runs")
    assert collector.store.truth.stuck() == {}
    collector.store.gaps.close("celery x", clock.at)
    clock.advance(3.5)
    serve(collector, "stuck runs")
    assert list(collector.store.truth.stuck()) == ["a"]


def test_a_stuck_run_that_ends_is_stuck_no_longer_even_over_a_restart(store, clock):
    first = Collector(store, clock)
    first.submit([started("a", heartbeat_s=1.0)])
    first.run_once()
    clock.advance(10.0)
    serve(first, "stuck runs")
    second = Collector(store, clock)
    second.submit([TaskEvent(EventKind.SUCCEEDED, "a", clock.at, worker=W, execution=f"1@{W}")])
    second.run_once()
    serve(second, "stuck runs")
    assert store.truth.stuck() == {}


def test_the_server_can_promise_for_a_task(store, clock):
    collector = Collector(store, clock, settings=CollectorSettings(heartbeats={"t": 2.0}))
    collector.submit([started("a")])
    collector.run_once()
    clock.advance(6.5)
    serve(collector, "stuck runs")
    assert list(store.truth.stuck()) == ["a"]


def depth(collector: Collector, clock, number: int) -> None:
    collector.submit([], queues=[QueueReading("q", number, clock.at, "s")])
    collector.run_once()


def worker_state(store: Store, collector: Collector) -> str:
    serve(collector, "wedged workers")
    serve(collector, "liveness")
    known = store.workers.get(W)
    assert known is not None
    return known.state


def pass_time(collector: Collector, clock, seconds: int, *, waiting: int, **more) -> None:
    for _ in range(0, seconds, 2):
        clock.advance(2.0)
        report(collector, **more)
        depth(collector, clock, waiting)
        serve(collector, "wedged workers", "liveness")


def test_a_worker_that_reports_and_starts_nothing_of_what_waits_is_wedged_until_it_does(collector, store, clock):
    report(collector)
    pass_time(collector, clock, 60, waiting=3)
    assert worker_state(store, collector) == "up"
    pass_time(collector, clock, 4, waiting=3)
    assert worker_state(store, collector) == "wedged"
    assert value(collector, clock, "workers_wedged") == 1.0
    assert value(collector, clock, "workers_down") == 0.0
    collector.submit([started("a", clock.at)])
    collector.run_once()
    assert worker_state(store, collector) == "up"


def test_a_worker_that_does_not_start_what_it_took_is_wedged_though_its_queue_is_empty(collector, store, clock):
    report(collector)
    taken = TaskEvent(EventKind.RECEIVED, "a", T, task="t", service="s", queue="q", worker=W, execution=f"0.1@{W}#1")
    collector.submit([taken])
    collector.run_once()
    pass_time(collector, clock, 64, waiting=0)
    assert worker_state(store, collector) == "wedged"


@pytest.mark.parametrize("case", ["nothing waits", "busy by its own word", "busy with known runs", "cannot be heard"])
def test_a_worker_is_not_wedged_when(case, collector, store, clock):
    report(collector)
    if case == "busy with known runs":
        collector.submit([started("a")])
        collector.run_once()
    if case == "cannot be heard":
        store.gaps.open("celery x", clock.at, "refused")
    more = {"active": 1} if case == "busy by its own word" else {}
    pass_time(collector, clock, 120, waiting=0 if case == "nothing waits" else 3, **more)
    assert worker_state(store, collector) == "up"


def test_a_wedged_worker_that_falls_silent_is_down(collector, store, clock):
    report(collector)
    pass_time(collector, clock, 70, waiting=3)
    assert worker_state(store, collector) == "wedged"
    for _ in range(7):
        clock.advance(1.0)
        serve(collector, "liveness")
    assert store.workers.get(W).state == "down"


def test_a_loss_and_its_correction_are_in_the_history_of_a_run(collector, store, clock):
    collector.submit([started("a")])
    report(collector)
    clock.advance(7.0)
    serve(collector, "liveness")
    clock.advance(1.0)
    collector.submit([TaskEvent(EventKind.SUCCEEDED, "a", T + 2, worker=W, execution=f"1@{W}")])
    collector.run_once()
    first, second = store.truth.history("a")
    assert (first.before, first.after, first.evidence, first.at) == ("started", "lost", "inferred", T + 7)
    assert "fell silent" in first.reason
    assert (second.before, second.after, second.evidence, second.at) == ("lost", "succeeded", "reported", T + 8)


def test_an_ordinary_run_has_no_history_and_one_that_flaps_a_bounded_one(collector, store, clock):
    collector.submit([started("a"), started("b")])
    report(collector)
    collector.submit([TaskEvent(EventKind.SUCCEEDED, "b", T + 1, worker=W, execution=f"1@{W}")])
    collector.run_once()
    for _ in range(30):
        for _ in range(7):
            clock.advance(1.0)
            serve(collector, "liveness")
        report(collector)
        serve(collector, "liveness")
    assert store.truth.history("b") == []
    assert len(store.truth.history("a")) == 50


def test_what_waits_in_the_memory_of_a_process_is_lost_with_it_and_what_a_broker_keeps_is_not(collector, store, clock):
    for run_id, framework in (("web", "fastapi"), ("brokered", "celery")):
        kind = EventKind.QUEUED if framework == "fastapi" else EventKind.RECEIVED
        collector.submit([TaskEvent(kind, run_id, T, framework=framework, worker=W, execution=f"1@{W}", attempt=1)])
    report(collector)
    assert view(store.runs.get("web")).state.value == "queued"
    clock.advance(7.0)
    serve(collector, "liveness")
    assert {i: view(store.runs.get(i)).state.value for i in ("web", "brokered")} == {
        "web": "lost",
        "brokered": "queued",
    }


def test_a_second_execution_after_success_is_found_once(collector, store, clock):
    collector.submit([started("a"), TaskEvent(EventKind.SUCCEEDED, "a", T + 1, worker=W, execution=f"1@{W}")])
    collector.run_once()
    for at in (T + 2, T + 3):
        again = TaskEvent(EventKind.STARTED, "a", at, task="t", service="s", queue="q", worker="w2", execution="1@w2")
        collector.submit([again])
        collector.run_once()
    assert [(one.run_id, one.kind, one.queue) for one in store.truth.discrepancies(0)] == [("a", "doubled", "q")]
    clock.advance(10.0)
    assert value(collector, clock, "task_duplicates") == 1.0


def test_a_run_that_vanished_is_found_and_settled_when_it_is_heard_of_again(collector, store, clock):
    queued = TaskEvent(EventKind.QUEUED, "a", T, task="t", service="s", queue="q")
    lost = TaskEvent(EventKind.LOST, "a", T + 5, evidence=Evidence.UNKNOWN, reason="nobody holds it")
    collector.submit([queued])
    collector.run_once()
    collector.submit([lost])
    collector.run_once()
    seen = view(store.runs.get("a"))
    assert (seen.state.value, seen.evidence, seen.attempts) == ("lost", "unknown", [])
    assert [(one.run_id, one.kind) for one in store.truth.discrepancies(0)] == [("a", "vanished")]
    collector.submit([TaskEvent(EventKind.SUCCEEDED, "a", T + 6, worker=W, execution=f"1@{W}", attempt=1)])
    collector.run_once()
    assert store.truth.discrepancies(0) == []
    assert view(store.runs.get("a")).state.value == "succeeded"


def test_gone_workers_leave_list_and_series_after_their_time(store, clock):
    collector = Collector(store, clock, settings=CollectorSettings(closed_kept_s=60.0, down_kept_s=120.0))
    for number in range(50):
        report(collector, worker=f"pod-{number}", interval_s=2.0)
        report(collector, worker=f"pod-{number}", interval_s=2.0, closing=True)
    report(collector, worker="silent")
    clock.advance(61.0)
    serve(collector, "liveness", "retention")
    assert [(worker.worker, worker.state) for worker in store.workers.list()] == [("silent", "down")]
    clock.advance(60.0)
    serve(collector, "liveness", "retention")
    assert store.workers.list() == []
    assert value(collector, clock, "worker_up") is None


def test_a_client_gets_time_to_find_a_server_again_that_was_away(store, clock):
    first = Collector(store, clock)
    first.submit([started("a", worker="web@h:1")], process=ProcessReport("web@h:1", interval_s=10.0))
    first.run_once()
    clock.advance(5.0)
    second = Collector(store, clock)
    second.run_once()
    clock.advance(74.0)
    serve(second, "liveness")
    assert store.workers.get("web@h:1").state == "up"
    clock.advance(2.0)
    serve(second, "liveness")
    assert store.workers.get("web@h:1").state == "down"


def test_two_workers_on_one_host_are_two_workers(collector, store, clock):
    for name in ("a@host", "b@host"):
        report(collector, worker=name)
        collector.submit([started(f"on {name}", worker=name)])
        collector.run_once()
    for _ in range(7):
        clock.advance(1.0)
        report(collector, worker="b@host")
        serve(collector, "liveness")
    assert {worker.worker: worker.state for worker in store.workers.list()} == {"a@host": "down", "b@host": "up"}
    assert {i: view(store.runs.get(i)).state.value for i in ("on a@host", "on b@host")} == {
        "on a@host": "lost",
        "on b@host": "started",
    }
