"""The Taskiq application of these tests, as somebody would write it: run with `taskiq worker
tests.integration.taskiq_app:broker` and `taskiq scheduler tests.integration.taskiq_app:scheduler`.

The environment says which Redis it uses (TEST_BROKER) and how (TEST_KIND: list, stream), where its tasks leave their
own record (TEST_RECORD), and where the Huoyan server is (HUOYAN_URL). As a program it sends the tasks of a test:
`PREFIX COUNT`.
"""

import asyncio
import datetime
import os
import sys
import time
from pathlib import Path
from typing import Any

from taskiq import Context, SimpleRetryMiddleware, TaskiqDepends, TaskiqScheduler
from taskiq.kicker import AsyncKicker
from taskiq.schedule_sources import LabelScheduleSource

import huoyan
from tests.integration.taskiq_brokers import ListQueueBroker, ListRedisScheduleSource, RedisStreamBroker

KINDS = ("ok", "ok", "sync", "flaky", "flakier", "exhaust", "fail", "again", "reject", "tree")
"""What the n-th task does, by the last digit of n."""

_RECORD = Path(os.environ.get("TEST_RECORD", os.devnull))
_URL = os.environ.get("TEST_BROKER", "redis://127.0.0.1")
_CONTEXT: Any = TaskiqDepends()

broker: Any = (
    RedisStreamBroker(_URL, queue_name="work", xread_block=100, idle_timeout=6000)
    if os.environ.get("TEST_KIND") == "stream"
    else ListQueueBroker(_URL, queue_name="work")
)
broker.add_middlewares(SimpleRetryMiddleware())
huoyan.watch(broker, service="orders")
source = ListRedisScheduleSource(_URL)
scheduler = TaskiqScheduler(broker, [source, LabelScheduleSource(broker)])


class PaymentDeclined(Exception):
    """The bank said no."""


def note(context: Context) -> int:
    """Leave a record of this execution, and return which try it is."""
    with _RECORD.open("a") as record:
        record.write(f"{context.message.task_id} {os.getpid()}\n")
    labels = context.message.labels
    return int(labels.get("_retries", 0)) + int(labels.get("X-Taskiq-requeue", 0)) + 1


@broker.task(
    task_name="orders.tidy",
    schedule=[{"cron": "30 2 * * 1-5", "cron_offset": "Europe/Berlin", "schedule_id": "night"}],
)
async def tidy() -> None:
    """Wait for the night."""


@broker.task(task_name="orders.work", retry_on_error=True, max_retries=3)
async def work(kind: str, n: int, password: str = "", context: Context = _CONTEXT) -> str:
    """Do what the kind says."""
    tries = note(context)
    if kind == "exhaust" or (kind == "flaky" and tries < 2) or (kind == "flakier" and tries < 3):
        raise ConnectionError("bank is away")
    if kind == "again" and tries < 2:
        await context.requeue()
    if kind == "tree":
        await leaf.kicker().with_task_id(f"leaf-of-{n}").kiq()
    return f"{kind} {n}"


@broker.task(task_name="orders.pay")
async def pay(kind: str, n: int, context: Context = _CONTEXT) -> None:
    """Fail or reject, as the kind says, without another try."""
    note(context)
    if kind == "reject":
        context.reject()
    raise PaymentDeclined(f"card declined for order {n}")


@broker.task(task_name="orders.print")
def print_label(kind: str, n: int, context: Context = _CONTEXT) -> str:
    """Be no coroutine."""
    note(context)
    return f"{kind} {n}"


@broker.task(task_name="orders.leaf")
async def leaf(context: Context = _CONTEXT) -> None:
    """Be started by another."""
    note(context)


@broker.task(task_name="orders.hold")
def hold(gate: str, context: Context = _CONTEXT) -> None:
    """Take as long as the file is there."""
    note(context)
    while Path(gate).exists():
        time.sleep(0.05)


@broker.task(task_name="orders.too_long", timeout=0.3)
async def too_long(context: Context = _CONTEXT) -> None:
    """Never end."""
    note(context)
    await asyncio.sleep(60)


TASKS: dict[str, Any] = {"sync": print_label, "fail": pay, "reject": pay}


async def main(prefix: str, count: int) -> None:
    """Send `count` tasks with ids `{prefix}-{n}`, and some that are special."""
    await broker.startup()
    for n in range(count):
        kind = KINDS[n % len(KINDS)]
        secret = {"password": "hunter2"} if kind not in TASKS else {}
        await TASKS.get(kind, work).kicker().with_task_id(f"{prefix}-{n}").kiq(kind, n, **secret)
    await too_long.kicker().with_task_id(f"{prefix}-too-long").kiq()
    await AsyncKicker("orders.gone", broker, {}).with_task_id(f"{prefix}-unknown").kiq()
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)
    later = leaf.kicker().with_task_id(f"{prefix}-later").with_schedule_id("soon")
    await later.schedule_by_time(source, soon)
    await broker.shutdown()


async def hold_on(gate: str) -> None:
    """Send a task that waits until the file is gone."""
    await broker.startup()
    await hold.kicker().with_task_id("held").kiq(gate)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(hold_on(sys.argv[2]) if sys.argv[1] == "hold" else main(sys.argv[1], int(sys.argv[2])))
