"""No clock makes a wait or a duration absurd, whatever it says: a property of the whole collector."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huoyan.model.event import EventKind, ProcessReport, TaskEvent
from huoyan.model.run import view
from huoyan.model.schedule import ScheduleKind, ScheduleReport
from huoyan.server.collect import Collector
from huoyan.server.collect.schedules import Schedules
from huoyan.server.store import Store
from tests.servers import migrated_sqlite
from tests.unit.server.collect.conftest import SettableClock, T

DAY_S = 86_400.0
SKEWS = st.one_of(st.just(0.0), st.floats(-DAY_S, DAY_S))
WAIT_S, RUN_S = 3.0, 5.0
SLACK_S = 2.5
"""A clock that is off by less than two seconds is taken to be right; half a second is the network's."""


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(SKEWS, SKEWS), min_size=1, max_size=4),
    st.sampled_from(["http", "celery-events"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_waits_and_durations_are_right_under_any_skew(skews, source, delayed, random):
    """Producers and workers are up to a day off, each its own way; some runs have an ETA by the producer's clock."""
    with TemporaryDirectory() as folder:
        clock = SettableClock()
        store = Store.open(migrated_sqlite(Path(folder) / "huoyan.db"), clock)
        try:
            collector = Collector(store, clock)
            for number, (producer_s, worker_s) in enumerate(skews):
                report(collector, clock, number, producer_s, worker_s, source, delayed)
            for number in range(len(skews)):
                seen = view(store.runs.load([f"r{number}"])[f"r{number}"])
                assert seen.state.value == "succeeded"
                assert seen.wait_s is not None
                assert 0.0 <= seen.wait_s <= WAIT_S + SLACK_S
                assert seen.duration_s == RUN_S
                times = (seen.enqueued_at, seen.started_at, seen.finished_at)
                assert all(at is not None and T - SLACK_S <= at <= clock.now() for at in times)
                worker = store.workers.get(f"w{number}")
                assert worker is not None
                assert worker.state == "up"
                skew_s = skews[number][1]
                if abs(skew_s) > 12.0:
                    assert abs(worker.clock_skew_s - skew_s) < 0.5
        finally:
            store.close()


def report(collector, clock, number, producer_s, worker_s, source, delayed) -> None:
    """Let one run pass, each process speaking by its own clock and sending at once."""
    run_id, worker = f"r{number}", f"w{number}"
    told = TaskEvent(EventKind.QUEUED, run_id, 0.0, task="t")
    if delayed:
        told = replace(told, kind=EventKind.SCHEDULED, eta=clock.now() + producer_s)
    send(collector, clock, told, f"producer{number}", producer_s, "http")
    clock.advance(WAIT_S)
    run = TaskEvent(EventKind.STARTED, run_id, 0.0, worker=worker, execution=f"1@{worker}", attempt=1)
    # Whoever is heard for the first time has said hello before.
    send(collector, clock, None, worker, worker_s, source)
    send(collector, clock, run, worker, worker_s, source)
    clock.advance(RUN_S)
    send(collector, clock, replace(run, kind=EventKind.SUCCEEDED, duration_s=RUN_S), worker, worker_s, source)


def send(collector, clock, event: TaskEvent | None, name: str, skew_s: float, source: str) -> None:
    events = [] if event is None else [replace(event, at=clock.now() + skew_s)]
    process = ProcessReport(name, interval_s=60.0)
    collector.submit(events, process=process, sent_at=clock.now() + skew_s, source=source)
    collector.run_once()


@pytest.mark.parametrize("ahead_s", [-1.5, 0.0, 1.5])
def test_a_scheduler_whose_clock_is_a_little_off_keeps_its_due_times(ahead_s, collector, store, clock):
    """Its clock is taken to be right; what it asks for is on the way for a tenth of a second."""
    due = clock.now() + 5.0 + ahead_s
    plan = ScheduleReport(
        "s",
        service="shop",
        framework="celery",
        kind=ScheduleKind.INTERVAL,
        expression="60",
        next_due_at=due,
        source="b",
    )
    store.schedules.report([plan], clock.now())
    clock.advance(5.1)
    labels = {"schedule": "s", "scheduler": "b"}
    event = TaskEvent(EventKind.QUEUED, "r", due + 0.01, "t", "shop", "celery", labels=labels)
    collector.submit([event], sent_at=clock.now() + ahead_s, process=ProcessReport("b", service="shop"))
    collector.run_once()
    clock.advance(15.0)
    Schedules(store, clock).run_once()
    [slot] = store.schedules.slots(store.schedules.list()[0])
    assert (slot.verdict.value, slot.run_id) == ("ok", "r")
