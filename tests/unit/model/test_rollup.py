"""Counting runs: what is counted is what the last view says, however the run got there."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.model.event import EventKind, ExceptionInfo, TaskEvent
from huoyan.model.rollup import Fact, FactKind, Rollup, Series, delta, facts_of, slot_of
from huoyan.model.run import Run, apply, view


def _on(kind: EventKind, at: float, attempt: int = 1, **more: object) -> TaskEvent:
    return TaskEvent(kind, "r", at, attempt=attempt, execution=f"{attempt}@w", worker="w", **more)  # type: ignore[arg-type]


_kinds = st.sampled_from(
    [EventKind.QUEUED, EventKind.STARTED, EventKind.SUCCEEDED, EventKind.FAILED, EventKind.RETRYING, EventKind.LOST]
)
_events = st.builds(
    lambda kind, at, attempt, queue, duration: _on(
        kind,
        float(at),
        attempt,
        task="t",
        queue=queue,
        duration_s=duration,
        exception=ExceptionInfo("E") if kind is EventKind.FAILED else None,
    ),
    _kinds,
    st.integers(0, 200),
    st.integers(1, 3),
    st.sampled_from(["", "fast"]),
    st.sampled_from([None, 0.5, 2.0]),
)


def _counts(rollup: Rollup) -> tuple[object, ...]:
    return (
        rollup.enqueued,
        rollup.started,
        rollup.retries,
        rollup.duplicates,
        rollup.finished,
        rollup.exceptions,
        {state: (h.buckets, h.zero_count) for state, h in rollup.durations.items()},
        None if rollup.waits is None else (rollup.waits.buckets, rollup.waits.zero_count),
    )


@given(st.lists(_events, min_size=1, max_size=10), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_the_sum_of_all_changes_is_what_the_last_view_says(events: list[TaskEvent], rng: random.Random) -> None:
    told = [*events, *rng.choices(events, k=3)]
    rng.shuffle(told)
    rollups: dict[tuple[Series, int], Rollup] = {}
    run: Run | None = None
    before = None
    for event in told:
        run = apply(run, event)
        after = view(run)
        change = delta(before, after)
        for fact in change.added:
            rollups.setdefault((change.after, slot_of(fact.at, 60)), Rollup()).count(fact)
        for fact in change.taken:
            rollups[(change.before, slot_of(fact.at, 60))].subtract(Rollup.of([fact]))
        before = after
    expected: dict[tuple[Series, int], Rollup] = {}
    assert before is not None
    for fact in facts_of(before):
        key = (Series(before.service, before.task, before.queue), slot_of(fact.at, 60))
        expected.setdefault(key, Rollup()).count(fact)
    found = {key: _counts(rollup) for key, rollup in rollups.items() if not rollup.empty}
    assert found == {key: _counts(rollup) for key, rollup in expected.items()}


def test_a_run_is_counted_once_for_each_thing_that_happened_to_it() -> None:
    run = None
    for event in [
        TaskEvent(EventKind.QUEUED, "r", 10.0, task="t"),
        _on(EventKind.STARTED, 12.0),
        _on(EventKind.RETRYING, 13.0, duration_s=1.0, exception=ExceptionInfo("Timeout")),
        _on(EventKind.STARTED, 20.0, 2),
        _on(EventKind.FAILED, 22.0, 2, duration_s=2.0, exception=ExceptionInfo("Timeout")),
    ]:
        run = apply(run, event)
    assert run is not None
    assert facts_of(view(run)) == (
        Fact(FactKind.ENQUEUED, "", 10.0, 0.0, 0),
        Fact(FactKind.WAIT, "", 12.0, 2.0, 0),
        Fact(FactKind.STARTED, "", 12.0, 0.0, 1),
        Fact(FactKind.DURATION, "retrying", 13.0, 1.0, 1),
        Fact(FactKind.RETRY, "", 13.0, 0.0, 1),
        Fact(FactKind.STARTED, "", 20.0, 0.0, 2),
        Fact(FactKind.DURATION, "failed", 22.0, 2.0, 2),
        Fact(FactKind.FINISHED, "failed", 22.0, 0.0, 0),
        Fact(FactKind.EXCEPTION, "Timeout", 22.0, 0.0, 0),
    )


def test_a_lost_run_that_succeeded_after_all_is_taken_back_and_its_success_is_news() -> None:
    run = apply(None, _on(EventKind.STARTED, 10.0))
    run = apply(run, _on(EventKind.LOST, 50.0))
    before = view(run)
    change = delta(before, view(apply(run, _on(EventKind.SUCCEEDED, 12.0, duration_s=2.0))))
    assert change.taken == (Fact(FactKind.FINISHED, "lost", 50.0, 0.0, 0),)
    assert [(fact.kind, fact.label) for fact in change.news] == [
        (FactKind.DURATION, "succeeded"),
        (FactKind.FINISHED, "succeeded"),
    ]


def test_a_better_measurement_and_another_queue_are_no_news() -> None:
    run = apply(None, _on(EventKind.SUCCEEDED, 12.0, duration_s=2.0, task="t"))
    before = view(run)
    better = delta(before, view(apply(run, _on(EventKind.SUCCEEDED, 12.0, duration_s=1.5))))
    assert [fact.value for fact in better.taken] == [2.0]
    assert [fact.value for fact in better.added] == [1.5]
    assert better.news == ()
    before = view(run)
    moved = delta(before, view(apply(run, TaskEvent(EventKind.SCHEDULED, "r", 9.0, queue="fast", attempt=2))))
    assert (moved.before, moved.after) == (Series("", "t", ""), Series("", "t", "fast"))
    assert len(moved.taken) == len(moved.added) == 2
    assert moved.news == ()


def test_what_stays_as_it_is_changes_nothing() -> None:
    run = apply(None, _on(EventKind.STARTED, 10.0))
    before = view(run)
    change = delta(before, view(apply(run, _on(EventKind.STARTED, 10.0))))
    assert (change.taken, change.added, change.news) == ((), (), ())


@pytest.mark.parametrize(("at", "start"), [(60.0, 0), (60.001, 60), (119.9, 60), (120.0, 60), (0.0, -60)])
def test_a_slot_excludes_its_begin_and_includes_its_end(at: float, start: int) -> None:
    assert slot_of(at, 60) == start


def test_rollups_merge_and_subtract_exactly() -> None:
    facts = [Fact(FactKind(kind), "x", 1.0, float(kind + 1), 0) for kind in FactKind for _ in range(kind + 1)]
    whole = Rollup.of(facts)
    half = Rollup.of(facts[::2])
    rest = whole.copy()
    rest.subtract(half)
    rest.merge(half)
    assert _counts(rest) == _counts(whole)
    rest.subtract(whole)
    assert rest.empty
    rest.subtract(whole)
    assert rest.empty


def test_an_execution_after_success_counts_once_whenever_it_is_heard_of() -> None:
    run = apply(None, _on(EventKind.STARTED, 10.0))
    apply(run, _on(EventKind.SUCCEEDED, 11.0))
    once = view(run)
    apply(run, _on(EventKind.STARTED, 20.0, 2))
    twice = view(run)
    apply(run, _on(EventKind.FAILED, 21.0, 2))
    assert Rollup.of(facts_of(once)).duplicates == 0
    assert [fact.kind for fact in delta(once, twice).news] == [FactKind.STARTED, FactKind.DUPLICATE]
    assert Rollup.of(delta(twice, view(run)).added).duplicates == 0
    assert Rollup.of(facts_of(view(run))).finished == {"succeeded": 1}
