"""What the store promises about schedules, on SQLite and PostgreSQL alike, and the service that judges with it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from huoyan.model.event import EventKind, ProcessReport, TaskEvent
from huoyan.model.schedule import ScheduleKind, ScheduleReport, Slot, SlotVerdict
from huoyan.server.collect import Collector
from huoyan.server.collect.schedules import Schedules
from huoyan.server.store import KnownSchedule, Store
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.evaluate import evaluate
from tests.servers import migrated_sqlite

T = 1_763_673_300.0


class _Clock:
    at = T - 30

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path, clock: _Clock) -> Iterator[Store]:
    url = (
        migrated_sqlite(tmp_path / "huoyan.db")
        if request.param == "sqlite"
        else request.getfixturevalue("migrated_postgres")
    )
    opened = Store.open(url, clock)
    yield opened
    opened.close()


def report(at: float = T - 30, due: float | None = T, source: str = "w-1", **fields: object) -> ScheduleReport:
    given = {
        "service": "shop",
        "framework": "apscheduler",
        "task": "shop.report",
        "kind": ScheduleKind.INTERVAL,
        "expression": "60.0",
        "grace_s": 1.0,
        **fields,
    }
    return ScheduleReport(id="nightly", next_due_at=due, source=source, at=at, **given)  # type: ignore[arg-type]


def only(store: Store) -> KnownSchedule:
    (schedule,) = store.schedules.list()
    return schedule


def run(store: Store, clock: _Clock, at: float, eta: float, worker: str = "w-1") -> None:
    collector = Collector(store, clock)
    labels = {"schedule": "nightly"}
    given = {"task": "shop.report", "service": "shop", "framework": "apscheduler", "worker": worker, "labels": labels}
    events = [
        TaskEvent(EventKind.QUEUED, f"run-{eta}-{worker}", at, eta=eta, **given),  # type: ignore[arg-type]
        TaskEvent(EventKind.SUCCEEDED, f"run-{eta}-{worker}", at + 1, duration_s=1.0, execution=worker, **given),  # type: ignore[arg-type]
    ]
    process = ProcessReport(worker, service="shop", framework="apscheduler")
    collector.submit(events, process=process, received_at=max(at + 1, clock.at))
    collector.run_once()


def test_what_is_told_is_kept_and_the_first_due_time_is_awaited(store: Store) -> None:
    assert store.schedules.report([report(name="Nightly", timezone="Europe/Berlin", ends_at=T + 9)], T - 29) == 1
    known = only(store)
    assert (known.name, known.timezone, known.ends_at, known.enabled) == ("Nightly", "Europe/Berlin", T + 9, True)
    assert (known.kind, known.slot_at, known.reported_at, known.heard_at) == (
        ScheduleKind.INTERVAL,
        T,
        T - 30,
        T - 29,
    )
    assert (known.state, known.missed_count, known.last_missed_at) == ("", 0, None)


def test_an_older_word_changes_nothing_and_a_passed_due_time_stays_awaited(store: Store) -> None:
    store.schedules.report([report(T + 1, T + 60), report()], T + 1)
    assert (only(store).next_due_at, only(store).slot_at) == (T + 60, T)
    assert store.schedules.report([report()], T + 2) == 0
    assert only(store).next_due_at == T + 60


def test_a_due_time_that_is_put_off_or_taken_out_before_it_came_is_not_awaited(store: Store) -> None:
    store.schedules.report([report(), report(T - 20, T + 600)], T)
    assert only(store).slot_at == T + 600
    store.schedules.report([report(T - 10, None, enabled=False)], T)
    assert (only(store).slot_at, only(store).enabled) == (None, False)


def test_judging_begins_with_what_is_due_from_then_on(store: Store) -> None:
    """A scheduler with a store of its own may be started after days, and a clock may be years off."""
    store.schedules.report([report(T, T - 3 * 86_400)], T)
    assert (only(store).slot_at, only(store).next_due_at) == (None, T - 3 * 86_400)
    store.schedules.report([report(T + 1, T + 60)], T + 1)
    assert only(store).slot_at == T + 60


def test_one_process_speaks_for_a_schedule_until_it_is_silent_or_gives_it_up(store: Store) -> None:
    store.schedules.report([report()], T - 30)
    assert store.schedules.report([report(T - 20, T + 7, "w-2")], T - 20) == 0
    assert only(store).source == "w-1"
    store.schedules.report([report(T + 200, T + 240, "w-2")], T + 200)
    assert (only(store).source, only(store).slot_at) == ("w-2", T)
    store.schedules.report([report(T + 201, None, "w-2", enabled=False)], T + 201)
    store.schedules.report([report(T + 202, T + 300, "w-1")], T + 202)
    assert (only(store).source, only(store).enabled) == ("w-1", True)


def test_the_first_verdict_on_a_due_time_stays_and_is_counted_once(store: Store) -> None:
    store.schedules.report([report()], T)
    known = only(store)
    missed = Slot(T, SlotVerdict.MISSED, reason="nothing started")
    assert store.schedules.judged(known, [missed], T + 60, T + 31) == [missed]
    assert store.schedules.judged(known, [missed, replace(missed, verdict=SlotVerdict.OK)], T + 60, T + 32) == []
    assert list(store.schedules.slots(known)) == [missed]
    assert (only(store).missed_count, only(store).last_missed_at, only(store).state) == (1, T, "missed")
    assert list(store.schedules.found(SlotVerdict.MISSED, T, T + 31)) == []
    assert list(store.schedules.found(SlotVerdict.MISSED, T, T + 31.5)) == [("shop/nightly", T + 31)]
    late = Slot(T + 60, SlotVerdict.LATE, 12.0, "run-7", "failed")
    store.schedules.judged(only(store), [late], T + 120, T + 90)
    assert (only(store).state, only(store).last_state, only(store).slot_at) == ("late", "failed", T + 120)
    assert store.schedules.delete_before(T + 1) == 1
    assert [slot.at for slot in store.schedules.slots(known)] == [T + 60]


def test_the_service_tells_kept_due_times_from_missed_ones_and_the_signal_counts_them(
    store: Store, clock: _Clock
) -> None:
    service = Schedules(store, clock)
    source = Collector(store, clock).source()
    store.schedules.report([report()], clock.at)
    for at in range(int(T) - 28, int(T) + 200, 4):
        clock.at = float(at)
        if at == int(T):
            run(store, clock, T + 0.1, T)
            store.schedules.report([report(T + 0.1, T + 60)], clock.at)
        service.run_once()
    assert [(slot.at, slot.verdict) for slot in reversed(store.schedules.slots(only(store)))] == [
        (T, SlotVerdict.OK),
        (T + 60, SlotVerdict.MISSED),
        (T + 120, SlotVerdict.MISSED),
        (T + 180, SlotVerdict.MISSED),
    ]
    assert service.counts()["huoyan_schedule_missed_total"] == {"shop/nightly": 3.0}
    assert dict(service.dead()) == {(("schedule", "shop/nightly"),): 1.0}
    (value,) = evaluate(CATALOGUE["schedule_missed"], source, clock.at + 1)
    assert (value.labels, value.value) == ({"schedule": "shop/nightly"}, 3.0)


def test_what_was_due_while_the_server_was_down_is_told_late_or_unknown_but_not_missed(
    store: Store, clock: _Clock
) -> None:
    store.schedules.report([report()], clock.at)
    Schedules(store, clock).run_once()
    clock.at = T + 130
    service = Schedules(store, clock)
    service.run_once()
    (gap,) = store.gaps.list()
    assert (gap.source, gap.started_at, gap.ended_at) == ("server", T - 30, T + 130)
    run(store, clock, T + 0.1, T)
    store.schedules.report([report(T + 125, T + 180)], clock.at)
    while clock.at < T + 240:
        clock.at += 4
        service.run_once()
    slots = list(reversed(store.schedules.slots(only(store))))
    assert [(slot.at, slot.verdict.value) for slot in slots] == [
        (T, "ok"),
        (T + 60, "unknown"),
        (T + 120, "unknown"),
        (T + 180, "missed"),
    ]


def test_a_due_time_that_two_processes_ran_is_doubled(store: Store, clock: _Clock) -> None:
    store.schedules.report([report()], clock.at)
    for worker in ("w-1", "w-2"):
        run(store, clock, T + 0.1, T, worker)
    clock.at = T + 15
    Schedules(store, clock).run_once()
    (slot,) = store.schedules.slots(only(store))
    assert (slot.verdict, slot.reason) == (SlotVerdict.DOUBLED, "started by 2 processes: w-1, w-2")


def test_a_run_that_is_done_in_a_fraction_of_its_usual_time_is_marked_and_counted(store: Store, clock: _Clock) -> None:
    """Each takes 2 s, the eleventh 20 ms; a server that starts anew goes on with what had not ended."""
    collector = Collector(store, clock)
    given = {"task": "shop.report", "service": "shop", "framework": "apscheduler", "worker": "w-1"}
    store.schedules.report([report()], clock.at)
    service = Schedules(store, clock)
    for number in range(11):
        due = T + 60 * number
        store.schedules.report([report(due + 0.1, due + 60)], due + 0.1)
        labels = {"schedule": "nightly"}
        queued = TaskEvent(EventKind.QUEUED, f"run-{number}", due, eta=due, labels=labels, **given)  # type: ignore[arg-type]
        collector.submit([queued], received_at=due)
        collector.run_once()
        clock.at = due + 12
        Schedules(store, clock).run_once()
        took_s = 2.0 if number < 10 else 0.02
        done = TaskEvent(EventKind.SUCCEEDED, f"run-{number}", due + 14, duration_s=took_s, execution="1", **given)  # type: ignore[arg-type]
        collector.submit([done], received_at=due + 14)
        collector.run_once()
        clock.at = due + 15
        service = Schedules(store, clock)
        service.run_once()
    slots = store.schedules.slots(only(store))
    assert [slot.duration_s for slot in slots] == [0.02] + [2.0] * 10
    assert [slot.too_fast for slot in slots] == [True] + [False] * 10
    assert slots[0].reason == "took 0.020 s, usually 2 s or more"
    assert service.counts()["huoyan_schedule_too_fast_total"] == {"shop/nightly": 1.0}
    (value,) = evaluate(CATALOGUE["schedule_too_fast"], collector.source(), clock.at + 1)
    assert (value.labels, value.value) == ({"schedule": "shop/nightly"}, 1.0)
