"""The merge that makes runs from events, and what people see of them."""

import copy
import random
from itertools import permutations, product
from math import prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.model.event import EventKind, Evidence, ExceptionInfo, Progress, TaskEvent
from huoyan.model.run import Run, RunState, RunView, apply, merge, view

RUN = "3f8a"
WORKER = "celery@host-1"
OTHER = "celery@host-2"


def _or_none(choices: list[Any]) -> list[Any]:
    """Let as many choices be None as are not."""
    return [None] * len(choices) + choices


_TIMES = [1000.0 + step / 4 for step in range(41)]
_TEXTS = ["", "a", "b", "orders.pay", "orders.pay2"]
_PAYLOADS = _or_none([[], [1, 2], [1, 2, 3], "(1, 2)", {"a": 1}, {"a": 1, "b": [2]}, "cut…", 7, True])
_EXECUTIONS = [None, f"0.1@{WORKER}#11", f"0.2@{OTHER}#12", f"1.1@{WORKER}#11"]
_EXCEPTIONS = [
    ExceptionInfo(kind, message, traceback)
    for kind in ("ValueError", "shop.Declined")
    for message in ("", "no", "no money")
    for traceback in ("", "Traceback…", "Traceback… longer")
]
_PROGRESS = [Progress(at, done, note=note) for at in _TIMES for done in (None, 1.0, 2.0) for note in _TEXTS]
_LABELS = [
    {name: text for name, text in (("x", x), ("y", y)) if text is not None}
    for x in (None, *_TEXTS)
    for y in (None, *_TEXTS)
]
_DEPENDENTS = [{"pq"["xy".index(name)]: text for name, text in labels.items()} for labels in _LABELS]
_FIELDS: tuple[dict[str, list[Any]], ...] = (
    {"kind": list(EventKind), **dict.fromkeys(("task", "service", "framework", "queue", "reason"), _TEXTS)},
    {
        "at": _TIMES,
        "eta": _or_none(_TIMES),
        "attempt": [None, 1, 2],
        "execution": _EXECUTIONS,
        "worker": ["", WORKER, OTHER],
        "evidence": list(Evidence),
    },
    {"args": _PAYLOADS, "kwargs": _PAYLOADS, "result": _PAYLOADS, "breakdown": _PAYLOADS},
    {
        "exception": _or_none(_EXCEPTIONS),
        "progress": _or_none(_PROGRESS),
        "labels": _or_none(_LABELS),
        "heartbeat_s": _or_none([1.0, 30.0]),
    },
    {
        "parent_id": _or_none(_TEXTS),
        "root_id": _or_none(_TEXTS),
        "group_id": _or_none(_TEXTS),
        "source": ["celery", "celery-events", "client", "liveness"],
        "expires": _or_none(_TIMES),
    },
    {
        "duration_s": _or_none([-1.0, 0.0, 0.5, 2.0]),
        "cpu_s": _or_none([-1.0, 0.0, 0.25, 1.5]),
        "peak_memory_bytes": _or_none([0, 4096, 1 << 31]),
        "dependents": _or_none(_DEPENDENTS),
        "depends_on": _or_none([[], *(list(names) for length in (1, 2) for names in product("pq", repeat=length))]),
    },
)
"""What each field of an event may be. Hypothesis draws one number for each group of fields, since a draw costs more
than what is done with it; it draws evenly from no more than 2**24 of them."""


@st.composite
def _events(draw: st.DrawFn) -> TaskEvent:
    """Draw any event at all, sensible or not."""
    drawn: dict[str, Any] = {}
    for fields in _FIELDS:
        combinations = prod(map(len, fields.values()))
        assert combinations < 1 << 24
        number = draw(st.integers(0, combinations - 1))
        for name, choices in fields.items():
            number, place = divmod(number, len(choices))
            drawn[name] = choices[place]
    return TaskEvent(run_id=RUN, **drawn)


def _fold(events: list[TaskEvent]) -> Run:
    run = None
    for event in events:
        run = apply(run, copy.deepcopy(event))
    assert run is not None
    return run


def _seen(*events: TaskEvent) -> RunView:
    """Return the view of these events, after checking that no order of them gives another one."""
    expected = view(_fold(list(events)))
    orders = list(permutations(events)) if len(events) <= 5 else []
    rng = random.Random(4)
    orders += [tuple(rng.sample(events, len(events))) for _ in range(30)]
    for order in orders:
        assert view(_fold(list(order))) == expected
    return expected


