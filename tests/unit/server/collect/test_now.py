"""What is the case now and was lately: windows that slide by 5 seconds, gauges that are unknown rather than wrong."""

import pytest

from huoyan.model.event import EventKind, ExceptionInfo, QueueReading, TaskEvent
from huoyan.server.collect import Collector, CollectorSettings
from huoyan.server.collect import recent as recent_module
from huoyan.server.store import RunFilters
from tests.unit.server.collect.conftest import T

RUNS = "huoyan_task_runs_total"
DEPTH = "huoyan_queue_depth"
ACTIVE = "huoyan_tasks_active"


def ended(run_id: str, at: float, kind: EventKind = EventKind.SUCCEEDED, **more) -> TaskEvent:
    exception = ExceptionInfo("E") if kind is EventKind.FAILED else None
    return TaskEvent(
        kind, run_id, at, task="t", worker="w", execution="x", attempt=1, duration_s=1.0, exception=exception, **more
    )


def store_events(collector: Collector, *events: TaskEvent) -> None:
    collector.submit(list(events))
    collector.run_once()


def service(collector: Collector, name: str):
    return next(one for one in collector.services() if one.name == name)


def grown(source, since: float, until: float) -> float:
    return source.increase(RUNS, {}, (), since, until).get((), 0.0)


def test_a_window_slides_by_five_seconds(collector, clock):
    store_events(collector, ended("a", T))
    clock.advance(57.0)
    store_events(collector, ended("b", T + 57))
    source = collector.source()
    assert grown(source, T - 5, T + 57) == 2
    assert grown(source, T, T + 60) == 1
    assert grown(source, T + 50, T + 55) == 0
    assert grown(source, T + 55, T + 60) == 1


def test_a_window_that_begins_between_two_slots_begins_with_the_later_one(collector):
    store_events(collector, ended("a", T - 9), ended("b", T - 4))
    assert grown(collector.source(), T - 9.5, T) == 1


def test_neighbouring_windows_count_everything_once(collector, clock):
    for second in range(120):
        clock.at = T + second
        store_events(collector, ended(f"r{second}", clock.at))
    source = collector.source()
    for width in (5.0, 15.0, 30.0, 60.0):
        windows = [grown(source, T - 60 + at, T - 60 + at + width) for at in range(0, 180, int(width))]
        assert sum(windows) == 120


def test_what_happened_before_the_start_is_answered_from_the_store(collector, store, clock):
    for minute in range(10):
        clock.at = T + minute * 60 + 30
        store_events(collector, ended(f"r{minute}", clock.at))
    clock.at = T + 601
    again = Collector(store, clock)
    store_events(again, ended("new", clock.at))
    assert grown(again.source(), T, T + 602) == 11
    assert grown(again.source(), T + 300, T + 602) == 6
    assert grown(again.source(), T, T + 300) == 5


def test_what_was_counted_in_the_minute_of_a_restart_is_counted_once(collector, store, clock):
    clock.at = T + 20
    store_events(collector, ended("a", T + 10), ended("b", T + 20))
    clock.at = T + 30
    again = Collector(store, clock)
    store_events(again, ended("c", T + 30))
    assert grown(again.source(), T - 60, T + 30) == 3


def test_what_is_told_late_stands_where_it_happened(collector, clock):
    clock.at = T + 1800
    store_events(collector, ended("a", T + 600))
    assert grown(collector.source(), T + 1200, T + 1800) == 0
    assert grown(collector.source(), T, T + 1200) == 1


def test_a_correction_is_taken_back_where_it_was_counted(collector, clock):
    started = TaskEvent(EventKind.STARTED, "a", T, task="t", worker="w", execution="x", attempt=1)
    lost = TaskEvent(EventKind.LOST, "a", T + 30, worker="w", execution="x", attempt=1)
    clock.at = T + 30
    store_events(collector, started, lost)
    source = collector.source()
    assert source.increase(RUNS, {}, ("state",), T, T + 60) == {("lost",): 1.0}
    clock.at = T + 300
    store_events(collector, ended("a", T + 290))
    for whose in (source, collector.store.source()):
        assert whose.increase(RUNS, {}, ("state",), T, T + 60) == {}
        assert whose.increase(RUNS, {}, ("state",), T + 240, T + 300) == {("succeeded",): 1.0}


def test_more_than_fits_in_memory_is_answered_by_the_store(collector, clock, monkeypatch):
    monkeypatch.setattr(recent_module, "MOST_CELLS", 40)
    for minute in range(60):
        clock.at = T + minute * 60 + 30
        store_events(collector, ended(f"r{minute}", clock.at))
    assert grown(collector.source(), T, clock.at) == 60
    assert grown(collector.source(), T + 600, clock.at + 30) == 50


def test_an_hour_later_memory_is_given_back_and_the_store_still_knows(collector, clock):
    store_events(collector, ended("a", T))
    clock.advance(7200.0)
    store_events(collector, ended("b", clock.at))
    assert grown(collector.source(), T - 60, clock.at) == 2
    assert len(collector._recent._series.slots) == 1


