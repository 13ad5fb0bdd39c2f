"""What is Huey's own: pipelines, retries asked for, cancelling, locks, limits, time-outs, immediate mode, refusals."""

import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from huey import MemoryHuey, SqliteHuey, crontab
from huey.api import chord, group
from huey.exceptions import CancelExecution, RetryTask, TaskTimeout

import huoyan
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.errors import ConfigurationError
from huoyan.model.event import EventKind
from huoyan.model.run import Run, RunState, RunView, apply, view
from huoyan.server.collect.slots import computed_slot
from huoyan.server.store import KnownSchedule
from tests.servers import wait_until


@pytest.fixture
def queue(client: Client) -> Iterator[Any]:
    """Give a watched Huey in memory."""
    made = huoyan.watch(MemoryHuey("mail"))
    yield made
    huoyan.unwatch(made)


def work(huey: Any, rounds: int = 50) -> None:
    """Do what a consumer does, until nothing waits."""
    for _ in range(rounds):
        for task in huey.read_schedule(datetime.datetime.max):  # noqa: DTZ901 - as Huey means it
            task.eta = None
            huey.enqueue(task)
        task = huey.dequeue()
        if task is None and not huey.scheduled_count():
            return
        if task is not None:
            huey.execute(task)


def shown(transport: MemoryTransport) -> dict[str, RunView]:
    """Return what a server would show, by the last part of the task's name."""
    assert huoyan.flush(5)
    runs: dict[str, Run] = {}
    for event in transport.events:
        runs[event.run_id] = apply(runs.get(event.run_id), event)
    return {run.task.rpartition(".")[2]: view(run) for run in runs.values()}


def parents(transport: MemoryTransport) -> dict[str, str | None]:
    """Return the task that started each task, by name."""
    assert huoyan.flush(5)
    names = {event.run_id: event.task.rpartition(".")[2] for event in transport.events}
    return {
        names[event.run_id]: names.get(event.parent_id) if event.parent_id else None
        for event in transport.events
        if event.kind is EventKind.QUEUED
    }


