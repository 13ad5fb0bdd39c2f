"""Huey."""

import datetime
import time
from collections.abc import Callable
from typing import Any

import pytest
from huey import MemoryHuey, RedisHuey, crontab

import huoyan
from huoyan.client.capabilities import Capability
from tests.contract.adapters.contract import AdapterUnderTest, Base, Carries, Function


class HueyAdapter(Base):
    """Huey; the consumer's loops are called by hand."""

    framework = "huey"
    carries: Carries = "pickle"
    partly = frozenset({Capability.CPU})

    def __init__(self, queue: str = "contract", redis_port: int | None = None) -> None:
        """Watch one in memory, unless there is a Redis."""
        self.huey: Any = MemoryHuey(queue) if redis_port is None else RedisHuey(queue, port=redis_port, blocking=False)
        self.tasks: dict[Any, Any] = {}
        self.watch_again()

    def watch_again(self) -> None:
        huoyan.watch(self.huey)

    def _task(self, function: Function, **options: Any) -> Any:
        if function not in self.tasks:
            self.tasks[function] = self.huey.task(name=f"{function.__name__}_{len(self.tasks)}", **options)(function)
        return self.tasks[function]

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        return self._task(function)(*args, **kwargs)

    def retrying(self, function: Function, retries: int) -> None:
        self._task(function, retries=retries)()

    def delayed(self, function: Function, delay_s: float) -> None:
        self._task(function).schedule(delay=delay_s)

    def limited(self, step: Function, limit_s: float) -> None:
        def patient(task: Any = None) -> None:
            while True:
                step()
                task.check_timeout()
                time.sleep(0.005)

        self._task(patient, context=True, timeout=limit_s)()

    def revoke(self, handle: Any) -> None:
        handle.revoke()

    def child(self, function: Function) -> Callable[[], Any]:
        task: Callable[[], Any] = self._task(function)
        return task

    def declare(self, function: Function) -> None:
        self._task(function)

    def twice(self, function: Function) -> None:
        task = self._task(function).s()
        self.huey.enqueue(task)
        self.huey.enqueue(task)

    def schedule(self, function: Function) -> None:
        self.huey.periodic_task(crontab(minute="0"), name="hourly")(function)
        self.serve()

    def serve(self) -> None:
        while True:
            self.huey.read_periodic(datetime.datetime.now())  # noqa: DTZ005 - as Huey means it
            self.work()
            # A consumer looks at its queue, which is when the queue is read.
            self.huey.read_schedule()
            time.sleep(0.05)

    def work(self) -> None:
        while self.huey.pending_count() or self.huey.scheduled_count():
            for task in self.huey.read_schedule():
                self.huey.enqueue(task)
            task = self.huey.dequeue()
            if task is None:
                time.sleep(0.01)
            else:
                try:
                    self.huey.execute(task)
                except RuntimeError:
                    # Huey's own worker logs what it cannot handle and goes on.
                    pass

    def unwatch(self) -> None:
        huoyan.unwatch(self.huey)


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], AdapterUnderTest]] = {
    "huey": lambda _: HueyAdapter(),
}
"""How to make them."""
