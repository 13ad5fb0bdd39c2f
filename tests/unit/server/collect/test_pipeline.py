"""The collector: acknowledged is stored, nothing accepted is lost, and what cannot be stored harms nothing else."""

import gc
import sqlite3
import threading
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as NotYet

import pytest
from sqlalchemy import text

from huoyan.errors import Unreachable
from huoyan.model.event import EventKind, ExceptionInfo, ProcessReport, Progress, QueueReading, TaskEvent
from huoyan.model.run import view
from huoyan.server.collect import Collector, CollectorSettings
from huoyan.server.store import RunFilters, Store
from tests.servers.waiting import wait_until
from tests.unit.server.collect.conftest import T


def queued(run_id: str, at: float = T - 10, **more) -> TaskEvent:
    return TaskEvent(EventKind.QUEUED, run_id, at, **{"task": "orders.pay", **more})


def on(kind: EventKind, run_id: str, at: float, **more) -> TaskEvent:
    return TaskEvent(kind, run_id, at, **{"worker": "w", "execution": "0.1@w#1", "attempt": 1, **more})


def failed(run_id: str, at: float = T - 5, **more) -> TaskEvent:
    return on(EventKind.FAILED, run_id, at, exception=ExceptionInfo("ValueError", "no"), **more)


def state_of(store: Store, run_id: str) -> str | None:
    run = store.runs.get(run_id)
    return None if run is None else view(run).state.value


def samples(collector: Collector, metric: str) -> dict[tuple[str, ...], object]:
    """Return label values → value of a counter."""
    return {tuple(s.labels.values()): s.value for s in collector.metrics.collect()[metric] if s.value}


# Storing.


def test_what_is_acknowledged_is_stored(collector, store):
    done = collector.submit([queued("a"), queued("b")])
    assert not done.done()
    assert collector.run_once() == 2
    assert done.result(0) == 2
    assert done.result(0).rejected == ()
    assert set(store.runs.load(["a", "b"])) == {"a", "b"}


def test_the_thread_stores_what_is_submitted_and_flush_waits_for_it(collector, store):
    collector.start()
    for number in range(200):
        collector.submit([queued(f"r{number}")])
    collector.flush()
    assert store.runs.counts(RunFilters()).total == 200


def test_runs_are_merged_with_what_is_stored_and_no_longer_in_hand(store, clock):
    small = Collector(store, clock, settings=CollectorSettings(live_runs=2))
    small.submit([queued(f"r{number}") for number in range(20)])
    small.run_once()
    small.submit([on(EventKind.SUCCEEDED, f"r{number}", T - 1) for number in range(20)])
    small.run_once()
    assert store.runs.counts(RunFilters())["state"] == {"succeeded": 20}


def test_another_collector_goes_on_where_one_ended(store, clock):
    first = Collector(store, clock)
    first.submit([queued("a"), on(EventKind.STARTED, "a", T - 9)])
    first.run_once()
    second = Collector(store, clock)
    second.submit([on(EventKind.SUCCEEDED, "a", T - 8, duration_s=1.0)])
    second.run_once()
    assert state_of(store, "a") == "succeeded"
    assert store.runs.counts(RunFilters())["state"] == {"succeeded": 1}


def test_a_batch_that_is_handed_over_twice_counts_once(collector, store):
    for _ in range(2):
        collector.submit([queued("a"), failed("a", duration_s=1.0)])
        collector.run_once()
    assert samples(collector, "huoyan_task_runs_total") == {("", "orders.pay", "", "failed"): 1}
    assert store.failures.page().items[0].count == 1


def test_stopping_stores_what_waits(store, clock):
    collector = Collector(store, clock)
    collector.start()
    futures = [collector.submit([queued(f"r{number}")]) for number in range(50)]
    collector.stop()
    assert [future.result(0) for future in futures] == [1] * 50
    assert store.runs.counts(RunFilters()).total == 50
    with pytest.raises(Unreachable):
        collector.submit([queued("late")])
    assert collector.offer([queued("late")]) is None


def test_a_client_that_no_longer_waits_does_not_stop_its_events_from_being_stored(collector, store):
    done = collector.submit([queued("a")])
    assert done.cancel()
    collector.run_once()
    with pytest.raises(CancelledError):
        done.result(0)
    assert state_of(store, "a") == "queued"


# What cannot be stored.


def _poison(run_id: str) -> TaskEvent:
    return queued(run_id, labels={"size": 5})


