"""What the store promises about runs, counts, groups, readings and rollups, on SQLite and PostgreSQL alike."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text

from huoyan.errors import ConfigurationError, InvalidQuery, Unreachable
from huoyan.model.event import EventKind, ExceptionInfo, QueueReading, TaskEvent
from huoyan.model.run import Run, RunView, apply, view
from huoyan.server.collect import Collector, CollectorSettings
from huoyan.server.store import Page, RunFilters, Store, Worker
from huoyan.server.store.codec import decode_run, encode_run
from huoyan.server.store.gauges import GaugeSample
from huoyan.server.store.schema import metadata
from huoyan.server.store.schema.figures import minute_rollups
from huoyan.server.store.schema.runs import run_counts, run_states, run_texts, runs, unindexed
from tests.servers import migrated_sqlite
from tests.servers.postgres import PostgresServer

T = 1_763_673_303.0
DAY_S = 86_400.0


class _Clock:
    def __init__(self, at: float = T) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return migrated_sqlite(tmp_path / "huoyan.db")
    return request.getfixturevalue("migrated_postgres")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'huoyan.db'}"
    return request.getfixturevalue("postgres_database")


@pytest.fixture
def store(url, clock) -> Iterator[Store]:
    opened = Store.open(url, clock)
    yield opened
    opened.close()


def _record(store: Store, events: list[TaskEvent], clock: _Clock) -> None:
    collector = Collector(store, clock)
    done = collector.submit(events, source="http")
    collector.run_once()
    assert done.result(timeout=10) == len(events)


def _queued(run_id: str, at: float, **more) -> TaskEvent:
    return TaskEvent(EventKind.QUEUED, run_id, at, **{"task": "orders.pay", "service": "orders", "queue": "q", **more})


def _on(kind: EventKind, run_id: str, at: float, worker: str = "w1", **more) -> TaskEvent:
    return TaskEvent(kind, run_id, at, worker=worker, execution=f"0.1@{worker}#1", attempt=1, **more)


def _life(
    run_id: str, at: float, end: EventKind | None = EventKind.SUCCEEDED, worker: str = "w1", **more
) -> list[TaskEvent]:
    """Return the events of a run that was queued, started a second later and ended after another one."""
    events = [_queued(run_id, at, **more), _on(EventKind.STARTED, run_id, at + 1, worker)]
    if end is not None:
        exception = ExceptionInfo("ValueError", "no such order") if end is EventKind.FAILED else None
        events.append(_on(end, run_id, at + 2, worker, duration_s=0.9, exception=exception))
    return events


def _ids(page: Page[Run]) -> list[str]:
    return [run.id for run in page.items]


def _all(store: Store, filters: RunFilters, limit: int) -> list[str]:
    """Return the ids of every page."""
    ids: list[str] = []
    cursor = None
    while True:
        page = store.runs.page(filters, limit, cursor)
        assert len(page.items) <= limit
        ids += _ids(page)
        cursor = page.next
        if cursor is None:
            return ids


# Opening.


def test_the_migrations_make_the_tables_that_the_code_knows(empty, clock):
    store = Store.open(empty, clock)
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _: (
                    not (kind == "table" and str(name).startswith("run_fts")) and name != "ix_run_texts_text"
                ),
            },
        )
        assert compare_metadata(context, metadata) == []
    store.close()


def test_what_was_stored_is_there_after_opening_again(url, store, clock):
    _record(store, _life("a", T - 10, args=[1]), clock)
    store.close()
    again = Store.open(url, clock)
    run = again.runs.get("a")
    assert run is not None
    assert run.args == [1]
    again.close()


def test_two_servers_that_open_an_empty_database_at_once_both_can(empty, clock):
    errors: list[BaseException] = []

    def open_one() -> None:
        try:
            Store.open(empty, clock).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []


def test_a_database_of_a_later_version_is_refused(url, store, clock):
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match=r"database_url: expected a database of version .* got '9999'"):
        Store.open(url, clock)


@pytest.mark.parametrize("wrong", ["mysql://host/x", "sqlite://", "sqlite:///:memory:", "not an address"])
def test_an_address_of_another_kind_is_refused_by_name(wrong):
    with pytest.raises(ConfigurationError, match="database_url: expected sqlite:///path/to/file or postgresql://"):
        Store.open(wrong)


def test_a_wrong_address_does_not_print_its_password():
    with pytest.raises(ConfigurationError) as caught:
        Store.open("mysql://ann:geheim@host/x")
    assert "geheim" not in str(caught.value)


def test_a_database_that_does_not_answer_is_unreachable_and_its_password_is_not_printed():
    with pytest.raises(Unreachable) as caught:
        Store.open("postgresql://ann:geheim@127.0.0.1:1/nothing")
    assert "geheim" not in str(caught.value)


def test_a_database_that_is_there_answers(store):
    store.ping()


# Merge states.


def test_every_field_of_a_run_survives_being_written():
    run = None
    for event in [
        _queued(
            "a",
            1.0,
            args=[1, {"x": None}],
            kwargs={"k": "支付"},
            parent_id="p",
            root_id="r",
            group_id="g",
            eta=2.0,
            expires=9.0,
            labels={"l": "v"},
            framework="celery",
        ),
        _on(EventKind.RECEIVED, "a", 2.0),
        _on(EventKind.STARTED, "a", 3.0),
        _on(EventKind.LOST, "a", 4.0, reason="gone"),
        _on(
            EventKind.FAILED,
            "a",
            5.0,
            duration_s=1.5,
            exception=ExceptionInfo("E", "m", "tb", "fp"),
            breakdown={"db": 1},
            cpu_s=0.25,
            peak_memory_bytes=1 << 33,
        ),
        TaskEvent(EventKind.REVOKED, "a", 6.0, reason="by ann"),
        TaskEvent(EventKind.SUCCEEDED, "a", 7.0, worker="w2", result=[1.5, True]),
    ]:
        run = apply(run, event)
    assert run is not None
    assert decode_run(encode_run(run)) == run


@pytest.mark.parametrize("payload", [2**70, {"n": [-(2**65)]}, "half \ud800 a pair", {1: 2}])
def test_a_payload_that_no_format_holds_is_kept_as_text(payload):
    run = apply(None, _queued("a", 1.0, args=payload))
    assert decode_run(encode_run(run)).id == "a"


def test_damaged_bytes_are_told(store):
    with pytest.raises(ValueError, match="run: expected"):
        decode_run(b"\x00damaged")


# Lists.


@pytest.fixture
def crowd(store, clock) -> dict[str, RunView]:
    """Store 400 runs of several services, tasks, queues, workers and states; return what they look like by id."""
    rng = random.Random(2)
    events: list[TaskEvent] = []
    for number in range(400):
        service = rng.choice(["orders", "mail"])
        ends = [EventKind.SUCCEEDED, EventKind.FAILED, EventKind.REVOKED, None]
        events += _life(
            f"run-{number:03}",
            # Several share a time, so that their order needs more than that.
            T - 4000 + rng.randrange(0, 300) * 10,
            rng.choices(ends, [6, 2, 1, 1])[0],
            rng.choice(["w1", "w2", "w3"]),
            service=service,
            task=f"{service}.{rng.choice('abc')}",
            queue=rng.choice(["", "fast", "slow"]),
            framework=rng.choice(["celery", "huey"]),
        )
    _record(store, events, clock)
    found: dict[str, Run] = {}
    for event in events:
        found[event.run_id] = apply(found.get(event.run_id), event)
    return {run_id: view(run) for run_id, run in found.items()}


_FILTERS = [
    RunFilters(),
    RunFilters(state=("failed",)),
    RunFilters(state=("failed", "started")),
    RunFilters(task=("orders.a",)),
    RunFilters(task=("orders.a", "mail.b"), state=("succeeded",)),
    RunFilters(queue=("",)),
    RunFilters(queue=("fast", "slow"), worker=("w2",)),
    RunFilters(worker=("w1", "w3")),
    RunFilters(worker=("w1",), state=("failed",)),
    RunFilters(service=("orders",)),
    RunFilters(service=("mail",), framework=("huey",), state=("succeeded", "revoked")),
    RunFilters(since=T - 3000, until=T - 2000),
    RunFilters(since=T - 3000, until=T - 2000, state=("failed",), service=("orders",)),
    RunFilters(active_only=True),
    RunFilters(task=("nothing",)),
    RunFilters(q="mail.b"),
    RunFilters(q="run-1"),
    RunFilters(q="mail.b", state=("failed",)),
]


def _meets(seen: RunView, filters: RunFilters) -> bool:
    assert seen.enqueued_at is not None
    return (
        all(
            not wanted or getattr(seen, name) in wanted
            for name, wanted in (
                ("state", filters.state),
                ("task", filters.task),
                ("queue", filters.queue),
                ("worker", filters.worker),
                ("service", filters.service),
                ("framework", filters.framework),
            )
        )
        and (filters.since is None or seen.enqueued_at >= filters.since)
        and (filters.until is None or seen.enqueued_at < filters.until)
        and (not filters.active_only or not seen.final)
        and (filters.q is None or seen.id.startswith(filters.q) or filters.q in seen.task)
    )


@pytest.mark.parametrize("filters", _FILTERS, ids=repr)
def test_pages_hold_every_run_that_meets_the_filters_once_and_newest_first(store, crowd, filters):
    expected = [seen for seen in crowd.values() if _meets(seen, filters)]
    found = _all(store, filters, 17)
    assert sorted(found) == sorted(seen.id for seen in expected)
    times = [crowd[run_id].enqueued_at for run_id in found]
    assert times == sorted(times, reverse=True)
    assert _all(store, filters, 500) == found


@pytest.mark.parametrize("filters", _FILTERS, ids=repr)
def test_counts_are_of_every_run_and_each_facet_ignores_its_own_filter(store, crowd, filters):
    counts = store.runs.counts(filters)
    assert counts.exact
    assert counts.total == sum(_meets(seen, filters) for seen in crowd.values())
    for facet in ("state", "task", "queue", "worker", "service", "framework"):
        without = replace(filters, **{facet: ()})
        if facet == "state":
            without = replace(without, active_only=False)
        expected = Counter(str(getattr(seen, facet)) for seen in crowd.values() if _meets(seen, without))
        assert counts[facet] == dict(expected), facet


def test_active_and_ended_at_once_is_nothing(store, crowd):
    filters = RunFilters(active_only=True, state=("failed",))
    assert store.runs.page(filters).items == []
    assert store.runs.counts(filters).total == 0


def test_a_page_stays_in_place_when_newer_runs_come(store, crowd, clock):
    first = store.runs.page(RunFilters(), 20)
    following = _ids(store.runs.page(RunFilters(), 20, first.next))
    _record(store, _life("new", T - 1), clock)
    assert _ids(store.runs.page(RunFilters(), 20, first.next)) == following
    assert _ids(store.runs.page(RunFilters(), 1)) == ["new"]


@pytest.mark.parametrize("cursor", ["x", "", "WzEsMl0x", "bnVsbA", "é", "WzEuMCwiYSJd"])
def test_a_malformed_cursor_is_an_invalid_query(store, cursor):
    with pytest.raises(InvalidQuery, match="cursor: expected the `next` of an earlier answer"):
        store.runs.page(RunFilters(), 10, cursor)


def test_a_state_that_does_not_exist_is_an_invalid_query(store):
    for ask in (store.runs.page, store.runs.counts):
        with pytest.raises(InvalidQuery, match=r"state: expected one of scheduled, .*, got 'broken'"):
            ask(RunFilters(state=("broken",)))


def test_a_run_without_a_time_of_being_queued_is_sorted_by_its_start(store, clock):
    _record(store, [_on(EventKind.STARTED, "late", T - 5, task="t"), *_life("early", T - 50)], clock)
    assert _ids(store.runs.page(RunFilters())) == ["late", "early"]


def test_children_are_found_by_their_parent_and_trees_by_their_root(store, clock):
    events = [
        _queued("root", T - 50, root_id="root"),
        _queued("child-2", T - 30, parent_id="root", root_id="root"),
        _queued("child-1", T - 40, parent_id="root", root_id="root"),
        _queued("grandchild", T - 20, parent_id="child-1", root_id="root", group_id="g"),
        _queued("other", T - 10, root_id="other"),
    ]
    _record(store, events, clock)
    assert [run.id for run in store.runs.children("root")] == ["child-1", "child-2"]
    assert _ids(store.runs.page(RunFilters(root="root"))) == ["grandchild", "child-2", "child-1", "root"]
    assert _ids(store.runs.page(RunFilters(parent="child-1"))) == ["grandchild"]
    assert _ids(store.runs.page(RunFilters(group="g"))) == ["grandchild"]
    assert store.runs.counts(RunFilters(root="root")).total == 4


def test_runs_are_loaded_by_id_and_unknown_ids_left_out(store, clock):
    _record(store, _life("a", T - 9) + _life("b", T - 8), clock)
    assert set(store.runs.load(["a", "b", "nothing"])) == {"a", "b"}
    assert store.runs.load([]) == {}
    assert store.runs.get("nothing") is None


def test_what_is_said_twice_changes_nothing(store, clock):
    events = _life("a", T - 9, EventKind.FAILED)
    _record(store, events, clock)
    before = store.runs.get("a"), store.runs.counts(RunFilters()), store.failures.page()
    for _ in range(2):
        _record(store, _life("a", T - 9, EventKind.FAILED), clock)
    assert (store.runs.get("a"), store.runs.counts(RunFilters()), store.failures.page()) == before


# Search.


@pytest.fixture
def library(store, clock) -> Store:
    events = [
        *_life("a1b2c3d4", T - 90, args=[4711, "Anna@example.com"], kwargs={"note": "schöne Grüße 100%_sure"}),
        *_life("b", T - 80, args="('Bob', 'quote \" here')", task="mail.send"),
        *_life("c", T - 70, EventKind.FAILED, kwargs={"card": "visa"}),
    ]
    _record(store, events, clock)
    store.texts.index()
    return store


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("4711", ["a1b2c3d4"]),
        ("anna@EXAMPLE", ["a1b2c3d4"]),
        ("100%_sure", ["a1b2c3d4"]),
        ("100%sure", []),
        ("Grüße", ["a1b2c3d4"]),
        ('quote \\" here', []),
        ('quote " here', ["b"]),
        ("no such order", ["c"]),
        ("ValueError", ["c"]),
        ("visa", ["c"]),
        ("a1b2c3d4", ["a1b2c3d4"]),
        ("a1b2", ["a1b2c3d4"]),
        ("b", ["b"]),
        ("mail", ["b"]),
        ("MAIL.s", ["b"]),
        ("orders", ["c", "a1b2c3d4"]),
        ("zz", []),
        ("nothing of the kind", []),
        ("' OR 1=1 --", []),
        ("\0", ["c", "b", "a1b2c3d4"]),
    ],
)
def test_text_is_found_in_ids_tasks_arguments_and_exceptions(library, q, expected):
    assert _ids(library.runs.page(RunFilters(q=q))) == expected
    assert library.runs.counts(RunFilters(q=q)).total == len(expected)


def test_a_search_is_narrowed_by_the_other_filters(library):
    assert _ids(library.runs.page(RunFilters(q="orders", state=("failed",)))) == ["c"]
    assert library.runs.counts(RunFilters(q="orders", state=("failed",)))["state"] == {"failed": 1, "succeeded": 1}


def test_text_that_comes_later_is_indexed_once_more(store, clock):
    _record(store, [_queued("a", T - 9, args=["first"])], clock)
    assert store.texts.index() == 1
    _record(store, [_on(EventKind.FAILED, "a", T - 5, exception=ExceptionInfo("E", "disk full"))], clock)
    assert store.texts.index() == 1
    assert store.texts.index() == 0
    assert _ids(store.runs.page(RunFilters(q="disk full"))) == ["a"]
    assert _ids(store.runs.page(RunFilters(q="first"))) == ["a"]


# Retention.


def test_old_runs_are_deleted_in_batches_with_all_that_belongs_to_them(store, crowd, clock):
    store.texts.index()
    _record(store, [_queued("unindexed", T - 3999)], clock)
    old = [seen for seen in crowd.values() if seen.enqueued_at < T - 2500]
    deleted = []
    while number := store.runs.delete_before(T - 2500, 60):
        deleted.append(number)
    assert sum(deleted) == len(old) + 1
    assert max(deleted) == 60
    left = {seen.id for seen in crowd.values()} - {seen.id for seen in old}
    assert set(_all(store, RunFilters(), 100)) == left
    assert store.runs.counts(RunFilters()).total == len(left)
    with store.engine.connect() as connection:
        numbers = set(connection.execute(select(runs.c.n)).scalars())
        assert set(connection.execute(select(run_states.c.n)).scalars()) == numbers
        assert set(connection.execute(select(run_texts.c.n)).scalars()) <= numbers
        assert set(connection.execute(select(unindexed.c.n)).scalars()) <= numbers
        assert connection.execute(select(run_counts).where(run_counts.c.runs <= 0)).all() == []
    assert _ids(store.runs.page(RunFilters(q="unindexed"))) == []


def test_a_run_that_was_deleted_starts_over_when_it_is_heard_of_again(store, clock):
    collector = Collector(store, clock)
    collector.submit(_life("old", T - DAY_S, None))
    collector.submit(_life("other", T - 5))
    collector.run_once()
    assert store.runs.delete_before(T - 10, 100) == 1
    done = collector.submit([_on(EventKind.SUCCEEDED, "old", T - 1)])
    collector.run_once()
    assert done.result(1) == 1
    assert view(store.runs.get("old")).state == "succeeded"
    assert view(store.runs.get("other")).task == "orders.pay"
    assert store.runs.counts(RunFilters()).total == 2


def test_numbers_of_deleted_runs_are_not_given_again_while_somebody_remembers_them(store, clock):
    collector = Collector(store, clock)
    collector.submit([_queued("first", T - DAY_S)])
    collector.run_once()
    assert store.runs.delete_before(T, 100) == 1
    collector.submit([_queued("second", T - 5, args=["mine"])])
    collector.run_once()
    collector.submit([_on(EventKind.STARTED, "first", T - 1)])
    collector.run_once()
    assert store.runs.get("second").args == ["mine"]
    assert {run.id for run in store.runs.page(RunFilters()).items} == {"first", "second"}


def test_rollups_groups_gauges_gaps_and_workers_are_deleted_by_their_age(store, clock):
    _record(store, _life("old", T - 2 * DAY_S, EventKind.FAILED) + _life("new", T - 60, EventKind.FAILED), clock)
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


# Failure groups.


def _failed(run_id: str, at: float, message: str, **more) -> list[TaskEvent]:
    failure = ExceptionInfo("ValueError", message, "", fingerprint=f"fp-{message}")
    return [_queued(run_id, at - 1, **more), _on(EventKind.FAILED, run_id, at, exception=failure)]


def test_failures_are_grouped_by_fingerprint_most_frequent_first(store, clock):
    events = [
        *_failed("a", T - 100, "x"),
        *_failed("b", T - 40, "y", task="mail.send", service="mail"),
        *_failed("c", T - 30, "y", task="mail.send", service="mail"),
        *_failed("d", T - 20, "y"),
    ]
    _record(store, events, clock)
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
    assert _ids(store.runs.page(RunFilters(failure="fp-y"))) == ["d", "c", "b"]
    assert store.runs.counts(RunFilters(failure="fp-y"))["service"] == {"mail": 2, "orders": 1}


def test_groups_page_by_cursor(store, clock):
    events = [event for n in range(7) for m in range(n % 3 + 1) for event in _failed(f"{n}.{m}", T - 50, f"m{n}")]
    _record(store, events, clock)
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
        [_queued("a", T - 50), _on(EventKind.STARTED, "a", T - 49), _on(EventKind.LOST, "a", T - 9, reason="gone")]
    )
    collector.run_once()
    (group,) = store.failures.page().items
    assert (group.type, group.title, group.count) == ("lost", "lost: gone", 1)
    collector.submit([_on(EventKind.SUCCEEDED, "a", T - 5)])
    collector.run_once()
    assert store.failures.page().items == []
    assert _ids(store.runs.page(RunFilters(failure=group.fingerprint))) == []


# Readings, workers, gaps, gauges.


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


# Several at once.


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
    events = [e for n in range(300) for e in _life(f"r{n}", T - 600 + n, rng.choice(ends), task=f"t{n % 3}")]
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
    _record(alone, events, clock)
    assert together == _everything(alone)
    alone.close()
    postgres_server.drop_database("alone")


def test_a_database_that_goes_away_for_a_moment_loses_and_doubles_nothing(clock):
    with PostgresServer() as server:
        store = Store.open(server.make_migrated("huoyan"), clock)
        collector = Collector(store, clock)
        collector.start()
        collector.submit(_life("before", T - 90, EventKind.FAILED)).result(30)
        server.stop()
        with pytest.raises(Unreachable):
            store.ping()
        waiting = [collector.submit(_life(f"r{n}", T - 60 + n, EventKind.FAILED)) for n in range(5)]
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
    events = [e for n in range(200) for e in _life(f"r{n}", T - 600 + n, rng.choice(ends), task=f"t{n % 3}")]
    ordered = Store.open(migrated_sqlite(tmp_path / "ordered.db"), clock)
    _record(ordered, [replace(event) for event in events], clock)
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