@given(st.lists(_events(), min_size=1, max_size=12), st.randoms(use_true_random=False))
@settings(max_examples=250, deadline=None)
def test_any_order_and_repetition_of_events_gives_the_same_run(events: list[TaskEvent], rng: random.Random) -> None:
    shuffled = [*events, *rng.choices(events, k=rng.randint(0, 8))]
    rng.shuffle(shuffled)
    assert _fold(shuffled) == _fold(events)
    assert view(_fold(shuffled)) == view(_fold(events))


@given(st.lists(st.tuples(_events(), st.integers(0, 2)), min_size=1, max_size=12), st.permutations([0, 1, 2]))
@settings(max_examples=250, deadline=None)
def test_parts_of_the_events_folded_apart_merge_into_the_same_run(
    parted: list[tuple[TaskEvent, int]], order: list[int]
) -> None:
    whole = _fold([event for event, _ in parted])
    parts = {part: [event for event, place in parted if place == part] for part in range(3)}
    folded = [_fold(parts[part]) for part in order if parts[part]]
    merged = folded[0]
    for part in folded[1:]:
        merged = merge(merged, part)
    assert merged == whole
    assert view(merged) == view(whole)


@given(st.lists(_events(), min_size=1, max_size=8))
@settings(max_examples=120, deadline=None)
def test_a_run_merged_with_itself_stays_what_it_is(events: list[TaskEvent]) -> None:
    run = _fold(events)
    assert merge(copy.deepcopy(run), copy.deepcopy(run)) == run


@given(st.lists(_events(), min_size=1, max_size=8), st.lists(_events(), min_size=1, max_size=8))
@settings(max_examples=120, deadline=None)
def test_merging_is_commutative(left: list[TaskEvent], right: list[TaskEvent]) -> None:
    assert merge(_fold(left), _fold(right)) == merge(_fold(right), _fold(left))


@given(st.lists(_events(), min_size=1, max_size=10))
@settings(max_examples=120, deadline=None)
def test_looking_at_a_run_does_not_change_it(events: list[TaskEvent]) -> None:
    run = _fold(events)
    before = copy.deepcopy(run)
    seen = view(run)
    assert run == before
    assert [attempt.number for attempt in seen.attempts] == list(range(1, len(seen.attempts) + 1))
    assert seen.wait_s is None or seen.wait_s >= 0.0


def test_events_of_another_run_are_refused() -> None:
    run = apply(None, _queued(1.0))
    with pytest.raises(ValueError, match="expected an event of run '3f8a'"):
        apply(run, TaskEvent(EventKind.STARTED, "other", 2.0))
    with pytest.raises(ValueError, match="expected run '3f8a'"):
        merge(run, Run(id="other"))


# What happens to runs.


def _queued(at: float, **more: Any) -> TaskEvent:
    return TaskEvent(EventKind.QUEUED, RUN, at, task="orders.pay", queue="celery", **more)


def _on(
    kind: EventKind, at: float, attempt: int = 1, worker: str = WORKER, delivery: int = 1, **more: Any
) -> TaskEvent:
    """Return an event of one execution on a worker."""
    execution = f"{attempt - 1}.{delivery}@{worker}#11"
    return TaskEvent(kind, RUN, at, attempt=attempt, worker=worker, execution=execution, **more)


def _lost(at: float, **more: Any) -> TaskEvent:
    return _on(EventKind.LOST, at, evidence=Evidence.INFERRED, reason="its worker fell silent", **more)


def test_a_run_that_waits_is_queued() -> None:
    seen = _seen(_queued(10.0))
    assert (seen.state, seen.evidence, seen.enqueued_at, seen.attempts) == (RunState.QUEUED, "reported", 10.0, [])
    assert not seen.final


def test_a_run_with_an_eta_is_scheduled_until_it_starts_and_waits_from_then_on() -> None:
    assert _seen(_queued(10.0, eta=100.0)).state is RunState.SCHEDULED
    assert _seen(_queued(10.0, eta=100.0), _on(EventKind.RECEIVED, 11.0)).state is RunState.SCHEDULED
    seen = _seen(_queued(10.0, eta=100.0), _on(EventKind.RECEIVED, 11.0), _on(EventKind.STARTED, 100.5))
    assert (seen.state, seen.wait_s) == (RunState.STARTED, 0.5)


