"""Tasks of Taskiq, with their delays, schedules and ends, are runs."""

import asyncio
import datetime
import threading
import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from taskiq import (
    Context,
    InMemoryBroker,
    ScheduledTask,
    ScheduleSource,
    SmartRetryMiddleware,
    TaskiqDepends,
    TaskiqScheduler,
)
from taskiq.api import run_scheduler_task
from taskiq.exceptions import NoResultError
from taskiq.schedule_sources import LabelScheduleSource

import huoyan
from huoyan.client.frameworks.taskiq import readings
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.event import EventKind as K
from huoyan.model.run import RunState
from huoyan.model.schedule import ScheduleKind
from tests.contract.adapters.contract import by_task, only, runs, states
from tests.contract.adapters.taskiq import DelayingBroker, TaskiqAdapter, Worker, make
from tests.integration.taskiq_brokers import RedisStreamBroker
from tests.servers import wait_until

CONTEXT: Any = TaskiqDepends()


def test_coroutines_and_functions_are_told_alike(adapter: TaskiqAdapter, transport: MemoryTransport) -> None:
    async def asynchronous(number: int, password: str = "") -> int:
        huoyan.progress(number, 10)
        return number + 1

    def synchronous(number: int, password: str = "") -> int:
        huoyan.progress(number, 10)
        return number + 1

    sent = [adapter.submit(function, 7, password="hunter2") for function in (asynchronous, synchronous)]
    adapter.work()
    found = by_task(transport)
    assert [found[name][0].id for name in ("asynchronous", "synchronous")] == [task.task_id for task in sent]
    for shown, run in found.values():
        assert (shown.state, shown.result) == (RunState.SUCCEEDED, 8)
        assert (run.args, run.kwargs) == ([7], {"password": "[scrubbed]"})
        assert run.progress is not None
        assert shown.queue == getattr(adapter.broker, "queue_name", "")
        assert shown.enqueued_at is not None
        assert shown.wait_s is not None
        assert 0 <= shown.wait_s < 10
        assert shown.attempts[0].key.startswith("1.")


@pytest.mark.parametrize("kind", ["list", "stream"])
def test_a_worker_reports_its_queue_and_how_many_messages_wait(
    kind: str,
    request: pytest.FixtureRequest,
    client: Client,
    transport: MemoryTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readings, "_READING_INTERVAL_S", 0.02)
    adapter = make(kind, request)
    if isinstance(adapter.broker, RedisStreamBroker):
        adapter.broker.count = 1
    queue = vars(adapter.broker)["queue_name"]
    go = threading.Event()

    def work() -> None:
        assert go.wait(10)

    for _ in range(5):
        adapter.submit(work)

    def depths() -> set[int]:
        assert huoyan.flush(5)
        return {reading.depth for reading in transport.queues if reading.queue == queue}

    with Worker(adapter, max_async_tasks=1):
        # One is executed, and the stream's reader has taken the next.
        wait_until(lambda: min(depths(), default=9) in {3, 4}, 10, lambda: f"a reading of those that wait: {depths()}")
        go.set()
        adapter.settle()
    adapter.close()
    assert transport.reports[-1].queues == [queue]


def test_a_broker_that_ignores_the_delay_makes_nothing_due_later(
    request: pytest.FixtureRequest, client: Client, transport: MemoryTransport
) -> None:
    adapter = make("list", request)

    async def work() -> None: ...

    adapter.delayed(work, 60)
    adapter.work()
    adapter.close()
    shown, _ = only(transport)
    assert (shown.state, shown.eta) == (RunState.SUCCEEDED, None)


def test_a_retry_with_a_delay_is_due_later_and_the_run_keeps_its_first_wait(
    client: Client, transport: MemoryTransport
) -> None:
    adapter = TaskiqAdapter(DelayingBroker(), SmartRetryMiddleware(default_delay=0.3))
    tries: list[float] = []

    async def flaky() -> None:
        tries.append(time.time())
        if len(tries) == 1:
            raise ValueError("not yet")

    adapter.retrying(flaky, 3)
    adapter.work()
    adapter.close()
    shown, _ = only(transport)
    assert states(shown) == ["retrying", "succeeded"]
    assert tries[1] - tries[0] >= 0.29
    assert shown.eta is None
    assert shown.wait_s is not None
    assert shown.wait_s < 0.25
    again = [event for event in transport.events if event.kind is K.SCHEDULED]
    assert [event.attempt for event in again] == [2]
    assert again[0].eta == pytest.approx(again[0].at + 0.3, abs=0.01)
    assert again[0].args is None


class Later(ScheduleSource):
    """A schedule source that keeps what it is given."""

    def __init__(self) -> None:
        self.kept: list[ScheduledTask] = []

    async def add_schedule(self, schedule: ScheduledTask) -> None:
        self.kept.append(schedule)

    async def get_schedules(self) -> list[ScheduledTask]:
        return self.kept


@pytest.mark.parametrize("no_result", [True, False])
def test_a_retry_through_a_schedule_is_an_attempt_of_the_same_run(
    client: Client, transport: MemoryTransport, no_result: bool
) -> None:
    source = Later()
    retries = SmartRetryMiddleware(schedule_source=source, default_delay=0.1, no_result_on_retry=no_result)
    adapter = TaskiqAdapter(InMemoryBroker(), retries)

    async def fails() -> None:
        raise ValueError("always")

    adapter.retrying(fails, 1)
    adapter.work()
    assert only(transport)[0].state is RunState.RETRYING
    adapter.run(TaskiqScheduler(adapter.broker, [source]).on_ready(source, source.kept[0]))
    adapter.work()
    adapter.close()
    shown, run = only(transport)
    assert (shown.state, states(shown)) == (RunState.FAILED, ["retrying", "failed"])
    assert run.labels == {}


