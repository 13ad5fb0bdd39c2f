"""What only Taskiq has, told of its real brokers; what every adapter promises is in `test_adapters`."""

import asyncio
import datetime
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from taskiq import (
    Context,
    InMemoryBroker,
    ScheduledTask,
    ScheduleSource,
    SimpleRetryMiddleware,
    SmartRetryMiddleware,
    TaskiqDepends,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    TaskiqScheduler,
)
from taskiq.api import run_scheduler_task
from taskiq.exceptions import NoResultError, SendTaskError
from taskiq.schedule_sources import LabelScheduleSource
from taskiq_pipelines import Pipeline, PipelineMiddleware

import huoyan
from huoyan.client.frameworks.taskiq import readings
from huoyan.client.frameworks.taskiq.messages import Messages
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.errors import ConfigurationError
from huoyan.model.event import EventKind as K
from huoyan.model.run import Run, RunState, RunView
from huoyan.model.schedule import ScheduleKind
from tests.contract.adapters.contract import only, runs, states
from tests.contract.adapters.taskiq import BROKERS, DelayingBroker, TaskiqAdapter, Worker, make
from tests.integration.taskiq_brokers import PubSubBroker, RedisStreamBroker
from tests.servers import RedisServer, wait_until

CONTEXT: Any = TaskiqDepends()


@pytest.fixture(params=BROKERS)
def adapter(request: pytest.FixtureRequest, client: Client) -> Iterator[TaskiqAdapter]:
    """Give Taskiq over each broker in turn, watched."""
    started = make(request.param, request)
    yield started
    started.close()


@pytest.fixture
def memory(client: Client) -> Iterator[TaskiqAdapter]:
    """Give Taskiq over the broker in memory, for what does not depend on the broker."""
    started = TaskiqAdapter(DelayingBroker())
    yield started
    started.close()


def by_task(transport: MemoryTransport) -> dict[str, tuple[RunView, Run]]:
    """Return the runs by the name of their task, without its number."""
    return {shown.task.rpartition("_")[0]: (shown, run) for shown, run in runs(transport)}


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


