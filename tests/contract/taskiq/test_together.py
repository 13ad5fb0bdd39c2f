"""Tasks that belong together are told so, and each worker that executes one tells of itself."""

import asyncio
import uuid
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from taskiq import (
    InMemoryBroker,
    SimpleRetryMiddleware,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
)
from taskiq.exceptions import NoResultError
from taskiq_pipelines import Pipeline, PipelineMiddleware

import huoyan
from huoyan.client.frameworks.taskiq.messages import Messages
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.errors import ConfigurationError
from huoyan.model.run import RunState
from tests.contract.adapters.contract import by_task, only, runs, states
from tests.contract.adapters.taskiq import TaskiqAdapter, Worker, make
from tests.integration.taskiq_brokers import PubSubBroker
from tests.servers import RedisServer, wait_until


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
