"""Celery over its brokers; a worker in this process works a queue off."""

import functools
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import billiard
import celery
import pytest
from celery import signals
from celery.worker import state
from kombu.asynchronous import get_event_loop

import huoyan
from huoyan.client.capabilities import Capability
from huoyan.model.run import FINAL_STATES
from tests.contract.adapters.contract import AdapterUnderTest, Base, Carries, Function, new_queue
from tests.servers import RabbitmqServer, RedisServer, wait_until

BROKERS = ("redis", "rabbitmq")
_LONG_S = 60.0
STATE: Any = state
"""What Celery keeps of the worker of this process."""


class Backlog:
    """Counts the messages that are published and not yet settled, and ends the worker when there are none.

    The end is asked for in the loop of the worker: one that waits for its broker heeds nobody else.
    """

    def __init__(self) -> None:
        self.count = 0
        self.forks = False
        """Whether what children fail at is counted here."""
        self._lock = threading.Lock()

    def _add(self, number: int) -> None:
        with self._lock:
            self.count += number
            if not self.count:
                self.stop()

    def stop(self) -> None:
        """Let the worker end, after it has sent the events of what it does now.

        Once round the loop it looks; with RabbitMQ it would wait for its next timer first.
        """
        hub: Any = get_event_loop()
        hub.call_repeatedly(0.01, lambda: vars(STATE).update(should_stop=0))

    def published(self, **_: Any) -> None:
        self._add(1)

    def settled(self, **_: Any) -> None:
        self._add(-1)

    def failed(self, **_: Any) -> None:
        # The main process of a pool with children says so of one that is gone.
        process: Any = billiard.current_process()
        if process._parent_pid is None and self.forks:
            self._add(-1)

    def connect(self) -> None:
        """Listen to Celery."""
        for signal, receiver in self._receivers():
            signal.connect(receiver, weak=False, dispatch_uid=f"{id(self)}")

    def disconnect(self) -> None:
        """Listen no more."""
        for signal, _ in self._receivers():
            signal.disconnect(dispatch_uid=f"{id(self)}")

    def _receivers(self) -> list[tuple[Any, Any]]:
        settling = (signals.task_postrun, signals.task_revoked, signals.task_unknown)
        return [
            (signals.after_task_publish, self.published),
            (signals.task_failure, self.failed),
            *((signal, self.settled) for signal in settling),
        ]


