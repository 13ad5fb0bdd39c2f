"""Whatever happens between collectors and a database, nothing is lost or counted twice."""

import random
import threading
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace

import pytest

from huoyan.errors import Unreachable
from huoyan.model.event import EventKind, TaskEvent
from huoyan.server.collect import Collector, CollectorSettings
from huoyan.server.store import RunFilters, Store
from tests.contract.store.lives import T, life, record
from tests.servers import migrated_sqlite
from tests.servers.postgres import PostgresServer


def _everything(store: Store) -> tuple[object, ...]:
    """Return all that is counted, as it is stored."""
    now = T + 5000
    source = store.source()
    return (
        dict(store.runs.counts(RunFilters())),
        source.increase("huoyan_task_runs_total", {}, ("task", "state"), 0, now),
        source.increase("huoyan_tasks_enqueued_total", {}, ("task",), 0, now),
        {
            key: h.count
            for key, h in source.distribution("huoyan_task_duration_seconds", {}, ("state",), 0, now).items()
        },
        sorted((g.fingerprint, g.count) for g in store.failures.page(since=0, until=now).items),
    )


def test_two_collectors_on_one_database_lose_and_double_nothing(postgres_server, migrated_postgres, clock):
    """Each hears half of what is said of every run, in another order, at the same time."""
    store = Store.open(migrated_postgres, clock)
    rng = random.Random(5)
    ends = [EventKind.SUCCEEDED, EventKind.FAILED]
    events = [e for n in range(300) for e in life(f"r{n}", T - 600 + n, rng.choice(ends), task=f"t{n % 3}")]
    heard: list[list[TaskEvent]] = [[], []]
    for event in events:
        heard[rng.randrange(2)].append(event)
        if rng.random() < 0.3:
            heard[rng.randrange(2)].append(replace(event))
    other = Store.open(migrated_postgres, clock)
    collectors = [Collector(store, clock), Collector(other, clock)]

    def tell(collector: Collector, told: list[TaskEvent]) -> None:
        rng = random.Random(id(collector))
        rng.shuffle(told)
        collector.start()
        for start in range(0, len(told), 40):
            collector.submit([replace(event) for event in told[start : start + 40]]).result(30)
        collector.stop()

    threads = [threading.Thread(target=tell, args=pair) for pair in zip(collectors, heard, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    together = _everything(store)
    other.close()
    store.close()
    alone = Store.open(postgres_server.make_migrated("alone"), clock)
    record(alone, events, clock)
    assert together == _everything(alone)
    alone.close()
    postgres_server.drop_database("alone")


def test_a_database_that_goes_away_for_a_moment_loses_and_doubles_nothing(clock):
    with PostgresServer() as server:
        store = Store.open(server.make_migrated("huoyan"), clock)
        collector = Collector(store, clock)
        collector.start()
        collector.submit(life("before", T - 90, EventKind.FAILED)).result(30)
        server.stop()
        with pytest.raises(Unreachable):
            store.ping()
        waiting = [collector.submit(life(f"r{n}", T - 60 + n, EventKind.FAILED)) for n in range(5)]
        with pytest.raises(NotYet):
            waiting[0].result(0.5)
        server.start()
        assert [future.result(60) for future in waiting] == [3] * 5
        assert store.runs.counts(RunFilters())["state"] == {"failed": 6}
        assert [group.count for group in store.failures.page().items] == [6]
        collector.stop()
        store.close()


@pytest.mark.parametrize("in_hand", [5, 50_000])
def test_any_order_of_batches_gives_the_same_rows_counts_groups_and_rollups(store, clock, tmp_path, in_hand):
    rng = random.Random(9)
    ends = [EventKind.SUCCEEDED, EventKind.FAILED, EventKind.LOST, None]
    events = [e for n in range(200) for e in life(f"r{n}", T - 600 + n, rng.choice(ends), task=f"t{n % 3}")]
    ordered = Store.open(migrated_sqlite(tmp_path / "ordered.db"), clock)
    record(ordered, [replace(event) for event in events], clock)
    told = [*events, *rng.choices(events, k=150)]
    rng.shuffle(told)
    collector = Collector(store, clock, settings=CollectorSettings(live_runs=in_hand))
    for start in range(0, len(told), 37):
        collector.submit([replace(event) for event in told[start : start + 37]])
        collector.run_once()
    assert _everything(store) == _everything(ordered)
    for run in ordered.runs.page(RunFilters(), 500).items:
        assert store.runs.get(run.id) == run
    ordered.close()