def test_a_run_delivered_to_a_worker_is_still_queued() -> None:
    seen = _seen(_queued(10.0), _on(EventKind.RECEIVED, 11.0))
    assert (seen.state, seen.worker) == (RunState.QUEUED, WORKER)
    assert seen.attempts[0].state == "queued"


def test_a_successful_run_says_when_where_how_long_and_with_what_result() -> None:
    seen = _seen(
        _queued(10.0),
        _on(EventKind.RECEIVED, 11.0),
        _on(EventKind.STARTED, 12.0),
        _on(EventKind.SUCCEEDED, 13.0, duration_s=0.9, result={"paid": True}),
    )
    assert (seen.state, seen.worker, seen.result) == (RunState.SUCCEEDED, WORKER, {"paid": True})
    assert (seen.started_at, seen.finished_at, seen.duration_s, seen.wait_s) == (12.0, 13.0, 0.9, 2.0)
    assert seen.final


def test_three_retries_then_a_success_are_four_attempts_of_one_successful_run() -> None:
    events = [_queued(10.0)]
    for attempt in (1, 2, 3):
        failure = ExceptionInfo("Timeout", f"try {attempt}")
        events += [
            _on(EventKind.STARTED, 10.0 * attempt + 1, attempt),
            _on(EventKind.RETRYING, 10.0 * attempt + 2, attempt, duration_s=1.0, exception=failure),
            TaskEvent(EventKind.QUEUED, RUN, 10.0 * attempt + 3, attempt=attempt + 1, eta=10.0 * attempt + 9),
        ]
    waiting = _seen(*events)
    assert (waiting.state, waiting.exception) == (RunState.RETRYING, ExceptionInfo("Timeout", "try 3"))
    seen = _seen(*events, _on(EventKind.STARTED, 41.0, 4), _on(EventKind.SUCCEEDED, 42.0, 4, duration_s=1.0))
    assert seen.state is RunState.SUCCEEDED
    assert [attempt.state for attempt in seen.attempts] == ["retrying", "retrying", "retrying", "succeeded"]
    # The waiting and the exceptions of retries are theirs alone.
    assert (seen.enqueued_at, seen.eta, seen.wait_s, seen.exception) == (10.0, None, 1.0, None)


def test_a_retry_that_was_received_again_is_retrying_with_the_exception_of_the_attempt_before() -> None:
    failure = ExceptionInfo("Timeout", "slow")
    seen = _seen(
        _queued(10.0),
        _on(EventKind.STARTED, 11.0),
        _on(EventKind.RETRYING, 12.0, exception=failure),
        _on(EventKind.RECEIVED, 13.0, 2, eta=60.0),
    )
    assert (seen.state, seen.exception) == (RunState.RETRYING, failure)


@pytest.mark.parametrize("parent", [None, "11aa"])
def test_a_run_is_never_its_own_parent(parent: str | None) -> None:
    events = [
        _queued(10.0, parent_id=parent),
        _on(EventKind.STARTED, 11.0),
        _on(EventKind.RETRYING, 12.0),
        _on(EventKind.STARTED, 13.0, 2, parent_id=RUN),
    ]
    assert {_fold(list(order)).parent_id for order in permutations(events)} == {parent}


def test_retries_that_run_out_are_a_failed_run_with_the_last_exception() -> None:
    seen = _seen(
        _queued(10.0),
        _on(EventKind.STARTED, 11.0),
        _on(EventKind.RETRYING, 12.0, exception=ExceptionInfo("Timeout", "first")),
        _on(EventKind.STARTED, 13.0, 2),
        _on(EventKind.FAILED, 14.0, 2, exception=ExceptionInfo("Timeout", "last")),
    )
    assert (seen.state, seen.exception) == (RunState.FAILED, ExceptionInfo("Timeout", "last"))


