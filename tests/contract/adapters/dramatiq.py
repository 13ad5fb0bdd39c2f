"""Dramatiq over its brokers."""

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import SkipMessage, TimeLimit
from dramatiq_abort import Abortable, abort
from dramatiq_abort.backends import StubBackend as AbortBackend
from dramatiq_abort.middleware import AbortMode

import huoyan
from huoyan.client.capabilities import Capability
from tests.contract.adapters.contract import AdapterUnderTest, Base, Carries, Function, new_queue
from tests.servers import RabbitmqServer, RedisServer, wait_until

BROKERS = ("stub", "redis", "rabbitmq")


class Backlog(dramatiq.Middleware):
    """Counts the messages that are enqueued and not yet settled."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def _add(self, number: int) -> None:
        with self._lock:
            self.count += number

    def after_enqueue(self, broker: Any, message: Any, delay: Any) -> None:
        self._add(1)

    def after_ack(self, broker: Any, message: Any) -> None:
        self._add(-1)

    after_nack = after_ack


class Picky(dramatiq.Middleware):
    """Refuses, drops or fails messages, as `refuse` says, before they are processed."""

    refuse = ""

    def before_process_message(self, broker: Any, message: Any) -> None:
        if self.refuse in {"fail", "fail and skip"}:
            message.fail()
        if self.refuse in {"skip", "fail and skip"}:
            raise SkipMessage("not on Sundays")


class DramatiqAdapter(Base):
    """Dramatiq with one broker; a worker in this process works the messages off."""

    framework = "dramatiq"
    carries: Carries = "json"
    partly = frozenset({Capability.CPU})

    def __init__(self, broker: Any, queue: str = "") -> None:
        self.broker = broker
        self.queue = queue or new_queue()
        self.backlog = Backlog()
        self.abortable = Abortable(backend=AbortBackend())
        self.picky = Picky()
        self.threads = 2
        self.worker: dramatiq.Worker | None = None
        self.actors: dict[Any, Any] = {}
        for middleware in (self.backlog, self.abortable, self.picky):
            broker.add_middleware(middleware)
        for middleware in broker.middleware:
            if isinstance(middleware, TimeLimit):
                manager: Any = middleware.manager
                manager.interval = 0.02
        self.watch_again()

    def watch_again(self) -> None:
        huoyan.watch(self.broker)

    def actor(self, function: Function, **options: Any) -> Any:
        """Make an actor of a function, once."""
        if function not in self.actors:
            name = f"{function.__name__}_{len(self.actors)}"
            chosen: dict[str, Any] = {"max_retries": 0, "min_backoff": 1, "max_backoff": 2, **options}
            declare = dramatiq.actor(broker=self.broker, actor_name=name, queue_name=self.queue, **chosen)
            self.actors[function] = declare(function)
        return self.actors[function]

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        return self.actor(function).send(*args, **kwargs)

    def retrying(self, function: Function, retries: int) -> None:
        self.actor(function, max_retries=retries).send()

    def delayed(self, function: Function, delay_s: float) -> None:
        self.actor(function).send_with_options(delay=int(delay_s * 1000))

    def limited(self, step: Function, limit_s: float) -> None:
        def patient() -> None:
            while True:
                step()
                time.sleep(0.005)

        self.actor(patient, time_limit=int(limit_s * 1000)).send()

    def revoke(self, handle: Any) -> None:
        abort(handle.message_id, self.abortable, mode=AbortMode.CANCEL)

    def child(self, function: Function) -> Callable[[], Any]:
        return self.actor(function).send

    def declare(self, function: Function) -> None:
        self.actor(function)

    def carefully(self, redeliver_after_s: float) -> None:
        self.threads = 1

    def twice(self, function: Function) -> None:
        self.broker.enqueue(self.submit(function))

    def serve(self) -> None:
        self.start()
        threading.Event().wait()

    def start(self) -> dramatiq.Worker:
        """Start a worker and leave it at work."""
        self.broker.emit_after("process_boot")
        self.worker = dramatiq.Worker(self.broker, worker_timeout=20, worker_threads=self.threads)
        self.worker.start()
        return self.worker

    def settle(self, timeout_s: float = 15.0) -> None:
        """Wait until every message is acknowledged or dead."""
        wait_until(lambda: self.backlog.count == 0, timeout_s, lambda: f"{self.backlog.count} messages to be settled")

    def work(self) -> None:
        self.start()
        self.settle()
        self.stop()

    def stop(self) -> None:
        """Stop the worker."""
        if self.worker is not None:
            worker, self.worker = self.worker, None
            worker.stop(timeout=5000)

    def unwatch(self) -> None:
        huoyan.unwatch(self.broker)

    def close(self) -> None:
        self.unwatch()
        self.stop()
        self.broker.close()


def make(kind: str, request: pytest.FixtureRequest) -> DramatiqAdapter:
    """Make an adapter over an empty broker."""
    queue = new_queue(request)
    if kind == "redis":
        redis: RedisServer = request.getfixturevalue("redis_server")
        return DramatiqAdapter(RedisBroker(url=redis.url, namespace=f"n-{queue}"), queue)
    if kind == "rabbitmq":
        rabbitmq: RabbitmqServer = request.getfixturevalue("rabbitmq_server")
        return DramatiqAdapter(RabbitmqBroker(url=rabbitmq.url.removesuffix("/")), queue)
    return DramatiqAdapter(StubBroker(), queue)


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], AdapterUnderTest]] = {
    f"dramatiq-{kind}": functools.partial(make, kind) for kind in BROKERS
}
"""How to make them."""
