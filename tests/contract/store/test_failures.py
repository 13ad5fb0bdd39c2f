"""Failures are grouped, and of queues, workers, gaps and gauges there is one truth."""

from huoyan.model.event import EventKind, ExceptionInfo, QueueReading, TaskEvent
from huoyan.server.collect import Collector
from huoyan.server.store import RunFilters, Worker
from huoyan.server.store.gauges import GaugeSample
from tests.contract.store.lives import T, event_of, ids_of, queued, record


def _failed(run_id: str, at: float, message: str, **more) -> list[TaskEvent]:
    failure = ExceptionInfo("ValueError", message, "", fingerprint=f"fp-{message}")
    return [queued(run_id, at - 1, **more), event_of(EventKind.FAILED, run_id, at, exception=failure)]


def test_failures_are_grouped_by_fingerprint_most_frequent_first(store, clock):
    events = [
        *_failed("a", T - 100, "x"),
        *_failed("b", T - 40, "y", task="mail.send", service="mail"),
        *_failed("c", T - 30, "y", task="mail.send", service="mail"),
        *_failed("d", T - 20, "y"),
    ]
    record(store, events, clock)
    first, second = store.failures.page().items
    assert (first.fingerprint, first.type, first.title, first.count) == ("fp-y", "ValueError", "ValueError: y", 3)
    assert (first.first_seen_at, first.last_seen_at, first.last_run_id) == (T - 40, T - 20, "d")
    assert (first.tasks, first.services) == (["mail.send", "orders.pay"], ["mail", "orders"])
    assert sum(count for _, count in first.per_minute) == 3
    assert (second.fingerprint, second.count) == ("fp-x", 1)
    assert store.failures.get("fp-y") == first
    assert store.failures.get("nothing") is None
    assert [g.count for g in store.failures.page(service="mail").items] == [2]
    assert [g.fingerprint for g in store.failures.page(task="orders.pay").items] == ["fp-x", "fp-y"]
    assert [g.fingerprint for g in store.failures.page(q="Error: X").items] == ["fp-x"]
    assert [g.fingerprint for g in store.failures.page(until=T - 70).items] == ["fp-x"]
    assert ids_of(store.runs.page(RunFilters(failure="fp-y"))) == ["d", "c", "b"]
    assert store.runs.counts(RunFilters(failure="fp-y"))["service"] == {"mail": 2, "orders": 1}


def test_groups_page_by_cursor(store, clock):
    events = [event for n in range(7) for m in range(n % 3 + 1) for event in _failed(f"{n}.{m}", T - 50, f"m{n}")]
    record(store, events, clock)
    found = []
    cursor = None
    while True:
        page = store.failures.page(limit=2, cursor=cursor)
        found += [(group.fingerprint, group.count) for group in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == sorted(((f"fp-m{n}", n % 3 + 1) for n in range(7)), key=lambda pair: (-pair[1], pair[0]))


def test_a_run_that_is_corrected_leaves_its_group(store, clock):
    collector = Collector(store, clock)
    collector.submit(
        [
            queued("a", T - 50),
            event_of(EventKind.STARTED, "a", T - 49),
            event_of(EventKind.LOST, "a", T - 9, reason="gone"),
        ]
    )
    collector.run_once()
    (group,) = store.failures.page().items
    assert (group.type, group.title, group.count) == ("lost", "lost: gone", 1)
    collector.submit([event_of(EventKind.SUCCEEDED, "a", T - 5)])
    collector.run_once()
    assert store.failures.page().items == []
    assert ids_of(store.runs.page(RunFilters(failure=group.fingerprint))) == []


def test_the_newest_reading_of_a_queue_stays(store):
    store.queues.record([QueueReading("q", 5, T), QueueReading("q", 9, T - 5), QueueReading("p", 1, T, "s", 2.5)])
    store.queues.record([QueueReading("q", 7, T - 1)])
    found = [(q.service, q.queue, q.depth, q.oldest_age_s, q.read_at) for q in store.queues.list()]
    assert found == [("", "q", 5, None, T), ("s", "p", 1, 2.5, T)]


def test_workers_are_written_over_by_name(store):
    store.workers.save([Worker("b", pid=1), Worker("a", queues=["x", "y"], clock_skew_s=7200.5)])
    store.workers.save([Worker("b", pid=2, state="down")])
    assert [(w.worker, w.pid, w.state) for w in store.workers.list()] == [("a", 0, "up"), ("b", 2, "down")]
    assert store.workers.get("a") == Worker("a", queues=["x", "y"], clock_skew_s=7200.5)
    assert store.workers.get("c") is None


def test_a_source_has_one_open_gap_at_most(store):
    number = store.gaps.open("celery", T, "connection refused")
    assert store.gaps.open("celery", T + 1, "again") == number
    store.gaps.open("other", T + 2, "")
    closed = store.gaps.close("celery", T + 5)
    assert (closed.id, closed.started_at, closed.ended_at, closed.reason) == (number, T, T + 5, "connection refused")
    assert store.gaps.close("celery", T + 6) is None
    assert store.gaps.open("celery", T + 7, "") != number
    assert [(gap.source, gap.ended_at) for gap in store.gaps.list(since=T + 6)] == [("celery", None), ("other", None)]
    assert [gap.source for gap in store.gaps.list(until=T + 1)] == ["celery"]


def test_a_gauge_keeps_the_last_the_lowest_and_the_highest_value_of_a_minute(store):
    minute = T // 60 * 60
    store.gauges.record(
        [GaugeSample("g", (("q", "a"),), minute + at, value) for at, value in ((1, 5.0), (3, 2.0), (2, 9.0))]
    )
    store.gauges.record(
        [GaugeSample("g", (("q", "a"),), minute + 9, 4.0), GaugeSample("g", (("q", "b"),), minute + 70, 1.0)]
    )
    found = [(m.labels, m.minute, m.last, m.low, m.high) for m in store.gauges.read("g", minute, minute + 120)]
    assert found == [({"q": "a"}, minute, 4.0, 2.0, 9.0), ({"q": "b"}, minute + 60, 1.0, 1.0, 1.0)]


def test_counters_of_the_server_add_up_per_minute(store):
    minute = T // 60 * 60
    for _ in range(2):
        store.gauges.count({"events": 3.0, "none": 0.0}, minute + 5)
    assert store.gauges.counted("events", minute, minute + 60) == [(minute, 6.0)]
    assert store.gauges.counted("none", minute, minute + 60) == []
