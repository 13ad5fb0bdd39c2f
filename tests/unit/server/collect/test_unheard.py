"""What was said while something was missing: nobody is called lost for silence that may only have been unheard."""

import pytest
from hypothesis import given
from hypothesis import settings as chosen
from hypothesis import strategies as st

from huoyan.model.event import EventGap, EventKind, ProcessReport, TaskEvent
from huoyan.model.execution import Execution
from huoyan.model.run import view
from huoyan.server.collect.unheard import missed_in
from huoyan.server.store import Gap
from tests.unit.server.collect.conftest import T
from tests.unit.server.collect.test_liveness import judge, pass_time, state

W = "orders@host-1:42"


def event(kind: EventKind, run_id: str, at: float, source: str = "client") -> TaskEvent:
    return TaskEvent(kind, run_id, at, task="t", worker=W, execution=f"1@{W}", attempt=1, source=source)


def hear(collector, *events: TaskEvent, dropped: int = 0, gaps=(), **more) -> None:
    """Let the process report, with these events and gaps."""
    process = ProcessReport(W, pid=42, interval_s=2.0, dropped=dropped, **more)
    collector.submit(list(events), process=process, gaps=gaps, sent_at=collector._clock.at)
    collector.run_once()


def reason(collector, run_id: str) -> str:
    return view(collector.store.runs.get(run_id)).reason


def gap(started_at: float, ended_at: float, executing: list[str] | None = None) -> EventGap:
    return EventGap(W, started_at, ended_at, 7, executing)


def test_a_run_whose_end_may_have_been_dropped_is_not_called_lost_with_its_process(collector, clock):
    hear(collector, event(EventKind.STARTED, "before", T))
    clock.advance(10)
    hear(collector, event(EventKind.STARTED, "after", T + 9), dropped=7, gaps=[gap(T + 1, T + 5)])
    pass_time(collector, clock, 10)
    assert state(collector, "before") == ("lost", "unknown")
    assert reason(collector, "before") == (
        f"worker {W} is gone, and how this ended may not have been heard (worker {W}: 7 of its events were dropped)"
    )
    # This one began when everything was heard again.
    assert state(collector, "after") == ("lost", "inferred")


def test_a_gap_is_stored_once_however_often_it_is_told_and_grows(collector, clock):
    clock.advance(60)
    for ended_at in (T + 5, T + 5, T + 9):
        hear(collector, gaps=[gap(T + 1, ended_at)])
    hear(collector, gaps=[gap(T + 20, T + 21)])
    found = collector.store.gaps.list()
    assert [(one.source, one.started_at, one.ended_at) for one in found] == [
        (f"worker {W}", T + 20, T + 21),
        (f"worker {W}", T + 1, T + 9),
    ]
    assert collector.store.gaps.list(workers=False) == []


def test_the_times_of_a_gap_are_put_right_with_the_clock_of_its_process(collector, clock):
    clock.advance(60)
    two_hours = 7200.0
    collector.submit(
        [], process=ProcessReport(W), gaps=[gap(T + two_hours, T + two_hours + 5)], sent_at=clock.at + two_hours
    )
    collector.run_once()
    (found,) = collector.store.gaps.list()
    assert (found.started_at, found.ended_at) == (pytest.approx(T), pytest.approx(T + 5))


def test_a_process_that_only_counts_what_it_dropped_gets_a_gap_since_it_was_heard_last(collector, clock):
    hear(collector, event(EventKind.STARTED, "a", T))
    clock.advance(30)
    hear(collector, dropped=3)
    (found,) = collector.store.gaps.list()
    assert (found.source, found.started_at, found.ended_at) == (f"worker {W}", T, T + 30)
    pass_time(collector, clock, 10)
    assert state(collector, "a") == ("lost", "unknown")


def test_what_a_process_does_not_execute_when_it_has_said_everything_ended_in_the_gap(collector, clock):
    started = [event(EventKind.STARTED, name, T) for name in ("ended", "goes-on", "told")]
    hear(collector, *started)
    clock.advance(10)
    later = event(EventKind.STARTED, "later", T + 9)
    hear(collector, later, event(EventKind.SUCCEEDED, "told", T + 8), dropped=7, gaps=[gap(T + 1, T + 5, ["goes-on"])])
    judge(collector)
    assert state(collector, "ended") == ("lost", "unknown")
    assert "executes it no longer; how it ended was not heard" in reason(collector, "ended")
    assert state(collector, "goes-on") == ("started", "reported")
    assert state(collector, "later") == ("started", "reported")
    assert state(collector, "told") == ("succeeded", "reported")
    # The one that goes on was seen after the gap: its end would be heard now.
    pass_time(collector, clock, 10)
    assert state(collector, "goes-on") == ("lost", "inferred")