class Broken(TaskiqMiddleware):
    """Fails in one of its hooks."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        self.hook = hook

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        return message if self.hook != "pre_execute" else self._fail()

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        if self.hook == "post_execute":
            self._fail()

    def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
        if self.hook == "on_error":
            self._fail()

    def _fail(self) -> Any:
        raise RuntimeError(f"a mistake in {self.hook}")


@pytest.mark.parametrize(
    ("hook", "error"),
    [("pre_execute", "RuntimeError"), ("post_execute", "RuntimeError"), ("on_error", "ValueError")],
)
def test_a_run_that_taskiq_drops_halfway_does_not_seem_to_run_for_ever(
    client: Client, transport: MemoryTransport, hook: str, error: str
) -> None:
    adapter = TaskiqAdapter(InMemoryBroker(), Broken(hook))

    async def work() -> None:
        if hook == "on_error":
            raise ValueError("its own mistake")

    adapter.submit(work)
    wait_until(lambda: all(shown.final for shown, _ in runs(transport)), message="the run to end")
    adapter.close()
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert shown.exception.type == error
    assert client.active == 0


def test_a_wrong_label_that_stops_the_worker_short_fails_the_run(
    memory: TaskiqAdapter, transport: MemoryTransport
) -> None:
    async def work() -> None: ...

    memory.run(memory.task(work, ack_type="sometimes").kiq())
    wait_until(lambda: all(shown.final for shown, _ in runs(transport)), message="the run to end")
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert "Invalid ack_type label" in shown.exception.message


def test_a_message_for_an_unknown_task_is_rejected_by_the_worker(
    request: pytest.FixtureRequest, client: Client, transport: MemoryTransport
) -> None:
    adapter = make("list", request)

    async def work() -> None: ...

    adapter.submit(work)
    adapter.broker.local_task_registry.clear()
    with Worker(adapter):
        wait_until(lambda: any(shown.final for shown, _ in runs(transport)), message="the run to end")
    formatter = adapter.broker.formatter
    adapter.close()
    shown, _ = only(transport)
    assert (shown.state, shown.started_at) == (RunState.REJECTED, None)
    assert shown.reason == "the worker does not know this task and dropped its message"
    assert "loads" not in vars(formatter)
    assert "find_task" not in vars(adapter.broker)


def test_what_the_broker_refuses_was_never_enqueued(memory: TaskiqAdapter, transport: MemoryTransport) -> None:
    async def work() -> None: ...

    task = memory.task(work)
    memory.broker.local_task_registry.clear()
    with pytest.raises(SendTaskError):
        memory.run(task.kiq())
    assert runs(transport) == []


def test_the_steps_of_a_pipeline_are_children_in_a_row(client: Client, transport: MemoryTransport) -> None:
    adapter = TaskiqAdapter(InMemoryBroker(), PipelineMiddleware())

    def first(number: int) -> int:
        return number + 1

    async def second(number: int) -> int:
        return number * 10

    async def third(number: int) -> int:
        return number - 1

    pipeline: Any = Pipeline(adapter.broker, adapter.task(first))
    adapter.run(pipeline.call_next(adapter.task(second)).call_next(adapter.task(third)).kiq(1))
    adapter.work()
    adapter.close()
    found = by_task(transport)
    assert [found[name][0].result for name in ("first", "second", "third")] == [2, 20, 19]
    ids = {name: shown.id for name, (shown, _) in found.items()}
    assert [found[name][1].parent_id for name in ("first", "second", "third")] == [None, ids["first"], ids["second"]]
    assert {found[name][1].root_id for name in ("second", "third")} == {ids["first"]}


def test_what_a_task_sends_has_it_as_parent(adapter: TaskiqAdapter, transport: MemoryTransport) -> None:
    async def leaf() -> None: ...

    async def branch() -> None:
        await adapter.tasks[leaf].kiq()

    async def top() -> None:
        await adapter.tasks[branch].kiq()
        await adapter.tasks[leaf].kiq()

    for function in (leaf, branch):
        adapter.task(function)
    adapter.submit(top)
    adapter.work()
    found = runs(transport)
    ids = {shown.task.rpartition("_")[0]: shown.id for shown, _ in found}
    parents = sorted((shown.task.rpartition("_")[0], run.parent_id or "") for shown, run in found)
    assert parents == sorted([("top", ""), ("branch", ids["top"]), ("leaf", ids["branch"]), ("leaf", ids["top"])])
    assert {run.root_id for _, run in found if run.parent_id} == {ids["top"]}


def test_executed_in_place_one_run_does_not_pass_for_the_parent_of_the_next(
    client: Client, transport: MemoryTransport
) -> None:
    adapter = TaskiqAdapter(InMemoryBroker(await_inplace=True))
    tries: list[int] = []

    async def leaf() -> None: ...

    async def flaky() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")
        await adapter.tasks[leaf].kiq()

    async def modest() -> None:
        raise NoResultError

    async def everything() -> None:
        await adapter.task(leaf).kiq()
        await adapter.task(flaky, retry_on_error=True).kiq()
        await adapter.task(modest).kiq()
        await adapter.tasks[leaf].kiq()

    adapter.run(everything())
    adapter.close()
    found = runs(transport)
    flaky_run = next(shown for shown, _ in found if shown.task.startswith("flaky"))
    assert states(flaky_run) == ["retrying", "retrying", "succeeded"]
    assert sorted(run.parent_id or "" for shown, run in found if shown.task.startswith("leaf")) == [
        "",
        "",
        flaky_run.id,
    ]
    assert next(run for shown, run in found if shown.task.startswith("modest")).parent_id is None
    assert {shown.state for shown, _ in found} == {RunState.SUCCEEDED}


class Slow(TaskiqMiddleware):
    """Takes its time after each task."""

    async def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        await asyncio.sleep(0.3)


def test_the_time_of_other_middlewares_is_not_that_of_the_run(client: Client, transport: MemoryTransport) -> None:
    broker = InMemoryBroker()
    huoyan.watch(broker)
    adapter = TaskiqAdapter(broker, Slow())

    async def work() -> None: ...

    adapter.submit(work)
    adapter.work()
    adapter.close()
    shown, _ = only(transport)
    assert shown.duration_s is not None
    assert shown.duration_s < 0.25


def test_a_function_in_a_process_pool_is_told_like_any_other(
    request: pytest.FixtureRequest, client: Client, transport: MemoryTransport
) -> None:
    adapter = make("list", request)
    sent = [adapter.submit(_in_another_process, number) for number in (4, 0)]
    with Worker(adapter, executor=ProcessPoolExecutor(1)):
        adapter.settle()
    adapter.close()
    found = {shown.id: shown for shown, _ in runs(transport)}
    first, second = (found[task.task_id] for task in sent)
    assert (first.state, first.result) == (RunState.SUCCEEDED, 0.25)
    assert second.state is RunState.FAILED
    assert second.exception is not None
    assert second.exception.type == "ZeroDivisionError"


def _in_another_process(number: int) -> float:
    return 1 / number


def test_a_second_delivery_is_an_attempt_of_its_own(adapter: TaskiqAdapter, transport: MemoryTransport) -> None:
    async def work() -> str:
        return "done"

    task = adapter.task(work)
    for _ in range(2):
        adapter.run(task.kicker().with_task_id("twice").kiq())
    adapter.work()
    shown, _ = only(transport)
    assert states(shown) == ["succeeded", "succeeded"]
    assert [attempt.duplicate for attempt in shown.attempts] == [False, True]


def test_each_worker_that_hears_a_broadcast_makes_an_attempt(
    redis_server: RedisServer, client: Client, transport: MemoryTransport
) -> None:
    adapter = TaskiqAdapter(PubSubBroker(redis_server.url, queue_name=f"q{uuid.uuid4().hex[:8]}"))

    async def work() -> None: ...

    task = adapter.task(work)
    with Worker(adapter), Worker(adapter):
        listeners = f"PUBSUB NUMSUB {vars(adapter.broker)['queue_name']}".split()
        wait_until(lambda: _second_line(redis_server, *listeners) == ":2", message="both to listen")
        adapter.run(task.kiq())
        wait_until(lambda: adapter.backlog.count == -1, message="both to have executed it")
    adapter.close()
    shown, _ = only(transport)
    assert states(shown) == ["succeeded", "succeeded"]


def _second_line(redis: RedisServer, *words: str) -> str:
    import socket

    with socket.create_connection(("127.0.0.1", redis.port), timeout=5) as connection:
        parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        connection.sendall(f"*{len(words)}\r\n{parts}".encode())
        return connection.recv(4096).decode().split("\r\n")[3]


def test_unwatching_leaves_the_middlewares_of_the_broker_as_they_were(client: Client) -> None:
    broker = InMemoryBroker()
    broker.add_middlewares(SimpleRetryMiddleware())
    before = list(broker.middlewares)
    huoyan.watch(broker)
    huoyan.watch(broker)
    assert len(broker.middlewares) == len(before) + 2
    huoyan.unwatch(broker)
    assert broker.middlewares == before


def test_what_is_no_broker_is_refused_at_wiring(client: Client) -> None:
    broker = InMemoryBroker()
    broker.middlewares = ()  # type: ignore[assignment]
    with pytest.raises(ConfigurationError, match="without a list of middlewares"):
        huoyan.watch(broker)


@pytest.mark.parametrize("hook", ["sending", "sent", "delivered", "executed", "left"])
def test_a_mistake_in_a_hook_stays_in_the_hook(
    memory: TaskiqAdapter, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    executed: list[int] = []

    async def work() -> None:
        executed.append(1)

    def mistake(*_: object) -> None:
        raise RuntimeError("a mistake in the adapter")

    monkeypatch.setattr(Messages, hook, mistake)
    memory.submit(work)
    memory.submit(work)
    memory.work()
    assert executed == [1, 1]
