"""The embedded engine, held against sums done by hand."""

import pytest

from huoyan.errors import InvalidQuery
from huoyan.signals import CATALOGUE, Value, evaluate, evaluate_range
from huoyan.signals.metrics.application import DB_QUERY_DURATION
from huoyan.signals.metrics.server import EVENTS_LOST
from huoyan.signals.metrics.work import (
    QUEUE_DEPTH,
    TASK_DURATION,
    TASK_FAILURES,
    TASK_RUNS,
    TASKS_ACTIVE,
    TASKS_ENQUEUED,
    WORKER_UP,
)
from huoyan.signals.spec import Difference, Expression, Increase, Observations, Panel, Signal, Unit
from huoyan.testing.memory_source import MemorySource

PAY = {"service": "orders", "task": "pay", "queue": "default"}
MAIL = {"service": "mail", "task": "send", "queue": "bulk"}


def _runs(
    source: MemorySource, labels: dict[str, str], at: float, succeeded: int = 0, failed: int = 0, revoked: int = 0
) -> None:
    for state, count in (("succeeded", succeeded), ("failed", failed), ("revoked", revoked)):
        if count:
            source.add(TASK_RUNS, {**labels, "state": state}, at, count)


@pytest.fixture
def source():
    return MemorySource()


def test_a_ratio_divides_what_the_window_holds(source):
    _runs(source, PAY, 1000, succeeded=50)
    _runs(source, PAY, 1290, succeeded=15, failed=5, revoked=100)
    answer = evaluate(CATALOGUE["task_failure_ratio"], source, at=1300, window_s=60)
    assert answer == [Value({"service": "orders", "task": "pay"}, 0.25, 20)]


def test_a_window_excludes_its_begin_and_includes_its_end(source):
    _runs(source, PAY, 1000, succeeded=1)
    _runs(source, PAY, 1060, succeeded=2)
    signal = CATALOGUE["task_runs_per_minute"]
    assert [v.value for v in evaluate(signal, source, at=1060, window_s=60)] == [2.0]
    assert [v.value for v in evaluate(signal, source, at=1059, window_s=60)] == [pytest.approx(1.0)]


def test_a_ratio_without_any_failure_is_zero_and_not_unknown(source):
    _runs(source, PAY, 10, succeeded=20)
    assert [v.value for v in evaluate(CATALOGUE["task_failure_ratio"], source, at=20)] == [0.0]


def test_a_division_by_zero_has_no_value(source):
    _runs(source, PAY, 10, revoked=20)
    answer = evaluate(CATALOGUE["task_failure_ratio"], source, at=20, by=(), min_samples=0)
    assert answer == [Value({}, None, 0)]


def test_too_few_samples_have_no_value_but_say_how_many_they_are(source):
    _runs(source, PAY, 10, succeeded=8, failed=1)
    signal = CATALOGUE["task_failure_ratio"]
    assert evaluate(signal, source, at=20) == [Value({"service": "orders", "task": "pay"}, None, 9)]
    assert evaluate(signal, source, at=20, min_samples=9)[0].value == pytest.approx(1 / 9)


def test_without_labels_there_is_one_value_even_when_nothing_happened(source):
    assert evaluate(CATALOGUE["events_lost"], source, at=20) == [Value({}, 0.0, 0)]
    assert evaluate(CATALOGUE["ingest_lag"], source, at=20) == [Value({}, None, 0)]
    assert evaluate(CATALOGUE["task_duration_p95"], source, at=20, by=()) == [Value({}, None, 0)]


def test_a_filter_takes_one_value_or_any_of_several(source):
    _runs(source, PAY, 10, succeeded=1)
    _runs(source, MAIL, 10, succeeded=2)
    signal = CATALOGUE["task_runs_per_minute"]

    def total(**conditions: str | tuple[str, ...]) -> float:
        return sum(v.value or 0 for v in evaluate(signal, source, at=60, window_s=60, where=conditions, by=()))

    assert total(service="orders") == 1
    assert total(service=("orders", "mail")) == 3
    assert total(service="orders", queue="bulk") == 0
    assert total(service=()) == 0