def test_a_redelivery_after_success_is_a_duplicate_and_the_first_result_stays() -> None:
    seen = _seen(
        _queued(10.0),
        _on(EventKind.STARTED, 11.0),
        _on(EventKind.SUCCEEDED, 12.0, result="first", duration_s=1.0),
        _on(EventKind.STARTED, 20.0, worker=OTHER),
        _on(EventKind.FAILED, 21.0, worker=OTHER, exception=ExceptionInfo("Conflict")),
    )
    assert (seen.state, seen.result, seen.worker, seen.finished_at) == (RunState.SUCCEEDED, "first", WORKER, 12.0)
    assert [(attempt.state, attempt.duplicate) for attempt in seen.attempts] == [("succeeded", False), ("failed", True)]


def test_a_redelivery_to_the_same_worker_is_another_attempt() -> None:
    seen = _seen(_on(EventKind.STARTED, 11.0), _lost(15.0), _on(EventKind.STARTED, 20.0, delivery=2))
    assert (seen.state, [attempt.state for attempt in seen.attempts]) == (RunState.STARTED, ["lost", "started"])


def test_a_run_revoked_before_it_started_is_revoked() -> None:
    revoked = TaskEvent(EventKind.REVOKED, RUN, 12.0, reason="cancelled by ann")
    seen = _seen(_queued(10.0), _on(EventKind.RECEIVED, 11.0), revoked)
    assert (seen.state, seen.reason, seen.finished_at) == (RunState.REVOKED, "cancelled by ann", 12.0)


def test_revoking_a_run_that_is_executed_does_not_stop_it() -> None:
    revoked = TaskEvent(EventKind.REVOKED, RUN, 12.0)
    assert _seen(_queued(10.0), _on(EventKind.STARTED, 11.0), revoked).state is RunState.STARTED
    ended = _on(EventKind.SUCCEEDED, 13.0)
    assert _seen(_queued(10.0), _on(EventKind.STARTED, 11.0), revoked, ended).state is RunState.SUCCEEDED


def test_a_run_terminated_on_its_worker_is_revoked() -> None:
    assert _seen(_on(EventKind.STARTED, 11.0), _on(EventKind.REVOKED, 12.0)).state is RunState.REVOKED


def test_a_run_whose_worker_vanished_is_lost_by_inference_since_then() -> None:
    seen = _seen(_queued(10.0), _on(EventKind.STARTED, 11.0), _lost(40.0))
    assert (seen.state, seen.evidence, seen.finished_at) == (RunState.LOST, "inferred", 40.0)
    assert seen.reason == "its worker fell silent"


def test_a_lost_run_that_is_heard_of_again_is_corrected() -> None:
    alive = _on(EventKind.PROGRESS, 50.0)
    assert _seen(_on(EventKind.STARTED, 11.0), _lost(40.0), alive).state is RunState.STARTED
    again = _lost(90.0)
    assert _seen(_on(EventKind.STARTED, 11.0), _lost(40.0), alive, again).state is RunState.LOST
    ended = _on(EventKind.SUCCEEDED, 30.0, duration_s=19.0)
    assert _seen(_on(EventKind.STARTED, 11.0), _lost(40.0), ended).state is RunState.SUCCEEDED


def test_a_lost_run_that_another_worker_executes_is_started() -> None:
    seen = _seen(_on(EventKind.STARTED, 11.0), _lost(40.0), _on(EventKind.STARTED, 60.0, worker=OTHER))
    assert (seen.state, seen.worker) == (RunState.STARTED, OTHER)


def test_a_run_that_expired_before_anybody_took_it_is_dead() -> None:
    dead = TaskEvent(EventKind.DEAD, RUN, 20.0, evidence=Evidence.INFERRED, reason="expired")
    seen = _seen(_queued(10.0, expires=19.0), dead)
    assert (seen.state, seen.evidence, seen.reason) == (RunState.DEAD, "inferred", "expired")


def test_a_rejected_run_that_comes_back_is_started() -> None:
    rejected = _on(EventKind.REJECTED, 12.0)
    assert _seen(_queued(10.0), rejected).state is RunState.REJECTED
    assert _seen(_queued(10.0), rejected, _on(EventKind.STARTED, 20.0, delivery=2)).state is RunState.STARTED


def test_what_was_reported_outweighs_what_was_inferred() -> None:
    guess = _on(EventKind.SUCCEEDED, 12.0, evidence=Evidence.INFERRED)
    seen = _seen(_on(EventKind.STARTED, 11.0), guess, _on(EventKind.FAILED, 12.0))
    assert (seen.state, seen.evidence) == (RunState.FAILED, "reported")


