"""What is old is deleted with all that belongs to it, and nothing else is."""

from sqlalchemy import select

from huoyan.model.event import EventKind
from huoyan.model.run import view
from huoyan.server.collect import Collector
from huoyan.server.store import RunFilters, Worker
from huoyan.server.store.gauges import GaugeSample
from huoyan.server.store.schema.figures import minute_rollups
from huoyan.server.store.schema.runs import run_counts, run_states, run_texts, runs, unindexed
from tests.contract.store.lives import DAY_S, T, all_ids, event_of, ids_of, life, queued, record


def test_old_runs_are_deleted_in_batches_with_all_that_belongs_to_them(store, crowd, clock):
    store.texts.index()
    record(store, [queued("unindexed", T - 3999)], clock)
    old = [seen for seen in crowd.values() if seen.enqueued_at < T - 2500]
    deleted = []
    while number := store.runs.delete_before(T - 2500, 60):
        deleted.append(number)
    assert sum(deleted) == len(old) + 1
    assert max(deleted) == 60
    left = {seen.id for seen in crowd.values()} - {seen.id for seen in old}
    assert set(all_ids(store, RunFilters(), 100)) == left
    assert store.runs.counts(RunFilters()).total == len(left)
    with store.engine.connect() as connection:
        numbers = set(connection.execute(select(runs.c.n)).scalars())
        assert set(connection.execute(select(run_states.c.n)).scalars()) == numbers
        assert set(connection.execute(select(run_texts.c.n)).scalars()) <= numbers
        assert set(connection.execute(select(unindexed.c.n)).scalars()) <= numbers
        assert connection.execute(select(run_counts).where(run_counts.c.runs <= 0)).all() == []
    assert ids_of(store.runs.page(RunFilters(q="unindexed"))) == []


def test_a_run_that_was_deleted_starts_over_when_it_is_heard_of_again(store, clock):
    collector = Collector(store, clock)
    collector.submit(life("old", T - DAY_S, None))
    collector.submit(life("other", T - 5))
    collector.run_once()
    assert store.runs.delete_before(T - 10, 100) == 1
    done = collector.submit([event_of(EventKind.SUCCEEDED, "old", T - 1)])
    collector.run_once()
    assert done.result(1) == 1
    assert view(store.runs.get("old")).state == "succeeded"
    assert view(store.runs.get("other")).task == "orders.pay"
    assert store.runs.counts(RunFilters()).total == 2


def test_numbers_of_deleted_runs_are_not_given_again_while_somebody_remembers_them(store, clock):
    collector = Collector(store, clock)
    collector.submit([queued("first", T - DAY_S)])
    collector.run_once()
    assert store.runs.delete_before(T, 100) == 1
    collector.submit([queued("second", T - 5, args=["mine"])])
    collector.run_once()
    collector.submit([event_of(EventKind.STARTED, "first", T - 1)])
    collector.run_once()
    assert store.runs.get("second").args == ["mine"]
    assert {run.id for run in store.runs.page(RunFilters()).items} == {"first", "second"}


def test_rollups_groups_gauges_gaps_and_workers_are_deleted_by_their_age(store, clock):
    record(store, life("old", T - 2 * DAY_S, EventKind.FAILED) + life("new", T - 60, EventKind.FAILED), clock)
    store.gauges.record([GaugeSample("g", (), T - 2 * DAY_S, 1.0), GaugeSample("g", (), T, 2.0)])
    store.gaps.close("a", store.gaps.open("a", T - 2 * DAY_S, "") and T - 2 * DAY_S)
    store.workers.save([Worker("gone", state="down", last_seen_at=T - 2 * DAY_S), Worker("up", last_seen_at=1.0)])
    for kept in (store.rollups, store.failures, store.gauges, store.gaps):
        kept.delete_before(T - DAY_S)
    store.workers.delete_before(closed_before=T - DAY_S, down_before=T - DAY_S)
    assert [minute.last for minute in store.gauges.read("g", 0, T + 60)] == [2.0]
    assert store.gaps.list() == []
    assert [worker.worker for worker in store.workers.list()] == ["up"]
    with store.engine.connect() as connection:
        assert min(connection.execute(select(minute_rollups.c.at)).scalars()) >= T - DAY_S - 60
    (group,) = store.failures.page(since=0).items
    assert sum(count for _, count in group.per_minute) == 1