def test_an_event_that_breaks_the_merge_is_rejected_by_name_and_the_others_are_stored(collector, store):
    done = collector.submit([queued("a"), _poison("b"), on(EventKind.STARTED, "b", T - 5), queued("c")])
    other = collector.submit([queued("d")])
    collector.run_once()
    assert done.result(0) == 3
    (rejection,) = done.result(0).rejected
    assert (rejection.index, rejection.run_id) == (1, "b")
    assert rejection.reason.startswith("cannot be merged: TypeError")
    assert other.result(0) == 1
    assert {run_id: state_of(store, run_id) for run_id in "abcd"} == {
        "a": "queued",
        "b": "started",
        "c": "queued",
        "d": "queued",
    }


def test_a_poisoned_run_that_is_known_stays_what_it_was(collector, store):
    collector.submit([queued("a"), on(EventKind.STARTED, "a", T - 5)])
    collector.run_once()
    done = collector.submit([_poison("a")])
    collector.run_once()
    assert done.result(0) == 0
    assert state_of(store, "a") == "started"
    assert store.runs.get("a").labels == {}


def test_a_name_that_the_database_does_not_take_is_rejected_alone(collector, store):
    bad = "half \ud800 a pair"
    done = collector.submit([*(queued(f"r{number}") for number in range(9)), queued(bad), failed("r3")])
    collector.run_once()
    assert done.result(0) == 10
    assert [(r.index, r.run_id) for r in done.result(0).rejected] == [(9, bad)]
    assert done.result(0).rejected[0].reason.startswith("cannot be stored")
    assert store.runs.counts(RunFilters())["state"] == {"queued": 8, "failed": 1}
    assert store.failures.page().items[0].count == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"at": float("nan")}, "at"),
        ({"at": float("inf")}, "at"),
        ({"at": 1.7e15}, "at"),
        ({"at": T, "duration_s": float("inf")}, "duration_s"),
        ({"at": T, "eta": float("nan")}, "eta"),
    ],
)
def test_a_time_that_is_none_is_rejected(collector, changes, field):
    done = collector.submit([queued("a", **changes), queued("b")])
    collector.run_once()
    assert done.result(0) == 1
    assert done.result(0).rejected[0].reason.startswith(f"{field}: expected a finite number of seconds")


def test_a_report_that_cannot_be_stored_does_not_keep_events_from_being_stored(collector, store):
    done = collector.submit(
        [queued("a")],
        process=ProcessReport("w\0", pid=2**70),
        queues=[QueueReading("q", -3, T), QueueReading("\ud800", 1, T), QueueReading("p", 4, T)],
    )
    collector.run_once()
    assert done.result(0) == 1
    assert [(queue.queue, queue.depth) for queue in store.queues.list()] == [("p", 4)]
    assert store.workers.list() == []


def test_numbers_of_a_report_are_kept_within_what_can_be_stored(collector, store):
    collector.submit([], process=ProcessReport("w", pid=2**70, active=-5, dropped=2**80, interval_s=0.0))
    collector.run_once()
    worker = store.workers.get("w")
    assert (worker.pid, worker.active, worker.dropped, worker.interval_s) == (2**31 - 1, 0, 2**31 - 1, 0.5)


# When the database is away.