def test_two_sources_of_one_execution_are_one_attempt() -> None:
    by_hook: dict[str, Any] = {"source": "client", "args": [4711], "service": "orders"}
    by_stream: dict[str, Any] = {"source": "celery-events", "args": "(4711,)", "framework": "celery"}
    seen = _seen(
        _on(EventKind.STARTED, 11.001, **by_hook),
        _on(EventKind.STARTED, 11.0, **by_stream),
        _on(EventKind.SUCCEEDED, 12.0, duration_s=0.95, **by_stream),
        _on(EventKind.SUCCEEDED, 12.001, duration_s=0.94, result={"paid": True}, **by_hook),
    )
    assert (len(seen.attempts), seen.started_at, seen.duration_s) == (1, 11.0, 0.94)
    assert (seen.service, seen.result) == ("orders", {"paid": True})
    run = _fold([_on(EventKind.STARTED, 1.0, **by_hook), _on(EventKind.STARTED, 1.0, **by_stream)])
    assert run.args == [4711]


@pytest.mark.parametrize("order", [("celery", "celery-events"), ("celery-events", "celery")])
def test_a_source_whose_name_is_part_of_another_is_kept(order: tuple[str, str]) -> None:
    run = _fold([_on(EventKind.STARTED, 1.0, source=source) for source in order])
    (execution,) = run.executions.values()
    assert execution.sources == "celery,celery-events"


def test_an_event_that_names_only_the_worker_belongs_to_the_execution_there() -> None:
    seen = _seen(
        _on(EventKind.STARTED, 11.0),
        TaskEvent(EventKind.SUCCEEDED, RUN, 12.0, worker=WORKER, result="done"),
        _on(EventKind.RECEIVED, 9.0, worker=OTHER),
    )
    assert (seen.state, seen.result, len(seen.attempts)) == (RunState.SUCCEEDED, "done", 2)


def test_events_that_name_neither_worker_nor_execution_tell_one_attempt() -> None:
    """A program in another language need not know what an execution is."""
    started = TaskEvent(EventKind.STARTED, RUN, 11.0)
    failure = ExceptionInfo("IOError", "disk full")
    failed = TaskEvent(EventKind.FAILED, RUN, 12.0, exception=failure, duration_s=1.0)
    seen = _seen(_queued(10.0), started, failed)
    assert (seen.state, seen.exception, seen.duration_s, len(seen.attempts)) == (RunState.FAILED, failure, 1.0, 1)
    succeeded = TaskEvent(EventKind.SUCCEEDED, RUN, 12.0, result=42)
    seen = _seen(started, succeeded)
    assert (seen.state, seen.result) == (RunState.SUCCEEDED, 42)


def test_events_without_an_attempt_number_join_the_attempt_that_has_one() -> None:
    seen = _seen(
        TaskEvent(EventKind.RECEIVED, RUN, 10.0, worker=WORKER, attempt=1),
        TaskEvent(EventKind.STARTED, RUN, 11.0, worker=WORKER),
        TaskEvent(EventKind.SUCCEEDED, RUN, 12.0),
    )
    assert (seen.state, len(seen.attempts), seen.worker) == (RunState.SUCCEEDED, 1, WORKER)


def test_a_loss_told_by_somebody_who_knows_no_worker_counts_until_a_later_sign_of_life() -> None:
    lost = TaskEvent(EventKind.LOST, RUN, 40.0, evidence=Evidence.INFERRED, reason="not found in the broker")
    assert _seen(_queued(10.0), lost).state is RunState.LOST
    assert _seen(_queued(10.0), _on(EventKind.STARTED, 11.0), lost).state is RunState.LOST
    assert _seen(_queued(10.0), _on(EventKind.STARTED, 41.0), lost).state is RunState.STARTED


def test_structured_arguments_outweigh_their_text_and_longer_ones_shorter_ones() -> None:
    for payloads in permutations([[1], "[1, 2, 3]", [1, 2]]):
        assert _fold([_queued(1.0, args=payload) for payload in payloads]).args == [1, 2]


def test_progress_is_the_latest() -> None:
    early, late = Progress(11.0, 1, 10), Progress(12.0, 5, 10)
    run = _fold([_on(EventKind.PROGRESS, 12.0, progress=late), _on(EventKind.PROGRESS, 11.0, progress=early)])
    assert run.progress == late
