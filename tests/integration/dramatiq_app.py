"""The Dramatiq application of these tests, as somebody would write it: run with `dramatiq
tests.integration.dramatiq_app`.

The environment says which broker it uses (TEST_BROKER), where its tasks leave their own record (TEST_RECORD), and where
the Huoyan server is (HUOYAN_URL). As a program it sends the tasks of a test: `PREFIX COUNT`.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage, Middleware

import huoyan

KINDS = ("ok", "ok", "ok", "ok", "flaky", "flakier", "exhaust", "fail", "old", "tree")
"""What the n-th task does, by the last digit of n."""

_RECORD = Path(os.environ.get("TEST_RECORD", os.devnull))
_ADDRESS = os.environ.get("TEST_BROKER", "redis://127.0.0.1")


def make_broker() -> Any:
    """Make the broker; messages of a dead worker go back to their queue after two seconds."""
    if _ADDRESS.startswith("amqp"):
        return RabbitmqBroker(url=_ADDRESS)
    return RedisBroker(url=_ADDRESS, heartbeat_timeout=2000, maintenance_chance=1_000_000)


broker = make_broker()
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)
huoyan.watch(broker, service="orders")


class Ready(Middleware):
    """Says in the log when a worker works."""

    def after_worker_boot(self, broker: Any, worker: Any) -> None:
        print(f"worker {os.getpid()} works", flush=True)


broker.add_middleware(Ready())


class PaymentDeclined(Exception):
    """The bank said no."""


def note() -> int:
    """Leave a record of this execution, and return which try it is."""
    message: Any = CurrentMessage.get_current_message()
    tries = int(message.options.get("retries", 0)) + 1
    with _RECORD.open("a") as record:
        record.write(f"{message.message_id} {os.getpid()}\n")
    return tries


@dramatiq.actor(queue_name="work", max_retries=2, min_backoff=1, max_backoff=20, throws=(PaymentDeclined,))
def work(kind: str, n: int, password: str = "") -> str:
    """Do what the kind says."""
    tries = note()
    if kind == "fail":
        raise PaymentDeclined(f"card declined for order {n}")
    if kind == "exhaust" or (kind == "flaky" and tries < 2) or (kind == "flakier" and tries < 3):
        raise ConnectionError("bank is away")
    if kind == "tree":
        broker.enqueue(leaf.message().copy(message_id=f"leaf-of-{n}"))
    return f"{kind} {n}"


@dramatiq.actor(queue_name="work")
def leaf() -> None:
    """Be started by another."""
    note()


@dramatiq.actor(queue_name="work", max_retries=0)
def hold(gate: str) -> None:
    """Take as long as the file is there."""
    note()
    while Path(gate).exists():
        time.sleep(0.05)


@dramatiq.actor(queue_name="work", max_retries=0, time_limit=300)
def too_long() -> None:
    """Never end."""
    note()
    while True:
        time.sleep(0.05)


def main(prefix: str, count: int) -> None:
    """Send `count` tasks with ids `{prefix}-{n}`."""
    for n in range(count):
        kind = KINDS[n % len(KINDS)]
        options = {"max_age": 1} if kind == "old" else {}
        message = work.message_with_options(args=(kind, n), kwargs={"password": "hunter2"}, **options)
        # The age counts from the time the message was made.
        made_at = message.message_timestamp - (1000 if kind == "old" else 0)
        broker.enqueue(message.copy(message_id=f"{prefix}-{n}", message_timestamp=made_at))
    broker.enqueue(too_long.message().copy(message_id=f"{prefix}-too-long"))
    broker.enqueue(work.message("ok", 0).copy(message_id=f"{prefix}-later"), delay=4000)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
