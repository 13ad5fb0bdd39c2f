"""What is APScheduler's own: run times, executors, shutdown."""

import asyncio
import datetime
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler

import huoyan
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.run import Run, RunState, RunView, apply, view
from tests.servers.waiting import wait_until, wait_until_async


@pytest.fixture
def scheduler(client: Client) -> Iterator[Any]:
    """Give a watched scheduler that executes jobs in the thread that finds them due."""
    made = huoyan.watch(BackgroundScheduler(executors={"default": DebugExecutor()}))
    made.start()
    yield made
    made.shutdown()


def views(transport: MemoryTransport) -> list[RunView]:
    """Return what a server would show, in the order of first mention."""
    assert huoyan.flush(5)
    runs: dict[str, Run] = {}
    for event in transport.events:
        runs[event.run_id] = apply(runs.get(event.run_id), event)
    return [view(run) for run in runs.values()]


def queued(transport: MemoryTransport) -> list[TaskEvent]:
    assert huoyan.flush(5)
    return [event for event in transport.events if event.kind is EventKind.QUEUED]


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def test_each_of_several_due_run_times_is_a_run_with_its_own_eta(scheduler: Any, transport: MemoryTransport) -> None:
    executed: list[int] = []
    begin = utc_now() - datetime.timedelta(seconds=10)
    scheduler.add_job(
        lambda: executed.append(1),
        "interval",
        seconds=2,
        start_date=begin,
        end_date=begin + datetime.timedelta(seconds=9),
        next_run_time=begin,
        coalesce=False,
        misfire_grace_time=5,
        id="catch up",
    )
    wait_until(lambda: len(views(transport)) == 5 and all(run.final for run in views(transport)))
    runs = views(transport)
    assert [run.eta for run in runs] == [begin.timestamp() + 2 * number for number in range(5)]
    states = [run.state for run in runs]
    assert states == [RunState.DEAD] * (5 - len(executed)) + [RunState.SUCCEEDED] * len(executed)
    assert 1 <= len(executed) <= 3


def test_one_misfire_does_not_shift_the_outcomes_of_the_others(scheduler: Any, transport: MemoryTransport) -> None:
    outcomes = iter([None, ValueError("second")])

    def work() -> None:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome

    begin = utc_now() - datetime.timedelta(seconds=8)
    times = {"seconds": 4, "start_date": begin, "end_date": begin + datetime.timedelta(seconds=8)}
    scheduler.add_job(work, "interval", next_run_time=begin, coalesce=False, misfire_grace_time=6, **times)
    wait_until(lambda: len(views(transport)) == 3 and all(run.final for run in views(transport)))
    assert [run.state for run in views(transport)] == [RunState.DEAD, RunState.SUCCEEDED, RunState.FAILED]


def test_labels_name_job_and_trigger(scheduler: Any, transport: MemoryTransport) -> None:
    scheduler.add_job(print, "cron", hour=3, id="nightly", next_run_time=utc_now())
    wait_until(lambda: queued(transport))
    assert queued(transport)[0].labels == {"job": "nightly", "trigger": "cron[hour='3']"}


def test_executors_added_while_it_runs_are_watched(scheduler: Any, transport: MemoryTransport) -> None:
    scheduler.add_executor(ThreadPoolExecutor(1), "late")
    scheduler.add_job(lambda: "done", executor="late", misfire_grace_time=None)
    wait_until(lambda: [run.result for run in views(transport)] == ["done"])


def test_a_run_started_by_a_request_of_another_run_has_no_parent(client: Client, transport: MemoryTransport) -> None:
    """The scheduler wakes up in the context of whoever added a job; that did not start the execution."""

    async def run() -> None:
        scheduler = huoyan.watch(AsyncIOScheduler())
        scheduler.start()

        @huoyan.task(name="adds")
        async def adds() -> None:
            scheduler.add_job(lambda: None, id="added", misfire_grace_time=None)
            await asyncio.sleep(0.05)

        await adds()
        await wait_until_async(lambda: len(views(transport)) == 2 and all(run.final for run in views(transport)))
        scheduler.shutdown()

    asyncio.run(run())
    parents = {event.parent_id for event in transport.events if event.framework == "apscheduler"}
    assert parents == {None}


def test_shutting_down_an_event_loop_scheduler_revokes_coroutines_and_waits_for_no_thread(
    client: Client, transport: MemoryTransport
) -> None:
    release = threading.Event()

    def in_a_thread() -> str:
        release.wait(10)
        return "finished all the same"

    async def in_the_loop() -> None:
        await asyncio.sleep(60)

    async def run() -> None:
        scheduler = huoyan.watch(AsyncIOScheduler())
        scheduler.start()
        scheduler.add_job(in_a_thread, misfire_grace_time=None)
        scheduler.add_job(in_the_loop, misfire_grace_time=None)
        await wait_until_async(lambda: [run.state for run in views(transport)] == [RunState.STARTED] * 2)
        scheduler.shutdown()
        await wait_until_async(lambda: RunState.REVOKED in [run.state for run in views(transport)])
        release.set()
        await wait_until_async(lambda: all(run.final for run in views(transport)))

    asyncio.run(run())
    outcomes = {run.task.rpartition(".")[2]: (run.state, run.result) for run in views(transport)}
    assert outcomes == {
        "in_a_thread": (RunState.SUCCEEDED, "finished all the same"),
        "in_the_loop": (RunState.REVOKED, None),
    }


def test_what_an_executor_refuses_is_dead(client: Client, transport: MemoryTransport) -> None:
    class Full(DebugExecutor):  # type: ignore[misc]
        def _do_submit_job(self, job: Any, run_times: Any) -> None:
            raise RuntimeError("no room")

    scheduler = huoyan.watch(BackgroundScheduler(executors={"default": Full()}))
    scheduler.start()
    scheduler.add_job(lambda: None)
    wait_until(lambda: [run.state for run in views(transport)] == [RunState.DEAD])
    scheduler.shutdown()
    assert "no room" in views(transport)[0].reason


def test_unwatching_leaves_nothing_behind(client: Client) -> None:
    executor = ThreadPoolExecutor(1)
    scheduler = BackgroundScheduler(executors={"default": executor})
    before = dict(vars(executor))
    listeners = list(scheduler._listeners)
    huoyan.watch(scheduler)
    huoyan.unwatch(scheduler)
    assert vars(executor) == before
    assert scheduler._listeners == listeners
