"""Taskiq: `taskiq worker tests.faults.apps.taskiq_app:broker`; as a module it sends messages: `… COUNT SECONDS`."""

import asyncio
import json
import os
import sys
from typing import Annotated, Any

from redis.asyncio import Redis
from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqMiddleware

import huoyan
from tests.faults.diary import note
from tests.integration.taskiq_brokers import ListQueueBroker, RedisStreamBroker

ADDRESS = os.environ["FAULTS_BROKER"]


class Told(TaskiqMiddleware):
    """Writes down that all is said of a message."""

    def post_save(self, message: Any, result: Any) -> None:
        """Write it down: the first middleware is the last whose turn it is behind a message."""
        note(message.task_id, "told")


broker: Any
if os.environ.get("FAULTS_STREAM"):
    # From the beginning: what is sent before the first worker is there counts. What a killed one had is claimed by the
    # next after five seconds.
    options: dict[str, Any] = {"consumer_id": "0", "xread_count": 10, "xread_block": 500, "idle_timeout": 5000}
    broker = RedisStreamBroker(ADDRESS, queue_name="faults", **options)

    @broker.on_event(TaskiqEvents.WORKER_STARTUP)
    async def unlock(_: Any) -> None:
        """Take away the lock of a worker that was killed while it looked for what another one had: it has no end."""
        async with Redis.from_url(ADDRESS) as redis:
            await redis.delete("autoclaim:taskiq:faults")
else:
    broker = ListQueueBroker(ADDRESS, queue_name="faults")
huoyan.watch(broker, service="faults")
told = Told()
told.set_broker(broker)
broker.middlewares.insert(0, told)


@broker.task(task_name="faults.work")
async def taskiq_work(seconds: float, context: Annotated[Context, TaskiqDepends()]) -> None:
    """Take a while."""
    note(context.message.task_id, "start")
    await asyncio.sleep(seconds)
    note(context.message.task_id, "end")


async def produce(count: int, seconds: float) -> None:
    """Send messages."""
    await broker.startup()
    for _ in range(count):
        sent = await taskiq_work.kiq(seconds)
        sys.stdout.write(json.dumps(sent.task_id) + "\n")
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(produce(int(sys.argv[1]), float(sys.argv[2])))
