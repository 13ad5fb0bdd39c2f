"""Taskiq in memory and over Redis."""

import asyncio
import functools
import threading
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from taskiq import (
    AsyncBroker,
    InMemoryBroker,
    SimpleRetryMiddleware,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    TaskiqScheduler,
)
from taskiq.api import run_scheduler_task
from taskiq.receiver import Receiver
from taskiq.schedule_sources import LabelScheduleSource

import huoyan
from huoyan.client.capabilities import Capability
from tests.contract.adapters.contract import AdapterUnderTest, Base, Carries, Function, new_queue
from tests.integration.taskiq_brokers import ListQueueBroker, RedisStreamBroker
from tests.servers import RedisServer, wait_until

BROKERS = ("memory", "list", "stream")


class DelayingBroker(InMemoryBroker):
    """Keeps messages back as their label says, like the brokers for RabbitMQ do."""

    async def kick(self, message: Any) -> None:
        delay_s = float(message.labels.get("delay") or 0)
        if delay_s:
            self._later = asyncio.create_task(self._kick_later(message, delay_s))
            self._running_tasks.add(self._later)
            self._later.add_done_callback(self._running_tasks.discard)
        else:
            await super().kick(message)

    async def _kick_later(self, message: Any, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await super().kick(message)


class Backlog(TaskiqMiddleware):
    """Counts the messages that are sent and not yet executed."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        self.count += 1
        return message

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        self.count -= 1


class TaskiqAdapter(Base):
    """Taskiq with one broker, in an event loop in a thread of its own."""

    framework = "taskiq"
    carries: Carries = "json"

    def __init__(self, broker: AsyncBroker, *middlewares: TaskiqMiddleware) -> None:
        self.broker = broker
        self.partly = frozenset(
            capability
            for capability, kinds in {
                Capability.DELAY: DelayingBroker,
                Capability.DEPTH: (ListQueueBroker, RedisStreamBroker),
                Capability.REDELIVERY: RedisStreamBroker,
            }.items()
            if isinstance(broker, kinds)
        )
        self.options: dict[str, Any] = {}
        self.backlog = Backlog()
        broker.add_middlewares(self.backlog, *(middlewares or (SimpleRetryMiddleware(),)))
        self.watch_again()
        self.tasks: dict[Any, Any] = {}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.run(broker.startup())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the event loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def watch_again(self) -> None:
        huoyan.watch(self.broker)

    def task(self, function: Function, **labels: Any) -> Any:
        """Make a task of a function, once."""
        if function not in self.tasks:
            name = f"{function.__name__}_{len(self.tasks)}"
            self.tasks[function] = self.broker.task(task_name=name, **labels)(function)
        return self.tasks[function]

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        return self.run(self.task(function).kiq(*args, **kwargs))

    def retrying(self, function: Function, retries: int) -> None:
        self.run(self.task(function, retry_on_error=True, max_retries=retries + 1).kiq())

    def delayed(self, function: Function, delay_s: float) -> None:
        self.run(self.task(function, delay=delay_s).kiq())

    def limited(self, step: Function, limit_s: float) -> None:
        async def patient() -> None:
            while True:
                step()
                await asyncio.sleep(0.005)

        self.run(self.task(patient, timeout=limit_s).kiq())

    def child(self, function: Function) -> Callable[[], Any]:
        task = self.task(function)
        # Functions are executed in a thread beside the loop.
        return lambda: self.run(task.kiq())

    def declare(self, function: Function) -> None:
        self.task(function)

    def carefully(self, redeliver_after_s: float) -> None:
        self.options = {"executor": ThreadPoolExecutor(1), "max_async_tasks": 1}
        if isinstance(self.broker, RedisStreamBroker):
            self.broker.count = 1
            self.broker.idle_timeout = int(redeliver_after_s * 1000)

    def twice(self, function: Function) -> None:
        task_id = uuid.uuid4().hex
        for _ in range(2):
            self.run(self.task(function).kicker().with_task_id(task_id).kiq())

    def schedule(self, function: Function) -> None:
        self.broker.task(task_name="hourly", schedule=[{"cron": "0 * * * *", "schedule_id": "hourly"}])(function)
        scheduler = TaskiqScheduler(self.broker, [LabelScheduleSource(self.broker)])
        asyncio.run_coroutine_threadsafe(run_scheduler_task(scheduler, run_startup=True), self.loop).result()

    def serve(self) -> None:
        if isinstance(self.broker, InMemoryBroker):
            threading.Event().wait()
        with Worker(self, **self.options):
            threading.Event().wait()

    def work(self) -> None:
        if isinstance(self.broker, InMemoryBroker):
            while self.broker._running_tasks:
                self.run(self.broker.wait_all())
            return
        with Worker(self):
            self.settle()

    def settle(self) -> None:
        """Wait until every message was executed."""
        wait_until(lambda: self.backlog.count == 0, 15, lambda: f"{self.backlog.count} messages to be executed")

    def unwatch(self) -> None:
        huoyan.unwatch(self.broker)

    def close(self) -> None:
        self.unwatch()
        self.run(self.broker.shutdown())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


class Worker:
    """What `taskiq worker` runs, here in the event loop of the adapter."""

    def __init__(self, adapter: TaskiqAdapter, **options: Any) -> None:
        self.adapter = adapter
        self.options = {"executor": ThreadPoolExecutor(4), "max_async_tasks": 10, **options}

    def __enter__(self) -> None:
        self.adapter.broker.is_worker_process = True
        self.finish = asyncio.Event()
        receiver = Receiver(self.adapter.broker, **self.options)
        self.listening = asyncio.run_coroutine_threadsafe(receiver.listen(self.finish), self.adapter.loop)

    def __exit__(self, *_: object) -> None:
        self.adapter.loop.call_soon_threadsafe(self.finish.set)
        self.listening.result(10)
        self.options["executor"].shutdown()


def make(kind: str, request: pytest.FixtureRequest) -> TaskiqAdapter:
    """Make an adapter over an empty broker."""
    if kind == "memory":
        return TaskiqAdapter(DelayingBroker())
    redis: RedisServer = request.getfixturevalue("redis_server")
    queue = new_queue(request)
    if kind == "list":
        return TaskiqAdapter(ListQueueBroker(redis.url, queue_name=queue))
    return TaskiqAdapter(RedisStreamBroker(redis.url, queue_name=queue, xread_block=50))


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], AdapterUnderTest]] = {
    f"taskiq-{kind}": functools.partial(make, kind) for kind in BROKERS
}
"""How to make them."""