def test_a_filter_narrows_what_the_signal_itself_asks_for(source):
    source.add(TASK_FAILURES, {**PAY, "exception": "ValueError"}, 10, 3)
    source.add(TASK_FAILURES, {**PAY, "exception": "KeyError"}, 10, 2)
    answer = evaluate(CATALOGUE["task_failures"], source, at=20, where={"exception": "KeyError"}, by=("exception",))
    assert answer == [Value({"exception": "KeyError"}, 2.0, 2)]


@pytest.mark.parametrize("arguments", [{"where": {"worker": "a"}}, {"by": ("worker",)}, {"window_s": 0}])
def test_a_question_that_makes_no_sense_is_refused(source, arguments):
    with pytest.raises(InvalidQuery):
        evaluate(CATALOGUE["task_failure_ratio"], source, at=20, **arguments)


def test_a_quantile_is_within_the_resolution_of_the_histogram(source):
    for hundredth in range(1, 101):
        source.observe(TASK_DURATION, {**PAY, "state": "succeeded"}, 10, hundredth / 100)
    (value,) = evaluate(CATALOGUE["task_duration_p95"], source, at=20)
    assert value.samples == 100
    assert value.value == pytest.approx(0.95, rel=0.022)


def test_a_quantile_of_two_groups_is_that_of_all_their_observations(source):
    for _ in range(90):
        source.observe(TASK_DURATION, {**PAY, "state": "succeeded"}, 10, 0.1)
    for _ in range(10):
        source.observe(TASK_DURATION, {**MAIL, "state": "failed"}, 10, 8.0)
    (value,) = evaluate(CATALOGUE["task_duration_p95"], source, at=20, by=())
    assert value.value == pytest.approx(8.0, rel=0.022)


def test_observations_have_a_rate_like_counters(source):
    for at in (1000, 1030, 1060):
        source.observe(DB_QUERY_DURATION, {"service": "orders", "operation": "SELECT", "table": "orders"}, at, 0.1)
    (value,) = evaluate(CATALOGUE["db_queries_per_minute"], source, at=1060, window_s=30, by=("table",))
    assert value == Value({"table": "orders"}, 2.0, 1)


def test_a_gauge_is_absent_while_unknown_and_zero_while_zero(source):
    source.set(QUEUE_DEPTH, {"service": "orders", "queue": "default"}, 10, 0)
    source.set(QUEUE_DEPTH, {"service": "orders", "queue": "bulk"}, 10, 7)
    source.set(QUEUE_DEPTH, {"service": "orders", "queue": "bulk"}, 15, None)
    assert evaluate(CATALOGUE["queue_depth"], source, at=12)[0] == Value({"service": "orders", "queue": "bulk"}, 7.0, 1)
    assert evaluate(CATALOGUE["queue_depth"], source, at=20) == [
        Value({"service": "orders", "queue": "default"}, 0.0, 1)
    ]


def test_gauges_of_one_group_are_added(source):
    source.set(TASKS_ACTIVE, PAY, 10, 2)
    source.set(TASKS_ACTIVE, {**PAY, "queue": "urgent"}, 10, 3)
    assert evaluate(CATALOGUE["tasks_active"], source, at=20) == [Value({"service": "orders", "task": "pay"}, 5.0, 1)]


def test_workers_down_counts_those_that_are_zero(source):
    assert evaluate(CATALOGUE["workers_down"], source, at=20) == [Value({}, None, 0)]
    for worker, up in (("a", 1), ("b", 0), ("c", 0)):
        source.set(WORKER_UP, {"worker": worker}, 10, up)
    assert evaluate(CATALOGUE["workers_down"], source, at=20) == [Value({}, 2.0, 3)]
    assert [v.value for v in evaluate(CATALOGUE["workers_down"], source, at=20, by=("worker",))] == [0.0, 1.0, 1.0]
    source.set(WORKER_UP, {"worker": "b"}, 11, 1)
    source.set(WORKER_UP, {"worker": "c"}, 11, None)
    assert evaluate(CATALOGUE["workers_down"], source, at=20) == [Value({}, 0.0, 2)]


def _backlog(left: Expression, right: Expression) -> Signal:
    return Signal(
        id="backlog",
        title="Backlog",
        title_zh="积压",
        help="Grew.",
        help_zh="增长。",
        unit=Unit.COUNT,
        by=("task",),
        expression=Difference(left, right),
        panel=Panel("tasks"),
        window_s=60,
    )