class CeleryAdapter(Base):
    """Celery with one broker; a worker in a thread of this process executes one task at a time."""

    framework = "celery"
    carries: Carries = "json"
    partly = frozenset({Capability.CPU})
    events = False
    """Whether the worker sends events, as with `-E`."""

    def __init__(self, url: str, queue: str = "") -> None:
        queue = queue or new_queue()
        self.hostname = f"{queue}@test{os.getpid()}"
        self.app: Any = celery.Celery("contract", broker=url, set_as_current=False)
        self.app.conf.update(
            task_default_queue=queue,
            worker_hijack_root_logger=False,
            worker_log_color=False,
            worker_enable_remote_control=False,
            broker_connection_retry_on_startup=True,
            broker_transport_options={"polling_interval": 0.02},
        )
        self.pool = "solo"
        self.tasks: dict[Any, Any] = {}
        self.backlog = Backlog()
        self.backlog.connect()
        self.watch_again()

    def watch_again(self) -> None:
        huoyan.watch(self.app)

    def task(self, function: Function, **options: Any) -> Any:
        """Make a task of a function, once."""
        if function not in self.tasks:
            name = f"{function.__name__}_{len(self.tasks)}"
            self.tasks[function] = self.app.task(name=name, shared=False, **options)(function)
        return self.tasks[function]

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        return self.task(function).apply_async(args, kwargs)

    def retrying(self, function: Function, retries: int) -> None:
        self.task(function, autoretry_for=(ValueError,), max_retries=retries, default_retry_delay=0).delay()

    def delayed(self, function: Function, delay_s: float) -> None:
        self.task(function).apply_async(countdown=delay_s)

    def limited(self, step: Function, limit_s: float) -> None:
        def patient() -> None:
            while True:
                step()
                time.sleep(0.005)

        # Only a pool with children can end what is being executed.
        self.pool = "prefork"
        self.backlog.forks = True
        self.task(patient, time_limit=limit_s).delay()

    def child(self, function: Function) -> Callable[[], Any]:
        return self.task(function).delay

    def apart(self) -> None:
        if self.app.conf.broker_url.startswith("amqp"):
            # What holds the messages makes no difference to a child; but its worker is slow to end.
            return
        self.pool = "prefork"
        self.partly |= {Capability.MEMORY}

    def revoke(self, handle: Any) -> None:
        # Where the command `revoke` of remote control writes it; that command is heard by running workers alone.
        STATE.revoked.add(handle.id)

    def declare(self, function: Function) -> None:
        self.task(function)

    def carefully(self, redeliver_after_s: float) -> None:
        # A thread executes while the worker sends its heartbeats; but Celery loses events of threads when many end.
        self.pool = "threads" if redeliver_after_s > _LONG_S else "solo"
        options = {**self.app.conf.broker_transport_options, "visibility_timeout": redeliver_after_s}
        self.app.conf.update(
            task_acks_late=True,
            # Whoever looks from outside asks the worker for the names of its queues.
            worker_enable_remote_control=self.events,
            worker_prefetch_multiplier=1,
            broker_transport_options=options if self.app.conf.broker_url.startswith("redis") else {},
        )

    def twice(self, function: Function) -> None:
        # As after its visibility timeout; that of RabbitMQ takes half an hour.
        for _ in range(2):
            self.task(function).apply_async(task_id=f"{self.app.conf.task_default_queue}-twice")

    def schedule(self, function: Function) -> None:
        self.app.conf.beat_schedule = {"hourly": {"task": self.task(function).name, "schedule": 3600.0}}
        folder = tempfile.mkdtemp(prefix="huoyan-beat-", dir=os.environ.get("HUOYAN_SPOOL"))
        beat: Any = self.app.Beat(schedule=f"{folder}/beat", loglevel="CRITICAL", quiet=True)
        beat.run()

    def serve(self) -> None:
        self.backlog.disconnect()
        # The threads of the pool look for it there.
        self.app.set_default()
        self._run(self._worker())

    def work(self) -> None:
        worker = self._worker()
        thread = threading.Thread(target=self._run, args=(worker,), daemon=True)
        thread.start()
        if self.pool == "prefork" and not self.backlog.forks:
            # What children do is not heard of here, but it is told.
            wait_until(self._told, 60, lambda: f"the children to have ended: {self.runs()}")
            self.backlog.stop()
        thread.join(20)
        STATE.should_stop = None
        assert not thread.is_alive(), f"{self.backlog.count} messages to be settled"

    def _worker(self) -> Any:
        worker: Any = self.app.WorkController(
            concurrency=1,
            hostname=self.hostname,
            pool=self.pool,
            loglevel=logging.CRITICAL,
            task_events=self.events,
            without_heartbeat=not self.events,
            without_mingle=True,
            without_gossip=True,
        )
        return worker

    def _told(self) -> bool:
        found = [shown.state for shown, _ in self.runs()]
        return len(found) >= self.backlog.count and FINAL_STATES.issuperset(found)

    def _run(self, worker: Any) -> None:
        # In each thread anew; otherwise the task is executed for an application that Celery makes up.
        self.app.set_current()
        worker.start()

    def unwatch(self) -> None:
        huoyan.unwatch(self.app)

    def close(self) -> None:
        self.unwatch()
        self.backlog.disconnect()
        self.app.close()


def make(kind: str, request: pytest.FixtureRequest) -> CeleryAdapter:
    """Make an adapter over an empty queue."""
    if kind == "redis":
        redis: RedisServer = request.getfixturevalue("redis_server")
        return CeleryAdapter(redis.url, new_queue(request))
    rabbitmq: RabbitmqServer = request.getfixturevalue("rabbitmq_server")
    return CeleryAdapter(rabbitmq.url, new_queue(request))


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], AdapterUnderTest]] = {
    f"celery-{kind}": functools.partial(make, kind) for kind in BROKERS
}
"""How to make them."""
