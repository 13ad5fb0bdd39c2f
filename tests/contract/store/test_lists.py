"""Lists hold every run that meets the filters once, counts agree with them, and text is found."""

from collections import Counter
from dataclasses import replace

import pytest

from huoyan.errors import InvalidQuery
from huoyan.model.event import EventKind, ExceptionInfo
from huoyan.model.run import RunView
from huoyan.server.store import RunFilters, Store
from tests.contract.store.lives import T, all_ids, event_of, ids_of, life, queued, record

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
def test_pages_hold_every_run_that_meets_the_filters_once_and_newest_first(full, filters):
    store, crowd = full
    expected = [seen for seen in crowd.values() if _meets(seen, filters)]
    found = all_ids(store, filters, 17)
    assert sorted(found) == sorted(seen.id for seen in expected)
    times = [crowd[run_id].enqueued_at for run_id in found]
    assert times == sorted(times, reverse=True)
    assert all_ids(store, filters, 500) == found


@pytest.mark.parametrize("filters", _FILTERS, ids=repr)
def test_counts_are_of_every_run_and_each_facet_ignores_its_own_filter(full, filters):
    store, crowd = full
    counts = store.runs.counts(filters)
    assert counts.exact
    assert counts.total == sum(_meets(seen, filters) for seen in crowd.values())
    for facet in ("state", "task", "queue", "worker", "service", "framework"):
        without = replace(filters, **{facet: ()})
        if facet == "state":
            without = replace(without, active_only=False)
        expected = Counter(str(getattr(seen, facet)) for seen in crowd.values() if _meets(seen, without))
        assert counts[facet] == dict(expected), facet


def test_active_and_ended_at_once_is_nothing(full):
    store, _ = full
    filters = RunFilters(active_only=True, state=("failed",))
    assert store.runs.page(filters).items == []
    assert store.runs.counts(filters).total == 0


def test_a_page_stays_in_place_when_newer_runs_come(store, crowd, clock):
    first = store.runs.page(RunFilters(), 20)
    following = ids_of(store.runs.page(RunFilters(), 20, first.next))
    record(store, life("new", T - 1), clock)
    assert ids_of(store.runs.page(RunFilters(), 20, first.next)) == following
    assert ids_of(store.runs.page(RunFilters(), 1)) == ["new"]


@pytest.mark.parametrize("cursor", ["x", "", "WzEsMl0x", "bnVsbA", "é", "WzEuMCwiYSJd"])
def test_a_malformed_cursor_is_an_invalid_query(store, cursor):
    with pytest.raises(InvalidQuery, match="cursor: expected the `next` of an earlier answer"):
        store.runs.page(RunFilters(), 10, cursor)


def test_a_state_that_does_not_exist_is_an_invalid_query(store):
    for ask in (store.runs.page, store.runs.counts):
        with pytest.raises(InvalidQuery, match=r"state: expected one of scheduled, .*, got 'broken'"):
            ask(RunFilters(state=("broken",)))


def test_a_run_without_a_time_of_being_queued_is_sorted_by_its_start(store, clock):
    record(store, [event_of(EventKind.STARTED, "late", T - 5, task="t"), *life("early", T - 50)], clock)
    assert ids_of(store.runs.page(RunFilters())) == ["late", "early"]


def test_children_are_found_by_their_parent_and_trees_by_their_root(store, clock):
    events = [
        queued("root", T - 50, root_id="root"),
        queued("child-2", T - 30, parent_id="root", root_id="root"),
        queued("child-1", T - 40, parent_id="root", root_id="root"),
        queued("grandchild", T - 20, parent_id="child-1", root_id="root", group_id="g"),
        queued("other", T - 10, root_id="other"),
    ]
    record(store, events, clock)
    assert [run.id for run in store.runs.children("root")] == ["child-1", "child-2"]
    assert ids_of(store.runs.page(RunFilters(root="root"))) == ["grandchild", "child-2", "child-1", "root"]
    assert ids_of(store.runs.page(RunFilters(parent="child-1"))) == ["grandchild"]
    assert ids_of(store.runs.page(RunFilters(group="g"))) == ["grandchild"]
    assert store.runs.counts(RunFilters(root="root")).total == 4


def test_runs_are_loaded_by_id_and_unknown_ids_left_out(store, clock):
    record(store, life("a", T - 9) + life("b", T - 8), clock)
    assert set(store.runs.load(["a", "b", "nothing"])) == {"a", "b"}
    assert store.runs.load([]) == {}
    assert store.runs.get("nothing") is None


def test_what_is_said_twice_changes_nothing(store, clock):
    events = life("a", T - 9, EventKind.FAILED)
    record(store, events, clock)
    before = store.runs.get("a"), store.runs.counts(RunFilters()), store.failures.page()
    for _ in range(2):
        record(store, life("a", T - 9, EventKind.FAILED), clock)
    assert (store.runs.get("a"), store.runs.counts(RunFilters()), store.failures.page()) == before


@pytest.fixture(scope="module")
def library(opened) -> Store:
    """Give a store with three runs that hold text; its tests only read."""
    store = opened()
    events = [
        *life("a1b2c3d4", T - 90, args=[4711, "Anna@example.com"], kwargs={"note": "schöne Grüße 100%_sure"}),
        *life("b", T - 80, args="('Bob', 'quote \" here')", task="mail.send"),
        *life("c", T - 70, EventKind.FAILED, kwargs={"card": "visa"}),
    ]
    record(store, events, store.clock)
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
    assert ids_of(library.runs.page(RunFilters(q=q))) == expected
    assert library.runs.counts(RunFilters(q=q)).total == len(expected)


def test_a_search_is_narrowed_by_the_other_filters(library):
    assert ids_of(library.runs.page(RunFilters(q="orders", state=("failed",)))) == ["c"]
    assert library.runs.counts(RunFilters(q="orders", state=("failed",)))["state"] == {"failed": 1, "succeeded": 1}


def test_text_that_comes_later_is_indexed_once_more(store, clock):
    record(store, [queued("a", T - 9, args=["first"])], clock)
    assert store.texts.index() == 1
    record(store, [event_of(EventKind.FAILED, "a", T - 5, exception=ExceptionInfo("E", "disk full"))], clock)
    assert store.texts.index() == 1
    assert store.texts.index() == 0
    assert ids_of(store.runs.page(RunFilters(q="disk full"))) == ["a"]
    assert ids_of(store.runs.page(RunFilters(q="first"))) == ["a"]