def test_events_wait_while_the_database_is_locked_and_are_stored_once_afterwards(tmp_path, store, collector):
    blocker = sqlite3.connect(tmp_path / "huoyan.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    collector.start()
    done = collector.submit([queued("a"), failed("a")])
    with pytest.raises(NotYet):
        done.result(0.3)
    blocker.execute("COMMIT")
    blocker.close()
    assert done.result(30) == 2
    assert store.failures.page().items[0].count == 1


def test_a_table_that_is_gone_for_a_while_loses_nothing(collector, store):
    with store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE run_states RENAME TO elsewhere"))
    collector.start()
    done = [collector.submit([queued(f"r{n}"), failed(f"r{n}")]) for n in range(5)]
    with pytest.raises(NotYet):
        done[0].result(0.3)
    with store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO run_states"))
    assert [future.result(30) for future in done] == [2] * 5
    assert store.runs.counts(RunFilters())["state"] == {"failed": 5}
    assert samples(collector, "huoyan_events_lost_total") == {}


def test_what_cannot_be_stored_before_the_end_fails_its_future_and_counts_as_lost(collector, store):
    with store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE run_states RENAME TO elsewhere"))
    collector.start()
    done = collector.submit([queued("a"), queued("b")])
    collector.stop(0.3)
    with pytest.raises(Unreachable, match="expected to store these events"):
        done.result(5)
    assert samples(collector, "huoyan_events_lost_total") == {(): 2}


def test_a_full_queue_makes_submit_wait_and_offer_refuse(store, clock):
    collector = Collector(store, clock, settings=CollectorSettings(max_pending_events=10, submit_timeout_s=0.05))
    assert collector.offer([queued(f"r{n}") for n in range(8)]) is not None
    assert collector.offer([queued("x"), queued("y")]) is None
    with pytest.raises(Unreachable, match=r"expected room for 2 events within 0.05 s, got none: 9 wait"):
        collector.submit([queued("x"), queued("y")])
    collector.run_once()
    assert collector.offer([queued("x"), queued("y")]) is not None


def test_submit_goes_on_as_soon_as_there_is_room(store, clock):
    collector = Collector(store, clock, settings=CollectorSettings(max_pending_events=10, submit_timeout_s=30.0))
    collector.submit([queued(f"r{n}") for n in range(9)])
    answers = []
    thread = threading.Thread(target=lambda: answers.append(collector.submit([queued("x")])))
    thread.start()
    collector.run_once()
    thread.join(10)
    collector.run_once()
    assert answers[0].result(0) == 1


def test_a_submission_larger_than_the_bound_gets_through(store, clock):
    collector = Collector(store, clock, settings=CollectorSettings(max_pending_events=10, max_batch_events=10))
    done = collector.submit([queued(f"r{n}") for n in range(100)])
    collector.run_once()
    assert done.result(0) == 100


# What is done to events on their way.


def test_an_event_without_a_service_gets_that_of_its_worker(collector, store):
    collector.submit([on(EventKind.STARTED, "early", T - 9, framework="celery")], source="celery-events")
    collector.submit([on(EventKind.STARTED, "a", T - 9, service="orders")])
    collector.submit([on(EventKind.STARTED, "b", T - 8)])
    collector.submit([on(EventKind.STARTED, "c", T - 8, worker="v")], process=ProcessReport("v", service="mail"))
    collector.submit([on(EventKind.STARTED, "d", T - 8, worker="v")])
    collector.run_once()
    services = {run_id: view(store.runs.get(run_id)).service for run_id in ("early", "a", "b", "c", "d")}
    assert services == {"early": "celery", "a": "orders", "b": "orders", "c": "mail", "d": "mail"}


def test_the_service_of_a_worker_is_known_after_a_restart(collector, store, clock):
    collector.submit([], process=ProcessReport("v", service="mail"))
    collector.run_once()
    again = Collector(store, clock)
    again.submit([on(EventKind.STARTED, "a", T - 8, worker="v")])
    again.run_once()
    assert view(store.runs.get("a")).service == "mail"


def test_a_worker_whose_clock_is_two_hours_off_is_shown_as_such_and_its_runs_are_in_time(collector, store):
    events = [
        on(EventKind.STARTED, "a", T + 7200 - 3),
        on(EventKind.PROGRESS, "a", T + 7200 - 2, progress=Progress(T + 7200 - 2, 1, 2)),
        on(EventKind.SUCCEEDED, "a", T + 7200 - 1, duration_s=2.0),
    ]
    collector.submit(events, process=ProcessReport("w"), sent_at=T + 7200, received_at=T)
    collector.run_once()
    seen = view(store.runs.get("a"))
    assert seen.started_at == pytest.approx(T - 3)
    assert seen.finished_at == pytest.approx(T - 1)
    assert store.runs.get("a").progress.at == pytest.approx(T - 2)
    assert store.workers.get("w").clock_skew_s == pytest.approx(7200)


def test_an_event_is_never_later_than_its_receipt(collector, store):
    collector.submit([queued("a", T + 1.5)], received_at=T)
    collector.submit([queued("b", T + 1.5, received_at=T - 1)], received_at=T)
    collector.run_once()
    assert store.runs.get("a").enqueued_at == T
    assert store.runs.get("b").enqueued_at == T - 1


def test_a_failure_without_an_identity_gets_one(collector, store):
    collector.submit(
        [failed("a"), on(EventKind.FAILED, "b", T - 4, exception=ExceptionInfo("ValueError", "no", "", "own"))]
    )
    collector.run_once()
    marks = {group.fingerprint for group in store.failures.page().items}
    assert "own" in marks
    assert len(marks) == 2
    assert "" not in marks


# Counters for /metrics.


def test_exported_counters_never_fall_when_a_run_is_corrected(collector):
    collector.submit([queued("a"), on(EventKind.STARTED, "a", T - 9), on(EventKind.LOST, "a", T - 5)])
    collector.run_once()
    collector.submit([on(EventKind.SUCCEEDED, "a", T - 4, duration_s=2.0)])
    collector.run_once()
    collector.submit([on(EventKind.SUCCEEDED, "a", T - 4, duration_s=1.0), queued("a", queue="fast")])
    collector.run_once()
    assert samples(collector, "huoyan_task_runs_total") == {
        ("", "orders.pay", "", "lost"): 1,
        ("", "orders.pay", "", "succeeded"): 1,
    }
    assert samples(collector, "huoyan_tasks_enqueued_total") == {("", "orders.pay", ""): 1}
    observed = [s.value.count for s in collector.metrics.collect()["huoyan_task_duration_seconds"]]
    assert observed == [1]
    found = collector.source().increase("huoyan_task_runs_total", {}, ("queue", "state"), T - 60, T)
    assert found == {("fast", "succeeded"): 1.0}


def test_series_of_the_last_day_are_exported_from_the_start_with_zeros(collector, store, clock):
    collector.submit([queued("a"), failed("a")])
    collector.run_once()
    again = Collector(store, clock)
    again.start()
    exported = again.metrics.collect()
    again.stop()
    assert [(s.labels["task"], s.value) for s in exported["huoyan_tasks_enqueued_total"]] == [("orders.pay", 0)]
    assert {s.value for s in exported["huoyan_task_runs_total"]} == {0}


def test_series_beyond_the_budget_count_as_other(store, clock):
    collector = Collector(store, clock, settings=CollectorSettings(series_budget=5))
    for number in range(20):
        collector.submit([queued(f"r{number}", task=f"t{number:02}")])
        collector.run_once()
    found = samples(collector, "huoyan_tasks_enqueued_total")
    assert len(found) == 6
    assert sum(float(str(number)) for number in found.values()) == 20
    assert found[("other", "other", "other")] == 15
    assert store.runs.counts(RunFilters(task=("t19",))).total == 1


def test_received_and_lost_events_are_counted(collector):
    collector.submit([queued("a"), queued("b", float("nan"))], process=ProcessReport("w", dropped=3))
    collector.run_once()
    collector.submit([queued("c")], process=ProcessReport("w", dropped=5))
    collector.submit([], process=ProcessReport("w", dropped=5))
    collector.run_once()
    collector.count_lost(4, "celery-events")
    assert samples(collector, "huoyan_events_received_total") == {(): 2}
    assert samples(collector, "huoyan_events_lost_total") == {(): 9}
    source = collector.source()
    assert source.increase("huoyan_events_lost_total", {}, (), T - 60, T) == {(): 9.0}


def test_a_process_that_starts_anew_counts_its_dropped_events_from_zero(collector):
    collector.submit([], process=ProcessReport("w", pid=1, dropped=5))
    collector.submit([], process=ProcessReport("w", pid=2, dropped=2))
    collector.run_once()
    assert samples(collector, "huoyan_events_lost_total") == {(): 7}


def test_what_a_process_dropped_counts_once_although_others_report_it_too(collector):
    for _ in range(3):
        collector.submit([], process=ProcessReport("w", pid=1, dropped=5))
        collector.submit([], process=ProcessReport("w", pid=1), source="celery-events")
    collector.run_once()
    assert samples(collector, "huoyan_events_lost_total") == {(): 5}


# Telling the page.


def test_the_page_is_told_what_changed(collector):
    subscription = collector.bus.subscribe()
    collector.submit(
        [queued("a"), failed("a"), *(queued(f"r{n}", T - 1000 + n) for n in range(300))],
        process=ProcessReport("w"),
        queues=[QueueReading("q", 1, T)],
    )
    collector.run_once()
    heard = {}
    while (message := subscription.get(0.0)) is not None:
        heard[message.topic] = message.data
    assert set(heard) == {"runs", "failures", "counts", "queues", "workers"}
    items = heard["runs"]["items"]
    assert len(items) == 200
    assert (items[0]["id"], items[0]["state"], items[0]["attempt_count"]) == ("a", "failed", 1)
    assert [item["sort_at"] for item in items] == sorted((item["sort_at"] for item in items), reverse=True)


def test_rows_that_are_held_back_are_told_when_nothing_more_comes(collector):
    subscription = collector.bus.subscribe()
    collector.start()
    for number in range(3):
        collector.submit([queued(f"r{number}")]).result(10)
    told: set[str] = set()

    def all_told() -> bool:
        message = subscription.get(0.1)
        if message is not None and message.topic == "runs":
            told.update(item["id"] for item in message.data["items"])
        return told == {"r0", "r1", "r2"}

    wait_until(all_told, 10.0)


def test_python_collects_garbage_while_the_database_is_away(collector, store, caplog):
    with store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE run_states RENAME TO elsewhere"))
    collector.start()
    done = collector.submit([queued("a")])
    wait_until(lambda: "trying again" in caplog.text, 10.0)
    wait_until(gc.isenabled, 10.0)
    with store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO run_states"))
    assert done.result(30) == 1
    assert gc.isenabled()
