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
from apscheduler.triggers.cron import CronTrigger

import huoyan
from huoyan.client.frameworks.apscheduler.expression import cron_expression
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.run import Run, RunState, RunView, apply, view
from huoyan.model.schedule import ScheduleKind, ScheduleReport
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


def test_labels_name_job_trigger_and_schedule(scheduler: Any, transport: MemoryTransport) -> None:
    scheduler.add_job(print, "cron", hour=3, id="nightly", next_run_time=utc_now())
    wait_until(lambda: queued(transport))
    labels = {"job": "nightly", "trigger": "cron[hour='3']", "schedule": "nightly"}
    assert queued(transport)[0].labels == labels


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


def told(transport: MemoryTransport) -> dict[str, ScheduleReport]:
    """Return the newest report of each schedule."""
    assert huoyan.flush(5)
    return {report.id: report for report in transport.schedules}


class TestSchedules:
    """Every job that will be due is told as a schedule, whenever something about it changes."""

    def test_jobs_are_told_with_what_they_run_when_and_where(self, scheduler: Any, transport: MemoryTransport) -> None:
        scheduler.add_job(
            utc_now, "cron", hour=2, minute=30, timezone="Europe/Berlin", id="nightly", misfire_grace_time=300
        )
        scheduler.add_job(utc_now, "interval", seconds=90, timezone="UTC", name="every so often")
        wait_until(lambda: len(told(transport)) == 2)
        nightly, interval = told(transport)["nightly"], told(transport)["every so often"]
        assert (nightly.kind, nightly.expression, nightly.timezone) == (
            ScheduleKind.CRON,
            "30 2 * * *",
            "Europe/Berlin",
        )
        assert (nightly.grace_s, nightly.service, nightly.framework) == (300, "shop", "apscheduler")
        assert nightly.task.endswith("utc_now")
        assert nightly.source == transport.reports[-1].worker
        assert nightly.next_due_at == scheduler.get_job("nightly").next_run_time.timestamp()
        assert (interval.kind, float(interval.expression)) == (ScheduleKind.INTERVAL, 90.0)

    def test_the_next_time_is_told_after_each_run_whose_label_names_the_schedule(
        self, scheduler: Any, transport: MemoryTransport
    ) -> None:
        due = utc_now() + datetime.timedelta(seconds=0.2)
        scheduler.add_job(utc_now, "interval", seconds=600, start_date=due, id="often")
        wait_until(lambda: bool(queued(transport)) and told(transport)["often"].last_run_at is not None)
        assert told(transport)["often"].next_due_at == pytest.approx(due.timestamp() + 600)
        assert (queued(transport)[0].labels or {})["schedule"] == "often"
        assert queued(transport)[0].eta == due.timestamp()

    def test_what_is_taken_out_paused_or_shut_down_is_told_as_such(
        self, scheduler: Any, transport: MemoryTransport
    ) -> None:
        for name in ("removed", "paused", "kept"):
            scheduler.add_job(utc_now, "interval", seconds=600, id=name)
        scheduler.remove_job("removed")
        scheduler.pause_job("paused")
        enabled = {"removed": False, "paused": False, "kept": True}
        wait_until(lambda: {name: one.enabled for name, one in told(transport).items()} == enabled)
        scheduler.pause()
        wait_until(lambda: not told(transport)["kept"].enabled)
        scheduler.resume()
        wait_until(lambda: told(transport)["kept"].enabled)

    def test_what_is_not_watched_any_more_is_not_awaited_either(
        self, scheduler: Any, transport: MemoryTransport
    ) -> None:
        scheduler.add_job(utc_now, "interval", seconds=600, id="kept")
        wait_until(lambda: told(transport)["kept"].enabled)
        huoyan.unwatch(scheduler)
        assert not told(transport)["kept"].enabled

    def test_what_runs_once_and_at_once_is_no_schedule(self, scheduler: Any, transport: MemoryTransport) -> None:
        scheduler.add_job(utc_now)
        scheduler.add_job(utc_now, "date", run_date=utc_now() + datetime.timedelta(hours=1), id="later")
        wait_until(lambda: bool(queued(transport)) and bool(told(transport)))
        assert list(told(transport)) == ["later"]
        assert "schedule" not in (queued(transport)[0].labels or {})

    def test_times_shifted_at_random_are_those_of_the_scheduler(
        self, scheduler: Any, transport: MemoryTransport
    ) -> None:
        due = utc_now() + datetime.timedelta(seconds=0.2)
        scheduler.add_job(utc_now, "interval", seconds=600, jitter=100, next_run_time=due, id="shifted")
        wait_until(lambda: bool(queued(transport)) and told(transport)["shifted"].next_due_at != due.timestamp())
        assert told(transport)["shifted"].next_due_at == scheduler.get_job("shifted").next_run_time.timestamp()
        assert "interval[" in told(transport)["shifted"].expression

    @pytest.mark.parametrize(
        ("fields", "expression"),
        [
            ({"minute": "*/15"}, "0,15,30,45 * * * *"),
            ({"day_of_week": "mon-fri", "hour": 9}, "0 9 * * 1,2,3,4,5"),
            ({"day_of_week": "6", "hour": 9}, "0 9 * * 0"),
            ({"day": "last", "hour": 0}, "0 0 L * *"),
            ({"second": "10-12"}, "10,11,12 * * * * *"),
            ({"month": "1-3/2", "day": 1}, "0 0 1 1,3 *"),
            ({"month": "jan-mar", "day": 1}, "0 0 1 1,2,3 *"),
            ({"day": 13, "day_of_week": "fri"}, None),
            ({"day": "1st mon"}, None),
            ({"week": 3}, None),
            ({"year": 2030}, None),
        ],
    )
    def test_a_cron_trigger_is_told_as_the_expression_that_means_the_same(
        self, fields: dict[str, Any], expression: str | None
    ) -> None:
        assert cron_expression(CronTrigger(timezone="UTC", **fields)) == expression