def test_what_a_scheduler_sends_says_so(memory: TaskiqAdapter, transport: MemoryTransport) -> None:
    async def nightly() -> None: ...

    source = Later()
    task = memory.task(nightly)
    when = datetime.datetime.now(datetime.UTC)
    schedule = memory.run(task.schedule_by_time(source, when))
    memory.run(TaskiqScheduler(memory.broker, [source]).on_ready(source, source.kept[0]))
    memory.work()
    shown, run = only(transport)
    assert shown.state is RunState.SUCCEEDED
    assert (run.labels["trigger"], run.labels["schedule"]) == ("schedule", schedule.schedule_id)
    assert transport.schedules == []


def test_what_a_scheduler_keeps_is_told(memory: TaskiqAdapter, transport: MemoryTransport) -> None:
    """Schedules whose id Taskiq makes up anew at each start go by the name of their task."""

    async def tick() -> None: ...

    async def nightly() -> None: ...

    broker = memory.broker
    every_second = broker.task("tick", schedule=[{"interval": 1}])(tick)
    at_night = [{"cron": "30 2 * * mon-fri", "cron_offset": "Europe/Berlin", "schedule_id": "night"}]
    broker.task("nightly", schedule=at_night)(nightly)
    scheduler = TaskiqScheduler(broker, [LabelScheduleSource(broker)])

    async def keep() -> None:
        working = asyncio.create_task(run_scheduler_task(scheduler, run_startup=True))
        deadline = asyncio.get_running_loop().time() + 15
        while sum(one.id == "tick" for one in transport.schedules) < 2:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.05)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    memory.run(keep())
    huoyan.unwatch(broker)
    kept = {one.id: one for one in reversed(transport.schedules) if one.enabled}
    assert set(kept) == {every_second.task_name, "night"}
    assert (kept["tick"].kind, kept["tick"].expression) == (ScheduleKind.INTERVAL, "1.0")
    assert (kept["night"].expression, kept["night"].timezone) == ("30 2 * * 1,2,3,4,5", "Europe/Berlin")
    due = datetime.datetime.fromtimestamp(kept["night"].next_due_at or 0, ZoneInfo("Europe/Berlin"))
    assert (due.hour, due.minute, due.weekday() < 5) == (2, 30, True)
    asked = [run.labels for _, run in runs(transport)]
    assert asked
    assert asked[0] == {"trigger": "schedule", "schedule": "tick", "scheduler": kept["tick"].source}
    wait_until(lambda: {one.id for one in transport.schedules if not one.enabled} == {"tick", "night"})


def test_a_task_that_requeues_itself_is_tried_again(adapter: TaskiqAdapter, transport: MemoryTransport) -> None:
    tries: list[int] = []

    async def impatient(context: Context = CONTEXT) -> str:
        tries.append(1)
        if len(tries) < 3:
            adapter.backlog.count += 1
            await context.requeue()
        return "at last"

    adapter.submit(impatient)
    adapter.work()
    shown, _ = only(transport)
    assert (shown.state, shown.result, shown.exception) == (RunState.SUCCEEDED, "at last", None)
    assert states(shown) == ["retrying", "retrying", "succeeded"]
    assert shown.attempts[0].reason == "the task put itself into the queue again"


def test_a_task_that_rejects_its_message_is_rejected(memory: TaskiqAdapter, transport: MemoryTransport) -> None:
    async def picky(context: Context = CONTEXT) -> None:
        context.reject()

    memory.submit(picky)
    memory.work()
    shown, _ = only(transport)
    assert (shown.state, shown.reason) == (RunState.REJECTED, "the task rejected its message")


def test_a_task_that_wants_no_result_has_succeeded(memory: TaskiqAdapter, transport: MemoryTransport) -> None:
    async def modest() -> None:
        raise NoResultError

    memory.submit(modest)
    memory.work()
    shown, _ = only(transport)
    assert (shown.state, shown.result) == (RunState.SUCCEEDED, None)
    assert shown.reason == "the task wants no result to be kept"


def test_over_its_timeout_a_function_fails_although_its_thread_goes_on(
    memory: TaskiqAdapter, transport: MemoryTransport
) -> None:
    go = threading.Event()

    def endless() -> None:
        assert go.wait(20)

    memory.run(memory.task(endless, timeout=0.1).kiq())
    memory.work()
    shown, _ = only(transport)
    go.set()
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert shown.exception.type == "TimeoutError"
    assert shown.duration_s is not None
    assert shown.duration_s < 10


def test_cancelled_with_its_worker_a_run_is_revoked(memory: TaskiqAdapter, transport: MemoryTransport) -> None:
    started = threading.Event()

    async def endless() -> None:
        started.set()
        await asyncio.sleep(60)

    memory.submit(endless)
    assert started.wait(10)
    broker: Any = memory.broker
    (running,) = broker._running_tasks
    memory.loop.call_soon_threadsafe(running.cancel)
    memory.work()
    shown, _ = only(transport)
    assert (shown.state, shown.reason) == (RunState.REVOKED, "cancelled while it ran")


def test_a_dependency_that_fails_fails_the_run(memory: TaskiqAdapter, transport: MemoryTransport) -> None:
    async def connection() -> None:
        raise ConnectionError("database is away")

    async def work(_: None = TaskiqDepends(connection)) -> None: ...

    memory.submit(work)
    memory.work()
    shown, run = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert shown.exception.type == "ConnectionError"
    assert (run.args, run.kwargs) == ([], {})
