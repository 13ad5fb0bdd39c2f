"""RQ over a real Redis."""

import contextlib
import functools
import logging
import math
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
import rq
from rq.cron import CronScheduler
from rq.scheduler import RQScheduler
from rq.timeouts import TimerDeathPenalty

import huoyan
from huoyan.client.capabilities import Capability
from tests.contract.adapters.contract import AdapterUnderTest, Base, Carries, Function, new_queue
from tests.servers import RedisServer, wait_until

# RQ finds functions by the path they are imported from; those of tests are put here.
JOBS = types.ModuleType("huoyan_rq_jobs")
sys.modules[JOBS.__name__] = JOBS


def path_of(function: Function) -> str:
    """Return the path under which RQ finds a function of a test."""
    name = next((name for name, each in vars(JOBS).items() if each is function), None)
    if name is None:
        name = f"{function.__name__}_{len(vars(JOBS))}"
        setattr(JOBS, name, function)
    return f"{JOBS.__name__}.{name}"


def _reached(at: float) -> bool:
    return time.time() >= at


class ThreadTimedWorker(rq.SimpleWorker):
    """Executes jobs in this process and leaves the alarm to the tests."""

    death_penalty_class = TimerDeathPenalty


class RqAdapter(Base):
    """RQ; a worker in this process works a queue off."""

    framework = "rq"
    carries: Carries = "pickle"
    forks = False
    """Whether workers fork a work horse for each job, as they do unless told otherwise."""

    def __init__(self, server: RedisServer, queue: str = "", database: int = 0) -> None:
        self.connection: Any = redis.Redis(port=server.port, db=database)
        self.queue: Any = rq.Queue(queue or new_queue(), connection=self.connection)
        self.watch_again()

    def watch_again(self) -> None:
        huoyan.watch(self.queue)
        huoyan.watch(rq.SimpleWorker)

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        return self.queue.enqueue(path_of(function), args=args, kwargs=kwargs)

    def retrying(self, function: Function, retries: int) -> None:
        self.queue.enqueue(path_of(function), retry=rq.Retry(max=retries))

    def delayed(self, function: Function, delay_s: float) -> None:
        # RQ keeps whole seconds.
        due = math.ceil(time.time() + delay_s)
        self.queue.enqueue_at(datetime.fromtimestamp(due, UTC), path_of(function))

    def limited(self, step: Function, limit_s: float) -> None:
        def patient() -> None:
            while True:
                step()
                time.sleep(0.005)

        self.queue.enqueue(path_of(patient), job_timeout=math.ceil(limit_s))

    def revoke(self, handle: Any) -> None:
        handle.cancel()

    def child(self, function: Function) -> Callable[[], Any]:
        path = path_of(function)
        return lambda: self.queue.enqueue(path)

    def apart(self) -> None:
        self.forks = True
        self.partly |= {Capability.MEMORY}

    def declare(self, function: Function) -> None:
        path_of(function)

    def schedule(self, function: Function) -> None:
        # RQ refuses what belongs to a program.
        function.__module__ = JOBS.__name__
        scheduler: Any = CronScheduler(connection=self.connection, name=f"cron-of-{self.queue.name}")
        scheduler.register(function, self.queue.name, interval=3600, name="hourly")
        scheduler.start()

    def serve(self) -> None:
        ThreadTimedWorker([self.queue], connection=self.connection).work(logging_level="CRITICAL")

    def work(self) -> None:
        scheduled: Any = self.queue.scheduled_job_registry
        scheduler: Any = RQScheduler([self.queue], connection=self.connection, logging_level="CRITICAL")
        scheduler.acquire_locks()
        self.worker().work(burst=True, logging_level="CRITICAL")
        while due := self.connection.zrange(scheduled.key, 0, 0, withscores=True):
            # Everything that takes time comes before the time that is waited for.
            worker = self.worker()
            wait_until(functools.partial(_reached, due[0][1]), interval_s=0.002)
            scheduler.enqueue_scheduled_jobs()
            worker.work(burst=True, logging_level="CRITICAL")
        scheduler.release_locks()

    def worker(self) -> Any:
        """Make a worker of the queue."""
        kind = rq.Worker if self.forks else ThreadTimedWorker
        return kind([self.queue], connection=self.connection)

    def unwatch(self) -> None:
        huoyan.unwatch(self.queue)
        huoyan.unwatch(rq.SimpleWorker)

    def close(self) -> None:
        self.unwatch()
        self.connection.close()


class Forking(RqAdapter):
    """RQ with work horses."""

    forks = True


@contextlib.contextmanager
def tidy() -> Iterator[None]:
    """RQ logs every failure, and workers put signal handlers in."""
    logger = logging.getLogger("rq")
    before = logger.level
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(before)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for name in [name for name in vars(JOBS) if not name.startswith("__")]:
        delattr(JOBS, name)


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], AdapterUnderTest]] = {
    "rq": lambda request: RqAdapter(request.getfixturevalue("redis_server"), new_queue(request)),
}
"""How to make them."""