def test_runs_being_executed_are_counted_while_they_are(collector, store, clock):
    started = [
        TaskEvent(EventKind.STARTED, f"r{n}", T - 9, task="t", worker="w", execution="x", attempt=1) for n in range(3)
    ]
    store_events(collector, *started)
    assert collector.source().gauge(ACTIVE, {}, ("task",), T, "sum") == {("t",): 3.0}
    store_events(collector, ended("r0", T - 1))
    assert collector.source().gauge(ACTIVE, {}, (), T, "sum") == {(): 2.0}
    again = Collector(store, clock)
    again.run_once()
    assert again.source().gauge(ACTIVE, {"task": ("t",)}, (), T, "sum") == {(): 2.0}
    store_events(again, ended("r1", T), ended("r2", T))
    assert again.source().gauge(ACTIVE, {}, (), T, "sum") == {(): 0.0}


def test_a_queue_that_was_not_read_for_a_minute_is_unknown_and_not_empty(collector, clock):
    collector.submit([], queues=[QueueReading("q", 7, T, "orders", 3.5), QueueReading("p", 0, T)])
    collector.run_once()
    source = collector.source()
    assert source.gauge(DEPTH, {}, ("service", "queue"), T, "sum") == {("orders", "q"): 7.0, ("", "p"): 0.0}
    assert source.gauge("huoyan_queue_oldest_age_seconds", {}, ("queue",), T, "max") == {("q",): 3.5}
    assert source.gauge(DEPTH, {"queue": ("q",)}, (), T, "max") == {(): 7.0}
    clock.advance(61.0)
    assert source.gauge(DEPTH, {}, ("queue",), clock.at, "sum") == {}


def test_gauges_of_the_last_hour_are_known_by_their_samples_and_older_ones_by_the_minute(collector, clock):
    sampler = service(collector, "gauges")
    for step in range(25):
        clock.at = T + step * 5
        collector.submit([], queues=[QueueReading("q", step, clock.at)])
        collector.run_once()
        sampler.run_once()
    sampler.save()
    source = collector.source()
    assert source.gauge_range(DEPTH, {}, ("queue",), T, T + 120, 30.0, "sum") == {("q",): [6.0, 12.0, 18.0, 24.0]}
    assert source.gauge(DEPTH, {}, (), T + 63, "sum") == {(): 12.0}
    stored = collector.store.source()
    assert stored.gauge_range(DEPTH, {}, ("queue",), T, T + 120, 60.0, "sum") == {("q",): [12.0, 24.0]}
    assert stored.gauge(DEPTH, {}, (), T + 120, "sum") == {(): 24.0}
    assert stored.gauge(DEPTH, {}, (), T + 300, "sum") == {}


def test_the_last_point_of_a_chart_is_the_value_of_now(collector, clock):
    collector.submit([], queues=[QueueReading("q", 5, T)])
    collector.run_once()
    found = collector.source().gauge_range(DEPTH, {}, ("queue",), T - 300, T, 60.0, "sum")
    assert found == {("q",): [None, None, None, None, 5.0]}


def test_how_far_storing_is_behind_is_known(collector, clock):
    def lag_s() -> dict[tuple[str, ...], float]:
        return collector.source().gauge("huoyan_ingest_lag_seconds", {}, (), clock.at, "max")

    assert lag_s() == {}
    collector.submit([ended("a", T)], received_at=T)
    clock.advance(2.5)
    assert lag_s() == {(): 2.5}
    collector.run_once()
    assert lag_s() == {(): 2.5}
    clock.advance(11.0)
    assert lag_s() == {(): 0.0}
    collector.submit([ended("b", clock.at)])
    clock.advance(30.0)
    assert lag_s() == {(): 30.0}


def test_tasks_that_do_not_run_are_not_written_down_again_and_again(collector, clock, store):
    started = TaskEvent(EventKind.STARTED, "r", T, task="t", worker="w", execution="x", attempt=1)
    sampler = service(collector, "gauges")
    store_events(collector, started)
    sampler.run_once()
    clock.advance(60.0)
    store_events(collector, ended("r", clock.at))
    for _ in range(5):
        sampler.run_once()
        clock.advance(60.0)
    sampler.save()
    assert [minute.last for minute in store.gauges.read(ACTIVE, 0, clock.at)] == [1.0, 0.0]


def test_retention_deletes_what_is_older_and_keeps_the_count_of_running_ones_right(store, clock):
    collector = Collector(store, clock, settings=CollectorSettings(retention_s=3600.0))
    started = TaskEvent(EventKind.STARTED, "stuck", T, task="t", worker="w", execution="x", attempt=1)
    store_events(collector, started, ended("old", T))
    clock.advance(4000.0)
    store_events(collector, ended("new", clock.at))
    assert service(collector, "retention").run_once() == 2
    assert [run.id for run in store.runs.page(RunFilters()).items] == ["new"]
    assert collector.source().gauge(ACTIVE, {}, (), clock.at, "sum") == {(): 0.0}


def test_the_search_index_follows(collector, store):
    store_events(collector, TaskEvent(EventKind.QUEUED, "a", T, task="t", args=["needle"]))
    assert store.runs.page(RunFilters(q="needle")).items == []
    assert service(collector, "search index").run_once() == 1
    assert [run.id for run in store.runs.page(RunFilters(q="needle")).items] == ["a"]


@pytest.mark.parametrize("name", ["liveness", "gauges", "search index", "retention"])
def test_every_service_can_be_called_on_an_empty_store(collector, name):
    one = service(collector, name)
    assert one.interval_s > 0
    one.run_once()
    one.run_once()
