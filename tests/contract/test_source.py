"""What the running server and the store alone answer to the signals, held against a source that keeps everything.

Windows that lie on the source's grid (5 seconds within the last hour, whole minutes before) are answered exactly, but
for one thing: a correction cannot take back the smallest and the largest value, between which percentiles are kept.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from huoyan.model.event import EventKind, ExceptionInfo, TaskEvent
from huoyan.model.grid import relative_error_bound
from huoyan.model.histogram import DEFAULT_SCHEMA
from huoyan.model.rollup import FactKind, facts_of, series_of
from huoyan.model.run import Run, apply, view
from huoyan.server.collect import Collector
from huoyan.server.store import Store
from huoyan.signals import CATALOGUE, Signal, Source, evaluate, evaluate_range
from huoyan.signals.evaluate import Filter
from huoyan.signals.metrics.work import TASK_DURATION, TASK_FAILURES, TASK_RETRIES, TASK_RUNS, TASK_WAIT, TASKS_ENQUEUED
from huoyan.signals.spec import Quantile
from huoyan.testing.memory_source import MemorySource
from tests.servers import migrated_sqlite

NOW = 1_763_673_300.0
"""A whole minute."""
SPAN_S = 5 * 3600
COUNTED = [signal for signal in CATALOGUE.values() if signal.id.startswith("task_")]


class _Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def _events(numbers: random.Random, run: int) -> list[TaskEvent]:
    """Return the events of one run, somewhere in the hours before now."""
    service = numbers.choice(["orders", "mail"])
    task = f"{service}.{numbers.choice('abc')}"
    queue = numbers.choice(["", "default", "bulk"])
    # Half of them in the last hour, where the grid is finer; no time on the grid itself, nor any two alike.
    reach_s = numbers.choice([SPAN_S - 600, 3000])
    at = NOW - numbers.uniform(60, reach_s)
    events = []

    def add(kind: EventKind, **more: object) -> None:
        said = TaskEvent(kind, f"run-{run}", at, task=task, service=service, queue=queue, source="http", **more)  # type: ignore[arg-type]
        events.append(said)

    add(EventKind.QUEUED)
    for attempt in range(1, numbers.choice([1, 1, 1, 2, 3]) + 1):
        at += numbers.expovariate(1 / 3.0)
        place = {"attempt": attempt, "execution": str(attempt), "worker": "w"}
        add(EventKind.STARTED, **place)
        duration_s = min(numbers.lognormvariate(-1, 1.5), 20.0)
        at += duration_s
        outcome = numbers.choices(
            [EventKind.SUCCEEDED, EventKind.FAILED, EventKind.RETRYING, EventKind.REVOKED], [6, 2, 2, 1]
        )[0]
        exception = None
        if outcome in (EventKind.FAILED, EventKind.RETRYING):
            exception = ExceptionInfo(numbers.choice(["ValueError", "TimeoutError"]))
        add(outcome, duration_s=duration_s, exception=exception, **place)
        if outcome is not EventKind.RETRYING:
            break
    return events


def _remember(source: MemorySource, run: Run) -> None:
    """Count a run the way the reference says, from its final view."""
    seen = view(run)
    labels = series_of(seen)._asdict()
    for fact in facts_of(seen):
        if fact.kind is FactKind.FINISHED:
            source.add(TASK_RUNS, {**labels, "state": fact.label}, fact.at)
        elif fact.kind is FactKind.DURATION:
            source.observe(TASK_DURATION, {**labels, "state": fact.label}, fact.at, fact.value)
        elif fact.kind is FactKind.WAIT:
            source.observe(TASK_WAIT, labels, fact.at, fact.value)
        elif fact.kind is FactKind.EXCEPTION:
            source.add(TASK_FAILURES, {**labels, "exception": fact.label}, fact.at)
        elif fact.kind is FactKind.RETRY:
            source.add(TASK_RETRIES, labels, fact.at)
        elif fact.kind is FactKind.ENQUEUED:
            source.add(TASKS_ENQUEUED, labels, fact.at)


@dataclass
class _Case:
    source: Source
    reference: MemorySource
    grid_s: int


@pytest.fixture(scope="module", params=["live on sqlite", "store on sqlite", "store on postgresql"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Case]:
    if "sqlite" in request.param:
        url = migrated_sqlite(tmp_path_factory.mktemp("source") / "huoyan.db")
    else:
        url = request.getfixturevalue("postgres_server").make_migrated("source")
    clock = _Clock()
    store = Store.open(url, clock)
    # Only what a process lived through is known by 5 seconds.
    clock.at = NOW - 4000
    collector = Collector(store, clock)
    clock.at = NOW
    numbers = random.Random(7)
    runs: dict[str, Run] = {}
    every = [event for run in range(1500) for event in _events(numbers, run)]
    # Any order: what came late corrects what was counted before.
    numbers.shuffle(every)
    for begin in range(0, len(every), 700):
        batch = every[begin : begin + 700]
        submitted = collector.submit(batch, received_at=NOW, source="http")
        collector.run_once()
        assert submitted.result(timeout=10) == len(batch)
        for event in batch:
            runs[event.run_id] = apply(runs.get(event.run_id), event)
    reference = MemorySource()
    for run in runs.values():
        _remember(reference, run)
    live = request.param.startswith("live")
    yield _Case(collector.source() if live else store.source(), reference, 5 if live else 60)
    collector.stop()
    store.close()


def _windows(grid_s: int) -> list[tuple[float, float]]:
    """Return (end, length) of windows on the grid."""
    numbers = random.Random(3)
    windows = [(NOW, 60.0), (NOW, 300.0), (NOW, 3600.0), (NOW, 4 * 3600.0), (NOW - 7200, 1800.0)]
    for _ in range(6):
        length = numbers.randrange(1, 600 // grid_s) * grid_s
        windows.append((NOW - numbers.randrange(0, 2400 // grid_s) * grid_s, float(length)))
    return windows


def _same(signal: Signal, one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    percentile = isinstance(signal.expression, Quantile)
    tolerance = relative_error_bound(DEFAULT_SCHEMA) if percentile else 1e-9
    return abs(one - other) <= tolerance * max(abs(one), abs(other))


def _agree(case: _Case, signal: Signal, at: float, window_s: float, where: Filter, by: tuple[str, ...]) -> None:
    found, expected = (
        evaluate(signal, source, at, window_s, where, by, min_samples=1) for source in (case.source, case.reference)
    )
    assert [item.labels for item in found] == [item.labels for item in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.samples == other.samples, one.labels
        assert _same(signal, one.value, other.value), (one, other)


@pytest.mark.parametrize("signal", COUNTED, ids=lambda signal: signal.id)
def test_a_value_is_exact(case, signal):
    for at, window_s in _windows(case.grid_s):
        for by in (signal.by, (), signal.labels):
            _agree(case, signal, at, window_s, {}, by)


@pytest.mark.parametrize("signal", COUNTED, ids=lambda signal: signal.id)
@pytest.mark.parametrize("where", [{"service": "orders"}, {"task": ("orders.a", "mail.b"), "queue": ""}, {"queue": ()}])
def test_a_filtered_value_is_exact(case, signal, where):
    _agree(case, signal, NOW, 3600.0, where, signal.by)


@pytest.mark.parametrize("signal", COUNTED, ids=lambda signal: signal.id)
@pytest.mark.parametrize(
    ("begin_s", "end_s", "step_s"), [(1800, 0, 60), (2400, 600, 120), (SPAN_S, 0, 900), (4 * 3600, 3600, 300)]
)
def test_a_chart_is_exact(case, signal, begin_s, end_s, step_s):
    def chart(source: Source) -> dict[tuple[tuple[str, str], ...], list[tuple[float, float | None]]]:
        series = evaluate_range(signal, source, NOW - begin_s, NOW - end_s, step_s, min_samples=1, window_s=step_s)
        return {tuple(one.labels.items()): one.points for one in series}

    found, expected = chart(case.source), chart(case.reference)
    assert found.keys() == expected.keys()
    for labels, points in expected.items():
        assert [at for at, _ in found[labels]] == [at for at, _ in points]
        assert all(_same(signal, one, other) for (_, one), (_, other) in zip(found[labels], points, strict=True)), (
            labels
        )