def test_a_task_that_ended_well_has_not_failed_because_its_storage_went_away(
    queue: Any, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise ConnectionError("connection refused")

    @queue.task()
    def paid() -> int:
        monkeypatch.setattr(queue.storage, "delete_data", gone, raising=False)
        monkeypatch.setattr(queue.storage, "pop_data", gone)
        monkeypatch.setattr(queue.storage, "put_data", gone)
        return 7

    paid()
    with pytest.raises(ConnectionError):
        work(queue)
    run = shown(transport)["paid"]
    assert (run.state, run.result, run.exception) == (RunState.SUCCEEDED, 7, None)
    assert run.reason == "it succeeded, and could not be noted: ConnectionError: connection refused"


def test_the_next_step_of_a_pipeline_has_the_one_before_as_parent(queue: Any, transport: MemoryTransport) -> None:
    @queue.task()
    def first(x: int) -> int:
        return x

    @queue.task()
    def second(x: int) -> int:
        return x + 1

    queue.enqueue(first.s(1).then(second))
    work(queue)
    assert shown(transport)["second"].result == 2
    assert parents(transport) == {"first": None, "second": "first"}


def test_the_handler_of_an_error_has_the_failed_task_as_parent(queue: Any, transport: MemoryTransport) -> None:
    @queue.task()
    def fails() -> None:
        raise ValueError("x")

    @queue.task()
    def handler(error: Exception) -> None: ...

    queue.enqueue(fails.s().error(handler))
    work(queue)
    assert parents(transport) == {"fails": None, "handler": "fails"}
    assert shown(transport)["fails"].state is RunState.FAILED


def test_groups_and_chords_are_runs_each(queue: Any, transport: MemoryTransport) -> None:
    @queue.task()
    def part(x: int) -> int:
        return x

    @queue.task()
    def total(parts: list[int]) -> int:
        return sum(parts)

    queue.enqueue(group([part.s(1), part.s(2)]))
    queue.enqueue(chord([part.s(3), part.s(4)], total))
    work(queue)
    assert huoyan.flush(5)
    started = [event.task.rpartition(".")[2] for event in transport.events if event.kind is EventKind.STARTED]
    assert sorted(started) == ["part"] * 4 + ["total"]
    assert shown(transport)["total"].result == 7


def test_a_retry_asked_for_is_no_failure(queue: Any, transport: MemoryTransport) -> None:
    asked: list[int] = []

    @queue.task()
    def later() -> str:
        asked.append(1)
        if len(asked) == 1:
            raise RetryTask("not yet", delay=10)
        return "now"

    later()
    work(queue)
    run = shown(transport)["later"]
    assert (run.state, run.result) == (RunState.SUCCEEDED, "now")
    assert [attempt.state for attempt in run.attempts] == ["retrying", "succeeded"]
    assert run.eta is None, "the ETA of a retry is not that of the run"


def test_a_retry_with_delay_does_not_count_as_waiting(queue: Any, transport: MemoryTransport) -> None:
    @queue.task(retries=1, retry_delay=30)
    def fails() -> None:
        raise ValueError

    fails()
    work(queue)
    run = shown(transport)["fails"]
    assert [attempt.state for attempt in run.attempts] == ["retrying", "failed"]
    assert run.wait_s is not None
    assert run.wait_s < 5


def test_a_task_that_cancels_itself_is_revoked(queue: Any, transport: MemoryTransport) -> None:
    @queue.task()
    def gives_up() -> None:
        raise CancelExecution("nothing to do")

    gives_up()
    work(queue)
    run = shown(transport)["gives_up"]
    assert (run.state, run.reason) == (RunState.REVOKED, "cancelled itself: nothing to do")


def test_a_task_cancelled_by_a_hook_never_started(queue: Any, transport: MemoryTransport) -> None:
    @queue.pre_execute()
    def refuse(task: Any) -> None:
        raise CancelExecution

    @queue.task()
    def never() -> None: ...

    never()
    work(queue)
    run = shown(transport)["never"]
    assert (run.state, run.started_at) == (RunState.REVOKED, None)
    assert "by a hook" in run.reason


def test_a_task_that_finds_its_lock_taken_is_rejected(queue: Any, transport: MemoryTransport) -> None:
    @queue.task()
    def locked() -> None:
        with queue.lock_task("one at a time"):
            raise AssertionError("unreachable")

    queue.lock_task("one at a time").acquire()
    locked()
    work(queue)
    run = shown(transport)["locked"]
    assert run.state is RunState.REJECTED
    assert "one at a time" in run.reason


def test_a_task_over_its_rate_limit_is_rejected_when_it_may_not_wait(queue: Any, transport: MemoryTransport) -> None:
    @queue.task()
    @queue.rate_limit("sms", 1, 60, retry=False)
    def text() -> None: ...

    text()
    text()
    work(queue)
    assert huoyan.flush(5)
    kinds = [event.kind for event in transport.events if event.kind in {EventKind.SUCCEEDED, EventKind.REJECTED}]
    assert kinds == [EventKind.SUCCEEDED, EventKind.REJECTED]


def test_a_time_out_is_a_failure(queue: Any, transport: MemoryTransport) -> None:
    @queue.task(timeout=5)
    def slow() -> None:
        raise TaskTimeout("timeout (5s)")

    slow()
    work(queue)
    run = shown(transport)["slow"]
    assert run.state is RunState.FAILED
    assert run.exception is not None
    assert run.exception.type.endswith("TaskTimeout")


def test_periodic_tasks_say_so(queue: Any, transport: MemoryTransport) -> None:
    @queue.periodic_task(crontab(minute="*"))
    def tidy() -> str:
        return "tidy"

    for task in queue.read_periodic(datetime.datetime(2026, 1, 1)):  # noqa: DTZ001 - as Huey means it
        queue.enqueue(task)
    work(queue)
    assert shown(transport)["tidy"].state is RunState.SUCCEEDED
    queue.enqueue(queue._registry.periodic_tasks[0])

    def asked() -> list[Any]:
        return [event.labels for event in transport.events if event.kind is EventKind.QUEUED]

    wait_until(lambda: len(asked()) == 2)
    kept = transport.schedules[0]
    # What an application enqueues itself was not due.
    assert asked() == [{"trigger": "periodic", "schedule": kept.id, "scheduler": kept.source}, {"trigger": "periodic"}]


def test_periodic_tasks_are_schedules(queue: Any, transport: MemoryTransport) -> None:
    """They are due at the second at which the consumer looks, and in the zone that Huey lives in."""

    @queue.periodic_task(crontab(minute="30", hour="2", day_of_week="1-5"))
    def nightly() -> None: ...

    @queue.periodic_task(crontab(minute="0", hour="0", day="13", day_of_week="5"))
    def friday() -> None: ...

    @queue.periodic_task(lambda moment: moment.minute == 7)
    def seventh() -> None: ...

    looked_at = time.time()
    queue.read_periodic(None)
    wait_until(lambda: len(transport.schedules) == 3)
    kept = {one.name: one for one in transport.schedules}
    assert kept["nightly"].id == f"{__name__}.nightly"
    assert (kept["nightly"].expression, kept["nightly"].timezone) == ("30 2 * * 1,2,3,4,5", "UTC")
    due = kept["nightly"].next_due_at
    assert due is not None
    assert due % 60 == pytest.approx(looked_at % 60, abs=5)
    assert due // 60 * 60 == computed_slot(KnownSchedule("x", expression="30 2 * * 1-5"), looked_at)
    # Cron would take every Friday and every 13th.
    assert computed_slot(KnownSchedule("x", expression=kept["friday"].expression), looked_at) is None
    when = datetime.datetime.fromtimestamp(kept["friday"].next_due_at or 0, datetime.UTC)
    assert (when.day, when.weekday(), when.hour, when.minute) == (13, 4, 0, 0)
    assert (kept["seventh"].expression, kept["seventh"].next_due_at) == ("decided by a function", None)


def test_in_immediate_mode_tasks_are_runs_inside_their_caller(client: Client, transport: MemoryTransport) -> None:
    queue: Any = huoyan.watch(MemoryHuey("now", immediate=True))

    @queue.task()
    def inner(x: int) -> int:
        return x

    @huoyan.task(name="caller")
    def caller() -> int:
        return int(inner(3)())

    assert caller() == 3
    assert shown(transport)["inner"].result == 3
    assert parents(transport) == {"inner": "caller"}


def test_a_task_that_the_storage_refuses_is_dead_and_the_producer_hears_of_it(
    queue: Any, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    @queue.task()
    def unlucky() -> None: ...

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(queue.storage, "enqueue", refuse)
    with pytest.raises(OSError, match="disk full"):
        unlucky()
    run = shown(transport)["unlucky"]
    assert run.state is RunState.DEAD
    assert "disk full" in run.reason


def test_a_result_that_cannot_be_stored_is_a_failure(
    queue: Any, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    @queue.task()
    def makes() -> Callable[[], None]:
        return lambda: None

    makes()
    with pytest.raises(Exception, match="pickle"):
        work(queue)
    run = shown(transport)["makes"]
    assert run.state is RunState.FAILED
    assert run.exception is not None
    assert "pickle" in run.exception.message


def test_times_without_a_zone_are_read_as_the_instance_means_them(
    client: Client, transport: MemoryTransport, tmp_path: Any
) -> None:
    for utc in (True, False):
        queue: Any = huoyan.watch(SqliteHuey(f"q{utc}", filename=str(tmp_path / f"{utc}.db"), utc=utc))
        task = queue.task(name=f"later_{utc}")(lambda: None)
        now = client.clock.now()
        task.schedule(delay=100)
        run = shown(transport)[f"later_{utc}"]
        assert run.state is RunState.SCHEDULED
        assert run.eta is not None
        assert abs(run.eta - now - 100) < 5


def test_unwatching_leaves_nothing_behind(client: Client) -> None:
    queue = MemoryHuey("mail")
    before = dict(vars(queue))
    huoyan.watch(queue)
    huoyan.unwatch(queue)
    assert vars(queue) == before
    assert all(receivers == [] for receivers in queue._signal.receivers.values())


def test_an_instance_that_lacks_what_is_needed_is_refused(client: Client) -> None:
    class Old(MemoryHuey):  # type: ignore[misc]
        read_schedule = None

    with pytest.raises(ConfigurationError, match="read_schedule"):
        huoyan.watch(Old("old"))