def test_an_end_that_is_heard_after_all_is_believed(collector, clock):
    hear(collector, event(EventKind.STARTED, "a", T))
    clock.advance(10)
    hear(collector, dropped=7, gaps=[gap(T + 1, T + 5, [])])
    judge(collector)
    assert state(collector, "a") == ("lost", "unknown")
    hear(collector, event(EventKind.SUCCEEDED, "a", T + 2))
    assert state(collector, "a") == ("succeeded", "reported")


def test_a_gap_of_one_process_makes_nobody_else_wait(collector, clock):
    other = TaskEvent(EventKind.STARTED, "other", T, worker="other@host:1", execution="1@other@host:1", attempt=1)
    collector.submit([other], process=ProcessReport("other@host:1", interval_s=2.0))
    collector.run_once()
    clock.advance(5)
    hear(collector, gaps=[gap(T + 1, T + 5)])
    pass_time(collector, clock, 2)
    assert state(collector, "other") == ("lost", "inferred")


def test_a_process_that_is_gone_takes_what_it_executed_along_at_once_even_when_nobody_ever_heard_of_it(
    collector, clock
):
    hear(collector, event(EventKind.STARTED, "known", T))
    stranger = "orders@host-1:43"
    others = [
        TaskEvent(EventKind.STARTED, "unknown", T, worker=stranger, execution=f"1@{stranger}", attempt=1),
        TaskEvent(EventKind.STARTED, "heir", T, worker="orders@host-1:44", execution="1@orders@host-1:44", attempt=1),
    ]
    heir = ProcessReport("orders@host-1:44", pid=44, interval_s=10.0)
    collector.submit(others, process=heir, gone=[W, stranger])
    collector.run_once()
    judge(collector)
    assert state(collector, "known") == ("lost", "inferred")
    assert state(collector, "unknown") == ("lost", "inferred")
    assert reason(collector, "unknown") == f"the process of worker {stranger} is gone"
    assert state(collector, "heir") == ("started", "reported")
    assert collector.store.workers.get(W).state in ("down", "closed")


def test_a_container_that_is_started_again_has_the_same_name_and_number_and_does_not_execute_the_old_runs(
    collector, clock
):
    hear(collector, event(EventKind.STARTED, "old", T), started_at=T - 60)
    clock.advance(3)
    new = event(EventKind.STARTED, "new", T + 2.5)
    hear(collector, new, started_at=T + 2)
    judge(collector)
    assert state(collector, "old") == ("lost", "inferred")
    assert "was started anew" in reason(collector, "old")
    assert state(collector, "new") == ("started", "reported")
    # What the old one had begun may become known only now.
    hear(collector, event(EventKind.STARTED, "late", T - 1), started_at=T + 2)
    for _ in range(15):
        clock.advance(1.0)
        hear(collector, started_at=T + 2)
        judge(collector)
    assert state(collector, "late") == ("lost", "inferred")
    assert state(collector, "new") == ("started", "reported")


def execution(sources: str, seen_at: float) -> Execution:
    return Execution("1@w", worker="w", started_at=0.0, seen_at=seen_at, sources=sources)


def test_a_cut_of_the_stream_hides_what_only_the_stream_would_have_told() -> None:
    cut = Gap(1, "celery redis://host/0", 10.0, 20.0, "connection refused")
    assert missed_in(execution("celery-events", 5.0), [cut]) == cut
    assert missed_in(execution("celery-events", 21.0), [cut]) is None
    # Clients send again what they said meanwhile.
    assert missed_in(execution("celery-events,client", 5.0), [cut]) is None
    assert missed_in(execution("client", 5.0), [Gap(1, "server", 10.0, 20.0, "")]) is None


TIMES = st.floats(0, 100)


@chosen(deadline=None)
@given(TIMES, st.lists(st.tuples(st.sampled_from(["worker w", "worker other", "server"]), TIMES, TIMES), max_size=5))
def test_a_gap_counts_exactly_when_it_is_of_the_worker_and_ends_after_its_last_word(seen_at, spans) -> None:
    cuts = [Gap(n, source, min(a, b), max(a, b), "") for n, (source, a, b) in enumerate(spans)]
    touching = [cut for cut in cuts if cut.source == "worker w" and cut.ended_at >= seen_at]
    found = missed_in(execution("client", seen_at), cuts)
    assert (found in touching) if touching else (found is None)