def test_a_difference_takes_what_was_not_counted_for_zero(source):
    source.add(TASKS_ENQUEUED, PAY, 10, 5)
    source.add(TASKS_ENQUEUED, MAIL, 10, 5)
    _runs(source, PAY, 10, succeeded=3)
    source.observe(TASK_DURATION, {**PAY, "state": "succeeded"}, 10, 1.0)
    answer = evaluate(_backlog(Increase(TASKS_ENQUEUED), Increase(TASK_RUNS)), source, at=20)
    assert [(v.labels["task"], v.value) for v in answer] == [("pay", 2.0), ("send", 5.0)]
    answer = evaluate(_backlog(Increase(TASKS_ENQUEUED), Observations(TASK_DURATION)), source, at=20)
    assert [(v.labels["task"], v.value) for v in answer] == [("pay", 4.0), ("send", 5.0)]


class _Reading(MemorySource):
    reads = 0

    def increase_range(self, *arguments):
        self.reads += 1
        return super().increase_range(*arguments)


def test_a_chart_shows_at_each_point_what_the_signal_was_then():
    source = _Reading()
    _runs(source, PAY, 70, succeeded=1, failed=1)
    _runs(source, PAY, 130, succeeded=3)
    _runs(source, MAIL, 250, succeeded=1, failed=3)
    signal = CATALOGUE["task_failure_ratio"]
    series = evaluate_range(signal, source, 0, 300, 60, window_s=120, min_samples=1)
    assert [s.labels["task"] for s in series] == ["send", "pay"]
    assert source.reads == 2  # one for each counter, however many points
    for one in series:
        assert [at for at, _ in one.points] == [60, 120, 180, 240, 300]
        for at, value in one.points:
            then = evaluate(signal, source, at, 120, where=one.labels, by=(), min_samples=1)[0].value
            assert value == then
    assert [value for _, value in series[1].points] == [None, 0.5, 0.2, 0.0, None]


def test_a_chart_of_a_quantile_covers_its_window_and_merges_the_steps():
    source = MemorySource()
    for at, seconds in ((30, 0.1), (90, 1.0), (150, 10.0)):
        source.observe(TASK_DURATION, {**PAY, "state": "succeeded"}, at, seconds)
    signal = CATALOGUE["task_duration_p50"]
    (series,) = evaluate_range(signal, source, 0, 240, 60, window_s=180)
    for end, value in series.points:
        assert value == evaluate(signal, source, end, 180)[0].value
    assert len(series.points) == 4


def test_a_chart_of_a_gauge_has_holes_where_it_was_unknown():
    source = MemorySource()
    source.set(QUEUE_DEPTH, {"service": "orders", "queue": "bulk"}, 50, 4)
    source.set(QUEUE_DEPTH, {"service": "orders", "queue": "bulk"}, 130, None)
    source.set(QUEUE_DEPTH, {"service": "orders", "queue": "bulk"}, 200, 9)
    (series,) = evaluate_range(CATALOGUE["queue_depth"], source, 0, 240, 60)
    assert series.points == [(60, 4.0), (120, 4.0), (180, None), (240, 9.0)]


def test_a_step_longer_than_the_window_leaves_nothing_out():
    source = MemorySource()
    for at in range(10, 7200, 10):
        source.add(EVENTS_LOST, {}, at)
    (series,) = evaluate_range(CATALOGUE["events_lost"], source, 0, 7200, 3600)
    assert [value for _, value in series.points] == [360.0, 359.0]


def test_a_chart_ends_at_its_end_even_when_the_first_step_is_not_whole():
    (series,) = evaluate_range(CATALOGUE["events_lost"], MemorySource(), 7, 130, 60)
    assert [at for at, _ in series.points] == [70, 130]


@pytest.mark.parametrize(("since", "until", "step_s"), [(0, 60, 0), (0, 60, -1), (60, 0, 10), (0, 1e9, 1)], ids=str)
def test_a_chart_that_cannot_be_drawn_is_refused(since, until, step_s):
    with pytest.raises(InvalidQuery):
        evaluate_range(CATALOGUE["events_lost"], MemorySource(), since, until, step_s)
